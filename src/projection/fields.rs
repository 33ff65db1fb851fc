//! Fields of rows from the domain's values: what fits the tables, and what does not.

use std::sync::Arc;

use super::rows::ProductRow;
use super::time::writable_ms;
use crate::domain::{Currency, Money, Patch, ProductCreated, TermsPatch, Version};

/// Why a record does not fit the tables.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    #[error("the product of handle {0} has no row")]
    MissingProduct(u32),
    #[error("product {product_id} is at version {row} in its row, the record makes {record}")]
    Version { product_id: Arc<str>, row: i64, record: u64 },
    #[error("product {product_id} would have stock {made}, the record says {record}")]
    Stock { product_id: Arc<str>, made: i64, record: u64 },
    #[error("the order {0} has no row")]
    MissingOrder(Arc<str>),
    #[error("line {1} of the order {0} has no row")]
    MissingLine(Arc<str>, i32),
    #[error("the hold {0} has no row")]
    MissingHold(Arc<str>),
    #[error("the order {0} is cancelled in its row")]
    Cancelled(Arc<str>),
    #[error("the hold {hold_id} is {status} in its row")]
    Ended { hold_id: Arc<str>, status: String },
    #[error(
        "line {line_no} of the order {order_id} has {left} units left in its row, the record \
         cancels {record}"
    )]
    Line { order_id: Arc<str>, line_no: i32, left: i64, record: i64 },
    #[error("{what} {value} is over what the tables hold")]
    Bounds { what: &'static str, value: u64 },
    #[error("{0}")]
    Body(&'static str),
}

impl Misfit {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::MissingProduct(_) => "missing_product",
            Self::Version { .. } => "version",
            Self::Stock { .. } => "stock",
            Self::MissingOrder(_) | Self::MissingLine(..) => "missing_order",
            Self::MissingHold(_) => "missing_hold",
            Self::Cancelled(_) | Self::Line { .. } => "order",
            Self::Ended { .. } => "hold",
            Self::Bounds { .. } => "bounds",
            Self::Body(_) => "body",
        }
    }
}

/// The first row of a product.
pub(super) fn created_row(
    created: &ProductCreated,
    handle: i64,
    version: Version,
    decided_at_ms: i64,
) -> Result<ProductRow, Misfit> {
    let terms = &created.terms;
    let (price_minor, currency) = price(terms.price)?;
    Ok(ProductRow {
        product_id: created.product_id.as_str().into(),
        handle,
        name: terms.name.as_str().to_owned(),
        price_minor,
        currency: currency.map(|currency| currency.as_str().to_owned()),
        sale_id: terms.sale_id.as_ref().map(|sale_id| sale_id.as_str().to_owned()),
        opens_at_ms: terms.opens_at().map(|at_ms| time("opens_at", at_ms)).transpose()?,
        closes_at_ms: terms.closes_at().map(|at_ms| time("closes_at", at_ms)).transpose()?,
        oversell_limit: i64::from(terms.oversell_limit),
        safety_stock: i64::from(terms.safety_stock),
        per_buyer_limit: terms.buyer_limit().map(i64::from),
        low_stock_threshold: terms.low_stock_threshold.map(i64::from),
        paused: terms.paused,
        returns_free_limit: terms.returns_free_limit,
        stock: figure("stock", created.stock)?,
        held: 0,
        sold: 0,
        version: figure("version", version.get())?,
        terms_version: 1,
        created_at_ms: decided_at_ms,
        updated_at_ms: decided_at_ms,
    })
}

/// Sets what a patch names, but for times.
pub(super) fn patch_row(row: &mut ProductRow, patch: &TermsPatch) {
    let word = |text: &str| text.to_owned();
    if let Patch::Set(name) = &patch.name {
        row.name = word(name.as_str());
    }
    if let Patch::Set(price) = &patch.price {
        row.price_minor = price.map(|price| i64::try_from(price.amount_minor()).unwrap_or(0));
        row.currency = price.map(|price| word(price.currency().as_str()));
    }
    if let Patch::Set(sale_id) = &patch.sale_id {
        row.sale_id = sale_id.as_ref().map(|sale_id| word(sale_id.as_str()));
    }
    if let Patch::Set(limit) = patch.per_buyer_limit {
        row.per_buyer_limit = limit.filter(|limit| *limit > 0).map(i64::from);
    }
    if let Patch::Set(threshold) = patch.low_stock_threshold {
        row.low_stock_threshold = threshold.map(i64::from);
    }
    if let Patch::Set(units) = patch.oversell_limit {
        row.oversell_limit = i64::from(units);
    }
    if let Patch::Set(units) = patch.safety_stock {
        row.safety_stock = i64::from(units);
    }
    set(&mut row.paused, &patch.paused);
    set(&mut row.returns_free_limit, &patch.returns_free_limit);
}

pub(super) fn set<T: Copy>(value: &mut T, patch: &Patch<T>) {
    if let Patch::Set(new) = patch {
        *value = *new;
    }
}

/// A patch of a window's end as the row has it; `none` is the time that stands for no end.
pub(super) fn patched_time(
    what: &'static str,
    patch: Patch<Option<u64>>,
    none: u64,
) -> Result<Patch<Option<i64>>, Misfit> {
    Ok(match patch {
        Patch::Keep => Patch::Keep,
        Patch::Set(at_ms) => {
            let at_ms = at_ms.filter(|at_ms| *at_ms != none);
            Patch::Set(at_ms.map(|at_ms| time(what, at_ms)).transpose()?)
        }
    })
}

pub(super) fn price(price: Option<Money>) -> Result<(Option<i64>, Option<Currency>), Misfit> {
    let Some(price) = price else { return Ok((None, None)) };
    Ok((Some(figure("price", price.amount_minor())?), Some(price.currency())))
}

pub(super) fn figure(what: &'static str, value: u64) -> Result<i64, Misfit> {
    i64::try_from(value).map_err(|_| Misfit::Bounds { what, value })
}

pub(super) fn time(what: &'static str, ms: u64) -> Result<i64, Misfit> {
    writable_ms(ms).ok_or(Misfit::Bounds { what, value: ms })
}
