//! Reading the log of a data directory, whole and without changing it; beside a running engine too.
//!
//! What is read may be newer than what is durable by one batch. Whoever has an answer in hand
//! finds its record here, because the record was durable before the answer was sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use doorbuster_wal::{DirStorage, Entry, Replayed};

use crate::domain::Sequence;
use crate::journal::{
    JournalError, JournalFiles, JournalIdentity, JournalRecords, JournalScan, Payload, Places,
    decode,
};

/// A log whose headers are read and checked.
pub(super) struct Log {
    data_dir: PathBuf,
    scan: JournalScan,
    identity: JournalIdentity,
}

/// Where the journal lies in a data directory.
pub(super) fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join(super::JOURNAL_DIR)
}

/// The files of the journal of a data directory; it must be there.
///
/// # Errors
/// There is none.
pub(super) fn storage(directory: &Path) -> anyhow::Result<Arc<DirStorage>> {
    let storage = DirStorage::open_existing(directory).with_context(|| {
        format!("no journal in {}: name the data directory with --data-dir", directory.display())
    })?;
    Ok(Arc::new(storage))
}

/// Looks how far the log of a data directory is proven to be durable; it must be there.
///
/// # Errors
/// There is none, or it is damaged where it ends.
pub(super) fn look_at(data_dir: &Path) -> anyhow::Result<JournalFiles> {
    let directory = journal_dir(data_dir);
    JournalFiles::look(storage(&directory)?)?.with_context(|| {
        format!("no segments in {}: is it the right data directory?", directory.display())
    })
}

/// Opens the log of a data directory; it must be there.
///
/// # Errors
/// There is none, or a header is damaged.
pub(super) fn open_log(data_dir: &Path) -> anyhow::Result<Log> {
    let directory = journal_dir(data_dir);
    let storage = storage(&directory)?;
    let scan = JournalScan::open(storage)?;
    // A directory without segments is no log that is sound: more likely the wrong place.
    let identity = scan.identity().with_context(|| {
        format!("no segments in {}: is it the right data directory?", directory.display())
    })?;
    Ok(Log { data_dir: data_dir.to_owned(), scan, identity })
}

impl Log {
    /// The data directory, as it was given.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The places of its records, as the world outside sees them.
    pub(super) fn places(&self) -> Places {
        self.scan.places().expect("a log that was opened has a segment")
    }

    /// Whose log it is.
    pub(super) fn identity(&self) -> JournalIdentity {
        self.identity
    }

    /// The log itself, to be used up.
    pub(super) fn into_journal(self) -> JournalScan {
        self.scan
    }

    /// The log itself.
    pub(super) fn journal(&self) -> &JournalScan {
        &self.scan
    }

    /// Its records from `sequence` on, as far as they are proven to be durable now.
    ///
    /// # Errors
    /// The log is damaged where it ends, or cannot be read.
    pub(super) fn records_from(&self, sequence: Sequence) -> Result<JournalRecords, JournalError> {
        let mut records = self.scan.again()?.records_from(sequence)?;
        // What the last look found half written may be whole.
        records.look_again()?;
        Ok(records)
    }

    /// Visits every record in order, decoded; `progress` hears how many bytes are read.
    ///
    /// # Errors
    /// The log is damaged, a record does not decode, or `visit` says what is wrong with one.
    pub(super) fn read(
        &self,
        visit: &mut dyn FnMut(&Entry<'_>, Payload) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        let mut decoded = |entry: &Entry<'_>| {
            let payload = decode(entry.payload).map_err(|error| error.to_string())?;
            visit(entry, payload)
        };
        self.scan.replay(&mut decoded, progress)
    }
}
