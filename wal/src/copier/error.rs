//! Why a log is not copied: which side it is, and whether they belong together.

use crate::WalError;

/// Errors of copying a log.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The log that is copied cannot be read, or is damaged.
    #[error("{0}")]
    Log(#[source] WalError),
    /// The copy cannot be read or written, or is damaged.
    #[error("in the copy: {0}")]
    Copy(#[source] WalError),
    /// There is no log to copy.
    #[error("there is no log yet")]
    Empty,
    /// The copy belongs to another journal.
    #[error("the copy belongs to another journal")]
    OtherJournal,
    /// One of them was restored since: each goes its own way from there.
    #[error("the copy is of the log in its epoch {copied}, which is in epoch {log} now")]
    OtherEpoch {
        /// The epoch that was copied.
        copied: u32,
        /// The log's.
        log: u32,
    },
    /// The copy has records that the log does not have.
    #[error("the copy has record {copied}, the log ends with {last}")]
    Ahead {
        /// A record that only the copy has.
        copied: u64,
        /// The log's last record.
        last: u64,
    },
    /// Copy and log went different ways.
    #[error("the copy has another segment {segment} than the log, or other records in it")]
    Diverged {
        /// The first segment that differs.
        segment: u64,
    },
    /// What would follow in the copy was pruned from the log.
    #[error(
        "the copy ends with record {copied}, the log begins with {first}: what is between was pruned"
    )]
    Gap {
        /// The copy's last record.
        copied: u64,
        /// The log's first record.
        first: u64,
    },
}

impl CopyError {
    /// Whether the copy's storage is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Copy(error) if error.is_full())
    }

    /// What the storage of one side said, and nothing about what the log is.
    #[must_use]
    pub fn is_io(&self) -> bool {
        matches!(
            self,
            Self::Log(WalError::Io { .. })
                | Self::Copy(WalError::Io { .. } | WalError::NoRoom { .. } | WalError::Poisoned)
        )
    }
}
