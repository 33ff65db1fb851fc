//! The engine beside other servers, in one run: taking turns, each on its own, under the same load.
//!
//! ```text
//! round 1: doorbuster, bare, redis    round 2: bare, redis, doorbuster    round 3: redis, doorbuster, bare  …
//! ```
//!
//! Each turn is a fresh process and a fresh store on an empty directory, and nothing else of the
//! comparison runs meanwhile; then both are ended. So a slow moment of the machine meets every side,
//! and the engine's reporting does not run on into another's turn. The figure is the median of
//! the rounds' ratios, with their spread.
//! A round in which a side's stock does not equal its answers is a failure, however fast it was.

mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

pub use self::report::{CompareReport, Round, SideReport};

use crate::load::calibrate::{self, CalibrationPlan};
use crate::load::work::{Products, Spread, Work};
use crate::load::{LoadReport, Pace};
use crate::machine::Machine;
use crate::peers::{Peer, Store};
use crate::turn::{self, Server, Through, TurnPlan};

/// Stock that no run sells out.
const PLENTY: u64 = 1_000_000_000;
/// Units a second that a peer with a row for each unit is given.
const UNITS_PER_SECOND: u64 = 20_000;
/// Seconds for which the client's own cost is measured.
const CALIBRATION: Duration = Duration::from_secs(1);

/// What to compare.
#[derive(Debug, Clone)]
pub struct ComparePlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// This program's own binary, which serves the peers.
    pub bench: PathBuf,
    /// Where data directories are made; each is removed after its turn.
    pub data_root: PathBuf,
    /// Who takes turns, each once a round.
    pub sides: Vec<Side>,
    /// What stands before each server.
    pub through: Option<Through>,
    /// How often each side has its turn.
    pub rounds: usize,
    /// Time measured in each turn.
    pub measured: Duration,
    /// Time before it.
    pub warm_up: Duration,
    /// When requests are sent.
    pub pace: Pace,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// What is asked for.
    pub work: Work,
    /// Products.
    pub products: u64,
    /// How requests are spread over them.
    pub spread: Spread,
    /// Worker threads of a peer's server.
    pub peer_workers: usize,
    /// Connections of a peer to PostgreSQL, if not the number that suits it best.
    pub pool: Option<usize>,
}

impl ComparePlan {
    /// Whether it can be run.
    ///
    /// # Errors
    /// It has no rounds, or a side has not what its work asks for.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(self.rounds > 0, "at least one round");
        let only_engine = matches!(self.work, Work::Cart | Work::HoldConfirm);
        ensure!(
            !only_engine || self.sides == [Side::Doorbuster],
            "the peers have no carts and no holds: --sides doorbuster"
        );
        Ok(())
    }
}

/// A side of the comparison; in reports it stands by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Side {
    /// `doorbuster serve`.
    Doorbuster,
    /// A peer on its store.
    Peer(Peer),
}

impl Side {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Doorbuster)
            .chain(Peer::value_variants().iter().copied().map(Self::Peer))
    }

    /// The peer it is; `None`: the engine.
    #[must_use]
    pub fn peer(self) -> Option<Peer> {
        match self {
            Self::Doorbuster => None,
            Self::Peer(peer) => Some(peer),
        }
    }

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.peer().map_or("doorbuster", Peer::name)
    }
}

impl From<Side> for &'static str {
    fn from(side: Side) -> Self {
        side.name()
    }
}

impl TryFrom<String> for Side {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::all().find(|side| side.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            format!("one of {}", names.join(", "))
        })
    }
}

/// What happens during a comparison.
#[derive(Debug)]
pub enum Event<'a> {
    /// A side cannot take part.
    Missing {
        /// Which.
        side: Side,
        /// What to install.
        why: &'a str,
    },
    /// A side's turn begins.
    Turn {
        /// In which round.
        round: usize,
        /// Whose.
        side: Side,
    },
    /// A side's turn is over.
    Turned {
        /// In which round.
        round: usize,
        /// Whose.
        side: Side,
        /// What it found.
        report: &'a LoadReport,
    },
}

