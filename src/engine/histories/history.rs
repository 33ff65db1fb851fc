//! A history: clients, a process and a disk, one step after another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::clients::{Asked, Attempt, Outcome};
use super::compare::{compare_inventory, compare_shown};
use super::keys::Keys;
use super::life::Life;
use super::naive::Naive;
use super::tally::Tally;
use super::wish::Dice;
use crate::domain::*;
use crate::engine::clock::tests::FakeClock;
use crate::engine::command::Command;
use crate::journal::*;

const START_MS: u64 = 1_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// One history, with what a naive model makes of it.
pub(super) struct History {
    pub(super) dice: Dice,
    pub(super) storage: MemStorage,
    pub(super) clock: Arc<FakeClock>,
    pub(super) life: Life,
    /// Decisions of all lives in the order of the log, durable or not yet.
    pub(super) log: Vec<(u64, Record)>,
    pub(super) durable: usize,
    /// The writer has not seen yet that nothing is left to write.
    pub(super) writing: bool,
    /// What decisions are made on, and what everybody sees.
    pub(super) live: Naive,
    pub(super) shown: Naive,
    pub(super) asked: Vec<Asked>,
    pub(super) keys: Keys,
    /// Keys of refusals that wait for what they rest on.
    pub(super) refused_keys: Vec<Option<KeyStamp>>,
    pub(super) refusals: BTreeMap<(Handle, RefusalReason), u64>,
    pub(super) mailbox: Vec<(u64, Command)>,
    pub(super) attempts: BTreeMap<u64, Attempt>,
    pub(super) next_attempt: u64,
    /// Room that others have taken.
    pub(super) taken_bytes: u64,
    pub(super) tally: Tally,
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        let (storage, clock) = (MemStorage::new(), Arc::new(FakeClock::default()));
        clock.wall_ms.store(START_MS, Ordering::Relaxed);
        let life = Life::begin(&storage, &clock);
        Self {
            dice: Dice(seed),
            storage,
            clock,
            life,
            log: Vec::new(),
            durable: 0,
            writing: false,
            live: Naive::default(),
            shown: Naive::default(),
            asked: Vec::new(),
            keys: Keys::default(),
            refused_keys: Vec::new(),
            refusals: BTreeMap::new(),
            mailbox: Vec::new(),
            attempts: BTreeMap::new(),
            next_attempt: 0,
            taken_bytes: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.dice.roll(206) {
                0..70 => self.ask(),
                70..130 => self.turn(),
                130..155 => self.sync(),
                155..164 => self.hear(),
                164..178 => self.wait(),
                178..186 => self.expire(),
                186..189 => self.count_refusals(),
                189..192 => self.jump(),
                192..194 => self.life.writer.queue_watermark(),
                194 => self.storage.fail_sync_after(self.dice.roll(3)),
                195..197 => self.fill_up(),
                197 => self.forget_somebody(),
                198..203 => self.keep_up(),
                _ => self.end_and_begin(),
            }
        }
        self.end_and_begin();
        self.tally.records += self.log.len() as u64;
    }

    fn sync(&mut self) {
        if self.dice.roll(4) > 0 && self.taken_bytes > 0 {
            self.life.core().admission.room().release(std::mem::take(&mut self.taken_bytes));
        }
        if self.dice.roll(4) > 0 {
            while self.life.writer.prepare_spare().is_ok_and(|made| made) {}
        }
        match self.life.writer.step() {
            Ok(stepped) => {
                self.writing = stepped != Stepped::Idle;
                self.synced();
            }
            Err(_) => self.failed(),
        }
    }

    /// All that was decided is durable: it is shown, and whoever waits for it hears.
    fn synced(&mut self) {
        let news = self.life.news();
        assert_eq!(news, self.log[self.durable..], "the log has what was decided");
        self.durable = self.log.len();
        for (sequence, record) in &news {
            self.shown.follow(*sequence, record);
            self.keys.made(*sequence, record);
        }
        for key in std::mem::take(&mut self.refused_keys) {
            self.keys.give_back(key.as_ref());
        }
        compare_shown(&self.life, &self.shown, &self.live);
        assert_eq!(self.life.core().admission.commands(), self.mailbox.len());
        if self.dice.roll(2) == 0 {
            self.hear();
            let waits = |attempt: &Attempt| attempt.outcome.is_some();
            assert!(!self.attempts.values().any(waits), "somebody has not been told");
        }
    }

    /// The disk failed: some commands still have their turn, then the process is gone.
    fn failed(&mut self) {
        assert!(self.life.engine.health().is_failed());
        self.tally.failed_syncs += 1;
        self.hear_what_is_certain();
        for attempt in self.attempts.values_mut().filter(|attempt| attempt.outcome.is_some()) {
            attempt.outcome = Some(Outcome::Unknown);
        }
        for _ in 0..self.dice.roll(4) {
            self.turn();
            self.ask();
        }
        self.end_and_begin();
    }

    fn wait(&mut self) {
        let ms = match self.dice.roll(60) {
            0 => DAY_MS,
            _ => self.dice.roll(50),
        };
        self.clock.wall_ms.fetch_add(ms, Ordering::Relaxed);
        self.clock.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
        let before_ms = self.life.engine.now_ms();
        self.life.core().clock.slew();
        let now_ms = self.life.engine.now_ms();
        assert!((before_ms..=before_ms + 1).contains(&now_ms), "time is slewed, never set");
    }

    /// Somebody sets the machine's time.
    fn jump(&mut self) {
        let before_ms = self.life.engine.now_ms();
        let by_ms = self.dice.roll(2_000_000);
        match self.dice.roll(2) {
            0 => self.clock.wall_ms.fetch_add(by_ms, Ordering::Relaxed),
            _ => self.clock.wall_ms.fetch_sub(by_ms, Ordering::Relaxed),
        };
        assert_eq!(self.life.engine.now_ms(), before_ms, "the partition's clock does not follow");
    }

    /// Others take nearly all the room there is.
    fn fill_up(&mut self) {
        let room = self.life.core().admission.room().clone();
        let left = self.dice.roll(600) as i64;
        while room.bytes_left() > left + 64 {
            let most = (room.bytes_left() - left - 64).min(2_000);
            let Some(bytes) = room.try_reserve(most as usize) else { return };
            self.taken_bytes += bytes;
        }
    }

    /// The process ends: killed, or with the power lost. Another one recovers.
    pub(super) fn end_and_begin(&mut self) {
        if !self.life.engine.health().is_failed() {
            self.hear();
        }
        self.storage = match self.dice.roll(4) {
            0 => self.storage.kill(),
            1 => self.storage.crash(Crash::LoseAll),
            2 => self.storage.crash(Crash::KeepAll),
            _ => self.storage.crash(Crash::Some(self.dice.roll(u64::MAX))),
        };
        // Whatever is left of the old process writes to a disk that is no more.
        let next = Life::begin(&self.storage, &self.clock);
        self.mailbox.clear();
        self.attempts.clear();
        self.life = next;
        (self.taken_bytes, self.writing) = (0, false);
        self.refused_keys.clear();
        self.refusals.clear();
        let log = self.life.news();
        assert!(log.len() >= self.durable, "{} of {} are lost", self.durable, log.len());
        assert_eq!(log, self.log[..log.len()], "the log is what was decided, to some point");
        self.tally.lost += (self.log.len() - log.len()) as u64;
        self.tally.lives += 1;
        (self.live, self.keys) = (Naive::default(), Keys::default());
        for (sequence, record) in &log {
            self.live.follow(*sequence, record);
            self.keys.made(*sequence, record);
        }
        // A start shows every product anew, longer holds too.
        for product in 0..self.live.items.len() {
            self.live.items[product].shown_expiry_ms = self.live.first_expiry_ms(product as u32);
        }
        (self.shown, self.durable, self.log) = (self.live.clone(), log.len(), log);
        compare_shown(&self.life, &self.shown, &self.live);
        compare_inventory(&self.life, &self.live);
        if self.dice.roll(3) == 0 {
            self.compare_routes();
        }
    }
}
