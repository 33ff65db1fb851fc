//! Closed segments move into the archive and every reader goes on; pruned ones are gone and said so.

use std::sync::Arc;

use doorbuster_wal::{Crash, MemStorage, Recovery, Scan, Storage, WalError};

use crate::harness::{OPTIONS, Writing, assert_same, payload, read, start};

/// A log of three full segments and one that is written.
pub(crate) fn long(storage: &MemStorage) -> Writing {
    let mut writing = Writing::start(storage).unwrap();
    let mut number = 0;
    while writing.shared.closed_segments().len() < 3 {
        while writing.shared.prepare_spare().unwrap() {}
        let batch: Vec<_> = (0..7).map(|n| payload(number + n, 40 + n * 300)).collect();
        number += batch.len();
        assert!(writing.commit(&batch).unwrap());
    }
    writing
}

pub(crate) fn archive_all(writing: &Writing) {
    for header in writing.shared.closed_segments() {
        assert!(writing.shared.archive(header.segment).unwrap());
        assert!(!writing.shared.archive(header.segment).unwrap(), "it is there already");
    }
}

fn archived_names(storage: &MemStorage) -> Vec<String> {
    let archive = storage.dir("archive").unwrap();
    archive.map_or_else(Vec::new, |archive| archive.list().unwrap())
}

fn segments(storage: &MemStorage) -> usize {
    storage.list().unwrap().iter().filter(|name| name.starts_with("segment-")).count()
}

#[test]
fn every_reader_reads_on_across_the_archive() {
    let storage = MemStorage::new();
    let mut writing = long(&storage);
    let before = read(&storage).unwrap();
    let mut tail = writing.shared.tail(1);
    for _ in 0..5 {
        tail.next().unwrap().unwrap();
    }
    archive_all(&writing);
    assert_eq!((segments(&storage), archived_names(&storage).len()), (1, 3));

    let after = read(&storage).unwrap();
    assert_same(&after.0, &before.0, "scanned");
    let digests = |replayed: &doorbuster_wal::Replayed| {
        replayed.segments.iter().map(|segment| segment.digest).collect::<Vec<_>>()
    };
    assert_eq!(digests(&after.1), digests(&before.1));
    assert!(after.1.segments[0].is_archived && !after.1.segments[3].is_archived);
    for sequence in 1..=before.0.len() as u64 {
        let found = writing.shared.read(sequence).unwrap();
        assert_eq!(found.as_ref(), before.0.get(sequence as usize - 1), "record {sequence}");
    }
    for expected in &before.0[5..] {
        assert_eq!(tail.next().unwrap().unwrap().payload, expected, "followed");
    }

    assert!(writing.commit(&[payload(9, 9)]).unwrap());
    drop(writing);
    let (log, records, _) = start(&storage).unwrap();
    assert_eq!(records.len(), before.0.len() + 2, "started over the archive");
    assert_eq!(log.shared().read(2).unwrap().as_ref(), before.0.get(1));
}

#[test]
fn archive_is_plain_zstd() {
    let storage = MemStorage::new();
    let writing = long(&storage);
    let plain = storage.bytes("segment-0000000001.wal").unwrap();
    archive_all(&writing);
    let archive = MemStorage::bytes(&storage, "archive/segment-0000000001.wal.zst").unwrap();
    assert!(archive.len() * 2 < plain.len(), "{} of {} bytes", archive.len(), plain.len());
    assert_eq!(&archive[..4], &[0x28, 0xb5, 0x2f, 0xfd], "magic number of zstd");
}

/// Calls `check` with a log whose machine died at each operation of `act`, and after it.
fn die_everywhere(
    prepare: impl Fn(&MemStorage) -> Writing,
    act: impl Fn(&MemStorage, &Writing) -> Result<(), WalError>,
    check: impl Fn(&MemStorage, &[Vec<u8>], &str),
) {
    for operation in 0.. {
        let mut done = false;
        for crash in [Crash::LoseAll, Crash::KeepAll, Crash::Some(operation)] {
            let storage = MemStorage::new();
            let writing = prepare(&storage);
            let (before, _) = read(&storage).unwrap();
            storage.die_after(operation);
            let acted = act(&storage, &writing);
            done = !storage.is_dead();
            assert_eq!(acted.is_ok(), done, "{acted:?}");
            check(&storage.crash(crash), &before, &format!("dead at {operation}, {crash:?}"));
        }
        if done {
            assert!(operation > 5, "{operation} operations");
            return;
        }
    }
}

