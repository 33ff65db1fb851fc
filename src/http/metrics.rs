//! `/metrics`: what this layer measures, and figures of the engine at the moment of asking.
//!
//! Handles are made once per worker and label set, so measuring a request looks up no name and
//! allocates nothing. Labels are bounded: patterns of routes, known methods, our status codes.

use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::StatusCode;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use metrics::{Counter, Histogram};

use super::reply::Reply;
use super::server::Surroundings;
use crate::engine::Action;
use crate::telemetry as names;

type Table<K, V> = RefCell<HashMap<K, V, RandomState>>;

/// The handles of one worker.
#[derive(Default)]
pub(super) struct Meters {
    requests: Table<(&'static str, &'static str, u16), Histogram>,
    decisions: Table<(&'static str, &'static str), Counter>,
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
        let key = (route, method, status.as_u16());
        let mut requests = self.requests.borrow_mut();
        let histogram = requests.entry(key).or_insert_with(|| {
            let code = status.as_u16().to_string();
            metrics::histogram!(
                names::REQUEST_SECONDS, "route" => route, "method" => method, "code" => code
            )
        });
        histogram.record(elapsed.as_secs_f64());
    }

    /// A command was answered.
    pub(super) fn decided(&self, kind: &'static str, outcome: &'static str) {
        let mut decisions = self.decisions.borrow_mut();
        let counter = decisions.entry((kind, outcome)).or_insert_with(
            || metrics::counter!(names::DECISIONS, "kind" => kind, "outcome" => outcome),
        );
        counter.increment(1);
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
    let Surroundings { engine, projection, data_free_bytes, .. } = surroundings;
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
