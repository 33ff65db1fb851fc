//! What a comparison found, as `compare --json FILE` writes it and `report` reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Side;
use crate::figures::Middle;
use crate::load::calibrate::Calibration;
use crate::load::work::{Spread, Work};
use crate::load::{LoadReport, Pace};
use crate::machine::Machine;
use crate::turn::Through;

/// What a comparison found.
///
/// ```json
/// {
///   "machine": {"cores": 2, "cpu": "…", "kernel": "…", "fdatasync_p50_us": 135.0, …},
///   "work": "purchase", "products": 1, "spread": "uniform", "through": null,   // or "nginx"
///   "pace": {"loop": "closed"},            // or {"loop": "open", "rate": 20000.0}
///   "connections": 256, "threads": 1, "seconds": 5.0,
///   "client": {"client_cpu_us": 3.1, …},   // the client alone, against the null server
///   "missing": {"redis-always": "no redis-server: …"},
///   "sides": {                              // key: the side's name
///     "bare": {
///       "per_second": {"median": 110000.0, "min": …, "max": …},
///       "p50_us": {…}, "p99_us": {…}, "stolen_cores": {…},
///       "ratio": {"median": 0.65, "min": …, "max": …},   // doorbuster's rate over this side's; null: none
///       "p99_ratio": {…}                                 // the same of the 99th percentiles
///     }, …
///   },
///   "rounds": [
///     {"number": 1, "order": ["doorbuster", "bare"],
///      "turns": {"bare": LoadReport, …},
///      "ratios": {"bare": 0.63}}, …
///   ]
/// }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CompareReport {
    /// Where it ran.
    pub machine: Machine,
    /// What was asked for.
    pub work: Work,
    /// Products.
    pub products: u64,
    /// How requests were spread over them.
    pub spread: Spread,
    /// What stood before each server.
    pub through: Option<Through>,
    /// When requests were sent.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Seconds measured in each turn.
    pub seconds: f64,
    /// What the client costs alone.
    pub client: Calibration,
    /// Sides that could not take part, and what they lack.
    pub missing: BTreeMap<Side, String>,
    /// What the rounds come to.
    pub sides: BTreeMap<Side, SideReport>,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// One round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    /// From 1.
    pub number: usize,
    /// Who went first, and so on.
    pub order: Vec<Side>,
    /// Each side's turn.
    pub turns: BTreeMap<Side, LoadReport>,
    /// Answers a second of the engine over each other side's.
    pub ratios: BTreeMap<Side, f64>,
}

/// What the rounds of a side come to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SideReport {
    /// Answers a second.
    pub per_second: Middle,
    /// Median latency, in microseconds.
    pub p50_us: Middle,
    /// Latency that 99 in 100 stayed under, in microseconds.
    pub p99_us: Middle,
    /// Cores that the machine below withheld on average, of those there are; none where it is not told.
    pub stolen_cores: Option<Middle>,
    /// The engine's answers a second over this side's, in the same round; none for the engine.
    pub ratio: Option<Middle>,
    /// The engine's 99th percentile over this side's, in the same round; none for the engine.
    pub p99_ratio: Option<Middle>,
}

/// The engine's figure over that of another side, in the turns of one round.
fn ratio(
    turns: &BTreeMap<Side, LoadReport>,
    side: Side,
    figure: fn(&LoadReport) -> f64,
) -> Option<f64> {
    let (ours, theirs) = turns.get(&Side::Doorbuster).zip(turns.get(&side))?;
    (side != Side::Doorbuster).then(|| figure(ours) / figure(theirs))
}

impl Round {
    pub(super) fn of(number: usize, order: Vec<Side>, turns: BTreeMap<Side, LoadReport>) -> Self {
        let of = |side: &Side| Some((*side, ratio(&turns, *side, |turn| turn.per_second)?));
        let ratios = turns.keys().filter_map(of).collect();
        Self { number, order, turns, ratios }
    }
}

impl SideReport {
    pub(super) fn of(side: Side, rounds: &[Round]) -> Self {
        let of = |figure: fn(&LoadReport) -> f64| {
            Middle::of(rounds.iter().filter_map(|round| round.turns.get(&side)).map(figure))
        };
        let turns = rounds.iter().filter_map(|round| round.turns.get(&side));
        let stolen = turns.filter_map(|turn| Some(turn.stolen_cpu_seconds? / turn.seconds));
        let mut stolen = stolen.peekable();
        let ratio = |figure| {
            let of = |round: &Round| ratio(&round.turns, side, figure);
            let mut ratios = rounds.iter().filter_map(of).peekable();
            ratios.peek().is_some().then(|| Middle::of(ratios))
        };
        Self {
            per_second: of(|turn| turn.per_second),
            p50_us: of(|turn| turn.latency_us.p50),
            p99_us: of(|turn| turn.latency_us.p99),
            stolen_cores: stolen.peek().is_some().then(|| Middle::of(stolen)),
            ratio: ratio(|turn| turn.per_second),
            p99_ratio: ratio(|turn| turn.latency_us.p99),
        }
    }
}
