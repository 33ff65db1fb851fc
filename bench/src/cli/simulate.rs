//! `simulate`: seeded campaigns over an engine that is stepped by hand.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::progress::styled;
use super::{exit_code, workers, write_json};
use crate::simulate::{Campaign, Counts, End, Failure, Report, run};

const SEEDS: u64 = 2_000;

#[derive(Debug, clap::Args)]
pub(super) struct SimulateArgs {
    /// How many seeds [default: 2000].
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed [default: a random one].
    #[arg(long, value_name = "S")]
    from: Option<u64>,
    /// Ends after so many crash recoveries, however many seeds that takes.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    recoveries: Option<u64>,
    /// Threads [default: one per core].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Tells every step of the last life: for one seed.
    #[arg(long)]
    trace: bool,
    /// Plants this bug, or `all` of them in turn: each must be found. Needs a build with the feature
    /// `planted`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["recoveries", "trace"])]
    planted: Option<String>,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Told<'a> {
    from: u64,
    seconds: f64,
    recoveries_per_second: f64,
    report: &'a Report,
}

impl SimulateArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let from = match self.from {
            Some(from) => from,
            None => random_seed()?,
        };
        if let Some(name) = &self.planted {
            println!("from seed {from}");
            return super::hunts::run(self, name, from);
        }
        let end = match self.recoveries {
            Some(recoveries) => End::Recoveries(recoveries),
            None => End::Seeds(self.seeds.unwrap_or(SEEDS)),
        };
        let campaign = Campaign { from, end, threads: workers(self.threads) };
        println!("from seed {from}");
        let (End::Seeds(steps) | End::Recoveries(steps)) = end;
        let bar = styled(steps, "{bar:30} {pos}/{len} {msg} {elapsed} (eta {eta})");
        let report = run(&campaign, &|counts| {
            bar.set_position(match end {
                End::Seeds(_) => counts.seeds,
                End::Recoveries(_) => counts.recoveries,
            });
            bar.set_message(format!("{} crash recoveries", counts.recoveries));
        });
        let seconds = bar.elapsed().as_secs_f64();
        bar.finish_and_clear();
        show(&report.counts, seconds);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let recoveries_per_second = report.counts.recoveries as f64 / seconds;
        let told = Told { from, seconds, recoveries_per_second, report: &report };
        write_json(self.json.as_deref(), &told)?;
        if let Some(failure) = &report.failure {
            show_failure(failure);
        } else if self.trace {
            let (_, _, trace) = crate::simulate::run_traced(from);
            println!("{}", trace.join("\n"));
        }
        Ok(exit_code(report.failure.is_none()))
    }
}

#[cfg(feature = "planted")]
impl SimulateArgs {
    /// Most seeds until a bug must be found.
    pub(super) fn seeds_of_a_hunt(&self) -> u64 {
        self.seeds.unwrap_or(20_000)
    }

    pub(super) fn threads(&self) -> usize {
        workers(self.threads)
    }

    pub(super) fn write<T: Serialize>(&self, result: &T) -> anyhow::Result<()> {
        write_json(self.json.as_deref(), result)
    }
}

/// A seed that is short enough to be typed.
fn random_seed() -> anyhow::Result<u64> {
    Ok(getrandom::u64()? >> 16)
}

fn show(counts: &Counts, seconds: f64) {
    for (name, count) in counts.named() {
        println!("{name:<24} {count:>14}");
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = counts.recoveries as f64 / seconds.max(1e-9);
    println!("{seconds:.1} s, {rate:.0} crash recoveries a second");
}

fn show_failure(failure: &Failure) {
    println!("\nseed {} fails:\n{}", failure.seed, failure.found);
    println!("its last steps:");
    for line in &failure.trace {
        println!("  {line}");
    }
    println!(
        "again: cargo run --release -p doorbuster-bench -- simulate --seeds 1 --from {} --trace",
        failure.seed
    );
}
