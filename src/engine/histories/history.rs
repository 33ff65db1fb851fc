//! A history: clients, a process and a disk, one step after another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::compare::{compare_inventory, compare_shown};
use super::keys::{Keys, Said, stamp};
use super::life::{Life, RULES};
use super::naive::Naive;
use super::wish::{Dice, Wish};
use crate::domain::*;
use crate::engine::clock::tests::FakeClock;
use crate::engine::command::Command;
use crate::engine::partition::MINUTE_MS;
use crate::engine::reply::Reply;
use crate::engine::{Action, Answer, Expired, Request};
use crate::journal::*;

const START_MS: u64 = 1_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// With less room than this a record may find none.
const LITTLE_ROOM: i64 = 4 << 10;

/// A wish, and whether it comes under a key.
struct Asked {
    wish: Wish,
    has_key: bool,
}

/// One attempt at a wish.
struct Attempt {
    action: Action,
    key: Option<KeyStamp>,
    reference: Option<Reference>,
    deadline_ms: u64,
    /// `None`: its client has gone.
    reply: Option<Reply>,
    /// Once it had its turn: what is to be heard.
    outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    /// This record.
    Decided(u64),
    /// A refusal that rests on so many decisions.
    Refused(Refusal, usize),
    NotDecided,
    DiskLow,
    /// Queued when the disk failed.
    Unknown,
}

/// What happened in histories.
#[derive(Debug, Default)]
pub(super) struct Tally {
    records: u64,
    refused: u64,
    replayed: u64,
    expired: u64,
    confirmed: u64,
    cancelled: u64,
    lives: u64,
    lost: u64,
    without_room: u64,
    failed_syncs: u64,
}

