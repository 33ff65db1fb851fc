//! Rows of the tables, as both databases take them: pure values, no SQL.
//!
//! Figures are below 2^53 and times end with the year 9999, so every number fits an `i64`. The
//! partition is the same for all rows of a batch and stands beside them.

use std::sync::Arc;

use crate::domain::Currency;

/// A row of `products`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProductRow {
    pub(super) product_id: Arc<str>,
    pub(super) handle: i64,
    pub(super) name: String,
    pub(super) price_minor: Option<i64>,
    pub(super) currency: Option<String>,
    pub(super) sale_id: Option<String>,
    pub(super) opens_at_ms: Option<i64>,
    pub(super) closes_at_ms: Option<i64>,
    pub(super) oversell_limit: i64,
    pub(super) safety_stock: i64,
    pub(super) per_buyer_limit: Option<i64>,
    pub(super) low_stock_threshold: Option<i64>,
    pub(super) paused: bool,
    pub(super) returns_free_limit: bool,
    pub(super) stock: i64,
    pub(super) held: i64,
    pub(super) sold: i64,
    pub(super) version: i64,
    pub(super) terms_version: i64,
    pub(super) created_at_ms: i64,
    pub(super) updated_at_ms: i64,
}

/// A row of `products` that was there, as it is after the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProductChange {
    /// Version the row must have before.
    pub(super) expected: i64,
    pub(super) row: ProductRow,
}

/// A row of `orders`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrderRow<'a> {
    pub(super) order_id: Arc<str>,
    pub(super) sequence: i64,
    pub(super) buyer_id: &'a str,
    pub(super) reference: Option<&'a str>,
    pub(super) principal: &'a str,
    pub(super) status: &'static str,
    pub(super) placed_at_ms: i64,
    pub(super) hold_id: Option<Arc<str>>,
}

/// A row of `orders` that was there, as it is after the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrderChange {
    pub(super) order_id: Arc<str>,
    /// Status the row must have before.
    pub(super) expected: String,
    pub(super) status: &'static str,
}

/// A row of `order_lines`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineRow {
    pub(super) order_id: Arc<str>,
    pub(super) line_no: i32,
    pub(super) product_id: Arc<str>,
    pub(super) quantity: i64,
    pub(super) unit_price_minor: Option<i64>,
    pub(super) currency: Option<Currency>,
    pub(super) cancelled: i64,
}

/// A row of `order_lines` that was there, as it is after the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineChange {
    pub(super) order_id: Arc<str>,
    pub(super) line_no: i32,
    /// Units the row must say were cancelled before.
    pub(super) expected: i64,
    pub(super) cancelled: i64,
}

/// A row of `holds`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HoldRow<'a> {
    pub(super) hold_id: Arc<str>,
    pub(super) sequence: i64,
    pub(super) buyer_id: &'a str,
    pub(super) reference: Option<&'a str>,
    pub(super) principal: &'a str,
    pub(super) placed_at_ms: i64,
    pub(super) state: HoldState,
}

/// What changes of a row of `holds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HoldState {
    pub(super) expires_at_ms: i64,
    /// `None`: live.
    pub(super) end: Option<HoldEnding>,
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HoldEnding {
    pub(super) status: &'static str,
    pub(super) resolved_at_ms: i64,
    pub(super) order_id: Option<Arc<str>>,
}

/// A row of `holds` that was there and live, as it is after the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HoldChange {
    pub(super) hold_id: Arc<str>,
    pub(super) state: HoldState,
}

/// What a movement changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Deltas {
    pub(super) stock: i64,
    pub(super) held: i64,
    pub(super) sold: i64,
}

/// A row of `movements`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MovementRow<'a> {
    pub(super) product_id: Arc<str>,
    pub(super) version: i64,
    pub(super) sequence: i64,
    pub(super) kind: &'static str,
    pub(super) decided_at_ms: i64,
    pub(super) deltas: Deltas,
    pub(super) stock: i64,
    pub(super) held: i64,
    pub(super) sold: i64,
    pub(super) reason: Option<&'static str>,
    pub(super) text: Option<&'a str>,
    pub(super) terms: Option<Arc<str>>,
    pub(super) order_id: Option<Arc<str>>,
    pub(super) hold_id: Option<Arc<str>>,
    pub(super) reference: Option<&'a str>,
    pub(super) principal: &'a str,
}

/// A row of `refusal_counts`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RefusalCountRow {
    pub(super) sequence: i64,
    pub(super) product_id: Arc<str>,
    pub(super) reason: &'static str,
    pub(super) minute_ms: i64,
    pub(super) refusals: i64,
}

/// A row of `quarantine`; its texts are ASCII, whatever the database's encoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QuarantineRow {
    pub(super) sequence: i64,
    pub(super) kind: &'static str,
    pub(super) decided_at_ms: Option<i64>,
    pub(super) code: String,
    pub(super) error: String,
    pub(super) record: String,
}

/// Rows as the tables have them before a batch: those it touches, as far as they are there.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) products: Vec<ProductRow>,
    pub(super) orders: Vec<FoundOrder>,
    pub(super) lines: Vec<FoundLine>,
    pub(super) holds: Vec<FoundHold>,
}

/// What is to be known of a row of `orders`.
#[derive(Debug)]
pub(super) struct FoundOrder {
    pub(super) order_id: Arc<str>,
    pub(super) status: String,
}

/// What is to be known of a row of `order_lines`.
#[derive(Debug)]
pub(super) struct FoundLine {
    pub(super) order_id: Arc<str>,
    pub(super) line_no: i32,
    pub(super) product_id: Arc<str>,
    pub(super) quantity: i64,
    pub(super) cancelled: i64,
}

/// What is to be known of a row of `holds`.
#[derive(Debug)]
pub(super) struct FoundHold {
    pub(super) hold_id: Arc<str>,
    pub(super) status: String,
    pub(super) expires_at_ms: i64,
}

/// All rows of one batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows<'a> {
    pub(super) created: Vec<ProductRow>,
    pub(super) changed: Vec<ProductChange>,
    /// By id, as their records came.
    pub(super) orders: Vec<OrderRow<'a>>,
    /// By id of their order and number.
    pub(super) lines: Vec<LineRow>,
    pub(super) orders_changed: Vec<OrderChange>,
    pub(super) lines_changed: Vec<LineChange>,
    /// By id, as their records came.
    pub(super) holds: Vec<HoldRow<'a>>,
    pub(super) holds_changed: Vec<HoldChange>,
    pub(super) movements: Vec<MovementRow<'a>>,
    pub(super) refusals: Vec<RefusalCountRow>,
    pub(super) quarantined: Vec<QuarantineRow>,
}

/// Status of a hold that is live.
pub(super) const HELD: &str = "held";

impl HoldState {
    pub(super) fn status(&self) -> &'static str {
        self.end.as_ref().map_or(HELD, |end| end.status)
    }

    pub(super) fn resolved_at_ms(&self) -> Option<i64> {
        self.end.as_ref().map(|end| end.resolved_at_ms)
    }

    pub(super) fn order_id(&self) -> Option<&str> {
        self.end.as_ref().and_then(|end| end.order_id.as_deref())
    }
}
