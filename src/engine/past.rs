//! The state of a partition as it was after some record: for tools that look back, beside a running
//! engine.
//!
//! Made as a start makes it: the newest snapshot before the place, then the records since; only what
//! the log proves to be durable.

use super::recovery::Recovered;
use super::snapshot::{FromSnapshot, Log, NoSnapshot, newest};
use crate::domain::Sequence;
use crate::journal::{Checkpoint, JournalError, JournalScan, Payload, decode, undecoded};

/// A state of the past.
pub struct Past {
    /// The state.
    pub recovered: Recovered,
    /// The snapshot it goes on from; `None`: it is made of all records from the first.
    pub snapshot: Option<String>,
}

/// Why a state of the past cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The log is damaged, of the future, or cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What came before the log's beginning is not known for that place.
    #[error(transparent)]
    NoSnapshot(#[from] NoSnapshot),
}

/// The oldest records that a state still names, by what names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// The oldest live hold.
    pub live_hold: Option<Sequence>,
    /// The oldest hold of which it is still known how it ended.
    pub ended_hold: Option<Sequence>,
    /// The oldest record of an idempotency key.
    pub key: Option<Sequence>,
}

/// The state after the record at `upto`, which must be proven to be durable. `progress` hears how
/// far it is.
///
/// # Errors
/// The log cannot be read up to there, or no longer begins early enough.
pub fn recover_past(
    scan: &JournalScan,
    upto: Sequence,
    keys_max: usize,
    progress: &mut dyn FnMut(Sequence),
) -> Result<Past, PastError> {
    let segments = scan.segments();
    let log = Log {
        identity: scan.identity(),
        first_sequence: Sequence::new(segments.first_sequence()),
        check_continues: &|checkpoint| segments.check_continues(checkpoint),
    };
    let found = newest(&scan.snapshots(), &log, upto, keys_max, &mut |_| {})?;
    let (mut recovered, from, snapshot) = match found {
        Some(FromSnapshot { recovered, head, file, .. }) => {
            (recovered, Some(head.checkpoint), Some(file))
        }
        None => (Recovered::new(keys_max), None, None),
    };
    progress(recovered.last_sequence);
    // Closed segments before the place are read whole, a thread ahead.
    if let Some(until) = end_of_closed(scan, upto, from.as_ref()) {
        recovered.replaying(|follow| {
            let mut visit = |sequence: Sequence, payload: &Payload| {
                if sequence.get().is_multiple_of(1024) {
                    progress(sequence);
                }
                follow(sequence, payload)
            };
            scan.replay_records_until(from.as_ref(), &until, &mut visit, &mut |_| {})
        })?;
    }
    follow_to(scan, upto, &mut recovered, progress)?;
    Ok(Past { recovered, snapshot })
}

/// Where the last segment begins that holds records up to `upto`, if that is behind `from`.
fn end_of_closed(
    scan: &JournalScan,
    upto: Sequence,
    from: Option<&Checkpoint>,
) -> Option<Checkpoint> {
    let headers = scan.segments().headers();
    let after = headers.partition_point(|header| header.first_sequence <= upto.get() + 1);
    let holding = headers.get(after.checked_sub(1)?)?;
    let until = scan.segments().checkpoint(holding.segment)?;
    let behind = from.is_none_or(|from| from.segment < until.segment);
    behind.then_some(until)
}

/// Applies the records up to `upto` that are not applied yet.
fn follow_to(
    scan: &JournalScan,
    upto: Sequence,
    recovered: &mut Recovered,
    progress: &mut dyn FnMut(Sequence),
) -> Result<(), PastError> {
    let next = Sequence::new(recovered.last_sequence.get() + 1);
    if next > upto {
        return Ok(());
    }
    let mut records = scan.again()?.records_from(next)?;
    while let Some(entry) = records.next_entry()? {
        let sequence = Sequence::new(entry.sequence);
        if sequence > upto {
            break;
        }
        let payload = decode(entry.payload).map_err(|error| undecoded(&entry, &error))?;
        recovered.follow(sequence, &payload).map_err(|reason| entry.corrupt(reason))?;
        if sequence.get().is_multiple_of(1024) {
            progress(sequence);
        }
    }
    Ok(())
}

impl Recovered {
    /// Idempotency keys that have not aged out by the time of the last record.
    #[must_use]
    pub fn keys(&self) -> u64 {
        let mut keys = 0;
        let counted = self.each_key(&mut |_| {
            keys += 1;
            Ok(())
        });
        counted.expect("counting does not fail");
        keys
    }

    /// The oldest records that this state still names: what answers are made of.
    #[must_use]
    pub fn named(&self) -> Named {
        let mut key = None;
        // The first is the oldest; there is no need to see the others.
        let _ = self.each_key(&mut |sequence| {
            key = Some(sequence);
            Err(())
        });
        let now_ms = self.last_ms.unwrap_or(0);
        let live_hold = self.inventory.holds().iter().map(|(hold, _)| hold).min();
        let ended_hold = self.inventory.end_states(now_ms).map(|end| end.hold).min();
        Named { live_hold, ended_hold, key }
    }

    fn each_key(&self, visit: &mut dyn FnMut(Sequence) -> Result<(), ()>) -> Result<(), ()> {
        let now_ms = self.last_ms.unwrap_or(0);
        self.idempotency.each_in_order(now_ms, &mut |_, sequence, _| visit(sequence))
    }
}
