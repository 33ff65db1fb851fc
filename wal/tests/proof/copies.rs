//! A copy of a log is a sound log up to some record, whatever happens while it is made; it goes on
//! from there, and never past what the log proves.

use std::sync::Arc;

use doorbuster_wal::{
    Copier, CopyError, CopyStep, CopyUpto, Crash, MemStorage, Recovery, Replayed, Scan, Storage,
    WalError,
};

use crate::archive::{archive_all, long};
use crate::harness::{IDENTITY, OPTIONS, Records, Writing, assert_same, payload, read};

/// What says how far a copy is durable: no log has it.
const COPIED: &str = "copied-upto.bin";

fn open(log: &MemStorage, copy: &MemStorage) -> Result<Copier, CopyError> {
    open_upto(log, copy, CopyUpto::Proven)
}

fn open_upto(log: &MemStorage, copy: &MemStorage, upto: CopyUpto) -> Result<Copier, CopyError> {
    let scan = Scan::open(Arc::new(log.clone())).map_err(CopyError::Log)?;
    Copier::open(scan, Arc::new(copy.clone()), upto)
}

fn run(copier: &mut Copier) -> Result<u64, CopyError> {
    copier.look_again()?;
    while copier.step()? != CopyStep::UpToDate {}
    Ok(copier.copied())
}

fn copy(log: &MemStorage, copy: &MemStorage) -> Result<u64, CopyError> {
    run(&mut open(log, copy)?)
}

/// A log's records from its first on, which may be a later one.
fn read_rest(storage: &MemStorage) -> (Records, Replayed) {
    let mut records = Records::new();
    let mut keep = |entry: &doorbuster_wal::Entry<'_>| {
        records.push(entry.payload.to_vec());
        Ok(())
    };
    let scan = Scan::open(Arc::new(storage.clone())).unwrap();
    let replayed = scan.replay(&mut keep, &mut |_| {}).unwrap();
    (records, replayed)
}

/// As [`long`], with records in the last segment that a later batch has proved.
fn long_proved(storage: &MemStorage) -> Writing {
    let mut writing = long(storage);
    for number in 0..3 {
        assert!(writing.commit(&[payload(number, 100), payload(number + 1, 10)]).unwrap());
    }
    writing
}

fn names(storage: &MemStorage) -> Vec<String> {
    let mut names = storage.list().unwrap();
    let archive = storage.dir("archive").unwrap();
    let archived = archive.map_or_else(Vec::new, |archive| archive.list().unwrap());
    names.extend(archived.iter().map(|name| format!("archive/{name}")));
    names.retain(|name| !name.starts_with("spare-") && name != COPIED);
    names
}

/// The first `count` closed segments are archived.
fn archive_some(writing: &Writing, count: usize) {
    for header in writing.shared.closed_segments().iter().take(count) {
        writing.shared.archive(header.segment).unwrap();
    }
}

#[test]
fn copy_has_the_files_of_the_log_and_what_it_proves() {
    for archived in [0, 2, 3] {
        let (log, backup) = (MemStorage::new(), MemStorage::new());
        let writing = long_proved(&log);
        archive_some(&writing, archived);
        let (all, whole) = read(&log).unwrap();
        assert!(whole.proven_sequence < whole.last_sequence, "the last batch proves itself not");
        assert_eq!(copy(&log, &backup).unwrap(), whole.proven_sequence);
        let (copied, replayed) = read(&backup).unwrap();
        assert_same(&copied, &all[..whole.proven_sequence as usize], "copied");
        assert_eq!(replayed.torn, None);
        assert_eq!(names(&backup), names(&log), "{archived} archived");
        for name in names(&log).iter().take(3) {
            assert_eq!(backup.bytes(name).is_some(), log.bytes(name).is_some(), "{name}");
        }
        for segment in 0..3 {
            assert_eq!(replayed.segments[segment].digest, whole.segments[segment].digest);
            assert_eq!(
                replayed.segments[segment].stored_bytes,
                whole.segments[segment].stored_bytes
            );
        }
        let operations = backup.operations();
        assert_eq!(copy(&log, &backup).unwrap(), whole.proven_sequence);
        assert!(backup.operations() - operations < 10, "nothing is copied twice");
    }
}

