//! The state of a partition as a snapshot's rows, and back.
//!
//! What has aged out by the time of the last record is left out wherever it still lies in memory, so
//! that every way to a state gives the same rows and the same state hash. Rows from a disk are
//! checked as records are: what cannot be is an error, never a panic.

use super::recovery::Recovered;
use crate::domain::{Restoring, Sequence, TIME_MS_MAX};
use crate::journal::{
    Checkpoint, JournalIdentity, KeyState, Opening, Planted, SnapshotError, SnapshotHead,
    SnapshotReader, SnapshotRow, SnapshotWriter, Snapshots, StateHash, planted,
};

/// A state that was read from a snapshot.
pub struct FromSnapshot {
    /// The state.
    pub recovered: Recovered,
    /// Where it lies in the log.
    pub head: SnapshotHead,
    /// Its hash.
    pub state_hash: StateHash,
    /// Its file, from the log's directory on.
    pub file: String,
}

/// Why no snapshot of a log can be used, or none may be.
#[derive(Debug, thiserror::Error)]
pub enum NoSnapshot {
    /// The log that a sound snapshot was made of is not the one there is: something of it is gone
    /// or was changed.
    #[error("{file} does not fit the log: {reason}")]
    Contradiction {
        /// Its file.
        file: String,
        /// What does not fit.
        reason: String,
    },
    /// There are snapshots of a log, and no log.
    #[error("there is no log, but {file} was made of one: its segments are gone")]
    WithoutLog {
        /// The newest one's file.
        file: String,
    },
    /// The log was pruned, and nothing but a snapshot says what came before its beginning.
    #[error(
        "the log begins with record {first_sequence}, and no snapshot says what came before it{}",
        .tried.iter().map(|reason| format!("; {reason}")).collect::<String>()
    )]
    Pruned {
        /// Where the log begins.
        first_sequence: u64,
        /// Why each snapshot cannot be used.
        tried: Vec<String>,
    },
}

impl NoSnapshot {
    /// Nothing is damaged: what a state of that place is made of was pruned.
    #[must_use]
    pub fn is_pruned_alone(&self) -> bool {
        matches!(self, Self::Pruned { tried, .. } if tried.is_empty())
    }
}

impl Recovered {
    /// Writes its rows.
    ///
    /// # Errors
    /// The storage's.
    pub fn write_rows(&self, writer: &mut SnapshotWriter) -> Result<(), SnapshotError> {
        let (inventory, now_ms) = (&self.inventory, self.last_ms.unwrap_or(0));
        writer.row(&SnapshotRow::Selling(inventory.selling_paused()))?;
        let id = |handle| {
            let entry = self.directory.entry_by_handle(handle);
            entry.expect("each product was entered").id().clone()
        };
        for row in inventory.product_states(id) {
            writer.row(&SnapshotRow::Product(Box::new(row)))?;
        }
        for row in inventory.count_states() {
            writer.row(&SnapshotRow::Count(row))?;
        }
        for row in inventory.hold_states() {
            writer.row(&SnapshotRow::Hold(Box::new(row)))?;
        }
        let no_ends = planted(Planted::SnapshotWithoutEnds);
        for row in inventory.end_states(now_ms).filter(|_| !no_ends) {
            writer.row(&SnapshotRow::End(row))?;
        }
        for row in inventory.return_states() {
            writer.row(&SnapshotRow::Return(row))?;
        }
        self.idempotency.each_in_order(now_ms, &mut |stamp, sequence, decided_at_ms| {
            writer.row(&SnapshotRow::Key(KeyState { stamp, sequence, decided_at_ms }))
        })
    }

    /// SHA-256 of its rows: the same for the same state, whatever way it came to be.
    #[must_use]
    pub fn state_hash(&self) -> StateHash {
        let mut writer = SnapshotWriter::of_hash();
        let hashed = self.write_rows(&mut writer).and_then(|()| writer.finish());
        hashed.expect("a hash is written nowhere")
    }

    /// Puts a state together from a snapshot. `progress` hears how many bytes are read.
    ///
    /// # Errors
    /// The snapshot is damaged, or its rows cannot be a state.
    pub fn from_snapshot(
        mut reader: SnapshotReader,
        keys_max: usize,
        progress: &mut dyn FnMut(u64),
    ) -> Result<FromSnapshot, SnapshotError> {
        let (head, file) = (*reader.head(), reader.name().to_owned());
        let mut recovered = Self::new(keys_max);
        let mut rows = Rows { restoring: None, recovered: &mut recovered, last_key: 0, head };
        while let Some(row) = reader.next()? {
            rows.take(row).map_err(|reason| reader.damaged_row(&reason))?;
            progress(reader.bytes_read());
        }
        let restoring = rows.restoring;
        let restoring = restoring.ok_or_else(|| reader.damaged_row("it has no rows"))?;
        let inventory = restoring.finish();
        recovered.inventory = inventory.map_err(|error| reader.damaged_row(&error.to_string()))?;
        recovered.last_ms = head.last_ms;
        recovered.last_sequence = Sequence::new(head.checkpoint.sequence);
        let state_hash = reader.state_hash().expect("it was read to its end");
        Ok(FromSnapshot { recovered, head, state_hash, file })
    }
}

