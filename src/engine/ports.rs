//! Ports: what a neighbour of the engine implements, so that `http` can ask it without knowing it.
//!
//! `projection` implements them, `cli` hands them to `http`. What is asked here may lag behind the
//! engine or be unreachable; it never decides anything.

use std::sync::{Arc, OnceLock};

use crate::domain::Sequence;

/// How the projection is; `/readyz` and `/metrics` show it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProjectionReport {
    /// Last record that is in the tables, committed. Lags behind the durable watermark.
    pub applied: Option<Sequence>,
    /// Durable records that are not in the tables yet.
    pub lag_records: u64,
    /// Age of the oldest of them by the time of its record, in milliseconds; 0 without one.
    pub lag_ms: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Why nothing moves, in words an operator can act on; `None` while all is well.
    pub problem: Option<ProjectionProblem>,
}

/// Why the projection does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectionProblem {
    /// It tries again by itself: the database is away, the disk is at its reserve.
    Retrying(String),
    /// A person has to act: another journal's database, one ahead of this log, a collision.
    Stopped(String),
}

/// Tells how the projection is.
pub trait ProjectionStatus: Send + Sync {
    /// A report of this moment. Cost: no IO.
    fn report(&self) -> ProjectionReport;
}

/// A projection that starts once the engine has recovered; before, it reports nothing.
#[derive(Default)]
pub struct LateProjection(OnceLock<Arc<dyn ProjectionStatus>>);

impl LateProjection {
    /// The projection has started.
    ///
    /// # Panics
    /// When it had started before.
    pub fn set(&self, status: Arc<dyn ProjectionStatus>) {
        assert!(self.0.set(status).is_ok(), "a projection starts once");
    }
}

impl ProjectionStatus for LateProjection {
    fn report(&self) -> ProjectionReport {
        self.0.get().map_or_else(ProjectionReport::default, |status| status.report())
    }
}
