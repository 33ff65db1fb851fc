//! A real directory. The only place of the log that names the file system.
#![expect(clippy::disallowed_methods, reason = "the adapter through which files enter")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::storage::{Storage, StorageFile};

/// Files of a directory, readable by their owner alone.
#[derive(Debug)]
pub struct DirStorage {
    path: PathBuf,
    dir: File,
}

struct DirFile(File);

impl DirStorage {
    /// Opens the directory, making it where it is missing.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        make_dir(&std::path::absolute(&path)?)?;
        let dir = File::open(&path)?;
        Ok(Self { path, dir })
    }

    /// Opens the directory only if it is there: for tools that change nothing.
    ///
    /// # Errors
    /// The file system's.
    pub fn open_existing(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let dir = File::open(&path)?;
        if !dir.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
        }
        Ok(Self { path, dir })
    }

    /// Whether the path still leads to this directory: one that was removed or replaced takes files
    /// that nobody will find.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (here, there) = (self.dir.metadata().map(place), fs::metadata(&self.path).map(place));
        // What the file system does not tell is no proof.
        match (here, there) {
            (Ok(here), Ok(there)) => here == there,
            (_, Err(error)) => error.kind() != io::ErrorKind::NotFound,
            _ => true,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a directory, and those above it that are missing.
///
/// Each survives power loss only once its parent's entry does. The last one's is synced also when
/// it is there already: whoever made it may have died before.
fn make_dir(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    if !path.is_dir() {
        if !parent.is_dir() {
            make_dir(parent)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made?,
        }
    }
    match File::open(parent) {
        // A parent that cannot be opened is not ours: nor did we make anything in it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        dir => dir?.sync_all(),
    }
}

/// Whether a link leads to something else than a file. One that leads nowhere is listed: what it stood
/// for is missing, and that is to be told.
fn leads_elsewhere(link: &Path) -> bool {
    fs::metadata(link).is_ok_and(|found| !found.is_file())
}

impl Storage for DirStorage {
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        Ok(Arc::new(DirFile(options.open(self.path.join(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(DirFile(file)))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(DirFile(File::open(self.path.join(name))?)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is no UTF-8 is none of the log's; whoever opens a pipe waits for ever.
            let entry = entry?;
            let kind = entry.file_type()?;
            let is_file = kind.is_file() || (kind.is_symlink() && !leads_elsewhere(&entry.path()));
            if let (Ok(name), true) = (entry.file_name().into_string(), is_file) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path.join(from), self.path.join(to));
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            // A file system without the flag: one process per directory has to do.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if to.exists() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(from, to)
            }
            renamed => Ok(renamed?),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.dir.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.dir)?;
        if stat.f_blocks == 0 {
            // A file system without a size of its own, such as ramfs: it says nothing.
            return Ok(u64::MAX);
        }
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn dir(&self, name: &str) -> io::Result<Option<Arc<dyn Storage>>> {
        match Self::open_existing(self.path.join(name)) {
            Ok(dir) => Ok(Some(Arc::new(dir))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make_dir(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(Self::open(self.path.join(name))?))
    }
}

impl StorageFile for DirFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
