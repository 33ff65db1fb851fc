//! What a run saw, as it is written and shown.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::tally::{Tally, histogram};
use super::work::Kind;
use super::{Costs, LoadPlan};

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "loop")]
pub enum Pace {
    /// When the connection has its last answer.
    Closed,
    /// At a constant rate.
    Open {
        /// Requests a second.
        rate: f64,
    },
}

/// What a run saw. Latencies are microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadReport {
    /// When requests were sent.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Seconds measured.
    pub seconds: f64,
    /// Answers of the expected status: to what was asked (open loop) or heard (closed) in that time.
    pub requests: u64,
    /// Those that were heard in that time, too, a second.
    pub per_second: f64,
    /// Latency of every answer that counts.
    pub latency_us: Latency,
    /// The same by kind of request.
    pub kinds: BTreeMap<Kind, KindReport>,
    /// Every answer of the run by status, warm-up and drain included.
    pub answers: BTreeMap<u16, u64>,
    /// Units that all of those sold.
    pub units_sold: u64,
    /// Bytes of an answer of the expected status, head and body; the largest of the kinds.
    pub answer_bytes: usize,
    /// Exchanges without an answer, and connections that could not be made again.
    pub errors: u64,
    /// The first of them, or of the answers that were not expected.
    pub first_error: Option<String>,
    /// Longest time within the measured time without any answer, in milliseconds.
    pub silence_ms: f64,
    /// How the client kept its schedule; only of an open loop.
    pub lag: Option<Lag>,
    /// This client's processor time while measuring, in seconds.
    pub client_cpu_seconds: f64,
    /// The same for each answer, in microseconds.
    pub client_cpu_us: f64,
    /// Processor time of the server and its store, where their processes are known.
    pub server_cpu_seconds: Option<f64>,
    /// Processor time of all cores that the machine below withheld meanwhile (`steal` in `/proc/stat`).
    pub stolen_cpu_seconds: Option<f64>,
}

/// What a run saw of one kind of request.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct KindReport {
    /// Answers of the expected status.
    pub requests: u64,
    /// Other answers, and none.
    pub failures: u64,
    /// Latency of every answer, in microseconds.
    pub latency_us: Latency,
}

/// How an open loop kept its schedule.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Lag {
    /// Requests that left more than a millisecond after they were due.
    pub behind: u64,
    /// The latest of all, in milliseconds.
    pub max_ms: f64,
    /// Requests that never left.
    pub unsent: u64,
}

/// Percentiles of latency.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 95 in 100 were faster.
    pub p95: f64,
    /// 99 in 100 were faster.
    pub p99: f64,
    /// 999 in 1,000 were faster.
    pub p99_9: f64,
    /// The slowest.
    pub max: f64,
}

impl LoadReport {
    /// How many answers had this status.
    #[must_use]
    pub fn answers_of(&self, status: u16) -> u64 {
        self.answers.get(&status).copied().unwrap_or(0)
    }

    /// Requests without the expected answer.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let unsent = self.lag.map_or(0, |lag| lag.unsent);
        let failures: u64 = self.kinds.values().map(|kind| kind.failures).sum();
        failures.max(self.errors) + unsent
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates")]
pub(super) fn of(plan: &LoadPlan, tally: &Tally, costs: Costs) -> LoadReport {
    let mut all = histogram();
    let mut kinds = BTreeMap::new();
    for (kind, seen) in &tally.kinds {
        all += &seen.latency;
        let latency_us = percentiles(&seen.latency);
        let report = KindReport { requests: seen.expected, failures: seen.unexpected, latency_us };
        kinds.insert(*kind, report);
    }
    // A run that ended with its requests took less than its time.
    let ended_early =
        plan.requests_max != u64::MAX && tally.answers.values().sum::<u64>() >= plan.requests_max;
    let measured = if ended_early { tally.last } else { plan.measured };
    let seconds = measured.max(Duration::from_millis(1)).as_secs_f64();
    let rest = measured.saturating_sub(tally.last);
    let lag = &tally.lag;
    let lag = Lag { behind: lag.behind, max_ms: lag.max.as_secs_f64() * 1e3, unsent: lag.unsent };
    LoadReport {
        pace: plan.pace,
        connections: plan.connections,
        threads: plan.threads,
        seconds,
        requests: tally.kinds.values().map(|kind| kind.expected).sum(),
        per_second: tally.in_time as f64 / seconds,
        latency_us: percentiles(&all),
        kinds,
        answers: tally.answers.clone(),
        units_sold: tally.units_sold,
        answer_bytes: tally.kinds.values().map(|kind| kind.answer_bytes).max().unwrap_or(0),
        errors: tally.errors,
        first_error: tally.first_error.clone(),
        silence_ms: tally.silence.max(rest).as_secs_f64() * 1e3,
        lag: matches!(plan.pace, Pace::Open { .. }).then_some(lag),
        client_cpu_seconds: costs.client,
        client_cpu_us: costs.client * 1e6 / tally.in_time.max(1) as f64,
        server_cpu_seconds: costs.server,
        stolen_cpu_seconds: costs.stolen,
    }
}

/// Percentiles of latencies in nanoseconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "times under a minute")]
pub fn percentiles(latency: &Histogram<u64>) -> Latency {
    let at = |share| latency.value_at_quantile(share) as f64 / 1e3;
    Latency {
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        p99_9: at(0.999),
        max: latency.max() as f64 / 1e3,
    }
}
