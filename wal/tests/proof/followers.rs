//! Those who read while it is written: by sequence, as a tail, and from outside.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use doorbuster_wal::{Batch, MemStorage, Options, Recovery, Scan, Storage, StorageFile, WalError};

use crate::harness::{IDENTITY, OPTIONS, START, Writing, payload};

#[test]
fn tail_and_reads_follow_over_segments_while_a_scan_looks_on() {
    let storage = MemStorage::new();
    let mut writing = Writing::start(&storage).unwrap();
    let shared = writing.log.shared();
    let (records, done) = (600, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut tail = shared.tail(1);
            let mut seen = 0;
            while seen < records {
                let durable = shared.durable_sequence();
                while let Some(entry) = tail.next().unwrap() {
                    seen += 1;
                    assert_eq!(entry.sequence, seen);
                    let expected = if seen == 1 { START.to_vec() } else { sized(seen as usize) };
                    assert_eq!(entry.payload, expected);
                }
                assert!(seen >= durable, "what was durable before is seen");
                std::thread::yield_now();
            }
        });
        scope.spawn(|| {
            let mut scans = 0;
            while !done.load(Ordering::Relaxed) || scans == 0 {
                let scan = Scan::open(Arc::new(storage.clone())).unwrap();
                scan.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
                scans += 1;
            }
        });
        for number in 2..=records as usize {
            while shared.prepare_spare().unwrap() {}
            assert!(writing.commit(&[sized(number)]).unwrap());
            let read = shared.read(number as u64).unwrap();
            assert_eq!(read, Some(sized(number)));
        }
        done.store(true, Ordering::Relaxed);
    });
    for sequence in 2..=records {
        assert_eq!(shared.read(sequence).unwrap(), Some(sized(sequence as usize)));
    }
    assert_eq!(shared.read(0).unwrap(), None);
    assert_eq!(shared.read(records + 1).unwrap(), None);
}

/// Records of more than one look ahead (64 KiB), beside each other and beside small ones, with every
/// remainder of the look ahead in which a frame's head may be cut.
#[test]
fn frames_larger_than_a_look_ahead_are_read_wherever_they_begin() {
    const AHEAD: usize = 64 << 10;
    const FRAME_HEAD: usize = 24;
    let options =
        Options { segment_bytes: 8 << 20, payload_bytes_max: 256 << 10, spare_segments: 1 };
    let large = |number| payload(number, 120_128 - FRAME_HEAD);
    for cut in (0..=2 * FRAME_HEAD).step_by(8) {
        let storage = MemStorage::new();
        let mut opening = Recovery::open(Arc::new(storage.clone()), options).unwrap();
        opening.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
        let mut log = opening.start(IDENTITY, START).unwrap();
        let shared = log.shared();
        // The small one ends `cut` bytes before the first look ahead does.
        let before = 2 * FRAME_HEAD + START.len().next_multiple_of(8);
        let small = payload(2, AHEAD - cut - before);
        let records = [small, large(3), large(4), payload(5, 1), large(6)];
        let mut batch = Batch::new();
        for (sequence, record) in (2..).zip(&records) {
            batch.push(sequence, record);
        }
        assert!(shared.try_reserve(batch.bytes() as u64));
        log.commit(&mut batch).unwrap();
        let mut tail = shared.tail(1);
        assert_eq!(tail.next().unwrap().map(|entry| entry.payload.to_vec()), Some(START.to_vec()));
        for (sequence, record) in (2..).zip(&records) {
            let next = tail.next().unwrap_or_else(|error| panic!("cut {cut}, {sequence}: {error}"));
            assert_eq!(next.map(|entry| entry.payload), Some(record.as_slice()), "cut {cut}");
            assert_eq!(shared.read(sequence).unwrap().as_ref(), Some(record), "cut {cut}");
        }
    }
}

fn sized(number: usize) -> Vec<u8> {
    payload(number, number * 37 % 4000)
}

/// Files whose reads fail while told so.
struct Failing {
    storage: MemStorage,
    fails: Arc<AtomicBool>,
}

struct FailingFile {
    file: Arc<dyn StorageFile>,
    fails: Arc<AtomicBool>,
}

impl Storage for Failing {
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.storage.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.storage.open(name)
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.storage.open_read(name)?;
        Ok(Arc::new(FailingFile { file, fails: Arc::clone(&self.fails) }))
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
    fn dir(&self, name: &str) -> io::Result<Option<Arc<dyn Storage>>> {
        self.storage.dir(name)
    }
    fn make_dir(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        self.storage.make_dir(name)
    }
}

impl StorageFile for FailingFile {
    /// Fails, or gives a few bytes at a time.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the cable is loose"));
        }
        let some = buf.len().min(1000);
        self.file.read_at(&mut buf[..some], offset)
    }
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(buf, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

#[test]
fn read_that_failed_is_tried_again_and_short_reads_go_on() {
    let fails = Arc::new(AtomicBool::new(false));
    let storage = Failing { storage: MemStorage::new(), fails: Arc::clone(&fails) };
    // Larger than a buffer of 64 KiB, so that the tail reads on in the middle of a record.
    let options = Options { segment_bytes: 1 << 20, ..OPTIONS };
    let mut recovery = Recovery::open(Arc::new(storage), options).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    let log = recovery.start(IDENTITY, START).unwrap();
    let mut writing =
        Writing { shared: log.shared(), log, submitted: vec![START.to_vec()], acknowledged: 1 };
    let shared = writing.log.shared();
    while shared.prepare_spare().unwrap() {}
    for number in 2..=40 {
        assert!(writing.commit(&[payload(number, 3900)]).unwrap());
    }
    let mut tail = shared.tail(1);
    let (mut seen, mut failures) = (0, 0);
    while seen < 40 {
        // Each record is asked for first on a disk that fails; it may still be in memory.
        fails.store(true, Ordering::Relaxed);
        let failed = match tail.next() {
            Ok(entry) => {
                assert!(entry.is_some_and(|entry| entry.payload == writing.submitted[seen]));
                false
            }
            Err(WalError::Io { .. }) => true,
            Err(error) => panic!("after {seen}: {error}"),
        };
        if failed {
            failures += 1;
            fails.store(false, Ordering::Relaxed);
            let entry = tail.next().unwrap_or_else(|error| panic!("after {seen}: {error}"));
            assert!(entry.is_some_and(|entry| entry.payload == writing.submitted[seen]));
        }
        seen += 1;
    }
    assert!(failures >= 3, "{failures}");
}
