//! `decide`: what one decision costs on one core.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{limits, write_json};
use crate::figures::Middle;
use crate::micro::decide::{self, DecidePlan, DecideReport, Round};

/// `decide`
#[derive(Debug, clap::Args)]
pub(super) struct DecideArgs {
    /// Rounds.
    #[arg(long, default_value_t = 10, value_parser = limits::upto(decide::ROUNDS_MAX))]
    rounds: usize,
    /// Purchases of each round, and of each of its measurements.
    #[arg(long, default_value_t = 2_000_000)]
    purchases: u64,
    /// Writes the whole result into a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl DecideArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let plan = DecidePlan { rounds: self.rounds, purchases: self.purchases };
        println!("round  decide   apply  encode   whole  refusal   ns each");
        let report = decide::run(plan, show)?;
        show_all(&report);
        write_json(self.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(number: usize, round: &Round) {
    let Round { decide_ns, apply_ns, encode_ns, whole_ns, refuse_ns } = round;
    println!(
        "{number:>5} {decide_ns:>7.1} {apply_ns:>7.1} {encode_ns:>7.1} {whole_ns:>7.1} {refuse_ns:>8.1}"
    );
}

fn show_all(report: &DecideReport) {
    let line = |name: &str, of: Middle, unit: &str| {
        println!("{name:<24} {:>7.2} {unit}, {:.2} to {:.2}", of.median, of.min, of.max);
    };
    println!();
    line("decide", report.decide_ns, "ns");
    line("apply", report.apply_ns, "ns");
    line("encode", report.encode_ns, "ns");
    line("all three, one product", report.whole_ns, "ns");
    line("refuse", report.refuse_ns, "ns");
    line("all three", report.millions_per_second, "million a second");
}
