//! Files that are missing, swapped, doubled, emptied or foreign.

use doorbuster_wal::{HEADER_BYTES, Identity, MemStorage, Options, Recovery, Scan, WalError};

use crate::harness::{IDENTITY, OPTIONS, Records, START, Writing, payload, read, start};

const NAMES: [&str; 3] =
    ["segment-0000000001.wal", "segment-0000000002.wal", "segment-0000000003.wal"];

fn three_segments() -> (MemStorage, Records) {
    let storage = MemStorage::new();
    for _ in 0..3 {
        let mut writing = Writing::start(&storage).unwrap();
        let next = writing.submitted.len() + 1;
        writing.commit(&[payload(next, 50)]).unwrap();
    }
    let (records, _) = read(&storage).unwrap();
    assert_eq!(records.len(), 6);
    (storage, records)
}

fn refused(storage: &MemStorage) -> String {
    let before: Vec<_> = NAMES.iter().map(|name| storage.bytes(name)).collect();
    let error = start(storage).err().expect("refused");
    assert!(matches!(error, WalError::Corrupt { .. }), "{error}");
    let after: Vec<_> = NAMES.iter().map(|name| storage.bytes(name)).collect();
    assert!(before == after, "a refused log is left as it was");
    error.to_string()
}

/// The same log without one of its files.
fn without(storage: &MemStorage, missing: &str) -> MemStorage {
    let copy = MemStorage::new();
    for name in NAMES.iter().filter(|name| **name != missing) {
        copy.set_bytes(name, storage.bytes(name).unwrap());
    }
    copy
}

#[test]
fn missing_segment_is_named() {
    let (storage, _) = three_segments();
    let first = refused(&without(&storage, NAMES[0]));
    assert!(first.contains("segments before it are missing"), "{first}");
    let middle = refused(&without(&storage, NAMES[1]));
    assert!(middle.contains("segment 2 is missing"), "{middle}");
    // What is last then was cut to its end when it got its successor.
    let last = refused(&without(&storage, NAMES[2]));
    assert!(last.contains("the last segment has"), "{last}");
}

#[test]
fn swapped_and_doubled_segments_are_refused() {
    let (storage, _) = three_segments();
    let bytes = NAMES.map(|name| storage.bytes(name).unwrap());
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        for (name, bytes) in NAMES.iter().zip(&bytes) {
            storage.set_bytes(name, bytes.clone());
        }
        storage.set_bytes(NAMES[one], bytes[other].clone());
        let doubled = refused(&storage);
        assert!(doubled.contains("its header says it is segment"), "{doubled}");
        storage.set_bytes(NAMES[other], bytes[one].clone());
        let swapped = refused(&storage);
        assert!(swapped.contains("its header says it is segment"), "{swapped}");
    }
}

#[test]
fn zeroed_and_empty_segments_are_refused() {
    let (storage, _) = three_segments();
    for name in NAMES {
        let sound = storage.bytes(name).unwrap();
        for empty in [Vec::new(), vec![0; sound.len()], vec![0; 4096]] {
            storage.set_bytes(name, empty);
            let text = refused(&storage);
            assert!(text.contains(name), "{text}");
        }
        let mut no_frames = sound.clone();
        no_frames[HEADER_BYTES as usize..].fill(0);
        storage.set_bytes(name, no_frames);
        let text = refused(&storage);
        assert!(text.contains(name) && text.contains("sequence"), "{text}");
        storage.set_bytes(name, sound);
    }
}

#[test]
fn segment_of_another_history_breaks_the_chain() {
    let (storage, _) = three_segments();
    let (other, _) = three_segments();
    // Same journal, same numbers and sequences, other salts: as after restoring one file only.
    storage.set_bytes(NAMES[1], other.bytes(NAMES[1]).unwrap());
    let text = refused(&storage);
    assert!(text.contains("the chain does not match"), "{text}");
}

#[test]
fn segment_of_another_journal_is_refused() {
    let (storage, _) = three_segments();
    let other = MemStorage::new();
    let identity = Identity { journal_id: [8; 16], ..IDENTITY };
    for _ in 0..2 {
        let mut recovery = Recovery::open(std::sync::Arc::new(other.clone()), OPTIONS).unwrap();
        recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
        recovery.start(identity, START).unwrap();
    }
    storage.set_bytes(NAMES[1], other.bytes(NAMES[1]).unwrap());
    let text = refused(&storage);
    assert!(text.contains("another journal"), "{text}");
}

#[test]
fn frame_out_of_its_place_is_refused() {
    let storage = MemStorage::new();
    let mut writing = Writing::start(&storage).unwrap();
    for number in 2..6 {
        writing.commit(&[payload(number, 40)]).unwrap();
    }
    let mut bytes = storage.bytes(NAMES[0]).unwrap();
    // Frames 2 and 3 have the same length: exchange them, checksums and all.
    let (at, length) = (HEADER_BYTES as usize + 32, 64);
    let (one, two) = bytes[at..at + 2 * length].split_at_mut(length);
    one.swap_with_slice(two);
    storage.set_bytes(NAMES[0], bytes);
    let text = refused(&storage);
    assert!(text.contains("sequence 2: a frame of sequence 3 stands there"), "{text}");
}

