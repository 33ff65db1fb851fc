//! A snapshot: its bytes, and the state that its rows are.

use std::sync::Arc;

use doorbuster::domain::Sequence;
use doorbuster::engine::Recovered;
use doorbuster::journal::{SnapshotHead, SnapshotRow, Snapshots, StateHash};
use doorbuster_wal::{MemStorage, Storage};
use sha2::{Digest, Sha256};

use crate::log::put;
use crate::{flipped, some_bit};

const PREAMBLE_BYTES: usize = 16;
const BLOCK_HEAD_BYTES: usize = 8;
/// Of the head's block: length and checksum, section and version, journal id, partition, epoch.
const SEQUENCE_AT: usize = PREAMBLE_BYTES + BLOCK_HEAD_BYTES + 4 + 16 + 2 + 4;
/// Section and version, count of blocks and of rows, hash.
const LAST_BYTES: usize = 4 + 4 + 8 + 32;
const DIRECTORY: &str = "snapshots";

/// What is read to its end is written again to the same bytes, its rows are a state or are refused,
/// and no flipped bit passes.
pub(crate) fn fuzz(bytes: &[u8]) {
    read(bytes);
    let mut bytes = bytes.to_vec();
    repair(&mut bytes);
    let Some(read_back) = read(&bytes) else { return };
    let (head, rows, hash) = read_back;
    let again = MemStorage::new();
    let snapshots = Snapshots::of_log(Arc::new(again.clone()));
    let written = snapshots.write(&head, |writer| rows.iter().try_for_each(|row| writer.row(row)));
    assert_eq!(written.expect("memory takes it"), hash, "the same rows have the same hash");
    let written = bytes_of(&again, head.checkpoint.sequence);
    // Where a block ends is the writer's choice: what it wrote is read to the same rows.
    assert_eq!(read(&written).as_ref(), Some(&(head, rows, hash)));
    restore(&bytes, head.checkpoint.sequence);
    let bit = some_bit(&bytes);
    assert!(read(&flipped(&bytes, bit)).is_none(), "bit {bit} passes");
}

/// Rows that are a state give the state that is written as the same rows, again and again.
fn restore(bytes: &[u8], sequence: u64) {
    let Some(first) = state(bytes, sequence) else { return };
    let storage = MemStorage::new();
    let snapshots = Snapshots::of_log(Arc::new(storage.clone()));
    let head = first.head;
    let written = snapshots.write(&head, |writer| first.recovered.write_rows(writer));
    let hash = written.expect("memory takes it");
    assert_eq!(hash, first.recovered.state_hash(), "it is hashed as it is written");
    let again = state(&bytes_of(&storage, sequence), sequence).expect("a state is one");
    assert_eq!(again.recovered.state_hash(), hash, "it is the same state");
}

fn state(bytes: &[u8], sequence: u64) -> Option<doorbuster::engine::FromSnapshot> {
    let reader = snapshots(bytes, sequence).open(Sequence::new(sequence)).ok()?;
    Recovered::from_snapshot(reader, 1 << 20, &mut |_| ()).ok()
}

type Read = (SnapshotHead, Vec<SnapshotRow>, StateHash);

fn read(bytes: &[u8]) -> Option<Read> {
    let sequence =
        bytes.get(SEQUENCE_AT..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
    let mut reader = snapshots(bytes, sequence).open(Sequence::new(sequence)).ok()?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next().ok()? {
        rows.push(row);
    }
    Some((*reader.head(), rows, reader.state_hash().expect("it was read to its end")))
}

fn file_name(sequence: u64) -> String {
    format!("snapshot-{sequence:020}.bin")
}

fn snapshots(bytes: &[u8], sequence: u64) -> Snapshots {
    let storage = MemStorage::new();
    let directory = storage.make_dir(DIRECTORY).expect("memory takes it");
    let file = directory.create(&file_name(sequence)).expect("memory takes it");
    file.write_all_at(bytes, 0).expect("memory takes it");
    Snapshots::of_log(Arc::new(storage))
}

fn bytes_of(storage: &MemStorage, sequence: u64) -> Vec<u8> {
    let directory = storage.dir(DIRECTORY).expect("memory").expect("it was written");
    let file = directory.open_read(&file_name(sequence)).expect("it was written");
    let mut bytes = vec![0; file.len().expect("memory") as usize];
    let read = file.read_at(&mut bytes, 0).expect("memory");
    assert_eq!(read, bytes.len());
    bytes
}

/// Puts checksums right, as far as there are blocks by their lengths, and the hash in the last one.
fn repair(bytes: &mut [u8]) {
    let Some((_, mut rest)) = bytes.split_at_mut_checked(PREAMBLE_BYTES) else { return };
    let (mut number, mut rows) = (0u32, Sha256::new());
    while let Some(length) = rest.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)) {
        let whole = BLOCK_HEAD_BYTES + length as usize;
        if whole > rest.len() {
            return;
        }
        let (block, next) = rest.split_at_mut(whole);
        let (head, payload) = block.split_at_mut(BLOCK_HEAD_BYTES);
        match payload.first() {
            Some(1..=7) => rows.update(&*payload),
            Some(8) if payload.len() == LAST_BYTES => {
                let hash: [u8; 32] = rows.clone().finalize().into();
                let place = payload.last_chunk_mut::<32>();
                *place.expect("it is longer than a hash") = hash;
            }
            _ => {}
        }
        let seed = crc32c::crc32c(&number.to_le_bytes());
        put(head, 4..8, crc32c::crc32c_append(seed, payload).to_le_bytes());
        (number, rest) = (number + 1, next);
    }
}