#[test]
pub(crate) fn machine_that_dies_while_archiving_leaves_the_same_log() {
    let act = |_: &MemStorage, writing: &Writing| writing.shared.archive(1).map(drop);
    die_everywhere(long, act, |storage, before, what| {
        let (after, _) = read(storage).unwrap();
        assert_same(&after, before, what);
        // And again: what was left half done does not stand in the way.
        let (log, ..) = start(storage).unwrap();
        assert!(!archived_names(storage).iter().any(|name| name.ends_with(".tmp")));
        log.shared().archive(1).unwrap();
        let (after, _) = read(storage).unwrap();
        assert_same(&after[..before.len()], before, what);
    });
}

#[test]
fn segment_that_is_damaged_stays_where_it_is() {
    let storage = MemStorage::new();
    let writing = long(&storage);
    let name = "segment-0000000002.wal";
    let mut bytes = storage.bytes(name).unwrap();
    bytes[9000] ^= 1;
    storage.set_bytes(name, bytes);
    let error = writing.shared.archive(2).unwrap_err();
    assert!(matches!(error, WalError::Corrupt { segment: 2, .. }), "{error}");
    assert!(storage.bytes(name).is_some() && archived_names(&storage).is_empty());
}

#[test]
fn damaged_archive_is_refused_or_reads_the_same() {
    let storage = MemStorage::new();
    archive_all(&long(&storage));
    let (before, _) = read(&storage).unwrap();
    let name = "archive/segment-0000000002.wal.zst";
    let sound = storage.bytes(name).unwrap();
    let (mut refused, mut same) = (0, 0);
    let mut check = |bytes: Vec<u8>, what: &str| {
        storage.set_bytes(name, bytes);
        match read(&storage) {
            Ok((records, _)) => {
                assert_same(&records, &before, what);
                same += 1;
            }
            Err(WalError::Corrupt { segment: 2, .. } | WalError::FormatFromFuture { .. }) => {
                refused += 1;
            }
            Err(error) => panic!("{what}: {error}"),
        }
    };
    for at in (0..sound.len()).step_by(3) {
        let mut flipped = sound.clone();
        flipped[at] ^= 1 << (at % 8);
        check(flipped, &format!("bit {} of byte {at}", at % 8));
    }
    for cut in (0..sound.len()).step_by(7) {
        check(sound[..cut].to_vec(), &format!("cut at {cut}"));
    }
    assert!(refused > 100, "{refused} refused, {same} read the same");
}

/// What a reader that goes record by record makes of it.
fn followed(storage: &MemStorage) -> Result<u64, WalError> {
    let mut records = Scan::open(Arc::new(storage.clone()))?.records_from(1)?;
    while records.next()?.is_some() {}
    Ok(records.position())
}

#[test]
fn damaged_table_of_an_archived_segment_is_refused_however_it_is_read() {
    const TABLE_MAGIC: [u8; 4] = 0x184d_2a5e_u32.to_le_bytes();
    let storage = MemStorage::new();
    archive_all(&long(&storage));
    let name = "archive/segment-0000000002.wal.zst";
    let sound = storage.bytes(name).unwrap();
    let table = sound.windows(4).rposition(|four| four == TABLE_MAGIC).expect("it has a table");
    // The end of the last frame too: nothing stands between the records and the table.
    for bit in (table - 16) * 8..sound.len() * 8 {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        storage.set_bytes(name, flipped);
        let what = format!("bit {} of byte {} of {}", bit % 8, bit / 8, sound.len());
        let read = read(&storage).map(|(records, _)| records.len());
        assert!(matches!(read, Err(WalError::Corrupt { segment: 2, .. })), "{what}: {read:?}");
        let read = followed(&storage);
        assert!(matches!(read, Err(WalError::Corrupt { segment: 2, .. })), "{what}: {read:?}");
    }
}

#[test]
fn missing_archived_segment_is_damage_also_the_last_one() {
    for missing in 1..=3 {
        let storage = MemStorage::new();
        archive_all(&long(&storage));
        let archive = storage.dir("archive").unwrap().unwrap();
        archive.remove(&format!("segment-{missing:010}.wal.zst")).unwrap();
        let error = read(&storage).map(drop).unwrap_err();
        assert!(matches!(error, WalError::Corrupt { .. }), "{missing}: {error}");
    }
    let storage = MemStorage::new();
    archive_all(&long(&storage));
    storage.remove("segment-0000000004.wal").unwrap();
    let error = read(&storage).map(drop).unwrap_err().to_string();
    assert!(error.contains("segment-0000000004.wal at offset 0: it is missing"), "{error}");
}

