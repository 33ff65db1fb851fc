//! One process per directory.
#![expect(clippy::disallowed_methods, reason = "the adapter through which files enter")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Holds the directory until dropped; the system lets go when the process dies, however it dies.
#[derive(Debug)]
pub struct DirLock {
    /// `LOCK`, for whoever looks, and the directory itself, which nobody deletes by mistake.
    _held: [File; 2],
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
        let name = || dir.display().to_string();
        let io = |source| LockError::Io { dir: name(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // The directory first: a `LOCK` that somebody removed lets nobody else in.
        let held = [File::open(dir).map_err(io)?, options.open(dir.join("LOCK")).map_err(io)?];
        for file in &held {
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held { dir: name() }),
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        Ok(Self { _held: held })
    }
}
