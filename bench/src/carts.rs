//! Carts of many lines beside single purchases, in one run: alternating, under the same connections.
//!
//! ```text
//! round: fresh engine ─► carts, from N connections ─► single purchases ─► log checked by itself
//! last:  fresh engine ─► carts against too little stock ─► every unit accounted for
//! ```
//!
//! Each cart draws its lines from all products, so carts overlap and a product comes up on several
//! lines now and then. Stock is exact: what the answers say was sold is what each product's stock
//! and the log say.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::client::Client;
use crate::connection::Connection;
use crate::faults::{FaultKind, Faults};
use crate::log::Log;
use crate::machine::Machine;
use crate::model::Model;
use crate::process::{Launch, Process};
use crate::request;
use crate::seeded::Seeded;

const START_LIMIT: Duration = Duration::from_secs(60);
/// Stock that no run sells out.
const PLENTY: u64 = 1_000_000_000;

/// What to sell.
#[derive(Debug, Clone)]
pub struct CartsPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where data directories are made.
    pub data_root: PathBuf,
    /// Rounds with plenty of stock.
    pub rounds: usize,
    /// Carts a round.
    pub carts: u64,
    /// Lines a cart.
    pub lines: u64,
    /// Products they are drawn from.
    pub products: u64,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Single purchases a round, beside the carts.
    pub purchases: u64,
    /// Opening stock of the last round, in percent of what all carts ask for.
    pub scarce_percent: u64,
    /// What carts are drawn from.
    pub seed: u64,
}

/// One round.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Round {
    /// Carts a second.
    pub carts_per_second: f64,
    /// Lines in them a second.
    pub lines_per_second: f64,
    /// Single purchases a second.
    pub purchases_per_second: f64,
    /// Carts sold.
    pub sold: u64,
    /// Carts refused.
    pub refused: u64,
}

/// What a run found.
#[derive(Debug, Clone, Serialize)]
pub struct CartsReport {
    /// Where it ran.
    pub machine: Machine,
    /// The rounds with plenty of stock.
    pub rounds: Vec<Round>,
    /// The one with too little.
    pub scarce: Round,
    /// What was wrong.
    pub faults: Faults,
}

/// What connections share.
struct Shared {
    next: Cell<u64>,
    end: u64,
    sold: Cell<u64>,
    refused: Cell<u64>,
    /// Units sold by product, as answers said.
    units: RefCell<Vec<u64>>,
    faults: RefCell<Faults>,
}

/// What is asked for, by number.
type Ask = Rc<dyn Fn(u64) -> (String, Vec<(usize, u64)>)>;

/// Runs it; `watch` hears each round.
///
/// # Errors
/// It could not be run: that a check failed is in the report.
pub fn run(plan: &CartsPlan, watch: impl FnMut(&str)) -> anyhow::Result<CartsReport> {
    ensure!(plan.lines > 0 && plan.products > 0 && plan.connections > 0, "nothing to sell");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, rounds(plan, watch))
}

async fn rounds(plan: &CartsPlan, mut watch: impl FnMut(&str)) -> anyhow::Result<CartsReport> {
    let machine = Machine::measure(&plan.data_root)?;
    let mut faults = Faults::default();
    let mut rounds = Vec::with_capacity(plan.rounds);
    for number in 1..=plan.rounds {
        watch(&format!("round {number} of {}", plan.rounds));
        rounds.push(round(plan, PLENTY, plan.purchases, &mut faults).await?);
    }
    watch("too little stock");
    let asked_for = plan.carts * plan.lines / plan.products;
    let stock = asked_for * plan.scarce_percent / 100;
    let scarce = round(plan, stock, 0, &mut faults).await?;
    if plan.scarce_percent < 100 && scarce.refused == 0 {
        faults.add(FaultKind::Oversold, || "too little stock, and no cart was refused".to_owned());
    }
    Ok(CartsReport { machine, rounds, scarce, faults })
}

async fn round(
    plan: &CartsPlan,
    stock: u64,
    purchases: u64,
    faults: &mut Faults,
) -> anyhow::Result<Round> {
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let data_dir = directory.path().join("data");
    let launch = Launch::engine(&plan.engine, &data_dir, directory.path());
    let mut process = launch.spawn()?;
    let address = process.ready(START_LIMIT).await?;
    let mut done = Round::default();
    let sold = sell(plan, address, stock, purchases, &mut done, faults).await;
    let units = sold.with_context(|| format!("the server's last lines:\n{}", process.trace()))?;
    check_stock(address, stock, &units, faults).await?;
    check_log(process, &data_dir, &units, faults).await?;
    Ok(done)
}

