//! A log of one segment, put together from bytes by schema/journal-format.md.

use std::sync::Arc;

use doorbuster_wal::{Header, MemStorage, Scan, Storage, WalError};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Bytes of a segment here: the least there may be.
pub(crate) const SEGMENT_BYTES: usize = 64 << 10;

const FILE: &str = "segment-0000000001.wal";
const CHECKSUM: std::ops::Range<usize> = 12..16;

/// A header as the document lays it out.
pub(crate) fn header(header: &Header) -> Vec<u8> {
    let identity = &header.identity;
    let mut bytes = b"DOORBWAL".to_vec();
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&identity.journal_id);
    bytes.extend_from_slice(&identity.partition.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&identity.epoch.to_le_bytes());
    for number in [
        header.segment,
        header.first_sequence,
        header.segment_bytes,
        header.salt,
        header.durable_upto,
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&header.chain);
    bytes.resize(HEADER_BYTES, 0);
    put_checksum(&mut bytes);
    bytes
}

/// Puts a header's checksum right.
pub(crate) fn put_checksum(header: &mut [u8]) {
    put(header, CHECKSUM, [0; 4]);
    let crc = crc32c::crc32c(header).to_le_bytes();
    put(header, CHECKSUM, crc);
}

/// Writes four bytes where they are.
pub(crate) fn put(bytes: &mut [u8], at: std::ops::Range<usize>, four: [u8; 4]) {
    if let Some(place) = bytes.get_mut(at) {
        place.copy_from_slice(&four);
    }
}

/// Opens a log whose only segment begins with these bytes and is zeros behind them.
pub(crate) fn open(bytes: &[u8], segment_bytes: usize) -> Result<Scan, WalError> {
    let mut file = bytes.to_vec();
    file.resize(segment_bytes, 0);
    let storage = MemStorage::new();
    storage.set_bytes(FILE, file);
    let storage: Arc<dyn Storage> = Arc::new(storage);
    Scan::open(storage)
}
