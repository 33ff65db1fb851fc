//! How the projection is, for `/readyz` and `/metrics`: what the projector last said, beside the
//! durable watermark of this moment.

use std::sync::Arc;

use parking_lot::Mutex;

use super::NowMs;
use super::source::LogSource;
use crate::domain::Sequence;
use crate::engine::ports::{ProjectionProblem, ProjectionReport, ProjectionStatus};
use crate::telemetry;

/// What the projector says and others read.
pub(super) struct Status {
    source: Arc<dyn LogSource>,
    now_ms: NowMs,
    started_ms: u64,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    /// `None` until `progress` was read once.
    applied: Option<Sequence>,
    /// Time of the oldest record that is being written; `None` while there is none.
    oldest_at_ms: Option<u64>,
    quarantined: u64,
    problem: Option<ProjectionProblem>,
}

impl Status {
    pub(super) fn new(source: Arc<dyn LogSource>, now_ms: NowMs) -> Arc<Self> {
        let started_ms = now_ms();
        Arc::new(Self { source, now_ms, started_ms, said: Mutex::default() })
    }

    /// Last record up to which the tables have every row, as far as is known.
    pub(super) fn applied(&self) -> Option<Sequence> {
        self.said.lock().applied
    }

    /// The log that is copied.
    pub(super) fn journal(&self) -> &dyn LogSource {
        &*self.source
    }

    /// Whether the tables are known to be a copy of this log; otherwise why not.
    pub(super) fn check_readable(&self) -> Result<(), String> {
        let said = self.said.lock();
        match (&said.problem, said.applied) {
            (Some(ProjectionProblem::Stopped(reason)), _) => Err(reason.clone()),
            (_, Some(_)) => Ok(()),
            (Some(ProjectionProblem::Retrying(reason)), None) => Err(reason.clone()),
            (None, None) => Err("the database has not been opened yet".to_owned()),
        }
    }

    pub(super) fn opened(&self, applied: Sequence, quarantined: u64) {
        let mut said = self.said.lock();
        said.applied = Some(applied);
        said.quarantined = quarantined;
        drop(said);
        gauge_quarantined(quarantined);
    }

    pub(super) fn writing(&self, oldest_at_ms: Option<u64>) {
        self.said.lock().oldest_at_ms = oldest_at_ms;
    }

    pub(super) fn wrote(&self, applied: Sequence, quarantined: u64) {
        let mut said = self.said.lock();
        said.applied = Some(applied);
        said.quarantined += quarantined;
        let total = said.quarantined;
        drop(said);
        if quarantined > 0 {
            gauge_quarantined(total);
        }
    }

    /// Nothing up to here is left to write: what lies behind the last batch leaves no row.
    pub(super) fn has(&self, upto: Sequence) {
        self.said.lock().applied = Some(upto);
    }

    /// Nothing is left to write, or a batch was written: whatever was wrong is over.
    pub(super) fn is_well(&self) {
        let mut said = self.said.lock();
        said.oldest_at_ms = None;
        if let Some(ProjectionProblem::Retrying(problem)) = &said.problem {
            tracing::info!(problem, "the projection goes on");
            said.problem = None;
        }
    }

    pub(super) fn retrying(&self, problem: &str) {
        let mut said = self.said.lock();
        let new = ProjectionProblem::Retrying(problem.to_owned());
        // Once a problem, not once an attempt: the database may be away for hours.
        if said.problem.as_ref() != Some(&new) {
            tracing::warn!(problem, "the projection waits and tries again; sales go on");
        }
        said.problem = Some(new);
    }

    pub(super) fn stopped(&self, problem: String) {
        tracing::error!(problem, "the projection has stopped; sales go on");
        self.said.lock().problem = Some(ProjectionProblem::Stopped(problem));
    }
}

impl ProjectionStatus for Status {
    /// Before `progress` was read once, everything durable counts as lagging, since the start.
    fn report(&self) -> ProjectionReport {
        let durable = self.source.durable().get();
        let now_ms = (self.now_ms)();
        let said = self.said.lock();
        let lag_records = durable.saturating_sub(said.applied.map_or(0, Sequence::get));
        let oldest_at_ms = match said.applied {
            Some(_) => said.oldest_at_ms,
            None => Some(self.started_ms),
        };
        let lag_ms = match oldest_at_ms {
            Some(at_ms) if lag_records > 0 => now_ms.saturating_sub(at_ms),
            _ => 0,
        };
        let (applied, quarantined, problem) =
            (said.applied, said.quarantined, said.problem.clone());
        ProjectionReport { applied, lag_records, lag_ms, quarantined, problem }
    }
}

fn gauge_quarantined(records: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a measurement")]
    metrics::gauge!(telemetry::QUARANTINED).set(records as f64);
}
