//! Products: terms and figures as the log leaves them, against their rows.

use std::collections::HashMap;

use super::report::Report;
use super::table::{Table, TableKind, some};
use crate::cli::replayed::Replayed;
use crate::domain::rfc3339;
use crate::projection::{Moment, SortedBy, TextRow};

static KIND: TableKind = TableKind {
    name: "products",
    columns: &[
        "handle",
        "product_id",
        "stock",
        "held",
        "sold",
        "version",
        "name",
        "price_minor",
        "currency",
        "sale_id",
        "opens_at",
        "closes_at",
        "oversell_limit",
        "safety_stock",
        "per_buyer_limit",
        "low_stock_threshold",
        "paused",
        "returns_free_limit",
        "terms_version",
        "created_at",
        "updated_at",
    ],
    key: &[SortedBy::Number("handle", 0)],
    id: &[1],
};

/// What the state does not tell of a product: when it was changed.
pub(super) struct Seen {
    pub(super) created_at_ms: u64,
    pub(super) updated_at_ms: u64,
}

/// Compares all products; `seen` has them by handle. Gives how many there are.
pub(super) fn compare(
    moment: &mut Moment,
    report: &mut Report,
    partition: u16,
    state: &Replayed,
    seen: &[Seen],
) -> anyhow::Result<u64> {
    let mut columns = KIND.columns.join(", ");
    for name in ["opens_at", "closes_at", "created_at", "updated_at"] {
        columns = columns.replace(name, &moment.time(name));
    }
    for name in ["paused", "returns_free_limit"] {
        columns = columns.replace(name, &moment.flag(name));
    }
    let select = format!("SELECT {columns} FROM products WHERE partition = {partition}");
    let mut table = Table::new(moment, &KIND, select)?;
    for ((handle, product), seen) in state.inventory.products().zip(seen) {
        let (terms, figures) = (&product.terms, product.figures);
        let row: TextRow = vec![
            some(handle),
            some(state.product_id(handle)),
            some(figures.stock),
            some(figures.held),
            some(figures.sold),
            some(product.version),
            some(&terms.name),
            terms.price.map(|price| price.amount_minor().to_string()),
            terms.price.map(|price| price.currency().as_str().to_owned()),
            terms.sale_id.as_ref().map(ToString::to_string),
            terms.opens_at().map(rfc3339),
            terms.closes_at().map(rfc3339),
            some(terms.oversell_limit),
            some(terms.safety_stock),
            terms.buyer_limit().map(|limit| limit.to_string()),
            terms.low_stock_threshold.map(|threshold| threshold.to_string()),
            some(u8::from(terms.paused)),
            some(u8::from(terms.returns_free_limit)),
            some(terms.version()),
            some(rfc3339(seen.created_at_ms)),
            some(rfc3339(seen.updated_at_ms)),
        ];
        table.expect(moment, report, &row)?;
    }
    table.end(moment, report)?;
    Ok(table.expected)
}

/// The last version of each product.
pub(super) fn versions(state: &Replayed) -> HashMap<&str, u64> {
    let versions = state.inventory.products().map(|(_, product)| product.version.get());
    state.product_ids().zip(versions).collect()
}
