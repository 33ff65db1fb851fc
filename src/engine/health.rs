//! How the engine is: recovering, ready, draining or failed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::journal::JournalError;

/// Shared by everything that may change it.
#[derive(Default)]
pub struct Health {
    recovered_bytes: AtomicU64,
    recovery_bytes: AtomicU64,
    ready: AtomicBool,
    draining: AtomicBool,
    /// Set before anybody is told of the failure.
    has_failed: AtomicBool,
    failed: Mutex<Option<String>>,
    /// Told once when the journal fails, so that the process can end.
    on_failure: Mutex<Option<OnFailure>>,
}

type OnFailure = Box<dyn FnOnce(String) + Send>;

/// What `/readyz` says.
#[derive(Debug, Clone, PartialEq)]
pub enum Readiness {
    /// The log is being read.
    Recovering {
        /// From 0 to 1.
        progress: f64,
    },
    /// Selling. What does not stop a sale stands in `degraded`.
    Ready {
        /// What is not as it should be.
        degraded: Vec<Degraded>,
    },
    /// Stopping: no new connections.
    Draining,
    /// The journal failed; the process ends and the next start recovers.
    Failed {
        /// What failed.
        reason: String,
    },
}

/// Something that is not as it should be, though sales go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degraded {
    /// What.
    pub name: &'static str,
    /// How.
    pub detail: String,
}

impl Health {
    /// Tells how far recovery is.
    pub fn recovered(&self, bytes: u64, of_bytes: u64) {
        self.recovered_bytes.store(bytes, Ordering::Relaxed);
        self.recovery_bytes.store(of_bytes, Ordering::Relaxed);
    }

    /// Recovery is done.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// The process was asked to stop.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// What to do when the journal fails.
    pub fn on_failure(&self, then: impl FnOnce(String) + Send + 'static) {
        *self.on_failure.lock() = Some(Box::new(then));
    }

    /// The journal failed: final. From here on nothing is decided.
    pub(super) fn set_failed(&self, error: &JournalError) {
        let reason = error.to_string();
        tracing::error!(%reason, "the journal failed; in-flight outcomes are unknown until restart");
        *self.failed.lock() = Some(reason);
        self.has_failed.store(true, Ordering::Release);
    }

    /// Tells whoever ends the process that the journal failed.
    pub(super) fn tell_failed(&self) {
        let reason = self.failed.lock().clone();
        let then = self.on_failure.lock().take();
        if let (Some(reason), Some(then)) = (reason, then) {
            then(reason);
        }
    }

    /// Whether the journal failed: nothing is decided any more. Cost: one atomic load.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// How the engine is; `degraded` is asked only when it is ready.
    pub fn readiness(&self, degraded: impl FnOnce() -> Vec<Degraded>) -> Readiness {
        if let Some(reason) = self.failed.lock().clone() {
            return Readiness::Failed { reason };
        }
        if self.draining.load(Ordering::Acquire) {
            return Readiness::Draining;
        }
        if self.ready.load(Ordering::Acquire) {
            return Readiness::Ready { degraded: degraded() };
        }
        Readiness::Recovering { progress: self.progress() }
    }

    /// How far recovery is, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
    pub fn progress(&self) -> f64 {
        let of = self.recovery_bytes.load(Ordering::Relaxed);
        match of {
            0 => 0.0,
            of => self.recovered_bytes.load(Ordering::Relaxed) as f64 / of as f64,
        }
    }
}
