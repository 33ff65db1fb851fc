//! The partition's clock: one time for every decision, read by all threads.
//!
//! Wall time at start, moved by the monotonic clock, slewed gently toward wall time, never behind
//! the last record. A large jump of the wall clock is alarmed, not followed: a sale must not open
//! or end because somebody set the machine's time.
//!
//! A jump is a change of the distance to wall time within a second. The distance there was at the
//! start, because the last record is ahead of wall time, is made up like drift.
//!
//! May run ahead of or behind wall time by what slewing (1 ms a second) has not made up yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::journal::{Planted, planted};

/// Behind the last record by more than this, a start needs a word from the operator.
const BEHIND_MS_MAX: u64 = 60_000;
/// Ahead of the last record by more than this, a start needs a word from the operator.
const AHEAD_MS_MAX: u64 = 400 * 24 * 3_600_000;
/// Wall time this far from where it was last seen is a jump, not drift.
const JUMP_MS: i64 = 10_000;

/// Where time comes from; a simulation has its own.
pub trait Clock: Send + Sync + 'static {
    /// Unix time in milliseconds.
    fn wall_ms(&self) -> u64;
    /// Milliseconds since some moment before the start; never goes back.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

/// The time decisions are made at.
pub struct PartitionClock {
    clock: Arc<dyn Clock>,
    base_wall_ms: u64,
    base_monotonic_ms: u64,
    /// What slewing added so far.
    offset_ms: AtomicI64,
    /// Time of the last record.
    floor_ms: AtomicU64,
    /// Wall time less this clock's, when they were last compared.
    away_ms: AtomicI64,
    /// The same as it was last told or seen.
    told_ms: AtomicI64,
}

/// A start whose wall clock cannot be believed without the operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the wall clock ({wall_ms} ms) and the last record ({last_ms} ms) are too far apart: \
     at most 60 s behind or 400 days ahead"
)]
pub struct ClockError {
    /// Wall time at this start.
    pub wall_ms: u64,
    /// Time of the last record.
    pub last_ms: u64,
}

/// What slewing found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slewed {
    /// In step, or moving toward wall time.
    Steady,
    /// Wall time has jumped to this many milliseconds away. Said once for each jump.
    Jumped(i64),
    /// Wall time is still where it jumped to.
    Away,
}

impl SystemClock {
    /// Starts counting now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the adapter through which time enters")]
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the adapter through which time enters")]
    fn wall_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl PartitionClock {
    /// Starts from wall time, or from the last record when that is later.
    ///
    /// `accepted` is the operator's word: the two times, as the error named them.
    ///
    /// # Errors
    /// The two are too far apart and the operator has not said that this is right.
    pub fn start(
        clock: Arc<dyn Clock>,
        last_ms: Option<u64>,
        accepted: Option<ClockError>,
    ) -> Result<Self, ClockError> {
        let wall_ms = clock.wall_ms();
        let mut last = last_ms.unwrap_or(wall_ms);
        let far = wall_ms.saturating_add(BEHIND_MS_MAX) < last
            || wall_ms > last.saturating_add(AHEAD_MS_MAX);
        // The wall clock moves on between the refusal and the next try: ten minutes of grace.
        let said = accepted.is_some_and(|said| {
            said.last_ms / 1_000 == last / 1_000 && said.wall_ms.abs_diff(wall_ms) < 600_000
        });
        if far && !said {
            return Err(ClockError { wall_ms, last_ms: last });
        }
        if planted(Planted::TimeGoesBack) {
            last = wall_ms;
        }
        let base_monotonic_ms = clock.monotonic_ms();
        Ok(Self {
            clock,
            base_wall_ms: wall_ms.max(last),
            base_monotonic_ms,
            offset_ms: AtomicI64::new(0),
            floor_ms: AtomicU64::new(last),
            away_ms: AtomicI64::new(difference(wall_ms, wall_ms.max(last))),
            told_ms: AtomicI64::new(difference(wall_ms, wall_ms.max(last))),
        })
    }

    /// What [`Planted::ExpireByWallClock`] looks at.
    pub(super) fn wall_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// Unix time in milliseconds by this clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let moved = self.clock.monotonic_ms().saturating_sub(self.base_monotonic_ms);
        let offset = self.offset_ms.load(Ordering::Relaxed);
        let now = self.base_wall_ms.saturating_add(moved).saturating_add_signed(offset);
        now.max(self.floor_ms.load(Ordering::Relaxed))
    }

    /// Tells the time of a record just decided: the clock is never behind it.
    pub(super) fn decided(&self, decided_at_ms: u64) {
        // Written once a millisecond, not once a record: every thread reads this line.
        if self.floor_ms.load(Ordering::Relaxed) < decided_at_ms {
            self.floor_ms.fetch_max(decided_at_ms, Ordering::Relaxed);
        }
    }

    /// Moves one millisecond toward wall time; call it once a second, from one thread.
    pub(super) fn slew(&self) -> Slewed {
        let now_ms = self.now_ms();
        let away = difference(self.clock.wall_ms(), now_ms);
        let known = self.away_ms.load(Ordering::Relaxed);
        // Each jump is told once, also the one that takes wall time back.
        if away.saturating_sub(self.told_ms.swap(away, Ordering::Relaxed)).abs() > JUMP_MS {
            return Slewed::Jumped(away);
        }
        if away.saturating_sub(known).abs() > JUMP_MS {
            return Slewed::Away;
        }
        let step = away.signum();
        // Slower, never back: until it is made up, the clock stands.
        self.decided(now_ms);
        self.offset_ms.fetch_add(step, Ordering::Relaxed);
        self.away_ms.store(away - step, Ordering::Relaxed);
        Slewed::Steady
    }
}

