//! Time in SQL: Unix milliseconds inside, RFC 3339 text in SQLite, `timestamptz` in PostgreSQL.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;

use crate::domain::{self, EPOCH, TIME_MS_MAX};

/// The time if both databases can hold it: up to the end of the year 9999.
pub(super) fn writable_ms(ms: u64) -> Option<i64> {
    i64::try_from(ms).ok().filter(|_| ms <= TIME_MS_MAX)
}

/// RFC 3339 in UTC with milliseconds; sorts as text.
pub(super) fn rfc3339(ms: i64) -> String {
    // Checked by `writable_ms` to be no time before 1970.
    domain::rfc3339(u64::try_from(ms).unwrap_or(0))
}

/// Milliseconds of such a text.
pub(super) fn ms_of_rfc3339(text: &str) -> Option<i64> {
    let time: DateTime = text.strip_suffix('Z')?.parse().ok()?;
    i64::try_from(time.duration_since(EPOCH).as_millis()).ok()
}

/// What PostgreSQL's driver takes for `timestamptz`.
pub(super) fn system_time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Milliseconds of what PostgreSQL's driver gives.
pub(super) fn ms_of_system_time(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_reads_back_up_to_the_end_of_9999() {
        let latest = writable_ms(TIME_MS_MAX).unwrap();
        assert_eq!(writable_ms(TIME_MS_MAX + 1), None);
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
            (latest, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(ms_of_rfc3339(text), Some(ms));
            assert_eq!(ms_of_system_time(system_time(ms)), ms);
        }
    }
}
