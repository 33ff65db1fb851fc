//! `six-thousand`: 6,000 connections, four views to a purchase, the engine beside the bare server.
//!
//! At so many connections the bare server itself is slower, so it alone is the measure: for throughput
//! in a closed loop, for latency in an open loop at half of the engine's own throughput. Then once with
//! PostgreSQL behind the engine, to count what connections reach the database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio_postgres::NoTls;

use super::bounds::Bound;
use super::{PLENTY, ScenarioPlan, ScenarioReport, WARM_UP, calibrate};
use crate::compare::{self, ComparePlan, CompareReport, Event, Side};
use crate::figures::Middle;
use crate::load::Pace;
use crate::load::work::{Kind, Products, Spread, Work};
use crate::machine::Machine;
use crate::peers::Peer;
use crate::postgres::{self, Postgres};
use crate::turn::{self, Server, TurnPlan};

const CONNECTIONS: usize = 6_000;
const PRODUCTS: u64 = 100;
/// Of the bare server's throughput.
const RATIO: f64 = 0.85;
/// Of the bare server's p99.
const P99_RATIO: f64 = 1.5;
const DATABASE_CONNECTIONS: f64 = 100.0;
const SAMPLING: Duration = Duration::from_millis(200);

pub(super) fn run(
    plan: &ScenarioPlan,
    machine: Machine,
    mut watch: impl FnMut(&str),
) -> anyhow::Result<ScenarioReport> {
    let closed = compare(plan, Pace::Closed, &mut watch)?;
    let ours = closed.sides.get(&Side::Doorbuster).context("the engine had its turns")?;
    let rate = (ours.per_second.median / 2.0 / 1e3).floor().max(1.0) * 1e3;
    let open = compare(plan, Pace::Open { rate }, &mut watch)?;
    let ratio = ratio(&closed, |turn| turn.per_second);
    let p99 = ratio_of_p99(&open);
    let mut bounds = vec![
        Bound::at_least("answers a second, of the bare server's", RATIO, ratio.median),
        Bound::at_most("p99 at half that rate, of the bare server's", P99_RATIO, p99.median),
        // A comparison ends at the first failure.
        Bound::at_most("failures", 0.0, 0.0),
    ];
    if postgres::bin_directory().is_ok() {
        watch("with PostgreSQL behind the engine");
        let seen = database_connections(plan, rate)?;
        bounds.push(Bound::at_most("connections to the database", DATABASE_CONNECTIONS, seen));
    }
    Ok(ScenarioReport {
        name: plan.name,
        through: plan.through,
        machine,
        client: calibrate(plan, Kind::Stock, Pace::Open { rate }, CONNECTIONS)?,
        bounds,
        load: None,
        comparisons: vec![closed, open],
    })
}

fn compare(
    plan: &ScenarioPlan,
    pace: Pace,
    watch: &mut impl FnMut(&str),
) -> anyhow::Result<CompareReport> {
    let comparison = ComparePlan {
        engine: plan.engine.clone(),
        bench: plan.bench.clone(),
        data_root: plan.data_root.clone(),
        sides: vec![Side::Doorbuster, Side::Peer(Peer::Bare)],
        through: plan.through,
        rounds: plan.rounds,
        measured: plan.measured,
        warm_up: WARM_UP,
        pace,
        connections: CONNECTIONS,
        threads: plan.threads,
        work: Work::ViewBuy,
        products: PRODUCTS,
        spread: Spread::Uniform,
        peer_workers: plan.peer_workers,
        pool: None,
    };
    let name = match pace {
        Pace::Closed => "closed loop",
        Pace::Open { .. } => "open loop",
    };
    compare::run(&comparison, |event| {
        if let Event::Turn { round, side } = event {
            watch(&format!("{name}, round {round}, {}", side.name()));
        }
    })
}

fn ratio(report: &CompareReport, figure: fn(&crate::load::LoadReport) -> f64) -> Middle {
    Middle::of(report.rounds.iter().filter_map(|round| {
        let of = |side| round.turns.get(&side).map(figure);
        Some(of(Side::Doorbuster)? / of(Side::Peer(Peer::Bare))?)
    }))
}

fn ratio_of_p99(report: &CompareReport) -> Middle {
    ratio(report, |turn| turn.latency_us.p99)
}

/// The most connections that the database has at any look.
fn database_connections(plan: &ScenarioPlan, rate: f64) -> anyhow::Result<f64> {
    let postgres = Postgres::start_blocking()?;
    let turn = TurnPlan {
        engine: plan.engine.clone(),
        bench: plan.bench.clone(),
        data_root: plan.data_root.clone(),
        server: Server::Engine,
        through: plan.through,
        database_url: Some(postgres.url()),
        mix: Work::ViewBuy.mix(),
        products: Products::Numbered { count: PRODUCTS, spread: Spread::Uniform, sold_out: false },
        stock: PLENTY,
        pace: Pace::Open { rate: rate / 2.0 },
        connections: CONNECTIONS,
        threads: plan.threads,
        warm_up: WARM_UP,
        measured: plan.measured,
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampling = scope.spawn(|| sample(&postgres.url(), &over));
        let turned = turn::run(&turn);
        over.store(true, Ordering::Relaxed);
        let most = sampling.join().map_err(|_| anyhow::anyhow!("sampling broke"))?;
        turned.context("with PostgreSQL behind the engine")?;
        most
    })
}

#[expect(clippy::cast_precision_loss, reason = "some connections")]
fn sample(url: &str, over: &AtomicBool) -> anyhow::Result<f64> {
    const COUNT: &str = "SELECT count(*) FROM pg_stat_activity \
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let mut most = 0;
        while !over.load(Ordering::Relaxed) {
            let seen: i64 = client.query_one(COUNT, &[]).await?.try_get(0)?;
            most = most.max(seen);
            tokio::time::sleep(SAMPLING).await;
        }
        drop(client);
        connection.await??;
        Ok(most as f64)
    })
}
