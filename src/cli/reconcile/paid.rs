//! The log against what a shop was paid for: by reference and product, units sold less those that
//! came back.
//!
//! The log is read twice: once for what came back, once for the orders. In memory: the file, and the
//! state. What differs is told at once and not kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::report::Report;
use super::shop::{Paid, PaidLine};
use crate::cli::bar;
use crate::cli::exit::{Exit, failure};
use crate::cli::output::OutputArgs;
use crate::cli::place;
use crate::cli::play::number::{counted, grouped};
use crate::cli::rehearse::record;
use crate::cli::replayed::{Replayed, decisions, whole_log};
use crate::domain::{OrderPlaced, ProductId, Sequence, rfc3339};
use crate::journal::{JournalFiles, Record};

/// Which orders of the log must be in the file.
#[derive(Debug, Default, Args)]
pub(super) struct Window {
    /// Only this product, of the file and the log
    #[arg(long, value_name = "PRODUCT", requires = "orders")]
    product: Option<String>,
    /// Orders before this time need not be in the file: RFC 3339, such as 2026-11-27T00:00:00Z
    #[arg(long, value_name = "TIME", requires = "orders", value_parser = place::time)]
    since: Option<u64>,
    /// Orders from this time on need not be in the file
    #[arg(long, value_name = "TIME", requires = "orders", value_parser = place::time)]
    until: Option<u64>,
    /// Orders without a reference are counted, and are no difference
    #[arg(long, requires = "orders")]
    allow_no_reference: bool,
}

const HEADER: &str =
    "how             reference             product                    paid       sold  where";

/// How file and log differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    PaidNotSold,
    SoldNotPaid,
    OtherQuantity,
    NoReference,
}

#[derive(Debug, Serialize)]
struct Difference<'a> {
    kind: Kind,
    reference: Option<&'a str>,
    product_id: &'a str,
    /// Units in the file.
    paid: u64,
    /// Units in the log.
    sold: u64,
    /// Line of the file.
    line: Option<u64>,
    order_id: Option<String>,
    buyer_id: Option<&'a str>,
    placed_at: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Compared {
    file: String,
    file_lines: u64,
    log_sequence: u64,
    log_position: String,
    /// Orders of the log that were compared, and their units that did not come back.
    orders: u64,
    units: u64,
    /// Of these, those without a reference.
    orders_without_reference: u64,
    units_without_reference: u64,
}

struct Comparing<'a> {
    window: &'a Window,
    state: &'a Replayed,
    log: &'a JournalFiles,
    paid: Paid,
    compared: Compared,
    report: Report,
}

/// Compares and tells.
pub(super) fn run(
    data_dir: &Path,
    file: &Path,
    window: &Window,
    output: &OutputArgs,
) -> anyhow::Result<Exit> {
    if let Some(product) = &window.product {
        let wrong = |error| failure(Exit::Usage, format!("product {product:?}: {error}"));
        ProductId::new(product).map_err(wrong)?;
    }
    place::check_window(window.since, window.until)?;
    let name = file.display().to_string();
    let mut paid = Paid::read(&record::read(file)?, &name)?;
    if let Some(product) = &window.product {
        paid.orders.values_mut().for_each(|lines| lines.retain(|id, _| id == product));
    }
    let log = whole_log(data_dir, "compared")?;
    let upto = log.proven();
    let bar = bar::over_records(upto.get(), "reading what came back");
    let mut state = Replayed::default();
    decisions(&log, upto, &bar, &mut |sequence, record| state.apply(sequence, record))?;
    if let Some(product) = &window.product {
        check_known(product, &state, &paid, upto)?;
    }
    let compared = Compared {
        file: name,
        file_lines: paid.lines,
        log_sequence: upto.get(),
        log_position: log.places().position(upto).to_string(),
        ..Compared::default()
    };
    let mut report = Report::new(output)?;
    report.header = HEADER;
    report.bar = bar::over_records(upto.get(), "comparing orders");
    let bar = report.bar.clone();
    let mut comparing = Comparing { window, state: &state, log: &log, paid, compared, report };
    decisions(&log, upto, &bar, &mut |sequence, record| match record.order() {
        Some(order) => comparing.order(sequence, record, order),
        None => Ok(()),
    })?;
    comparing.end()
}

/// That there is something to compare: a product that neither side names is a slip of the hand. One
/// that the file alone names was paid for and never sold, which is a difference.
fn check_known(product: &str, state: &Replayed, paid: &Paid, upto: Sequence) -> anyhow::Result<()> {
    let is_paid = paid.orders.values().any(|lines| lines.contains_key(product));
    if is_paid || state.handle(product).is_some() {
        return Ok(());
    }
    let message = format!("product {product} is not in the log up to record {upto}");
    Err(failure(Exit::Usage, message))
}

