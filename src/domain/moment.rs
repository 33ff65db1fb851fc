//! Moments as text: RFC 3339, the one form outside.

use jiff::SignedDuration;
use jiff::civil::{DateTime, datetime};

use super::TIME_MS_MAX;

/// The moment time is counted from.
pub const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

/// Unix milliseconds in UTC with three decimals: `2026-11-27T09:00:00.000Z`. Sorts as text; what lies
/// past the year 9999, which no record holds, is written as its end.
#[must_use]
pub fn rfc3339(at_ms: u64) -> String {
    let since = SignedDuration::from_millis(at_ms.min(TIME_MS_MAX).cast_signed());
    // Reckoned as civil time: jiff's timestamps end a day before the year 9999 does.
    let moment = EPOCH.checked_add(since).expect("a moment before the year 10000");
    format!("{moment:.3}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_up_to_the_end_of_9999() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
        assert_eq!(rfc3339(TIME_MS_MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(u64::MAX), rfc3339(TIME_MS_MAX));
    }
}
