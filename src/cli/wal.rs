//! `wal`: reads a log and changes nothing; works beside a running engine.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use doorbuster_wal::{Replayed, SegmentReport};
use serde::Serialize;

use super::exit::{Exit, failure};
use super::hex;
use super::log::open_log;
use super::output::OutputArgs;
use super::record_json::{Names, RecordJson};
use crate::domain::Sequence;
use crate::engine::Recovered;
use crate::journal::JournalIdentity;

/// `wal …`
#[derive(Debug, Subcommand)]
pub(super) enum WalCommand {
    /// Show the segments: ranges, sizes, watermark
    Inspect(InspectArgs),
    /// Check every frame, the chain, and that each record can follow the ones before it
    Verify(InspectArgs),
    /// Print every record as a line of JSON
    Dump(DumpArgs),
}

/// Which log.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "./data", env = "DOORBUSTER_DATA_DIR")]
    pub(super) data_dir: PathBuf,
}

/// `wal inspect`, `wal verify`
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `wal dump`
#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    #[command(flatten)]
    log: LogArgs,
    /// First sequence
    #[arg(long, value_name = "SEQUENCE", default_value_t = 1)]
    from: u64,
    /// Last sequence [default: the log's last]
    #[arg(long, value_name = "SEQUENCE")]
    to: Option<u64>,
}

/// What a log holds.
#[derive(Serialize)]
struct LogJson {
    journal_id: String,
    partition: u16,
    epoch: u32,
    last_sequence: u64,
    durable_watermark: u64,
    torn_tail: Option<String>,
    segments: Vec<SegmentJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateJson>,
}

#[derive(Serialize)]
struct SegmentJson {
    file: String,
    segment: u64,
    first_sequence: u64,
    last_sequence: u64,
    records: u64,
    used_bytes: u64,
    file_bytes: u64,
    sha256: String,
}

/// What the records make, when they were applied too.
#[derive(Serialize)]
struct StateJson {
    products: usize,
    stock: u64,
    held: u64,
    sold: u64,
    idempotency_keys: usize,
}

impl WalCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Inspect(args) => inspect(&args),
            Self::Verify(args) => verify(&args),
            Self::Dump(args) => dump(&args),
        }
    }
}

fn inspect(args: &InspectArgs) -> anyhow::Result<Exit> {
    let log = open_log(&args.log.data_dir)?;
    let replayed = log.scan(&mut |_| Ok(()))?;
    let report = report(log.identity(), replayed);
    args.output.write(&report, |out| show(&report, out))?;
    Ok(Exit::Done)
}

fn verify(args: &InspectArgs) -> anyhow::Result<Exit> {
    let log = open_log(&args.log.data_dir)?;
    let mut recovered = Recovered::new(usize::MAX);
    let replayed =
        log.scan(&mut |entry| recovered.replay(Sequence::new(entry.sequence), entry.payload))?;
    let mut report = report(log.identity(), replayed);
    let figures = || recovered.inventory.products().map(|(_, product)| product.figures);
    report.state = Some(StateJson {
        products: recovered.inventory.len(),
        stock: figures().map(|figures| figures.stock).sum(),
        held: figures().map(|figures| figures.held).sum(),
        sold: figures().map(|figures| figures.sold).sum(),
        idempotency_keys: recovered.idempotency.len(),
    });
    args.output.write(&report, |out| {
        show(&report, out);
        let records: u64 = report.segments.iter().map(|segment| segment.records).sum();
        out.push_str(&format!("sound: {records} records, every frame, version and digest\n"));
    })?;
    Ok(Exit::Done)
}

fn dump(args: &DumpArgs) -> anyhow::Result<Exit> {
    let log = open_log(&args.log.data_dir)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let to = args.to.unwrap_or(u64::MAX);
    if args.from > to {
        let message = format!("--from {} lies behind --to {to}", args.from);
        return Err(failure(Exit::Usage, message));
    }
    let (mut gone, mut names) = (None, Names::of_journal(log.places()));
    log.read(
        &mut |entry, payload| {
            if entry.sequence > to || gone.is_some() {
                return Ok(());
            }
            names.learn(&payload);
            if entry.sequence < args.from {
                return Ok(());
            }
            let line = RecordJson::new(entry.sequence, &payload, &names);
            gone = write_line(&mut out, &line).err();
            Ok(())
        },
        &mut |_| {},
    )?;
    match gone.or_else(|| std::io::Write::flush(&mut out).err()) {
        // Whoever reads has seen enough.
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Some(error) => Err(error).context("cannot write"),
        None => Ok(Exit::Done),
    }
}

fn write_line(out: &mut impl std::io::Write, line: &RecordJson<'_>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn report(identity: JournalIdentity, replayed: Replayed) -> LogJson {
    LogJson {
        journal_id: hex(&identity.journal_id),
        partition: identity.partition,
        epoch: identity.epoch,
        last_sequence: replayed.last_sequence,
        durable_watermark: replayed.proven_sequence,
        torn_tail: replayed.torn.as_ref().map(ToString::to_string),
        segments: replayed.segments.iter().map(segment).collect(),
        state: None,
    }
}

fn segment(report: &SegmentReport) -> SegmentJson {
    SegmentJson {
        file: report.file.clone(),
        segment: report.header.segment,
        first_sequence: report.header.first_sequence,
        last_sequence: report.last_sequence,
        records: report.frames,
        used_bytes: report.used_bytes,
        file_bytes: report.file_bytes,
        sha256: hex(&report.digest),
    }
}

fn show(report: &LogJson, out: &mut String) {
    let LogJson { journal_id, partition, epoch, .. } = report;
    out.push_str(&format!("journal {journal_id}, partition {partition}, epoch {epoch}\n"));
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["segment", "sequences", "records", "used bytes", "file bytes", "sha256"]);
    for segment in &report.segments {
        table.add_row([
            segment.file.clone(),
            format!("{} to {}", segment.first_sequence, segment.last_sequence),
            segment.records.to_string(),
            segment.used_bytes.to_string(),
            segment.file_bytes.to_string(),
            segment.sha256.get(..16).unwrap_or_default().to_owned(),
        ]);
    }
    out.push_str(&format!("{table}\n"));
    let (last, watermark) = (report.last_sequence, report.durable_watermark);
    out.push_str(&format!("last sequence {last}, proven durable up to {watermark}\n"));
    if let Some(torn) = &report.torn_tail {
        out.push_str(&format!("then {torn}; the next start cuts it and keeps a copy\n"));
    }
    if let Some(StateJson { products, stock, held, sold, .. }) = &report.state {
        out.push_str(&format!("{}: {stock} stock, {held} held, {sold} sold\n", counted(*products)));
    }
}

fn counted(products: usize) -> String {
    match products {
        1 => "1 product".to_owned(),
        products => format!("{products} products"),
    }
}