#[test]
fn foreign_files_are_neither_read_nor_touched() {
    let (storage, records) = three_segments();
    let foreign = [
        "LOCK",
        "notes.tmp",
        "segment-4.wal",
        "segment-0000000004.wal.bak",
        "torn-0000000001-9.bin",
        "segment-0000000000.wal",
        "spare-x.tmp",
        "journal",
    ];
    for name in foreign {
        storage.set_bytes(name, b"not yours".to_vec());
    }
    for name in ["fresh.tmp", "spare-1.tmp", "spare-31.tmp"] {
        storage.set_bytes(name, vec![1; 100]);
    }
    let (_, found, _) = start(&storage).unwrap();
    assert_eq!(found[..records.len()], records);
    for name in foreign {
        assert_eq!(storage.bytes(name).as_deref(), Some(&b"not yours"[..]), "{name}");
    }
    for name in ["fresh.tmp", "spare-1.tmp", "spare-31.tmp"] {
        assert_eq!(storage.bytes(name), None, "{name}");
    }
}

#[test]
fn format_from_the_future_is_refused_by_name() {
    let (storage, _) = three_segments();
    let mut bytes = storage.bytes(NAMES[1]).unwrap();
    bytes[8..12].copy_from_slice(&7u32.to_le_bytes());
    bytes[128] = 1;
    storage.set_bytes(NAMES[1], bytes);
    let error = start(&storage).err().unwrap();
    assert!(matches!(error, WalError::FormatFromFuture { found: 7, supported: 1, .. }), "{error}");
    assert!(error.to_string().starts_with(NAMES[1]), "{error}");
}

#[test]
fn an_empty_directory_has_no_identity_and_begins_a_journal() {
    let storage = MemStorage::new();
    let scan = Scan::open(std::sync::Arc::new(storage.clone())).unwrap();
    assert_eq!(scan.identity(), None);
    let (log, records, _) = start(&storage).unwrap();
    assert_eq!((log.identity(), records), (IDENTITY, vec![START.to_vec()]));
    // A later start keeps it, whatever new identity it brings.
    drop(log);
    let mut recovery = Recovery::open(std::sync::Arc::new(storage), OPTIONS).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    let identity = Identity { journal_id: [1; 16], partition: 9, epoch: 9 };
    assert_eq!(recovery.start(identity, START).unwrap().identity(), IDENTITY);
}

#[test]
fn segments_may_have_other_sizes_than_the_options_say() {
    let (storage, records) = three_segments();
    for segment_bytes in [128 << 10, 64 << 10] {
        let options = Options { segment_bytes, ..OPTIONS };
        let mut recovery = Recovery::open(std::sync::Arc::new(storage.clone()), options).unwrap();
        recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
        recovery.start(IDENTITY, START).unwrap();
    }
    assert_eq!(read(&storage).unwrap().0[..records.len()], records);
}

#[test]
fn options_that_cannot_work_are_refused() {
    for wrong in [
        Options { segment_bytes: 4096, ..OPTIONS },
        Options { segment_bytes: (64 << 10) + 1, ..OPTIONS },
        Options { segment_bytes: 2 << 30, ..OPTIONS },
        Options { payload_bytes_max: 64 << 10, ..OPTIONS },
        Options { spare_segments: 0, ..OPTIONS },
    ] {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
    assert!(Options::default().check().is_ok());
}

#[test]
fn unproven_batch_of_a_whole_segment_moves_on_with_a_start_record() {
    let storage = MemStorage::new();
    let mut writing = Writing::start(&storage).unwrap();
    writing.shared.prepare_spare().unwrap();
    // One record fills the segment to where the next batch cannot begin in it.
    while writing.shared.room_bytes() > 61_000 {
        writing.commit(&[payload(writing.submitted.len() + 1, 4000)]).unwrap();
    }
    let frames: Vec<Vec<u8>> = (0..16).map(|n| payload(n, 4096)).collect();
    let mut used = 0;
    let batch: Vec<Vec<u8>> = frames
        .into_iter()
        .take_while(|record| {
            used += record.len() + 24;
            used as i64 <= writing.shared.room_bytes()
        })
        .collect();
    assert!(writing.commit(&batch).unwrap());
    let (log, records, replayed) = start(&storage).unwrap();
    assert!(replayed.proven_sequence < writing.submitted.len() as u64);
    assert_eq!(records[..writing.submitted.len()], writing.submitted);
    drop(log);
    assert_eq!(read(&storage).unwrap().0, records);
}
