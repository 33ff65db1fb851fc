//! What is told of a log without reading it is what reading it tells; and of a damaged one every
//! segment is told.

use std::sync::Arc;

use doorbuster_wal::{HEADER_BYTES, MemStorage, Scan, Storage, WalError, survey};

use crate::archive::{archive_all, long};
use crate::harness::{payload, read};

fn scan(storage: &MemStorage) -> Scan {
    Scan::open(Arc::new(storage.clone())).unwrap()
}

#[test]
fn outline_is_what_reading_finds() {
    let storage = MemStorage::new();
    let writing = long(&storage);
    while writing.shared.prepare_spare().unwrap() {}
    // Closed segments, one that nobody has cut to its end yet, and all of them in the archive.
    for archived in [false, false, true] {
        if archived {
            archive_all(&writing);
        }
        let (_, replayed) = read(&storage).unwrap();
        let outline = scan(&storage).outline().unwrap();
        assert_eq!(outline.segments, replayed.segments, "archived: {archived}");
        assert_eq!(outline.proven_sequence, replayed.proven_sequence);
        assert_eq!((outline.first_sequence, outline.torn), (1, None));
        let room = scan(&storage).room_ahead(outline.segments.last().unwrap()).unwrap();
        assert_eq!((room.spare_segments, room.spare_bytes), (2, 2 * (64 << 10)));
        if !archived {
            storage.open("segment-0000000001.wal").unwrap().set_len(64 << 10).unwrap();
        }
    }
}

#[test]
fn digest_up_to_a_record_is_the_chain_where_a_segment_begins() {
    let storage = MemStorage::new();
    let _writing = long(&storage);
    let scan = scan(&storage);
    for header in &scan.headers()[1..] {
        let digest = scan.digest_upto(header.first_sequence - 1).unwrap();
        assert_eq!(digest, header.chain, "segment {}", header.segment);
    }
}

/// Segments that a survey says are damaged.
fn damaged(storage: &MemStorage) -> Vec<u64> {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let found = survey(&storage, &|_| {}).unwrap();
    let segment = |error: &WalError| match error {
        WalError::Corrupt { segment, .. } => *segment,
        other => panic!("{other}"),
    };
    found.damage.iter().map(segment).collect()
}

fn flip(storage: &MemStorage, segment: u64, offset: u64) {
    let file = storage.open(&format!("segment-{segment:010}.wal")).unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, offset).unwrap(), 1);
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn survey_names_every_damaged_segment_and_no_other() {
    let storage = MemStorage::new();
    let mut writing = long(&storage);
    // What the last segment begins with is proven by what follows.
    for number in 0..2 {
        assert!(writing.commit(&[payload(number, 9)]).unwrap());
    }
    assert_eq!(damaged(&storage), [] as [u64; 0]);
    // Each place of the four, alone and with each other one: in a header, and in frames.
    for (one, at) in [(1, 20), (2, HEADER_BYTES + 30), (3, 50), (4, HEADER_BYTES + 40)] {
        flip(&storage, one, at);
        assert_eq!(damaged(&storage), [one]);
        for (other, behind) in [(1, HEADER_BYTES + 8), (2, 60), (3, HEADER_BYTES + 8), (4, 70)] {
            if other != one {
                flip(&storage, other, behind);
                let mut both = vec![one, other];
                both.sort_unstable();
                assert_eq!(damaged(&storage), both);
                flip(&storage, other, behind);
            }
        }
        flip(&storage, one, at);
    }
    assert_eq!(damaged(&storage), [] as [u64; 0]);
    storage.remove("segment-0000000002.wal").unwrap();
    assert_eq!(damaged(&storage), [2], "one that is missing");
}

#[test]
fn survey_of_swapped_segments_blames_those_alone() {
    let storage = MemStorage::new();
    drop(long(&storage));
    let name = |segment: u64| format!("segment-{segment:010}.wal");
    let (second, third) = (storage.bytes(&name(2)).unwrap(), storage.bytes(&name(3)).unwrap());
    storage.set_bytes(&name(2), third);
    storage.set_bytes(&name(3), second);
    let mut blamed = damaged(&storage);
    blamed.dedup();
    assert_eq!(blamed, [2, 3]);
}