/// Rows being taken.
struct Rows<'a> {
    restoring: Option<Restoring>,
    recovered: &'a mut Recovered,
    last_key: u64,
    head: SnapshotHead,
}

impl Rows<'_> {
    fn take(&mut self, row: SnapshotRow) -> Result<(), String> {
        let restoring = match (row, &mut self.restoring) {
            (SnapshotRow::Selling(paused), none @ None) => {
                if self.head.last_ms > Some(TIME_MS_MAX) {
                    return Err("its time is after the year 9999".to_owned());
                }
                *none = Some(Restoring::new(paused));
                return Ok(());
            }
            (SnapshotRow::Selling(_), Some(_)) => return Err("selling stands there twice".into()),
            (_, None) => return Err("selling does not stand first".to_owned()),
            (row, Some(restoring)) => (row, restoring),
        };
        let (row, restoring) = restoring;
        let taken = match row {
            SnapshotRow::Product(row) => {
                if self.recovered.directory.entry(row.product_id.as_str()).is_some() {
                    return Err(format!("product {} stands there twice", row.product_id));
                }
                let taken = restoring.product(&row);
                if taken.is_ok() {
                    self.recovered.directory.enter(row.product_id, row.handle);
                }
                taken
            }
            SnapshotRow::Count(row) => restoring.count(row),
            SnapshotRow::Hold(row) => restoring.hold(*row),
            SnapshotRow::End(row) => restoring.end(row),
            SnapshotRow::Return(row) => restoring.returned(row),
            SnapshotRow::Key(row) => return self.key(row),
            SnapshotRow::Selling(_) => unreachable!("it was taken above"),
        };
        taken.map_err(|error| error.to_string())
    }

    fn key(&mut self, row: KeyState) -> Result<(), String> {
        let KeyState { stamp, sequence, decided_at_ms } = row;
        let last = std::mem::replace(&mut self.last_key, sequence.get());
        if sequence.get() <= last || sequence.get() > self.head.checkpoint.sequence {
            return Err(format!("the key of record {sequence} is not in order"));
        }
        if Some(decided_at_ms) > self.head.last_ms {
            return Err(format!("the key of record {sequence} is of later than the last record"));
        }
        self.recovered.idempotency.replay(&stamp, sequence, decided_at_ms);
        Ok(())
    }
}

/// The newest snapshot, of `upto` or earlier, that an opened log goes on from; `None`: there is none, and the log has all
/// from the first record on. What is damaged is told and passed over.
///
/// # Errors
/// The log has to be looked at by a person.
pub(super) fn newest(
    snapshots: &Snapshots,
    log: &Log<'_>,
    upto: Sequence,
    keys_max: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<FromSnapshot>, NoSnapshot> {
    let mut tried = Vec::new();
    let mut skip = |reason: String| {
        tracing::warn!(%reason, "a snapshot cannot be used; the one before it, or the log, is");
        tried.push(reason);
    };
    let sequences = snapshots.list().unwrap_or_else(|error| {
        skip(error.to_string());
        Vec::new()
    });
    if let (None, Some(newest)) = (log.identity, sequences.first()) {
        return Err(NoSnapshot::WithoutLog { file: snapshots.path_of(*newest) });
    }
    for sequence in sequences.into_iter().filter(|sequence| *sequence <= upto) {
        let reader = match snapshots.open(sequence) {
            Ok(reader) => reader,
            Err(error) => {
                skip(error.to_string());
                continue;
            }
        };
        let (file, checkpoint) = (reader.name().to_owned(), reader.head().checkpoint);
        if log.identity.is_none_or(|ours| !is_same_journal(ours, checkpoint.identity)) {
            skip(format!("{file} belongs to another journal"));
            continue;
        }
        let fits = (log.check_continues)(&checkpoint);
        match Recovered::from_snapshot(reader, keys_max, progress) {
            // Its bytes are sound, so it is the log that has changed.
            Ok(found) => match fits {
                Ok(()) => return Ok(Some(found)),
                Err(reason) => return Err(NoSnapshot::Contradiction { file, reason }),
            },
            Err(error) => skip(error.to_string()),
        }
    }
    let first_sequence = log.first_sequence.get();
    match first_sequence {
        1 => Ok(None),
        first_sequence => Err(NoSnapshot::Pruned { first_sequence, tried }),
    }
}

/// However new a snapshot is.
pub(super) const ANY: Sequence = Sequence::new(u64::MAX);

/// What has to be known of a log to choose a snapshot.
pub(super) struct Log<'a> {
    pub(super) identity: Option<JournalIdentity>,
    pub(super) first_sequence: Sequence,
    pub(super) check_continues: &'a dyn Fn(&Checkpoint) -> Result<(), String>,
}

/// The newest snapshot that an opening log goes on from.
///
/// # Errors
/// As [`newest`].
pub(super) fn newest_of(
    opening: &Opening,
    keys_max: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<FromSnapshot>, NoSnapshot> {
    let log = Log {
        identity: opening.identity(),
        first_sequence: opening.first_sequence(),
        check_continues: &|checkpoint| opening.check_continues(checkpoint),
    };
    newest(&opening.snapshots(), &log, ANY, keys_max, progress)
}

fn is_same_journal(ours: JournalIdentity, theirs: JournalIdentity) -> bool {
    ours.journal_id == theirs.journal_id && ours.partition == theirs.partition
}
