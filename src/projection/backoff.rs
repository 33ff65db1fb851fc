//! How long to wait before trying again: doubling from a shortest to a longest wait, less a
//! random part, so that many who lost one database do not come back to it together.

use std::time::Duration;

/// Waits between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    next: Duration,
    random: u64,
}

impl Backoff {
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        let mut seed = [0; 8];
        // Without randomness the waits are merely the same everywhere.
        let _ = getrandom::fill(&mut seed);
        Self { shortest, longest, next: shortest, random: u64::from_le_bytes(seed) | 1 }
    }

    /// The wait before the next attempt: between half of the step and all of it.
    pub(super) fn wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        step / 2 + self.part(step / 2)
    }

    /// A random part of `whole`.
    pub(super) fn part(&mut self, whole: Duration) -> Duration {
        // xorshift64: a wait needs no better.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.random % nanos)
    }

    /// An attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.next = self.shortest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        for step_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let wait = backoff.wait();
            let step = Duration::from_millis(step_ms);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} of {step:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(100));
    }
}
