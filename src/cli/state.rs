//! `state --as-of`: where every product stood after some record, or at some time.
//!
//! Made as a start makes it, from the newest snapshot before the place. Reads beside a running
//! engine, and only what is proven to be durable. Memory: the state; rows are written one by one.

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;
use serde::ser::Serializer;

use super::advice::{Tried, explained};
use super::bar;
use super::exit::{Exit, failure};
use super::hex;
use super::log::{Log, open_log};
use super::output::{OutputArgs, is_closed_pipe};
use super::place::{self, Place};
use super::record_json::{TermsJson, terms};
use super::wal::LogArgs;
use crate::domain::{Handle, Product, Sequence};
use crate::engine::{Past, PastError, Recovered, recover_past};
use crate::journal::JournalRecords;

/// `state`
#[derive(Debug, Args)]
pub(super) struct StateArgs {
    #[command(flatten)]
    log: LogArgs,
    /// After this record (its sequence, or a position as answers tell it), at the end of this moment, or
    /// now
    #[arg(long, value_name = "SEQUENCE|POSITION|TIME|now")]
    as_of: Place,
    /// This product alone
    #[arg(long, value_name = "ID")]
    product: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A state and where it lies.
#[derive(Serialize)]
struct StateJson<'a> {
    journal_id: String,
    partition: u16,
    /// The last record that is in it.
    sequence: u64,
    position: String,
    /// Its time, or that of the last one before it that has one.
    at: Option<String>,
    /// The snapshot it goes on from; null: it is made of all records.
    snapshot: Option<String>,
    state_hash: String,
    selling_paused: bool,
    totals: TotalsJson,
    products: Rows<'a>,
}

#[derive(Serialize)]
struct TotalsJson {
    products: u64,
    stock: u64,
    held: u64,
    sold: u64,
    unsold: i64,
    live_holds: usize,
    idempotency_keys: u64,
}

/// The products that are shown, one after another.
struct Rows<'a> {
    recovered: &'a Recovered,
    only: Option<Handle>,
}

#[derive(Serialize)]
struct ProductJson<'a> {
    product_id: &'a str,
    version: u64,
    stock: u64,
    held: u64,
    sold: u64,
    unsold: i64,
    available: u64,
    terms: TermsJson<'a>,
}

impl StateArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let shown = self.show();
        shown.map_err(|error| explained(error, Tried::Read, &self.log.data_dir))
    }

    fn show(&self) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        let log = open_log(&self.log.data_dir)?;
        let mut records = log.records_from(Sequence::new(1))?;
        let upto = self.place(&log, &mut records)?;
        let bar = bar::over_records(upto.get(), "recovering");
        let past = recover_past(log.journal(), upto, usize::MAX, &mut |sequence| {
            bar.set_position(sequence.get());
        });
        let past = past.map_err(|error| match error {
            PastError::NoSnapshot(why) if why.is_pruned_alone() => reaches_back(&log, upto),
            error => error.into(),
        })?;
        bar.finish_and_clear();
        // Gives every product its name, too.
        past.recovered.publish();
        let only = self.product.as_deref().map(|id| handle(&past, id, upto)).transpose()?;
        let json = state(&log, &past, upto, only);
        match self.output.stream(&json, &mut |out| text(&json, out)) {
            // Whoever reads has seen enough.
            Err(error) if is_closed_pipe(&error) => Ok(Exit::Done),
            done => done.map(|()| Exit::Done),
        }
    }

    /// The last record of the state that is asked for.
    fn place(&self, log: &Log, records: &mut JournalRecords) -> anyhow::Result<Sequence> {
        let (first, last) = (records.first_sequence(), records.proven());
        let sequence = match self.as_of {
            Place::Now => last,
            Place::Sequence(sequence) => sequence,
            Place::Position(position) => {
                place::here(position, &log.places(), &position.to_string())?
            }
            Place::Time(at_ms) => at_time(records, at_ms)?,
        };
        if sequence > last {
            let message = format!("the log ends with record {last}: there is no record {sequence}");
            return Err(failure(Exit::Usage, message));
        }
        if sequence.get() + 1 < first.get() {
            let message = format!(
                "the log begins with record {first}: what lies before was pruned, and the state \
                 after record {sequence} with it"
            );
            return Err(failure(Exit::Usage, message));
        }
        Ok(sequence)
    }
}

/// How far back states can be made of what is left.
fn reaches_back(log: &Log, upto: Sequence) -> anyhow::Error {
    let snapshots = log.journal().snapshots().list().unwrap_or_default();
    let since = match snapshots.iter().min() {
        Some(oldest) => format!("states are known from record {oldest} on"),
        None => "no state is known".to_owned(),
    };
    let message = format!(
        "the log was pruned before record {}, and the state after record {upto} with it: {since}; use a \
         backup that still has those records",
        log.journal().segments().first_sequence()
    );
    failure(Exit::Usage, message)
}

