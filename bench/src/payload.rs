//! What the payload of a frame says, read by `schema/journal-format.md`.
//!
//! A parser of its own, so that a mistake of the engine's codec cannot hide in its own decoder:
//! kind (u16), version (u16), then the values in [`Cursor`]'s forms. Borrowed from the payload.

mod holds;

use crate::cursor::{Cursor, CursorError};

/// The only version of every kind so far.
const VERSION: u16 = 1;

/// Names of the kinds, by number.
pub const KINDS: [&str; 15] = [
    "",
    "started",
    "watermark",
    "product_created",
    "terms_changed",
    "stock_adjusted",
    "order_placed",
    "refusals_counted",
    "hold_placed",
    "hold_extended",
    "hold_confirmed",
    "hold_released",
    "hold_expired",
    "order_cancelled",
    "selling_paused",
];

/// A payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<'a> {
    /// 1: a process took the journal over.
    Started {
        /// When.
        at_ms: u64,
        /// Version of the binary.
        binary: &'a str,
    },
    /// 2: everything before it is durable.
    Watermark,
    /// 3 to 14: a decision.
    Decision(Envelope<'a>, Decision<'a>),
}

/// What every decision carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// When it was decided.
    pub at_ms: u64,
    /// Who asked.
    pub principal: &'a str,
    /// The shop's own number.
    pub reference: Option<&'a str>,
    /// The idempotency key's hash, and the request's fingerprint.
    pub key: Option<([u8; 16], [u8; 8])>,
    /// The products it changes with their versions after it.
    pub changes: Vec<(u32, u64)>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'a> {
    /// 3.
    ProductCreated {
        /// The shop's id.
        product_id: &'a str,
        /// Its terms.
        terms: Terms<'a>,
        /// Its opening stock.
        stock: u64,
    },
    /// 4.
    TermsChanged {
        /// The sale, when all its products were changed.
        sale_id: Option<&'a str>,
        /// The first moment of the window, when it was set; 0: none.
        opens_at_ms: Option<u64>,
        /// The end of the window, when it was set; `u64::MAX`: none.
        closes_at_ms: Option<u64>,
        /// Whether it is paused, when that was set.
        paused: Option<bool>,
        /// The safety stock, when it was set.
        safety_stock: Option<u32>,
        /// The oversell limit, when it was set.
        oversell_limit: Option<u32>,
        /// The per-buyer limit, when it was set: the limit, or none any more.
        per_buyer_limit: Option<Option<u32>>,
        /// Whether returns free the limit, when that was set.
        returns_free_limit: Option<bool>,
    },
    /// 5.
    StockAdjusted {
        /// Which product.
        product: u32,
        /// Units put in or written off.
        delta: i64,
        /// Stock after it.
        stock: u64,
        /// `stock - sold` after it.
        unsold: i64,
    },
    /// 6.
    OrderPlaced {
        /// Who buys.
        buyer_id: &'a str,
        /// What.
        lines: Vec<Line>,
    },
    /// 7.
    RefusalsCounted {
        /// Start of the minute.
        minute_ms: u64,
        /// Product, reason and count.
        rows: Vec<(u32, u8, u64)>,
    },
    /// 8.
    HoldPlaced {
        /// For whom.
        buyer_id: &'a str,
        /// What.
        lines: Vec<Line>,
        /// First moment it is over.
        expires_at_ms: u64,
    },
    /// 9.
    HoldExtended {
        /// Sequence of the record that placed it.
        hold: u64,
        /// First moment it is over now.
        expires_at_ms: u64,
    },
    /// 10.
    HoldConfirmed {
        /// Sequence of the record that placed it.
        hold: u64,
        /// Who buys.
        buyer_id: &'a str,
        /// What.
        lines: Vec<Line>,
        /// What was not confirmed.
        released: Vec<Line>,
    },
    /// 11.
    HoldReleased(Ended<'a>),
    /// 12.
    HoldExpired(Ended<'a>),
    /// 13.
    OrderCancelled {
        /// Sequence of the record that placed it.
        order: u64,
        /// Who had bought.
        buyer_id: &'a str,
        /// What comes back.
        lines: Vec<Returned>,
        /// Why.
        reason: &'a str,
        /// Whether it can be sold again.
        restocked: bool,
        /// Whether nothing is left of the order.
        whole: bool,
    },
    /// 14.
    SellingPaused {
        /// Whether nothing is sold from here on.
        paused: bool,
    },
}

/// A hold that ended without an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended<'a> {
    /// Sequence of the record that placed it.
    pub hold: u64,
    /// Whose it was.
    pub buyer_id: &'a str,
    /// What it held.
    pub lines: Vec<Line>,
}

