//! The header of a segment.

use doorbuster_wal::Header;

use crate::log::{HEADER_BYTES, SEGMENT_BYTES, header, open, put_checksum};
use crate::{flipped, some_bit};

/// What decodes is what the document lays out, and no flipped bit of it passes.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut bytes = bytes.get(..HEADER_BYTES).unwrap_or(bytes).to_vec();
    // Behind what there is the file has zeros.
    bytes.resize(HEADER_BYTES, 0);
    decoded(&bytes);
    // Of the size that the only segment of a log must have here, or the file's length is refused.
    if let Some(size) = bytes.get_mut(56..64) {
        size.copy_from_slice(&(SEGMENT_BYTES as u64).to_le_bytes());
    }
    put_checksum(&mut bytes);
    if decoded(&bytes).is_some() {
        let bit = some_bit(&bytes);
        assert!(decoded(&flipped(&bytes, bit)).is_none(), "bit {bit} passes");
    }
}

fn decoded(bytes: &[u8]) -> Option<Header> {
    let scan = open(bytes, SEGMENT_BYTES).ok()?;
    let found = *scan.headers().first()?;
    assert!(header(&found) == bytes, "two ways to say {found:?}");
    Some(found)
}
