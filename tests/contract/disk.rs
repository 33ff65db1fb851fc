//! A disk in memory whose syncs wait while a gate is shut.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use doorbuster_wal::{MemStorage, Storage, StorageFile};

/// Shut, no sync returns.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.set(true);
    }

    pub(crate) fn open(&self) {
        self.set(false);
    }

    fn set(&self, shut: bool) {
        *self.state.0.lock().unwrap_or_else(PoisonError::into_inner) = shut;
        self.state.1.notify_all();
    }

    fn pass(&self) {
        let mut shut = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *shut {
            shut = self.state.1.wait(shut).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The disk.
pub(crate) struct GatedStorage {
    pub(crate) storage: MemStorage,
    pub(crate) gate: Gate,
}

struct GatedFile {
    file: Arc<dyn StorageFile>,
    gate: Gate,
}

impl GatedStorage {
    fn gated(&self, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(GatedFile { file, gate: self.gate.clone() })
    }
}

impl Storage for GatedStorage {
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.storage.create(name).map(|file| self.gated(file))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.storage.open(name).map(|file| self.gated(file))
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.storage.open_read(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.storage.list()
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.storage.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.storage.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.storage.sync_dir()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.storage.free_bytes()
    }
}

impl StorageFile for GatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(buf, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
