//! How fast a file is played: as fast as it goes, or by its own times.

use std::cell::Cell;
use std::time::Duration;

use jiff::civil::DateTime;

use crate::cli::play::stopwatch::Stopwatch;

/// A rehearsal's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// Times faster than the file; `None`: as fast as it goes.
    speed: Option<f64>,
    /// When the first step was due, by the file, and how long ago that is.
    begun: Cell<Option<(DateTime, Stopwatch)>>,
}

impl Pace {
    /// A pace so many times that of the file.
    pub(super) fn new(speed: Option<f64>) -> Self {
        Self { speed, begun: Cell::new(None) }
    }

    /// Waits until what the file dates so is due; the first is due at once.
    pub(super) async fn wait_for(&self, at: DateTime) {
        let Some(speed) = self.speed else { return };
        let (first, since) = self.begun.get().unwrap_or((at, Stopwatch::start()));
        self.begun.set(Some((first, since)));
        let wait = due(first, at, speed).saturating_sub(since.elapsed());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// How long after the first step another is due.
fn due(first: DateTime, at: DateTime, speed: f64) -> Duration {
    let seconds = at.duration_since(first).as_secs_f64() / speed;
    // What the file dates earlier is due at once, and a span that no clock holds is never.
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_due_by_the_files_times() {
        let first = DateTime::constant(2010, 12, 1, 8, 26, 0, 0);
        let later = DateTime::constant(2010, 12, 1, 9, 26, 0, 0);
        assert_eq!(due(first, later, 60.0), Duration::from_secs(60));
        assert_eq!(due(first, later, 0.5), Duration::from_secs(7_200));
        assert_eq!(due(later, first, 60.0), Duration::ZERO);
        assert_eq!(due(first, later, 1e-300), Duration::MAX);
    }
}
