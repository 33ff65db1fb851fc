//! The command line: what can be asked, and how results are shown.

mod campaigns;
mod compare;
mod costs;
mod crash;
mod damage;
mod flame;
mod full_disk;
mod hunts;
mod limits;
mod load;
mod micro;
mod orders;
mod peers;
mod progress;
mod recover;
mod report;
mod sales;
mod scenario;
mod simulate;
mod syncs;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use serde::Serialize;

use self::campaigns::{OutageArgs, TraceArgs};
use self::compare::CompareArgs;
use self::costs::{IdleArgs, MemoryArgs, ProjectArgs};
use self::crash::CrashArgs;
use self::damage::DamageArgs;
use self::flame::FlameArgs;
use self::full_disk::FullDiskArgs;
use self::load::{CalibrateArgs, LoadArgs, NullArgs};
use self::micro::DecideArgs;
use self::orders::{CartsArgs, ExpiryArgs};
use self::peers::{PeerArgs, SetUpArgs};
use self::progress::progress;
use self::recover::{DrillArgs, MakeLogArgs, RecoverArgs};
use self::report::ReportArgs;
use self::sales::{ProductsArgs, SoakArgs};
use self::scenario::ScenarioArgs;
use self::simulate::SimulateArgs;
use self::syncs::SyncsArgs;
use crate::database::Database;
use crate::faults::Faults;
use crate::log::Log;
use crate::model::Model;
use crate::payload::KINDS;
use crate::process;
use crate::rows::{self, Compared};

/// Load, peers, crash campaigns and the independent checker of doorbuster.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures the engine beside other servers, taking turns in one run.
    Compare(CompareArgs),
    /// Loads the engine as a kind of shop would, against that shop's bounds.
    Scenario(ScenarioArgs),
    /// Puts load on a running server.
    Load(LoadArgs),
    /// Measures what a load costs its client alone.
    Calibrate(CalibrateArgs),
    /// Serves the same front before another store, or before none.
    Peer(PeerArgs),
    /// Serves fixed bytes, to measure a client with.
    Null(NullArgs),
    /// Installs what the peers need, as Debian packages.
    SetUp(SetUpArgs),
    /// Checks a log by itself: sequences, versions, figures, keys, digests.
    Check(CheckArgs),
    /// Kills the engine under load, again and again, and checks everything that was answered.
    Crash(CrashArgs),
    /// Fills a small file system under load, and checks what is sold, answered and started then.
    FullDisk(FullDiskArgs),
    /// Proves from system calls that no answer leaves before its sync has returned.
    Trace(TraceArgs),
    /// Sells carts of many lines beside single purchases, and accounts for every unit.
    Carts(CartsArgs),
    /// Lets many holds expire within a second while purchases go on.
    Expiry(ExpiryArgs),
    /// Steps an engine by hand through seeded faults, and checks all that is heard and durable.
    Simulate(SimulateArgs),
    /// Stops PostgreSQL in the middle of a sale, and checks that no buyer notices.
    Outage(OutageArgs),
    /// Damages a log in every way that can be counted, and starts over each.
    Damage(DamageArgs),
    /// Measures recovery beside only reading and checking the same log.
    Recover(RecoverArgs),
    /// Measures a lost directory: backup, restore, serve, first sale, with a log of many orders.
    Drill(DrillArgs),
    /// Writes a log of many purchases, to try tools with.
    MakeLog(MakeLogArgs),
    /// Measures decide, apply and encode on one core.
    Decide(DecideArgs),
    /// Measures memory of idle products, and the time from a start to the first sale.
    Memory(MemoryArgs),
    /// Measures how fast a log is copied into SQLite and PostgreSQL.
    Project(ProjectArgs),
    /// Measures the processor time of a server that nobody asks.
    Idle(IdleArgs),
    /// Measures throughput by the number of products.
    Products(ProductsArgs),
    /// Sells, refuses and reads for many minutes: is it as fast at the end, and what does it keep?
    Soak(SoakArgs),
    /// Measures ways to make a write durable, side by side.
    Syncs(SyncsArgs),
    /// Draws a flame graph of a loaded server.
    Flame(FlameArgs),
    /// Runs the whole suite and writes REPORT.md with its tables and pictures.
    Report(ReportArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The data directory, or the journal's in it.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Compare the tables in this SQLite file with the log, too.
    #[arg(long, value_name = "FILE")]
    sqlite: Option<PathBuf>,
    /// Compare the tables in this PostgreSQL, too.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Cli {
    /// Does what was asked; the exit code says whether every check passed.
    ///
    /// # Errors
    /// It could not be done.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Compare(args) => args.run(),
            Command::Scenario(args) => args.run(),
            Command::Load(args) => args.run(),
            Command::Calibrate(args) => args.run(),
            Command::Peer(args) => args.run(),
            Command::Null(args) => args.run(),
            Command::SetUp(args) => args.run(),
            Command::Check(args) => run_check(&args),
            Command::Crash(args) => args.run(),
            Command::FullDisk(args) => args.run(),
            Command::Trace(args) => args.run(),
            Command::Outage(args) => args.run(),
            Command::Carts(args) => args.run(),
            Command::Expiry(args) => args.run(),
            Command::Damage(args) => args.run(),
            Command::Simulate(args) => args.run(),
            Command::Recover(args) => args.run(),
            Command::Drill(args) => args.run(),
            Command::MakeLog(args) => args.run(),
            Command::Decide(args) => args.run(),
            Command::Memory(args) => args.run(),
            Command::Project(args) => args.run(),
            Command::Idle(args) => args.run(),
            Command::Products(args) => args.run(),
            Command::Soak(args) => args.run(),
            Command::Syncs(args) => args.run(),
            Command::Flame(args) => args.run(),
            Command::Report(args) => args.run(),
        }
    }
}