#[test]
fn pruned_log_says_where_it_begins() {
    let storage = MemStorage::new();
    let writing = long(&storage);
    let scan = || Scan::open(Arc::new(storage.clone())).unwrap();
    let (before, _) = read(&storage).unwrap();
    assert_eq!(scan().prunable(u64::MAX).unwrap(), None, "nothing is archived");
    archive_all(&writing);
    drop(writing);
    let third = scan().headers()[2];
    assert_eq!(scan().prunable(third.first_sequence).unwrap(), Some(third));
    assert_eq!(scan().prunable(third.first_sequence + 1).unwrap(), Some(third));
    let second = scan().headers()[1];
    assert_eq!(scan().prunable(third.first_sequence - 1).unwrap(), Some(second));
    let deleted = scan().prune(&third).unwrap();
    assert_eq!(deleted.segments, 2);

    assert_eq!(scan().first_sequence(), third.first_sequence);
    let mut left = Vec::new();
    let mut keep = |entry: &doorbuster_wal::Entry<'_>| {
        left.push(entry.payload.to_vec());
        Ok(())
    };
    let replayed = scan().replay(&mut keep, &mut |_| {}).unwrap();
    let gone = third.first_sequence as usize - 1;
    assert_eq!(replayed.first_sequence, third.first_sequence);
    assert_same(&left, &before[gone..], "what is left");

    let mut recovery = Recovery::open(Arc::new(storage.clone()), OPTIONS).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    let log = recovery.start(crate::harness::IDENTITY, b"again").unwrap();
    assert_eq!(log.shared().read(1).unwrap(), None);
    assert_eq!(log.shared().read(third.first_sequence).unwrap().as_ref(), before.get(gone));
    assert_eq!(log.shared().epochs().of(1), None);
    assert_eq!(log.next_sequence(), before.len() as u64 + 2);
}

#[test]
fn machine_that_dies_while_pruning_leaves_one_log_or_the_other() {
    let prepare = |storage: &MemStorage| {
        let writing = long(storage);
        archive_all(&writing);
        writing
    };
    let open = |storage: &MemStorage| Scan::open(Arc::new(storage.clone())).unwrap();
    let act = |storage: &MemStorage, _: &Writing| {
        let scan = open(storage);
        let third = scan.headers()[2];
        scan.prune(&third).map(drop)
    };
    die_everywhere(prepare, act, |storage, _, what| {
        let scan = open(storage);
        let (first, headers) = (scan.first_sequence(), scan.headers());
        let third = *headers.iter().find(|header| header.segment == 3).unwrap();
        assert!(first == 1 || first == third.first_sequence, "{what}: {first}");
        scan.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
        scan.prune(&third).unwrap();
        assert_eq!(open(storage).first_sequence(), third.first_sequence);
        assert_eq!(archived_names(storage).len(), 1, "{what}: the rest is deleted");
    });
}

#[test]
fn segment_that_is_missing_is_not_taken_for_pruned() {
    let storage = MemStorage::new();
    archive_all(&long(&storage));
    let third = Scan::open(Arc::new(storage.clone())).unwrap().headers()[2];
    Scan::open(Arc::new(storage.clone())).unwrap().prune(&third).unwrap();
    let name = "pruned-0000000003.bin";
    let said = storage.bytes(name).unwrap();
    storage.remove(name).unwrap();
    let error = read(&storage).map(drop).unwrap_err().to_string();
    assert!(error.contains("segments before it are missing"), "{error}");
    let mut flipped = said.clone();
    flipped[40] ^= 1;
    storage.set_bytes(name, flipped);
    assert!(matches!(read(&storage).map(drop), Err(WalError::Corrupt { .. })));
    storage.set_bytes(name, said);
    let archive = storage.dir("archive").unwrap().unwrap();
    archive.remove("segment-0000000003.wal.zst").unwrap();
    let error = Scan::open(Arc::new(storage.clone())).map(drop).unwrap_err().to_string();
    assert!(error.contains("segments before it are missing"), "{error}");
}
