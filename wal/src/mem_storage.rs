//! Files in memory, with the faults that real disks have. For tests and simulation.
//!
//! What is written stays *pending* until the file is synced, names until the directory is. A crash
//! loses what is pending, whole, in part or out of order, as a seed says. A failed sync leaves what
//! it should have written in the cache, readable and lost: no later sync writes it (as Linux does).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::storage::{Storage, StorageFile};

/// Unit in which a crash keeps or loses pending writes.
const SECTOR: usize = 512;

/// A directory in memory; clones and the directories inside share one disk.
#[derive(Clone, Default)]
pub struct MemStorage {
    disk: Arc<Mutex<Disk>>,
    /// Of a directory inside: its name and a slash, before the names of its files.
    prefix: String,
}

/// What a crash does to what is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// All of it is lost.
    LoseAll,
    /// All of it made it to the disk.
    KeepAll,
    /// Each sector and each name is kept or lost by this seed.
    Some(u64),
}

#[derive(Default)]
struct Disk {
    files: Vec<File>,
    /// Names now, and names after a crash.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    /// Directories inside, as prefixes of names. Made and durable in one step.
    dirs: BTreeSet<String>,
    capacity_bytes: Option<u64>,
    /// Operations that change something, so far.
    operations: u64,
    /// From this operation on the machine is dead; that one may be done in part.
    dies_at: Option<u64>,
    /// This sync fails.
    sync_fails_at: Option<u64>,
    syncs: u64,
}

#[derive(Default)]
struct File {
    /// What readers see.
    cache: Vec<u8>,
    /// What is on the disk.
    stable: Vec<u8>,
    pending: Vec<Pending>,
}

enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

enum NameChange {
    Set(String, usize),
    Remove(String),
}

struct MemFile {
    disk: Arc<Mutex<Disk>>,
    file: usize,
}

