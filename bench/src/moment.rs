//! When and how a round's process is killed: drawn from the seed.
//!
//! Kinds are dealt like cards: each of a deck of [`DECK`] lives comes once before the deck is mixed
//! again, so that a short campaign has some of each.

use std::time::Duration;

use serde::Serialize;

use crate::seeded::Seeded;
use crate::trigger::Blow;
use crate::under_way::Act;

/// Kinds of moments.
pub const KINDS: [&str; 11] = [
    "during_start",
    "just_started",
    "under_load",
    "frozen",
    "thawed",
    "draining",
    "at_recovery",
    "at_segment_change",
    "at_projection",
    "at_snapshot",
    "at_archiving",
];
/// How often each of [`KINDS`] lies in a deck.
const DEALT: [usize; KINDS.len()] = [2, 2, 4, 2, 1, 1, 2, 1, 2, 2, 2];
/// Lives in a deck.
pub const DECK: usize = 21;
/// Where the kinds begin that wait for an act.
const FIRST_ACT: usize = 6;
const UNDER_LOAD: usize = 2;
/// Events of a start, about: segments opened and read, one made, written and named.
const START_EVENTS: u64 = 24;

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
    /// Stopped by SIGSTOP so long under load, killed a while later: requests pile up meanwhile, and
    /// clients give up and ask again.
    Frozen(Pause),
    /// The same, but it goes on (SIGCONT) and is killed so long after.
    Thawed(Pause, Duration),
    /// SIGTERM so long under load, SIGKILL while it drains.
    Draining {
        /// Under load.
        load: Duration,
        /// Between the two signals.
        drain: Duration,
    },
    /// While an act is under way.
    At(Acting),
}

/// A pause between SIGSTOP and the next signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Under load before it.
    pub load: Duration,
    /// How long it is.
    pub frozen: Duration,
    /// How long the clients wait for an answer.
    pub patience: Duration,
}

/// An act to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Acting {
    /// Which.
    pub act: Act,
    /// At which of its events, from 1.
    pub event: u64,
    /// How long after the event.
    pub after: Duration,
    /// Stopped first, and killed where the act shows; otherwise killed as it comes.
    pub stopped: bool,
}

/// Kinds of moments that are still to come before the next mixing.
#[derive(Debug, Default)]
pub struct Deck(Vec<usize>);

impl Deck {
    /// Draws the next moment; `start` is how long a start took lately, `possible` says which acts
    /// this engine does.
    pub fn draw(
        &mut self,
        draws: &mut Seeded,
        start: Duration,
        possible: impl Fn(Act) -> bool,
    ) -> Moment {
        if self.0.is_empty() {
            let kinds = DEALT.iter().enumerate();
            self.0 = kinds.flat_map(|(kind, count)| std::iter::repeat_n(kind, *count)).collect();
            for place in (1..self.0.len()).rev() {
                let other = usize::try_from(draws.below(place as u64 + 1)).unwrap_or(0);
                self.0.swap(place, other);
            }
        }
        // What is not possible yet, such as archiving in a young log, waits for the end of the deck.
        let now = self.0.iter().rposition(|kind| act_of(*kind).is_none_or(&possible));
        let kind = match now {
            Some(place) => self.0.remove(place),
            None => {
                self.0.pop();
                UNDER_LOAD
            }
        };
        match act_of(kind) {
            Some(act) => Moment::At(Acting::draw(act, draws)),
            None => Moment::draw(kind, draws, start),
        }
    }
}

/// The act that a kind waits for.
fn act_of(kind: usize) -> Option<Act> {
    kind.checked_sub(FIRST_ACT).and_then(|act| Act::ALL.get(act).copied())
}

impl Moment {
    /// One of a kind that waits for nothing.
    fn draw(kind: usize, draws: &mut Seeded, start: Duration) -> Self {
        let start_us = u64::try_from(start.as_micros()).unwrap_or(1_000_000).max(1_000);
        match kind {
            // Uniform, because a start's steps do not crowd at its beginning.
            0 => Self::DuringStart(Duration::from_micros(draws.between(500, start_us * 5 / 4))),
            1 => Self::JustStarted(micros(draws, 50, 5_000)),
            3 => Self::Frozen(Pause::draw(draws)),
            4 => Self::Thawed(Pause::draw(draws), micros(draws, 50, 60_000)),
            5 => Self::Draining {
                load: micros(draws, 2_000, 60_000),
                drain: micros(draws, 50, 30_000),
            },
            _ => Self::UnderLoad(micros(draws, 2_000, 120_000)),
        }
    }

