//! A sync that fails is final for the process, and the next start believes nothing that only the
//! page cache remembers.

use doorbuster_wal::{Crash, MemStorage, WalError};

use crate::harness::{Writing, assert_same, payload, read, start};

/// Writes until a sync fails; `false`: none did.
fn write_until_failure(writing: &mut Writing, records: usize) -> bool {
    for number in 0..records {
        while writing.shared.prepare_spare().unwrap_or(false) {}
        if writing.commit(&[payload(number, 3000), payload(number, 50)]).is_err() {
            return true;
        }
    }
    false
}

#[test]
pub(crate) fn after_a_failed_sync_nothing_is_acknowledged_and_the_next_start_has_all_that_was() {
    let (mut failures, mut spares) = (0, 0);
    for fails_after in 0..60 {
        let storage = MemStorage::new();
        let mut writing = Writing::start(&storage).unwrap();
        storage.fail_sync_after(fails_after);
        let failed = write_until_failure(&mut writing, 45);
        assert_eq!(writing.shared.failed(), failed);
        if failed {
            failures += 1;
            let acknowledged = writing.acknowledged;
            for _ in 0..3 {
                let error = writing.commit(&[payload(0, 10)]).err();
                assert!(matches!(error, Some(WalError::Poisoned)), "{error:?}");
                assert_eq!(writing.acknowledged, acknowledged);
            }
        } else {
            // The sync of a spare: no failure of the log.
            spares += 1;
        }
        let what = format!("sync {fails_after} fails");
        let (_, records, _) = start(&storage.kill()).unwrap();
        let (_, found) = records.split_last().unwrap();
        writing.check(found, &what);
        // What the failed sync left in the cache alone was written again.
        let (after, _) = read(&storage.crash(Crash::LoseAll)).unwrap();
        assert_same(&after, &records, &what);
    }
    println!("{failures} syncs failed, {spares} of spares or none");
    assert!(failures > 40 && spares > 2, "{failures} {spares}");
}

#[test]
pub(crate) fn pages_that_a_failed_sync_left_in_the_cache_are_written_again() {
    let storage = MemStorage::new();
    let mut writing = Writing::start(&storage).unwrap();
    writing.commit(&[payload(2, 20)]).unwrap();
    storage.fail_sync_after(0);
    assert!(writing.commit(&[payload(3, 20)]).is_err());
    // The process dies, the machine does not: record 3 can be read, and is on no disk.
    let storage = storage.kill();
    assert_eq!(read(&storage).unwrap().0.len(), 3);
    assert_eq!(read(&storage).unwrap().1.proven_sequence, 2);
    let (_, records, _) = start(&storage).unwrap();
    let (after, replayed) = read(&storage.crash(Crash::LoseAll)).unwrap();
    assert_eq!(after, records);
    assert_eq!((after.len(), replayed.proven_sequence), (4, 4));
}

#[test]
fn failing_sync_in_a_start_leaves_the_log_as_it_was() {
    for fails_after in 0..3 {
        let storage = MemStorage::new();
        let mut writing = Writing::start(&storage).unwrap();
        writing.commit(&[payload(2, 20), payload(3, 30)]).unwrap();
        storage.fail_sync_after(fails_after);
        let started = start(&storage);
        assert_eq!(started.is_err(), fails_after < 2, "zeroing, then header and frames");
        if started.is_err() {
            assert_eq!(read(&storage).unwrap().0, writing.submitted);
            assert_eq!(storage.bytes("fresh.tmp"), None, "nothing is left behind");
        }
        let (_, records, _) = start(&storage.kill()).unwrap();
        assert_eq!(records[..3], writing.submitted);
    }
}