impl Comparing<'_> {
    fn order(
        &mut self,
        sequence: Sequence,
        record: &Record,
        order: &OrderPlaced,
    ) -> anyhow::Result<()> {
        let returned = self.state.inventory.returns().of(sequence);
        let mut sold = BTreeMap::<&str, u64>::new();
        for (place, line) in order.lines.iter().enumerate() {
            let back = returned.map_or(0, |returned| returned.units(place));
            let product_id = self.state.product_id(line.product);
            if self.window.product.as_deref().is_none_or(|wanted| wanted == product_id) {
                *sold.entry(product_id).or_default() += line.quantity.units() - back;
            }
        }
        sold.retain(|_, units| *units > 0);
        if sold.is_empty() {
            return Ok(());
        }
        let at_ms = record.envelope.decided_at_ms;
        let must = self.window.since.is_none_or(|since| at_ms >= since)
            && self.window.until.is_none_or(|until| at_ms < until);
        let reference = record.envelope.reference.as_ref().map(|reference| reference.as_str());
        let units: u64 = sold.values().sum();
        let mut is_compared = must;
        for (product_id, units) in &sold {
            let line = reference
                .and_then(|reference| self.paid.orders.get_mut(reference))
                .and_then(|lines| lines.get_mut(*product_id));
            let kind = match (line, reference) {
                (Some(line), _) => {
                    line.sold += units;
                    is_compared = true;
                    continue;
                }
                (None, Some(_)) => Kind::SoldNotPaid,
                (None, None) => Kind::NoReference,
            };
            let is_allowed = kind == Kind::NoReference && self.window.allow_no_reference;
            if must && !is_allowed {
                let difference = Difference {
                    kind,
                    reference,
                    product_id,
                    paid: 0,
                    sold: *units,
                    line: None,
                    order_id: Some(self.log.places().order_id(sequence).to_string()),
                    buyer_id: Some(order.buyer_id.as_str()),
                    placed_at: Some(rfc3339(at_ms)),
                };
                self.report.add(&difference)?;
            }
        }
        if is_compared {
            self.compared.orders += 1;
            self.compared.units += units;
            self.compared.orders_without_reference += u64::from(reference.is_none());
            self.compared.units_without_reference += if reference.is_none() { units } else { 0 };
        }
        Ok(())
    }

    /// Tells of the lines of the file, in their order.
    fn end(self) -> anyhow::Result<Exit> {
        let Self { paid, compared, mut report, .. } = self;
        let mut lines: Vec<(&str, &str, &PaidLine)> = Vec::new();
        for (reference, products) in &paid.orders {
            let differing = products.iter().filter(|(_, line)| line.paid != line.sold);
            lines.extend(differing.map(|(product, line)| (&**reference, &**product, line)));
        }
        lines.sort_unstable_by_key(|(_, _, line)| line.line);
        for (reference, product_id, line) in lines {
            let kind = if line.sold == 0 { Kind::PaidNotSold } else { Kind::OtherQuantity };
            report.add(&Difference {
                kind,
                reference: Some(reference),
                product_id,
                paid: line.paid,
                sold: line.sold,
                line: Some(line.line),
                order_id: None,
                buyer_id: None,
                placed_at: None,
            })?;
        }
        let found = report.end(&compared, |found| compared.words(found))?;
        Ok(if found == 0 { Exit::Done } else { Exit::CheckFailed })
    }
}

impl Compared {
    fn words(&self, found: u64) -> String {
        let mut out = String::new();
        let Self { file, file_lines, log_sequence, orders, units, .. } = self;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "file  {file}: {}\nlog   up to record {log_sequence} ({}): {}, {} that did not come back",
            counted(*file_lines, "line"),
            self.log_position,
            counted(*orders, "order"),
            counted(*units, "unit"),
        );
        if self.orders_without_reference > 0 {
            let _ = writeln!(
                out,
                "      of these {} without a reference, {}: the file cannot name them",
                counted(self.orders_without_reference, "order"),
                counted(self.units_without_reference, "unit"),
            );
        }
        let _ = match found {
            0 => writeln!(out, "no difference"),
            found => writeln!(out, "{}", counted(found, "difference")),
        };
        out
    }
}

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::PaidNotSold => "paid, not sold",
            Kind::SoldNotPaid => "sold, not paid",
            Kind::OtherQuantity => "other quantity",
            Kind::NoReference => "no reference",
        };
        let (reference, product_id) = (self.reference.unwrap_or("-"), self.product_id);
        let (paid, sold) = (grouped(self.paid), grouped(self.sold));
        write!(f, "{kind:<14}  {reference:<20}  {product_id:<20}  {paid:>9}  {sold:>9}")?;
        match (self.line, &self.order_id) {
            (Some(line), _) => write!(f, "  line {line}"),
            (_, Some(order_id)) => {
                let buyer_id = self.buyer_id.unwrap_or_default();
                let placed_at = self.placed_at.as_deref().unwrap_or_default();
                write!(f, "  {order_id} of {buyer_id}, {placed_at}")
            }
            _ => Ok(()),
        }
    }
}
