//! Bytes of a payload: kind (u16), version (u16), then bincode 2 with fixed-width little-endian
//! integers. schema/journal-format.md describes every kind; golden files hold it to that. Orders,
//! which are most of a log, take a short way to the same bytes: `order`.
//!
//! Decoding takes bytes from a disk: it refuses, it never panics, and what it allocates grows with
//! the bytes there are, never with a length they claim.

pub(super) mod bytes;
mod order;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Serialize, de::DeserializeOwned};

use super::record::{Envelope, Kind, Payload, Record};
use crate::domain::Decision;

/// Largest payload: a sale of 10,000 products takes 120 KB, a hold of 1,000 lines and products that
/// is confirmed in part 52 KB.
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
/// When a record passes [`PAYLOAD_BYTES_MAX`]: whoever decided checks the bounds first.
pub fn encode(payload: &Payload, out: &mut Vec<u8>) {
    match payload {
        Payload::Watermark => head(payload.kind(), out),
        Payload::Started(started) => {
            head(payload.kind(), out);
            put(started, out);
        }
        Payload::Record(record) => encode_record(record, out),
    }
}

/// Appends the bytes of a payload that is `record` to `out`.
///
/// # Panics
/// As [`encode`].
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    head(record.kind(), out);
    let envelope = &record.envelope;
    match &record.decision {
        Decision::ProductCreated(body) => put(&(envelope, body), out),
        Decision::TermsChanged(body) => put(&(envelope, body), out),
        Decision::StockAdjusted(body) => put(&(envelope, body), out),
        Decision::OrderPlaced(body) => order::put(envelope, body, out),
        Decision::RefusalsCounted(body) => put(&(envelope, body), out),
        Decision::HoldPlaced(body) => put(&(envelope, body), out),
        Decision::HoldExtended(body) => put(&(envelope, body), out),
        Decision::HoldConfirmed(body) => put(&(envelope, body), out),
        Decision::HoldReleased(body) | Decision::HoldExpired(body) => put(&(envelope, body), out),
        Decision::OrderCancelled(body) => put(&(envelope, body), out),
        Decision::SellingPaused(body) => put(&(envelope, body), out),
    }
    assert!(out.len() - start <= PAYLOAD_BYTES_MAX, "a payload of {} bytes", out.len() - start);
}

fn head(kind: Kind, out: &mut Vec<u8>) {
    out.extend_from_slice(&(kind as u16).to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
}

fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let written = bincode::serde::encode_into_std_write(value, out, FORMAT);
    assert!(written.is_ok(), "our own values encode: {written:?}");
}

/// Appends the bytes of a snapshot's row to `out`: the same form as a record's body.
pub(super) fn put_row<T: Serialize>(row: &T, out: &mut Vec<u8>) {
    put(row, out);
}

/// The row that these bytes begin with, and how many of them it takes.
///
/// # Errors
/// What the decoder says.
pub(super) fn take_row<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), String> {
    match bincode::serde::borrow_decode_from_slice(bytes, FORMAT) {
        // It would be read for ever.
        Ok((_, 0)) => Err("it has no bytes".to_owned()),
        Ok(row) => Ok(row),
        Err(error) => Err(error.to_string()),
    }
}

/// The payload of these bytes.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<Payload, DecodeError> {
    let mut payload = Payload::default();
    decode_into(bytes, &mut payload)?;
    Ok(payload)
}

/// As [`decode`], in the place of another payload: a record is large, and moving one costs as much as
/// decoding it.
///
/// # Errors
/// As [`decode`]; what is in the place then is not said.
pub(super) fn decode_into(bytes: &[u8], payload: &mut Payload) -> Result<(), DecodeError> {
    let (kind, body) = kind(bytes)?;
    if kind == Kind::OrderPlaced && order::take(body, payload) {
        return Ok(());
    }
    *payload = decode_any(kind, body)?;
    Ok(())
}

/// Apart from [`decode_into`], whose every call would make room for what only this one needs.
#[inline(never)]
fn decode_any(kind: Kind, body: &[u8]) -> Result<Payload, DecodeError> {
    Ok(match kind {
        Kind::Watermark => take::<()>(kind, body).map(|()| Payload::Watermark)?,
        Kind::Started => Payload::Started(take(kind, body)?),
        Kind::ProductCreated => record(kind, body, Decision::ProductCreated)?,
        Kind::TermsChanged => record(kind, body, Decision::TermsChanged)?,
        Kind::StockAdjusted => record(kind, body, Decision::StockAdjusted)?,
        Kind::OrderPlaced => record(kind, body, Decision::OrderPlaced)?,
        Kind::RefusalsCounted => record(kind, body, Decision::RefusalsCounted)?,
        Kind::HoldPlaced => record(kind, body, Decision::HoldPlaced)?,
        Kind::HoldExtended => record(kind, body, Decision::HoldExtended)?,
        Kind::HoldConfirmed => record(kind, body, Decision::HoldConfirmed)?,
        Kind::HoldReleased => record(kind, body, Decision::HoldReleased)?,
        Kind::HoldExpired => record(kind, body, Decision::HoldExpired)?,
        Kind::OrderCancelled => record(kind, body, Decision::OrderCancelled)?,
        Kind::SellingPaused => record(kind, body, Decision::SellingPaused)?,
    })
}

