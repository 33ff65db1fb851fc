//! Frames: one record each, aligned to 8 bytes.
//!
//! length u32, crc32c u32, sequence u64, durable_upto u64, payload, zeros to the next multiple of
//! 8. The checksum begins with the segment's seed and covers everything but itself.

use crate::Entry;

/// Bytes before the payload.
pub const FRAME_HEADER_BYTES: usize = 24;

/// A sound frame in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) sequence: u64,
    pub(crate) durable_upto: u64,
    pub(crate) payload: &'a [u8],
    /// With header and padding.
    pub(crate) bytes: usize,
}

impl<'a> Frame<'a> {
    /// The record that it is, where it lies.
    pub(crate) fn entry(&self, segment: u64, offset: u64) -> Entry<'a> {
        let Self { sequence, durable_upto, payload, .. } = *self;
        Entry { sequence, durable_upto, payload, segment, offset }
    }
}

/// Why there is no sound frame at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoFrame {
    /// The buffer ends before the frame does; it has at least this many bytes.
    Short(usize),
    /// A length no frame has.
    Length(u32),
    /// The checksum does not match.
    Checksum,
    /// Behind the payload stands something else than zeros.
    Padding,
    /// A sound frame of another place.
    Sequence(u64),
    /// A sound frame that says of records after it that they were durable.
    Durable(u64),
}

impl std::fmt::Display for NoFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short(bytes) => write!(f, "a frame of {bytes} bytes does not end in the file"),
            Self::Length(length) => write!(f, "no frame has a payload of {length} bytes"),
            Self::Checksum => f.write_str("the frame's checksum does not match"),
            Self::Padding => f.write_str("the frame is not filled up with zeros"),
            Self::Sequence(found) => write!(f, "a frame of sequence {found} stands there"),
            Self::Durable(upto) => write!(f, "a frame says that {upto}, after it, was durable"),
        }
    }
}

/// Bytes of a frame with a payload of `payload_bytes`.
pub(crate) const fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(8)
}

/// Appends a frame without checksum and watermark; [`seal`] adds both.
pub(crate) fn put(out: &mut Vec<u8>, sequence: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a payload is bounded far below 4 GiB");
    assert!(length > 0, "an empty payload would look like the end of the log");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// Gives a frame made by [`put`] its watermark and its checksum.
pub(crate) fn seal(frame: &mut [u8], durable_upto: u64, seed: u32) {
    let watermark = frame.get_mut(16..24).expect("a frame has a header");
    watermark.copy_from_slice(&durable_upto.to_le_bytes());
    let crc = checksum(frame, seed);
    let place = frame.get_mut(4..8).expect("a frame has a header");
    place.copy_from_slice(&crc.to_le_bytes());
}

/// The frame at the beginning of `bytes`, which may hold anything.
pub(crate) fn parse(bytes: &[u8], seed: u32) -> Result<Frame<'_>, NoFrame> {
    let Some((header, _)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err(NoFrame::Short(FRAME_HEADER_BYTES));
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3, s0, s1, s2, s3, s4, s5, s6, s7, rest @ ..] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if length == 0 || u64::from(length) > crate::Options::SEGMENT_BYTES_MAX {
        return Err(NoFrame::Length(length));
    }
    let whole = frame_bytes(length as usize);
    let frame = bytes.get(..whole).ok_or(NoFrame::Short(whole))?;
    if checksum(frame, seed) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(NoFrame::Checksum);
    }
    let end = FRAME_HEADER_BYTES + length as usize;
    // No log writes it: one record has one form.
    if frame.get(end..).unwrap_or_default().iter().any(|byte| *byte != 0) {
        return Err(NoFrame::Padding);
    }
    Ok(Frame {
        sequence: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        durable_upto: u64::from_le_bytes(rest),
        payload: frame.get(FRAME_HEADER_BYTES..end).unwrap_or_default(),
        bytes: whole,
    })
}

/// What the bytes at the place of a watermark say; checked by nothing, cheap to ask.
pub(crate) fn claimed_durable_upto(bytes: &[u8]) -> Option<u64> {
    let (header, _) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
    header.last_chunk::<8>().map(|upto| u64::from_le_bytes(*upto))
}

/// What the bytes at the place of a sequence say; checked by nothing, cheap to ask.
pub(crate) fn claimed_sequence(bytes: &[u8]) -> Option<u64> {
    let (header, _) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
    let [_, _, _, _, _, _, _, _, sequence @ .., _, _, _, _, _, _, _, _] = *header;
    Some(u64::from_le_bytes(sequence))
}

/// Length of the frame made by [`put`] at the beginning of `bytes`.
pub(crate) fn own_frame_bytes(bytes: &[u8]) -> usize {
    let length = bytes.first_chunk::<4>().expect("a frame has a header");
    frame_bytes(u32::from_le_bytes(*length) as usize)
}

fn checksum(frame: &[u8], seed: u32) -> u32 {
    let (length, rest) = frame.split_at(4);
    let (_, covered) = rest.split_at(4);
    crc32c::crc32c_append(crc32c::crc32c_append(seed, length), covered)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The frame of a record, as it lies in a segment.
    pub(crate) fn sealed(sequence: u64, durable_upto: u64, payload: &[u8], seed: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, sequence, payload);
        seal(&mut bytes, durable_upto, seed);
        bytes
    }

    #[test]
    fn frame_reads_back_and_no_changed_bit_and_no_cut_passes() {
        for payload in [&b"x"[..], b"12345678", &[7; 1000]] {
            let frame = sealed(7, 6, payload, 3);
            assert_eq!(frame.len(), frame_bytes(payload.len()));
            assert_eq!(own_frame_bytes(&frame), frame.len());
            let expected = Frame { sequence: 7, durable_upto: 6, payload, bytes: frame.len() };
            assert_eq!(parse(&frame, 3), Ok(expected));
            assert_eq!(parse(&frame, 4), Err(NoFrame::Checksum), "another segment's");
            for bit in 0..frame.len() * 8 {
                let mut flipped = frame.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(parse(&flipped, 3).is_err(), "bit {bit}");
            }
            for cut in 0..frame.len() {
                assert!(matches!(parse(&frame[..cut], 3), Err(NoFrame::Short(_))), "{cut}");
            }
        }
    }

    #[test]
    fn frame_that_is_not_filled_up_with_zeros_is_none_though_its_checksum_is_right() {
        for (payload, padding) in [(&b"x"[..], 7), (b"1234567", 1)] {
            for at in 1..=padding {
                let mut frame = sealed(7, 6, payload, 3);
                let place = frame.len() - at;
                frame[place] = 1;
                seal(&mut frame, 6, 3);
                assert_eq!(parse(&frame, 3), Err(NoFrame::Padding), "{at} before the end");
            }
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(parse(&[0; 64], 0), Err(NoFrame::Length(0)));
    }

    proptest! {
        #[test]
        fn bytes_that_may_be_anything_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse(&bytes, 1).is_err());
        }
    }
}
