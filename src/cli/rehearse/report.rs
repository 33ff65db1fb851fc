//! What a rehearsal tells, as a program reads it; `words` writes it for a person.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::count::{ProductTally, Sums};
use super::line::Reason;
use super::lists::Lists;
use super::plan::Partial;
use super::sheet::Skipped;
use crate::cli::play::ask::TroubleReport;
use crate::cli::play::book::Totals;
use crate::cli::play::check::Check;

/// A finished rehearsal.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether no check failed.
    pub(super) passed: bool,
    pub(super) run_id: String,
    pub(super) file: String,
    pub(super) server: String,
    /// The file with what a server of our own said, if that is kept.
    pub(super) server_output: Option<String>,
    pub(super) data_dir: Option<String>,
    pub(super) database: Option<String>,
    pub(super) connections: usize,
    /// Times faster than the file; `None`: as fast as it goes.
    pub(super) speed: Option<f64>,
    pub(super) opening_stock: String,
    /// Products that were on the server before were set to the opening stock.
    pub(super) restocked: bool,
    /// What became of refused orders.
    pub(super) partial: Partial,
    pub(super) service_codes: Vec<String>,
    pub(super) currency: String,
    pub(super) seconds: f64,
    pub(super) lines: Lines,
    pub(super) orders: Orders,
    pub(super) totals: Overall,
    pub(super) refused_by_reason: BTreeMap<String, u64>,
    pub(super) trouble: TroubleReport,
    pub(super) witnesses: Witnesses,
    pub(super) checks: Vec<Check>,
    pub(super) failed_lines: Vec<FailedLine>,
    pub(super) skipped_lines: Vec<Skipped>,
    /// Invoices of too many lines for one order.
    pub(super) split_invoices: Vec<String>,
    pub(super) products: Vec<ProductTally>,
    #[serde(flatten)]
    pub(super) lists: Lists,
}

/// Lines of the file.
#[derive(Debug, Serialize)]
pub(super) struct Lines {
    pub(super) read: u64,
    pub(super) played: u64,
    pub(super) skipped: BTreeMap<Reason, u64>,
    /// Read as Latin-1, because they are no UTF-8.
    pub(super) not_utf8: u64,
}

/// Orders that were asked for.
#[derive(Debug, Serialize)]
pub(super) struct Orders {
    pub(super) asked: u64,
    pub(super) sold_whole: u64,
    pub(super) sold_in_part: u64,
    pub(super) refused: u64,
}

/// Over all products.
#[derive(Debug, Serialize)]
pub(super) struct Overall {
    pub(super) products: u64,
    pub(super) products_reused: u64,
    pub(super) products_sold_out: u64,
    /// Those that turned an order away for want of stock.
    pub(super) products_that_refused: u64,
    #[serde(flatten)]
    pub(super) sums: Sums,
}

/// What each witness counts of the same sale.
#[derive(Debug, Serialize)]
pub(super) struct Witnesses {
    pub(super) answers: Witness,
    pub(super) log: Option<Witness>,
    pub(super) database: Option<Witness>,
}

/// What one counts.
#[derive(Debug, Serialize)]
pub(super) struct Witness {
    #[serde(flatten)]
    pub(super) totals: Totals,
    /// Units left of the products of the file.
    pub(super) left_units: Option<i128>,
}

/// A line without an outcome.
#[derive(Debug, Serialize)]
pub(super) struct FailedLine {
    pub(super) line: u64,
    pub(super) what: String,
}

impl Overall {
    /// Over these products, which have these sums.
    pub(super) fn new(products: &[ProductTally], sums: Sums) -> Self {
        let count =
            |which: fn(&&ProductTally) -> bool| products.iter().filter(which).count() as u64;
        Self {
            products: products.len() as u64,
            products_reused: count(|product| product.reused),
            products_sold_out: count(|product| product.sold_out_at.is_some()),
            products_that_refused: count(|product| product.first_refused_at.is_some()),
            sums,
        }
    }
}

impl Witness {
    /// A witness that tells this; `left` may know of more products than the file has.
    pub(super) fn new(
        totals: Totals,
        left: Option<&HashMap<String, i128>>,
        products: &[ProductTally],
    ) -> Self {
        let units = |left: &HashMap<String, i128>| {
            products.iter().filter_map(|product| left.get(&product.product_id)).sum()
        };
        Self { totals, left_units: left.map(units) }
    }
}
