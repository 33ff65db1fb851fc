//! `compare`: the engine beside other servers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::load::{HEAD, figures};
use super::{binary, limits, usage, workers, write_json};
use crate::compare::{self, ComparePlan, CompareReport, Event, Side};
use crate::load::Pace;
use crate::load::work::{Spread, Work};
use crate::turn::Through;

#[derive(Debug, clap::Args)]
pub(super) struct CompareArgs {
    /// The engine [default: doorbuster beside this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Who takes turns; `all` is everyone.
    #[arg(long, value_delimiter = ',', default_value = "doorbuster,bare", value_parser = sides)]
    sides: Vec<Sides>,
    /// What stands before each server [default: nothing].
    #[arg(long, value_enum)]
    through: Option<Through>,
    /// How often each side has its turn.
    #[arg(long, default_value_t = 5, value_parser = limits::rounds())]
    rounds: usize,
    /// Seconds measured in each turn.
    #[arg(long, default_value_t = 5, value_parser = limits::seconds())]
    seconds: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 256, value_parser = limits::connections())]
    connections: usize,
    /// Threads of the client.
    #[arg(long, default_value_t = 1, value_parser = limits::threads())]
    threads: usize,
    /// Requests a second, whatever the server does [default: each connection asks when it has heard].
    #[arg(long)]
    rate: Option<f64>,
    /// What is asked for.
    #[arg(long, value_enum, default_value = "purchase")]
    work: Work,
    /// Products [default: 1, and 20 to list].
    #[arg(long)]
    products: Option<u64>,
    /// How requests are spread over the products.
    #[arg(long, value_enum, default_value = "uniform")]
    spread: Spread,
    /// Worker threads of a peer's server [default: one per core].
    #[arg(long)]
    peer_workers: Option<usize>,
    /// Connections of a peer to PostgreSQL [default: with which it sold most].
    #[arg(long)]
    pool: Option<usize>,
    /// Where data directories are made [default: the system's place for temporary files].
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
enum Sides {
    All,
    One(Side),
}

fn sides(word: &str) -> Result<Sides, String> {
    if word == "all" {
        return Ok(Sides::All);
    }
    Side::try_from(word.to_owned()).map(Sides::One).map_err(|names| format!("all, or {names}"))
}

impl CompareArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut sides = Vec::new();
        for named in &self.sides {
            let named = match named {
                Sides::All => Side::all().collect(),
                Sides::One(side) => vec![*side],
            };
            sides
                .extend(named.into_iter().filter(|side| !sides.contains(side)).collect::<Vec<_>>());
        }
        let plan = ComparePlan {
            engine: binary(self.binary.as_deref())?,
            bench: std::env::current_exe()?,
            data_root: self.data_root.clone().unwrap_or_else(std::env::temp_dir),
            sides,
            through: self.through,
            rounds: self.rounds,
            measured: Duration::from_secs(self.seconds),
            warm_up: Duration::from_millis(500),
            pace: self.rate.map_or(Pace::Closed, |rate| Pace::Open { rate }),
            connections: self.connections,
            threads: self.threads,
            work: self.work,
            products: self.products.unwrap_or(if self.work == Work::List { 20 } else { 1 }),
            spread: self.spread,
            peer_workers: workers(self.peer_workers),
            pool: self.pool,
        };
        plan.check().map_err(usage)?;
        println!("{:>5} {:<20} {HEAD}", "round", "side");
        let report = compare::run(&plan, |event| match event {
            Event::Missing { side, why } => {
                println!("{:>5} {:<20} missing: {why}", "", side.name())
            }
            Event::Turn { .. } => {}
            Event::Turned { round, side, report } => {
                println!("{round:>5} {:<20} {}", side.name(), figures(report));
            }
        })?;
        show(&report);
        write_json(self.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(report: &CompareReport) {
    println!(
        "\n{:<20} {:>32} {:>9} {:>9} {:>26}",
        "side", "answers a second", "p50 ms", "p99 ms", "doorbuster / side"
    );
    for (side, of) in &report.sides {
        let rate = of.per_second;
        let rate = format!("{:.0} ({:.0} to {:.0})", rate.median, rate.min, rate.max);
        let ratio = of.ratio.map_or_else(String::new, |ratio| {
            format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.min, ratio.max)
        });
        println!(
            "{:<20} {rate:>32} {:>9.3} {:>9.3} {ratio:>26}",
            side.name(),
            of.p50_us.median / 1e3,
            of.p99_us.median / 1e3
        );
    }
    for (side, why) in &report.missing {
        println!("{:<20} missing: {why}", side.name());
    }
    let machine = &report.machine;
    println!(
        "\nrounds {}, seconds each {}, connections {}, products {}; the client alone costs {:.2} µs a request",
        report.rounds.len(),
        report.seconds,
        report.connections,
        report.products,
        report.client.client_cpu_us
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