/// Units of a line that come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// Place of the line in its order, from 0.
    pub place: u32,
    /// Product, units and price.
    pub line: Line,
    /// Whether they no longer count for the buyer's limit.
    pub frees_limit: bool,
}

/// The terms that the promises depend on, and those that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Price of one unit.
    pub price: Option<Money>,
    /// First moment of the window; 0: none.
    pub opens_at_ms: u64,
    /// End of the window; `u64::MAX`: none.
    pub closes_at_ms: u64,
    /// Units that may be sold beyond the stock.
    pub oversell_limit: u32,
    /// Units that are not for sale.
    pub safety_stock: u32,
    /// Most units of one buyer, 0: no limit.
    pub per_buyer_limit: u32,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether returns free the limit.
    pub returns_free_limit: bool,
}

/// An amount in minor units of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money {
    /// Minor units.
    pub amount_minor: u64,
    /// Three capital letters.
    pub currency: [u8; 3],
}

/// One line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Which product.
    pub product: u32,
    /// How many units.
    pub quantity: u32,
    /// Price of one.
    pub unit_price: Option<Money>,
}

impl<'a> Payload<'a> {
    /// The payload of these bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CursorError> {
        let mut cursor = Cursor::new(bytes);
        let kind = cursor.u16("kind")?;
        let version = cursor.u16("version")?;
        if version != VERSION {
            return Err(CursorError::Value { what: "version", found: u64::from(version) });
        }
        let payload = match kind {
            1 => {
                let at_ms = cursor.u64("started_at_ms")?;
                Self::Started { at_ms, binary: cursor.text("binary")? }
            }
            2 => Self::Watermark,
            3..=14 => {
                let envelope = envelope(&mut cursor)?;
                Self::Decision(envelope, decision(kind, &mut cursor)?)
            }
            _ => return Err(CursorError::Value { what: "kind", found: u64::from(kind) }),
        };
        cursor.end()?;
        Ok(payload)
    }

    /// The number of its kind.
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            Self::Started { .. } => 1,
            Self::Watermark => 2,
            Self::Decision(_, decision) => match decision {
                Decision::ProductCreated { .. } => 3,
                Decision::TermsChanged { .. } => 4,
                Decision::StockAdjusted { .. } => 5,
                Decision::OrderPlaced { .. } => 6,
                Decision::RefusalsCounted { .. } => 7,
                Decision::HoldPlaced { .. } => 8,
                Decision::HoldExtended { .. } => 9,
                Decision::HoldConfirmed { .. } => 10,
                Decision::HoldReleased(_) => 11,
                Decision::HoldExpired(_) => 12,
                Decision::OrderCancelled { .. } => 13,
                Decision::SellingPaused { .. } => 14,
            },
        }
    }
}

fn envelope<'a>(cursor: &mut Cursor<'a>) -> Result<Envelope<'a>, CursorError> {
    Ok(Envelope {
        at_ms: cursor.u64("decided_at_ms")?,
        principal: cursor.text("principal")?,
        reference: cursor.option("reference", |c| c.text("reference"))?,
        key: cursor.option("key", |c| Ok((c.array("key hash")?, c.array("fingerprint")?)))?,
        changes: cursor.sequence(12, "changes", |c| Ok((c.u32("handle")?, c.u64("version")?)))?,
    })
}

fn decision<'a>(kind: u16, cursor: &mut Cursor<'a>) -> Result<Decision<'a>, CursorError> {
    Ok(match kind {
        3 => Decision::ProductCreated {
            product_id: cursor.text("product_id")?,
            terms: terms(cursor)?,
            stock: cursor.u64("stock")?,
        },
        4 => terms_changed(cursor)?,
        5 => {
            let (product, delta) = (cursor.u32("product")?, cursor.i64("delta")?);
            adjust_reason(cursor)?;
            let (stock, unsold) = (cursor.u64("stock")?, cursor.i64("unsold")?);
            Decision::StockAdjusted { product, delta, stock, unsold }
        }
        6 => Decision::OrderPlaced {
            buyer_id: cursor.text("buyer_id")?,
            lines: cursor.sequence(9, "lines", line)?,
        },
        7 => Decision::RefusalsCounted {
            minute_ms: cursor.u64("minute_ms")?,
            rows: cursor.sequence(13, "rows", |c| {
                Ok((c.u32("product")?, c.u8("reason")?, c.u64("count")?))
            })?,
        },
        _ => holds::decision(kind, cursor)?,
    })
}

