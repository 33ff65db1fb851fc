//! The machine's clocks, in the simulation's hands.

use std::sync::atomic::{AtomicU64, Ordering};

use doorbuster::engine::Clock;

/// When simulations begin.
const START_MS: u64 = 1_000_000_000;

/// Wall time that jumps, and time that only goes on.
#[derive(Debug)]
pub(super) struct SimClock {
    wall_ms: AtomicU64,
    monotonic_ms: AtomicU64,
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Relaxed)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::Relaxed)
    }
}

impl SimClock {
    pub(super) fn new() -> Self {
        Self { wall_ms: START_MS.into(), monotonic_ms: 0.into() }
    }

    /// Time goes on.
    pub(super) fn pass(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
        self.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Somebody sets the machine's time.
    pub(super) fn jump(&self, by_ms: i64) {
        let wall_ms = self.wall_ms().saturating_add_signed(by_ms).max(1);
        self.wall_ms.store(wall_ms, Ordering::Relaxed);
    }
}
