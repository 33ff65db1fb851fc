//! Moments in JSON: RFC 3339. Out with milliseconds and `Z`; in with any offset, from 1970 to 9999.
//!
//! Writing costs a copy while the second is the same as last time on this thread.

use std::cell::Cell;

use jiff::civil::DateTime;

use crate::domain::{EPOCH, TIME_MS_MAX, rfc3339};

/// `2026-01-01T00:00:00`.
const SECOND_BYTES: usize = 19;

thread_local! {
    static LAST: Cell<(u64, [u8; SECOND_BYTES])> = const { Cell::new((u64::MAX, [0; SECOND_BYTES])) };
}

/// Appends a moment; those past the year 9999, which no record holds, are written as its end.
pub(super) fn write(at_ms: u64, out: &mut Vec<u8>) {
    let at_ms = at_ms.min(TIME_MS_MAX);
    let (second, ms) = (at_ms / 1000, at_ms % 1000);
    let (last, text) = LAST.get();
    let text = if last == second {
        text
    } else {
        let text = text_of(second);
        LAST.set((second, text));
        text
    };
    out.extend_from_slice(&text);
    let digit = |value: u64| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms), b'Z']);
}

fn text_of(second: u64) -> [u8; SECOND_BYTES] {
    let text = rfc3339(second * 1000);
    let mut bytes = [b'0'; SECOND_BYTES];
    bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

/// Reads a moment, in whole milliseconds; what is finer is cut off.
///
/// # Errors
/// What is wrong with it, in words for the client.
pub(super) fn read(text: &str) -> Result<u64, &'static str> {
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

    fn written(at_ms: u64) -> String {
        let mut out = Vec::new();
        write(at_ms, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_read_back() {
        for at_ms in [0, 1, 999, 1_000, 1_767_225_600_007, 1_767_225_600_120, TIME_MS_MAX] {
            assert_eq!(read(&written(at_ms)), Ok(at_ms), "{}", written(at_ms));
        }
        assert_eq!(written(1_767_225_600_007), "2026-01-01T00:00:00.007Z");
        assert_eq!(written(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn only_rfc_3339_between_1970_and_9999_is_read() {
        assert_eq!(read("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(read("2026-01-01t00:00:00.1239z"), Ok(1_767_225_600_123));
        assert_eq!(read("2026-01-01 00:00:00.5-00:30"), Ok(1_767_227_400_500));
        assert_eq!(read("9999-12-31T23:59:59.999999Z"), Ok(TIME_MS_MAX));
        for wrong in [
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "2026-01-01",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00[UTC]",
            "2026-01-01T00:00:00Z[UTC]",
            "2026-02-30T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00Z ",
            "1767225600",
            "",
            "ä",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
