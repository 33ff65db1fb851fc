//! Reading from a place on: after a checkpoint, and from any record, beside a writer or not.

use std::sync::Arc;

use doorbuster_wal::{Checkpoint, MemStorage, Recovery, Scan};

use crate::archive::{archive_all, long};
use crate::harness::{IDENTITY, OPTIONS, assert_same, payload, read};

fn scan(storage: &MemStorage) -> Scan {
    Scan::open(Arc::new(storage.clone())).unwrap()
}

#[test]
fn what_follows_a_checkpoint_is_the_rest_of_the_log() {
    for segment in 2..=4 {
        let storage = MemStorage::new();
        drop(long(&storage));
        let (all, whole) = read(&storage).unwrap();
        let scan = scan(&storage);
        let from = scan.checkpoint(segment).unwrap();
        let mut rest = Vec::new();
        let mut keep = |entry: &doorbuster_wal::Entry<'_>| {
            rest.push(entry.payload.to_vec());
            Ok(())
        };
        let replayed = scan.replay_after(&from, &mut keep, &mut |_| {}).unwrap();
        assert_same(&rest, &all[from.sequence as usize..], "after a checkpoint");
        assert_eq!(replayed.first_sequence, from.sequence + 1);
        assert_eq!(replayed.proven_sequence, whole.proven_sequence);

        let mut recovery = Recovery::open(Arc::new(storage.clone()), OPTIONS).unwrap();
        recovery.replay_after(&from, &mut |_| Ok(()), &mut |_| {}).unwrap();
        let log = recovery.start(IDENTITY, b"again").unwrap();
        for sequence in 1..=all.len() {
            let found = log.shared().read(sequence as u64).unwrap();
            assert_eq!(
                found.as_ref(),
                all.get(sequence - 1),
                "record {sequence}, without an index"
            );
        }
    }
}

#[test]
fn checkpoint_of_another_log_or_place_is_refused() {
    let storage = MemStorage::new();
    drop(long(&storage));
    let scan = scan(&storage);
    assert_eq!(scan.checkpoint(1), None, "nothing is before the first segment");
    let right = scan.checkpoint(3).unwrap();
    assert_eq!(scan.check_continues(&right), Ok(()));
    let mut identity = right.identity;
    identity.journal_id[0] ^= 1;
    let mut chain = right.chain;
    chain[31] ^= 1;
    let wrong = [
        (Checkpoint { identity, ..right }, "another journal"),
        (Checkpoint { chain, ..right }, "its digest"),
        (Checkpoint { sequence: right.sequence + 1, ..right }, "it ends with record"),
        (Checkpoint { segment: 2, ..right }, "it ends with record"),
        (Checkpoint { segment: 9, ..right }, "it is followed by segment 9, the log has 1 to 4"),
    ];
    for (wrong, reason) in wrong {
        let error = scan.check_continues(&wrong).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(scan.replay_after(&wrong, &mut |_| Ok(()), &mut |_| {}).is_err());
    }
}

#[test]
fn records_from_any_place_are_the_logs_archived_or_not() {
    let storage = MemStorage::new();
    let writing = long(&storage);
    let (all, whole) = read(&storage).unwrap();
    for archived in [false, true] {
        if archived {
            archive_all(&writing);
        }
        let mut records = scan(&storage).records_from(1).unwrap();
        let proven = records.proven_sequence();
        assert_eq!(proven, whole.proven_sequence);
        assert!(proven < all.len() as u64, "the last batch is not proven");
        for sequence in (1..=proven).rev().step_by(13) {
            records.seek(sequence);
            assert_eq!(records.next().unwrap().unwrap().payload, all[sequence as usize - 1]);
            let found = records.read(sequence).unwrap();
            assert_eq!(found.as_ref(), all.get(sequence as usize - 1));
        }
        records.seek(0);
        for expected in &all[..proven as usize] {
            assert_eq!(records.next().unwrap().unwrap().payload, expected);
        }
        assert!(records.next().unwrap().is_none(), "nothing beyond what is proven");
        assert_eq!(records.read(proven + 1).unwrap(), None);
    }
}

#[test]
fn follower_sees_what_has_come_since_across_segments_and_starts() {
    let storage = MemStorage::new();
    let mut writing = long(&storage);
    let mut records = scan(&storage).records_from(1).unwrap();
    let mut seen = Vec::new();
    let mut look = |records: &mut doorbuster_wal::Records| {
        records.look_again().unwrap();
        while let Some(entry) = records.next().unwrap() {
            seen.push(entry.payload.to_vec());
        }
        seen.len()
    };
    look(&mut records);
    for number in 0..120 {
        while writing.shared.prepare_spare().unwrap() {}
        assert!(writing.commit(&[payload(number, 3000), payload(number, 10)]).unwrap());
        let known = writing.submitted.len();
        assert!(look(&mut records) >= known - 2, "all but the last batch");
        if number == 60 {
            archive_all(&writing);
        }
    }
    assert!(writing.shared.closed_segments().len() > 7, "it changed segments meanwhile");
    drop(writing);
    let writing = crate::harness::Writing::start(&storage).unwrap();
    let all = writing.submitted.clone();
    assert_eq!(look(&mut records), all.len(), "the start record proves all before it");
    assert_same(&seen, &all, "followed");
}

#[test]
fn half_written_batch_is_not_followed_and_is_once_it_is_whole() {
    let storage = MemStorage::new();
    let mut writing = long(&storage);
    let name = format!("segment-{:010}.wal", writing.shared.last_header().segment);
    let before = storage.bytes(&name).unwrap();
    let mut records = scan(&storage).records_from(1).unwrap();
    let proven = records.proven_sequence();
    writing.commit(&[payload(1, 2000)]).unwrap();
    writing.commit(&[payload(2, 2000)]).unwrap();
    let after = storage.bytes(&name).unwrap();
    let changed = before.iter().zip(&after).position(|(one, other)| one != other).unwrap();
    let mut half = after.clone();
    half[changed + 100..].fill(0);
    storage.set_bytes(&name, half);
    records.look_again().unwrap();
    assert_eq!(records.proven_sequence(), proven);
    storage.set_bytes(&name, after);
    records.look_again().unwrap();
    assert_eq!(records.proven_sequence(), writing.submitted.len() as u64 - 1);
}

#[test]
fn new_owner_begins_with_a_new_epoch() {
    let storage = MemStorage::new();
    let writing = long(&storage);
    let last = writing.submitted.len() as u64;
    drop(writing);
    let mut recovery = Recovery::open(Arc::new(storage.clone()), OPTIONS).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    recovery.take_over(5);
    let log = recovery.start(IDENTITY, b"restored").unwrap();
    let first_of_it = log.shared().last_header().first_sequence;
    assert_eq!((log.identity().epoch, log.shared().identity().epoch), (5, 5));
    assert_eq!(first_of_it, last + 1, "also what was not proven stays in its epoch");
    assert_eq!(log.shared().epochs().of(last), Some(1));
    assert_eq!(log.shared().epochs().of(last + 1), Some(5));
    assert_eq!(scan(&storage).identity().unwrap().epoch, 5);
    drop(log);
    let (log, ..) = crate::harness::start(&storage).unwrap();
    assert_eq!(log.identity().epoch, 5, "and goes on with it");
}
