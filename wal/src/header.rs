//! The header of a segment: whose log, which part of it, and the digest of all before.
//!
//! Alone in its first 4 KiB, so that no batch ever writes the page it lies on again.

use sha2::{Digest, Sha256};

use crate::{Identity, Options, WalError};

/// Bytes of a header on disk.
pub const HEADER_BYTES: u64 = 4096;
/// Newest format this crate reads; the one it writes.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"DOORBWAL";
const USED: usize = 128;

/// A segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose log.
    pub identity: Identity,
    /// Number of the segment, from 1.
    pub segment: u64,
    /// Sequence of its first record.
    pub first_sequence: u64,
    /// Full size of its file while it is written.
    pub segment_bytes: u64,
    /// Random; seeds the checksums of its frames, so that bytes of another life of the same
    /// blocks, or of somebody's payload, never pass for a frame.
    pub salt: u64,
    /// What was on stable storage when the file got its name: of a segment begun at a start, its
    /// own first frames too, because they were synced before.
    pub durable_upto: u64,
    /// SHA-256 over header and frames of the segment before, which has the one before in its
    /// header; zero in the first segment.
    pub chain: [u8; 32],
}

impl Header {
    /// The bytes on disk.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.identity.journal_id);
        bytes.extend_from_slice(&self.identity.partition.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.identity.epoch.to_le_bytes());
        let Self { segment, first_sequence, segment_bytes, salt, durable_upto, .. } = *self;
        for number in [segment, first_sequence, segment_bytes, salt, durable_upto] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&self.chain);
        assert_eq!(bytes.len(), USED, "the layout of schema/journal-format.md");
        bytes.resize(HEADER_BYTES as usize, 0);
        let crc = crc32c::crc32c(&bytes).to_le_bytes();
        bytes.iter_mut().skip(12).zip(crc).for_each(|(to, from)| *to = from);
        bytes
    }

    /// The header in the first bytes of a file.
    ///
    /// # Errors
    /// `FormatFromFuture`, or `Corrupt` with what is wrong.
    pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Self, WalError> {
        let corrupt = |reason: String| WalError::Corrupt {
            segment: 0,
            file: file.to_owned(),
            offset: 0,
            sequence: None,
            reason,
        };
        let bytes = bytes
            .get(..HEADER_BYTES as usize)
            .ok_or_else(|| corrupt(format!("{} bytes are no whole header", bytes.len())))?;
        if !bytes.starts_with(&MAGIC) {
            return Err(corrupt("it does not begin as a segment does".to_owned()));
        }
        let found = u32_at(bytes, 8);
        // Before the checksum: another format may compute another.
        if found > FORMAT_VERSION {
            let supported = FORMAT_VERSION;
            return Err(WalError::FormatFromFuture { file: file.to_owned(), found, supported });
        }
        let mut unsigned = bytes.to_vec();
        unsigned.iter_mut().skip(12).take(4).for_each(|byte| *byte = 0);
        if crc32c::crc32c(&unsigned) != u32_at(bytes, 12) {
            return Err(corrupt("the header's checksum does not match".to_owned()));
        }
        let header = Self {
            identity: Identity {
                journal_id: array_at(bytes, 16),
                partition: u16::from_le_bytes(array_at(bytes, 32)),
                epoch: u32_at(bytes, 36),
            },
            segment: u64_at(bytes, 40),
            first_sequence: u64_at(bytes, 48),
            segment_bytes: u64_at(bytes, 56),
            salt: u64_at(bytes, 64),
            durable_upto: u64_at(bytes, 72),
            chain: array_at(bytes, 96),
        };
        let sizes = Options::SEGMENT_BYTES_MIN..=Options::SEGMENT_BYTES_MAX;
        let known = found == FORMAT_VERSION && header.encode() == bytes;
        let placed = header.first_sequence > 0 && header.durable_upto >= header.first_sequence - 1;
        if !known || !placed || !sizes.contains(&header.segment_bytes) {
            return Err(corrupt("the header holds what no log writes".to_owned()));
        }
        Ok(header)
    }

    /// Starts the digest of this segment: the header's bytes; frames follow.
    pub(crate) fn digest(&self) -> Sha256 {
        let mut digest = Sha256::new();
        digest.update(self.encode());
        digest
    }

    /// What frames' checksums begin with.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.salt.to_le_bytes())
    }
}

/// The file of a segment.
pub(crate) fn file_name(segment: u64) -> String {
    format!("segment-{segment:010}.wal")
}

/// The segment of a file, if it is one.
pub(crate) fn segment_of(file: &str) -> Option<u64> {
    let digits = file.strip_prefix("segment-")?.strip_suffix(".wal")?;
    let number = digits.parse().ok()?;
    (number > 0 && file_name(number) == file).then_some(number)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|slice| slice.try_into().ok()).unwrap_or([0; N])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