/// Runs a comparison; `watch` hears which turn begins and what it found. A side whose store is not on
/// this machine is left out and named in the report.
///
/// # Errors
/// A side cannot be started, gives other answers than expected, or its stock is not what it sold.
pub fn run(plan: &ComparePlan, mut watch: impl FnMut(Event<'_>)) -> anyhow::Result<CompareReport> {
    plan.check()?;
    let machine = Machine::measure(&plan.data_root)?;
    let (sides, missing) = present(plan, &mut watch);
    ensure!(!sides.is_empty(), "no side is left: {missing:?}");
    let client = CalibrationPlan {
        bench: plan.bench.clone(),
        mix: plan.work.mix(),
        pace: plan.pace,
        connections: plan.connections,
        threads: plan.threads,
        measured: CALIBRATION,
    };
    let client = calibrate::run(&client, &plan.data_root).context("calibrating the client")?;
    let mut rounds = Vec::with_capacity(plan.rounds);
    for number in 1..=plan.rounds {
        let mut order = sides.clone();
        order.rotate_left((number - 1) % sides.len());
        let mut turns = BTreeMap::new();
        for side in &order {
            let side = *side;
            watch(Event::Turn { round: number, side });
            let report =
                one_turn(plan, side).with_context(|| format!("round {number}, {}", side.name()))?;
            watch(Event::Turned { round: number, side, report: &report });
            turns.insert(side, report);
        }
        check_sizes(&turns)?;
        rounds.push(Round::of(number, order, turns));
    }
    Ok(CompareReport {
        machine,
        work: plan.work,
        products: plan.products,
        spread: plan.spread,
        through: plan.through,
        pace: plan.pace,
        connections: plan.connections,
        threads: plan.threads,
        seconds: plan.measured.as_secs_f64(),
        client,
        missing,
        sides: sides.iter().map(|side| (*side, SideReport::of(*side, &rounds))).collect(),
        rounds,
    })
}

fn present(
    plan: &ComparePlan,
    watch: &mut impl FnMut(Event<'_>),
) -> (Vec<Side>, BTreeMap<Side, String>) {
    let (mut sides, mut missing) = (Vec::new(), BTreeMap::new());
    for side in &plan.sides {
        match side.peer().map_or(Ok(()), Store::check) {
            Ok(()) => sides.push(*side),
            Err(error) => {
                let why = format!("{error:#}");
                watch(Event::Missing { side: *side, why: &why });
                missing.insert(*side, why);
            }
        }
    }
    (sides, missing)
}

/// A turn whose answers were all as expected, and whose stock says the same.
fn one_turn(plan: &ComparePlan, side: Side) -> anyhow::Result<LoadReport> {
    let peer = |peer: Peer| {
        let pool = plan.pool.unwrap_or_else(|| peer.pool());
        Server::Peer { peer, workers: plan.peer_workers, pool }
    };
    let turned = turn::run(&TurnPlan {
        engine: plan.engine.clone(),
        bench: plan.bench.clone(),
        data_root: plan.data_root.clone(),
        server: side.peer().map_or(Server::Engine, peer),
        through: plan.through,
        database_url: None,
        mix: plan.work.mix(),
        products: Products::Numbered {
            count: plan.products,
            spread: plan.spread,
            sold_out: plan.work == Work::SoldOut,
        },
        stock: stock(plan, side),
        pace: plan.pace,
        connections: plan.connections,
        threads: plan.threads,
        warm_up: plan.warm_up,
        measured: plan.measured,
    })?;
    let load = turned.load;
    if load.failures() > 0 || load.requests == 0 {
        let first = load.first_error.as_deref().unwrap_or("none");
        let (answers, errors, lag, trace) = (&load.answers, load.errors, load.lag, turned.trace);
        bail!(
            "other answers than expected: {answers:?}, {errors} errors ({first}), {lag:?}\n{trace}"
        );
    }
    let (answered, sold) = (load.units_sold, turned.units_sold);
    ensure!(sold == answered, "{answered} units were answered, the stock says {sold}");
    Ok(load)
}

/// Units that each product has: no run sells them out, but none of what is to be sold out.
fn stock(plan: &ComparePlan, side: Side) -> u64 {
    match (plan.work, side) {
        (Work::SoldOut, _) => 0,
        (_, Side::Peer(Peer::PostgresSkipLocked)) => {
            let units = UNITS_PER_SECOND * ((plan.warm_up + plan.measured).as_secs() + 1);
            match plan.spread {
                // Twice its share, for those that are drawn more often than others.
                Spread::Uniform => (2 * units / plan.products).clamp(100, units),
                Spread::Zipf | Spread::Hot => units,
            }
        }
        _ => PLENTY,
    }
}

/// Every side sends about as much as the engine: none is spared bytes.
fn check_sizes(turns: &BTreeMap<Side, LoadReport>) -> anyhow::Result<()> {
    let Some(ours) = turns.get(&Side::Doorbuster).map(|turn| turn.answer_bytes) else {
        return Ok(());
    };
    for (side, turn) in turns {
        let theirs = turn.answer_bytes;
        let name = side.name();
        ensure!(are_close(ours, theirs), "answers of {ours} bytes beside {theirs} of {name}");
    }
    Ok(())
}

fn are_close(ours: usize, theirs: usize) -> bool {
    ours.abs_diff(theirs) * 20 <= ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_whose_answers_differ_in_size_are_not_compared() {
        assert!(are_close(400, 385));
        assert!(!are_close(400, 370));
        assert!(!are_close(400, 430));
    }
}
