//! A long log read a thread ahead of the visit gives what reading it in one thread gives.

use std::sync::Arc;

use doorbuster_wal::{Entry, MemStorage, Options, Recovery, Replayed, Scan, Shared, WalError};

use crate::harness::{IDENTITY, Records, START, assert_same, payload};

const OPTIONS: Options =
    Options { segment_bytes: 1 << 20, payload_bytes_max: 256 << 10, spare_segments: 1 };
/// Enough that a thread is worth it.
const SEGMENTS: usize = 11;

/// Small frames, some longer than what is read at once would leave of a chunk.
fn long() -> MemStorage {
    let storage = MemStorage::new();
    let mut recovery = Recovery::open(Arc::new(storage.clone()), OPTIONS).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    let mut log = recovery.start(IDENTITY, START).unwrap();
    let (shared, mut number) = (log.shared(), 0);
    while shared.closed_segments().len() < SEGMENTS {
        while shared.prepare_spare().unwrap() {}
        let mut batch = doorbuster_wal::Batch::new();
        let mut bytes = 0;
        for _ in 0..20 {
            number += 1;
            let size = if number % 37 == 0 { 200 << 10 } else { 40 + number % 900 };
            let record = payload(number, size);
            bytes += Shared::frame_bytes(record.len());
            batch.push(log.next_sequence() + batch_len(&batch, &log), &record);
        }
        assert!(shared.try_reserve(bytes));
        log.commit(&mut batch).unwrap();
    }
    storage
}

fn batch_len(batch: &doorbuster_wal::Batch, log: &doorbuster_wal::Log) -> u64 {
    batch.last_sequence().map_or(0, |last| last + 1 - log.next_sequence())
}

/// Reads it, and refuses the record at `refused`.
fn read(
    storage: &MemStorage,
    ahead: bool,
    refused: u64,
) -> (Records, Result<Replayed, WalError>, u64) {
    let scan = Scan::open(Arc::new(storage.clone())).unwrap();
    let (mut records, mut last_progress) = (Records::new(), 0);
    let mut progress = |bytes| {
        assert!(bytes >= last_progress, "progress goes on");
        last_progress = bytes;
    };
    let mut take = |entry: &Entry<'_>| {
        if entry.sequence == refused {
            return Err("not this one".to_owned());
        }
        records.push(entry.payload.to_vec());
        assert_eq!(entry.sequence, records.len() as u64);
        Ok(())
    };
    let replayed = match ahead {
        true => scan.replay_ahead(None, None, &mut take, &mut progress),
        false => scan.replay(&mut take, &mut progress),
    };
    (records, replayed, last_progress)
}

fn check_same(storage: &MemStorage, refused: u64, what: &str) -> Option<WalError> {
    let (alone, replayed, _) = read(storage, false, refused);
    let (ahead, replayed_ahead, _) = read(storage, true, refused);
    assert_same(&ahead, &alone, what);
    match (replayed, replayed_ahead) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other, "{what}");
            None
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.to_string(), other.to_string(), "{what}");
            Some(other)
        }
        (one, other) => panic!("{what}: {one:?} and {other:?}"),
    }
}

#[test]
fn reading_ahead_finds_the_same_and_the_same_damage() {
    let storage = long();
    assert!(check_same(&storage, 0, "sound").is_none());
    let total = Scan::open(Arc::new(storage.clone())).unwrap().bytes_total();
    let (records, _, progress) = read(&storage, true, 0);
    assert_eq!(progress, total);

    for refused in [1, 2, 500, records.len() as u64] {
        let error = check_same(&storage, refused, "refused").unwrap().to_string();
        assert!(error.contains("not this one"), "{error}");
    }
    // The second to the fourth are a first frame's length: a little longer, longer than a chunk and still
    // inside the file, longer than the file.
    for (segment, at) in
        [(1, 5_000), (4, 4_096), (4, 4_098), (4, 4_099), (9, 500_000), (11, 300_000)]
    {
        let name = format!("segment-{segment:010}.wal");
        let sound = storage.bytes(&name).unwrap();
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        storage.set_bytes(&name, damaged);
        assert!(check_same(&storage, 0, &format!("{name} at {at}")).is_some());
        storage.set_bytes(&name, sound[..at].to_vec());
        assert!(check_same(&storage, 0, &format!("{name} cut at {at}")).is_some());
        storage.set_bytes(&name, sound);
    }
    assert!(check_same(&storage, 0, "sound again").is_none());
}