fn record<T: DeserializeOwned>(
    kind: Kind,
    body: &[u8],
    decision: impl FnOnce(T) -> Decision,
) -> Result<Payload, DecodeError> {
    let (envelope, body): (Envelope, T) = take(kind, body)?;
    Ok(Payload::Record(Record { envelope, decision: decision(body) }))
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
    let (value, used) = bincode::serde::borrow_decode_from_slice(body, FORMAT)
        .map_err(|error| DecodeError::Body { kind, reason: error.to_string() })?;
    match body.len() - used {
        0 => Ok(value),
        bytes => Err(DecodeError::Trailing { kind, bytes }),
    }
}

/// An upper bound of a payload's bytes before it is decided: what a permit reserves.
///
/// `lines` of orders and holds, `changes` to products, `text_bytes` of names, texts and ids in the
/// body. A confirmation of parts has the hold's lines and one more for each part: the line it divides.
#[must_use]
pub fn payload_bytes_bound(lines: usize, changes: usize, text_bytes: usize) -> usize {
    // Envelope: time 8, principal and reference 8 + 64 each and an option byte, key 25, changes'
    // length 8; body: every fixed field of the largest kind fits in 192.
    const FIXED: usize = PREFIX_BYTES + 8 + 72 + 73 + 25 + 8 + 192;
    const CHANGE: usize = 12;
    // Handle 4, quantity 4, price option 1, amount 8, currency 3; of a cancelled line also place 4
    // and a byte.
    const LINE: usize = 25;
    FIXED + changes * CHANGE + lines * LINE + text_bytes
}

#[cfg(test)]
mod tests {
    use smallvec::SmallVec;

    use super::*;
    use crate::domain::{
        AdjustReason, BuyerId, CancelledLine, Change, Currency, Handle, HoldConfirmed, HoldEnded,
        HoldExtended, HoldPlaced, Money, Name, ORDER_LINES_MAX, OrderCancelled, OrderLine,
        OrderPlaced, Patch, Principal, ProductCreated, ProductId, Quantity, Reference, SaleId,
        SellingPaused, Sequence, StockAdjusted, Terms, TermsChanged, TermsPatch, Text, Version,
    };
    use crate::journal::KeyStamp;

    /// Bytes of a decision in an envelope as large as there is.
    fn largest(decision: Decision, changes: usize) -> usize {
        let change = Change { handle: Handle::new(u32::MAX), version: Version::new(u64::MAX) };
        let envelope = Envelope {
            decided_at_ms: u64::MAX,
            principal: Principal::new(&"p".repeat(64)).unwrap(),
            reference: Some(Reference::new(&"r".repeat(64)).unwrap()),
            key: Some(KeyStamp { hash: [255; 16], fingerprint: [255; 8] }),
            changes: SmallVec::from_elem(change, changes),
        };
        let mut bytes = Vec::new();
        encode(&Payload::Record(Record { envelope, decision }), &mut bytes);
        bytes.len()
    }

    fn money() -> Money {
        Money::new(crate::domain::FIGURE_MAX, Currency::new("USD").unwrap()).unwrap()
    }

    /// 200 characters of four bytes.
    fn long() -> String {
        "\u{1f6d2}".repeat(200)
    }

    #[test]
    fn bound_holds_the_largest_record_of_each_kind() {
        let (id, name) = ("i".repeat(64), long());
        let mut terms = Terms::open(Name::new(&name).unwrap());
        (terms.price, terms.low_stock_threshold) = (Some(money()), Some(u32::MAX));
        terms.sale_id = Some(SaleId::new(&id).unwrap());
        let product_id = ProductId::new(&id).unwrap();
        let created = Box::new(ProductCreated { product_id, terms, stock: u64::MAX });
        let bytes = largest(Decision::ProductCreated(created), 1);
        assert!(bytes <= payload_bytes_bound(0, 1, 64 + name.len() + 64), "created: {bytes}");

        let reason = AdjustReason::Other(Text::new(&name).unwrap());
        let (delta, unsold) = (i64::MIN, i64::MIN);
        let product = Handle::new(u32::MAX);
        let adjusted = StockAdjusted { product, delta, reason, stock: u64::MAX, unsold };
        let bytes = largest(Decision::StockAdjusted(Box::new(adjusted)), 1);
        assert!(bytes <= payload_bytes_bound(0, 1, 800), "adjusted: {bytes}");

        for lines in [1, 2, ORDER_LINES_MAX] {
            let placed = OrderPlaced { buyer_id: buyer(), lines: of_lines(lines) };
            let bytes = largest(Decision::OrderPlaced(placed), lines);
            assert!(bytes <= payload_bytes_bound(lines, lines, 64), "{lines} lines: {bytes}");
        }
    }

