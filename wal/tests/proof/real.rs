//! Real directories, real locks, and the thread that zeroes ahead.
#![expect(clippy::disallowed_methods, reason = "looks at the files the log leaves")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use doorbuster_wal::{
    Batch, DirLock, DirStorage, LockError, Log, Options, Preallocator, Recovery, Scan, Shared,
    Storage as _,
};

use crate::harness::{IDENTITY, OPTIONS, START, payload};

/// Tells the other process which directory to try.
const ASKED: &str = "DOORBUSTER_TEST_LOCK_DIR";

fn start(dir: &Path, options: Options) -> (Log, u64) {
    let storage = Arc::new(DirStorage::open(dir).unwrap());
    let mut recovery = Recovery::open(storage, options).unwrap();
    let replayed = recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    (recovery.start(IDENTITY, START).unwrap(), replayed.last_sequence)
}

#[test]
fn records_survive_restarts_in_a_directory_made_for_them() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data/deep/journal");
    let mut expected = 0;
    for _ in 0..3 {
        let (mut log, found) = start(&dir, OPTIONS);
        assert_eq!(found, expected);
        let shared = log.shared();
        let preallocator = Preallocator::start(Arc::clone(&shared), |_| {}).unwrap();
        let mut batch = Batch::new();
        for number in 0..60 {
            let record = payload(number, 3000);
            // The thread zeroes ahead: there is room, or there will be at once.
            while !shared.try_reserve(Shared::frame_bytes(record.len())) {
                std::thread::yield_now();
            }
            batch.clear();
            batch.push(log.next_sequence(), &record);
            log.commit(&mut batch).unwrap();
        }
        expected = log.next_sequence() - 1;
        preallocator.stop();
    }
    let storage = Arc::new(DirStorage::open_existing(&dir).unwrap());
    let replayed = Scan::open(storage).unwrap().replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    assert_eq!((replayed.last_sequence, replayed.torn), (expected, None));
    assert!(replayed.segments.len() > 6, "{}", replayed.segments.len());
    let (last, closed) = replayed.segments.split_last().unwrap();
    assert!(closed.iter().all(|segment| segment.file_bytes == segment.used_bytes));
    assert_eq!(last.file_bytes, OPTIONS.segment_bytes);
}

#[test]
fn file_cut_in_its_middle_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("journal");
    drop(start(&dir, OPTIONS));
    drop(start(&dir, OPTIONS));
    for (name, expected) in [
        ("segment-0000000002.wal", "the last segment has 32768 bytes, not 65536"),
        ("segment-0000000001.wal", "sequence 1"),
    ] {
        let path = dir.join(name);
        let whole = std::fs::read(&path).unwrap();
        let half = if whole.len() > 32768 { 32768 } else { whole.len() - 8 };
        std::fs::write(&path, &whole[..half]).unwrap();
        let storage = Arc::new(DirStorage::open(&dir).unwrap());
        let error = Recovery::open(storage, OPTIONS)
            .and_then(|mut recovery| recovery.replay(&mut |_| Ok(()), &mut |_| {}))
            .unwrap_err()
            .to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn tools_make_no_directory() {
    let root = tempfile::tempdir().unwrap();
    assert!(DirStorage::open_existing(root.path().join("none")).is_err());
    assert!(!root.path().join("none").exists());
    assert!(DirStorage::open(root.path()).unwrap().list().unwrap().is_empty());
}

#[test]
fn directory_that_was_removed_or_replaced_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("journal");
    let storage = DirStorage::open(&dir).unwrap();
    assert!(storage.is_in_place());
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(!storage.is_in_place());
    std::fs::create_dir(&dir).unwrap();
    assert!(!storage.is_in_place(), "another one of the same name");
}

#[test]
fn no_file_takes_the_place_of_another() {
    let root = tempfile::tempdir().unwrap();
    let storage = DirStorage::open(root.path()).unwrap();
    for (name, bytes) in [("new.tmp", b"new"), ("segment", b"old")] {
        storage.create(name).unwrap().write_all_at(bytes, 0).unwrap();
    }
    let error = storage.rename("new.tmp", "segment").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(root.path().join("segment")).unwrap(), b"old");
    storage.rename("new.tmp", "other").unwrap();
    assert_eq!(std::fs::read(root.path().join("other")).unwrap(), b"new");
}

#[test]
fn one_process_holds_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let lock = DirLock::acquire(dir).unwrap();
    let error = DirLock::acquire(dir).unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");
    assert!(error.to_string().contains(&dir.display().to_string()), "{error}");
    assert!(!other_process_gets(dir), "another process may not have it");
    std::fs::remove_file(dir.join("LOCK")).unwrap();
    assert!(!other_process_gets(dir), "whoever removes the file opens no door");
    drop(lock);
    // The file stays, the lock does not.
    assert!(other_process_gets(dir));
    assert!(DirLock::acquire(dir).is_ok());
}

fn other_process_gets(dir: &Path) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["real::the_other_process", "--exact"]).env(ASKED, dir);
    child.output().unwrap().status.success()
}

/// Not a fact by itself: what `other_process_gets` runs.
#[test]
fn the_other_process() {
    if let Some(dir) = std::env::var_os(ASKED) {
        DirLock::acquire(Path::new(&dir)).unwrap();
    }
}

#[test]
fn pipe_with_the_name_of_a_segment_is_no_file_and_a_link_that_leads_nowhere_is_one() {
    let root = tempfile::tempdir().unwrap();
    let storage = DirStorage::open(root.path()).unwrap();
    let path = |name: &str| root.path().join(name);
    assert!(Command::new("mkfifo").arg(path("segment-0000000001.wal")).status().unwrap().success());
    std::os::unix::fs::symlink(path("nowhere"), path("segment-0000000002.wal")).unwrap();
    std::os::unix::fs::symlink(path("segment-0000000001.wal"), path("to-a-pipe")).unwrap();
    std::fs::write(path("file"), "").unwrap();
    std::os::unix::fs::symlink(path("file"), path("to-a-file")).unwrap();
    assert_eq!(storage.list().unwrap(), ["file", "segment-0000000002.wal", "to-a-file"]);
}
