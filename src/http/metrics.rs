//! `/metrics`: what this layer measures, and figures of the engine at the moment of asking.
//!
//! A worker measures into a tally of its own, so that a request costs no line of memory that other
//! workers write; tallies are collected before anybody reads, and in between. Labels are bounded:
//! patterns of routes, known methods, our status codes.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::reply::Reply;
use super::server::Surroundings;
use crate::engine::Action;
use crate::telemetry as names;

/// A word that is where it is for as long as the program runs: told apart by that place, which is
/// quicker than by its letters. One that is in two places is counted in two, and added up when it is
/// collected.
#[derive(Clone, Copy)]
struct Label(&'static str);

/// Route, method and status of a request.
type RequestKind = (Label, Label, u16);
/// Kind and outcome of a command.
type Outcome = (Label, Label);

/// What one worker measured and nobody has collected.
#[derive(Default)]
struct Tally {
    seconds: HashMap<RequestKind, Vec<f64>, RandomState>,
    decisions: HashMap<Outcome, u64, RandomState>,
}

/// The measuring of one worker.
pub(super) struct Meters(Arc<Mutex<Tally>>);

/// The tallies of all workers.
#[derive(Default)]
pub(super) struct Tallies(Mutex<Vec<Arc<Mutex<Tally>>>>);

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.as_ptr().hash(hasher);
    }
}

impl Meters {
    /// A request was answered.
    pub(super) fn observe(
        &self,
        route: &'static str,
        method: &'static str,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let kind = (Label(route), Label(method), status.as_u16());
        self.0.lock().seconds.entry(kind).or_default().push(elapsed.as_secs_f64());
    }

    /// A command was answered.
    pub(super) fn decided(&self, kind: &'static str, outcome: &'static str) {
        *self.0.lock().decisions.entry((Label(kind), Label(outcome))).or_default() += 1;
    }
}

impl Tallies {
    /// The meters of one more worker.
    pub(super) fn meters(&self) -> Meters {
        let tally = Arc::<Mutex<Tally>>::default();
        self.0.lock().push(Arc::clone(&tally));
        Meters(tally)
    }

    /// Puts what was measured since the last time where metrics are kept.
    pub(super) fn collect(&self) {
        for tally in self.0.lock().iter() {
            // Counted outside the tally's lock: its worker goes on.
            let Tally { seconds, decisions } = std::mem::take(&mut *tally.lock());
            for ((Label(route), Label(method), code), seconds) in seconds {
                let code = code.to_string();
                let histogram = metrics::histogram!(
                    names::REQUEST_SECONDS, "route" => route, "method" => method, "code" => code
                );
                seconds.into_iter().for_each(|seconds| histogram.record(seconds));
            }
            for ((Label(kind), Label(outcome)), count) in decisions {
                metrics::counter!(names::DECISIONS, "kind" => kind, "outcome" => outcome)
                    .increment(count);
            }
        }
    }
}

/// What a command is about, as a label: the kind of record it would make.
pub(super) fn kind_of(action: &Action) -> &'static str {
    match action {
        Action::Create(_) => "product_created",
        Action::ChangeTerms(_) => "terms_changed",
        Action::Adjust(_) => "stock_adjusted",
        Action::Order(_) => "order_placed",
        Action::PlaceHold(_) => "hold_placed",
        Action::ExtendHold(_) => "hold_extended",
        Action::ConfirmHold { .. } => "hold_confirmed",
        Action::ReleaseHold { .. } => "hold_released",
        Action::Cancel(_) => "order_cancelled",
        Action::PauseSelling(_) => "selling_paused",
    }
}

/// Everything measured, in Prometheus' text format.
pub(super) fn render(surroundings: &Surroundings) -> Reply {
    refresh(surroundings);
    let body = surroundings.metrics.render().into_bytes();
    Reply { media_type: "text/plain; version=0.0.4; charset=utf-8", ..Reply::ok(body) }
}

/// Sets the gauges that nobody pushes.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn refresh(surroundings: &Surroundings) {
    let Surroundings { engine, projection, data_free_bytes, tallies, .. } = surroundings;
    tallies.collect();
    let progress = if engine.has_started() { 1.0 } else { engine.health().progress() };
    metrics::gauge!(names::RECOVERY_PROGRESS).set(progress);
    if let Some(gauges) = engine.gauges() {
        metrics::gauge!(names::DURABLE_SEQUENCE).set(gauges.durable_sequence as f64);
        metrics::gauge!(names::IDEMPOTENCY_KEYS).set(gauges.idempotency_keys as f64);
        metrics::gauge!(names::LIVE_HOLDS).set(gauges.live_holds as f64);
        metrics::gauge!(names::QUEUE_DEPTH, "queue" => "commands").set(gauges.commands as f64);
    }
    if let Some(bytes) = data_free_bytes() {
        metrics::gauge!(names::DATA_FREE_BYTES).set(bytes as f64);
    }
    let report = projection.report();
    metrics::gauge!(names::PROJECTION_LAG_RECORDS).set(report.lag_records as f64);
    metrics::gauge!(names::PROJECTION_LAG_SECONDS).set(report.lag_ms as f64 / 1e3);
    metrics::gauge!(names::QUARANTINED).set(report.quarantined as f64);
}
