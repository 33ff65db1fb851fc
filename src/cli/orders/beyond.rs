//! `orders beyond`: what would not have been sold, had the stock been what it really was.
//!
//! Reads the log twice, beside a running server: once for how every order and hold stands, once to
//! allot. In memory: the state, which holds of the product became which order, and the list.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::allot::Allotment;
use super::list::{self, Beyond};
use crate::cli::advice::{quoted, reading};
use crate::cli::bar;
use crate::cli::exit::{Exit, failure};
use crate::cli::output::{can_write, write_file};
use crate::cli::play::number::{counted, grouped};
use crate::cli::play::table::table;
use crate::cli::print::print;
use crate::cli::replayed::{Replayed, decisions, whole_log};
use crate::domain::{Decision, FIGURE_MAX, Handle, OrderLine, OrderPlaced, Sequence, rfc3339};
use crate::journal::{FileTail, JournalFiles, Payload, Record};

/// Rows that a person is shown; the file has all.
const SHOWN_MAX: usize = 10;

/// `orders beyond`
#[derive(Debug, Args)]
pub(in crate::cli) struct BeyondArgs {
    /// The product
    product: String,
    /// Units of it there really were to sell, less those written off since
    #[arg(long, value_name = "UNITS", allow_negative_numbers = true, value_parser = units)]
    true_stock: u64,
    /// Cut no order: one that does not fit whole is beyond whole, and leaves its units to later ones
    #[arg(long)]
    whole_orders: bool,
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "./data", env = "DOORBUSTER_DATA_DIR")]
    data_dir: PathBuf,
    /// Print the list as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Write the list as CSV into this file, for `orders cancel --from`
    #[arg(long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
}

fn units(text: &str) -> Result<u64, String> {
    let units = text.parse().ok().filter(|units| *units <= FIGURE_MAX);
    units.ok_or_else(|| format!("must be 0 to {FIGURE_MAX} units"))
}

#[derive(Debug, Serialize)]
struct Listed {
    product_id: String,
    true_stock: u64,
    oversell_limit: u32,
    stock: u64,
    sold: u64,
    held: u64,
    log_sequence: u64,
    log_position: String,
    orders_beyond: u64,
    holds_beyond: u64,
    units_beyond: u64,
    beyond: Vec<Beyond>,
}

/// What the first reading leaves.
struct Standing {
    state: Replayed,
    /// Orders that holds of the product became.
    confirmed: HashMap<Sequence, Sequence>,
}

