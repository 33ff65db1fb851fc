//! Kinds 8 to 14: holds, cancellations and the pause of all.

use super::{Decision, Ended, Line, Returned, line};
use crate::cursor::{Cursor, CursorError};

/// The body of one of these kinds.
///
/// # Errors
/// What is wrong with its bytes; the kind, when it is none of them.
pub(super) fn decision<'a>(
    kind: u16,
    cursor: &mut Cursor<'a>,
) -> Result<Decision<'a>, CursorError> {
    Ok(match kind {
        8 => Decision::HoldPlaced {
            buyer_id: cursor.text("buyer_id")?,
            lines: lines(cursor, "lines")?,
            expires_at_ms: cursor.u64("expires_at_ms")?,
        },
        9 => Decision::HoldExtended {
            hold: cursor.u64("hold")?,
            expires_at_ms: cursor.u64("expires_at_ms")?,
        },
        10 => Decision::HoldConfirmed {
            hold: cursor.u64("hold")?,
            buyer_id: cursor.text("buyer_id")?,
            lines: lines(cursor, "lines")?,
            released: lines(cursor, "released")?,
        },
        11 => Decision::HoldReleased(ended(cursor)?),
        12 => Decision::HoldExpired(ended(cursor)?),
        13 => Decision::OrderCancelled {
            order: cursor.u64("order")?,
            buyer_id: cursor.text("buyer_id")?,
            lines: cursor.sequence(14, "lines", returned)?,
            reason: cursor.text("reason")?,
            restocked: cursor.flag("restocked")?,
            whole: cursor.flag("whole")?,
        },
        14 => Decision::SellingPaused { paused: cursor.flag("paused")? },
        _ => return Err(CursorError::Value { what: "kind", found: u64::from(kind) }),
    })
}

fn lines(cursor: &mut Cursor<'_>, what: &'static str) -> Result<Vec<Line>, CursorError> {
    cursor.sequence(9, what, line)
}

fn ended<'a>(cursor: &mut Cursor<'a>) -> Result<Ended<'a>, CursorError> {
    let (hold, buyer_id) = (cursor.u64("hold")?, cursor.text("buyer_id")?);
    Ok(Ended { hold, buyer_id, lines: lines(cursor, "lines")? })
}

fn returned(cursor: &mut Cursor<'_>) -> Result<Returned, CursorError> {
    let place = cursor.u32("place")?;
    Ok(Returned { place, line: line(cursor)?, frees_limit: cursor.flag("frees_limit")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{Money, Payload};

    /// A record as the engine wrote it, by its name in `tests/golden`.
    macro_rules! golden {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/golden/record_", $name, "_v1.bin"))
        };
    }

    const HOLD: u64 = 258;

    fn pence(amount_minor: u64) -> Option<Money> {
        Some(Money { amount_minor, currency: *b"GBP" })
    }

    fn line_of(product: u32, quantity: u32, unit_price: Option<Money>) -> Line {
        Line { product, quantity, unit_price }
    }

    fn three_lines() -> Vec<Line> {
        let (first, third) = (line_of(0, 2, pence(255)), line_of(0, 3, pence(1)));
        vec![first, line_of(4, 1_000_000_000, None), third]
    }

    /// The engine's own bytes say this, and no cut of them says anything.
    fn check(bytes: &[u8], changes: &[(u32, u64)], expected: &Decision<'_>) {
        let payload = Payload::parse(bytes).expect("a payload");
        let Payload::Decision(envelope, decision) = &payload else { panic!("{payload:?}") };
        assert_eq!(decision, expected);
        assert_eq!((envelope.principal, envelope.changes.as_slice()), ("shop", changes));
        assert_eq!(payload.kind(), usize::from(bytes[0]));
        for end in 0..bytes.len() {
            assert!(Payload::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(Payload::parse(&[bytes, &[0]].concat()), Err(CursorError::Trailing(1)));
    }

    #[test]
    fn holds_are_read_from_the_engines_bytes() {
        let at_ms = 1_767_225_600_123;
        let (buyer_id, lines) = ("buyer-1234", three_lines());
        let placed = Decision::HoldPlaced { buyer_id, lines, expires_at_ms: at_ms + 900_000 };
        check(golden!("hold_placed"), &[(0, 7), (4, 2)], &placed);
        let (buyer_id, lines) = ("guest", vec![line_of(0, 1, None)]);
        let plain = Decision::HoldPlaced { buyer_id, lines, expires_at_ms: at_ms + 1 };
        check(golden!("hold_placed_plain"), &[(0, 8)], &plain);
        let expires_at_ms = at_ms + 1_800_000;
        let extended = Decision::HoldExtended { hold: HOLD, expires_at_ms };
        check(golden!("hold_extended"), &[], &extended);
    }

    #[test]
    fn ends_of_holds_are_read_from_the_engines_bytes() {
        let (hold, buyer_id) = (HOLD, "buyer-1234");
        let (lines, released) = (three_lines(), Vec::new());
        let whole = Decision::HoldConfirmed { hold, buyer_id, lines, released };
        check(golden!("hold_confirmed"), &[(0, 9), (4, 3)], &whole);
        let lines = vec![line_of(0, 2, pence(255)), line_of(4, 400_000_000, None)];
        let released = vec![line_of(4, 600_000_000, None), line_of(0, 3, pence(1))];
        let part = Decision::HoldConfirmed { hold, buyer_id, lines, released };
        check(golden!("hold_confirmed_part"), &[(0, 9), (4, 3)], &part);
        let ended = || Ended { hold, buyer_id, lines: three_lines() };
        check(golden!("hold_released"), &[(0, 9), (4, 3)], &Decision::HoldReleased(ended()));
        check(golden!("hold_expired"), &[(0, 10), (4, 4)], &Decision::HoldExpired(ended()));
    }

    #[test]
    fn cancellations_and_pauses_are_read_from_the_engines_bytes() {
        let returned =
            |(place, line): (u32, Line)| Returned { place, line, frees_limit: place != 1 };
        let cancelled = Decision::OrderCancelled {
            order: 513,
            buyer_id: "buyer-1234",
            lines: (0..).zip(three_lines()).map(returned).collect(),
            reason: "passt nicht: zu groß",
            restocked: true,
            whole: true,
        };
        check(golden!("order_cancelled"), &[(0, 11), (4, 5)], &cancelled);
        let written_off = Decision::OrderCancelled {
            order: 513,
            buyer_id: "buyer-1234",
            lines: vec![Returned { place: 999, line: line_of(4, 1, None), frees_limit: false }],
            reason: "broken",
            restocked: false,
            whole: false,
        };
        check(golden!("order_cancelled_written_off"), &[(4, 6)], &written_off);
        check(golden!("selling_paused"), &[], &Decision::SellingPaused { paused: true });
        check(golden!("selling_resumed"), &[], &Decision::SellingPaused { paused: false });
    }
}
