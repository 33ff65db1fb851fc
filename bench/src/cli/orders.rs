//! The commands that sell more than single purchases: `carts`, `expiry`.

use std::process::ExitCode;
use std::time::Duration;

use super::campaigns::{Common, passed};
use super::{limits, progress, write_json};
use crate::carts::{self, CartsPlan, CartsReport, Round};
use crate::expiry::{self, ExpiryPlan, ExpiryReport};

/// `carts`
#[derive(Debug, clap::Args)]
pub(super) struct CartsArgs {
    /// Rounds with plenty of stock.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Carts a round.
    #[arg(long, default_value_t = 10_000)]
    carts: u64,
    /// Lines a cart.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    lines: u64,
    /// Products they are drawn from.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    products: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Single purchases a round, beside the carts.
    #[arg(long, default_value_t = 200_000)]
    purchases: u64,
    /// Stock of the last round, in percent of what its carts ask for.
    #[arg(long, default_value_t = 80)]
    scarce_percent: u64,
    /// What carts are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    common: Common,
}

/// `expiry`
#[derive(Debug, clap::Args)]
pub(super) struct ExpiryArgs {
    /// Holds, each of one unit, that are over within one second.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    holds: u64,
    /// Products they are of.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    products: u64,
    /// Seconds for placing them.
    #[arg(long, default_value_t = 20)]
    placing: u64,
    /// Seconds of sale before they are over, and after.
    #[arg(long, default_value_t = 4)]
    around: u64,
    /// Connections that place, and then buy.
    #[arg(long, default_value_t = 32, value_parser = limits::connections())]
    connections: usize,
    /// Milliseconds between the purchases of a connection.
    #[arg(long, default_value_t = 10)]
    every_ms: u64,
    #[command(flatten)]
    common: Common,
}

impl CartsArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = CartsPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            rounds: self.rounds,
            carts: self.carts,
            lines: self.lines,
            products: self.products,
            connections: self.connections.into(),
            purchases: self.purchases,
            scarce_percent: self.scarce_percent,
            seed: self.seed,
        };
        let bar = progress(plan.rounds as u64 + 1);
        let report = carts::run(&plan, |what| {
            bar.inc(1);
            bar.set_message(what.to_owned());
        })?;
        bar.finish_and_clear();
        show_carts(&report);
        write_json(self.common.json.as_deref(), &report)?;
        Ok(passed(&report.faults))
    }
}

fn show_carts(report: &CartsReport) {
    println!("round      carts/s   lines/s  purchases/s  lines a purchase   sold  refused");
    let show = |name: &str, round: &Round| {
        let beside = match round.purchases_per_second {
            0.0 => "-".to_owned(),
            purchases => format!("{:.2}", round.lines_per_second / purchases),
        };
        println!(
            "{name:<8} {:>9.0} {:>9.0} {:>12.0} {beside:>17} {:>6} {:>8}",
            round.carts_per_second,
            round.lines_per_second,
            round.purchases_per_second,
            round.sold,
            round.refused
        );
    };
    for (number, round) in (1..).zip(&report.rounds) {
        show(&format!("{number}"), round);
    }
    show("scarce", &report.scarce);
    let machine = &report.machine;
    println!("machine: {} cores, {}", machine.cores, machine.cpu);
}

impl ExpiryArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = ExpiryPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            holds: self.holds,
            products: self.products,
            placing: Duration::from_secs(self.placing),
            around: Duration::from_secs(self.around),
            connections: self.connections,
            every: Duration::from_millis(self.every_ms),
        };
        let bar = progress(5);
        let report = expiry::run(&plan, |what| {
            bar.inc(1);
            bar.set_message(what.to_owned());
        })?;
        bar.finish_and_clear();
        show_expiry(&report);
        write_json(self.common.json.as_deref(), &report)?;
        Ok(passed(&report.faults))
    }
}

fn show_expiry(report: &ExpiryReport) {
    println!(
        "{} holds expired within a second, placed at {:.0} a second; none was held {} ms after the \
         last was over",
        report.expired, report.placed_per_second, report.last_ended_ms
    );
    report.parts.show();
    let machine = &report.machine;
    println!("machine: {} cores, {}", machine.cores, machine.cpu);
}
