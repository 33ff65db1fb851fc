//! `recover`, `drill` and `make-log`: how fast a log comes back, and a log to try it with.

use std::path::PathBuf;
use std::process::ExitCode;

use super::campaigns::Common;
use super::{limits, progress, write_json};
use crate::recover::drill::{self, DrillPlan};
use crate::recover::made_log::{self, Making};
use crate::recover::{self, Round, Side};

/// `recover`
#[derive(Debug, clap::Args)]
pub(super) struct RecoverArgs {
    /// A journal's directory; without one, a log is made and removed afterwards.
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    #[command(flatten)]
    making: MakingArgs,
    /// How often each side has its turn.
    #[arg(long, default_value_t = 5, value_parser = limits::rounds())]
    rounds: usize,
    /// One side once, as JSON.
    #[arg(long, value_enum, hide = true)]
    turn: Option<Side>,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// `drill`
#[derive(Debug, clap::Args)]
pub(super) struct DrillArgs {
    /// Orders in the log.
    #[arg(long, default_value_t = 1_000_000)]
    orders: u64,
    /// Products they are of.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    products: u32,
    #[command(flatten)]
    common: Common,
}

/// `make-log`
#[derive(Debug, clap::Args)]
pub(super) struct MakeLogArgs {
    /// The journal's directory to make.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    #[command(flatten)]
    making: MakingArgs,
}

#[derive(Debug, clap::Args)]
struct MakingArgs {
    /// Purchases in the log that is made.
    #[arg(long, default_value_t = 10_000_000)]
    purchases: u64,
    /// Products they are of.
    #[arg(long, default_value_t = 1_000)]
    products: u32,
    /// Buyers.
    #[arg(long, default_value_t = 1_000_000)]
    buyers: u64,
    /// Each product has a limit per buyer, so that buyers are counted.
    #[arg(long)]
    limited: bool,
}

impl MakingArgs {
    fn make(&self, directory: &std::path::Path) -> anyhow::Result<()> {
        let Self { purchases, products, buyers, limited } = *self;
        let bar = progress(purchases);
        bar.set_message("purchases written");
        let making = Making { purchases, products, buyers, limited, ..Making::default() };
        made_log::make(directory, making, &mut |done| bar.set_position(done))?;
        bar.finish_and_clear();
        Ok(())
    }
}

impl MakeLogArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        self.making.make(&self.log)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl DrillArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let plan = DrillPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            orders: self.orders,
            products: self.products,
        };
        let bar = progress(self.orders);
        bar.set_message("orders written");
        println!("{:<22} {:>8} {:>10}", "step", "seconds", "peak MiB");
        let show = |step: &drill::Step| {
            bar.finish_and_clear();
            println!("{:<22} {:>8.2} {:>10}", step.name, step.seconds, step.peak_bytes >> 20);
        };
        let mut written = |done| bar.set_position(done);
        let report = actix_rt::System::new().block_on(drill::run(&plan, &mut written, show))?;
        println!(
            "\n{} orders, {} MiB of log: {:.2} s from the loss of the directory to the first sale",
            report.orders,
            report.log_bytes >> 20,
            report.outage_seconds,
        );
        write_json(self.common.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl RecoverArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (made, directory) = match &self.log {
            Some(directory) => (None, directory.clone()),
            None => {
                let made = tempfile::tempdir()?;
                let directory = made.path().join("journal");
                self.making.make(&directory)?;
                (Some(made), directory)
            }
        };
        if let Some(side) = self.turn {
            println!("{}", serde_json::to_string(&recover::take_turn(&directory, side)?)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!("round side       seconds   cpu s   records/s   peak MiB");
        let report = recover::run(&directory, self.rounds, show)?;
        println!(
            "\n{} MiB; speed of recovery against only checking: median {:.3}, {:.3} to {:.3} over {} \
             rounds, {} cores",
            report.log_bytes >> 20,
            report.ratio_median,
            report.ratio_min,
            report.ratio_max,
            report.rounds.len(),
            report.machine.cores,
        );
        write_json(self.json.as_deref(), &report)?;
        drop(made);
        Ok(ExitCode::SUCCESS)
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn show(round: usize, report: &Round) {
    for (name, turn) in [("check", report.check), ("recover", report.recover)] {
        println!(
            "{round:>5} {name:<9} {:>8.2} {:>7.2} {:>11.0} {:>10}",
            turn.seconds,
            turn.cpu_seconds,
            turn.records as f64 / turn.seconds,
            turn.peak_bytes >> 20,
        );
    }
    println!("      ratio     {:>8.3}", report.ratio);
}
