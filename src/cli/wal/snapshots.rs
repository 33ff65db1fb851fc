//! The snapshots of a log, each read to its end: whether a start could go on from it.

use serde::Serialize;

use crate::cli::bar;
use crate::cli::hex;
use crate::cli::log::{Log, journal_dir};
use crate::domain::rfc3339;
use crate::journal::{Checkpoint, SnapshotError, SnapshotReader, StateHash};

/// A snapshot, and what is known of it.
#[derive(Debug, Serialize)]
pub(super) struct SnapshotJson {
    pub(super) file: String,
    pub(super) sequence: u64,
    bytes: u64,
    /// Time of the last record before it.
    at: Option<String>,
    state_hash: Option<String>,
    pub(super) verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip)]
    pub(super) checkpoint: Option<Checkpoint>,
    #[serde(skip)]
    hash: Option<StateHash>,
}

/// What a snapshot is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Its bytes are whole and it fits the log.
    Sound,
    /// And the records before it make the same state.
    Proven,
    /// A start passes it over.
    Damaged,
    /// Whole, and of another log than this one: a start refuses.
    ForeignState,
}

/// Reads every snapshot of the log. What cannot be read is told in its place.
///
/// # Errors
/// They cannot be listed.
pub(super) fn look_at(log: &Log) -> Result<Vec<SnapshotJson>, SnapshotError> {
    let snapshots = log.journal().snapshots();
    let mut found = Vec::new();
    for sequence in snapshots.list()? {
        let read = snapshots.open(sequence);
        // A running engine has a newer one and removed it.
        if let Err(SnapshotError::Io { source, .. }) = &read
            && source.kind() == std::io::ErrorKind::NotFound
        {
            continue;
        }
        let file = format!("snapshots/snapshot-{:020}.bin", sequence.get());
        // Of one whose head cannot be read, the file's length is all there is.
        let length = journal_dir(log.data_dir()).join(&file).metadata();
        let mut json = SnapshotJson {
            file,
            sequence: sequence.get(),
            bytes: length.map_or(0, |found| found.len()),
            at: None,
            state_hash: None,
            verdict: Verdict::Sound,
            reason: None,
            checkpoint: None,
            hash: None,
        };
        match read.and_then(|reader| json.read(reader)) {
            Ok(checkpoint) => json.compare(log, checkpoint),
            Err(error) => json.is(Verdict::Damaged, error.to_string()),
        }
        found.push(json);
    }
    Ok(found)
}

impl SnapshotJson {
    fn read(&mut self, mut reader: SnapshotReader) -> Result<Checkpoint, SnapshotError> {
        let bar = bar::over_bytes(reader.bytes(), "reading a snapshot");
        self.at = reader.head().last_ms.map(rfc3339);
        let mut rows = 0u64;
        while reader.next()?.is_some() {
            rows += 1;
            if rows.is_multiple_of(4096) {
                bar.set_position(reader.bytes_read());
            }
        }
        bar.finish_and_clear();
        self.hash = reader.state_hash();
        self.state_hash = self.hash.map(|hash| hex(&hash));
        Ok(reader.head().checkpoint)
    }

    fn compare(&mut self, log: &Log, checkpoint: Checkpoint) {
        self.checkpoint = Some(checkpoint);
        if let Err(reason) = log.journal().segments().check_continues(&checkpoint) {
            // A start passes over what is of another journal; what fits no more is another thing.
            let ours = log.identity().journal_id == checkpoint.identity.journal_id;
            self.is(if ours { Verdict::ForeignState } else { Verdict::Damaged }, reason);
        }
    }

    /// The records before it were applied: whether they make its state.
    pub(super) fn check_state(&mut self, state_hash: &StateHash) {
        if self.verdict != Verdict::Sound {
            return;
        }
        match self.hash == Some(*state_hash) {
            true => self.verdict = Verdict::Proven,
            false => {
                let reason = format!("the records before it make state {}", hex(state_hash));
                self.is(Verdict::ForeignState, reason);
            }
        }
    }

    fn is(&mut self, verdict: Verdict, reason: String) {
        (self.verdict, self.reason) = (verdict, Some(reason));
    }

    /// Whether a start can go on from it.
    pub(super) fn is_usable(&self) -> bool {
        matches!(self.verdict, Verdict::Sound | Verdict::Proven)
    }

    /// As a person sees it.
    pub(super) fn row(&self) -> [String; 5] {
        let hash = self.state_hash.as_ref().and_then(|hash| hash.get(..16)).unwrap_or("-");
        let reason = self.reason.as_deref().unwrap_or_default();
        let verdict = match self.verdict {
            Verdict::Sound => "sound".to_owned(),
            Verdict::Proven => "sound, and the state of its records".to_owned(),
            Verdict::Damaged => format!("damaged, a start passes it over: {reason}"),
            Verdict::ForeignState => format!("not of this log: {reason}"),
        };
        let (sequence, bytes) = (self.sequence.to_string(), self.bytes.to_string());
        [self.file.clone(), sequence, bytes, hash.to_owned(), verdict]
    }
}