    /// How long there is load.
    #[must_use]
    pub fn load(&self) -> Duration {
        match *self {
            Self::DuringStart(load)
            | Self::JustStarted(load)
            | Self::UnderLoad(load)
            | Self::Frozen(Pause { load, .. })
            | Self::Thawed(Pause { load, .. }, _)
            | Self::Draining { load, .. } => load,
            Self::At(_) => Duration::ZERO,
        }
    }

    /// How long clients wait for an answer, where that is short.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        match self {
            Self::Frozen(pause) | Self::Thawed(pause, _) => Some(pause.patience),
            _ => None,
        }
    }

    /// What it is called: one of [`KINDS`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        KINDS.get(self.kind()).copied().unwrap_or_default()
    }

    /// The number of its name in [`KINDS`].
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            Self::DuringStart(_) => 0,
            Self::JustStarted(_) => 1,
            Self::UnderLoad(_) => 2,
            Self::Frozen(_) => 3,
            Self::Thawed(..) => 4,
            Self::Draining { .. } => 5,
            Self::At(acting) => FIRST_ACT + acting.act as usize,
        }
    }
}

impl Pause {
    fn draw(draws: &mut Seeded) -> Self {
        let patience = micros(draws, 20_000, 150_000);
        Self {
            load: micros(draws, 2_000, 60_000),
            // Mostly longer than the clients wait, so that they give up, some of them twice.
            frozen: micros(draws, 10_000, 400_000)
                .max(patience * 5 / 4 * u32::from(!draws.once_in(4))),
            patience,
        }
    }
}

impl Acting {
    fn draw(act: Act, draws: &mut Seeded) -> Self {
        let event = match act {
            Act::Recovery => draws.between(1, START_EVENTS),
            Act::SegmentChange => 1,
            Act::Projection => draws.spread(1, 20),
            Act::Snapshot | Act::Archiving => draws.spread(1, 5),
        };
        Self {
            act,
            event,
            after: if draws.once_in(2) { Duration::ZERO } else { micros(draws, 20, 1_500) },
            // Nobody is connected in the middle of a start, so that it is stopped until they are.
            stopped: act == Act::Recovery || !draws.once_in(3),
        }
    }

    /// What is done to the process.
    #[must_use]
    pub fn blow(&self) -> Blow {
        if self.stopped { Blow::Stop } else { Blow::Kill }
    }
}

fn micros(draws: &mut Seeded, from: u64, to: u64) -> Duration {
    Duration::from_micros(draws.spread(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deck_has_every_kind_and_the_same_seed_draws_the_same() {
        let draw = |seed, possible: fn(Act) -> bool| {
            let (mut draws, mut deck) = (Seeded::new(seed), Deck::default());
            let start = Duration::from_millis(30);
            let draw = |_| deck.draw(&mut draws, start, possible);
            (0..10 * DECK).map(draw).collect::<Vec<_>>()
        };
        let drawn = draw(5, |_| true);
        assert_eq!(drawn, draw(5, |_| true));
        assert_ne!(drawn, draw(6, |_| true));
        for (place, deck) in drawn.chunks(DECK).enumerate() {
            for (kind, name) in KINDS.iter().enumerate() {
                let dealt = deck.iter().filter(|moment| moment.kind() == kind).count();
                assert_eq!(dealt, DEALT[kind], "{name} in deck {place}");
            }
        }
        let other = draw(5, |act| act != Act::Snapshot);
        assert!(other.iter().all(|moment| moment.kind() != FIRST_ACT + Act::Snapshot as usize));
        assert!(other.iter().any(|moment| moment.kind() == FIRST_ACT + Act::Archiving as usize));
        // Kinds that become possible within a deck still come in it.
        let (mut draws, mut deck) = (Seeded::new(5), Deck::default());
        let start = Duration::from_millis(30);
        let late = (0..DECK).map(|life| deck.draw(&mut draws, start, |_| life > DECK / 2));
        let acts = late.filter(|moment| matches!(moment, Moment::At(_))).count();
        assert_eq!(acts, DEALT[FIRST_ACT..].iter().sum::<usize>());
    }
}
