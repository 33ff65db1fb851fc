//! `products`, `soak`: how throughput depends on the number of products, and on time.

use std::process::ExitCode;
use std::time::Duration;

use super::campaigns::Common;
use super::costs::shown;
use super::{limits, write_json};
use crate::by_products::{self, ProductsPlan};
use crate::soak::{self, Minute, SoakPlan};

/// `products`
#[derive(Debug, clap::Args)]
pub(super) struct ProductsArgs {
    /// Numbers of products; each is held against the first.
    #[arg(long, value_delimiter = ',', default_value = "1,10,1000,100000,1000000")]
    products: Vec<u32>,
    /// How often each has its turn.
    #[arg(long, default_value_t = 3, value_parser = limits::rounds())]
    rounds: usize,
    /// Seconds measured in each turn.
    #[arg(long, default_value_t = 5, value_parser = limits::seconds())]
    seconds: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 256, value_parser = limits::connections())]
    connections: usize,
    #[command(flatten)]
    common: Common,
}

/// `soak`
#[derive(Debug, clap::Args)]
pub(super) struct SoakArgs {
    /// How many minutes.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Seconds of each.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=60))]
    minute_seconds: u64,
    /// Products with stock, and as many without.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    products: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 256, value_parser = limits::connections())]
    connections: usize,
    #[command(flatten)]
    common: Common,
}

impl ProductsArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = ProductsPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            sizes: self.products,
            rounds: self.rounds,
            measured: Duration::from_secs(self.seconds),
            connections: self.connections,
        };
        let report = by_products::run(&plan, |what| eprintln!("{what}"))?;
        println!(
            "{:>9} {:>26} {:>24} {:>24}",
            "products", "purchases a second", "p99 ms", "of the first"
        );
        for size in &report.sizes {
            let p99 = shown(size.p99_us.map(|us| us / 1e3), 2);
            let rate = shown(size.per_second, 0);
            let ratio = shown(size.ratio_to_first, 3);
            println!("{:>9} {rate:>26} {p99:>24} {ratio:>24}", size.products);
        }
        write_json(self.common.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl SoakArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = SoakPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            minutes: self.minutes,
            minute: Duration::from_secs(self.minute_seconds),
            products: self.products,
            connections: self.connections,
        };
        println!(
            "{:>6} {:>10} {:>8} {:>9} {:>10} {:>8} {:>9} {:>9} {:>8}",
            "minute",
            "answers/s",
            "p99 ms",
            "p99.9 ms",
            "orders",
            "MiB",
            "disk MiB",
            "snapshots",
            "behind"
        );
        let report = soak::run(&plan, show)?;
        println!(
            "\nslowest minute {:.3} of the fastest, p99.9 {} ms, {} bytes of memory an order",
            report.per_second.min / report.per_second.max,
            shown(report.p99_9_us.map(|us| us / 1e3), 2),
            report.bytes_per_order.map_or_else(|| "?".to_owned(), |bytes| format!("{bytes:.0}")),
        );
        write_json(self.common.json.as_deref(), &report)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(number: usize, minute: &Minute) {
    let load = &minute.load;
    println!(
        "{number:>6} {:>10.0} {:>8.2} {:>9.2} {:>10} {:>8} {:>9} {:>9} {:>8}",
        load.per_second,
        load.latency_us.p99 / 1e3,
        load.latency_us.p99_9 / 1e3,
        minute.orders,
        minute.resident_bytes >> 20,
        minute.disk_bytes >> 20,
        minute.snapshots,
        minute.behind_records.map_or_else(|| "?".to_owned(), |records| format!("{records:.0}")),
    );
}
