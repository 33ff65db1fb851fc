//! The directory a backup is made in: found fit for it before anything is written.
#![expect(clippy::disallowed_methods, reason = "looks into the directory that was named")]

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use doorbuster_wal::{DirLock, DirStorage};

use crate::cli::JOURNAL_DIR;
use crate::cli::data_dir::{JournalDir, lie_in_each_other};
use crate::cli::exit::{Exit, failure};

/// The lock's file: a directory with nothing else in it is as good as empty.
const LOCK_FILE: &str = "LOCK";

/// A directory of backups this process holds until it ends, so that no other backup and no server
/// writes into it.
pub(super) struct BackupDir {
    path: PathBuf,
    _lock: DirLock,
}

impl BackupDir {
    /// Makes the directory where it is missing, and takes it.
    ///
    /// # Errors
    /// It is no place for a backup of this data directory; another process holds it; the file
    /// system refuses.
    pub(super) fn take(path: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot use {} for a backup", path.display());
        if path.is_file() {
            let message = format!("{}: it is a file, name a directory", context());
            return Err(failure(Exit::Usage, message));
        }
        check_apart(path, data_dir).with_context(context)?;
        check_not_foreign(path).with_context(context)?;
        DirStorage::open(path).with_context(context)?;
        // Only now can links in it be followed.
        check_apart(path, data_dir).with_context(context)?;
        let lock = DirLock::acquire(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The journal's files in it.
    ///
    /// # Errors
    /// Another process holds them, or the file system refuses.
    pub(super) fn journal(&self) -> anyhow::Result<JournalDir> {
        JournalDir::take(&self.path.join(JOURNAL_DIR))
    }
}

fn check_apart(path: &Path, data_dir: &Path) -> anyhow::Result<()> {
    if lie_in_each_other(path, data_dir)? {
        let message = format!(
            "it is, lies in, or holds the data directory {}: what loses the one would lose the other",
            data_dir.display()
        );
        return Err(failure(Exit::Usage, message));
    }
    Ok(())
}

/// A directory that has something, and no journal, is somebody else's.
fn check_not_foreign(path: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut foreign = None;
    for entry in entries {
        let name = entry?.file_name();
        if name == JOURNAL_DIR {
            return Ok(());
        }
        if name != LOCK_FILE {
            foreign = Some(name);
        }
    }
    match foreign {
        None => Ok(()),
        Some(name) => {
            let name = name.display();
            let message = format!("there is {name} in it and no backup: name a new directory");
            Err(failure(Exit::Usage, message))
        }
    }
}
