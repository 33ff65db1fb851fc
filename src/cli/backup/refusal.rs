//! Why a backup is not made, and what to do about it.

use std::path::Path;

use doorbuster_wal::{CopyError, WalError};

use crate::cli::exit::{Exit, failure};

/// The error as a person reads it, with its exit code.
pub(super) fn refused(error: CopyError, data_dir: &Path, to: &Path) -> anyhow::Error {
    let (data_dir, to) = (data_dir.display(), to.display());
    let advice = match &error {
        CopyError::Log(WalError::Corrupt { .. }) => format!(
            "what {to} has is sound; `doorbuster wal verify --data-dir {data_dir}` shows the place"
        ),
        CopyError::Copy(WalError::Corrupt { .. }) => {
            format!("move {to} away, keep it, and back up into a new directory")
        }
        CopyError::Ahead { .. } => format!(
            "start the server of {data_dir} once if its machine lost power, and try again; was {data_dir} \
             restored from something older, keep {to} and back up into a new directory"
        ),
        CopyError::Diverged { .. } => format!(
            "one of them was restored, or sold from, since they were the same; keep {to} and back up \
             into a new directory"
        ),
        CopyError::OtherEpoch { .. } => format!(
            "one of them was restored; keep {to}, it is of the log before, and back up into a new directory"
        ),
        CopyError::OtherJournal | CopyError::Gap { .. } => {
            format!("{to} stays as it is; back up into a new directory")
        }
        error if error.is_full() => {
            format!(
                "what {to} has is sound; make room, then run this again and it goes on from there"
            )
        }
        CopyError::Copy(_) => {
            format!("what {to} has is sound; run this again and it goes on from there")
        }
        CopyError::Empty => format!("start a server in {data_dir}, or name another --data-dir"),
        CopyError::Log(_) => "nothing was changed there".to_owned(),
    };
    let exit = match &error {
        CopyError::Log(WalError::Corrupt { .. }) | CopyError::Copy(WalError::Corrupt { .. }) => {
            Exit::Damaged
        }
        CopyError::Ahead { .. }
        | CopyError::Diverged { .. }
        | CopyError::Gap { .. }
        | CopyError::OtherEpoch { .. } => Exit::CheckFailed,
        CopyError::OtherJournal | CopyError::Empty => Exit::Usage,
        CopyError::Log(_) | CopyError::Copy(_) => Exit::Environment,
    };
    failure(exit, format!("{error}: {advice}"))
}
