//! `--until`: a record, or a time, and which record that is.

use std::str::FromStr;
use std::sync::Arc;

use doorbuster_wal::{DirStorage, Storage};

use crate::cli::bar;
use crate::cli::exit::{Exit, failure};
use crate::domain::Sequence;
use crate::journal::JournalScan;

/// Where a log is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// After this record.
    Sequence(u64),
    /// After the last record decided at or before this time.
    Time(u64),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(sequence) = text.parse() {
            return Ok(Self::Sequence(sequence));
        }
        let time = text.parse::<jiff::Timestamp>().map_err(|_| {
            "must be a sequence, such as 1200, or a time, such as 2026-11-27T08:00:00Z".to_owned()
        })?;
        let ms = u64::try_from(time.as_millisecond());
        ms.map(Self::Time).map_err(|_| "must be a time after 1970".to_owned())
    }
}

/// The time of milliseconds since 1970, as text.
pub(super) fn rfc3339(ms: u64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(format!("{time:.3}"))
}

impl Until {
    /// The last record to keep, of a log from `first` to `last`.
    ///
    /// # Errors
    /// There is none; the log is damaged.
    pub(super) fn cut(
        self,
        log: &Arc<DirStorage>,
        first: u64,
        last: u64,
        from: &str,
    ) -> anyhow::Result<u64> {
        match self {
            Self::Sequence(sequence) if (first..=last).contains(&sequence) => Ok(sequence),
            Self::Sequence(sequence) => {
                let message = format!("--until {sequence}: {from} has records {first} to {last}");
                Err(failure(Exit::Usage, message))
            }
            Self::Time(until_ms) => {
                let at = rfc3339(until_ms).unwrap_or_default();
                last_at(log, until_ms)?.ok_or_else(|| {
                    let message = format!("--until {at}: every record of {from} is later");
                    failure(Exit::Usage, message)
                })
            }
        }
    }
}

/// The last record that was decided at or before a time.
fn last_at(log: &Arc<DirStorage>, until_ms: u64) -> anyhow::Result<Option<u64>> {
    let scan = JournalScan::open(Arc::clone(log) as Arc<dyn Storage>)?;
    let (bar, mut found) = (bar::over_bytes(scan.bytes_total(), "looking for the time"), None);
    let visit = &mut |sequence: Sequence, payload: &crate::journal::Payload| {
        if payload.at_ms().is_some_and(|at_ms| at_ms <= until_ms) {
            found = Some(sequence.get());
        }
        Ok(())
    };
    let replayed = scan.replay_records(None, visit, &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    replayed?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_a_sequence_or_a_time() {
        assert_eq!("1200".parse(), Ok(Until::Sequence(1200)));
        assert_eq!("1970-01-01T00:00:01.5Z".parse(), Ok(Until::Time(1500)));
        assert_eq!("1970-01-01T02:00:01+02:00".parse(), Ok(Until::Time(1000)));
        for wrong in ["", "-1", "yesterday", "2026-11-27", "1969-12-31T23:59:59Z"] {
            assert!(wrong.parse::<Until>().is_err(), "{wrong}");
        }
        assert_eq!(rfc3339(1500).as_deref(), Some("1970-01-01T00:00:01.500Z"));
    }
}
