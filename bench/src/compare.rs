//! The engine beside a bare server, in one run: alternating, each on its own, under the same load.
//!
//! ```text
//! round 1: doorbuster, bare    round 2: bare, doorbuster    round 3: doorbuster, bare  …
//! ```
//!
//! Each turn is a fresh process, the engine's on an empty data directory, and nothing else of the
//! comparison runs meanwhile; then it is killed. So a slow moment of the machine meets both sides,
//! and the engine's reporting does not run on into the other's turn. The figure is the median of
//! the rounds' ratios, with their spread.
//! A round whose stock does not equal its answers is a failure, however fast it was.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::bare::SOLD_OUT_PREFIX;
use crate::client::Client;
use crate::load::{self, LoadPlan, LoadReport, Work};
use crate::machine::Machine;
use crate::process::{Launch, Process};

/// Stock that no run sells out.
const PLENTY: u64 = 1_000_000_000;
const START_LIMIT: Duration = Duration::from_secs(60);

/// What to compare.
#[derive(Debug, Clone)]
pub struct ComparePlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// This program's own binary, which serves the bare side.
    pub bench: PathBuf,
    /// Where data directories are made; each is removed after its turn.
    pub data_root: PathBuf,
    /// How often each side has its turn.
    pub rounds: usize,
    /// Time measured in each turn.
    pub measured: Duration,
    /// Time before it.
    pub warm_up: Duration,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// What is asked for.
    pub work: Work,
    /// Worker threads of the bare server.
    pub bare_workers: usize,
}

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// `doorbuster serve`.
    Doorbuster,
    /// The bare server.
    Bare,
}

/// One round.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// Which side went first.
    pub first: Side,
    /// The engine's turn.
    pub doorbuster: LoadReport,
    /// The bare server's.
    pub bare: LoadReport,
    /// Requests a second of the engine, against the bare server's.
    pub ratio: f64,
}

/// What a comparison found.
#[derive(Debug, Clone, Serialize)]
pub struct CompareReport {
    /// Where it ran.
    pub machine: Machine,
    /// What was asked for.
    pub work: Work,
    /// Connections.
    pub connections: usize,
    /// Seconds measured in each turn.
    pub seconds: f64,
    /// The rounds.
    pub rounds: Vec<Round>,
    /// Median of the rounds' ratios.
    pub ratio_median: f64,
    /// Lowest of them.
    pub ratio_min: f64,
    /// Highest of them.
    pub ratio_max: f64,
}

/// Runs a comparison; `watch` hears which turn begins and what a round found.
///
/// # Errors
/// A side cannot be started, gives other answers than expected, or its stock is not what it sold.
pub fn run(plan: &ComparePlan, mut watch: impl FnMut(Event<'_>)) -> anyhow::Result<CompareReport> {
    ensure!(plan.rounds > 0, "at least one round");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let machine = Machine::measure(&plan.data_root)?;
    let mut rounds = Vec::with_capacity(plan.rounds);
    for round in 1..=plan.rounds {
        let order = match round % 2 {
            1 => [Side::Doorbuster, Side::Bare],
            _ => [Side::Bare, Side::Doorbuster],
        };
        let (mut doorbuster, mut bare) = (None, None);
        for side in order {
            watch(Event::Turn { round, side });
            let report = runtime
                .block_on(turn(plan, side))
                .with_context(|| format!("round {round}, {side:?}"))?;
            match side {
                Side::Doorbuster => doorbuster = Some(report),
                Side::Bare => bare = Some(report),
            }
        }
        let (Some(doorbuster), Some(bare)) = (doorbuster, bare) else { bail!("a side is missing") };
        check_sizes(doorbuster.answer_bytes, bare.answer_bytes)?;
        let [first, _] = order;
        let ratio = doorbuster.per_second / bare.per_second;
        rounds.push(Round { first, doorbuster, bare, ratio });
        if let Some(last) = rounds.last() {
            watch(Event::Round { round, report: last });
        }
    }
    let mut ratios: Vec<f64> = rounds.iter().map(|round| round.ratio).collect();
    ratios.sort_by(f64::total_cmp);
    Ok(CompareReport {
        machine,
        work: plan.work,
        connections: plan.connections,
        seconds: plan.measured.as_secs_f64(),
        ratio_median: median(&ratios),
        ratio_min: ratios.first().copied().unwrap_or(0.0),
        ratio_max: ratios.last().copied().unwrap_or(0.0),
        rounds,
    })
}

/// What happens during a comparison.
#[derive(Debug)]
pub enum Event<'a> {
    /// A side's turn begins.
    Turn {
        /// In which round.
        round: usize,
        /// Whose.
        side: Side,
    },
    /// A round is over.
    Round {
        /// Which.
        round: usize,
        /// What it found.
        report: &'a Round,
    },
}

