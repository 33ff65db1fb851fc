//! A place in a log as a person names it: a sequence, a position, a time, or now.

use std::str::FromStr;

use super::exit::{Exit, failure};
use crate::domain::{Sequence, ms_of_rfc3339, rfc3339};
use crate::journal::{JournalRecords, Places, Position};

/// A place that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A record by its number.
    Sequence(Sequence),
    /// A record by the word that the world outside knows it by.
    Position(Position),
    /// A moment, in Unix milliseconds.
    Time(u64),
    /// The end of what is proven.
    Now,
}

/// A record that was asked for, without times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordPlace {
    /// By its number.
    Sequence(Sequence),
    /// By its position.
    Position(Position),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Ok(place) = text.parse::<RecordPlace>() {
            return Ok(place.into());
        }
        ms_of_rfc3339(text).map(Self::Time).map_err(|_| {
            "must be a sequence, a position such as p000g0…, or a time such as \
             2026-11-27T09:00:00Z"
                .to_owned()
        })
    }
}

impl FromStr for RecordPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Sequence(Sequence::new(number)));
        }
        let position = text.parse().map(Self::Position);
        position.map_err(|_| "must be a sequence, or a position such as p000g0…".to_owned())
    }
}

impl From<RecordPlace> for Place {
    fn from(place: RecordPlace) -> Self {
        match place {
            RecordPlace::Sequence(sequence) => Self::Sequence(sequence),
            RecordPlace::Position(position) => Self::Position(position),
        }
    }
}

impl RecordPlace {
    /// Its sequence in the log of these places.
    ///
    /// # Errors
    /// The position is of another log, or of another owner of this one.
    pub(super) fn sequence(self, places: &Places) -> anyhow::Result<Sequence> {
        match self {
            Self::Sequence(sequence) => Ok(sequence),
            Self::Position(position) => here(position, places, &position.to_string()),
        }
    }
}

/// The sequence of a position, which the person wrote as `word`.
///
/// # Errors
/// It is not of this log.
pub(super) fn here(position: Position, places: &Places, word: &str) -> anyhow::Result<Sequence> {
    let ours = places.position(position.sequence);
    if ours == position {
        return Ok(position.sequence);
    }
    let message = format!(
        "{word} is not of this log: it is of partition {}, epoch {}, and record {} here is of \
         partition {}, epoch {}; was the log restored since, or is it another one?",
        position.partition, position.epoch, position.sequence, ours.partition, ours.epoch
    );
    Err(failure(Exit::Usage, message))
}

/// A time flag.
///
/// # Errors
/// What is wrong with it.
pub(super) fn time(text: &str) -> Result<u64, String> {
    ms_of_rfc3339(text).map_err(str::to_owned)
}

/// Whether something can lie between `--since` and `--until`.
///
/// # Errors
/// Nothing can.
pub(super) fn check_window(since: Option<u64>, until: Option<u64>) -> anyhow::Result<()> {
    match since.zip(until) {
        Some((since, until)) if since > until => {
            let (since, until) = (rfc3339(since), rfc3339(until));
            let message = format!("--since {since} is after --until {until}: nothing lies between");
            Err(failure(Exit::Usage, message))
        }
        _ => Ok(()),
    }
}

/// The times of the first and the last record, in words.
///
/// # Errors
/// The log cannot be read.
pub(super) fn span(records: &mut JournalRecords) -> anyhow::Result<Option<(u64, u64)>> {
    let (first, last) = (records.first_sequence(), records.proven());
    let first_ms = records.timed(first)?.map(|(_, at_ms)| at_ms);
    let last_ms = records.time_upto(last)?;
    Ok(first_ms.zip(last_ms))
}

/// A time for people.
pub(super) fn shown(at_ms: u64) -> String {
    rfc3339(at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_in_every_form() {
        assert_eq!("now".parse(), Ok(Place::Now));
        assert_eq!("42".parse(), Ok(Place::Sequence(Sequence::new(42))));
        assert_eq!("1970-01-01T01:00:00.5+01:00".parse(), Ok(Place::Time(500)));
        let position = Position { partition: 1, epoch: 2, sequence: Sequence::new(42) };
        assert_eq!(position.to_string().parse(), Ok(Place::Position(position)));
        for wrong in ["", "-1", "yesterday", "p1", "2026-11-27"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong:?}");
        }
        assert!("1970-01-01T00:00:00Z".parse::<RecordPlace>().is_err());
    }
}
