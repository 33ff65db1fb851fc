//! How a command ends: the exit codes of the command line, and which error has which.

use std::process::ExitCode;

use super::play::server::ServerEnded;
use crate::journal::JournalError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked for.
    Done = 0,
    /// It did, and a check failed.
    CheckFailed = 1,
    /// The command line, or a file named on it, is wrong.
    Usage = 2,
    /// The log is damaged.
    DamagedLog = 3,
    /// Another process has the data directory.
    InUse = 4,
    /// The machine, a server or a database did not play its part.
    Environment = 5,
}

/// The command line, or a file named on it, is wrong; says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Exit {
    /// The exit of a command that ended with this error.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if cause.is::<UsageError>() {
                return Self::Usage;
            }
            // A server that a command started tells for itself what was wrong.
            match cause.downcast_ref::<ServerEnded>().and_then(ServerEnded::code) {
                Some(3) => return Self::DamagedLog,
                Some(4) => return Self::InUse,
                _ => {}
            }
            if let Some(JournalError::Corrupt { .. }) = cause.downcast_ref::<JournalError>() {
                return Self::DamagedLog;
            }
        }
        Self::Environment
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