fn workers(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// What options ask for together, and must not: ends the program as a wrong option does.
fn usage(words: impl Display) -> anyhow::Error {
    Cli::command().error(ErrorKind::ValueValidation, words).into()
}

fn binary(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Some(path) = asked else { return process::beside_this_executable("doorbuster") };
    ensure!(path.is_file(), "no file is at {}, which --binary names", path.display());
    Ok(path.to_owned())
}

fn write_json<T: Serialize>(path: Option<&Path>, report: &T) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let directory = &args.log;
    let log = Log::open(directory)?;
    if log.first_sequence() > 1 {
        return run_check_pruned(&log);
    }
    let mut faults = Faults::default();
    let (model, end) = Model::of_log(&log, &mut faults)?;
    println!(
        "{} segments, {} of them archived, {} bytes, sequences {} to {}{}",
        end.segments,
        end.archived,
        end.bytes,
        log.first_sequence(),
        end.next_sequence - 1,
        if end.torn { ", then a torn write" } else { "" }
    );
    for (name, count) in KINDS.iter().zip(model.kinds()).skip(1) {
        println!("{name:<18} {count:>12}");
    }
    println!("{} products, {} units sold", model.products().len(), model.units_sold());
    let sqlite = args.sqlite.clone().map(Database::Sqlite);
    let postgres = args.database_url.clone().map(Database::Postgres);
    for database in sqlite.into_iter().chain(postgres) {
        let compared = rows::check(directory, &database, &mut faults)?;
        let Compared { orders, holds, products, movements } = compared;
        println!(
            "rows: {orders} orders, {holds} holds, {products} products, {movements} movements"
        );
    }
    if faults.is_empty() {
        println!("no faults");
    } else {
        println!("{} faults\n{faults}", faults.total());
    }
    Ok(exit_code(faults.is_empty()))
}

/// What was deleted made products and figures, so nothing is said of them.
fn run_check_pruned(log: &Log) -> anyhow::Result<ExitCode> {
    let end = log.read(log.first_sequence(), |_| {})?;
    println!(
        "{} segments, {} of them archived, {} bytes, sequences {} to {}: frames, sequences and digests \
         hold; records before were pruned, so figures cannot be checked",
        end.segments,
        end.archived,
        end.bytes,
        log.first_sequence(),
        end.next_sequence - 1
    );
    Ok(ExitCode::SUCCESS)
}

fn exit_code(passed: bool) -> ExitCode {
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
