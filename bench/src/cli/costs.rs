//! `memory`, `project`, `idle`: what products, rows and waiting cost.

use std::process::ExitCode;
use std::time::Duration;

use super::campaigns::Common;
use super::{limits, write_json};
use crate::figures::Middle;
use crate::idle::{self, IdlePlan};
use crate::memory::{self, MemoryPlan, Size};
use crate::projecting::{self, ProjectPlan};

/// `memory`
#[derive(Debug, clap::Args)]
pub(super) struct MemoryArgs {
    /// Numbers of products, the smallest first: the others are held against it.
    #[arg(long, value_delimiter = ',', default_value = "10,1000,100000,1000000")]
    products: Vec<u32>,
    /// Starts with each number.
    #[arg(long, default_value_t = 3, value_parser = limits::rounds())]
    rounds: usize,
    #[command(flatten)]
    common: Common,
}

/// `project`
#[derive(Debug, clap::Args)]
pub(super) struct ProjectArgs {
    /// Purchases in the log.
    #[arg(long, default_value_t = 500_000)]
    purchases: u64,
    /// Products they are of.
    #[arg(long, default_value_t = 1_000)]
    products: u32,
    /// Copies into each database.
    #[arg(long, default_value_t = 3, value_parser = limits::rounds())]
    rounds: usize,
    #[command(flatten)]
    common: Common,
}

/// `idle`
#[derive(Debug, clap::Args)]
pub(super) struct IdleArgs {
    /// Products in the log.
    #[arg(long, default_value_t = 1_000)]
    products: u32,
    /// Seconds between ready and the first measurement.
    #[arg(long, default_value_t = 5)]
    settle: u64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10, value_parser = limits::seconds())]
    seconds: u64,
    /// Measurements.
    #[arg(long, default_value_t = 3, value_parser = limits::rounds())]
    rounds: usize,
    #[command(flatten)]
    common: Common,
}

impl MemoryArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = MemoryPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            sizes: self.products,
            rounds: self.rounds,
        };
        let report = memory::run(&plan, |what| eprintln!("{what}"))?;
        println!(
            "{:>9} {:>8} {:>26} {:>22} {:>28}",
            "products",
            "log MiB",
            "start to first sale, s",
            "memory, MiB",
            "bytes each beyond texts"
        );
        report.sizes.iter().for_each(show_size);
        write_json(self.common.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show_size(size: &Size) {
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let memory = size.resident_bytes.map(mib);
    let each = size.bytes_per_product.map_or_else(String::new, |each| shown(each, 0));
    println!(
        "{:>9} {:>8} {:>26} {:>22} {each:>28}",
        size.products,
        size.log_bytes >> 20,
        shown(size.first_sale_seconds, 2),
        shown(memory, 0),
    );
}

pub(super) fn shown(of: Middle, places: usize) -> String {
    let Middle { median, min, max } = of;
    format!("{median:.places$} ({min:.places$} to {max:.places$})")
}

impl ProjectArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = ProjectPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            purchases: self.purchases,
            products: self.products,
            rounds: self.rounds,
        };
        let report = projecting::run(&plan, |what| eprintln!("{what}"))?;
        println!("{} records, records a second over {} rounds", report.records, self.rounds);
        println!("SQLite      {}", shown(report.sqlite.per_second, 0));
        match (&report.postgres, &report.postgres_missing) {
            (Some(filled), _) => println!("PostgreSQL  {}", shown(filled.per_second, 0)),
            (None, why) => println!("PostgreSQL  missing: {}", why.as_deref().unwrap_or("")),
        }
        write_json(self.common.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl IdleArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = IdlePlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            products: self.products,
            settle: Duration::from_secs(self.settle),
            measured: Duration::from_secs(self.seconds),
            rounds: self.rounds,
        };
        let report = idle::run(&plan)?;
        println!(
            "{} % of a core, {} products, {} times {} s",
            shown(report.percent_of_a_core, 2),
            report.products,
            report.rounds.len(),
            report.seconds
        );
        write_json(self.common.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}
