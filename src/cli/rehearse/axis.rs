//! The time along a chart: where moments stand, and which are named.

use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Distances between named moments, in seconds.
const STEPS: [i64; 16] = [
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    91 * DAY,
    182 * DAY,
    365 * DAY,
];
/// Room a name takes, in pixels.
const NAME_WIDTH: i32 = 95;

/// A stretch of time, drawn between two places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    first: DateTime,
    seconds: i64,
    left: i32,
    right: i32,
}

impl Axis {
    /// From the first moment to the last, drawn from left to right.
    pub(super) fn new(first: DateTime, last: DateTime, left: i32, right: i32) -> Self {
        // A file of one minute is drawn too.
        let seconds = last.duration_since(first).as_secs().max(MINUTE);
        Self { first, seconds, left, right }
    }

    /// Where a moment stands.
    pub(super) fn place(&self, at: DateTime) -> i32 {
        let since = at.duration_since(self.first).as_secs().clamp(0, self.seconds);
        let width = i64::from(self.right - self.left);
        self.left + i32::try_from(width * since / self.seconds).unwrap_or(0)
    }

    /// The moments to name, with their names.
    pub(super) fn named(&self) -> Vec<(DateTime, String)> {
        let most = i64::from((self.right - self.left) / NAME_WIDTH).max(2);
        let step = STEPS.into_iter().find(|step| self.seconds / step < most);
        let step = step.unwrap_or(self.seconds / most);
        let format = if step >= DAY { "%d %b" } else { "%d %b %H:%M" };
        let midnight = self.first.date().to_datetime(Time::midnight());
        let since = self.first.duration_since(midnight).as_secs();
        let from = since.div_euclid(step) + i64::from(since % step != 0);
        let moments = (from..).map_while(|nth| {
            let at = midnight.checked_add(SignedDuration::from_secs(nth * step)).ok()?;
            let inside = at.duration_since(self.first).as_secs() <= self.seconds;
            inside.then(|| (at, at.strftime(format).to_string()))
        });
        moments.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(hours: i64) -> Vec<String> {
        let first = DateTime::constant(2010, 12, 1, 8, 26, 0, 0);
        let last = first.checked_add(SignedDuration::from_hours(hours)).unwrap();
        Axis::new(first, last, 0, 900).named().into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn moments_are_named_at_round_times() {
        assert_eq!(named(0), ["01 Dec 08:26", "01 Dec 08:27"]);
        assert_eq!(named(6)[..2], ["01 Dec 09:00", "01 Dec 10:00"]);
        assert_eq!(named(13 * 24)[..2], ["03 Dec", "05 Dec"]);
        for hours in [1, 5, 30, 100, 24 * 40, 24 * 400, 24 * 4_000] {
            let count = named(hours).len();
            assert!((2..=9).contains(&count), "{hours} hours: {count}");
        }
    }

    #[test]
    fn moments_stand_between_the_ends() {
        let first = DateTime::constant(2010, 12, 1, 0, 0, 0, 0);
        let last = DateTime::constant(2010, 12, 3, 0, 0, 0, 0);
        let axis = Axis::new(first, last, 10, 110);
        let middle = DateTime::constant(2010, 12, 2, 0, 0, 0, 0);
        assert_eq!([first, middle, last].map(|at| axis.place(at)), [10, 60, 110]);
    }
}
