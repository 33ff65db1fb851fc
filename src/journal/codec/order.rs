//! The body of an order, read and written by hand: the same bytes as bincode makes, a few times
//! faster. Nearly every record of a sale is one, and recovery decodes all of them.
//!
//! Only what is whole and sound is read here; for anything else [`take`] says `false`, and bincode
//! says what is wrong with it. `tests` hold both to each other, byte by byte.
//! docs/adr/0011-orders-by-hand.md has the figures.

use smallvec::SmallVec;

use super::PAYLOAD_BYTES_MAX;
use super::bytes::Bytes;
use crate::domain::{
    BuyerId, Change, Decision, Handle, OrderLine, OrderPlaced, Principal, Quantity, Reference,
    Version,
};
use crate::journal::{Envelope, KeyStamp, Payload, Record};

/// Makes `payload` the order that `body` is, in the place of the order it was. `false`: `body` is no
/// order that is whole and sound, and what `payload` is then is not said.
#[inline]
pub(super) fn take(body: &[u8], payload: &mut Payload) -> bool {
    if !matches!(payload, Payload::Record(Record { decision: Decision::OrderPlaced(_), .. })) {
        *payload = Payload::Record(any_order());
    }
    let Payload::Record(Record { envelope, decision: Decision::OrderPlaced(order) }) = payload
    else {
        unreachable!("it was just made sure of");
    };
    body.len() <= PAYLOAD_BYTES_MAX && take_fields(Bytes(body), envelope, order).is_some()
}

/// A place for an order: all of it is replaced.
fn any_order() -> Record {
    let nobody = "nobody";
    let envelope = Envelope {
        decided_at_ms: 0,
        principal: Principal::new(nobody).expect("an id"),
        reference: None,
        key: None,
        changes: SmallVec::new(),
    };
    let buyer_id = BuyerId::new(nobody).expect("an id");
    Record {
        envelope,
        decision: Decision::OrderPlaced(OrderPlaced { buyer_id, lines: SmallVec::new() }),
    }
}

#[inline]
fn take_fields(
    mut from: Bytes<'_>,
    envelope: &mut Envelope,
    order: &mut OrderPlaced,
) -> Option<()> {
    envelope.decided_at_ms = from.u64()?;
    let principal = from.bytes()?;
    // Nearly always the one of the record before.
    if envelope.principal.as_str().as_bytes() != principal {
        envelope.principal = Principal::new(std::str::from_utf8(principal).ok()?).ok()?;
    }
    from.option(&mut envelope.reference, |from| Reference::new(from.text()?).ok())?;
    from.option(&mut envelope.key, KeyStamp::take)?;
    from.list(&mut envelope.changes, |from| {
        let handle = Handle::new(from.u32()?);
        Some(Change { handle, version: Version::new(from.u64()?) })
    })?;
    order.buyer_id = BuyerId::new(from.text()?).ok()?;
    from.list(&mut order.lines, |from| {
        let product = Handle::new(from.u32()?);
        let quantity = Quantity::new(u64::from(from.u32()?)).ok()?;
        let mut unit_price = None;
        from.option(&mut unit_price, Bytes::money)?;
        Some(OrderLine { product, quantity, unit_price })
    })?;
    from.0.is_empty().then_some(())
}

/// Appends the body of an order to `out`.
pub(super) fn put(envelope: &Envelope, order: &OrderPlaced, out: &mut Vec<u8>) {
    let Envelope { decided_at_ms, principal, reference, key, changes } = envelope;
    out.extend_from_slice(&decided_at_ms.to_le_bytes());
    put_text(principal.as_str(), out);
    put_option(reference.as_ref(), out, |reference, out| put_text(reference.as_str(), out));
    put_option(key.as_ref(), out, KeyStamp::put);
    put_len(changes.len(), out);
    for Change { handle, version } in changes {
        out.extend_from_slice(&handle.get().to_le_bytes());
        out.extend_from_slice(&version.get().to_le_bytes());
    }
    let OrderPlaced { buyer_id, lines } = order;
    put_text(buyer_id.as_str(), out);
    put_len(lines.len(), out);
    for OrderLine { product, quantity, unit_price } in lines {
        out.extend_from_slice(&product.get().to_le_bytes());
        out.extend_from_slice(&u32::from(*quantity).to_le_bytes());
        put_option(unit_price.as_ref(), out, |price, out| {
            out.extend_from_slice(&price.amount_minor().to_le_bytes());
            out.extend_from_slice(&<[u8; 3]>::from(price.currency()));
        });
    }
}

