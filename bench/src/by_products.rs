//! Throughput of purchases by the number of products they are spread over, each as often as any other.
//!
//! ```text
//! prepare, once for each number:  make a log ─► serve it until its copy in SQL is complete ─► stop
//! round 1: 1, 10, 1000, …    round 2: 10, 1000, …, 1    round 3: 1000, …, 1, 10
//!          each turn: a process of its own on a copy of that directory, loaded, then killed
//! ```
//!
//! So a slow moment of the machine meets every number, and no turn has work left over from putting
//! products in. The figure is how the numbers differ within the rounds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use tempfile::TempDir;
use tokio::task::LocalSet;

use crate::database::Database;
use crate::figures::Middle;
use crate::load::work::{self, Products, Spread, Work};
use crate::load::{self, LoadPlan, LoadReport, Pace};
use crate::machine::Machine;
use crate::process::Launch;
use crate::recover::made_log::{self, Making};
use crate::rows;

/// A start, a projection or a stop that takes longer is a failure.
const LIMIT: Duration = Duration::from_secs(900);
const WARM_UP: Duration = Duration::from_secs(1);

/// What to measure.
#[derive(Debug, Clone)]
pub struct ProductsPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where data directories are made; each is removed afterwards.
    pub data_root: PathBuf,
    /// Numbers of products.
    pub sizes: Vec<u32>,
    /// How often each has its turn.
    pub rounds: usize,
    /// Time measured in each turn.
    pub measured: Duration,
    /// Connections, each with one request in flight.
    pub connections: usize,
}

/// A number of products.
#[derive(Debug, Clone, Serialize)]
pub struct Size {
    /// How many.
    pub products: u32,
    /// Each turn.
    pub turns: Vec<LoadReport>,
    /// Purchases a second.
    pub per_second: Middle,
    /// Latency that 99 in 100 stayed under, in microseconds.
    pub p99_us: Middle,
    /// The same throughput over that of the first number in the same round.
    pub ratio_to_first: Middle,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct ProductsReport {
    /// Where it ran.
    pub machine: Machine,
    /// Connections.
    pub connections: usize,
    /// Seconds measured in each turn.
    pub seconds: f64,
    /// By number of products.
    pub sizes: Vec<Size>,
}

/// Measures; `watch` hears what begins.
///
/// # Errors
/// The bounds are passed, or a server does not start, or answers something else than a sale.
pub fn run(plan: &ProductsPlan, mut watch: impl FnMut(&str)) -> anyhow::Result<ProductsReport> {
    made_log::check_sizes(&plan.sizes, plan.rounds)?;
    let machine = Machine::measure(&plan.data_root)?;
    let mut prepared = Vec::with_capacity(plan.sizes.len());
    for products in &plan.sizes {
        watch(&format!("preparing {products} products"));
        let directory = prepare(plan, *products);
        prepared.push(directory.with_context(|| format!("{products} products"))?);
    }
    let mut turns: Vec<Vec<LoadReport>> = vec![Vec::new(); plan.sizes.len()];
    for round in 0..plan.rounds {
        for nth in 0..plan.sizes.len() {
            let place = (round + nth) % plan.sizes.len();
            let found = plan.sizes.get(place).zip(prepared.get(place)).zip(turns.get_mut(place));
            let ((products, prepared), turns) = found.context("a place of its own")?;
            watch(&format!("round {}, {products} products", round + 1));
            let turn = turn(plan, *products, prepared.path());
            turns.push(turn.with_context(|| format!("{products} products"))?);
        }
    }
    let first = turns.first().cloned().unwrap_or_default();
    let sizes = plan.sizes.iter().zip(turns);
    Ok(ProductsReport {
        machine,
        connections: plan.connections,
        seconds: plan.measured.as_secs_f64(),
        sizes: sizes.map(|(products, turns)| of(*products, turns, &first)).collect(),
    })
}

fn of(products: u32, turns: Vec<LoadReport>, first: &[LoadReport]) -> Size {
    let ratios = turns.iter().zip(first).map(|(turn, first)| turn.per_second / first.per_second);
    Size {
        products,
        per_second: Middle::of(turns.iter().map(|turn| turn.per_second)),
        p99_us: Middle::of(turns.iter().map(|turn| turn.latency_us.p99)),
        ratio_to_first: Middle::of(ratios),
        turns,
    }
}

/// The id by which the load knows a product.
fn id(number: u32) -> String {
    work::product_id(u64::from(number))
}

/// A data directory with so many products, nothing of it left to be done.
fn prepare(plan: &ProductsPlan, products: u32) -> anyhow::Result<TempDir> {
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let data_dir = directory.path().join("data");
    let making = Making { products, id, ..Making::default() };
    made_log::make(&data_dir.join("journal"), making, &mut |_| {})?;
    let mut server = Launch::engine(&plan.engine, &data_dir, directory.path()).spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let complete = async {
        server.ready(LIMIT).await?;
        // The start record, then one for each product.
        let upto = u64::from(products) + 1;
        rows::caught_up(&Database::of(&data_dir, None), upto, LIMIT).await?;
        server.terminate(LIMIT).await
    };
    let ended = LocalSet::new().block_on(&runtime, complete)?;
    ensure!(ended.success(), "the server ended with {ended}");
    Ok(directory)
}

fn turn(plan: &ProductsPlan, products: u32, prepared: &Path) -> anyhow::Result<LoadReport> {
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let data_dir = directory.path().join("data");
    made_log::copy(&prepared.join("data"), &data_dir)?;
    let mut server = Launch::engine(&plan.engine, &data_dir, directory.path()).spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = runtime.block_on(server.ready(LIMIT))?;
    let load = LoadPlan {
        address,
        server_pids: vec![server.pid()],
        mix: Work::Purchase.mix(),
        products: Products::Numbered {
            count: u64::from(products),
            spread: Spread::Uniform,
            sold_out: false,
        },
        key_prefix: "k".to_owned(),
        pace: Pace::Closed,
        connections: plan.connections,
        threads: 1,
        warm_up: WARM_UP,
        measured: plan.measured,
        requests_max: u64::MAX,
        seed: 1,
    };
    let report = load::run(&load)
        .with_context(|| format!("the server's last lines:\n{}", server.trace()))?;
    server.kill()?;
    ensure!(report.failures() == 0, "{:?}, {:?}", report.answers, report.first_error);
    Ok(report)
}
