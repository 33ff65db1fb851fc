//! Taking one value from its text, with a reason when it is wrong.

use std::str::FromStr;
use std::time::Duration;

use super::Secret;

/// Why a text is not the value a setting needs. Never holds the text of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    /// A value of a form that no setting has.
    pub(super) fn form(form: &str) -> Self {
        Self(format!("must be a text or a whole number, is {form}"))
    }
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("must be text or json, is {other:?}")),
        }
    }
}

fn wrong(text: impl Into<String>) -> ValueError {
    ValueError(text.into())
}

/// Anything that reads itself from text.
pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ValueError> {
    if text.is_empty() {
        return Err(wrong("must not be empty"));
    }
    text.parse().map_err(|error| {
        let reason = format!("{error}");
        let told = reason.contains(text);
        wrong(if told { reason } else { format!("{reason}: {text:?}") })
    })
}

/// A number from 1 on.
pub(super) fn count<T: TryFrom<u64>>(text: &str) -> Result<T, ValueError> {
    let number = text.replace('_', "").parse::<u64>().ok().filter(|number| *number > 0);
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| wrong(format!("must be a whole number from 1 on, is {text:?}")))
}

/// Milliseconds, from 1 to a day.
pub(super) fn duration(text: &str) -> Result<Duration, ValueError> {
    match count::<u64>(text)? {
        ms @ ..=86_400_000 => Ok(Duration::from_millis(ms)),
        ms => Err(wrong(format!("must be at most 86400000 ms, is {ms}"))),
    }
}

/// Milliseconds of a hold, from 1 to 31 days.
pub(super) fn hold_ttl(text: &str) -> Result<Duration, ValueError> {
    match count::<u64>(text)? {
        ms @ ..=2_678_400_000 => Ok(Duration::from_millis(ms)),
        ms => Err(wrong(format!("must be at most 2678400000 ms (31 days), is {ms}"))),
    }
}

/// Bytes, bare or in KiB, MiB, GiB.
pub(super) fn bytes(text: &str) -> Result<u64, ValueError> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.iter().find_map(|(name, bits)| Some((text.strip_suffix(name)?, *bits)));
    let (digits, bits) = unit.unwrap_or((text, 0));
    let number = digits.trim_end().replace('_', "").parse::<u64>().ok();
    let number = number.and_then(|number| number.checked_mul(1 << bits));
    number.ok_or_else(|| wrong(format!("must be bytes such as 67108864 or 64MiB, is {text:?}")))
}

/// Bytes of a journal segment: two of the largest records fit one, and a start can hold one in memory.
pub(super) fn segment_bytes(text: &str) -> Result<u64, ValueError> {
    let bytes = bytes(text)?;
    match (1 << 20..=1 << 30).contains(&bytes) && bytes.is_multiple_of(4096) {
        true => Ok(bytes),
        false => Err(wrong(format!("must be 1MiB to 1GiB in steps of 4KiB, is {text:?}"))),
    }
}

/// Bytes of something kept in memory, from 1 on.
pub(super) fn bytes_in_memory(text: &str) -> Result<usize, ValueError> {
    let bytes = usize::try_from(bytes(text)?).ok().filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| wrong(format!("must be bytes from 1 on that memory can hold, is {text:?}")))
}

/// Text that is never shown; what it must be its user says.
pub(super) fn secret(text: &str) -> Result<Secret, ValueError> {
    parse::<String>(text).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_units_and_refuse_the_rest() {
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("1_024"), Ok(1024));
        assert_eq!(bytes("2 GiB"), Ok(2 << 30));
        for wrong in ["", "MiB", "64MB", "-1", "1.5GiB", "99999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn segments_have_bounds_and_steps() {
        assert_eq!(segment_bytes("1MiB"), Ok(1 << 20));
        assert_eq!(segment_bytes("1GiB"), Ok(1 << 30));
        for wrong in ["65536", "1048575", "1000000", "1MiB1", "1073745920", "1050000"] {
            assert!(segment_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_and_durations_have_bounds() {
        assert_eq!(count::<u32>("5"), Ok(5));
        assert!(count::<u32>("0").is_err() && count::<u32>("5000000000").is_err());
        assert!(duration("86400001").is_err());
        assert_eq!(duration("1500"), Ok(Duration::from_millis(1500)));
    }
}
