//! What was asked and what was heard: every request with its attempts, over all lives.

use std::collections::HashMap;

use super::wish::Wish;
use crate::faults::{FaultKind, Faults};

/// How long a key tells of its record, by record time.
const KEY_AGE_MS: u64 = 24 * 3_600_000;

/// A record of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Its place.
    pub sequence: u64,
    /// When it was decided.
    pub at_ms: u64,
    /// It was asked for with the other body.
    pub other_body: bool,
}

/// One attempt at a request, as it was when it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Of which request.
    pub call: u64,
    /// It came under the request's key with another body.
    pub other_body: bool,
    /// What clients had heard to be durable.
    pub(super) floor: u64,
    /// When, by the partition's clock.
    pub(super) asked_ms: u64,
    /// Where its key had made a record, which was durable.
    pub(super) made: Option<Made>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked.
    pub wish: Wish,
    /// Whether it comes under a key of its own.
    pub has_key: bool,
    /// Its records.
    pub(super) places: Vec<Made>,
    /// Records that an attempt was told to have made itself.
    told: Vec<u64>,
    /// Attempts of this life that may still be decided.
    open: u32,
    /// Attempts of which nobody heard, or whose outcome is unknown: each may have made a record.
    unheard: u32,
}

/// All requests and the attempts that are open.
#[derive(Debug, Default)]
pub struct Notes {
    calls: Vec<Call>,
    attempts: HashMap<u64, Attempt>,
    next_attempt: u64,
    /// Calls with attempts that may still be decided, in this life.
    open: Vec<u64>,
    refused: u64,
}

impl Notes {
    /// Notes a new request; gives its number.
    pub fn add(&mut self, wish: Wish, has_key: bool) -> u64 {
        let (places, told) = (Vec::new(), Vec::new());
        let (open, unheard) = (0, 0);
        self.calls.push(Call { wish, has_key, places, told, open, unheard });
        self.calls.len() as u64 - 1
    }

    /// The request of a number.
    #[must_use]
    pub fn call(&self, number: u64) -> Option<&Call> {
        self.calls.get(usize::try_from(number).ok()?)
    }

    pub(super) fn call_mut(&mut self, number: u64) -> Option<&mut Call> {
        self.calls.get_mut(usize::try_from(number).ok()?)
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.calls.len() as u64
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The open attempt of a number.
    #[must_use]
    pub fn attempt(&self, number: u64) -> Option<&Attempt> {
        self.attempts.get(&number)
    }

    pub(super) fn begin(&mut self, attempt: Attempt) -> u64 {
        if let Some(call) = self.call_mut(attempt.call) {
            call.open += 1;
        }
        self.open.push(attempt.call);
        self.next_attempt += 1;
        self.attempts.insert(self.next_attempt, attempt);
        self.next_attempt
    }

    /// The attempt is over for its client: `certain` is whether it is known what came of it.
    pub(super) fn end(&mut self, number: u64, certain: bool) -> Option<Attempt> {
        let attempt = self.attempts.remove(&number)?;
        if let Some(call) = self.call_mut(attempt.call) {
            if certain {
                call.open = call.open.saturating_sub(1);
            } else {
                call.unheard += 1;
            }
        }
        Some(attempt)
    }

    /// A client gives up waiting: its attempt goes on without it.
    pub fn give_up(&mut self, number: u64) {
        self.refused += 1;
        self.end(number, false);
    }

    pub(super) fn count_refused(&mut self) {
        self.refused += 1;
    }

    /// A refusal that was told: each of its products is counted.
    pub(super) fn refusals_max(&self) -> u64 {
        // An order of sixty lines is refused for at most the three products there are.
        (self.refused + self.attempts.len() as u64) * 4
    }

    /// The process is gone: what was open went unheard.
    pub(super) fn end_life(&mut self) {
        let open: Vec<u64> = self.attempts.keys().copied().collect();
        for number in open {
            self.give_up(number);
        }
        self.at_rest();
    }

    /// Nothing is under way: whatever went unheard has come to its end.
    pub fn at_rest(&mut self) {
        for number in std::mem::take(&mut self.open) {
            if let Some(call) = self.call_mut(number) {
                call.open = 0;
            }
        }
    }

    /// Whether another attempt at a request may still be decided.
    #[must_use]
    pub fn may_be_in_flight(&self, call: u64) -> bool {
        self.call(call).is_some_and(|call| call.open > 1)
    }

    /// What a request's key has made, if it still tells of it at `now_ms`.
    #[must_use]
    pub fn made(&self, call: u64, now_ms: u64) -> Option<Made> {
        let made = self.call(call).filter(|call| call.has_key)?.places.last()?;
        (made.at_ms + KEY_AGE_MS > now_ms).then_some(*made)
    }

    /// A record of the request is durable.
    pub(super) fn place(&mut self, number: u64, made: Made, faults: &mut Faults) {
        let Some(call) = self.call_mut(number) else { return };
        if let Some(first) = call.places.last()
            && (!call.has_key || made.at_ms < first.at_ms + KEY_AGE_MS)
        {
            let (first, second) = (first.sequence, made.sequence);
            faults.add(FaultKind::Doubled, || {
                format!("request {number} is in the log at {first} and at {second}")
            });
        }
        call.places.push(made);
    }

    /// An attempt was told that it made this record.
    pub(super) fn told(&mut self, number: u64, sequence: u64) {
        if let Some(call) = self.call_mut(number)
            && !call.told.contains(&sequence)
        {
            call.told.push(sequence);
        }
    }

    /// With nothing under way: each record has an attempt behind it that was told so or went
    /// unheard.
    pub(super) fn settle(&self, faults: &mut Faults) {
        for (number, call) in (0u64..).zip(&self.calls) {
            let untold =
                call.places.iter().filter(|made| !call.told.contains(&made.sequence)).count();
            if untold > call.unheard as usize {
                let (places, unheard) = (&call.places, call.unheard);
                faults.add(FaultKind::Invented, || {
                    format!(
                        "request {number} ({:?}) is in the log at {places:?}, and {unheard} of \
                         its attempts can have come there unheard",
                        call.wish
                    )
                });
            }
        }
    }
}
