//! Moments as text: RFC 3339, the one form outside.

use jiff::SignedDuration;
use jiff::civil::{DateTime, datetime};

use super::TIME_MS_MAX;

/// `2026-01-01T00:00:00`.
const SECOND_BYTES: usize = 19;

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

/// Unix milliseconds of RFC 3339 with any offset, from 1970 to 9999; what is finer is cut off.
///
/// # Errors
/// What is wrong with it, in words for whoever wrote it.
pub fn ms_of_rfc3339(text: &str) -> Result<u64, &'static str> {
    let at_ms =
        unix_ms(text).ok_or("must be RFC 3339 with an offset, such as \"2026-11-27T09:00:00Z\"")?;
    match u64::try_from(at_ms) {
        Ok(at_ms) if at_ms <= TIME_MS_MAX => Ok(at_ms),
        _ => Err("must lie between the years 1970 and 9999"),
    }
}

/// Strictly RFC 3339; jiff's own parser is wider.
fn unix_ms(text: &str) -> Option<i64> {
    let (second, rest) = text.as_bytes().split_at_checked(SECOND_BYTES)?;
    let shaped = |(place, byte): (usize, &u8)| match place {
        4 | 7 => *byte == b'-',
        10 => matches!(byte, b'T' | b't' | b' '),
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if !second.iter().enumerate().all(shaped) {
        return None;
    }
    let second: DateTime = std::str::from_utf8(second).ok()?.parse().ok()?;
    let (fraction_ms, offset) = match rest.split_first() {
        Some((b'.', rest)) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (digits, offset) = rest.split_at_checked(digits)?;
            let ms =
                digits.iter().chain(b"00").take(3).fold(0, |ms, d| ms * 10 + i64::from(d - b'0'));
            if digits.is_empty() {
                return None;
            }
            (ms, offset)
        }
        _ => (0, rest),
    };
    let since_ms = i64::try_from(second.duration_since(EPOCH).as_millis()).ok()?;
    Some(since_ms + fraction_ms - offset_ms(offset)?)
}

/// `Z`, or hours and minutes east of it.
fn offset_ms(offset: &[u8]) -> Option<i64> {
    let [sign, h1, h2, b':', m1, m2] = offset else {
        return matches!(offset, b"Z" | b"z").then_some(0);
    };
    let two = |tens: &u8, ones: &u8| {
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    let ms = (hours * 60 + minutes) * 60_000;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(ms),
        b'-' => Some(-ms),
        _ => None,
    }
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