fn put_len(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(len as u64).to_le_bytes());
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_len(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn put_option<T>(option: Option<T>, out: &mut Vec<u8>, put: impl FnOnce(T, &mut Vec<u8>)) {
    out.push(u8::from(option.is_some()));
    if let Some(value) = option {
        put(value, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{put as bincode_put, take as bincode_take};
    use super::*;
    use crate::domain::{Currency, Money};
    use crate::journal::Kind;

    type Body = (Envelope, OrderPlaced);

    fn id() -> impl Strategy<Value = String> {
        "[A-Za-z0-9._:-]{1,64}"
    }

    fn money() -> impl Strategy<Value = Money> {
        let currency = prop::sample::select(vec!["EUR", "JPY", "KWD"]);
        (0..=crate::domain::FIGURE_MAX, currency).prop_map(|(amount, currency)| {
            Money::new(amount, Currency::new(currency).unwrap()).unwrap()
        })
    }

    fn line() -> impl Strategy<Value = OrderLine> {
        (any::<u32>(), 1..=u64::from(Quantity::MAX), prop::option::of(money())).prop_map(
            |(handle, units, unit_price)| OrderLine {
                product: Handle::new(handle),
                quantity: Quantity::new(units).unwrap(),
                unit_price,
            },
        )
    }

    fn change() -> impl Strategy<Value = Change> {
        (any::<u32>(), any::<u64>()).prop_map(|(handle, version)| Change {
            handle: Handle::new(handle),
            version: Version::new(version),
        })
    }

    fn key() -> impl Strategy<Value = KeyStamp> {
        any::<([u8; 16], [u8; 8])>().prop_map(|(hash, fingerprint)| KeyStamp { hash, fingerprint })
    }

    fn body() -> impl Strategy<Value = Body> {
        let who = (any::<u64>(), id(), prop::option::of(id()), prop::option::of(key()));
        let what =
            (prop::collection::vec(change(), 0..4), id(), prop::collection::vec(line(), 0..4));
        (who, what).prop_map(
            |((decided_at_ms, principal, reference, key), (changes, buyer, lines))| {
                let envelope = Envelope {
                    decided_at_ms,
                    principal: Principal::new(&principal).unwrap(),
                    reference: reference.map(|it| Reference::new(&it).unwrap()),
                    key,
                    changes: changes.into(),
                };
                let order =
                    OrderPlaced { buyer_id: BuyerId::new(&buyer).unwrap(), lines: lines.into() };
                (envelope, order)
            },
        )
    }

    fn bytes_of((envelope, order): &Body) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(envelope, order, &mut bytes);
        bytes
    }

    fn record((envelope, order): Body) -> Record {
        Record { envelope, decision: Decision::OrderPlaced(order) }
    }

    /// What is read of the bytes, the same in a place that had nothing and in one of another order.
    fn taken(bytes: &[u8]) -> Option<Record> {
        let line = OrderLine {
            product: Handle::new(1),
            quantity: Quantity::new(1).unwrap(),
            unit_price: None,
        };
        let mut other = any_order();
        other.envelope.reference = Some(Reference::new("another").unwrap());
        other.envelope.changes =
            SmallVec::from_elem(Change { handle: Handle::new(1), version: Version::new(1) }, 3);
        other.decision = Decision::OrderPlaced(OrderPlaced {
            buyer_id: BuyerId::new("another").unwrap(),
            lines: SmallVec::from_elem(line, 3),
        });
        let [fresh, again] =
            [Payload::default(), Payload::Record(other)].map(|mut payload| {
                match (take(bytes, &mut payload), payload) {
                    (true, Payload::Record(record)) => Some(record),
                    (false, _) => None,
                    (true, payload) => panic!("{payload:?} is no record"),
                }
            });
        assert_eq!(fresh, again);
        fresh
    }

    /// Bincode's reading of the same bytes, `None` where it refuses them.
    fn by_bincode(bytes: &[u8]) -> Option<Record> {
        bincode_take::<Body>(Kind::OrderPlaced, bytes).ok().map(record)
    }

    proptest! {
        #[test]
        fn bytes_are_the_ones_bincode_makes(body in body()) {
            let (mut expected, bytes) = (Vec::new(), bytes_of(&body));
            bincode_put(&(&body.0, &body.1), &mut expected);
            prop_assert_eq!(&bytes, &expected);
            prop_assert_eq!(taken(&bytes), Some(record(body)));
        }

        #[test]
        fn damaged_bytes_are_read_as_bincode_reads_them(
            body in body(),
            harm in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            more in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut bytes = bytes_of(&body);
            for (at, value) in harm {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            prop_assert_eq!(taken(&bytes), by_bincode(&bytes));
            bytes.extend(more);
            prop_assert_eq!(taken(&bytes), by_bincode(&bytes));
            bytes.truncate(cut.index(bytes.len()));
            prop_assert_eq!(taken(&bytes), by_bincode(&bytes));
        }
    }

    #[test]
    fn every_byte_changed_is_read_as_bincode_reads_it() {
        let line = OrderLine {
            product: Handle::new(3),
            quantity: Quantity::new(2).unwrap(),
            unit_price: Some(Money::new(1999, Currency::new("EUR").unwrap()).unwrap()),
        };
        let change = Change { handle: Handle::new(3), version: Version::new(9) };
        let envelope = Envelope {
            decided_at_ms: 1_700_000_000_000,
            principal: Principal::new("shop").unwrap(),
            reference: Some(Reference::new("R-1").unwrap()),
            key: Some(KeyStamp { hash: [7; 16], fingerprint: [9; 8] }),
            changes: [change].into_iter().collect(),
        };
        let order = OrderPlaced {
            buyer_id: BuyerId::new("a.buyer").unwrap(),
            lines: [line].into_iter().collect(),
        };
        let bytes = bytes_of(&(envelope, order));
        for at in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[at] = value;
                assert_eq!(taken(&changed), by_bincode(&changed), "byte {at} is {value}");
            }
        }
    }
}