pub(super) struct History {
    dice: Dice,
    storage: MemStorage,
    clock: Arc<FakeClock>,
    life: Life,
    /// Decisions of all lives in the order of the log, durable or not yet.
    log: Vec<(u64, Record)>,
    durable: usize,
    /// The writer has not seen yet that nothing is left to write.
    writing: bool,
    /// What decisions are made on, and what everybody sees.
    live: Naive,
    shown: Naive,
    asked: Vec<Asked>,
    keys: Keys,
    /// Keys of refusals that wait for what they rest on.
    refused_keys: Vec<Option<KeyStamp>>,
    refusals: BTreeMap<(Handle, RefusalReason), u64>,
    mailbox: Vec<(u64, Command)>,
    attempts: BTreeMap<u64, Attempt>,
    next_attempt: u64,
    /// Room that others have taken.
    taken_bytes: u64,
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
            match self.dice.roll(201) {
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
                _ => self.end_and_begin(),
            }
        }
        self.end_and_begin();
        self.tally.records += self.log.len() as u64;
    }

    /// A client asks, something new or again, now and then something else under the same key.
    fn ask(&mut self) {
        let fresh = self.asked.is_empty() || self.dice.roll(4) > 0;
        let now_ms = self.life.engine.now_ms();
        if fresh {
            let wish = Wish::new(&mut self.dice, &self.shown, &self.live, now_ms);
            let has_key = wish.needs_key() || self.dice.roll(2) == 0;
            self.asked.push(Asked { wish, has_key });
        }
        let last = self.asked.len() as u64 - 1;
        let number = if fresh { last } else { self.dice.roll(last + 1) };
        let body = if !fresh && self.dice.roll(8) == 0 { 2 } else { 1 };
        let Asked { wish, has_key } = &self.asked[number as usize];
        let Some(action) = wish.action(&self.life.engine) else { return };
        let kept = wish.action(&self.life.engine).unwrap();
        let key = has_key.then(|| stamp(number, body));
        let reference = (number % 3 == 0).then(|| Reference::new(&format!("r{number}")).unwrap());
        let deadline = Duration::from_millis(20 + self.dice.roll(1_000));
        let principal = Principal::new("shop").unwrap();
        let request = Request { principal, reference: reference.clone(), key, deadline, action };
        let attempt = Attempt {
            action: kept,
            key,
            reference,
            deadline_ms: now_ms + deadline.as_millis() as u64,
            reply: None,
            outcome: None,
        };
        self.submit(request, attempt, now_ms);
    }

    fn submit(&mut self, request: Request, mut attempt: Attempt, now_ms: u64) {
        let said = self.keys.ask(attempt.key.as_ref(), now_ms);
        let refusal = self.refused_in_view(&attempt.action, now_ms);
        let failed = self.life.engine.health().is_failed();
        let engine = self.life.engine.clone();
        let client = self.dice.roll(self.life.clients.len() as u64) as usize;
        let answer = match self.life.clients[client].prepare(engine.core().unwrap(), request) {
            Ok(prepared) => {
                assert_eq!((said, &refusal, failed), (Said::Nothing, &None, false));
                self.keys.take(attempt.key.as_ref());
                attempt.reply = Some(prepared.reply);
                self.mailbox.push((self.next_attempt, prepared.command));
                self.attempts.insert(self.next_attempt, attempt);
                self.next_attempt += 1;
                return;
            }
            Err(answer) => *answer,
        };
        match (said, &answer) {
            (Said::Made(made), Answer::Decided { sequence, record, replayed: true }) => {
                assert_eq!(sequence.get(), made, "a key tells of its own record");
                let mut durable = self.log[..self.durable].iter();
                assert_eq!(durable.find(|(at, _)| *at == made), Some(&(made, (**record).clone())));
                self.tally.replayed += 1;
            }
            (Said::Reused, Answer::KeyReused) | (Said::InFlight, Answer::KeyInFlight) => {}
            (Said::Nothing, Answer::NotDecided) => assert!(failed),
            (Said::Nothing, Answer::Refused(refused)) => {
                assert_eq!((Some(refused), failed), (refusal.as_ref(), false));
                self.count(&attempt.action, refused);
                self.tally.refused += 1;
            }
            (Said::Nothing, Answer::Overloaded { .. }) => {
                assert_eq!((self.life.core().admission.commands(), &refusal), (20, &None));
            }
            (Said::Nothing, Answer::DiskLow { .. }) => {
                let needed = attempt.action.payload_bytes_bound() as i64;
                assert!(self.room_left() < needed + 64);
                self.tally.without_room += 1;
            }
            _ => panic!("{said:?}, {refusal:?}, failed: {failed}, but {answer:?}"),
        }
    }

    /// What a worker refuses by what is shown: orders of one line. Sold out is for the partition to
    /// say when a hold may be over.
    fn refused_in_view(&self, action: &Action, now_ms: u64) -> Option<Refusal> {
        let Action::Order(order) = action else { return None };
        let [line] = order.lines.as_slice() else { return None };
        let (product, units) = (line.product.get(), line.quantity.units());
        let refusal = self.shown.not_for_sale(product, units, now_ms);
        let over = self.shown.items[product as usize].shown_expiry_ms <= now_ms;
        refusal.filter(|refusal| !(over && matches!(refusal, Refusal::SoldOut { .. })))
    }

    /// The partition decides one of the commands that wait.
    fn turn(&mut self) {
        if self.mailbox.is_empty() {
            return;
        }
        let number = self.dice.roll(self.mailbox.len().min(4) as u64) as usize;
        let (number, command) = self.mailbox.remove(number);
        let now_ms = self.life.engine.now_ms();
        let first = self.life.upcoming();
        self.life.partition.turn(command, now_ms);
        let appended = self.life.upcoming() - first;
        let mut attempt = self.attempts.remove(&number).unwrap();
        if self.life.engine.health().is_failed() {
            self.keys.give_back(attempt.key.as_ref());
            // Whichever: nothing is decided any more.
            attempt.outcome = Some(Outcome::NotDecided);
        } else {
            attempt.outcome = Some(self.decided(&attempt, first, appended, now_ms));
        }
        self.attempts.insert(number, attempt);
        if self.dice.roll(4) == 0 && !self.life.engine.health().is_failed() {
            compare_inventory(&self.life, &self.live);
        }
    }

    /// What comes of a turn that appended so many records from `first` on.
    fn decided(&mut self, attempt: &Attempt, first: u64, appended: u64, now_ms: u64) -> Outcome {
        if attempt.deadline_ms < now_ms {
            assert_eq!(appended, 0, "nothing is decided too late");
            self.keys.give_back(attempt.key.as_ref());
            return Outcome::NotDecided;
        }
        let expired = self.follow_expiries(first, appended, now_ms);
        if self.live.due(now_ms).is_some() {
            // It gave its own room back.
            self.assert_little_room(attempt.action.payload_bytes_bound() as i64);
            self.keys.give_back(attempt.key.as_ref());
            return Outcome::DiskLow;
        }
        match self.live.expected(&attempt.action, &RULES, now_ms) {
            Ok((decision, products)) => {
                assert_eq!(appended, expired + 1, "{decision:?} is decided");
                let mut record = self.record(decision, &products, now_ms);
                record.envelope.principal = Principal::new("shop").unwrap();
                (record.envelope.key, record.envelope.reference) =
                    (attempt.key, attempt.reference.clone());
                self.push(first + expired, record);
                Outcome::Decided(first + expired)
            }
            Err(refusal) => {
                assert_eq!(appended, expired, "{refusal:?} is refused");
                self.count(&attempt.action, &refusal);
                if self.durable == self.log.len() && !self.writing {
                    self.keys.give_back(attempt.key.as_ref());
                } else {
                    self.refused_keys.push(attempt.key);
                }
                Outcome::Refused(refusal, self.log.len())
            }
        }
    }

    /// Holds that are over end, first things first; gives how many.
    fn follow_expiries(&mut self, first: u64, count_max: u64, now_ms: u64) -> u64 {
        for number in 0..count_max {
            let Some(hold) = self.live.due(now_ms) else { return number };
            let (decision, products) = self.live.expiry(hold);
            let record = self.record(decision, &products, now_ms);
            self.push(first + number, record);
        }
        count_max
    }

    /// A record of the engine's own.
    fn record(&self, decision: Decision, products: &[u32], decided_at_ms: u64) -> Record {
        let change = |product: &u32| {
            let before = self.live.items.get(*product as usize).map_or(0, |item| item.version);
            Change { handle: Handle::new(*product), version: Version::new(before + 1) }
        };
        let envelope = Envelope {
            decided_at_ms,
            principal: Principal::new("doorbuster").unwrap(),
            reference: None,
            key: None,
            changes: products.iter().map(change).collect(),
        };
        Record { envelope, decision }
    }

    fn push(&mut self, sequence: u64, record: Record) {
        self.live.follow(sequence, &record);
        self.tally.expired += u64::from(matches!(record.decision, Decision::HoldExpired(_)));
        self.tally.confirmed += u64::from(matches!(record.decision, Decision::HoldConfirmed(_)));
        self.tally.cancelled += u64::from(matches!(record.decision, Decision::OrderCancelled(_)));
        self.log.push((sequence, record));
    }

    /// The timer's turn.
    fn expire(&mut self) {
        let (now_ms, first) = (self.life.engine.now_ms(), self.life.upcoming());
        let count = 1 + self.dice.roll(3);
        let expired = self.life.partition.expire(now_ms, count as usize);
        let appended = self.life.upcoming() - first;
        assert_eq!(self.follow_expiries(first, appended, now_ms), appended);
        match expired {
            Expired::All => assert!(appended < count && self.live.due(now_ms).is_none()),
            Expired::Some => assert_eq!(appended, count),
            Expired::WithoutRoom => self.assert_little_room(0),
        }
    }

    fn room_left(&self) -> i64 {
        self.life.core().admission.room().bytes_left()
    }

    fn assert_little_room(&mut self, given_back: i64) {
        assert!(self.room_left() < LITTLE_ROOM + given_back);
        self.tally.without_room += 1;
    }

    /// A refusal is counted for the product it is about.
    fn count(&mut self, action: &Action, refusal: &Refusal) {
        let products: Vec<Handle> = match action {
            Action::Order(order) => order.lines.iter().map(|line| line.product).collect(),
            Action::PlaceHold(hold) => hold.lines.iter().map(|line| line.product).collect(),
            Action::ChangeTerms(change) => match change.targets {
                Targets::Product { handle, .. } => vec![handle],
                Targets::Sale(_) => Vec::new(),
            },
            Action::Adjust(adjust) => vec![adjust.product],
            Action::Cancel(cancel) => cancel.order.lines.iter().map(|line| line.product).collect(),
            _ => Vec::new(),
        };
        let one = [RefusedLine { lines: vec![0], refusal: refusal.clone() }];
        let refused = if let Refusal::Lines(lines) = refusal { &lines[..] } else { &one };
        for RefusedLine { lines, refusal } in refused {
            if let (Some(product), Some(reason)) = (products.get(lines[0]), reason(refusal)) {
                *self.refusals.entry((*product, reason)).or_default() += 1;
            }
        }
    }

    fn count_refusals(&mut self) {
        let (now_ms, first) = (self.life.engine.now_ms(), self.life.upcoming());
        self.life.partition.count_refusals(MINUTE_MS, now_ms);
        if self.life.upcoming() == first {
            if !self.refusals.is_empty() {
                self.assert_little_room(0);
            }
            return;
        }
        let rows = std::mem::take(&mut self.refusals).into_iter();
        let rows = rows.map(|((product, reason), count)| RefusalRow { product, reason, count });
        let counted = RefusalsCounted { minute_ms: MINUTE_MS, rows: rows.collect() };
        let record = self.record(Decision::RefusalsCounted(counted), &[], now_ms);
        self.push(first, record);
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

    /// What was answered at once, before the disk failed, may be heard after it.
    fn hear_what_is_certain(&mut self) {
        self.life.deliver();
        let durable = self.durable;
        self.attempts.retain(|_, attempt| {
            let certain = match &attempt.outcome {
                Some(Outcome::NotDecided | Outcome::DiskLow) => true,
                Some(Outcome::Decided(_) | Outcome::Unknown) | None => false,
                Some(Outcome::Refused(_, rests_on)) => *rests_on <= durable,
            };
            let Some(answer) = attempt.reply.as_ref().filter(|_| certain).map(Reply::take) else {
                return true;
            };
            match answer {
                // It was queued behind what was told in the meantime.
                Some(Answer::OutcomeUnknown) | None => {}
                Some(answer) => told(attempt.outcome.as_ref(), &answer, durable, &self.log),
            }
            false
        });
    }

    /// Clients hear what there is to hear.
    fn hear(&mut self) {
        self.life.deliver();
        let (durable, log, tally) = (self.durable, &self.log, &mut self.tally);
        self.attempts.retain(|_, attempt| {
            let Some(reply) = &attempt.reply else { return attempt.outcome.is_none() };
            let Some(answer) = reply.take() else { return true };
            told(attempt.outcome.as_ref(), &answer, durable, log);
            tally.refused += u64::from(matches!(answer, Answer::Refused(_)));
            false
        });
    }

    /// A client goes away; its command does not.
    fn forget_somebody(&mut self) {
        if let Some(attempt) = self.attempts.values_mut().next() {
            attempt.reply = None;
        }
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
    fn end_and_begin(&mut self) {
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
    }
}

/// An answer is what was decided, and nobody hears of what is not durable.
fn told(outcome: Option<&Outcome>, answer: &Answer, durable: usize, log: &[(u64, Record)]) {
    match (outcome, answer) {
        (Some(Outcome::Decided(at)), Answer::Decided { sequence, record, replayed: false }) => {
            assert_eq!(*at, sequence.get());
            let mut durable = log[..durable].iter();
            assert_eq!(
                durable.find(|(found, _)| found == at).map(|(_, record)| record),
                Some(&**record)
            );
        }
        (Some(Outcome::Refused(refusal, rests_on)), Answer::Refused(refused)) => {
            assert_eq!(refusal, refused);
            assert!(*rests_on <= durable, "{refusal:?} rests on what is not durable");
        }
        (Some(Outcome::NotDecided), Answer::NotDecided)
        | (Some(Outcome::DiskLow), Answer::DiskLow { .. })
        | (Some(Outcome::Unknown), Answer::OutcomeUnknown) => {}
        _ => panic!("{outcome:?} was told as {answer:?}"),
    }
}

/// What a refusal is counted as.
fn reason(refusal: &Refusal) -> Option<RefusalReason> {
    Some(match refusal {
        Refusal::SoldOut { .. } => RefusalReason::SoldOut,
        Refusal::LimitReached { .. } => RefusalReason::LimitReached,
        Refusal::NotOpen { .. } => RefusalReason::NotOpen,
        Refusal::Closed { .. } => RefusalReason::Closed,
        Refusal::Paused => RefusalReason::Paused,
        Refusal::StockChanged { .. } => RefusalReason::StockChanged,
        Refusal::WouldOversell { .. } => RefusalReason::WouldOversell,
        Refusal::PreconditionFailed { .. } => RefusalReason::PreconditionFailed,
        Refusal::HoldsReached { .. } => RefusalReason::HoldsReached,
        Refusal::HoldEnded { .. } => RefusalReason::HoldEnded,
        Refusal::AlreadyCancelled { .. } => RefusalReason::AlreadyCancelled,
        _ => return None,
    })
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.refused += other.refused;
        self.replayed += other.replayed;
        self.expired += other.expired;
        self.confirmed += other.confirmed;
        self.cancelled += other.cancelled;
        self.lives += other.lives;
        self.lost += other.lost;
        self.without_room += other.without_room;
        self.failed_syncs += other.failed_syncs;
    }

    /// Histories in which everything happens.
    pub(super) fn assert_not_tame(&self) {
        let each = [self.refused, self.replayed, self.expired, self.confirmed, self.cancelled];
        let all = [self.records, self.lives, self.lost, self.without_room, self.failed_syncs];
        assert!(each.iter().chain(&all).all(|count| *count > 0), "too tame: {self:?}");
    }
}
