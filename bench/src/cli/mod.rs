//! The command line: what can be asked, and how results are shown.

mod campaigns;
mod costs;
mod crash;
mod damage;
mod full_disk;
mod hunts;
mod micro;
mod orders;
mod recover;
mod simulate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use self::campaigns::{OutageArgs, TraceArgs};
use self::costs::{IdleArgs, MemoryArgs, ProjectArgs};
use self::crash::CrashArgs;
use self::damage::DamageArgs;
use self::full_disk::FullDiskArgs;
use self::micro::DecideArgs;
use self::orders::{CartsArgs, ExpiryArgs};
use self::recover::{DrillArgs, MakeLogArgs, RecoverArgs};
use self::simulate::SimulateArgs;
use crate::compare::{self, ComparePlan, CompareReport, Event, Round};
use crate::faults::Faults;
use crate::load::{self, LoadPlan, LoadReport, Work};
use crate::log::Log;
use crate::model::Model;
use crate::payload::KINDS;
use crate::{bare, client, process};

/// Load, peers, crash campaigns and the independent checker of doorbuster.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures the engine beside a bare server, alternating in one run.
    Compare(CompareArgs),
    /// Puts load on a running server.
    Load(LoadArgs),
    /// Serves the same front without an engine.
    Bare(BareArgs),
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
}

#[derive(Debug, clap::Args)]
struct CompareArgs {
    /// The engine [default: doorbuster beside this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// How often each side has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds measured in each turn.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// What is asked for.
    #[arg(long, value_enum, default_value = "purchase")]
    work: Work,
    /// Worker threads of the bare server [default: one per core].
    #[arg(long)]
    bare_workers: Option<usize>,
    /// Where data directories are made [default: the system's place for temporary files].
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct LoadArgs {
    /// The server, such as http://127.0.0.1:7373.
    #[arg(long)]
    url: String,
    /// The product that is bought or read; it must exist.
    #[arg(long)]
    product: String,
    /// What is asked for.
    #[arg(long, value_enum, default_value = "purchase")]
    work: Work,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds measured.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Most requests.
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
    /// Begins the keys of this run; another run needs another.
    #[arg(long, default_value = "load")]
    key_prefix: String,
    /// A host that is not this machine and may be loaded.
    #[arg(long, value_name = "HOST")]
    allow_host: Option<String>,
}

#[derive(Debug, clap::Args)]
struct BareArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7374")]
    listen: SocketAddr,
    /// Worker threads [default: one per core].
    #[arg(long)]
    workers: Option<usize>,
    /// Writes the bound URL into a file once it listens.
    #[arg(long, value_name = "FILE")]
    announce: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The data directory, or the journal's in it.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
}

impl Cli {
    /// Does what was asked; the exit code says whether every check passed.
    ///
    /// # Errors
    /// It could not be done.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Compare(args) => run_compare(&args),
            Command::Load(args) => run_load(&args),
            Command::Bare(args) => {
                bare::serve(args.listen, workers(args.workers), args.announce.as_deref())?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Check(args) => run_check(&args.log),
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
        }
    }
}

fn workers(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn binary(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    asked.map_or_else(|| process::beside_this_executable("doorbuster"), |path| Ok(path.to_owned()))
}

fn write_json<T: Serialize>(path: Option<&Path>, report: &T) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn progress(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn run_compare(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let plan = ComparePlan {
        engine: binary(args.binary.as_deref())?,
        bench: std::env::current_exe()?,
        data_root: args.data_root.clone().unwrap_or_else(std::env::temp_dir),
        rounds: args.rounds,
        measured: Duration::from_secs(args.seconds),
        warm_up: Duration::from_millis(500),
        connections: args.connections,
        work: args.work,
        bare_workers: workers(args.bare_workers),
    };
    let bar = progress(2 * args.rounds as u64);
    println!("round side            /s      p50 ms   p99 ms p99.9 ms   max ms  cpu s  client s");
    let report = compare::run(&plan, |event| match event {
        Event::Turn { round, side } => {
            bar.set_position(bar.position().max(2 * round as u64 - 2));
            bar.set_message(format!("round {round}, {side:?}"));
        }
        Event::Round { round, report } => {
            bar.set_position(2 * round as u64);
            bar.suspend(|| show_round(round, report));
        }
    })?;
    bar.finish_and_clear();
    show_compared(&report);
    write_json(args.json.as_deref(), &report)?;
    Ok(ExitCode::SUCCESS)
}

fn show_round(round: usize, report: &Round) {
    for (name, side) in [("doorbuster", &report.doorbuster), ("bare", &report.bare)] {
        println!("{round:>5} {name:<10} {}", figures(side));
    }
    println!("      ratio      {:>8.3}", report.ratio);
}

fn figures(report: &LoadReport) -> String {
    let latency = report.latency_us;
    format!(
        "{:>9.0} {:>9.3} {:>8.3} {:>8.3} {:>8.3} {:>6.2} {:>9.2}",
        report.per_second,
        latency.p50 / 1e3,
        latency.p99 / 1e3,
        latency.p99_9 / 1e3,
        latency.max / 1e3,
        report.server_cpu_seconds.unwrap_or(0.0),
        report.client_cpu_seconds,
    )
}

fn show_compared(report: &CompareReport) {
    let machine = &report.machine;
    println!(
        "\nratio to bare: median {:.3}, {:.3} to {:.3} over {} rounds of {} s, {} connections",
        report.ratio_median,
        report.ratio_min,
        report.ratio_max,
        report.rounds.len(),
        report.seconds,
        report.connections
    );
    println!("machine: {} cores, {}, Linux {}", machine.cores, machine.cpu, machine.kernel);
    println!(
        "fdatasync of 4 KiB: median {:.0} µs, p99 {:.0} µs",
        machine.fdatasync_p50_us, machine.fdatasync_p99_us
    );
    if machine.data_in_memory {
        println!("the data lay in memory: durability cost nothing here; use --data-root on a disk");
    }
}

fn run_load(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let plan = LoadPlan {
        address: client::address_of(&args.url, args.allow_host.as_deref())?,
        server_pid: None,
        work: args.work,
        product_id: args.product.clone(),
        key_prefix: args.key_prefix.clone(),
        connections: args.connections,
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(args.seconds),
        requests_max: args.requests,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(load::run(&plan))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    let expected = report.answers.keys().all(|status| *status == plan.work.expected_status());
    Ok(exit_code(expected && report.errors == 0))
}

fn run_check(directory: &Path) -> anyhow::Result<ExitCode> {
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
