//! `load`, `calibrate` and `null`: the generator by itself, and what it costs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{exit_code, limits, usage, write_json};
use crate::client;
use crate::load::calibrate::{self, CalibrationPlan};
use crate::load::work::{Products, Spread, Work};
use crate::load::{self, LoadPlan, LoadReport, Pace, null};

/// Heads of the columns of [`figures`].
pub(super) const HEAD: &str =
    "   answers/s    p50 ms   p99 ms p99.9 ms   max ms  server s  client s";

/// A run in a line: seconds of processor time of the server and its store, and of the client.
pub(super) fn figures(report: &LoadReport) -> String {
    let latency = report.latency_us;
    format!(
        "{:>12.0} {:>9.3} {:>8.3} {:>8.3} {:>8.3} {:>9.2} {:>9.2}",
        report.per_second,
        latency.p50 / 1e3,
        latency.p99 / 1e3,
        latency.p99_9 / 1e3,
        latency.max / 1e3,
        report.server_cpu_seconds.unwrap_or(0.0),
        report.client_cpu_seconds,
    )
}

#[derive(Debug, clap::Args)]
pub(super) struct LoadArgs {
    /// The server, such as http://127.0.0.1:7373.
    #[arg(long)]
    url: String,
    /// One product, by its id; it must exist.
    #[arg(long, conflicts_with_all = ["products", "put_in"])]
    product: Option<String>,
    /// So many products, numbered: p00000000 and on.
    #[arg(long, default_value_t = 1)]
    products: u64,
    /// How requests are spread over them.
    #[arg(long, value_enum, default_value = "uniform")]
    spread: Spread,
    /// Puts the products in first, each with this stock; otherwise they must exist.
    #[arg(long, value_name = "STOCK")]
    put_in: Option<u64>,
    /// What is asked for.
    #[arg(long, value_enum, default_value = "purchase")]
    work: Work,
    /// Requests a second, whatever the server does [default: each connection asks when it has heard].
    #[arg(long)]
    rate: Option<f64>,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 64, value_parser = limits::connections())]
    connections: usize,
    /// Threads of the client.
    #[arg(long, default_value_t = 1, value_parser = limits::threads())]
    threads: usize,
    /// Seconds measured.
    #[arg(long, default_value_t = 5, value_parser = limits::seconds())]
    seconds: u64,
    /// Seconds before.
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// Most requests.
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
    /// Begins the keys of this run; another run needs another.
    #[arg(long, default_value = "load")]
    key_prefix: String,
    /// Decides which kinds and products are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A host that is not this machine and may be loaded.
    #[arg(long, value_name = "HOST")]
    allow_host: Option<String>,
}

impl LoadArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let numbered = Products::Numbered {
            count: self.products,
            spread: self.spread,
            sold_out: self.work == Work::SoldOut,
        };
        let plan = LoadPlan {
            address: client::address_of(&self.url, self.allow_host.as_deref()).map_err(usage)?,
            server_pids: Vec::new(),
            mix: self.work.mix(),
            products: self.product.clone().map_or(numbered, Products::Named),
            key_prefix: self.key_prefix.clone(),
            pace: self.rate.map_or(Pace::Closed, |rate| Pace::Open { rate }),
            connections: self.connections,
            threads: self.threads,
            warm_up: Duration::from_secs(self.warm_up),
            measured: Duration::from_secs(self.seconds),
            requests_max: self.requests,
            seed: self.seed,
        };
        if let Some(stock) = self.put_in {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(load::put_in(plan.address, &plan.products, stock))?;
        }
        let report = load::run(&plan)?;
        println!("{}", serde_json::to_string_pretty(&report)?);
        Ok(exit_code(report.failures() == 0))
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct CalibrateArgs {
    /// What is asked for.
    #[arg(long, value_enum, default_value = "purchase")]
    work: Work,
    /// Requests a second of the open loop.
    #[arg(long, default_value_t = 10_000.0)]
    rate: f64,
    /// Connections.
    #[arg(long, default_value_t = 256, value_parser = limits::connections())]
    connections: usize,
    /// Threads of the client.
    #[arg(long, default_value_t = 1, value_parser = limits::threads())]
    threads: usize,
    /// Seconds measured in each loop.
    #[arg(long, default_value_t = 3, value_parser = limits::seconds())]
    seconds: u64,
    /// Writes the result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl CalibrateArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        println!("{:<7} {:>12} {:>14} {:>8}", "loop", "answers/s", "client µs each", "p99 ms");
        let mut results = Vec::new();
        for (name, pace) in [("closed", Pace::Closed), ("open", Pace::Open { rate: self.rate })] {
            let plan = CalibrationPlan {
                bench: std::env::current_exe()?,
                mix: self.work.mix(),
                pace,
                connections: self.connections,
                threads: self.threads,
                measured: Duration::from_secs(self.seconds),
            };
            let found = calibrate::run(&plan, &std::env::temp_dir())?;
            println!(
                "{name:<7} {:>12.0} {:>14.2} {:>8.3}",
                found.per_second,
                found.client_cpu_us,
                found.p99_us / 1e3
            );
            results.push(found);
        }
        write_json(self.json.as_deref(), &results)?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct NullArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7375")]
    listen: SocketAddr,
    /// The status of every answer to a POST; others get 200.
    #[arg(long, default_value_t = 201)]
    status: u16,
    /// Writes the bound URL into a file once it listens.
    #[arg(long, value_name = "FILE")]
    announce: Option<PathBuf>,
}

impl NullArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        null::serve(self.listen, self.status, self.announce.as_deref())?;
        Ok(ExitCode::SUCCESS)
    }
}
