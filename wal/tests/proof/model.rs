//! Any order of commits, spares, failing syncs, crashes and starts, against a plain list.

use doorbuster_wal::{Crash, MemStorage};
use proptest::prelude::*;

use crate::harness::{Records, Writing, payload, read};

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<usize>),
    Spare,
    /// The machine dies this many operations later.
    DieAfter(u64),
    FailSyncAfter(u64),
    Capacity(Option<u64>),
    /// The machine loses power and comes back.
    Crash(u8, u64),
    /// The process is killed and started again.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = proptest::collection::vec(1usize..4096, 1..8);
    prop_oneof![
        8 => sizes.prop_map(Step::Commit),
        4 => Just(Step::Spare),
        1 => (0u64..12).prop_map(Step::DieAfter),
        1 => (0u64..4).prop_map(Step::FailSyncAfter),
        1 => proptest::option::of(0u64..400_000).prop_map(Step::Capacity),
        2 => (0u8..3, any::<u64>()).prop_map(|(mode, seed)| Step::Crash(mode, seed)),
        1 => Just(Step::Kill),
    ]
}

struct World {
    storage: MemStorage,
    writing: Option<Writing>,
    /// What must be there, and after it what may be.
    acknowledged: usize,
    submitted: Records,
    number: usize,
}

impl World {
    fn stop(&mut self) {
        if let Some(writing) = self.writing.take() {
            (self.acknowledged, self.submitted) = (writing.acknowledged, writing.submitted);
        }
    }

    /// Starts on what is there; without space it does not, and what is there stays.
    fn start(&mut self) {
        let (found, _) = read(&self.storage).expect("no damage");
        assert!(found.len() >= self.acknowledged, "acknowledged records are gone");
        let submitted = &self.submitted;
        // A start that failed may have left its record.
        assert!(found.len() <= submitted.len() + 1, "records nobody submitted");
        let same = found.len().min(submitted.len());
        assert_eq!(found[..same], submitted[..same]);
        // What was found beyond that is no promise until a start has written it again.
        self.submitted.clone_from(&found);
        match Writing::start(&self.storage) {
            Ok(writing) => {
                assert_eq!(writing.submitted[..found.len()], found);
                self.writing = Some(writing);
            }
            Err(error) => {
                assert!(self.storage.is_dead() || error.to_string().contains("needed"), "{error}");
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Commit(sizes) => {
                let batch: Vec<Vec<u8>> = sizes
                    .iter()
                    .map(|bytes| {
                        self.number += 1;
                        let mut payload = payload(self.number, *bytes);
                        payload.truncate(4096);
                        payload
                    })
                    .collect();
                if let Some(writing) = &mut self.writing {
                    let _ = writing.commit(&batch);
                }
            }
            Step::Spare => {
                if let Some(writing) = &self.writing {
                    let _ = writing.shared.prepare_spare();
                }
            }
            Step::DieAfter(n) => self.storage.die_after(*n),
            Step::FailSyncAfter(n) => self.storage.fail_sync_after(*n),
            Step::Capacity(bytes) => self.storage.set_capacity(*bytes),
            Step::Crash(mode, seed) => {
                self.stop();
                let modes = [Crash::LoseAll, Crash::KeepAll, Crash::Some(*seed)];
                self.storage = self.storage.crash(modes[usize::from(*mode)]);
                self.start();
            }
            Step::Kill => {
                // A dead machine needs power first.
                let dead = self.storage.is_dead();
                self.stop();
                self.storage =
                    if dead { self.storage.crash(Crash::KeepAll) } else { self.storage.kill() };
                self.start();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_records_are_a_prefix_that_survives_everything(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let storage = MemStorage::new();
        let mut world = World {
            storage, writing: None, acknowledged: 0, submitted: Vec::new(), number: 0,
        };
        world.start();
        for step in &steps {
            world.take(step);
        }
        world.storage.set_capacity(None);
        world.take(&Step::Crash(2, 1));
        prop_assert!(world.writing.is_some());
    }
}
