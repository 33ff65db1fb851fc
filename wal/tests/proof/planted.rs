//! Planted bugs of the log are seen by the proofs beside this: each bug fails the test it is named with,
//! which passes without it. Only with the feature `planted`.

use std::panic::catch_unwind;

use doorbuster_wal::Planted;

use crate::{archive, crashes, damage, syncs};

/// Each bug, and the test that sees it.
const SEEN: &[(Planted, fn())] = &[
    (
        Planted::IgnoreSyncError,
        syncs::after_a_failed_sync_nothing_is_acknowledged_and_the_next_start_has_all_that_was,
    ),
    (
        Planted::RetrySync,
        syncs::after_a_failed_sync_nothing_is_acknowledged_and_the_next_start_has_all_that_was,
    ),
    (Planted::TrustPageCache, syncs::pages_that_a_failed_sync_left_in_the_cache_are_written_again),
    (Planted::ClaimUnsynced, syncs::pages_that_a_failed_sync_left_in_the_cache_are_written_again),
    (Planted::SkipDirectorySync, crashes::crash_at_each_operation_loses_nothing_acknowledged),
    (Planted::RenameBeforeHeaderSync, crashes::crash_at_each_operation_loses_nothing_acknowledged),
    (Planted::CutOneFrameTooMany, crashes::crash_at_each_operation_loses_nothing_acknowledged),
    (Planted::RenameBeforeSync, crashes::crash_at_each_step_of_a_start_changes_nothing),
    (Planted::ReuseSequence, crashes::crash_at_each_step_of_a_start_changes_nothing),
    (Planted::ApplyTwice, crashes::crash_at_each_step_of_a_start_changes_nothing),
    (
        Planted::ResurrectStaleFrames,
        damage::lost_sectors_of_the_last_batch_are_cut_though_later_ones_landed,
    ),
    (Planted::RemoveBeforeArchived, archive::machine_that_dies_while_archiving_leaves_the_same_log),
];

#[test]
fn each_planted_bug_of_the_log_is_seen() {
    for (bug, test) in SEEN {
        assert!(catch_unwind(*test).is_ok(), "{bug} is not on");
        let _plant = bug.plant();
        assert!(catch_unwind(*test).is_err(), "{bug} is not seen");
    }
}
