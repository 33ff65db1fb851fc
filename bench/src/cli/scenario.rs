//! `scenario`: a shop's load against its bounds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{binary, exit_code, limits, progress, workers, write_json};
use crate::load::LoadReport;
use crate::scenario::{self, Limit, Name, ScenarioPlan, ScenarioReport};
use crate::turn::Through;

#[derive(Debug, clap::Args)]
pub(super) struct ScenarioArgs {
    /// Which.
    #[arg(value_enum)]
    name: Name,
    /// The engine [default: doorbuster beside this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// What stands before the server [default: nothing].
    #[arg(long, value_enum)]
    through: Option<Through>,
    /// Seconds measured in each turn.
    #[arg(long, default_value_t = 10, value_parser = limits::seconds())]
    seconds: u64,
    /// Rounds beside the bare server, of six-thousand.
    #[arg(long, default_value_t = 3, value_parser = limits::rounds())]
    rounds: usize,
    /// Threads of the client.
    #[arg(long, default_value_t = 1, value_parser = limits::threads())]
    threads: usize,
    /// Worker threads of the bare server [default: one per core].
    #[arg(long)]
    peer_workers: Option<usize>,
    /// Where data directories are made [default: the system's place for temporary files].
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl ScenarioArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let plan = ScenarioPlan {
            name: self.name,
            engine: binary(self.binary.as_deref())?,
            bench: std::env::current_exe()?,
            data_root: self.data_root.clone().unwrap_or_else(std::env::temp_dir),
            through: self.through,
            measured: Duration::from_secs(self.seconds),
            rounds: self.rounds,
            threads: self.threads,
            peer_workers: workers(self.peer_workers),
        };
        let bar = progress(0);
        let report = scenario::run(&plan, |what| bar.set_message(what.to_owned()));
        bar.finish_and_clear();
        let report = report?;
        show(&report);
        write_json(self.json.as_deref(), &report)?;
        Ok(exit_code(report.passed()))
    }
}

fn show(report: &ScenarioReport) {
    println!("{:<46} {:>14} {:>12}", report.name.as_str(), "bound", "seen");
    for bound in &report.bounds {
        let limit = match bound.limit {
            Limit::AtMost(limit) => format!("<= {limit}"),
            Limit::AtLeast(limit) => format!(">= {limit}"),
        };
        let missed = if bound.holds() { "" } else { "  missed" };
        println!("{:<46} {limit:>14} {:>12.3}{missed}", bound.what, bound.seen);
    }
    if let Some(missing) = &report.missing {
        println!("not looked at: {missing}");
    }
    if let Some(load) = &report.load {
        show_load(load);
    }
    for comparison in &report.comparisons {
        println!("\n{:?}", comparison.pace);
        for (side, of) in &comparison.sides {
            println!(
                "  {:<12} {:>9.0} answers/s, p50 {:.2} ms, p99 {:.2} ms",
                side.name(),
                of.per_second.median,
                of.p50_us.median / 1e3,
                of.p99_us.median / 1e3
            );
        }
    }
    for at in &report.rates {
        let figures = |load: &LoadReport| {
            format!("{:>7.0} answers/s, p99 {:.2} ms", load.per_second, load.latency_us.p99 / 1e3)
        };
        let nginx = at.nginx.as_ref().map_or_else(|| "not held directly".to_owned(), figures);
        println!("  {:>7.0} a second: {}; through nginx {nginx}", at.rate, figures(&at.direct));
    }
    println!("\nthe client alone costs {:.2} µs a request", report.client.client_cpu_us);
}

fn show_load(load: &LoadReport) {
    println!(
        "\n{:<12} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "kind", "answers", "failures", "p50 ms", "p95 ms", "p99 ms", "max ms"
    );
    for (kind, of) in &load.kinds {
        let latency = of.latency_us;
        println!(
            "{:<12} {:>10} {:>9} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            kind.name(),
            of.requests,
            of.failures,
            latency.p50 / 1e3,
            latency.p95 / 1e3,
            latency.p99 / 1e3,
            latency.max / 1e3
        );
    }
    if let Some(lag) = load.lag {
        println!(
            "behind schedule: {} requests, at most {:.1} ms; longest silence {:.1} ms; client {:.1} µs a request",
            lag.behind, lag.max_ms, load.silence_ms, load.client_cpu_us
        );
    }
}
