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
use super::script::Script;
use super::{ScenarioPlan, ScenarioReport, WARM_UP, calibrate, turn_plan};
use crate::compare::{self, ComparePlan, CompareReport, Event, Side};
use crate::load::Pace;
use crate::load::work::{Spread, Work};
use crate::machine::Machine;
use crate::peers::Peer;
use crate::postgres::{self, Postgres};
use crate::turn::{self, TurnPlan};

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
    let beside = |report: &CompareReport| report.sides.get(&Side::Peer(Peer::Bare)).copied();
    let ratio = beside(&closed).and_then(|bare| bare.ratio).context("both had their turns")?;
    let p99 = beside(&open).and_then(|bare| bare.p99_ratio).context("both had their turns")?;
    let mut bounds = vec![
        Bound::at_least("answers a second, of the bare server's", RATIO, ratio.median),
        Bound::at_most("p99 at half that rate, of the bare server's", P99_RATIO, p99.median),
    ];
    if plan.through.is_some() {
        let turns = open.rounds.iter().filter_map(|round| round.turns.get(&Side::Doorbuster));
        let longest = turns.map(|turn| turn.silence_ms).fold(0.0, f64::max);
        bounds.push(Bound::silence("longest silence, ms", longest));
    }
    // A comparison that met a failure has ended with it: what is left to count is with the database.
    let mut missing = None;
    match postgres::bin_directory() {
        Ok(_) => {
            watch("with PostgreSQL behind the engine");
            let (connections, failures) = with_database(plan, rate)?;
            let what = "connections to the database";
            bounds.push(Bound::at_most(what, DATABASE_CONNECTIONS, connections));
            bounds.push(Bound::at_most("failures with a database", 0.0, failures));
        }
        Err(error) => missing = Some(format!("connections to the database: {error:#}")),
    }
    Ok(ScenarioReport {
        name: plan.name,
        through: plan.through,
        machine,
        client: calibrate(plan, Work::ViewBuy.mix(), Pace::Open { rate }, CONNECTIONS)?,
        bounds,
        missing,
        load: None,
        comparisons: vec![closed, open],
        rates: Vec::new(),
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

/// The most connections that the database has at any look, and the requests that failed.
#[expect(clippy::cast_precision_loss, reason = "a count")]
fn with_database(plan: &ScenarioPlan, rate: f64) -> anyhow::Result<(f64, f64)> {
    let postgres = Postgres::start_blocking()?;
    let script = Script::view_buy(rate / 2.0, CONNECTIONS, PRODUCTS);
    let turn = TurnPlan { database_url: Some(postgres.url()), ..turn_plan(plan, &script) };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampling = scope.spawn(|| sample(&postgres.url(), &over));
        let turned = turn::run(&turn);
        over.store(true, Ordering::Relaxed);
        let most = sampling.join().map_err(|_| anyhow::anyhow!("sampling broke"))?;
        let turned = turned.context("with PostgreSQL behind the engine")?;
        Ok((most?, turned.load.failures() as f64))
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
