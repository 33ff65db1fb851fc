//! The directory a restore makes: under another name until all of it is there.
#![expect(clippy::disallowed_methods, reason = "makes and names the directory that was asked for")]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use doorbuster_wal::{DirLock, DirStorage};

use crate::cli::JOURNAL_DIR;
use crate::cli::exit::{Exit, failure};

/// Behind the name of a directory that is not restored yet.
const UNFINISHED: &str = ".restoring";

/// A directory being made.
pub(super) struct NewDir {
    path: PathBuf,
    unfinished: PathBuf,
    /// Of the directory, whatever its name: nobody serves it before all is done.
    _lock: DirLock,
}

impl NewDir {
    /// Begins anew: what an earlier restore left unfinished is removed.
    ///
    /// # Errors
    /// The directory is there and is not empty; another restore makes it; the file system refuses.
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot restore into {}", path.display());
        let path = std::path::absolute(path).with_context(context)?;
        check_new(&path)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        drop(DirStorage::open(&unfinished).with_context(context)?);
        let lock = DirLock::acquire(&unfinished)?;
        let journal = unfinished.join(JOURNAL_DIR);
        match std::fs::remove_dir_all(&journal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", journal.display()));
            }
            _ => {}
        }
        Ok(Self { path, unfinished, _lock: lock })
    }

    /// The journal's files in it.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn journal(&self) -> anyhow::Result<Arc<DirStorage>> {
        let path = self.unfinished.join(JOURNAL_DIR);
        let storage = DirStorage::open(&path);
        Ok(Arc::new(storage.with_context(|| format!("cannot open {}", path.display()))?))
    }

    /// Gives it its name, durably.
    ///
    /// # Errors
    /// Somebody put something there meanwhile; the file system refuses.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let context =
            || format!("cannot rename {} to {}", self.unfinished.display(), self.path.display());
        // Over an empty directory, and over nothing else.
        std::fs::rename(&self.unfinished, &self.path).with_context(context)?;
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        File::open(parent).and_then(|parent| parent.sync_all()).with_context(context)
    }
}

fn check_new(path: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot use {}", path.display())),
        Ok(entries) => entries,
    };
    if entries.count() == 0 {
        return Ok(());
    }
    let message = format!(
        "{} is not empty: name a new --data-dir, or move this one away first",
        path.display()
    );
    Err(failure(Exit::Usage, message))
}
