//! What is seen of a payload without decoding it: for passes over a whole log that want few records.

use doorbuster_wal::Entry;

use super::codec::kind;
use super::{DecodeError, JournalError, Kind};

/// The beginning of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    /// Which kind of record it is.
    pub kind: Kind,
    /// When it was decided or started; a watermark has no time of its own.
    pub at_ms: Option<u64>,
}

/// Looks at the beginning of a payload. Cost: a few bytes, whatever it holds.
///
/// # Errors
/// It has no kind that this binary knows, or ends before its time does.
pub fn peek(payload: &[u8]) -> Result<Peek, DecodeError> {
    let (kind, body) = kind(payload)?;
    // Every body but a watermark's begins with its time.
    let at_ms = match kind {
        Kind::Watermark => None,
        _ => Some(body.first_chunk().ok_or(DecodeError::TooShort(payload.len()))?),
    };
    Ok(Peek { kind, at_ms: at_ms.map(|bytes| u64::from_le_bytes(*bytes)) })
}

/// The error of a record that does not decode: damage, or of a newer binary.
#[must_use]
pub fn undecoded(entry: &Entry<'_>, error: &DecodeError) -> JournalError {
    match (entry.corrupt(error.to_string()), error) {
        (
            JournalError::Corrupt { file, offset, sequence: Some(sequence), reason, .. },
            DecodeError::FromFuture { .. },
        ) => JournalError::RecordFromFuture { file, offset, sequence, reason },
        (error, _) => error,
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::{Payload, Started, encode};

    use super::*;

    #[test]
    fn peek_tells_kind_and_time_and_refuses_what_has_none() {
        let mut bytes = Vec::new();
        encode(&Payload::Watermark, &mut bytes);
        assert_eq!(peek(&bytes), Ok(Peek { kind: Kind::Watermark, at_ms: None }));
        bytes.clear();
        encode(&Payload::Started(Started { started_at_ms: 77, binary: "b".into() }), &mut bytes);
        assert_eq!(peek(&bytes), Ok(Peek { kind: Kind::Started, at_ms: Some(77) }));
        for cut in 0..12 {
            assert_eq!(peek(&bytes[..cut]), Err(DecodeError::TooShort(cut)));
        }
    }
}
