//! A disk with faults, on which other threads get their turn while an operation is under way.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _};
use std::rc::Rc;
use std::sync::Arc;

use doorbuster_wal::{MemStorage, Storage, StorageFile};

use crate::witness::Files;

/// When others get their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// While somebody waits for the disk.
    Disk,
    /// As a worker is woken.
    Told,
}

type Then = Rc<dyn Fn(Moment)>;

thread_local! {
    /// What this thread's simulation does while somebody waits for a disk or has just been woken.
    static MEANWHILE: RefCell<Option<Then>> = const { RefCell::new(None) };
    /// From now so many changing operations until one fails without doing anything.
    static FAILS_AFTER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Sets what is done meanwhile; `None`: nothing.
pub(super) fn set_meanwhile(meanwhile: Option<Then>) {
    MEANWHILE.with(|slot| *slot.borrow_mut() = meanwhile);
}

/// Lets the rest of the world go on.
pub(super) fn meanwhile(moment: Moment) {
    let then = MEANWHILE.with(|slot| slot.borrow().clone());
    if let Some(then) = then {
        then(moment);
    }
}

/// The `n`th changing operation from now on (0: the next) fails and does nothing; `None`: none.
pub(super) fn fail_after(n: Option<u64>) {
    FAILS_AFTER.with(|slot| slot.set(n));
}

fn operate() -> io::Result<()> {
    let left = FAILS_AFTER.with(Cell::get);
    match left {
        Some(0) => {
            fail_after(None);
            return Err(io::Error::other("the disk refuses"));
        }
        Some(left) => fail_after(Some(left - 1)),
        None => {}
    }
    meanwhile(Moment::Disk);
    Ok(())
}

/// A directory whose operations take time.
pub(super) struct Disk(pub(super) Arc<dyn Storage>);

struct DiskFile(Arc<dyn StorageFile>);

impl Disk {
    pub(super) fn new(storage: &MemStorage) -> Self {
        Self(Arc::new(storage.clone()))
    }
}

fn wrap(file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
    Arc::new(DiskFile(file))
}

impl Storage for Disk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        operate()?;
        self.0.create(name).map(wrap)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.0.open(name).map(wrap)
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.0.open_read(name).map(wrap)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        operate()?;
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        operate()?;
        self.0.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        operate()?;
        let result = self.0.sync_dir();
        meanwhile(Moment::Disk);
        result
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn dir(&self, name: &str) -> io::Result<Option<Arc<dyn Storage>>> {
        let inner = self.0.dir(name)?;
        Ok(inner.map(|inner| Arc::new(Self(inner)) as Arc<dyn Storage>))
    }

    fn make_dir(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        operate()?;
        Ok(Arc::new(Self(self.0.make_dir(name)?)))
    }
}

impl StorageFile for DiskFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        operate()?;
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        operate()?;
        let result = self.0.sync_data();
        // Durable, and nobody knows it yet.
        meanwhile(Moment::Disk);
        result
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        operate()?;
        self.0.set_len(len)
    }
}

/// What a loss of power would leave.
pub(super) struct Stable<'a>(pub(super) &'a MemStorage);

impl Files for Stable<'_> {
    fn bytes(&self, name: &str, from: usize) -> Option<Vec<u8>> {
        self.0.stable_bytes(name, from)
    }
}

impl Stable<'_> {
    /// All segments, those that were archived unpacked.
    pub(super) fn segments(&self) -> Vec<(String, Vec<u8>)> {
        let mut segments = Vec::new();
        for number in 1u64.. {
            let name = format!("segment-{number:010}.wal");
            let bytes = self.0.stable_bytes(&name, 0).or_else(|| self.archived(&name));
            let Some(bytes) = bytes else { break };
            segments.push((name, bytes));
        }
        segments
    }

    /// Read by the library alone, as any other reader of zstd would.
    fn archived(&self, name: &str) -> Option<Vec<u8>> {
        let packed = self.0.stable_bytes(&format!("archive/{name}.zst"), 0)?;
        let mut bytes = Vec::new();
        let mut decoder = zeekstd::Decoder::new(io::Cursor::new(packed)).ok()?;
        decoder.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}