#[test]
fn follower_keeps_up_with_a_log_that_is_started_again_and_again() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    let mut writing = Writing::start(&log).unwrap();
    let mut copier = open(&log, &backup).unwrap();
    for round in 0..120 {
        while writing.shared.prepare_spare().unwrap() {}
        let batch: Vec<_> = (0..1 + round % 9).map(|n| payload(round * 10 + n, n * 400)).collect();
        assert!(writing.commit(&batch).unwrap());
        if round % 17 == 16 {
            writing = Writing::start(&log).unwrap();
        }
        if round % 29 == 28 {
            archive_some(&writing, round / 40);
        }
        let copied = run(&mut copier).unwrap();
        if round % 7 > 0 {
            continue;
        }
        let (all, whole) = read(&log).unwrap();
        assert_eq!(copied, whole.proven_sequence, "round {round}");
        let (found, _) = read(&backup).unwrap();
        assert_same(&found, &all[..copied as usize], "followed");
    }
    assert!(copier.log().headers().len() > 7, "segments by starts and by filling");
}

/// Copies `log` into a storage that dies at each of its operations, as `crash` says; each time the
/// copy must read as the log up to some record, and go on.
fn die_everywhere(prepare: impl Fn() -> (MemStorage, MemStorage), every: u64) {
    let (log, begun) = prepare();
    let (all, whole) = read_rest(&log);
    let first = whole.first_sequence;
    drop(begun);
    for operation in (0..).step_by(usize::try_from(every).unwrap()) {
        let mut done = false;
        for crash in
            [Crash::LoseAll, Crash::KeepAll, Crash::Some(operation), Crash::Some(!operation)]
        {
            let (log, backup) = prepare();
            let before = open(&log, &backup).map(|copier| copier.copied()).unwrap();
            backup.die_after(operation);
            let copied = copy(&log, &backup);
            done = !backup.is_dead();
            let what = format!("dead at {operation}, {crash:?}");
            assert_eq!(copied.is_ok(), done, "{what}: {copied:?}");
            let backup = backup.crash(crash);
            check_begun(&backup, &all, first, before, &what);
            assert_eq!(copy(&log, &backup).unwrap(), whole.proven_sequence, "{what}");
            let (found, replayed) = read_rest(&backup);
            assert_same(&found, &all[..=(whole.proven_sequence - first) as usize], &what);
            assert_eq!(replayed.torn, None, "{what}");
            assert!(!names(&backup).iter().any(|name| name.ends_with(".tmp")), "{what}");
        }
        if done {
            assert!(operation > 10, "{operation} operations");
            return;
        }
    }
}

fn check_begun(backup: &MemStorage, all: &[Vec<u8>], first: u64, before: u64, what: &str) {
    if !names(backup).iter().any(|name| name.contains("segment-")) {
        return assert_eq!(before, 0, "{what}: what had been copied is gone");
    }
    let (found, replayed) = read_rest(backup);
    assert_same(&found, &all[..found.len()], what);
    assert!(replayed.last_sequence >= before, "{what}: what had been copied is gone");
    assert_eq!(replayed.first_sequence, first, "{what}");
}

#[test]
fn machine_that_dies_while_a_backup_begins_leaves_a_sound_log() {
    die_everywhere(
        || {
            let log = MemStorage::new();
            archive_some(&long_proved(&log), 2);
            (log, MemStorage::new())
        },
        3,
    );
}

#[test]
fn machine_that_dies_while_a_backup_goes_on_leaves_a_sound_log() {
    die_everywhere(
        || {
            let (log, backup) = (MemStorage::new(), MemStorage::new());
            let mut writing = Writing::start(&log).unwrap();
            while writing.shared.prepare_spare().unwrap() {}
            assert!(writing.commit(&[payload(1, 30)]).unwrap());
            copy(&log, &backup).unwrap();
            for number in 2..90 {
                while writing.shared.prepare_spare().unwrap() {}
                let batch = [payload(number, 900), payload(number + 1, 700)];
                assert!(writing.commit(&batch).unwrap());
            }
            drop(writing);
            drop(Writing::start(&log).unwrap());
            (log, backup)
        },
        11,
    );
}

#[test]
fn power_that_is_lost_between_batches_leaves_a_torn_end_and_no_damage() {
    // Written with one sync, the later of these batches would prove what was lost of the first.
    die_everywhere(
        || {
            let (log, backup) = (MemStorage::new(), MemStorage::new());
            let mut writing = Writing::start(&log).unwrap();
            copy(&log, &backup).unwrap();
            for number in 0..8 {
                let batch = [payload(number, 300), payload(number + 1, 700)];
                assert!(writing.commit(&batch).unwrap());
            }
            (log, backup)
        },
        1,
    );
}

