//! A projector stepped by hand: the one of [`super::start_with`] without its thread.
//!
//! For simulation: whoever holds it says when it opens its store and when it copies a batch.

use std::sync::Arc;

use super::control::Control;
use super::options::ProjectorOptions;
use super::projector::Projector;
use super::source::LogSource;
use super::status::Status;
use super::store::Store;
use crate::engine::ports::{ProjectionReport, ProjectionStatus};
use crate::journal::JournalReader;

pub use super::projector::Step;

/// A projector without a thread.
pub struct SteppedProjector {
    projector: Projector,
    status: Arc<Status>,
}

impl SteppedProjector {
    /// As [`super::start_with`], up to where the thread would begin.
    #[must_use]
    pub fn new(store: Box<dyn Store>, reader: JournalReader, options: ProjectorOptions) -> Self {
        let source: Arc<dyn LogSource> = Arc::new(reader);
        let status = Status::new(Arc::clone(&source), Arc::clone(&options.now_ms));
        let control = Arc::new(Control::default());
        let projector = Projector::new(store, source, options, Arc::clone(&status), control);
        Self { projector, status }
    }

    /// Opens the store, or copies one batch. Waits for nothing: what it says about time is the
    /// caller's to follow.
    pub fn step(&mut self) -> Step {
        self.projector.step()
    }

    /// How it is.
    #[must_use]
    pub fn report(&self) -> ProjectionReport {
        self.status.report()
    }
}
