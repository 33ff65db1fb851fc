//! `flame`: a flame graph of a loaded server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::campaigns::Common;
use super::{limits, write_json};
use crate::flame::{self, FlamePlan, picture};
use crate::load::work::Work;

/// Innermost calls that are printed.
const SHOWN: usize = 15;

/// `flame`
#[derive(Debug, clap::Args)]
pub(super) struct FlameArgs {
    /// What is asked for.
    #[arg(long, value_enum, default_value = "purchase")]
    work: Work,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 256, value_parser = limits::connections())]
    connections: usize,
    /// Seconds sampled.
    #[arg(long, default_value_t = 8, value_parser = limits::seconds_upto(flame::SECONDS_MAX))]
    seconds: u64,
    /// Where the picture goes.
    #[arg(long, value_name = "FILE", default_value = "flame.svg")]
    svg: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// The samples as `--json` keeps them.
#[derive(Serialize)]
struct Found<'a> {
    work: Work,
    seconds: u64,
    per_second: f64,
    samples: u64,
    /// By the call in which the processor was; the most first.
    innermost: &'a [Share<'a>],
}

#[derive(Serialize)]
struct Share<'a> {
    name: &'a str,
    percent: f64,
}

impl FlameArgs {
    #[expect(clippy::cast_precision_loss, reason = "percent")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = FlamePlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            work: self.work,
            connections: self.connections,
            seconds: self.seconds,
        };
        let sampled = flame::run(&plan)?;
        let name = self
            .work
            .to_possible_value()
            .map_or_else(String::new, |work| work.get_name().to_owned());
        let samples = sampled.calls.samples;
        let title = format!(
            "doorbuster, {name}: {samples} samples in {} s, {} connections, {:.0} answers a second",
            self.seconds, self.connections, sampled.load.per_second
        );
        std::fs::write(&self.svg, picture::draw(&title, &sampled.calls)?)
            .with_context(|| format!("cannot write {}", self.svg.display()))?;
        println!("{title}");
        let percent = |count: u64| 100.0 * count as f64 / samples as f64;
        let innermost = sampled.calls.innermost();
        let shares = innermost.iter().map(|(name, count)| Share { name, percent: percent(*count) });
        let shares: Vec<Share<'_>> = shares.collect();
        for share in shares.iter().take(SHOWN) {
            println!("{:>6.2} % {}", share.percent, share.name);
        }
        let seconds = self.seconds;
        let per_second = sampled.load.per_second;
        let found = Found { work: self.work, seconds, per_second, samples, innermost: &shares };
        write_json(self.common.json.as_deref(), &found)?;
        Ok(ExitCode::SUCCESS)
    }
}
