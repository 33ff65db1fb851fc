//! `proof`: writes what the log decided about a product or a sale as a file that others can check.

mod check;

use std::fmt::Display;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::advice::reading;
use super::bar;
use super::exit::{Exit, failure};
use super::files;
use super::log::{Log, open_log};
use super::output::{OutputArgs, can_write};
use super::play::number::counted;
use crate::domain::{ProductId, SaleId};
use crate::proof::{Ask, Closing, Head, ProofError, Subject, Written, write};

/// `proof`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ProofArgs {
    #[command(subcommand)]
    command: Option<ProofCommand>,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Subcommand)]
enum ProofCommand {
    /// Check a proof: alone, against a log, against a published digest; exit 1 when it does not hold
    Check(check::CheckArgs),
}

#[derive(Debug, Args)]
struct WriteArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "./data", env = "DOORBUSTER_DATA_DIR")]
    data_dir: PathBuf,
    /// Last sequence to prove [default: as far as the log proves that it was durable]
    #[arg(long, value_name = "SEQUENCE")]
    upto: Option<u64>,
    /// Say who bought: buyers, references, principals and digests of records [default: left out]
    #[arg(long)]
    with_buyers: bool,
    /// Write the proof into this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With --output: tell what was written as JSON
    #[arg(long, requires = "output")]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// Prove this product
    #[arg(long = "product", value_name = "ID", value_parser = ProductId::new)]
    product: Option<ProductId>,
    /// Prove every product that ever belonged to this sale
    #[arg(long = "sale", value_name = "ID", value_parser = SaleId::new)]
    sale: Option<SaleId>,
}

/// What was written.
#[derive(Serialize)]
struct WrittenJson<'a> {
    proof: &'a Head,
    entries: u64,
    products: &'a [Closing],
    sha256: &'a str,
}

impl ProofArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Some(ProofCommand::Check(args)) => args.run(),
            None => {
                let data_dir = self.write.data_dir.clone();
                reading(&data_dir, || self.write.run())
            }
        }
    }
}

impl WriteArgs {
    fn run(self) -> anyhow::Result<Exit> {
        let subject = match (self.subject.product, self.subject.sale) {
            (Some(id), None) => Subject::ProductId(id),
            (None, Some(id)) => Subject::SaleId(id),
            _ => unreachable!("clap asks for one of the two"),
        };
        let (last_sequence, with_buyers) = (self.upto, self.with_buyers);
        let ask = Ask { subject, last_sequence, with_buyers };
        let log = open_log(&self.data_dir)?;
        let Some(path) = &self.output else {
            let stdout = std::io::stdout().lock();
            let written = match to(BufWriter::new(stdout), &log, &ask) {
                // Whoever reads has seen enough.
                Err(ProofError::File(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(Exit::Done);
                }
                written => written.map_err(|error| unwritten(error, "to standard output"))?,
            };
            eprint!("{}", told(&written));
            return Ok(Exit::Done);
        };
        can_write(path)?;
        let written = to_file(path, &log, &ask)?;
        let Written { head, entries, closings, sha256 } = &written;
        let json = WrittenJson { proof: head, entries: *entries, products: closings, sha256 };
        let output = OutputArgs { json: self.json, output: None };
        output.write(&json, |out| {
            out.push_str(&told(&written));
            out.push_str(&format!("written to {}\n", path.display()));
        })?;
        Ok(Exit::Done)
    }
}

/// Writes the file by way of another name, so that a reader finds all of it or none.
fn to_file(path: &Path, log: &Log, ask: &Ask) -> anyhow::Result<Written> {
    files::replace(path, files::MODE, |file| {
        let written = to(BufWriter::new(file), log, ask);
        written.map_err(|error| unwritten(error, path.display()))
    })
}

/// Only what is about writing says that it cannot be written.
fn unwritten(error: ProofError, place: impl Display) -> anyhow::Error {
    match error {
        ProofError::File(error) => {
            failure(Exit::Environment, format!("cannot write {place}: {error}"))
        }
        other => other.into(),
    }
}

fn to(mut out: impl Write, log: &Log, ask: &Ask) -> Result<Written, ProofError> {
    let bar = bar::over_bytes(2 * log.journal().bytes_total(), "reading the log twice");
    let mut sink = |line: &[u8]| out.write_all(line).map_err(ProofError::from);
    let written = write(log.journal(), ask, &mut sink, &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    out.flush()?;
    written
}

fn told(written: &Written) -> String {
    let Written { head, entries, closings, sha256 } = written;
    let mut out = heading(head);
    out.push_str(&table(closings, *entries));
    out.push_str(&format!("sha256 {sha256}\n"));
    out
}

fn heading(head: &Head) -> String {
    let Head { of, journal_id, partition, first_sequence, last_sequence, .. } = head;
    let buyers = if head.with_buyers { "with buyers" } else { "buyers left out" };
    format!(
        "proof of {of}: journal {journal_id}, partition {partition}, sequences {first_sequence} to \
         {last_sequence}, {buyers}\n"
    )
}

/// Most products that are shown to a person.
const ROWS_MAX: usize = 25;

fn table(closings: &[Closing], entries: u64) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["product", "opening", "stock", "held", "sold", "oversell limit", "versions"]);
    for closing in closings.iter().take(ROWS_MAX) {
        table.add_row([
            closing.product_id.clone(),
            closing.opening_stock.to_string(),
            closing.stock.to_string(),
            closing.held.to_string(),
            closing.sold.to_string(),
            closing.oversell_limit.to_string(),
            format!("1 to {}", closing.version),
        ]);
    }
    let more = closings.len().saturating_sub(ROWS_MAX);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    format!("{table}\n{more}{}\n", counted(entries, "decision"))
}
