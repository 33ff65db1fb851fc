//! Gates: a disk in memory whose syncs can be held, and whatever else must wait for a test.
#![allow(dead_code, reason = "each test uses its part")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorbuster_wal::{MemStorage, Storage, StorageFile};
use parking_lot::{Condvar, Mutex};

/// Any wait in a test ends after this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Closed, it holds whoever comes by.
#[derive(Default)]
pub(crate) struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicU64,
}

impl Gate {
    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock() = false;
        self.changed.notify_all();
    }

    pub(crate) fn pass(&self) {
        let mut closed = self.closed.lock();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while *closed {
            let late = self.changed.wait_for(&mut closed, PATIENCE).timed_out();
            assert!(!late, "a gate stayed closed");
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits until somebody is held.
    pub(crate) fn until_held(&self) {
        until(|| self.waiting.load(Ordering::SeqCst) > 0);
    }
}

/// Waits for a condition, with a limit.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let step = Duration::from_millis(1);
    let mut waited = Duration::ZERO;
    while !holds() {
        assert!(waited < PATIENCE, "waited in vain");
        std::thread::sleep(step);
        waited += step;
    }
}

/// Files in memory; syncs of the segment in use wait at a gate.
#[derive(Clone)]
pub(crate) struct GatedStorage {
    pub(crate) files: MemStorage,
    pub(crate) syncs: Arc<Gate>,
}

struct GatedFile {
    file: Arc<dyn StorageFile>,
    syncs: Arc<Gate>,
}

impl GatedStorage {
    fn gated(&self, name: &str, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        if name.starts_with("spare") {
            return file;
        }
        Arc::new(GatedFile { file, syncs: Arc::clone(&self.syncs) })
    }
}

impl Storage for GatedStorage {
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.gated(name, self.files.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.gated(name, self.files.open(name)?))
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.files.open_read(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.files.list()
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.files.sync_dir()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.files.free_bytes()
    }
    fn dir(&self, name: &str) -> io::Result<Option<Arc<dyn Storage>>> {
        self.files.dir(name)
    }
    fn make_dir(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        self.files.make_dir(name)
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
        self.syncs.pass();
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
