//! One process per directory.
#![expect(clippy::disallowed_methods, reason = "the adapter through which files enter")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Holds the directory until dropped; the system lets go when the process dies, however it dies.
#[derive(Debug)]
pub struct DirLock {
    /// The directory itself, which nobody deletes by mistake, and `LOCK` in it, for whoever looks.
    _held: Vec<File>,
}

/// Why the directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process holds {dir}: stop it, or use another data directory")]
    Held {
        /// The directory.
        dir: String,
    },
    /// The file system's.
    #[error("cannot lock {dir}: {source}")]
    Io {
        /// The directory.
        dir: String,
        /// What it says.
        source: io::Error,
    },
}

impl DirLock {
    /// Takes the directory (flock on it, and on a file `LOCK` in it).
    ///
    /// # Errors
    /// Another process holds it, or the file system does not lock.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // The directory first: a `LOCK` that somebody removed lets nobody else in.
        let held = [lock(dir, File::open(dir))?, lock(dir, options.open(dir.join("LOCK")))?];
        Ok(Self { _held: held.into() })
    }

    /// Keeps others from taking the directory, for as long as it is only read; any number may. Puts
    /// nothing into it.
    ///
    /// # Errors
    /// A process has taken it, or the file system does not lock.
    pub fn share(dir: &Path) -> Result<Self, LockError> {
        Ok(Self { _held: vec![lock_with(dir, File::open(dir), File::try_lock_shared)?] })
    }

    /// Takes the directory and puts nothing into it: for one that can be reached by other ways than
    /// through the directory it lies in, by a link or a second mount.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub fn acquire_bare(dir: &Path) -> Result<Self, LockError> {
        Ok(Self { _held: vec![lock(dir, File::open(dir))?] })
    }
}

fn lock(dir: &Path, opened: io::Result<File>) -> Result<File, LockError> {
    lock_with(dir, opened, File::try_lock)
}

fn lock_with(
    dir: &Path,
    opened: io::Result<File>,
    take: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<File, LockError> {
    let name = || dir.display().to_string();
    let io = |source| LockError::Io { dir: name(), source };
    let file = opened.map_err(io)?;
    match take(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::Held { dir: name() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