async fn sell(
    plan: &CartsPlan,
    address: SocketAddr,
    stock: u64,
    purchases: u64,
    done: &mut Round,
    faults: &mut Faults,
) -> anyhow::Result<Vec<u64>> {
    let client = Client { address };
    for product in 0..plan.products {
        client.put_in(&id(product), stock).await?;
    }
    let (seed, lines, products) = (plan.seed, plan.lines, plan.products);
    let cart: Ask = Rc::new(move |number| write_cart(seed, number, lines, products));
    let units = vec![0; usize::try_from(products)?];
    let (mut units, sold, refused, seconds) =
        drive(address, plan.connections, plan.carts, units, cart, faults).await?;
    (done.sold, done.refused) = (sold, refused);
    done.carts_per_second = rate(plan.carts, seconds);
    done.lines_per_second = rate(plan.carts * lines, seconds);
    if purchases > 0 {
        let one: Ask = Rc::new(move |number| write_purchase(number, products));
        let (all, _, refused, seconds) =
            drive(address, plan.connections, purchases, units, one, faults).await?;
        ensure!(refused == 0, "{refused} single purchases were refused from plenty of stock");
        units = all;
        done.purchases_per_second = rate(purchases, seconds);
    }
    Ok(units)
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Asks for all numbers below `end`; gives units by product, sold, refused, seconds.
async fn drive(
    address: SocketAddr,
    connections: usize,
    end: u64,
    units: Vec<u64>,
    ask: Ask,
    faults: &mut Faults,
) -> anyhow::Result<(Vec<u64>, u64, u64, f64)> {
    let shared = Rc::new(Shared {
        next: Cell::new(0),
        end,
        sold: Cell::new(0),
        refused: Cell::new(0),
        units: RefCell::new(units),
        faults: RefCell::default(),
    });
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let start = Instant::now();
    let buyer =
        |connection| tokio::task::spawn_local(buy(connection, Rc::clone(&shared), Rc::clone(&ask)));
    let tasks: Vec<_> = open.into_iter().map(buyer).collect();
    for task in tasks {
        task.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    faults.add_all(&shared.faults.borrow());
    Ok((shared.units.take(), shared.sold.get(), shared.refused.get(), seconds))
}

async fn buy(mut connection: Connection, shared: Rc<Shared>, ask: Ask) -> anyhow::Result<()> {
    loop {
        let number = shared.next.get();
        if number >= shared.end {
            return Ok(());
        }
        shared.next.set(number + 1);
        let (text, lines) = ask(number);
        let status = connection.exchange(text.as_bytes()).await?.head.status;
        match status {
            201 => {
                shared.sold.set(shared.sold.get() + 1);
                let mut units = shared.units.borrow_mut();
                for (product, quantity) in lines {
                    if let Some(sum) = units.get_mut(product) {
                        *sum += quantity;
                    }
                }
            }
            409 => shared.refused.set(shared.refused.get() + 1),
            status => shared
                .faults
                .borrow_mut()
                .add(FaultKind::Refused, || format!("request {number} was answered with {status}")),
        }
    }
}

fn id(product: u64) -> String {
    format!("sku-{product:04}")
}

fn write_cart(seed: u64, number: u64, lines: u64, products: u64) -> (String, Vec<(usize, u64)>) {
    let mut draw = Seeded::new(seed ^ number.wrapping_mul(0x9e37_79b9));
    let mut wanted = Vec::new();
    let mut body = Vec::new();
    for _ in 0..lines {
        let product = draw.below(products);
        body.push(json!({"product_id": id(product), "quantity": 1}));
        wanted.push((usize::try_from(product).unwrap_or(usize::MAX), 1));
    }
    let body: Value = json!({"buyer_id": format!("b{number}"), "lines": body});
    let mut text = String::new();
    request::post_into(&mut text, "/v1/orders", &format!("cart-{number}"), &body.to_string());
    (text, wanted)
}

fn write_purchase(number: u64, products: u64) -> (String, Vec<(usize, u64)>) {
    let product = number % products;
    let body = json!({"product_id": id(product), "buyer_id": format!("s{number}"), "quantity": 1});
    let mut text = String::new();
    request::post_into(&mut text, "/v1/purchases", &format!("one-{number}"), &body.to_string());
    (text, vec![(usize::try_from(product).unwrap_or(usize::MAX), 1)])
}

/// Each product's stock says what the answers said.
async fn check_stock(
    address: SocketAddr,
    stock: u64,
    units: &[u64],
    faults: &mut Faults,
) -> anyhow::Result<()> {
    let client = Client { address };
    for (product, units) in (0..).zip(units) {
        let reply = client.get(&format!("/v1/products/{}/stock", id(product))).await?;
        let figure = |name: &str| reply.body.get(name).and_then(Value::as_u64);
        let (sold, available) = (figure("sold"), figure("available"));
        if (sold, available) != (Some(*units), stock.checked_sub(*units)) {
            faults.add(FaultKind::Contradicted, || {
                format!(
                    "{}: {units} of {stock} sold by the answers, its stock says {sold:?}, \
                     {available:?} available",
                    id(product)
                )
            });
        }
    }
    Ok(())
}

/// The log by itself, and every unit of the answers in it.
async fn check_log(
    process: Process,
    data_dir: &Path,
    units: &[u64],
    faults: &mut Faults,
) -> anyhow::Result<()> {
    process.terminate(START_LIMIT).await?;
    let (model, _) = Model::of_log(&Log::open(data_dir)?, faults)?;
    let total: u64 = units.iter().sum();
    let sold = model.units_sold();
    if sold != total {
        faults
            .add(FaultKind::Contradicted, || format!("{total} units answered, {sold} in the log"));
    }
    Ok(())
}
