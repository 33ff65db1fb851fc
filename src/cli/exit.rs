//! Exit codes: 0 done, 1 check failed, 2 usage, 3 damaged log, 4 in use, 5 environment.

use std::process::ExitCode;

use doorbuster_wal::{LockError, WalError};

use crate::config::ConfigError;
use crate::engine::{NoSnapshot, PastError, StartError};
use crate::journal::{ReadError, SnapshotError};
use crate::proof::ProofError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All of it was done and every check passed.
    Done = 0,
    /// It was done, and a check failed.
    CheckFailed = 1,
    /// It was asked for wrongly: arguments, settings, a file's form.
    Usage = 2,
    /// The log is damaged: nothing was changed.
    Damaged = 3,
    /// Another process holds the data directory.
    InUse = 4,
    /// The machine does not give what is needed: room, a port, a file, a newer binary.
    Environment = 5,
}

/// An error that knows its exit code, for what no other error says.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    exit: Exit,
    message: String,
}

/// An error with an exit code of its own.
pub(super) fn failure(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    Failure { exit, message: message.into() }.into()
}

/// The exit code of an error: by the first cause that knows one.
pub(super) fn exit_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(exit_of_cause).unwrap_or(Exit::Environment)
}

/// An error with its causes, as a person reads it.
pub(super) fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Errors of the log show their cause and have it.
        if !told.ends_with(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

fn exit_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.exit);
    }
    if cause.is::<ConfigError>() {
        return Some(Exit::Usage);
    }
    if let Some(error) = cause.downcast_ref::<LockError>() {
        let held = matches!(error, LockError::Held { .. });
        return Some(if held { Exit::InUse } else { Exit::Environment });
    }
    match cause.downcast_ref::<StartError>() {
        Some(StartError::Journal(error)) => return Some(exit_of_log(error)),
        Some(StartError::Snapshot(_) | StartError::Lost { .. }) => return Some(Exit::Damaged),
        _ => {}
    }
    match cause.downcast_ref::<PastError>() {
        Some(PastError::Journal(error)) => return Some(exit_of_log(error)),
        Some(PastError::NoSnapshot(_)) => return Some(Exit::Damaged),
        None => {}
    }
    match cause.downcast_ref::<ReadError>() {
        Some(ReadError::Journal(error)) => return Some(exit_of_log(error)),
        Some(ReadError::Decode { .. }) => return Some(Exit::Damaged),
        None => {}
    }
    if cause.is::<NoSnapshot>() {
        return Some(Exit::Damaged);
    }
    if let Some(error) = cause.downcast_ref::<SnapshotError>() {
        let damaged = matches!(error, SnapshotError::Damaged { .. });
        return Some(if damaged { Exit::Damaged } else { Exit::Environment });
    }
    if let Some(error) = cause.downcast_ref::<ProofError>() {
        return match error {
            ProofError::Journal(error) => Some(exit_of_log(error)),
            ProofError::Unknown { .. } | ProofError::NotProven { .. } => Some(Exit::Usage),
            ProofError::Pruned { .. } => Some(Exit::Environment),
            ProofError::File(_) => None,
        };
    }
    cause.downcast_ref::<WalError>().map(exit_of_log)
}

/// The exit code of an error of the log.
pub(super) fn exit_of_log(error: &WalError) -> Exit {
    match error {
        WalError::Corrupt { .. } => Exit::Damaged,
        WalError::Options(_) => Exit::Usage,
        _ => Exit::Environment,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn corrupt() -> WalError {
        let (file, reason) = ("segment".to_owned(), "x".to_owned());
        WalError::Corrupt { segment: 1, file, offset: 0, sequence: None, reason }
    }

    #[test]
    fn cause_that_its_error_shows_is_told_once() {
        let source = std::io::Error::from_raw_os_error(13);
        let error = WalError::Io { operation: "open", file: "f".to_owned(), source };
        let error = anyhow::Error::from(error).context("starting");
        assert_eq!(told(&error), "starting: cannot open f: Permission denied (os error 13)");
    }

    #[test]
    fn the_first_cause_that_knows_decides() {
        let code = |error: anyhow::Error| exit_of(&error);
        assert_eq!(code(corrupt().into()), Exit::Damaged);
        let wrapped: anyhow::Result<()> = Err(StartError::Journal(corrupt())).context("starting");
        assert_eq!(code(wrapped.unwrap_err()), Exit::Damaged);
        assert_eq!(code(LockError::Held { dir: "d".into() }.into()), Exit::InUse);
        assert_eq!(code(failure(Exit::CheckFailed, "no")), Exit::CheckFailed);
        assert_eq!(code(anyhow::anyhow!("port taken")), Exit::Environment);
        let room = WalError::NoRoom { needed_bytes: 2, free_bytes: 1 };
        assert_eq!(code(room.into()), Exit::Environment);
    }
}
