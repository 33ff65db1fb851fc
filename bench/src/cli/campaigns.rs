//! The commands that prove something: `crash`, `trace`, `outage`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{binary, exit_code, progress, write_json};
use crate::crash::{self, CrashPlan, CrashReport, IN_FLIGHT_MIN};
use crate::faults::Faults;
use crate::moment::KINDS;
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

/// `crash`
#[derive(Debug, clap::Args)]
pub(super) struct CrashArgs {
    /// How many processes are killed with 32 or more requests in flight; others come on top.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rounds: u64,
    /// What everything random comes from [default: drawn, and printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    in_flight: u16,
    /// A PostgreSQL without a schema `doorbuster` [default: the embedded SQLite].
    #[arg(long, value_name = "URL", conflicts_with = "postgres")]
    database_url: Option<String>,
    /// Starts a PostgreSQL for the campaign, and stops it at the end.
    #[arg(long)]
    postgres: bool,
    /// Bytes of a journal segment.
    #[arg(long, default_value_t = 1 << 20)]
    segment_bytes: u64,
    /// How often the database is compared, beside the end.
    #[arg(long, default_value_t = 4)]
    database_checks: u64,
    #[command(flatten)]
    common: Common,
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
    #[arg(long, default_value_t = 16)]
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
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds of sale before the outage, and after it.
    #[arg(long, default_value_t = 4)]
    around: u64,
    /// Connections.
    #[arg(long, default_value_t = 16)]
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

impl CrashArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let seed = self.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ clock_seed());
        println!("seed {seed}");
        let server = self.postgres.then(crate::postgres::Postgres::start_blocking).transpose()?;
        let plan = CrashPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            rounds: self.rounds,
            seed,
            in_flight: usize::from(self.in_flight),
            database_url: server.as_ref().map(|server| server.url()).or(self.database_url),
            segment_bytes: self.segment_bytes,
            database_checks: self.database_checks,
        };
        let bar = progress(self.rounds);
        let report = crash::run(&plan, |report| {
            bar.set_position(report.rounds);
            bar.set_message(format!(
                "{} acknowledged, {} unknown resolved",
                report.counts.done,
                resolved(report)
            ));
        })?;
        bar.finish_and_clear();
        show_crash(&report);
        write_json(self.common.json.as_deref(), &report)?;
        Ok(passed(&report.faults))
    }
}

fn clock_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::from(since.subsec_nanos()) << 20)
}

fn resolved(report: &CrashReport) -> u64 {
    let counts = &report.counts;
    counts.unknown_had_happened + counts.unknown_happened_then + counts.unknown_refused_then
}

fn show_crash(report: &CrashReport) {
    let counts = &report.counts;
    let moments = KINDS.iter().zip(report.moments);
    let moments: Vec<String> =
        moments.map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    println!(
        "{} killed: {}; {} of them with {IN_FLIGHT_MIN} or more requests in flight, {} in all",
        report.killed,
        moments.join(", "),
        report.rounds,
        report.in_flight,
    );
    println!(
        "{} requests: {} acknowledged, {} refused; {} attempts turned away, {} without an answer",
        counts.requests, counts.done, counts.refused, counts.turned_away, counts.silent
    );
    println!(
        "{} unknown outcomes resolved with the same key: {} had happened, {} happened then, \
         {} were refused then; {} acknowledged requests repeated: the same answer",
        resolved(report),
        counts.unknown_had_happened,
        counts.unknown_happened_then,
        counts.unknown_refused_then,
        counts.same_again
    );
    println!(
        "log: {} records in {} segments, {} kills left a torn write; slowest start {} ms",
        report.records, report.segments, report.torn, report.start_ms_max
    );
    let kinds: Vec<String> =
        report.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("of these: {}", kinds.join(", "));
    println!(
        "{} views compared after a start; database compared {} times, last {} orders, {} holds, \
         {} products, {} movements",
        report.views,
        report.database_checks,
        report.database.orders,
        report.database.holds,
        report.database.products,
        report.database.movements
    );
    if let Some(kept) = &report.kept {
        println!("seed {}, data kept in {}", report.seed, kept.display());
    }
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