#[test]
fn failed_sync_is_not_believed_when_the_copy_goes_on() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    let mut writing = Writing::start(&log).unwrap();
    copy(&log, &backup).unwrap();
    for number in 1..6 {
        assert!(writing.commit(&[payload(number, 50)]).unwrap());
    }
    backup.fail_sync_after(2);
    let mut copier = open(&log, &backup).unwrap();
    assert!(run(&mut copier).is_err());
    assert!(matches!(copier.step(), Err(CopyError::Copy(WalError::Poisoned))), "final");
    // The page cache still shows what the failed sync left there. A loss of power does not.
    let copied = copy(&log, &backup).unwrap();
    let (found, _) = read(&backup.crash(Crash::LoseAll)).unwrap();
    assert_eq!(found.len() as u64, copied);
}

#[test]
fn full_storage_leaves_the_copy_as_it_was_and_heals() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    let mut writing = Writing::start(&log).unwrap();
    copy(&log, &backup).unwrap();
    for number in 0..60 {
        while writing.shared.prepare_spare().unwrap() {}
        assert!(writing.commit(&[payload(number, 2000)]).unwrap());
    }
    backup.set_capacity(Some(100 << 10));
    let error = copy(&log, &backup).unwrap_err();
    assert!(error.is_full(), "{error}");
    let (all, whole) = read(&log).unwrap();
    let (found, _) = read(&backup).unwrap();
    assert_same(&found, &all[..found.len()], "what was copied before");
    backup.set_capacity(None);
    assert_eq!(copy(&log, &backup).unwrap(), whole.proven_sequence);
}

#[test]
fn pruned_log_is_copied_from_where_it_begins_and_an_older_copy_keeps_its_own() {
    let (log, old, late) = (MemStorage::new(), MemStorage::new(), MemStorage::new());
    let writing = long_proved(&log);
    archive_all(&writing);
    drop(writing);
    let (all, _) = read(&log).unwrap();
    let second = Scan::open(Arc::new(log.clone())).unwrap().headers()[1];
    open_upto(&log, &late, CopyUpto::Sequence(second.first_sequence - 1))
        .and_then(|mut copier| run(&mut copier))
        .unwrap();
    copy(&log, &old).unwrap();
    let third = Scan::open(Arc::new(log.clone())).unwrap().headers()[2];
    Scan::open(Arc::new(log.clone())).unwrap().prune(&third).unwrap();

    let new = MemStorage::new();
    let copied = copy(&log, &new).unwrap();
    let (found, replayed) = read_rest(&new);
    assert_eq!(replayed.first_sequence, third.first_sequence);
    let gone = third.first_sequence as usize - 1;
    assert_same(&found, &all[gone..copied as usize], "a new copy");
    assert_eq!(names(&new), names(&log));

    assert_eq!(copy(&log, &old).unwrap(), copied);
    assert_same(&read(&old).unwrap().0, &all[..copied as usize], "a copy from before");
    let error = copy(&log, &late).unwrap_err();
    let (end, first) = (second.first_sequence - 1, third.first_sequence);
    assert!(
        matches!(error, CopyError::Gap { copied, first: begins } if copied <= end && begins == first),
        "{error}"
    );
}

#[test]
fn machine_that_dies_while_a_pruned_log_is_copied_leaves_nothing_or_a_sound_log() {
    die_everywhere(
        || {
            let log = MemStorage::new();
            archive_all(&long_proved(&log));
            let third = Scan::open(Arc::new(log.clone())).unwrap().headers()[2];
            Scan::open(Arc::new(log.clone())).unwrap().prune(&third).unwrap();
            (log, MemStorage::new())
        },
        2,
    );
}

