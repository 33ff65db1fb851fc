//! Planted bugs of the engine are seen by the histories: each fails within some of them, which pass
//! without it. Only with the feature `planted`; `simulate --planted` hunts those that need a disk, tables or
//! interleavings which the histories do not have.

use super::run;
use crate::journal::Planted;

/// Histories until a bug is seen.
const HISTORIES: u64 = 40;

const SEEN: &[Planted] = &[
    Planted::RefuseBeforeBarrier,
    Planted::PublishBeforeDurable,
    Planted::TrustPageCache,
    Planted::IgnoreSyncError,
    Planted::ReuseSequence,
    Planted::DropKeyOnReplay,
    Planted::ExpireByWallClock,
    Planted::ExpireWithoutRecord,
    Planted::LeakPermitOnRefusal,
    Planted::KeepKeyOnRefusal,
    Planted::AnswerAnotherBody,
    Planted::TimeGoesBack,
    Planted::ReleaseTwice,
    Planted::SnapshotWithoutEnds,
];

#[test]
fn each_planted_bug_of_the_engine_is_seen() {
    let mut missed = Vec::new();
    for bug in SEEN {
        let found = (1..=HISTORIES).find(|seed| {
            let _plant = bug.plant();
            run(*seed).is_none()
        });
        match found {
            Some(seed) => assert!(run(seed).is_some(), "seed {seed} fails without {bug}"),
            None => missed.push(bug.name()),
        }
    }
    assert!(missed.is_empty(), "not seen: {missed:?}");
}
