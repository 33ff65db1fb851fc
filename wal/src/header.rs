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
        let crc = checksum(&bytes, FORMAT_VERSION).to_le_bytes();
        bytes.iter_mut().skip(12).zip(crc).for_each(|(to, from)| *to = from);
        bytes
    }

    /// The header in the first bytes of the file of a segment.
    ///
    /// # Errors
    /// `FormatFromFuture`, or `Corrupt` with what is wrong.
    pub(crate) fn decode(bytes: &[u8], segment: u64, file: &str) -> Result<Self, WalError> {
        let corrupt = |reason: String| WalError::Corrupt {
            segment,
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
        let sound = |format| checksum(bytes, format) == u32_at(bytes, 12);
        // Another format may compute another checksum. One that is right for ours but for the
        // number is no format from the future, it is a changed number.
        if found > FORMAT_VERSION && !sound(FORMAT_VERSION) {
            let supported = FORMAT_VERSION;
            return Err(WalError::FormatFromFuture { file: file.to_owned(), found, supported });
        }
        if !sound(found) || found != FORMAT_VERSION {
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
        let known = header.encode() == bytes;
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

/// Over the header with its checksum zero and its format as given.
fn checksum(header: &[u8], format: u32) -> u32 {
    let (magic, rest) = header.split_at_checked(8).unwrap_or_default();
    let (_, rest) = rest.split_at_checked(8).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(magic), &format.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &[0; 4]), rest)
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One of a segment of 64 KiB that begins at 41.
    pub(crate) fn header() -> Header {
        Header {
            identity: Identity { journal_id: [9; 16], partition: 1, epoch: 2 },
            segment: 3,
            first_sequence: 41,
            segment_bytes: 64 << 10,
            salt: 0x0102_0304_0506_0708,
            durable_upto: 40,
            chain: [5; 32],
        }
    }

    #[test]
    fn header_reads_back_and_no_changed_bit_passes() {
        let bytes = header().encode();
        assert_eq!(bytes.len() as u64, HEADER_BYTES);
        assert_eq!(Header::decode(&bytes, 3, "segment-0000000003.wal").unwrap(), header());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Header::decode(&flipped, 3, "segment-0000000003.wal").unwrap_err();
            assert!(matches!(error, WalError::Corrupt { segment: 3, .. }), "bit {bit}: {error}");
        }
        for cut in [0, 1, 8, 127, 128, 4095] {
            assert!(Header::decode(&bytes[..cut], 3, "a").is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn format_from_the_future_is_named_with_ours() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        bytes[200] = 1;
        let error = Header::decode(&bytes, 3, "segment-0000000003.wal").unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, WalError::FormatFromFuture { found: 2, supported: 1, .. }),
            "{text}"
        );
        assert!(text.contains("format 2") && text.contains("up to 1"), "{text}");
    }

    #[test]
    fn a_file_is_a_segment_only_by_its_exact_name() {
        assert_eq!(file_name(7), "segment-0000000007.wal");
        assert_eq!(segment_of(&file_name(u64::MAX)), Some(u64::MAX));
        for foreign in [
            "segment-7.wal",
            "segment-0000000000.wal",
            "segment-+000000007.wal",
            "segment-0000000007.wal.bak",
            "segment-0000000007.tmp",
            "Segment-0000000007.wal",
            "torn-0000000007-4096.bin",
        ] {
            assert_eq!(segment_of(foreign), None, "{foreign}");
        }
    }
}
