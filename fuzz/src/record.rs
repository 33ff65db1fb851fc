//! The payload of a record.

use doorbuster::journal::{decode, encode};

/// What decodes encodes to the same bytes.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(payload) = decode(bytes) else { return };
    let mut again = Vec::new();
    encode(&payload, &mut again);
    assert!(again == bytes, "two ways to say {payload:?}");
}
