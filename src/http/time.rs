//! Moments in JSON: RFC 3339. Out with milliseconds and `Z`; in with any offset, from 1970 to 9999.
//!
//! Writing costs a copy while the second is the same as last time on this thread.

use std::cell::Cell;

use crate::domain::{TIME_MS_MAX, rfc3339};

/// Reads a moment, in whole milliseconds.
pub(super) use crate::domain::ms_of_rfc3339 as read;

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
