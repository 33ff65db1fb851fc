//! Lives of the process: how they end, and how the next one begins.

use std::sync::Arc;
use std::time::Duration;

use doorbuster::domain::HoldRules;
use doorbuster::engine::stepped::Stepped;
use doorbuster::engine::{
    ActorLimits, AdmissionLimits, ClockError, EngineConfig, StartError, StartOptions, Upkeep,
    UpkeepOptions,
};
use doorbuster::journal::{JournalError, JournalIdentity, Opening};
use doorbuster::projection::stepped::SteppedProjector;
use doorbuster::projection::{DiskRoom, ProjectorOptions};
use doorbuster_wal::{Crash, Options};

use super::disk::{self, Disk, Stable};
use super::stage::Stage;
use super::tables::SimStore;
use super::wishes::TTL_MAX_MS;
use super::world::{Worker, World};
use crate::faults::FaultKind;

pub(super) const PAYLOAD_BYTES_MAX: u64 = 8 << 10;
const WORKERS: usize = 3;

impl World {
    fn config(&self) -> EngineConfig {
        EngineConfig {
            admission: AdmissionLimits { commands_max: 20, queued_bytes_max: 1 << 20 },
            actors: ActorLimits { product_mailbox: 1, partition_mailbox: 1, idle: Duration::ZERO },
            keys_max: self.profile.keys_max,
            holds: HoldRules { ttl_max_ms: TTL_MAX_MS, live_per_buyer_max: 4, live_lines_max: 400 },
        }
    }

    fn start(&self, accept_clock: Option<ClockError>) -> Result<Stepped, StartError> {
        let options = Options {
            segment_bytes: self.profile.segment_bytes,
            payload_bytes_max: PAYLOAD_BYTES_MAX as _,
            spare_segments: 1,
        };
        let opening = Opening::new(Arc::new(Disk::new(&self.storage)), options)?;
        let (clock, binary) = (Arc::clone(&self.clock) as _, "simulated".to_owned());
        let options =
            StartOptions { config: self.config(), clock, accept_clock, binary, witness: None };
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        Stepped::begin(opening, options, identity)
    }

    /// What may go wrong while the next process starts; `true`: something may.
    fn break_start(&mut self) -> bool {
        let after = self.dice.below(16);
        match self.dice.below(16) {
            0 | 1 => self.storage.die_after(after),
            2 => self.storage.fail_sync_after(after % 3),
            3 => disk::fail_after(Some(after % 10)),
            4 => self.storage.set_capacity(Some(0)),
            _ => return false,
        }
        self.disk_breaks = true;
        true
    }

    /// Where the next batch may begin a segment, the machine dies more often.
    pub(super) fn break_segment_change(&mut self) {
        let (_, offset) = self.witness.place();
        let near = offset as u64 + PAYLOAD_BYTES_MAX > self.profile.segment_bytes;
        if near && !self.disk_breaks && self.dice.once_in(4) {
            let after = self.dice.below(12);
            self.say(|_| format!("a segment is nearly full: the machine dies after {after}"));
            self.storage.die_after(after);
            self.disk_breaks = true;
        }
    }

    /// The machine or the process is gone.
    fn crash(&mut self) {
        let dead = self.storage.is_dead();
        self.counts.deaths_in_an_operation += u64::from(dead);
        disk::fail_after(None);
        let kind = self.dice.below(5);
        if kind == 0 {
            self.counts.kills += 1;
            self.storage = self.storage.kill();
        } else {
            self.counts.power_losses += 1;
            let crash = match kind {
                1 => Crash::LoseAll,
                2 => Crash::KeepAll,
                _ => Crash::Some(self.dice.draw()),
            };
            self.storage = self.storage.crash(crash);
            let commits = self.dice.below(4) as usize;
            self.tables.lock().lose_power(commits);
        }
        if self.dice.once_in(2) {
            self.storage.set_capacity(None);
        }
        (self.followed_at, self.disk_breaks) = (u64::MAX, false);
    }

