//! What a log has beside its live segments: closed ones in `archive/`, compressed, and the word of
//! where a pruned log begins.
//!
//! An archived segment is a series of zstd frames and a table in a skippable frame; it is unpacked
//! whole, by another decoder than the one that packed it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use crate::cursor::{Cursor, CursorError};
use crate::segment::{HEADER_BYTES, Header};

/// The directory of archived segments, in the journal's.
pub(crate) const ARCHIVE_DIR: &str = "archive";
/// The first zstd frame holds the header alone, and cannot be longer than this.
const PACKED_HEADER_BYTES_MAX: usize = HEADER_BYTES + 1024;
/// What ends the name of an archived segment, behind that of the segment.
const ARCHIVED: &str = ".zst";

const MARKER_MAGIC: &[u8; 8] = b"DOORBPRN";
const MARKER_VERSION: u32 = 1;
const MARKER_BYTES: usize = 88;
const MARKER_CRC: std::ops::Range<usize> = 12..16;

/// The segment that a pruned log begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) journal_id: [u8; 16],
    pub(crate) partition: u16,
    pub(crate) segment: u64,
    pub(crate) first_sequence: u64,
    pub(crate) chain: [u8; 32],
}

/// The archived form of a segment's path.
pub(crate) fn archived(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    Some(path.parent()?.join(ARCHIVE_DIR).join(format!("{name}{ARCHIVED}")))
}

/// The name of the segment that an archived file holds.
pub(crate) fn unarchived(name: &str) -> Option<&str> {
    name.strip_suffix(ARCHIVED)
}

/// Whether a path is that of an archived segment.
pub(crate) fn is_archived(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

/// All bytes of a segment, wherever it lies: a running engine may archive it meanwhile.
pub(crate) fn read_segment(path: &Path) -> io::Result<Vec<u8>> {
    if is_archived(path) {
        return unpack(&std::fs::read(path)?, usize::MAX);
    }
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match archived(path) {
            Some(path) => read_segment(&path).map_err(|_| error),
            None => Err(error),
        },
        read => read,
    }
}

/// The bytes of a segment's header.
pub(crate) fn read_header(path: &Path) -> io::Result<Vec<u8>> {
    let start = |path: &Path, bytes: usize| {
        let mut start = Vec::new();
        std::fs::File::open(path)?.take(bytes as u64).read_to_end(&mut start)?;
        io::Result::Ok(start)
    };
    if is_archived(path) {
        return unpack(&start(path, PACKED_HEADER_BYTES_MAX)?, HEADER_BYTES);
    }
    match start(path, HEADER_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match archived(path) {
            Some(path) => read_header(&path).map_err(|_| error),
            None => Err(error),
        },
        read => read,
    }
}

/// Unpacks zstd frames up to the end, or until there are `enough` bytes.
fn unpack(mut packed: &[u8], enough: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while !packed.is_empty() && bytes.len() < enough {
        let skipped = match StreamingDecoder::new(&mut packed) {
            Ok(mut decoder) => {
                decoder.read_to_end(&mut bytes)?;
                let decoder = decoder.into_frame_decoder();
                let (said, found) =
                    (decoder.get_checksum_from_data(), decoder.get_calculated_checksum());
                if said.is_none() || said != found {
                    return Err(invalid("a zstd frame without its checksum, or with another"));
                }
                0
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => length as usize,
            Err(error) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string()));
            }
        };
        let rest = packed.get(skipped..);
        packed = rest.ok_or_else(|| invalid("it ends inside a skippable frame"))?;
    }
    Ok(bytes)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Marker {
    /// The number in the name of a marker.
    pub(crate) fn number(name: &str) -> Option<u64> {
        let digits = name.strip_prefix("pruned-")?.strip_suffix(".bin")?;
        let ten = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| ten)
    }

    /// A marker's bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes: &[u8; MARKER_BYTES] =
            bytes.try_into().map_err(|_| format!("it has {} bytes", bytes.len()))?;
        let mut unsigned = *bytes;
        unsigned.get_mut(MARKER_CRC).unwrap_or_default().fill(0);
        let (marker, crc) = Self::fields(bytes).map_err(|error| error.to_string())?;
        if crc32c::crc32c(&unsigned) == crc {
            Ok(marker)
        } else {
            Err("its checksum does not match".to_owned())
        }
    }

    fn fields(bytes: &[u8]) -> Result<(Self, u32), CursorError> {
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.array::<8>("magic")?;
        if magic != *MARKER_MAGIC {
            return Err(CursorError::Value { what: "magic", found: u64::from_le_bytes(magic) });
        }
        let version = cursor.u32("version")?;
        if version != MARKER_VERSION {
            return Err(CursorError::Value { what: "version", found: u64::from(version) });
        }
        let crc = cursor.u32("checksum")?;
        let (journal_id, partition) = (cursor.array("journal id")?, cursor.u16("partition")?);
        cursor.take(6, "zeros")?;
        let (segment, first_sequence) = (cursor.u64("segment")?, cursor.u64("first sequence")?);
        let chain = cursor.array("chain")?;
        cursor.end()?;
        Ok((Self { journal_id, partition, segment, first_sequence, chain }, crc))
    }

    /// Whether the header of the segment it names says the same.
    pub(crate) fn agrees(&self, header: &Header) -> bool {
        let said = (self.journal_id, self.partition, self.segment);
        said == (header.journal_id, header.partition, header.segment)
            && (self.first_sequence, self.chain) == (header.first_sequence, header.chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn no_changed_bit_of_a_marker_passes() {
        let bytes = made::marker(3, 41, [5; 32]);
        let marker = Marker::parse(&bytes).expect("a marker");
        let header = Header::parse(&made::header(3, 41, [5; 32])).expect("a header");
        assert!(marker.agrees(&header));
        let other = Header::parse(&made::header(3, 42, [5; 32])).expect("a header");
        assert!(!marker.agrees(&other));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Marker::parse(&flipped).is_err(), "bit {bit}");
        }
        assert_eq!(Marker::number("pruned-0000000003.bin"), Some(3));
        assert_eq!(Marker::number("pruned-3.bin"), None);
    }

    #[test]
    fn packed_frames_are_read_whole_and_a_changed_one_is_not() {
        let parts = [vec![1_u8; 5_000], (0..200_u8).cycle().take(70_000).collect()];
        let packed = made::packed(&parts);
        assert_eq!(unpack(&packed, usize::MAX).expect("packed"), parts.concat());
        assert_eq!(unpack(&packed, 1).expect("packed"), parts[0]);
        let frames = packed.len() - made::SEEK_TABLE_BYTES;
        for place in (0..frames).step_by(7) {
            let mut changed = packed.clone();
            changed[place] ^= 1;
            let read = unpack(&changed, usize::MAX);
            assert!(read.is_err_and(|error| error.kind() != io::ErrorKind::NotFound), "{place}");
        }
    }
}