impl MemStorage {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No more than so many bytes in all files; `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().capacity_bytes = bytes;
    }

    /// Whether there is a limit to its bytes, and it is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.disk.lock().check_capacity(1).is_err()
    }

    /// The machine dies at the `n`th changing operation from now (0: the next one), which may be
    /// done in part; everything after fails. [`Self::crash`] brings it back.
    pub fn die_after(&self, n: u64) {
        let mut disk = self.disk.lock();
        disk.dies_at = Some(disk.operations + n);
    }

    /// It does not die after all.
    pub fn live_on(&self) {
        self.disk.lock().dies_at = None;
    }

    /// Whether it died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let disk = self.disk.lock();
        disk.dies_at.is_some_and(|at| disk.operations > at)
    }

    /// The `n`th file sync from now (0: the next one) fails and leaves its pages in the cache.
    pub fn fail_sync_after(&self, n: u64) {
        let mut disk = self.disk.lock();
        disk.sync_fails_at = Some(disk.syncs + n);
    }

    /// How many changing operations there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// The machine loses power and comes back: what was pending is treated as `crash` says.
    #[must_use]
    pub fn crash(&self, crash: Crash) -> Self {
        let mut disk = self.disk.lock();
        let mut coin = Coin::new(crash);
        let (dirs, capacity_bytes) = (disk.dirs.clone(), disk.capacity_bytes);
        let mut after = Disk { dirs, capacity_bytes, ..Disk::default() };
        // Names reach the disk in order, up to some point.
        let changes = std::mem::take(&mut disk.pending_names);
        let mut names = std::mem::take(&mut disk.durable_names);
        for change in changes {
            if !coin.keeps() {
                break;
            }
            change.apply(&mut names);
        }
        let named: BTreeSet<usize> = names.values().copied().collect();
        for (number, file) in disk.files.iter_mut().enumerate() {
            if !named.contains(&number) {
                after.files.push(File::default());
                continue;
            }
            let mut stable = std::mem::take(&mut file.stable);
            for pending in file.pending.drain(..) {
                pending.apply_some(&mut stable, &mut coin);
            }
            after.files.push(File { cache: stable.clone(), stable, pending: Vec::new() });
        }
        after.durable_names.clone_from(&names);
        after.names = names;
        Self { disk: Arc::new(Mutex::new(after)), prefix: String::new() }
    }

    /// The process dies, the machine goes on: everything written is still there.
    #[must_use]
    pub fn kill(&self) -> Self {
        {
            let mut disk = self.disk.lock();
            (disk.dies_at, disk.sync_fails_at) = (None, None);
        }
        self.clone()
    }

    /// A file's bytes, as readers see them.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.file(&self.path(name)).map(|file| file.cache.clone())
    }

    /// A file's bytes from `from` on, as they were after a loss of power right now that loses all it
    /// can; `None`: there would be no file of this name.
    #[must_use]
    pub fn stable_bytes(&self, name: &str, from: usize) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        let file = disk.files.get(*disk.durable_names.get(&self.path(name))?)?;
        Some(file.stable.get(from..).unwrap_or_default().to_vec())
    }

    /// Puts a file there, durably: for tests that damage one.
    pub fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk.lock();
        let file = File { cache: bytes.clone(), stable: bytes, pending: Vec::new() };
        disk.files.push(file);
        let number = disk.files.len() - 1;
        disk.names.insert(self.path(name), number);
        disk.durable_names.insert(self.path(name), number);
    }

    /// A name as the disk knows it.
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The disk's name, if it is one of this directory.
    fn name<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.prefix).filter(|name| !name.contains('/'))
    }
}

impl Disk {
    fn file(&self, name: &str) -> Option<&File> {
        self.files.get(*self.names.get(name)?)
    }

    fn file_mut(&mut self, file: usize) -> &mut File {
        self.files.get_mut(file).expect("a handle names a file")
    }

    /// Counts a changing operation. `Err`: dead; `Ok(true)`: dies in it.
    fn operate(&mut self) -> io::Result<bool> {
        let this = self.operations;
        self.operations += 1;
        match self.dies_at {
            Some(at) if this > at => Err(io::Error::other("the machine is dead")),
            Some(at) => Ok(this == at),
            None => Ok(false),
        }
    }

    fn check_capacity(&self, grows_by: usize) -> io::Result<()> {
        let used: usize = self
            .names
            .values()
            .filter_map(|file| self.files.get(*file))
            .map(|file| file.cache.len())
            .sum();
        match self.capacity_bytes {
            Some(capacity) if (used + grows_by) as u64 > capacity && grows_by > 0 => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }
}

impl NameChange {
    fn path(&self) -> &str {
        match self {
            Self::Set(path, _) | Self::Remove(path) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, file) => {
                // A rename takes the file's other name with it.
                names.retain(|_, other| other != file);
                names.insert(name.clone(), *file);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes: written } => put(bytes, *offset, written),
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }

    fn apply_some(&self, bytes: &mut Vec<u8>, coin: &mut Coin) {
        match self {
            Self::Write { offset, bytes: written } => {
                let mut at = 0;
                while let Some(rest) = written.get(at..).filter(|rest| !rest.is_empty()) {
                    // Up to the end of the sector this part lies in.
                    let step = (SECTOR - (offset + at) % SECTOR).min(rest.len());
                    if coin.keeps() {
                        put(bytes, offset + at, rest.get(..step).unwrap_or_default());
                    }
                    at += step;
                }
            }
            Self::Length(_) if !coin.keeps() => {}
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    if bytes.len() < offset {
        bytes.resize(offset, 0);
    }
    // Over what is there, and the rest behind it: filling with zeros first takes debug builds long.
    let (over, behind) = written.split_at(written.len().min(bytes.len() - offset));
    bytes.get_mut(offset..offset + over.len()).expect("it is there").copy_from_slice(over);
    bytes.extend_from_slice(behind);
}

/// Keeps or loses, as the crash says.
struct Coin {
    crash: Crash,
    state: u64,
}

impl Coin {
    fn new(crash: Crash) -> Self {
        let seed = if let Crash::Some(seed) = crash { seed } else { 0 };
        Self { crash, state: seed }
    }

    fn keeps(&mut self) -> bool {
        match self.crash {
            Crash::LoseAll => false,
            Crash::KeepAll => true,
            Crash::Some(_) => self.next() & 1 == 1,
        }
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl Storage for MemStorage {
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut disk = self.disk.lock();
        if disk.operate()? {
            return Err(io::Error::other("the machine died"));
        }
        disk.files.push(File::default());
        let file = disk.files.len() - 1;
        disk.change_name(NameChange::Set(self.path(name), file));
        Ok(Arc::new(MemFile { disk: Arc::clone(&self.disk), file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let disk = self.disk.lock();
        let file = *disk.names.get(&self.path(name)).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemFile { disk: Arc::clone(&self.disk), file }))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.open(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.disk.lock();
        Ok(disk.names.keys().filter_map(|path| self.name(path)).map(str::to_owned).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let dies = disk.operate()?;
        let file = *disk.names.get(&self.path(from)).ok_or(io::ErrorKind::NotFound)?;
        if disk.names.contains_key(&self.path(to)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.change_name(NameChange::Set(self.path(to), file));
        if dies { Err(io::Error::other("the machine died")) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.operate()? {
            return Err(io::Error::other("the machine died"));
        }
        if !disk.names.contains_key(&self.path(name)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_name(NameChange::Remove(self.path(name)));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.operate()? {
            return Err(io::Error::other("the machine died"));
        }
        // Each directory has a sync of its own.
        let pending = std::mem::take(&mut disk.pending_names);
        for change in pending {
            if self.name(change.path()).is_some() {
                change.apply(&mut disk.durable_names);
            } else {
                disk.pending_names.push(change);
            }
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = self.disk.lock();
        let used: usize = disk
            .names
            .values()
            .filter_map(|file| disk.files.get(*file))
            .map(|file| file.cache.len())
            .sum();
        Ok(disk.capacity_bytes.map_or(u64::MAX, |capacity| capacity.saturating_sub(used as u64)))
    }

    fn dir(&self, name: &str) -> io::Result<Option<Arc<dyn Storage>>> {
        let dir = Self { disk: Arc::clone(&self.disk), prefix: self.path(name) + "/" };
        let disk = self.disk.lock();
        let is_there = disk.dirs.contains(&dir.prefix)
            || disk.names.keys().any(|path| path.starts_with(&dir.prefix));
        drop(disk);
        Ok(is_there.then(|| Arc::new(dir) as Arc<dyn Storage>))
    }

    fn make_dir(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let dir = Self { disk: Arc::clone(&self.disk), prefix: self.path(name) + "/" };
        let mut disk = self.disk.lock();
        if !disk.dirs.contains(&dir.prefix) {
            if disk.operate()? {
                return Err(io::Error::other("the machine died"));
            }
            disk.dirs.insert(dir.prefix.clone());
        }
        drop(disk);
        Ok(Arc::new(dir))
    }
}

impl StorageFile for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        let cache = &disk.file_mut(self.file).cache;
        let rest = cache.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let dies = disk.operate()?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let length = disk.file_mut(self.file).cache.len();
        disk.check_capacity((offset + buf.len()).saturating_sub(length))?;
        // A machine that dies in a write leaves any part of it: here, by its own count.
        let torn = (disk.operations as usize).wrapping_mul(31) % (buf.len() + 1);
        let written = if dies { buf.get(..torn).unwrap_or(buf) } else { buf };
        let pending = Pending::Write { offset, bytes: written.to_vec() };
        let file = disk.file_mut(self.file);
        pending.apply(&mut file.cache);
        file.pending.push(pending);
        if dies { Err(io::Error::other("the machine died")) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.operate()? {
            return Err(io::Error::other("the machine died"));
        }
        let this = disk.syncs;
        disk.syncs += 1;
        let fails = disk.sync_fails_at == Some(this);
        let file = disk.file_mut(self.file);
        if fails {
            // Clean in the cache, never on the disk.
            file.pending.clear();
            return Err(io::Error::other("the disk does not answer"));
        }
        for pending in file.pending.drain(..) {
            pending.apply(&mut file.stable);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().file_mut(self.file).cache.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.operate()? {
            return Err(io::Error::other("the machine died"));
        }
        let length = usize::try_from(len).unwrap_or(usize::MAX);
        let file = disk.file_mut(self.file);
        let pending = Pending::Length(length);
        pending.apply(&mut file.cache);
        file.pending.push(pending);
        Ok(())
    }
}
