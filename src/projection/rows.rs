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

/// All rows of one batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows<'a> {
    pub(super) created: Vec<ProductRow>,
    pub(super) changed: Vec<ProductChange>,
    pub(super) orders: Vec<OrderRow<'a>>,
    pub(super) lines: Vec<LineRow>,
    pub(super) movements: Vec<MovementRow<'a>>,
    pub(super) refusals: Vec<RefusalCountRow>,
    pub(super) quarantined: Vec<QuarantineRow>,
}