fn money(cursor: &mut Cursor<'_>) -> Result<Money, CursorError> {
    Ok(Money { amount_minor: cursor.u64("amount_minor")?, currency: cursor.array("currency")? })
}

fn line(cursor: &mut Cursor<'_>) -> Result<Line, CursorError> {
    Ok(Line {
        product: cursor.u32("product")?,
        quantity: cursor.u32("quantity")?,
        unit_price: cursor.option("unit_price", money)?,
    })
}

fn terms<'a>(cursor: &mut Cursor<'a>) -> Result<Terms<'a>, CursorError> {
    let name = cursor.text("name")?;
    let price = cursor.option("price", money)?;
    cursor.option("sale_id", |c| c.text("sale_id"))?;
    let (opens_at_ms, closes_at_ms) = (cursor.u64("opens_at_ms")?, cursor.u64("closes_at_ms")?);
    let (oversell_limit, safety_stock) =
        (cursor.u32("oversell_limit")?, cursor.u32("safety_stock")?);
    let per_buyer_limit = cursor.u32("per_buyer_limit")?;
    cursor.option("low_stock_threshold", |c| c.u32("low_stock_threshold"))?;
    let paused = cursor.flag("paused")?;
    let returns_free_limit = cursor.flag("returns_free_limit")?;
    Ok(Terms {
        name,
        price,
        opens_at_ms,
        closes_at_ms,
        oversell_limit,
        safety_stock,
        per_buyer_limit,
        paused,
        returns_free_limit,
    })
}

/// Seven reasons; the last comes with words.
fn adjust_reason(cursor: &mut Cursor<'_>) -> Result<(), CursorError> {
    match cursor.u32("adjust reason")? {
        0..=5 => Ok(()),
        6 => cursor.text("text").map(|_| ()),
        found => Err(CursorError::Value { what: "adjust reason", found: u64::from(found) }),
    }
}

/// A field of a patch: 0 keeps, 1 sets.
fn patch<'a, T>(
    cursor: &mut Cursor<'a>,
    what: &'static str,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T, CursorError>,
) -> Result<Option<T>, CursorError> {
    match cursor.u32(what)? {
        0 => Ok(None),
        1 => read(cursor).map(Some),
        found => Err(CursorError::Value { what, found: u64::from(found) }),
    }
}