fn difference(wall_ms: u64, now_ms: u64) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    signed(wall_ms) - signed(now_ms)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A clock that tests set.
    #[derive(Debug, Default)]
    pub(crate) struct FakeClock {
        pub(crate) wall_ms: AtomicU64,
        pub(crate) monotonic_ms: AtomicU64,
    }

    impl Clock for FakeClock {
        fn wall_ms(&self) -> u64 {
            self.wall_ms.load(Ordering::Relaxed)
        }
        fn monotonic_ms(&self) -> u64 {
            self.monotonic_ms.load(Ordering::Relaxed)
        }
    }

    fn at(wall_ms: u64) -> Arc<FakeClock> {
        let clock = FakeClock::default();
        clock.wall_ms.store(wall_ms, Ordering::Relaxed);
        Arc::new(clock)
    }

    #[test]
    fn wall_jump_is_alarmed_and_not_followed() {
        let fake = at(1_000_000);
        let clock = PartitionClock::start(Arc::clone(&fake) as _, None, None).unwrap();
        fake.wall_ms.store(9_000_000, Ordering::Relaxed);
        fake.monotonic_ms.store(1_000, Ordering::Relaxed);
        assert_eq!(clock.slew(), Slewed::Jumped(7_999_000));
        assert_eq!(clock.slew(), Slewed::Away, "said once");
        assert_eq!(clock.now_ms(), 1_001_000);
        fake.wall_ms.store(5_000_000, Ordering::Relaxed);
        assert_eq!(clock.slew(), Slewed::Jumped(3_999_000), "another, half the way back");
        fake.wall_ms.store(1_001_000, Ordering::Relaxed);
        assert_eq!(clock.slew(), Slewed::Jumped(0), "and home");
        assert_eq!(clock.slew(), Slewed::Steady);
        fake.wall_ms.store(900_000, Ordering::Relaxed);
        assert_eq!(clock.slew(), Slewed::Jumped(-101_000), "another jump");
    }

    #[test]
    fn start_ahead_of_wall_time_is_made_up_like_drift() {
        let fake = at(1_000_000);
        let clock = PartitionClock::start(Arc::clone(&fake) as _, Some(1_050_000), None).unwrap();
        for second in 1..=1_000 {
            fake.wall_ms.store(1_000_000 + second * 1_000, Ordering::Relaxed);
            fake.monotonic_ms.store(second * 1_000, Ordering::Relaxed);
            assert_eq!(clock.slew(), Slewed::Steady, "second {second}");
        }
        fake.monotonic_ms.store(1_000_001, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), 1_050_000 + 1_000_001 - 1_000);
    }

    #[test]
    fn slewing_back_never_moves_the_clock_back() {
        let fake = at(1_000_100);
        let clock = PartitionClock::start(Arc::clone(&fake) as _, None, None).unwrap();
        fake.wall_ms.store(1_000_090, Ordering::Relaxed);
        let before = clock.now_ms();
        clock.slew();
        assert!(clock.now_ms() >= before);
        fake.monotonic_ms.store(5, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), 1_000_104, "a millisecond slower");
    }

    #[test]
    fn clocks_at_the_end_of_time_do_not_wrap() {
        let fake = at(u64::MAX);
        fake.monotonic_ms.store(5, Ordering::Relaxed);
        let clock = PartitionClock::start(Arc::clone(&fake) as _, None, None).unwrap();
        fake.monotonic_ms.store(3, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), u64::MAX);
        assert_eq!(clock.slew(), Slewed::Steady);
    }

    #[test]
    fn drift_is_made_up_a_millisecond_at_a_time() {
        let fake = at(1_000_000);
        let clock = PartitionClock::start(Arc::clone(&fake) as _, None, None).unwrap();
        fake.wall_ms.store(1_000_003, Ordering::Relaxed);
        for expected in [1_000_001, 1_000_002, 1_000_003, 1_000_003] {
            assert_eq!(clock.slew(), Slewed::Steady);
            assert_eq!(clock.now_ms(), expected);
        }
    }

    #[test]
    fn never_behind_the_last_record() {
        let fake = at(1_000_000);
        let clock = PartitionClock::start(Arc::clone(&fake) as _, Some(1_030_000), None).unwrap();
        assert_eq!(clock.now_ms(), 1_030_000);
        clock.decided(1_040_000);
        assert_eq!(clock.now_ms(), 1_040_000);
    }

    #[test]
    fn start_far_from_the_last_record_needs_a_word() {
        let far = |wall, last| {
            PartitionClock::start(at(wall), Some(last), None).err().map(|e| (e.wall_ms, e.last_ms))
        };
        assert_eq!(far(1_000_000, 1_060_000), None);
        assert_eq!(far(1_000_000, 1_060_001), Some((1_000_000, 1_060_001)));
        assert_eq!(far(AHEAD_MS_MAX + 5, 5), None);
        assert_eq!(far(AHEAD_MS_MAX + 6, 5), Some((AHEAD_MS_MAX + 6, 5)));
        let said = ClockError { wall_ms: 1_000_500, last_ms: 2_000_000 };
        assert!(PartitionClock::start(at(1_001_000), Some(2_000_000), Some(said)).is_ok());
        let other = ClockError { wall_ms: 1_000_500, last_ms: 3_000_000 };
        assert!(PartitionClock::start(at(1_001_000), Some(2_000_000), Some(other)).is_err());
    }
}
