//! The directory a restore makes: under another name until all of it is there.
#![expect(clippy::disallowed_methods, reason = "makes and names the directory that was asked for")]

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use doorbuster_wal::{DirLock, DirStorage};

use crate::cli::JOURNAL_DIR;
use crate::cli::advice::quoted;
use crate::cli::exit::{Exit, failure};

/// Behind the name of a directory that is not restored yet.
const UNFINISHED: &str = ".restoring";

/// A directory being made; what there is of it goes if it is not finished.
pub(super) struct NewDir {
    path: PathBuf,
    unfinished: PathBuf,
    is_finished: bool,
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
        let path = in_place(path).with_context(context)?;
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
        Ok(Self { path, unfinished, is_finished: false, _lock: lock })
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
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let context =
            || format!("cannot rename {} to {}", self.unfinished.display(), self.path.display());
        // Over an empty directory, and over nothing else.
        std::fs::rename(&self.unfinished, &self.path).with_context(context)?;
        self.is_finished = true;
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        File::open(parent).and_then(|parent| parent.sync_all()).with_context(context)
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if !self.is_finished {
            // A restore that is killed leaves it to the next one.
            let _ = std::fs::remove_dir_all(&self.unfinished);
        }
    }
}

/// The path that a rename can give a directory: behind links, without a slash at its end.
fn in_place(path: &Path) -> anyhow::Result<PathBuf> {
    let path: PathBuf = std::path::absolute(path)?.components().collect();
    if !path.is_symlink() {
        return Ok(path);
    }
    path.canonicalize().map_err(|error| {
        let message = format!("it is a link that leads nowhere ({error}): name a new directory");
        failure(Exit::Usage, message)
    })
}

/// Nothing, or an empty directory that can be replaced.
fn check_new(path: &Path) -> anyhow::Result<()> {
    let unusable = |why: String| {
        failure(Exit::Usage, format!("cannot restore into {}: {why}", path.display()))
    };
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(format!("{error}; name a new directory"))),
        Ok(entries) => entries,
    };
    if entries.count() > 0 {
        let message = format!(
            "{} is not empty: name a new --data-dir, or move this one away first",
            path.display()
        );
        return Err(failure(Exit::Usage, message));
    }
    let device = |path: &Path| path.metadata().map(|found| found.dev());
    let parent = path.parent().unwrap_or(path);
    if path == parent || device(path)? != device(parent)? {
        let inside = quoted(&path.join("data"));
        let why =
            "a file system is mounted there, and a directory gets its name only when all is in it";
        return Err(unusable(format!("{why}: name one inside it, such as {inside}")));
    }
    Ok(())
}
