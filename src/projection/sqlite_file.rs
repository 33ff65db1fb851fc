//! The file below a SQLite connection: whether it is still there, and still a database.
//!
//! SQLite reads a file that somebody overwrites or replaces from its own memory for as long as it
//! can, and says nothing; what it writes then is lost. So this looks for itself, before each batch:
//! a `stat` and a read of 16 bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// The file of a connection. Lives longer than all connections to it: closing it, as closing any of
/// a process's files of one inode, gives up the locks that SQLite holds on it for each of them.
pub(super) struct OpenFile {
    file: File,
    place: FilePlace,
}

/// Device and inode of a file.
pub(super) type FilePlace = (u64, u64);

/// Which file stands under a name.
pub(super) fn place_of(path: &Path) -> Option<FilePlace> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Why a connection cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileFault {
    #[error("the file was moved, removed or replaced; what is there now is opened")]
    Replaced,
    #[error("its first bytes are not those of a SQLite database")]
    Overwritten,
}

impl OpenFile {
    /// The file there is, or a new one for its owner alone: it names buyers. SQLite gives its
    /// companions the same mode.
    ///
    /// # Errors
    /// The system's.
    #[expect(clippy::disallowed_methods, reason = "the adapter of this file")]
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self { file, place: (metadata.dev(), metadata.ino()) })
    }

    /// The file itself, to sync it.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether nothing is in it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() == 0)
    }

    /// Whether it is what stands under this name.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        place_of(path) == Some(self.place)
    }

    /// Whether it is what stands under its name, and a database.
    pub(super) fn check(&self, path: &Path) -> Result<(), FileFault> {
        if !self.is_at(path) {
            return Err(FileFault::Replaced);
        }
        let mut header = [0; HEADER.len()];
        match self.file.read_exact_at(&mut header, 0) {
            Ok(()) if header == *HEADER => Ok(()),
            _ => Err(FileFault::Overwritten),
        }
    }
}