#[test]
fn copy_of_another_log_or_of_another_history_is_refused_and_left_alone() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    let mut writing = long_proved(&log);
    // As it was: from here on there are two histories.
    let cut = writing.shared.durable_sequence() - 10;
    copy(&log, &backup).unwrap();
    assert!(writing.commit(&[payload(1, 1)]).unwrap());
    drop(writing);

    let restored = MemStorage::new();
    run(&mut open_upto(&log, &restored, CopyUpto::Sequence(cut)).unwrap()).unwrap();
    let mut recovery = Recovery::open(Arc::new(restored.clone()), OPTIONS).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    let error = copy(&restored, &backup).unwrap_err();
    assert!(matches!(error, CopyError::Ahead { .. }), "not begun: {error}");
    recovery.take_over(2);
    let mut other = recovery.start(IDENTITY, b"restored").unwrap();
    let before = read(&backup).unwrap().0;
    let error = copy(&restored, &backup).unwrap_err();
    assert!(matches!(error, CopyError::Diverged { segment: 5 }), "{error}");
    // And when the other history is longer.
    for number in 0..40 {
        let mut batch = doorbuster_wal::Batch::new();
        batch.push(other.next_sequence(), &payload(number, 9));
        assert!(other.shared().try_reserve(1000));
        other.commit(&mut batch).unwrap();
    }
    let error = copy(&restored, &backup).unwrap_err();
    assert!(matches!(error, CopyError::Diverged { segment: 5 }), "{error}");
    assert_same(&read(&backup).unwrap().0, &before, "left alone");

    // The same journal's id is kept; another's is told by it.
    let stranger = MemStorage::new();
    let identity = doorbuster_wal::Identity { journal_id: [9; 16], ..IDENTITY };
    let mut recovery = Recovery::open(Arc::new(stranger.clone()), OPTIONS).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    drop(recovery.start(identity, b"started").unwrap());
    let error = copy(&stranger, &backup).unwrap_err();
    assert!(matches!(error, CopyError::OtherJournal), "{error}");
    let error = copy(&MemStorage::new(), &backup).unwrap_err();
    assert!(matches!(error, CopyError::Empty), "{error}");
}

#[test]
fn log_that_wrote_its_last_records_again_after_a_loss_of_power_goes_on_in_the_same_copy() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    let mut writing = Writing::start(&log).unwrap();
    for number in 1..6 {
        assert!(writing.commit(&[payload(number, 50)]).unwrap());
    }
    // The last batch was seen by the follower, and proved the one before; then it was lost.
    let copied = copy(&log, &backup).unwrap();
    drop(writing);
    let used = read(&log).unwrap().1.segments[0].used_bytes as usize;
    let name = "segment-0000000001.wal";
    let mut bytes = log.bytes(name).unwrap();
    bytes[used - doorbuster_wal::Shared::frame_bytes(50) as usize..used].fill(0);
    log.set_bytes(name, bytes);
    let (all, whole) = read(&log).unwrap();
    assert!(whole.proven_sequence < copied && copied <= whole.last_sequence, "{whole:?}");
    drop(Writing::start(&log).unwrap());
    let copied = copy(&log, &backup).unwrap();
    assert!(copied > whole.last_sequence);
    let (found, replayed) = read(&backup).unwrap();
    assert_same(&found[..all.len()], &all, "the records that were written again");
    assert_eq!(replayed.segments[0].last_sequence, whole.proven_sequence);
}

#[test]
fn log_cut_at_any_record_is_a_log_that_can_be_taken_over() {
    let log = MemStorage::new();
    let mut writing = long_proved(&log);
    // Segments that begin with records written again.
    for round in 0..3 {
        assert!(writing.commit(&[payload(round, 40), payload(round + 1, 50)]).unwrap());
        writing = Writing::start(&log).unwrap();
    }
    archive_some(&writing, 1);
    drop(writing);
    let (all, whole) = read(&log).unwrap();
    let last = whole.last_sequence;
    for cut in (1..=last).filter(|cut| cut % 29 == 1 || last - cut < 12) {
        let restored = MemStorage::new();
        run(&mut open_upto(&log, &restored, CopyUpto::Sequence(cut)).unwrap()).unwrap();
        let (found, _) = read(&restored).unwrap();
        assert_same(&found, &all[..cut as usize], "cut");
        let mut recovery = Recovery::open(Arc::new(restored.clone()), OPTIONS).unwrap();
        recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
        recovery.take_over(7);
        let begun = recovery.start(IDENTITY, b"restored").unwrap();
        assert_eq!(begun.shared().epochs().of(cut), Some(1));
        assert_eq!(begun.shared().epochs().of(cut + 1), Some(7));
        let (found, replayed) = read(&restored).unwrap();
        assert_eq!((found.len() as u64, replayed.proven_sequence), (cut + 1, cut + 1));
    }
}

