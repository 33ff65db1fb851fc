//! Why the log cannot go on: one variant per thing the caller can do.

use std::io;

/// Errors of opening, reading and writing a log.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// Refuse to start and show the place to a person: what was durable is damaged.
    #[error(
        "the log is damaged: {file} at offset {offset}{}: {reason}",
        .sequence.map(|s| format!(", sequence {s}")).unwrap_or_default()
    )]
    Corrupt {
        /// Number of the segment.
        segment: u64,
        /// Its file.
        file: String,
        /// Where in it.
        offset: u64,
        /// Which record, where that is known.
        sequence: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// Use a newer binary.
    #[error("{file} has format {found}, this binary reads up to {supported}: use a newer one")]
    FormatFromFuture {
        /// Which file.
        file: String,
        /// Format of the file.
        found: u32,
        /// Newest format this binary reads.
        supported: u32,
    },
    /// Use a newer binary: the frame is sound, whoever reads its payload does not know it.
    #[error("{file} at offset {offset}, sequence {sequence}: {reason}: use a newer one")]
    RecordFromFuture {
        /// Its file.
        file: String,
        /// Where in it.
        offset: u64,
        /// Which record.
        sequence: u64,
        /// What it is, and what is known.
        reason: String,
    },
    /// Make room: a start needs a fresh segment, and a copy of what it cuts.
    #[error("{needed_bytes} bytes for a segment are needed, {free_bytes} are free")]
    NoRoom {
        /// Bytes needed.
        needed_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
    },
    /// Put the options right.
    #[error("{0}")]
    Options(String),
    /// Restart: an earlier write or sync failed, what became of it only a start can tell.
    #[error("an earlier write or sync failed")]
    Poisoned,
    /// The storage does not do what it should.
    #[error("cannot {operation} {file}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the storage says.
        source: io::Error,
    },
}

impl WalError {
    /// Whether the storage is full: by its size or by a quota.
    pub(crate) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::NoRoom { .. } => true,
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }

    /// For `map_err`: names the operation and the file.
    pub(crate) fn io(operation: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { operation, file, source }
    }
}
