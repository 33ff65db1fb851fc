//! Reading the log of a data directory, whole and without changing it; beside a running engine too.
//!
//! What is read may be newer than what is durable by one batch. Whoever has an answer in hand
//! finds its record here, because the record was durable before the answer was sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use doorbuster_wal::{DirStorage, Entry, Replayed};
use indicatif::{ProgressBar, ProgressStyle};

use crate::journal::{
    JournalError, JournalFiles, JournalIdentity, JournalScan, Payload, Places, decode,
};

/// A log whose headers are read and checked.
pub(super) struct Log {
    scan: JournalScan,
    identity: JournalIdentity,
}

/// Where the journal lies in a data directory.
pub(super) fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join(super::JOURNAL_DIR)
}

fn storage(directory: &Path) -> anyhow::Result<Arc<DirStorage>> {
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
    Ok(Log { scan, identity })
}

impl Log {
    /// The places of its records, as the world outside sees them.
    pub(super) fn places(&self) -> Places {
        self.scan.places().expect("a log that was opened has a segment")
    }

    /// Whose log it is.
    pub(super) fn identity(&self) -> JournalIdentity {
        self.identity
    }

    /// The log itself.
    pub(super) fn journal(&self) -> &JournalScan {
        &self.scan
    }

    /// Visits every record in order as bytes, behind a progress bar.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn scan(
        &self,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
    ) -> Result<Replayed, JournalError> {
        let bar = ProgressBar::new(self.scan.bytes_total());
        let style = "reading the log {bar:30} {bytes}/{total_bytes} {eta}";
        let style = ProgressStyle::with_template(style);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let replayed = self.scan.replay(visit, &mut |bytes| bar.set_position(bytes));
        bar.finish_and_clear();
        replayed
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
