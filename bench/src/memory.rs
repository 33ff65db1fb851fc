//! What many idle products cost: memory of each, and the time from a start to the first sale.
//!
//! ```text
//! make a log with N products ─► copy it ─► serve ─► ready ─► first sale ─► projected ─► memory
//!     once for each N           └──────────── each round, a process of its own ────────────┘
//! ```
//!
//! Memory is what the kernel says the server's process holds once it is at rest: nothing is bought but
//! the one unit, the projection is complete, and the processor is not used any more. A product costs
//! the difference to the smallest server, by product, less the bytes of its id and name. The allocator
//! is told to give back at once what is freed (`GIVE_BACK`): what it would keep, up to a segment's
//! buffer of 64 MiB, is kept by chance, and no product's. Its overhead and the tables are part of the
//! figure; tables double, so it depends on how full they are. The keys under which products were put in
//! are not: they are forgotten after 24 hours, and left out of the log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::LocalSet;

use crate::client::Client;
use crate::database::Database;
use crate::figures::Middle;
use crate::machine::Machine;
use crate::process::{Launch, Process};
use crate::recover::made_log::{self, Making};
use crate::resident::{peak_bytes, resident_bytes};
use crate::rows;

/// A start that takes longer is a failure, and so is a projection.
const LIMIT: Duration = Duration::from_secs(900);
/// A server is at rest when it has used less than this share of a core for so long.
const QUIET: Duration = Duration::from_secs(1);
const QUIET_SHARE: f64 = 0.02;
/// With fewer more products than this, what the allocator keeps is the larger part of a difference.
const TOLD_MIN: u32 = 90_000;

/// To the allocator: free memory goes back to the system without delay.
const GIVE_BACK: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// What to measure.
#[derive(Debug, Clone)]
pub struct MemoryPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where data directories are made; each is removed afterwards.
    pub data_root: PathBuf,
    /// Numbers of products, the smallest first: it is what the others are held against.
    pub sizes: Vec<u32>,
    /// Starts with each.
    pub rounds: usize,
}

/// One start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Round {
    /// From the start of the process until it was ready.
    pub ready_seconds: f64,
    /// Until a purchase was answered.
    pub first_sale_seconds: f64,
    /// Memory when that was.
    pub first_sale_bytes: u64,
    /// Memory at rest, with the projection complete.
    pub resident_bytes: u64,
    /// Most memory it had.
    pub peak_bytes: u64,
}

/// A number of products.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Size {
    /// How many.
    pub products: u32,
    /// Bytes of an id and a name, on average.
    pub text_bytes: f64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// The starts.
    pub rounds: Vec<Round>,
    /// From the start of the process to the first sale.
    pub first_sale_seconds: Middle,
    /// Memory at rest.
    pub resident_bytes: Middle,
    /// Of each product beyond id and name; none where they are too few to tell.
    pub bytes_per_product: Option<Middle>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct MemoryReport {
    /// Where it ran.
    pub machine: Machine,
    /// What the servers were given beside what every server is.
    pub environment: BTreeMap<String, String>,
    /// By number of products.
    pub sizes: Vec<Size>,
}

