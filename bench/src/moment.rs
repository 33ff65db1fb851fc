//! When and how a round's process is killed: drawn from the seed.

use std::time::Duration;

use serde::Serialize;

use crate::seeded::Seeded;

/// Kinds of moments.
pub const KINDS: [&str; 5] = ["during_start", "just_started", "under_load", "frozen", "draining"];

/// A moment to kill at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// So long after the process was started, ready or not.
    DuringStart(Duration),
    /// So long after it was ready, when the first requests arrive.
    JustStarted(Duration),
    /// So long under load.
    UnderLoad(Duration),
    /// Stopped by SIGSTOP so long under load, killed a while later: requests pile up meanwhile.
    Frozen {
        /// Under load.
        load: Duration,
        /// Between the two signals.
        frozen: Duration,
    },
    /// SIGTERM so long under load, SIGKILL while it drains.
    Draining {
        /// Under load.
        load: Duration,
        /// Between the two signals.
        drain: Duration,
    },
}

impl Moment {
    /// Draws one; `start` is how long a start took lately.
    pub fn draw(draws: &mut Seeded, start: Duration) -> Self {
        let micros = |draws: &mut Seeded, from, to| Duration::from_micros(draws.spread(from, to));
        let start_us = u64::try_from(start.as_micros()).unwrap_or(1_000_000).max(1_000);
        match draws.below(20) {
            // Uniform, because a start's steps do not crowd at its beginning.
            0..=3 => Self::DuringStart(Duration::from_micros(draws.between(500, start_us * 5 / 4))),
            4..=6 => Self::JustStarted(micros(draws, 50, 5_000)),
            7..=14 => Self::UnderLoad(micros(draws, 2_000, 120_000)),
            15..=17 => Self::Frozen {
                load: micros(draws, 2_000, 60_000),
                frozen: micros(draws, 1_000, 60_000),
            },
            _ => Self::Draining {
                load: micros(draws, 2_000, 60_000),
                drain: micros(draws, 50, 30_000),
            },
        }
    }

    /// How long there is load.
    #[must_use]
    pub fn load(&self) -> Duration {
        match *self {
            Self::DuringStart(load)
            | Self::JustStarted(load)
            | Self::UnderLoad(load)
            | Self::Frozen { load, .. }
            | Self::Draining { load, .. } => load,
        }
    }

    /// The number of its name in [`KINDS`].
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            Self::DuringStart(_) => 0,
            Self::JustStarted(_) => 1,
            Self::UnderLoad(_) => 2,
            Self::Frozen { .. } => 3,
            Self::Draining { .. } => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_drawn_and_the_same_seed_draws_the_same() {
        let draw = || {
            let mut draws = Seeded::new(5);
            let start = Duration::from_millis(30);
            (0..200).map(|_| Moment::draw(&mut draws, start)).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        for (kind, name) in KINDS.iter().enumerate() {
            assert!(drawn.iter().any(|moment| moment.kind() == kind), "{name} was not drawn");
        }
    }
}