fn terms_changed<'a>(cursor: &mut Cursor<'a>) -> Result<Decision<'a>, CursorError> {
    let sale_id = cursor.option("sale_id", |c| c.text("sale_id"))?;
    patch(cursor, "name", |c| c.text("name"))?;
    patch(cursor, "price", |c| c.option("price", money))?;
    patch(cursor, "sale_id", |c| c.option("sale_id", |c| c.text("sale_id")))?;
    let opens = |c: &mut Cursor<'a>| c.option("opens_at_ms", |c| c.u64("opens_at_ms"));
    let opens_at_ms = patch(cursor, "opens_at_ms", opens)?.map(|at_ms| at_ms.unwrap_or(0));
    let closes = |c: &mut Cursor<'a>| c.option("closes_at_ms", |c| c.u64("closes_at_ms"));
    let closes_at_ms =
        patch(cursor, "closes_at_ms", closes)?.map(|at_ms| at_ms.unwrap_or(u64::MAX));
    let oversell_limit = patch(cursor, "oversell_limit", |c| c.u32("oversell_limit"))?;
    let safety_stock = patch(cursor, "safety_stock", |c| c.u32("safety_stock"))?;
    let limit = |c: &mut Cursor<'a>| c.option("per_buyer_limit", |c| c.u32("per_buyer_limit"));
    let per_buyer_limit = patch(cursor, "per_buyer_limit", limit)?;
    let low = |c: &mut Cursor<'a>| c.option("low_stock", |c| c.u32("low_stock_threshold"));
    patch(cursor, "low_stock_threshold", low)?;
    let paused = patch(cursor, "paused", |c| c.flag("paused"))?;
    let returns_free_limit = patch(cursor, "returns_free_limit", |c| c.flag("returns_free_limit"))?;
    cursor.flag("counting_starts")?;
    Ok(Decision::TermsChanged {
        sale_id,
        opens_at_ms,
        closes_at_ms,
        paused,
        safety_stock,
        oversell_limit,
        per_buyer_limit,
        returns_free_limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{About, Bytes};

    const ABOUT: About<'_> =
        About { at_ms: 9, reference: Some("po-1"), key: Some(5), changes: &[(0, 2)] };

    fn check(bytes: &[u8], expected: &Decision<'_>) {
        let payload = Payload::parse(bytes).expect("a payload");
        let Payload::Decision(envelope, decision) = &payload else { panic!("{payload:?}") };
        assert_eq!(decision, expected);
        assert_eq!(envelope.changes, [(0, 2)]);
        assert_eq!((envelope.at_ms, envelope.reference), (9, Some("po-1")));
        assert_eq!(envelope.key.map(|(hash, _)| hash[0]), Some(5));
        for end in 0..bytes.len() {
            assert!(Payload::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        let longer = [bytes, &[0]].concat();
        assert_eq!(Payload::parse(&longer), Err(CursorError::Trailing(1)));
    }

    #[test]
    fn every_kind_is_read_from_its_bytes() {
        let order = Bytes::decision(6, ABOUT).text("b1").u64(2);
        let order = order.u32(0).u32(3).u8(1).u64(250).raw(b"GBP").u32(0).u32(1).u8(0).0;
        let price = Some(Money { amount_minor: 250, currency: *b"GBP" });
        let lines = vec![
            Line { product: 0, quantity: 3, unit_price: price },
            Line { product: 0, quantity: 1, unit_price: None },
        ];
        check(&order, &Decision::OrderPlaced { buyer_id: "b1", lines });
        let other = Bytes::decision(5, ABOUT).u32(0).i64(-4).u32(6).text("eaten").u64(6).i64(-1).0;
        check(&other, &Decision::StockAdjusted { product: 0, delta: -4, stock: 6, unsold: -1 });
        let terms = Bytes::decision(3, ABOUT).text("sku").text("Ünit").u8(1).u64(1).raw(b"EUR");
        let terms = terms.u8(1).text("sale").u64(5).u64(6).u32(7).u32(8).u32(9).u8(1).u32(3);
        let price = Some(Money { amount_minor: 1, currency: *b"EUR" });
        let created = Decision::ProductCreated {
            product_id: "sku",
            terms: Terms {
                name: "Ünit",
                price,
                opens_at_ms: 5,
                closes_at_ms: 6,
                oversell_limit: 7,
                safety_stock: 8,
                per_buyer_limit: 9,
                paused: false,
                returns_free_limit: true,
            },
            stock: 40,
        };
        check(&terms.u8(0).u8(1).u64(40).0, &created);
        let patch = Bytes::decision(4, ABOUT).u8(0).u32(1).text("New").u32(1).u8(0).u32(0).u32(1);
        let patch = patch.u8(1).u64(77).u32(0).u32(1).u32(12).u32(0).u32(1).u8(0).u32(0).u32(1);
        let changed = Decision::TermsChanged {
            sale_id: None,
            opens_at_ms: Some(77),
            closes_at_ms: None,
            paused: Some(true),
            safety_stock: None,
            oversell_limit: Some(12),
            per_buyer_limit: Some(None),
            returns_free_limit: None,
        };
        check(&patch.u8(1).u32(0).u8(0).0, &changed);
    }

    #[test]
    fn records_without_a_product_are_read_too() {
        let started = Bytes::started(4);
        assert_eq!(Payload::parse(&started), Ok(Payload::Started { at_ms: 4, binary: "0.1.0" }));
        let watermark = Bytes::default().u16(2).u16(1).0;
        assert_eq!(Payload::parse(&watermark), Ok(Payload::Watermark));
        let counted = Bytes::refused(60_000, 3);
        let payload = Payload::parse(&counted).expect("a payload");
        let Payload::Decision(_, Decision::RefusalsCounted { rows, .. }) = payload else {
            panic!("{payload:?}")
        };
        assert_eq!(rows, [(0, 0, 3)]);
    }

    #[test]
    fn bytes_of_no_kind_are_refused_without_allocating_by_them() {
        let unknown = Bytes::default().u16(15).u16(1).0;
        assert_eq!(Payload::parse(&unknown), Err(CursorError::Value { what: "kind", found: 15 }));
        let newer = Bytes::default().u16(2).u16(2).0;
        assert_eq!(Payload::parse(&newer), Err(CursorError::Value { what: "version", found: 2 }));
        let endless = Bytes::decision(6, ABOUT).text("b1").u64(u64::MAX).0;
        let found = u64::MAX;
        assert_eq!(Payload::parse(&endless), Err(CursorError::Value { what: "lines", found }));
        let option = Bytes::decision(6, ABOUT).text("b1").u64(1).u32(0).u32(1).u8(2).0;
        let short = CursorError::Value { what: "lines", found: 1 };
        let flag = CursorError::Value { what: "unit_price", found: 2 };
        let error = Payload::parse(&option).expect_err("no option");
        assert!(error == flag || error == short, "{error}");
    }
}