    /// Starts until it starts. Every refusal to start has a fault of the disk behind it.
    fn recover(&mut self) -> Option<Stepped> {
        let (mut accept_clock, mut may_fail) = (None, false);
        for attempt in 0..50 {
            may_fail |= attempt < 6 && self.break_start();
            let error = match self.start(accept_clock) {
                Ok(stepped) => return Some(stepped),
                Err(StartError::Clock(error)) => {
                    accept_clock = Some(error);
                    continue;
                }
                Err(error) => error,
            };
            self.say(|_| format!("the start fails: {error}"));
            let full = self.storage.is_full();
            let damaged = matches!(&error, StartError::Journal(JournalError::Corrupt { .. }));
            if damaged || !(may_fail || full || self.storage.is_dead()) {
                self.witness.faults.add(FaultKind::Lost, || format!("it does not start: {error}"));
                return None;
            }
            self.counts.recoveries_cut_short += 1;
            if full || attempt > 5 {
                self.storage.set_capacity(None);
            }
            self.crash();
            may_fail = false;
        }
        self.witness.faults.add(FaultKind::Lost, || "it never starts".to_owned());
        None
    }
}

impl Stage {
    /// The process ends, whatever it was doing.
    fn end_life(&self) {
        {
            let mut world = self.world.borrow_mut();
            if world.dice.once_in(2) {
                world.hear();
            }
            world.follow();
            world.say(|_| "the process ends".to_owned());
        }
        // Nothing moves any more while it is taken apart.
        self.depth.set(u32::MAX);
        self.partition.borrow_mut().take();
        self.writer.borrow_mut().take();
        let mut world = self.world.borrow_mut();
        let world = &mut *world;
        world.mailbox.clear();
        world.waiting.clear();
        world.workers.clear();
        world.projectors.clear();
        world.upkeep = None;
        world.crash();
        world.engine = None;
        self.depth.set(0);
    }

    /// The next process starts; `false`: it does not, which is a fault.
    pub(super) fn begin_life(&self) -> bool {
        use doorbuster::engine::Clock as _;
        let mut world = self.world.borrow_mut();
        let world = &mut *world;
        let Some(stepped) = world.recover() else { return false };
        let Stepped { engine, partition, writer, .. } = stepped;
        world.counts.lives += 1;
        world.workers = (0..WORKERS).map(|_| Worker::new(&engine)).collect();
        for worker in &mut world.workers {
            worker.look();
        }
        let reader = writer.reader();
        let now = engine.clone();
        let room = Arc::new(|| DiskRoom { free_bytes: u64::MAX, reserve_bytes: 0 });
        let mut options = ProjectorOptions::new(Arc::new(move || now.now_ms()), room);
        options.batch_records_max = 1 + world.dice.below(16) as usize;
        let count = if world.dice.once_in(6) { 2 } else { 1 };
        let project = |_| {
            let store = Box::new(SimStore(Arc::clone(&world.tables)));
            SteppedProjector::new(store, reader.clone(), options.clone())
        };
        world.projectors = (0..count).map(project).collect();
        let tables = Arc::clone(&world.tables);
        let projected = move || tables.lock().progress.map(|progress| progress.sequence);
        let options = UpkeepOptions {
            snapshot_segments: 1 + world.dice.below(4),
            reserve_bytes: 0,
            free_bytes: Arc::new(|| None),
            projected: Arc::new(projected),
            keys_max: world.profile.keys_max,
        };
        world.upkeep = world.profile.is_kept_up.then(|| Upkeep::new(reader.clone(), options));
        world.engine = Some(engine);
        *self.partition.borrow_mut() = Some(partition);
        *self.writer.borrow_mut() = Some(writer);
        world.witness.recovered(Stable(&world.storage).segments());
        world.began = (world.witness.model().last_at_ms(), world.clock.monotonic_ms());
        (world.slewed, world.taken_bytes, world.spares_made) = (0, 0, 0);
        world.first_segment = world.witness.place().0;
        world.followed_at = world.storage.operations();
        world.say(|_| "the process has started".to_owned());
        world.see_all();
        world.check_rows();
        true
    }

    /// A life after another.
    pub(super) fn crash_and_recover(&self) -> bool {
        self.end_life();
        let begun = self.begin_life();
        self.world.borrow_mut().counts.recoveries += u64::from(begun);
        begun
    }
}