impl BeyondArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        reading(&self.data_dir, || self.list())
    }

    fn list(&self) -> anyhow::Result<Exit> {
        if let Some(path) = &self.output {
            can_write(path)?;
        }
        let log = whole_log(&self.data_dir, "allotted")?;
        let standing = self.standing(&log)?;
        let Some(handle) = standing.state.handle(&self.product) else {
            let (product, upto) = (&self.product, log.proven());
            let message = format!("product {product} is not in the log up to record {upto}");
            return Err(failure(Exit::Usage, message));
        };
        let beyond = self.allot(&log, &standing, handle)?;
        let listed = self.listed(&log, &standing, handle, beyond);
        if let Some(path) = &self.output {
            write_file(path, &list::write(&listed.beyond))?;
        }
        match self.json {
            true => print(serde_json::to_string_pretty(&listed)? + "\n")?,
            false => print(self.words(&listed))?,
        }
        Ok(Exit::Done)
    }

    fn standing(&self, log: &JournalFiles) -> anyhow::Result<Standing> {
        let upto = log.proven();
        let bar = bar::over_records(upto.get(), "reading how orders stand");
        let mut standing = Standing { state: Replayed::default(), confirmed: HashMap::new() };
        let mut handle = None;
        decisions(log, upto, &bar, &mut |sequence, record| {
            standing.state.apply(sequence, record)?;
            match &record.decision {
                Decision::ProductCreated(created)
                    if created.product_id.as_str() == self.product =>
                {
                    handle = standing.state.handle(&self.product);
                }
                Decision::HoldConfirmed(confirmed)
                    if confirmed.order.lines.iter().any(|line| Some(line.product) == handle) =>
                {
                    standing.confirmed.insert(confirmed.hold, sequence);
                }
                _ => {}
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        Ok(standing)
    }

    fn allot(
        &self,
        log: &JournalFiles,
        standing: &Standing,
        handle: Handle,
    ) -> anyhow::Result<Vec<Beyond>> {
        let upto = log.proven();
        let product = standing.state.inventory.product(handle);
        // What may be sold beyond the stock may be sold beyond the true one too.
        let oversell = product.map_or(0, |product| u64::from(product.terms.oversell_limit));
        let units = self.true_stock.saturating_add(oversell);
        let mut allotment = Allotment::new(units, !self.whole_orders);
        let (bar, records) =
            (bar::over_records(upto.get(), "allotting"), log.tail(Sequence::new(1))?);
        let position = log.places().position(upto).to_string();
        let mut beyond = Vec::new();
        decisions(log, upto, &bar, &mut |sequence, record| {
            let claim = claim(standing, handle, &records, sequence, record)?;
            let Some(Claim { order, units, buyer_id, reference, at_ms }) = claim else {
                return Ok(());
            };
            let keeps = allotment.next(units);
            if keeps < units {
                let (places, hold) = (log.places(), sequence);
                beyond.push(Beyond {
                    order_id: order.map(|order| places.order_id(order).to_string()),
                    hold_id: order.is_none().then(|| places.hold_id(hold).to_string()),
                    product_id: self.product.clone(),
                    quantity: units - keeps,
                    keep: Some(keeps),
                    buyer_id,
                    reference,
                    placed_at: rfc3339(at_ms),
                    position: position.clone(),
                });
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        Ok(beyond)
    }

    fn listed(
        &self,
        log: &JournalFiles,
        standing: &Standing,
        handle: Handle,
        beyond: Vec<Beyond>,
    ) -> Listed {
        let product = standing.state.inventory.product(handle);
        let figures = product.map(|product| product.figures).unwrap_or_default();
        let orders = beyond.iter().filter(|row| row.order_id.is_some()).count() as u64;
        Listed {
            product_id: self.product.clone(),
            true_stock: self.true_stock,
            oversell_limit: product.map_or(0, |product| product.terms.oversell_limit),
            stock: figures.stock,
            sold: figures.sold,
            held: figures.held,
            log_sequence: log.proven().get(),
            log_position: log.places().position(log.proven()).to_string(),
            orders_beyond: orders,
            holds_beyond: beyond.len() as u64 - orders,
            units_beyond: beyond.iter().map(|row| row.quantity).sum(),
            beyond,
        }
    }

    fn words(&self, listed: &Listed) -> String {
        let mut out = String::new();
        let Listed { product_id, stock, sold, held, true_stock, log_sequence, .. } = listed;
        let oversell = match listed.oversell_limit {
            0 => String::new(),
            limit => format!(" and an oversell limit of {}", grouped(limit.into())),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{product_id}: stock {}, sold {}, held {}, up to record {log_sequence} ({})\n\
             beyond a true stock of {}{oversell}: {} in {} and {}",
            grouped(*stock),
            grouped(*sold),
            grouped(*held),
            listed.log_position,
            grouped(*true_stock),
            counted(listed.units_beyond, "unit"),
            counted(listed.orders_beyond, "order"),
            counted(listed.holds_beyond, "live hold"),
        );
        let shown = listed.beyond.iter().take(SHOWN_MAX).map(|row| {
            let id = row.order_id.clone().or(row.hold_id.clone()).unwrap_or_default();
            let reference = row.reference.clone().unwrap_or_default();
            let keep = row.keep.unwrap_or(0);
            vec![
                id,
                row.buyer_id.clone(),
                reference,
                row.placed_at.clone(),
                row.quantity.to_string(),
                keep.to_string(),
            ]
        });
        let header = ["order or hold", "buyer", "reference", "placed at", "beyond", "keeps"];
        if !listed.beyond.is_empty() {
            let _ = writeln!(out, "{}", table(&header, shown.collect(), 4));
        }
        if listed.beyond.len() > SHOWN_MAX {
            let more = listed.beyond.len() - SHOWN_MAX;
            let _ = writeln!(out, "and {} more", grouped(more as u64));
        }
        match &self.output {
            Some(path) => {
                let path = quoted(path);
                let _ = writeln!(
                    out,
                    "all of them are in {path}; next: doorbuster orders cancel --from {path} --dry-run"
                );
            }
            None if listed.beyond.is_empty() => {}
            None => out.push_str("write them into a file with --output FILE.csv\n"),
        }
        out
    }
}

/// Units that are claimed at a record.
struct Claim {
    /// `None`: by a live hold.
    order: Option<Sequence>,
    units: u64,
    buyer_id: String,
    reference: Option<String>,
    at_ms: u64,
}

/// Who claims units of the product from this record on, as it stands now.
fn claim(
    standing: &Standing,
    handle: Handle,
    records: &FileTail,
    sequence: Sequence,
    record: &Record,
) -> anyhow::Result<Option<Claim>> {
    match &record.decision {
        Decision::OrderPlaced(order) => Ok(claim_of(standing, handle, sequence, record, order)),
        Decision::HoldPlaced(placed) => {
            if let Some(order) = standing.confirmed.get(&sequence) {
                // The order has the hold's place in the line, and its own buyer, reference and time.
                let Some(Payload::Record(record)) = records.read(*order)? else { return Ok(None) };
                let placed = record.order();
                return Ok(
                    placed.and_then(|placed| claim_of(standing, handle, *order, &record, placed))
                );
            }
            if standing.state.inventory.holds().live(sequence).is_none() {
                return Ok(None);
            }
            let units = units_of(handle, &placed.lines, &|_| 0);
            Ok(claimed(None, units, record, placed.buyer_id.as_str()))
        }
        _ => Ok(None),
    }
}

fn claim_of(
    standing: &Standing,
    handle: Handle,
    sequence: Sequence,
    record: &Record,
    order: &OrderPlaced,
) -> Option<Claim> {
    let returned = standing.state.inventory.returns().of(sequence);
    let back = |place: usize| returned.map_or(0, |returned| returned.units(place));
    let units = units_of(handle, &order.lines, &back);
    claimed(Some(sequence), units, record, order.buyer_id.as_str())
}

fn claimed(order: Option<Sequence>, units: u64, record: &Record, buyer_id: &str) -> Option<Claim> {
    let envelope = &record.envelope;
    let reference = envelope.reference.as_ref().map(ToString::to_string);
    let (buyer_id, at_ms) = (buyer_id.to_owned(), envelope.decided_at_ms);
    (units > 0).then_some(Claim { order, units, buyer_id, reference, at_ms })
}

fn units_of(handle: Handle, lines: &[OrderLine], back: &dyn Fn(usize) -> u64) -> u64 {
    let of_product = lines.iter().enumerate().filter(|(_, line)| line.product == handle);
    of_product.map(|(place, line)| line.quantity.units().saturating_sub(back(place))).sum()
}