#[test]
fn copy_is_proven_to_its_last_record_also_where_the_log_goes_on_behind_it() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    let mut writing = long_proved(&log);
    for number in 0..3 {
        let copied = copy(&log, &backup).unwrap();
        let (_, replayed) = read(&backup).unwrap();
        assert_eq!((replayed.last_sequence, replayed.proven_sequence), (copied, copied));
        let scan = Scan::open(Arc::new(backup.clone())).unwrap();
        let mut records = scan.records_from(copied).unwrap();
        assert_eq!(records.next().unwrap().map(|entry| entry.sequence), Some(copied));
        assert!(records.next().unwrap().is_none());
        // A copy of the copy has all of it, too.
        assert_eq!(copy(&backup, &MemStorage::new()).unwrap(), copied);
        assert!(writing.commit(&[payload(number, 200)]).unwrap());
        copy(&log, &backup).unwrap();
        records.look_again().unwrap();
        assert!(records.proven_sequence() > copied, "who follows the copy sees that it grew");
    }
}

#[test]
fn copy_that_lacks_what_it_had_is_damaged_and_not_torn() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    drop(long_proved(&log));
    copy(&log, &backup).unwrap();
    let (_, replayed) = read(&backup).unwrap();
    let last = replayed.segments.last().unwrap();
    let (file, end) = (last.file.clone(), last.used_bytes as usize);
    let whole = backup.bytes(&file).unwrap();
    let damages: [fn(&mut [u8], usize); 2] =
        [|bytes, end| bytes[end - 9] ^= 1, |bytes, end| bytes[end - 40..end].fill(0)];
    for damage in damages {
        let mut bytes = whole.clone();
        damage(&mut bytes, end);
        backup.set_bytes(&file, bytes);
        let error = read(&backup).unwrap_err();
        assert!(matches!(error, WalError::Corrupt { .. }), "{error}");
        let error = copy(&log, &backup).unwrap_err();
        assert!(matches!(error, CopyError::Copy(WalError::Corrupt { .. })), "{error}");
    }
    // What is said of it is no part of it: without a word, or with half of one, it ends as a log
    // does whose last batch nothing proves.
    backup.set_bytes(&file, whole);
    let said = backup.bytes(COPIED).unwrap();
    for cut in 0..said.len() {
        backup.set_bytes(COPIED, said[..cut].to_vec());
        let (_, found) = read(&backup).unwrap();
        assert_eq!(found.last_sequence, replayed.last_sequence);
        assert!(found.proven_sequence < found.last_sequence);
    }
}

#[test]
fn log_that_was_restored_is_not_copied_into_the_copy_it_came_from() {
    let (log, backup, restored) = (MemStorage::new(), MemStorage::new(), MemStorage::new());
    drop(long_proved(&log));
    let copied = copy(&log, &backup).unwrap();
    let upto = CopyUpto::Sequence(copied);
    run(&mut open_upto(&backup, &restored, upto).unwrap()).unwrap();
    let mut recovery = Recovery::open(Arc::new(restored.clone()), OPTIONS).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    recovery.take_over(7);
    drop(recovery.start(IDENTITY, b"restored").unwrap());
    let error = copy(&restored, &backup).unwrap_err();
    assert!(matches!(error, CopyError::OtherEpoch { copied: 1, log: 7 }), "{error}");
    assert_eq!(copy(&log, &backup).unwrap(), copied, "it stays the other's");
    // Its own copy goes on with it.
    let own = MemStorage::new();
    let copied = copy(&restored, &own).unwrap();
    assert_eq!(copy(&restored, &own).unwrap(), copied);
}

#[test]
fn damaged_log_is_not_copied_over_a_sound_copy() {
    let (log, backup) = (MemStorage::new(), MemStorage::new());
    drop(long_proved(&log));
    let name = "segment-0000000002.wal";
    let mut bytes = log.bytes(name).unwrap();
    bytes[9000] ^= 1;
    log.set_bytes(name, bytes);
    let error = copy(&log, &backup).unwrap_err();
    assert!(matches!(error, CopyError::Log(WalError::Corrupt { segment: 2, .. })), "{error}");
    let (found, _) = read(&backup).unwrap();
    assert!(!found.is_empty(), "the segment before the damage");
}