    fn buyer() -> BuyerId {
        BuyerId::new(&"b".repeat(64)).unwrap()
    }

    fn of_lines(lines: usize) -> SmallVec<[OrderLine; 1]> {
        let quantity = Quantity::new(u64::from(Quantity::MAX)).unwrap();
        let product = Handle::new(u32::MAX);
        let line = OrderLine { product, quantity, unit_price: Some(money()) };
        SmallVec::from_elem(line, lines)
    }

    #[test]
    fn bound_holds_the_largest_record_of_a_hold_and_its_ends() {
        // The bound leaves some room for fields, and 5 bytes a line that only cancellations have.
        let check = |decision: Decision, changes: usize, lines: usize| {
            let (bytes, bound) =
                (largest(decision, changes), payload_bytes_bound(lines, changes, 64));
            assert!(bytes <= bound && bound <= bytes + 256 + 5 * lines, "{bytes} of {bound}");
            assert!(bound <= PAYLOAD_BYTES_MAX / 4, "{bound}");
        };
        let hold = Sequence::new(u64::MAX);
        for lines in [1, 2, ORDER_LINES_MAX] {
            let (buyer_id, expires_at_ms) = (buyer(), u64::MAX);
            let placed = HoldPlaced { buyer_id, lines: of_lines(lines), expires_at_ms };
            check(Decision::HoldPlaced(placed), lines, lines);
            let ended = HoldEnded { hold, buyer_id: buyer(), lines: of_lines(lines) };
            check(Decision::HoldReleased(ended.clone()), lines, lines);
            check(Decision::HoldExpired(ended), lines, lines);
            // Each line divided by a part of its own; none.
            for released in [lines, 0] {
                let order = OrderPlaced { buyer_id: buyer(), lines: of_lines(lines) };
                let confirmed = HoldConfirmed { hold, order, released: of_lines(released) };
                check(Decision::HoldConfirmed(Box::new(confirmed)), lines, lines + released);
            }
        }
        let extended = HoldExtended { hold, expires_at_ms: u64::MAX };
        check(Decision::HoldExtended(extended), 0, 0);
        check(Decision::SellingPaused(SellingPaused { paused: true }), 0, 0);
    }

    #[test]
    fn bound_holds_the_largest_cancellation() {
        for lines in [1, 2, ORDER_LINES_MAX] {
            let line = |(place, line): (u32, OrderLine)| {
                let OrderLine { product, quantity, unit_price } = line;
                CancelledLine { place, product, quantity, unit_price, frees_limit: true }
            };
            let cancelled = OrderCancelled {
                order: Sequence::new(u64::MAX),
                buyer_id: buyer(),
                lines: (0..).zip(of_lines(lines)).map(line).collect(),
                reason: Text::new(&long()).unwrap(),
                restocked: true,
                whole: true,
            };
            let bytes = largest(Decision::OrderCancelled(Box::new(cancelled)), lines);
            let bound = payload_bytes_bound(lines, lines, 64 + long().len());
            assert!(bytes <= bound && bound <= bytes + 256, "{lines} lines: {bytes} of {bound}");
        }
    }

    #[test]
    fn bound_holds_a_whole_sale_with_every_term_set() {
        let sale_id = SaleId::new(&"s".repeat(64)).unwrap();
        let patch = TermsPatch {
            name: Patch::Set(Name::new(&long()).unwrap()),
            price: Patch::Set(Some(money())),
            sale_id: Patch::Set(Some(sale_id.clone())),
            opens_at_ms: Patch::Set(Some(u64::MAX)),
            closes_at_ms: Patch::Set(Some(u64::MAX)),
            oversell_limit: Patch::Set(u32::MAX),
            safety_stock: Patch::Set(u32::MAX),
            per_buyer_limit: Patch::Set(Some(u32::MAX)),
            low_stock_threshold: Patch::Set(Some(u32::MAX)),
            paused: Patch::Set(true),
            returns_free_limit: Patch::Set(true),
        };
        let changed =
            Box::new(TermsChanged { sale_id: Some(sale_id), patch, counting_starts: true });
        let changes = crate::domain::SALE_PRODUCTS_MAX;
        let bytes = largest(Decision::TermsChanged(changed), changes);
        assert!(bytes <= payload_bytes_bound(0, changes, 1024), "{bytes}");
        assert!(payload_bytes_bound(0, changes, 1024) <= PAYLOAD_BYTES_MAX);
    }
}
