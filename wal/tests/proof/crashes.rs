//! The machine dies at each operation of a start, of commits, of a change of segments: afterwards
//! everything acknowledged is there, in order, and recovering again finds the same.

use doorbuster_wal::{Crash, MemStorage, WalError};

use crate::harness::{Writing, assert_same, payload, read, start};

fn modes() -> impl Iterator<Item = Crash> {
    [Crash::LoseAll, Crash::KeepAll].into_iter().chain((0..6).map(Crash::Some))
}

/// Commits batches of one to four records over several segments, as far as the machine lives.
fn write(writing: &mut Writing, records: usize) -> Result<(), WalError> {
    let mut number = writing.submitted.len() + 1;
    let last = number + records;
    while number < last {
        while writing.shared.prepare_spare().unwrap_or(false) {}
        let batch: Vec<Vec<u8>> = (number..=number + number % 4)
            .map(|number| payload(number, [4000, 10, 3000, 900][number % 4]))
            .collect();
        number += batch.len();
        assert!(writing.commit(&batch)?, "there are spares");
    }
    Ok(())
}

/// Recovers what a crash left, twice, and goes on writing.
fn check_recovery(storage: &MemStorage, before: Option<&Writing>, what: &str) {
    let (found, replayed) = read(storage).unwrap_or_else(|error| panic!("{what}: {error}"));
    if let Some(before) = before {
        before.check(&found, what);
    }
    assert!(read(storage).unwrap() == (found.clone(), replayed), "{what}: read twice");
    let mut writing = Writing::start(storage).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_same(&writing.submitted[..found.len()], &found, what);
    writing.commit(&[payload(1, 1)]).unwrap();
    // What recovery kept is on the disk now, wherever it was before.
    let (again, replayed) = read(&storage.crash(Crash::LoseAll)).unwrap();
    assert_same(&again, &writing.submitted, what);
    assert_eq!(replayed.torn, None, "{what}");
}

#[test]
pub(crate) fn crash_at_each_operation_loses_nothing_acknowledged() {
    let mut points = 0;
    for dies_after in 0.. {
        let mut lived = false;
        for crash in modes() {
            let storage = MemStorage::new();
            storage.die_after(dies_after);
            let mut writing = Writing::start(&storage);
            if let Ok(writing) = &mut writing {
                let _ = write(writing, 70);
            }
            lived = !storage.is_dead();
            let what = format!("dies after {dies_after}, {crash:?}");
            check_recovery(&storage.crash(crash), writing.as_ref().ok(), &what);
            points += 1;
        }
        if lived {
            break;
        }
    }
    println!("{points} crashes");
    assert!(points > 300);
}

/// A log with a batch that is not proven, and with bytes of a torn one behind it.
fn unclean(torn: bool) -> (MemStorage, Writing) {
    let storage = MemStorage::new();
    let mut writing = Writing::start(&storage).unwrap();
    write(&mut writing, 30).unwrap();
    if torn {
        storage.die_after(0);
        assert!(write(&mut writing, 1).is_err());
    }
    (storage.kill(), writing)
}

#[test]
pub(crate) fn crash_at_each_step_of_a_start_changes_nothing() {
    let mut points = 0;
    for torn in [false, true] {
        for dies_after in 0.. {
            let mut lived = false;
            for crash in modes() {
                let (storage, before) = unclean(torn);
                // As after a power loss that kept all that had been written.
                let storage = storage.crash(Crash::KeepAll);
                let (found, _) = read(&storage).unwrap();
                before.check(&found, "before the start");
                storage.die_after(dies_after);
                let started = start(&storage);
                lived = !storage.is_dead();
                let what = format!("torn {torn}, dies after {dies_after}, {crash:?}");
                let after = storage.crash(crash);
                let (again, _) = read(&after).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_same(&again[..found.len()], &found, &what);
                // At most the start record is there or not; a started log has it.
                let known = again.len() - found.len();
                assert!(known <= 1 && (started.is_err() || known == 1), "{what}");
                check_recovery(&after, None, &what);
                points += 1;
            }
            if lived {
                break;
            }
        }
    }
    println!("{points} crashes");
    assert!(points > 100);
}

#[test]
fn crash_in_the_start_after_a_crash_in_a_start_changes_nothing() {
    let mut points = 0;
    for first in 0..12 {
        for second in 0..12 {
            for seed in 0..3 {
                let (storage, _) = unclean(true);
                let (found, _) = read(&storage).unwrap();
                storage.die_after(first);
                let _ = start(&storage);
                let storage = storage.crash(Crash::Some(seed));
                storage.die_after(second);
                let _ = start(&storage);
                let what = format!("dies after {first} and {second}, seed {seed}");
                let storage = storage.crash(Crash::Some(seed + 100));
                let (again, _) = read(&storage).unwrap_or_else(|error| panic!("{what}: {error}"));
                // `unclean` was not synced to its end: what its crash kept is a prefix or all.
                let same = again.len().min(found.len());
                assert_same(&again[..same], &found[..same], &what);
                check_recovery(&storage, None, &what);
                points += 1;
            }
        }
    }
    println!("{points} pairs of crashes");
}
