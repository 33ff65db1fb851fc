//! A long sale: 5 in 100 requests buy, the others are refused or read, with snapshots and the copy in
//! SQL going on as they come. Is it as fast at the end as at the beginning, and what does it keep?
//!
//! ```text
//! put products in ─► minute 1 ─► minute 2 ─► …      each a load of its own on the same server
//!                        └─ throughput, p99.9, memory, orders sold, how far the copy is behind
//! ```
//!
//! Memory may grow by what is sold alone: bytes an order, from the end of the first minute on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::connection::Connection;
use crate::figures::Middle;
use crate::load::work::{Kind, Mix, Products, Spread};
use crate::load::{self, LoadPlan, LoadReport, Pace};
use crate::machine::Machine;
use crate::process::{Launch, Process};
use crate::request;
use crate::resident::{peak_bytes, resident_bytes};

const START_LIMIT: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(1);
const MINUTES_MAX: u64 = 24 * 60;
/// Stock of what is bought: no soak sells it out.
const PLENTY: u64 = 1_000_000_000;
/// Of a hundred requests, so many buy and so many are refused; the others read.
const BUYING: u32 = 5;
const REFUSED: u32 = 48;

/// What to run.
#[derive(Debug, Clone)]
pub struct SoakPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where the data directory is made; it is removed afterwards.
    pub data_root: PathBuf,
    /// How many minutes.
    pub minutes: u64,
    /// Seconds of each: 60 but in a short form.
    pub minute: Duration,
    /// Products with stock, and as many without.
    pub products: u64,
    /// Connections, each with one request in flight.
    pub connections: usize,
}

/// A minute.
#[derive(Debug, Clone, Serialize)]
pub struct Minute {
    /// What the client saw.
    pub load: LoadReport,
    /// Orders sold since the beginning.
    pub orders: u64,
    /// Memory at its end.
    pub resident_bytes: u64,
    /// Bytes of the data directory at its end.
    pub disk_bytes: u64,
    /// Snapshots in it then.
    pub snapshots: usize,
    /// Records that the copy in SQL was behind then.
    pub behind_records: Option<f64>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct SoakReport {
    /// Where it ran.
    pub machine: Machine,
    /// Connections.
    pub connections: usize,
    /// The minutes.
    pub minutes: Vec<Minute>,
    /// Answers a second, over the minutes.
    pub per_second: Middle,
    /// Of the minutes, in microseconds.
    pub p99_9_us: Middle,
    /// Orders sold.
    pub orders: u64,
    /// Memory that came with each order since the first minute.
    pub bytes_per_order: Option<f64>,
    /// Most memory.
    pub peak_bytes: u64,
}

/// Runs it; `watch` hears of each minute.
///
/// # Errors
/// The bounds are passed, or the server does not start, or something is answered otherwise than expected.
pub fn run(plan: &SoakPlan, mut watch: impl FnMut(usize, &Minute)) -> anyhow::Result<SoakReport> {
    ensure!((1..=MINUTES_MAX).contains(&plan.minutes), "1 to {MINUTES_MAX} minutes");
    let machine = Machine::measure(&plan.data_root)?;
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let data_dir = directory.path().join("data");
    let mut server = Launch::engine(&plan.engine, &data_dir, directory.path()).spawn()?;
    let minutes = sale(plan, &mut server, &data_dir, &mut watch);
    let minutes =
        minutes.with_context(|| format!("the server's last lines:\n{}", server.trace()))?;
    let peak_bytes = peak_bytes(&server.pid().to_string())?;
    server.kill()?;
    Ok(SoakReport {
        machine,
        connections: plan.connections,
        per_second: Middle::of(minutes.iter().map(|minute| minute.load.per_second)),
        p99_9_us: Middle::of(minutes.iter().map(|minute| minute.load.latency_us.p99_9)),
        orders: minutes.last().map_or(0, |minute| minute.orders),
        bytes_per_order: bytes_per_order(&minutes),
        peak_bytes,
        minutes,
    })
}

fn sale(
    plan: &SoakPlan,
    server: &mut Process,
    data_dir: &Path,
    watch: &mut impl FnMut(usize, &Minute),
) -> anyhow::Result<Vec<Minute>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = runtime.block_on(server.ready(START_LIMIT))?;
    let products =
        |sold_out| Products::Numbered { count: plan.products, spread: Spread::Zipf, sold_out };
    runtime.block_on(load::put_in(address, &products(false), PLENTY))?;
    runtime.block_on(load::put_in(address, &products(true), 0))?;
    let reading = 100 - BUYING - REFUSED;
    let mix = vec![(Kind::Purchase, BUYING), (Kind::SoldOut, REFUSED), (Kind::Stock, reading)];
    let (mut minutes, mut orders) = (Vec::new(), 0);
    for number in 1..=plan.minutes {
        let load = LoadPlan {
            address,
            server_pids: vec![server.pid()],
            mix: Mix(mix.clone()),
            products: products(false),
            key_prefix: format!("m{number}-"),
            pace: Pace::Closed,
            connections: plan.connections,
            threads: 1,
            warm_up: if number == 1 { WARM_UP } else { Duration::ZERO },
            measured: plan.minute,
            requests_max: u64::MAX,
            seed: number,
        };
        let load = load::run(&load)?;
        ensure!(load.failures() == 0, "{:?}, {:?}", load.answers, load.first_error);
        orders += load.units_sold;
        let (disk_bytes, snapshots) = kept(data_dir)?;
        let minute = Minute {
            load,
            orders,
            resident_bytes: resident_bytes(&server.pid().to_string())?,
            disk_bytes,
            snapshots,
            behind_records: runtime.block_on(behind(address)),
        };
        watch(minutes.len() + 1, &minute);
        minutes.push(minute);
    }
    Ok(minutes)
}

