//! A full disk: sold to the end of what is zeroed, then no room, and room again with the space.

use doorbuster_wal::{MemStorage, Shared, WalError};

use crate::harness::{OPTIONS, Writing, payload, read, start};

/// Commits until there is no room; gives how many records went in.
fn fill(writing: &mut Writing) -> usize {
    let mut count = 0;
    while writing.commit(&[payload(count, 1000)]).unwrap() {
        count += 1;
    }
    count
}

#[test]
fn full_disk_sells_to_the_end_of_what_is_zeroed_and_heals() {
    let storage = MemStorage::new();
    let size = OPTIONS.segment_bytes;
    storage.set_capacity(Some(2 * size + size / 2));
    let mut writing = Writing::start(&storage).unwrap();
    let shared = writing.log.shared();
    assert!(shared.prepare_spare().unwrap());
    let error = shared.prepare_spare().unwrap_err().to_string();
    assert!(error.contains("65536 bytes for a segment are needed, 32768 are free"), "{error}");
    assert_eq!(shared.spare_error().as_deref(), Some(&*error));
    let frame = Shared::frame_bytes(1000) as usize;
    let (count, two) = (fill(&mut writing), 2 * size as usize);
    assert!(count * frame > two - two / 8, "{count} records fit nearly two segments");
    assert!(!shared.failed(), "that is no failure");
    // The old segment was cut, but what it gave back is no whole segment.
    assert!(shared.prepare_spare().is_err());
    assert_eq!(fill(&mut writing), 0);
    storage.set_capacity(Some(4 * size));
    assert!(shared.prepare_spare().unwrap());
    assert_eq!(shared.spare_error(), None);
    assert!(fill(&mut writing) > 40);
    assert_eq!(read(&storage).unwrap().0, writing.submitted);
}

#[test]
fn start_without_space_names_the_bytes_and_changes_nothing() {
    let storage = MemStorage::new();
    let mut writing = Writing::start(&storage).unwrap();
    writing.commit(&[payload(2, 20)]).unwrap();
    storage.set_capacity(Some(OPTIONS.segment_bytes + 1000));
    let error = start(&storage).err().unwrap();
    let WalError::NoRoom { needed_bytes, free_bytes } = error else { panic!("{error}") };
    assert_eq!((needed_bytes, free_bytes), (OPTIONS.segment_bytes, 1000));
    assert_eq!(read(&storage).unwrap().0, writing.submitted);
    storage.set_capacity(None);
    assert!(start(&storage).is_ok());
}

#[test]
fn start_with_space_for_the_segment_but_not_for_what_is_cut_names_both() {
    let storage = MemStorage::new();
    let mut writing = Writing::start(&storage).unwrap();
    writing.commit(&[payload(2, 20)]).unwrap();
    let name = "segment-0000000001.wal";
    let mut bytes = storage.bytes(name).unwrap();
    bytes[8192..9000].fill(9);
    storage.set_bytes(name, bytes);
    let cut = read(&storage).unwrap().1.torn.unwrap().bytes;
    storage.set_capacity(Some(2 * OPTIONS.segment_bytes + cut - 1));
    let error = start(&storage).err().unwrap();
    let WalError::NoRoom { needed_bytes, .. } = error else { panic!("{error}") };
    assert_eq!(needed_bytes, OPTIONS.segment_bytes + cut);
    assert_eq!(storage.bytes("fresh.tmp"), None);
    storage.set_capacity(Some(2 * OPTIONS.segment_bytes + cut));
    assert!(start(&storage).is_ok());
}
