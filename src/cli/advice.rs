//! What a person does next after an error about a log: the exact command, with the data directory as
//! it was given.
//!
//! Called by: every command that opens a log, and the start. An error that says enough by itself is
//! left as it is.

use std::path::Path;

use doorbuster_wal::LockError;

use super::exit::{Failure, exit_of, failure, told};
use crate::engine::{ClockError, NoSnapshot, PastError, StartError};
use crate::journal::{JournalError, ReadError, SnapshotError};
use crate::proof::ProofError;

/// What was tried when the error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// To start the engine.
    Start,
    /// To read the log.
    Read,
    /// To check the log: who is told to check it has done so.
    Verify,
}

/// What it is about.
enum Trouble<'a> {
    Log(&'a JournalError),
    NoSnapshot,
    /// Something that was made of the log is there, and the log is not, or not whole.
    Lost,
    Snapshot(&'a SnapshotError),
    Clock(&'a ClockError),
    Lock(&'a LockError),
}

/// Adds the next command to an error. Keeps its exit code.
pub(super) fn explained(error: anyhow::Error, tried: Tried, data_dir: &Path) -> anyhow::Error {
    if error.chain().any(|cause| cause.is::<Failure>()) {
        return error;
    }
    let Some(advice) = error.chain().find_map(trouble).and_then(|it| advice(&it, tried, data_dir))
    else {
        return error;
    };
    let message = format!("{}: {advice}", told(&error));
    failure(exit_of(&error), message)
}

/// Reads the log of `data_dir`; an error names the next command.
///
/// # Errors
/// Those of `work`.
pub(super) fn reading<T>(
    data_dir: &Path,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    work().map_err(|error| explained(error, Tried::Read, data_dir))
}

fn trouble<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<Trouble<'a>> {
    match cause.downcast_ref::<StartError>() {
        Some(StartError::Journal(error)) => return Some(Trouble::Log(error)),
        Some(StartError::Snapshot(NoSnapshot::WithoutLog { .. }) | StartError::Lost { .. }) => {
            return Some(Trouble::Lost);
        }
        Some(StartError::Snapshot(_)) => return Some(Trouble::NoSnapshot),
        Some(StartError::Clock(error)) => return Some(Trouble::Clock(error)),
        _ => {}
    }
    match cause.downcast_ref::<PastError>() {
        Some(PastError::Journal(error)) => return Some(Trouble::Log(error)),
        Some(PastError::NoSnapshot(_)) => return Some(Trouble::NoSnapshot),
        None => {}
    }
    if let Some(ProofError::Journal(error)) = cause.downcast_ref::<ProofError>() {
        return Some(Trouble::Log(error));
    }
    if let Some(ReadError::Journal(error)) = cause.downcast_ref::<ReadError>() {
        return Some(Trouble::Log(error));
    }
    let log = cause.downcast_ref::<JournalError>().map(Trouble::Log);
    let no_snapshot = || cause.is::<NoSnapshot>().then_some(Trouble::NoSnapshot);
    let snapshot = || cause.downcast_ref::<SnapshotError>().map(Trouble::Snapshot);
    let lock = || cause.downcast_ref::<LockError>().map(Trouble::Lock);
    log.or_else(no_snapshot).or_else(snapshot).or_else(lock)
}

fn advice(trouble: &Trouble<'_>, tried: Tried, data_dir: &Path) -> Option<String> {
    let dir = quoted(data_dir);
    Some(match trouble {
        Trouble::Log(error) => of_log(error, tried, data_dir)?,
        Trouble::NoSnapshot | Trouble::Snapshot(SnapshotError::Damaged { .. }) => {
            look_closer(tried, data_dir)
        }
        Trouble::Lost => format!(
            "nothing was changed and nothing is sold; is the log's disk mounted? `ls -la {dir}/journal` \
             shows what is there. Put the newest log back; without it, move this directory away with \
             `mv {dir} {dir}.lost` and `doorbuster restore --from BACKUP --data-dir {dir}`, where BACKUP may \
             be {dir}.lost itself if it has an older copy: what is restored gives no order id twice"
        ),
        Trouble::Snapshot(SnapshotError::FromFuture { .. }) => newer_binary(),
        Trouble::Snapshot(SnapshotError::Io { .. }) => format!("next: `ls -la {dir}/journal`"),
        Trouble::Clock(ClockError { wall_ms, last_ms }) => format!(
            "put the clock right (`date -u` shows it), or, if it is right, start with \
             `doorbuster serve --data-dir {dir} --accept-clock {wall_ms},{last_ms}` and the other \
             settings it had"
        ),
        Trouble::Lock(LockError::Held { .. }) => {
            format!("`fuser -v {dir}/LOCK` names the process")
        }
        Trouble::Lock(LockError::Io { .. }) => format!("next: `ls -la {dir}`"),
    })
}

fn of_log(error: &JournalError, tried: Tried, data_dir: &Path) -> Option<String> {
    let dir = quoted(data_dir);
    Some(match error {
        JournalError::Corrupt { .. } => look_closer(tried, data_dir),
        JournalError::FormatFromFuture { .. } | JournalError::RecordFromFuture { .. } => {
            newer_binary()
        }
        JournalError::NoRoom { .. } => {
            format!("nothing was changed; make room: `df -h {dir}` shows what there is")
        }
        JournalError::Options(_) => "next: `doorbuster config show` says where it is set".into(),
        JournalError::Poisoned => {
            format!("next: `doorbuster serve --data-dir {dir}` finds out what became of it")
        }
        JournalError::Io { .. } if tried == Tried::Start => {
            format!("nothing was sold; next: `ls -la {dir}/journal`")
        }
        JournalError::Io { .. } => return None,
    })
}

fn newer_binary() -> String {
    "nothing was changed; `doorbuster --version` shows the version of this one".to_owned()
}

fn look_closer(tried: Tried, data_dir: &Path) -> String {
    let verify = format!(
        "`doorbuster wal verify --data-dir {}` names all that is damaged",
        quoted(data_dir)
    );
    match tried {
        Tried::Start => format!("nothing was changed and nothing is sold; next: {verify}"),
        Tried::Read => format!("next: {verify}"),
        Tried::Verify => restore(data_dir),
    }
}

/// How a directory that cannot be mended comes back.
pub(super) fn restore(data_dir: &Path) -> String {
    let dir = quoted(data_dir);
    format!(
        "nothing mends a log: move it away with `mv {dir} {dir}.damaged`, then \
         `doorbuster restore --from BACKUP --data-dir {dir}`. If one archived file is all that is damaged, \
         a backup's file of the same name in its place is the log as it was: verify again"
    )
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::domain::Sequence;

    fn corrupt() -> JournalError {
        let (file, reason) = ("segment-0000000002.wal".to_owned(), "x".to_owned());
        JournalError::Corrupt { segment: 2, file, offset: 4096, sequence: Some(7), reason }
    }

    /// Every refusal to start, with what must stand in its advice.
    fn refusals() -> Vec<(StartError, Exit, &'static str)> {
        let io = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let file = || "segment-0000000002.wal".to_owned();
        let future = JournalError::FormatFromFuture { file: file(), found: 2, supported: 1 };
        let record = JournalError::RecordFromFuture {
            file: file(),
            offset: 1,
            sequence: 2,
            reason: "kind 99".to_owned(),
        };
        let full = JournalError::NoRoom { needed_bytes: 2, free_bytes: 1 };
        let pruned = NoSnapshot::Pruned { first_sequence: 9, tried: Vec::new() };
        let other =
            NoSnapshot::Contradiction { file: "snapshots/s".to_owned(), reason: "y".to_owned() };
        let verify = "`doorbuster wal verify --data-dir '/a b'`";
        vec![
            (corrupt().into(), Exit::Damaged, verify),
            (future.into(), Exit::Environment, "`doorbuster --version`"),
            (record.into(), Exit::Environment, "`doorbuster --version`"),
            (full.into(), Exit::Environment, "`df -h '/a b'`"),
            (JournalError::Options("z".to_owned()).into(), Exit::Usage, "`doorbuster config show`"),
            (
                JournalError::Poisoned.into(),
                Exit::Environment,
                "`doorbuster serve --data-dir '/a b'`",
            ),
            (
                JournalError::Io { operation: "open", file: file(), source: io() }.into(),
                Exit::Environment,
                "`ls -la '/a b'/journal`",
            ),
            (pruned.into(), Exit::Damaged, verify),
            (other.into(), Exit::Damaged, verify),
            (
                NoSnapshot::WithoutLog { file: "snapshots/s".to_owned() }.into(),
                Exit::Damaged,
                "`ls -la '/a b'/journal`",
            ),
            (
                StartError::Lost { place: "p".to_owned(), seen: Sequence::new(7), last: 5 },
                Exit::Damaged,
                "`mv '/a b' '/a b'.lost`",
            ),
            (
                ClockError { wall_ms: 5, last_ms: 6 }.into(),
                Exit::Environment,
                "`doorbuster serve --data-dir '/a b' --accept-clock 5,6`",
            ),
        ]
    }

    #[test]
    fn each_refusal_to_start_names_the_next_command_and_keeps_its_exit() {
        for (error, exit, command) in refusals() {
            let said = error.to_string();
            let told = explained(error.into(), Tried::Start, Path::new("/a b"));
            let words = format!("{told:#}");
            assert!(words.starts_with(&said), "{words}");
            assert!(words.contains(command), "{command} is missing: {words}");
            assert_eq!(exit_of(&told), exit, "{words}");
        }
    }

    #[test]
    fn directory_in_use_names_who_asks_for_the_holder() {
        let error = LockError::Held { dir: "data".to_owned() };
        let told = explained(error.into(), Tried::Start, Path::new("data"));
        assert!(told.to_string().contains("`fuser -v data/LOCK`"), "{told}");
        assert_eq!(exit_of(&told), Exit::InUse);
    }

    #[test]
    fn who_verifies_is_not_told_to_verify_and_no_advice_is_given_twice() {
        let dir = Path::new("data");
        let told = explained(corrupt().into(), Tried::Verify, dir);
        assert!(!told.to_string().contains("wal verify"), "{told}");
        assert!(
            told.to_string().contains("`doorbuster restore --from BACKUP --data-dir data`"),
            "{told}"
        );
        let twice = explained(explained(corrupt().into(), Tried::Read, dir), Tried::Read, dir);
        assert_eq!(twice.to_string().matches("wal verify").count(), 1, "{twice}");
    }
}
