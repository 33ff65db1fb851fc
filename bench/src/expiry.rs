//! Many holds that are over within one second, while purchases go on.
//!
//! ```text
//! place holds, all over between T and T + 1 s ── before ──┬── T: they expire ──┬── after ──► checks
//!                 purchases at a fixed pace, all the time ┴────────────────────┴──►
//! ```
//!
//! Proves that the end of holds delays no sale: every purchase is answered with 201 within its
//! deadline, latency is told before, during and after; and that it is exact: afterwards no unit is
//! held, every unit is for sale again, and each hold ended once in the log.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::LocalSet;
use tokio::time::{sleep, sleep_until};

use crate::client::Client;
use crate::connection::Connection;
use crate::crowd::{self, Crowd, SharedShop};
use crate::faults::{FaultKind, Faults};
use crate::log::Log;
use crate::machine::Machine;
use crate::model::Model;
use crate::parts::{self, Parts};
use crate::process::Launch;
use crate::request;
use crate::seeded::Seeded;
use crate::shop::{Mix, Shop};

const START_LIMIT: Duration = Duration::from_secs(60);
/// How long the last of them may be held past its time.
const END_LIMIT: Duration = Duration::from_secs(60);
/// The second within which all of them are over.
const WITHIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What to let expire.
#[derive(Debug, Clone)]
pub struct ExpiryPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where the data directory is made.
    pub data_root: PathBuf,
    /// Holds, each of one unit.
    pub holds: u64,
    /// Products they are of.
    pub products: u64,
    /// Time for placing them.
    pub placing: Duration,
    /// Sale before they are over, and after.
    pub around: Duration,
    /// Connections that buy.
    pub connections: usize,
    /// Each begins a purchase this often.
    pub every: Duration,
}

/// What it found.
#[derive(Debug, Clone, Serialize)]
pub struct ExpiryReport {
    /// Where it ran.
    pub machine: Machine,
    /// Holds placed a second.
    pub placed_per_second: f64,
    /// Latency of purchases around the end of the holds.
    pub parts: Parts,
    /// From the last hold's time until none was held, in milliseconds.
    pub last_ended_ms: u64,
    /// Expiries in the log.
    pub expired: u64,
    /// What was wrong.
    pub faults: Faults,
}

/// Runs it; `watch` hears which part begins.
///
/// # Errors
/// It could not be run: that a check failed is in the report.
pub fn run(plan: &ExpiryPlan, watch: impl FnMut(&str)) -> anyhow::Result<ExpiryReport> {
    ensure!(plan.holds > 0 && plan.products > 0, "nothing to hold");
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, sale(plan, directory.path(), watch))
}