/// What the first minute fills is not counted: caches, queues, the allocator's own.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn bytes_per_order(minutes: &[Minute]) -> Option<f64> {
    let (first, last) = minutes.first().zip(minutes.last())?;
    let orders = last.orders.checked_sub(first.orders).filter(|orders| *orders > 0)?;
    Some((last.resident_bytes as f64 - first.resident_bytes as f64) / orders as f64)
}

/// Bytes of a data directory, and how many snapshots are in it.
fn kept(directory: &Path) -> anyhow::Result<(u64, usize)> {
    let (mut bytes, mut snapshots) = (0, 0);
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            // What is removed meanwhile is not there.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                waiting.push(entry.path());
            } else {
                bytes += metadata.len();
                snapshots += usize::from(directory.ends_with("snapshots"));
            }
        }
    }
    Ok((bytes, snapshots))
}

async fn behind(address: SocketAddr) -> Option<f64> {
    let mut connection = Connection::open(address).await.ok()?;
    let answer = connection.exchange(&request::get("/metrics")).await.ok()?;
    lag_of(std::str::from_utf8(answer.body).ok()?)
}

fn lag_of(metrics: &str) -> Option<f64> {
    let name = "doorbuster_projection_lag_records ";
    metrics.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_read_from_the_metrics() {
        let metrics = "# TYPE doorbuster_projection_lag_records gauge\n\
                       doorbuster_projection_lag_records 1250\n";
        assert_eq!(lag_of(metrics), Some(1250.0));
        assert_eq!(lag_of("doorbuster_live_holds 1\n"), None);
    }

    #[test]
    fn a_directory_is_counted_with_what_is_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let snapshots = directory.path().join("journal/snapshots");
        std::fs::create_dir_all(&snapshots).expect("a directory");
        std::fs::write(snapshots.join("a"), [0; 30]).expect("a file");
        std::fs::write(directory.path().join("b"), [0; 12]).expect("a file");
        assert_eq!(kept(directory.path()).expect("readable"), (42, 1));
    }
}