/// Measures; `watch` hears what begins.
///
/// # Errors
/// The bounds are passed, or a server does not start, sell or project.
pub fn run(plan: &MemoryPlan, mut watch: impl FnMut(&str)) -> anyhow::Result<MemoryReport> {
    made_log::check_sizes(&plan.sizes, plan.rounds)?;
    ensure!(plan.sizes.is_sorted(), "the smallest number of products first");
    let machine = Machine::measure(&plan.data_root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut sizes: Vec<Size> = Vec::with_capacity(plan.sizes.len());
    for products in plan.sizes.iter().copied() {
        let place = tempfile::tempdir_in(&plan.data_root)?;
        watch(&format!("making a log of {products} products"));
        let made = place.path().join("made");
        let making = Making { products, forgotten: true, ..Making::default() };
        made_log::make(&made, making, &mut |_| {})?;
        let mut rounds = Vec::with_capacity(plan.rounds);
        for round in 1..=plan.rounds {
            watch(&format!("{products} products, round {round}"));
            let directory = tempfile::tempdir_in(place.path())?;
            let started = start(plan, &made, directory.path(), products);
            let started = LocalSet::new().block_on(&runtime, started);
            rounds.push(started.with_context(|| format!("{products} products"))?);
        }
        sizes.push(of(products, made_log::bytes(&made)?, rounds, sizes.first()));
    }
    let (name, value) = GIVE_BACK;
    let environment = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    Ok(MemoryReport { machine, environment, sizes })
}

/// One start on a copy of the log: a server writes on, and its second start would have less to do.
async fn start(
    plan: &MemoryPlan,
    made: &Path,
    directory: &Path,
    products: u32,
) -> anyhow::Result<Round> {
    let data_dir = directory.join("data");
    made_log::copy(made, &data_dir.join("journal"))?;
    let begun = Instant::now();
    let mut launch = Launch::engine(&plan.engine, &data_dir, directory);
    let (name, value) = GIVE_BACK;
    launch.environment.push((name.into(), value.into()));
    let mut server = launch.spawn()?;
    let address = server.ready(LIMIT).await?;
    let ready_seconds = begun.elapsed().as_secs_f64();
    let body = json!({"product_id": "product-0", "buyer_id": "first", "quantity": 1});
    let reply = Client { address }.post("/v1/purchases", "first-sale", &body).await?;
    let first_sale_seconds = begun.elapsed().as_secs_f64();
    ensure!(reply.status == 201, "the first sale: {} {}", reply.status, reply.body);
    let pid = server.pid().to_string();
    let first_sale_bytes = resident_bytes(&pid)?;
    // The start record and one for each product.
    let upto = u64::from(products) + 1;
    rows::caught_up(&Database::of(&data_dir, None), upto, LIMIT).await?;
    at_rest(&server).await?;
    let (resident_bytes, peak_bytes) = (resident_bytes(&pid)?, peak_bytes(&pid)?);
    server.kill()?;
    Ok(Round { ready_seconds, first_sale_seconds, first_sale_bytes, resident_bytes, peak_bytes })
}

/// Waits until the server has nothing left to do: segments zeroed ahead, what it read given back.
async fn at_rest(server: &Process) -> anyhow::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let before = server.cpu_seconds();
        tokio::time::sleep(QUIET).await;
        if server.cpu_seconds() - before <= QUIET.as_secs_f64() * QUIET_SHARE {
            return Ok(());
        }
        ensure!(Instant::now() < until, "the server is never at rest");
    }
}

#[expect(clippy::cast_precision_loss, reason = "means")]
fn of(products: u32, log_bytes: u64, rounds: Vec<Round>, smallest: Option<&Size>) -> Size {
    let text_bytes = text_bytes(products);
    let told = |smallest: &&Size| products >= smallest.products.saturating_add(TOLD_MIN);
    let bytes_per_product = smallest.filter(told);
    let bytes_per_product = bytes_per_product.map(|smallest| {
        let more = f64::from(products - smallest.products);
        let each = |round: &Round| {
            (round.resident_bytes as f64 - smallest.resident_bytes.median) / more - text_bytes
        };
        Middle::of(rounds.iter().map(each))
    });
    Size {
        products,
        text_bytes,
        log_bytes,
        first_sale_seconds: Middle::of(rounds.iter().map(|round| round.first_sale_seconds)),
        resident_bytes: Middle::of(rounds.iter().map(|round| round.resident_bytes as f64)),
        bytes_per_product,
        rounds,
    }
}

/// Bytes of a made product's id and name, on average: see `recover::made_log`.
fn text_bytes(products: u32) -> f64 {
    let digits = |number: u32| f64::from(number.checked_ilog10().unwrap_or(0) + 1);
    let texts = "product-".len() + "Product ".len();
    let sum: f64 = (0..products).map(|number| 2.0 * digits(number)).sum();
    texts as f64 + sum / f64::from(products)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(resident_bytes: u64) -> Round {
        Round {
            ready_seconds: 1.0,
            first_sale_seconds: 2.0,
            first_sale_bytes: 0,
            resident_bytes,
            peak_bytes: 0,
        }
    }

    #[test]
    fn a_product_costs_the_difference_by_product_without_its_texts() {
        assert!((text_bytes(10) - 18.0).abs() < 1e-9, "one digit each");
        assert!((text_bytes(100) - (18.0 * 10.0 + 20.0 * 90.0) / 100.0).abs() < 1e-9);
        let smallest = of(10, 0, vec![round(1_000)], None);
        assert_eq!(smallest.bytes_per_product, None);
        let rounds = vec![round(30_001_000), round(40_001_000)];
        let size = of(100_010, 0, rounds, Some(&smallest));
        let each = size.bytes_per_product.expect("they are many");
        assert!((each.median - (350.0 - size.text_bytes)).abs() < 1e-9, "{each:?}");
        assert_eq!(of(1_000, 0, vec![round(9_000)], Some(&smallest)).bytes_per_product, None);
    }
}