async fn sale(
    plan: &ExpiryPlan,
    directory: &Path,
    mut watch: impl FnMut(&str),
) -> anyhow::Result<ExpiryReport> {
    let machine = Machine::measure(&plan.data_root)?;
    let data_dir = directory.join("data");
    let mut process = Launch::engine(&plan.engine, &data_dir, directory).spawn()?;
    let address = process.ready(START_LIMIT).await?;
    let shop: SharedShop = Rc::new(RefCell::new(Shop::new(Mix::Purchases, Seeded::new(1))));
    crowd::stock_up(address, &shop, START_LIMIT).await?;
    watch("placing holds");
    let per_product = plan.holds.div_ceil(plan.products);
    let client = Client { address };
    for product in 0..plan.products {
        client.put_in(&id(product), per_product).await?;
    }
    let first_over = Instant::now() + plan.placing + plan.around;
    let placed = place(plan, address, first_over).await;
    let seconds =
        placed.with_context(|| format!("the server's last lines:\n{}", process.trace()))?;
    ensure!(
        Instant::now() + plan.around < first_over,
        "placing took longer than {} s: give it more",
        plan.placing.as_secs()
    );

    let (heard, manners) = parts::paced(plan.every);
    watch("selling before");
    let crowd = Crowd::open(address, plan.connections, &shop, &manners);
    sleep_until(first_over.into()).await;
    watch("the holds are over");
    heard.borrow_mut().begins(first_over);
    let last_over = first_over + WITHIN;
    sleep_until(last_over.into()).await;
    let none_held = wait_for_none(address, plan.products).await?;
    heard.borrow_mut().ends(none_held);
    watch("selling after");
    sleep(plan.around).await;
    crowd.leave().await?;
    watch("checking");
    let mut faults = heard.borrow().faults().clone();
    for fault in shop.borrow().faults.first() {
        faults.add(fault.kind, || fault.detail.clone());
    }
    check_stock(address, plan.products, per_product, &mut faults).await?;
    process.terminate(START_LIMIT).await?;
    let (model, _) = Model::of_log(&Log::open(&data_dir)?, &mut faults)?;
    let expired = model.kind_count("hold_expired");
    if expired != plan.holds {
        faults.add(FaultKind::Contradicted, || {
            format!("{} holds were placed, {expired} expired in the log", plan.holds)
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let placed_per_second = plan.holds as f64 / seconds;
    let last_ended = none_held.saturating_duration_since(last_over);
    let last_ended_ms = u64::try_from(last_ended.as_millis()).unwrap_or(u64::MAX);
    let parts = heard.borrow().parts();
    Ok(ExpiryReport { machine, placed_per_second, parts, last_ended_ms, expired, faults })
}

fn id(product: u64) -> String {
    format!("aside-{product:04}")
}

/// Places all holds; gives the seconds it took.
async fn place(plan: &ExpiryPlan, address: SocketAddr, first_over: Instant) -> anyhow::Result<f64> {
    let next = Rc::new(Cell::new(0));
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        let mut connection = Connection::open(address).await?;
        let (next, holds, products) = (Rc::clone(&next), plan.holds, plan.products);
        tasks.push(tokio::task::spawn_local(async move {
            let mut text = String::new();
            loop {
                let number: u64 = next.get();
                if number >= holds {
                    return anyhow::Ok(());
                }
                next.set(number + 1);
                write_hold(&mut text, number, products, first_over);
                let status = connection.exchange(text.as_bytes()).await?.head.status;
                ensure!(status == 201, "hold {number} was answered with {status}");
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// A hold that is over at its place in the second.
fn write_hold(text: &mut String, number: u64, products: u64, first_over: Instant) {
    let spread = Duration::from_millis(number % 1_000);
    let ttl = (first_over + spread).saturating_duration_since(Instant::now());
    let body = json!({
        "buyer_id": format!("h{number}"),
        "ttl_ms": u64::try_from(ttl.as_millis()).unwrap_or(1).max(1),
        "lines": [{"product_id": id(number % products), "quantity": 1}],
    });
    request::post_into(text, "/v1/holds", &format!("hold-{number}"), &body.to_string());
}

async fn wait_for_none(address: SocketAddr, products: u64) -> anyhow::Result<Instant> {
    let until = Instant::now() + END_LIMIT;
    let client = Client { address };
    for product in 0..products {
        while figure(&client, product, "held").await? != Some(0) {
            ensure!(Instant::now() < until, "{} still holds units", id(product));
            sleep(LOOK_AGAIN).await;
        }
    }
    Ok(Instant::now())
}

async fn figure(client: &Client, product: u64, name: &str) -> anyhow::Result<Option<u64>> {
    let reply = client.get(&format!("/v1/products/{}/stock", id(product))).await?;
    Ok(reply.body.get(name).and_then(Value::as_u64))
}

/// Every unit is for sale again: one buyer takes them all.
async fn check_stock(
    address: SocketAddr,
    products: u64,
    stock: u64,
    faults: &mut Faults,
) -> anyhow::Result<()> {
    let client = Client { address };
    for product in 0..products {
        let body = json!({"product_id": id(product), "buyer_id": "all", "quantity": stock});
        let reply = client.post("/v1/purchases", &format!("all-{product}"), &body).await?;
        let left = figure(&client, product, "available").await?;
        if (reply.status, left) != (201, Some(0)) {
            faults.add(FaultKind::Contradicted, || {
                format!("{}: {stock} units back, {} {}", id(product), reply.status, reply.body)
            });
        }
    }
    Ok(())
}
