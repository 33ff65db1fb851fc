//! A storage whose files are synced twice and then never again: zeroing and header reach the
//! disk, commits do not. As if the writer's sync had been removed from the code.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use doorbuster_wal::{MemStorage, Storage, StorageFile};

/// A segment is synced when it is zeroed, and with its header; from then on by commits.
const SYNCS_BEFORE_COMMITS: u32 = 2;

pub(crate) struct Unsynced(MemStorage);

struct UnsyncedFile {
    file: Arc<dyn StorageFile>,
    syncs: AtomicU32,
}

impl Unsynced {
    pub(crate) fn new(storage: MemStorage) -> Self {
        Self(storage)
    }
}

fn unsynced(file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
    Arc::new(UnsyncedFile { file, syncs: AtomicU32::new(0) })
}

impl Storage for Unsynced {
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.0.create(name).map(unsynced)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.0.open(name)
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.0.open_read(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }
    fn dir(&self, name: &str) -> io::Result<Option<Arc<dyn Storage>>> {
        self.0.dir(name)
    }
    fn make_dir(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        self.0.make_dir(name)
    }
}

impl StorageFile for UnsyncedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(buf, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        match self.syncs.fetch_add(1, Ordering::Relaxed) < SYNCS_BEFORE_COMMITS {
            true => self.file.sync_data(),
            false => Ok(()),
        }
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
