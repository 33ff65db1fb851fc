//! Bounds of a scenario, and what was seen of them.

use serde::{Deserialize, Serialize};

use super::script::Script;
use crate::turn::{Through, Turned};

/// Of the rate that was asked for, so much must be answered in time.
pub(super) const ANSWERED_PERCENT: f64 = 99.0;
/// Through a proxy, nobody answers for no longer than this.
const SILENCE_MS: f64 = 500.0;

/// Which way a bound goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// No more than this.
    AtMost(f64),
    /// No less.
    AtLeast(f64),
}

/// A bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Of what, with its unit.
    pub what: String,
    /// What it may be.
    pub limit: Limit,
    /// What it was.
    pub seen: f64,
}

impl Bound {
    /// What was seen is within it.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.seen <= limit,
            Limit::AtLeast(limit) => self.seen >= limit,
        }
    }

    /// Through a proxy: the longest time in which nobody was answered.
    pub(super) fn silence(what: impl Into<String>, seen_ms: f64) -> Self {
        Self::at_most(what, SILENCE_MS, seen_ms)
    }

    pub(super) fn at_most(what: impl Into<String>, limit: f64, seen: f64) -> Self {
        Self { what: what.into(), limit: Limit::AtMost(limit), seen }
    }

    pub(super) fn at_least(what: impl Into<String>, limit: f64, seen: f64) -> Self {
        Self { what: what.into(), limit: Limit::AtLeast(limit), seen }
    }
}

/// The bounds of a scenario that is one turn of the engine.
#[expect(clippy::cast_precision_loss, reason = "shares")]
pub(super) fn of(script: &Script, through: Option<Through>, turned: &Turned) -> Vec<Bound> {
    let load = &turned.load;
    let failures = load.failures();
    let asked = load.requests + failures;
    let failed = 100.0 * failures as f64 / asked.max(1) as f64;
    let answered = 100.0 * load.per_second / script.rate;
    let mut bounds = vec![
        Bound::at_least("answered in time, % of the rate", ANSWERED_PERCENT, answered),
        Bound::at_most("failures, %", script.failures_percent, failed),
    ];
    for (kind, limit) in &script.p99_ms {
        // A kind that was never answered holds no bound.
        let seen = load.kinds.get(kind).filter(|kind| kind.requests > 0);
        let seen = seen.map_or(f64::INFINITY, |kind| kind.latency_us.p99 / 1e3);
        bounds.push(Bound::at_most(format!("{} p99, ms", kind.name()), *limit, seen));
    }
    if let Some(limit) = script.p95_ms {
        bounds.push(Bound::at_most("p95, ms", limit, load.latency_us.p95 / 1e3));
    }
    if through.is_some() {
        bounds.push(Bound::silence("longest silence, ms", load.silence_ms));
    }
    if failures == 0 {
        // A request without an answer may have sold.
        let off = turned.units_sold.abs_diff(load.units_sold);
        bounds.push(Bound::at_most(
            "units sold without an answer, or the reverse",
            0.0,
            off as f64,
        ));
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_on_its_own_side_and_at_its_edge() {
        assert!(Bound::at_most("ms", 40.0, 40.0).holds());
        assert!(!Bound::at_most("ms", 40.0, 40.1).holds());
        assert!(Bound::at_least("%", 99.0, 99.0).holds());
        assert!(!Bound::at_least("%", 99.0, 98.9).holds());
    }
}
