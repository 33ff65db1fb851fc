//! The commands that prove something beside `crash`: `trace`, `outage`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{binary, exit_code, limits, progress, write_json};
use crate::faults::Faults;
use crate::outage::{self, OutagePlan, OutageReport};
use crate::traced::{self, TracePlan, TraceReport};

/// What every campaign is told.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// The engine [default: doorbuster beside this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where data directories are made [default: the system's place for temporary files].
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

/// `trace`
#[derive(Debug, clap::Args)]
pub(super) struct TraceArgs {
    /// Requests of all kinds, about.
    #[arg(long, default_value_t = 2_000)]
    requests: u64,
    /// Purchases after these, about: so many fill a segment.
    #[arg(long, default_value_t = 10_000)]
    purchases: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 16, value_parser = limits::connections())]
    connections: usize,
    /// Bytes of a journal segment: the smallest that the engine takes, so that some are filled.
    #[arg(long, default_value_t = 1 << 20)]
    segment_bytes: u64,
    /// Keeps the trace.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// `outage`
#[derive(Debug, clap::Args)]
pub(super) struct OutageArgs {
    /// Seconds the database is away.
    #[arg(long, default_value_t = 10, value_parser = limits::seconds())]
    seconds: u64,
    /// Seconds of sale before the outage, and after it.
    #[arg(long, default_value_t = 4)]
    around: u64,
    /// Connections.
    #[arg(long, default_value_t = 16, value_parser = limits::connections())]
    connections: usize,
    /// Milliseconds between the purchases of a connection.
    #[arg(long, default_value_t = 20)]
    every_ms: u64,
    #[command(flatten)]
    common: Common,
}

impl Common {
    pub(super) fn engine(&self) -> anyhow::Result<PathBuf> {
        binary(self.binary.as_deref())
    }

    pub(super) fn data_root(&self) -> PathBuf {
        self.data_root.clone().unwrap_or_else(std::env::temp_dir)
    }
}

pub(super) fn passed(faults: &Faults) -> ExitCode {
    if faults.is_empty() {
        println!("no faults");
    } else {
        println!("{} faults\n{faults}", faults.total());
    }
    exit_code(faults.is_empty())
}

impl TraceArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = TracePlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            requests: self.requests,
            purchases: self.purchases,
            connections: self.connections,
            segment_bytes: self.segment_bytes,
            keep: self.keep,
        };
        let report = traced::run(&plan)?;
        show_trace(&report);
        write_json(self.common.json.as_deref(), &report)?;
        Ok(passed(&report.faults))
    }
}

fn show_trace(report: &TraceReport) {
    let proven = &report.proven;
    println!(
        "{} lines of trace: {} answers that tell of a record, {} writes of frames and {} syncs in \
         {} segments, {} records in the log",
        report.lines, proven.answers, proven.writes, proven.syncs, proven.segments, report.records
    );
    if let Some(margin) = proven.margin_us_least {
        println!("shortest time from a sync's return to an answer that rests on it: {margin} µs");
    }
}

impl OutageArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = OutagePlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            around: Duration::from_secs(self.around),
            outage: Duration::from_secs(self.seconds),
            connections: self.connections,
            every: Duration::from_millis(self.every_ms),
        };
        let bar = progress(7);
        let report = outage::run(&plan, |what| {
            bar.inc(1);
            bar.set_message(what.to_owned());
        })?;
        bar.finish_and_clear();
        show_outage(&report);
        write_json(self.common.json.as_deref(), &report)?;
        Ok(passed(&report.faults))
    }
}

fn show_outage(report: &OutageReport) {
    println!("PostgreSQL was away for {:.1} s", report.outage_seconds);
    report.parts.show();
    println!(
        "{} orders in the log and in the database, complete {:.1} s after it was back",
        report.database.orders, report.caught_up_seconds
    );
}