/// The middle of sorted figures, or the mean of the two.
#[must_use]
pub fn median(sorted: &[f64]) -> f64 {
    let at = |place: usize| sorted.get(place).copied().unwrap_or(0.0);
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => at(len / 2),
        len => f64::midpoint(at(len / 2 - 1), at(len / 2)),
    }
}

async fn turn(plan: &ComparePlan, side: Side) -> anyhow::Result<LoadReport> {
    let directory =
        tempfile::tempdir_in(&plan.data_root).context("cannot make a data directory")?;
    let launch = match side {
        Side::Doorbuster => {
            Launch::engine(&plan.engine, &directory.path().join("data"), directory.path())
        }
        Side::Bare => bare(plan, directory.path()),
    };
    let mut process = launch.spawn()?;
    let address = process.ready(START_LIMIT).await?;
    let client = Client { address };
    let product_id = match plan.work {
        Work::SoldOut => format!("{SOLD_OUT_PREFIX}-1"),
        Work::Purchase | Work::Stock => "hot-1".to_owned(),
    };
    if side == Side::Doorbuster {
        create(client, &product_id, plan.work).await?;
    }
    let load = LoadPlan {
        address,
        server_pid: Some(process.pid()),
        work: plan.work,
        product_id: product_id.clone(),
        key_prefix: "k".to_owned(),
        connections: plan.connections,
        warm_up: plan.warm_up,
        measured: plan.measured,
        requests_max: u64::MAX,
    };
    let report = load::run(&load).await.map_err(|error| with_trace(error, &process))?;
    check_answers(&report, plan.work)?;
    if side == Side::Doorbuster {
        check_stock(client, &product_id, &report).await?;
    }
    process.kill()?;
    Ok(report)
}

fn with_trace(error: anyhow::Error, process: &Process) -> anyhow::Error {
    error.context(format!("the server's last lines:\n{}", process.trace()))
}

fn bare(plan: &ComparePlan, directory: &Path) -> Launch {
    let workers = plan.bare_workers.to_string();
    let words = ["bare", "--listen", "127.0.0.1:0", "--workers", &workers];
    Launch {
        program: plan.bench.clone(),
        arguments: words.map(OsString::from).to_vec(),
        environment: Vec::new(),
        directory: directory.to_owned(),
    }
}

async fn create(client: Client, product_id: &str, work: Work) -> anyhow::Result<()> {
    let stock = if work == Work::SoldOut { 0 } else { PLENTY };
    client.put_in(product_id, stock).await
}

/// Both sides send about as much: neither is spared bytes.
fn check_sizes(doorbuster: usize, bare: usize) -> anyhow::Result<()> {
    let close = doorbuster.abs_diff(bare) * 20 <= doorbuster;
    ensure!(close, "answers of {doorbuster} bytes beside the bare server's of {bare}");
    Ok(())
}

/// Every answer of the run was the expected one.
fn check_answers(report: &LoadReport, work: Work) -> anyhow::Result<()> {
    let expected = work.expected_status();
    let only = report.answers.keys().all(|status| *status == expected);
    ensure!(
        only && report.errors == 0 && report.requests > 0,
        "expected only {expected}: answers {:?}, {} errors ({})",
        report.answers,
        report.errors,
        report.first_error.as_deref().unwrap_or("none")
    );
    Ok(())
}

/// The stock has sold exactly what was answered with 201.
async fn check_stock(client: Client, product_id: &str, report: &LoadReport) -> anyhow::Result<()> {
    let reply = client.get(&format!("/v1/products/{product_id}/stock")).await?;
    let sold = reply.body.get("sold").and_then(serde_json::Value::as_u64);
    let answered = report.answers_of(201);
    ensure!(sold == Some(answered), "{answered} purchases were answered, the stock says {sold:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_whose_answers_differ_in_size_are_not_compared() {
        assert!(check_sizes(400, 385).is_ok());
        assert!(check_sizes(400, 370).is_err());
        assert!(check_sizes(400, 430).is_err());
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-9);
    }
}
