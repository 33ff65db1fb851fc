//! Bytes of a payload: kind (u16), version (u16), then bincode 2 with fixed-width little-endian
//! integers. schema/journal-format.md describes every kind; golden files hold it to that.
//!
//! Decoding takes bytes from a disk: it refuses, it never panics, and what it allocates grows with
//! the bytes there are, never with a length they claim.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Serialize, de::DeserializeOwned};

use super::record::{Envelope, Kind, Payload, Record};
use crate::domain::Decision;

/// Largest payload: a sale of 10,000 products takes 120 KB, an order of 1,000 lines 60 KB.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 10;

/// Version of every kind so far.
const VERSION: u16 = 1;
const PREFIX_BYTES: usize = 4;

type Format = Configuration<LittleEndian, Fixint, Limit<PAYLOAD_BYTES_MAX>>;
const FORMAT: Format = bincode::config::standard()
    .with_little_endian()
    .with_fixed_int_encoding()
    .with_limit::<PAYLOAD_BYTES_MAX>();

/// Why bytes are no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not even a kind and a version.
    #[error("payload of {0} bytes is too short")]
    TooShort(usize),
    /// A kind or version this binary does not know: a newer one wrote it.
    #[error(
        "a record has kind {kind} version {version}, this binary reads kinds 1 to {} in version \
         {VERSION}",
        Kind::ALL.len()
    )]
    FromFuture {
        /// Number found.
        kind: u16,
        /// Version found.
        version: u16,
    },
    /// The body does not decode.
    #[error("{kind} does not decode: {reason}")]
    Body {
        /// Which kind.
        kind: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// The body ends before the payload.
    #[error("{kind} leaves {bytes} bytes behind it")]
    Trailing {
        /// Which kind.
        kind: &'static str,
        /// How many bytes.
        bytes: usize,
    },
}

/// Appends the bytes of `payload` to `out`.
///
/// # Panics
/// When they pass [`PAYLOAD_BYTES_MAX`]: whoever decided checks the bounds first.
pub fn encode(payload: &Payload, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&(payload.kind() as u16).to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    match payload {
        Payload::Watermark => {}
        Payload::Started(started) => put(started, out),
        Payload::Record(record) => {
            let envelope = &record.envelope;
            match &record.decision {
                Decision::ProductCreated(body) => put(&(envelope, body), out),
                Decision::TermsChanged(body) => put(&(envelope, body), out),
                Decision::StockAdjusted(body) => put(&(envelope, body), out),
                Decision::OrderPlaced(body) => put(&(envelope, body), out),
                Decision::RefusalsCounted(body) => put(&(envelope, body), out),
            }
        }
    }
    assert!(out.len() - start <= PAYLOAD_BYTES_MAX, "a payload of {} bytes", out.len() - start);
}

fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let written = bincode::serde::encode_into_std_write(value, out, FORMAT);
    assert!(written.is_ok(), "our own values encode: {written:?}");
}

/// The payload of these bytes.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<Payload, DecodeError> {
    let (kind, body) = kind(bytes)?;
    let record = |(envelope, decision): (Envelope, Decision)| {
        Payload::Record(Box::new(Record { envelope, decision }))
    };
    Ok(match kind {
        Kind::Watermark => take::<()>(kind, body).map(|()| Payload::Watermark)?,
        Kind::Started => Payload::Started(take(kind, body)?),
        Kind::ProductCreated => {
            let (envelope, body) = take(kind, body)?;
            record((envelope, Decision::ProductCreated(body)))
        }
        Kind::TermsChanged => {
            let (envelope, body) = take(kind, body)?;
            record((envelope, Decision::TermsChanged(body)))
        }
        Kind::StockAdjusted => {
            let (envelope, body) = take(kind, body)?;
            record((envelope, Decision::StockAdjusted(body)))
        }
        Kind::OrderPlaced => {
            let (envelope, body) = take(kind, body)?;
            record((envelope, Decision::OrderPlaced(body)))
        }
        Kind::RefusalsCounted => {
            let (envelope, body) = take(kind, body)?;
            record((envelope, Decision::RefusalsCounted(body)))
        }
    })
}

/// The kind that bytes say they are, and the rest of them.
///
/// # Errors
/// `TooShort`, `FromFuture`.
pub(super) fn kind(bytes: &[u8]) -> Result<(Kind, &[u8]), DecodeError> {
    let short = DecodeError::TooShort(bytes.len());
    let Some(([k0, k1, v0, v1], body)) = bytes.split_first_chunk() else { return Err(short) };
    let (number, version) = (u16::from_le_bytes([*k0, *k1]), u16::from_le_bytes([*v0, *v1]));
    match Kind::from_number(number) {
        Some(kind) if version == VERSION => Ok((kind, body)),
        _ => Err(DecodeError::FromFuture { kind: number, version }),
    }
}

fn take<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, DecodeError> {
    let kind = kind.as_str();
    let (value, used) = bincode::serde::decode_from_slice(body, FORMAT)
        .map_err(|error| DecodeError::Body { kind, reason: error.to_string() })?;
    match body.len() - used {
        0 => Ok(value),
        bytes => Err(DecodeError::Trailing { kind, bytes }),
    }
}

/// An upper bound of a payload's bytes before it is decided: what a permit reserves.
///
/// `lines` of an order, `changes` to products, `text_bytes` of names, texts and ids in the body.
#[must_use]
pub fn payload_bytes_bound(lines: usize, changes: usize, text_bytes: usize) -> usize {
    // Envelope: time 8, principal and reference 8 + 64 each and an option byte, key 25, changes'
    // length 8; body: every fixed field of the largest kind fits in 192.
    const FIXED: usize = PREFIX_BYTES + 8 + 72 + 73 + 25 + 8 + 192;
    const CHANGE: usize = 12;
    // Handle 4, quantity 4, price option 1, amount 8, currency 3.
    const LINE: usize = 20;
    FIXED + changes * CHANGE + lines * LINE + text_bytes
}
