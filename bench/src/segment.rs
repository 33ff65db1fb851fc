//! The bytes of one segment: its header and its frames, read by `schema/journal-format.md`.
//!
//! Header, 4,096 bytes: magic `DOORBWAL`, format u32, crc32c u32 (of the 4,096 bytes with itself
//! zero), journal id 16 bytes, partition u16, 2 zero bytes, epoch u32, segment u64, first sequence
//! u64, segment bytes u64, salt u64, durable upto u64, 16 zero bytes, chain 32 bytes, zeros.
//! Frame, a multiple of 8 bytes: length u32, crc32c u32, sequence u64, durable upto u64, payload,
//! zeros. Its checksum begins with the crc32c of the salt and covers all of it but itself.
//! Integers are little-endian.

use crate::cursor::{Cursor, CursorError};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 4096;
/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 24;

pub(crate) const MAGIC: &[u8; 8] = b"DOORBWAL";
pub(crate) const FORMAT: u32 = 1;
/// Where the header's checksum lies.
pub(crate) const HEADER_CRC: std::ops::Range<usize> = 12..16;

/// A segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose log.
    pub journal_id: [u8; 16],
    /// Which part of it.
    pub partition: u16,
    /// Who owns it.
    pub epoch: u32,
    /// Number of the segment.
    pub segment: u64,
    /// Sequence of its first frame.
    pub first_sequence: u64,
    /// The sequence that was durable when the file got its name, so its frames up to there are too.
    pub durable_upto: u64,
    /// SHA-256 over header and frames of the segment before.
    pub chain: [u8; 32],
    pub(crate) seed: u32,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its place in the log.
    pub sequence: u64,
    /// The sequence that was durable when it was written.
    pub durable_upto: u64,
    /// What it holds.
    pub payload: &'a [u8],
    /// All its bytes, with header and zeros.
    pub bytes: usize,
}

impl Header {
    /// The header at the start of a segment's bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>().ok_or("shorter than a header")?;
        let mut unsigned = *bytes;
        unsigned.get_mut(HEADER_CRC).unwrap_or_default().fill(0);
        let (header, crc) = Self::fields(bytes).map_err(|error| error.to_string())?;
        if crc32c::crc32c(&unsigned) == crc {
            Ok(header)
        } else {
            Err("the header's checksum does not match".to_owned())
        }
    }

    fn fields(bytes: &[u8; HEADER_BYTES]) -> Result<(Self, u32), CursorError> {
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.array::<8>("magic")?;
        if magic != *MAGIC {
            return Err(CursorError::Value { what: "magic", found: u64::from_le_bytes(magic) });
        }
        let format = cursor.u32("format")?;
        if format != FORMAT {
            return Err(CursorError::Value { what: "format", found: u64::from(format) });
        }
        let crc = cursor.u32("checksum")?;
        let journal_id = cursor.array("journal id")?;
        let partition = cursor.u16("partition")?;
        cursor.take(2, "zeros")?;
        let epoch = cursor.u32("epoch")?;
        let segment = cursor.u64("segment")?;
        let first_sequence = cursor.u64("first sequence")?;
        cursor.u64("segment bytes")?;
        let salt: [u8; 8] = cursor.array("salt")?;
        let durable_upto = cursor.u64("durable upto")?;
        if first_sequence == 0 || durable_upto < first_sequence - 1 {
            return Err(CursorError::Value { what: "durable upto", found: durable_upto });
        }
        cursor.take(16, "zeros")?;
        let chain = cursor.array("chain")?;
        let seed = crc32c::crc32c(&salt);
        let header = Self {
            journal_id,
            partition,
            epoch,
            segment,
            first_sequence,
            durable_upto,
            chain,
            seed,
        };
        Ok((header, crc))
    }

    /// The sound frame at the start of `bytes`, if there is one.
    #[must_use]
    pub fn frame<'a>(&self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        let mut cursor = Cursor::new(bytes);
        let length = cursor.u32("length").ok()? as usize;
        if length == 0 {
            return None;
        }
        let crc = cursor.u32("checksum").ok()?;
        let sequence = cursor.u64("sequence").ok()?;
        let durable_upto = cursor.u64("durable upto").ok()?;
        let payload = cursor.take(length, "payload").ok()?;
        let whole = (FRAME_HEADER_BYTES + length).next_multiple_of(8);
        let (prefix, covered) = (bytes.get(..4)?, bytes.get(8..whole)?);
        let found = crc32c::crc32c_append(crc32c::crc32c_append(self.seed, prefix), covered);
        (found == crc).then_some(Frame { sequence, durable_upto, payload, bytes: whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn header_and_frame_read_back_and_no_changed_bit_passes() {
        let head = made::header_after(3, 41, 43, [5; 32]);
        let header = Header::parse(&head).expect("a header");
        assert_eq!(header.durable_upto, 43);
        assert_eq!((header.segment, header.first_sequence, header.epoch), (3, 41, 1));
        let frame = made::frame(&head, 41, 40, b"hello");
        let parsed = header.frame(&frame).expect("a frame");
        assert_eq!((parsed.sequence, parsed.durable_upto), (41, 40));
        assert_eq!((parsed.payload, parsed.bytes), (b"hello".as_slice(), 32));
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(header.frame(&flipped), None, "bit {bit}");
        }
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = head.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&flipped).is_err(), "bit {bit}");
        }
        for end in 0..frame.len() {
            assert_eq!(header.frame(&frame[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn what_comes_before_a_segment_was_durable_when_it_got_its_name() {
        let error = Header::parse(&made::header_after(2, 41, 39, [0; 32])).expect_err("a gap");
        assert!(error.contains("durable upto"), "{error}");
    }

    #[test]
    fn a_frame_of_another_segment_does_not_pass() {
        let (one, two) = (made::header(1, 1, [0; 32]), made::header(2, 1, [0; 32]));
        let frame = made::frame(&one, 1, 0, b"hello");
        assert_eq!(Header::parse(&two).expect("a header").frame(&frame), None);
    }
}