/// The last record at or before a time. Says on standard error what lies outside the log.
fn at_time(records: &mut JournalRecords, at_ms: u64) -> anyhow::Result<Sequence> {
    let last = records.proven();
    let Some((first_ms, last_ms)) = place::span(records)? else {
        let message = "no record of the log has a time: name a sequence";
        return Err(failure(Exit::Usage, message));
    };
    if at_ms < first_ms {
        let message = format!(
            "the first record is of {}: before it the log knows nothing",
            place::shown(first_ms)
        );
        return Err(failure(Exit::Usage, message));
    }
    if at_ms > last_ms {
        eprintln!(
            "the last record that is proven is {last}, of {}: this is the state after it",
            place::shown(last_ms)
        );
        return Ok(last);
    }
    let after = records.place_from(at_ms.saturating_add(1))?;
    Ok(Sequence::new(after.get().saturating_sub(1)))
}

fn handle(past: &Past, product_id: &str, upto: Sequence) -> anyhow::Result<Handle> {
    let entry = past.recovered.directory.product(product_id);
    let missing = || format!("there is no product {product_id} as of record {upto}");
    entry.map(|entry| entry.handle()).ok_or_else(|| failure(Exit::Usage, missing()))
}

fn state<'a>(log: &Log, past: &'a Past, upto: Sequence, only: Option<Handle>) -> StateJson<'a> {
    let Past { recovered, snapshot } = past;
    let inventory = &recovered.inventory;
    let mut totals = TotalsJson {
        products: inventory.len() as u64,
        stock: 0,
        held: 0,
        sold: 0,
        unsold: 0,
        live_holds: inventory.holds().len(),
        idempotency_keys: recovered.keys(),
    };
    for (_, Product { figures, .. }) in inventory.products() {
        totals.stock += figures.stock;
        totals.held += figures.held;
        totals.sold += figures.sold;
        totals.unsold += figures.unsold();
    }
    let identity = log.identity();
    StateJson {
        journal_id: hex(&identity.journal_id),
        partition: identity.partition,
        sequence: upto.get(),
        position: log.places().position(upto).to_string(),
        at: recovered.last_ms.map(place::shown),
        snapshot: snapshot.clone(),
        state_hash: hex(&recovered.state_hash()),
        selling_paused: inventory.selling_paused(),
        totals,
        products: Rows { recovered, only },
    }
}

impl<'a> Rows<'a> {
    fn each(&self) -> impl Iterator<Item = ProductJson<'a>> {
        let Self { recovered, only } = *self;
        let all = only.is_none().then(|| recovered.inventory.products()).into_iter().flatten();
        let one = only.and_then(|handle| Some((handle, recovered.inventory.product(handle)?)));
        all.chain(one).map(|(handle, product)| {
            let entry = recovered.directory.product_by_handle(handle);
            let figures = &product.figures;
            ProductJson {
                product_id: entry.map_or("", |entry| entry.id().as_str()),
                version: product.version.get(),
                stock: figures.stock,
                held: figures.held,
                sold: figures.sold,
                unsold: figures.unsold(),
                available: product.available(),
                terms: terms(&product.terms),
            }
        })
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.each())
    }
}

fn text(json: &StateJson<'_>, out: &mut dyn Write) -> io::Result<()> {
    let at = json.at.as_deref().unwrap_or("before any time");
    writeln!(out, "state after record {} ({}), {at}", json.sequence, json.position)?;
    match &json.snapshot {
        Some(file) => writeln!(out, "made of {file} and the records since")?,
        None => writeln!(out, "made of all records from the first")?,
    }
    writeln!(out, "state hash {}", json.state_hash)?;
    let TotalsJson { products, stock, held, sold, unsold, live_holds, idempotency_keys } =
        json.totals;
    writeln!(
        out,
        "{products} products: {stock} stock, {held} held, {sold} sold, {unsold} unsold; {live_holds} \
         live holds, {idempotency_keys} idempotency keys{}",
        if json.selling_paused { "; selling is paused" } else { "" }
    )?;
    let rows = &json.products;
    let head = ["stock", "held", "sold", "unsold", "available", "version"];
    write!(out, "\n{:<24}", "product")?;
    head.iter().try_for_each(|head| write!(out, " {head:>10}"))?;
    writeln!(out)?;
    for row in rows.each() {
        let ProductJson { product_id, version, stock, held, sold, unsold, available, .. } = &row;
        writeln!(
            out,
            "{product_id:<24} {stock:>10} {held:>10} {sold:>10} {unsold:>10} {available:>10} \
             {version:>10}"
        )?;
        if rows.only.is_some() {
            let terms = serde_json::to_string_pretty(&row.terms)?;
            writeln!(out, "terms {terms}")?;
        }
    }
    Ok(())
}
