//! Snapshots and the archive in a history: made between other steps, given up at any operation of
//! the disk, and every way to a state leading to the same one.

use std::sync::Arc;

use super::history::History;
use crate::domain::Sequence;
use crate::engine::{Recovered, Upkeep, UpkeepOptions, Upkept};
use crate::journal::{JournalScan, MemStorage, Payload, Snapshots, StateHash};

/// As a life has it.
const KEYS_MAX: usize = 10_000;

impl History {
    /// Some steps behind the sale; the machine may die in the middle of one.
    pub(super) fn keep_up(&mut self) {
        let journal = self.life.writer.reader();
        let durable = journal.durable();
        let options = UpkeepOptions {
            snapshot_segments: 1,
            reserve_bytes: 0,
            free_bytes: Arc::new(|| None),
            projected: Arc::new(move || Some(durable)),
            keys_max: KEYS_MAX,
        };
        let mut upkeep = Upkeep::new(journal, options);
        if self.dice.roll(3) == 0 {
            self.storage.die_after(self.dice.roll(14));
        }
        for _ in 0..=self.dice.roll(4) {
            match upkeep.step() {
                Ok(Upkept::Snapshot(_)) => self.tally.snapshots += 1,
                Ok(Upkept::Archived(_)) => self.tally.archived += 1,
                Ok(Upkept::Nothing | Upkept::WithoutRoom) => {}
                Err(_) => self.tally.failed_upkeeps += 1,
            }
        }
        if self.storage.is_dead() {
            self.end_and_begin();
        } else {
            // It was to die later than there was anything to do.
            self.storage.live_on();
        }
    }

    /// Whichever snapshot a state is made from, or none: it is the same.
    pub(super) fn compare_routes(&mut self) {
        let whole = state_by(&self.storage, None);
        let snapshots = Snapshots::of_log(Arc::new(self.storage.clone())).list().unwrap();
        for sequence in snapshots {
            let by_snapshot = state_by(&self.storage, Some(sequence));
            assert_eq!(by_snapshot, whole, "from the snapshot of {sequence}");
            self.tally.routes += 1;
        }
    }
}

/// The hash of the state that a log makes, from one of its snapshots or from its first record.
fn state_by(storage: &MemStorage, snapshot: Option<Sequence>) -> (u64, StateHash) {
    let scan = JournalScan::open(Arc::new(storage.clone())).unwrap();
    let (mut recovered, from) = match snapshot {
        Some(sequence) => {
            let snapshots = Snapshots::of_log(Arc::new(storage.clone()));
            let reader = snapshots.open(sequence).unwrap();
            let found = Recovered::from_snapshot(reader, KEYS_MAX, &mut |_| {}).unwrap();
            assert_eq!(found.recovered.state_hash(), found.state_hash, "it gives itself back");
            (found.recovered, Some(found.head.checkpoint))
        }
        None => (Recovered::new(KEYS_MAX), None),
    };
    let mut follow = |sequence, payload: &Payload| recovered.follow(sequence, payload);
    scan.replay_records(from.as_ref(), &mut follow, &mut |_| {}).unwrap();
    (recovered.last_sequence.get(), recovered.state_hash())
}
