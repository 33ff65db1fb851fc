//! The data directory: made where it is missing, held by one process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use doorbuster_wal::{DirLock, DirStorage, Storage};

use super::exit::{Exit, failure};

/// A data directory this process holds until it ends.
pub(super) struct DataDir {
    path: PathBuf,
    storage: Arc<DirStorage>,
    _lock: DirLock,
}

/// The journal's directory of a data directory, held too: a link or a second mount leads to it past the
/// other's lock.
pub(super) struct JournalDir {
    pub(super) storage: Arc<DirStorage>,
    _lock: DirLock,
}

/// Whether two directories, which need not be there, are one, or one of them lies in the other.
///
/// # Errors
/// The file system's.
pub(super) fn lie_in_each_other(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (real(one)?, real(other)?);
    Ok(one.starts_with(&other) || other.starts_with(&one))
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => Ok(real(parent)?.join(name)),
                _ => Ok(path),
            }
        }
        found => found,
    }
}

impl JournalDir {
    /// Makes the directory where it is missing, and takes it.
    ///
    /// # Errors
    /// Another process holds it, or the file system refuses.
    pub(super) fn take(path: &Path) -> anyhow::Result<Self> {
        let storage = DirStorage::open(path);
        let storage = storage.with_context(|| format!("cannot open {}", path.display()))?;
        let lock = DirLock::acquire_bare(path)?;
        Ok(Self { storage: Arc::new(storage), _lock: lock })
    }
}

impl DataDir {
    /// Makes the directory where it is missing, and takes it.
    ///
    /// # Errors
    /// Another process holds it, or the file system refuses.
    pub(super) fn take(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot use {} as data directory", path.display());
        if path.is_file() {
            let message = format!("{}: it is a file, name a directory", context());
            return Err(failure(Exit::Usage, message));
        }
        let storage = Arc::new(DirStorage::open(path).with_context(context)?);
        let lock = DirLock::acquire(path)?;
        Ok(Self { path: path.to_owned(), storage, _lock: lock })
    }

    /// The journal's files.
    ///
    /// # Errors
    /// As [`JournalDir::take`].
    pub(super) fn journal(&self) -> anyhow::Result<JournalDir> {
        JournalDir::take(&super::log::journal_dir(&self.path))
    }

    /// Tells the bytes free where the data lies; `None` where the file system does not say.
    pub(super) fn free_bytes(&self) -> impl Fn() -> Option<u64> + Send + Sync + use<> {
        let storage = Arc::clone(&self.storage);
        move || storage.free_bytes().ok()
    }
}
