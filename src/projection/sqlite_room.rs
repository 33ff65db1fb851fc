//! Opening an SQLite file only where the disk has room for its index.
//!
//! SQLite fills the index of its write-ahead file (`-shm`) through memory. Where the disk has no block
//! for a page of it, that write is no error but SIGBUS, the end of the process: of a start, or of a
//! server whose projector or reader opens the file anew while others fill the disk. Seen on ext4, 48
//! MiB, full; `doorbuster-bench full-disk` is the proof.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, ffi};
use rustix::fs::StatVfsMountFlags;

/// An index takes 32 KiB for each 4,096 pages of the write-ahead file, which is moved at 16,384: this is
/// several times as much, since others take room meanwhile.
const INDEX_BYTES: u64 = 1 << 20;

/// Opens an SQLite file, or refuses as SQLite itself does where the disk is full.
///
/// # Errors
/// There is less room than its index may take, or it cannot be opened.
pub(super) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let free_bytes = free_bytes_beside(path).unwrap_or(u64::MAX);
    if free_bytes < INDEX_BYTES {
        let needed = format!(
            "SQLite needs {INDEX_BYTES} bytes for the index of {}, {free_bytes} are free",
            path.display()
        );
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_FULL),
            Some(needed),
        ));
    }
    Connection::open_with_flags(path, flags)
}

/// `None`: nothing is written there, or the system does not tell; then SQLite finds out.
fn free_bytes_beside(path: &Path) -> Option<u64> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(directory.unwrap_or(Path::new("."))).ok()?;
    let written = !disk.f_flag.contains(StatVfsMountFlags::RDONLY);
    written.then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_asked_of_the_disk_that_the_file_is_on() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("not-there-yet.sqlite");
        assert!(free_bytes_beside(&path).unwrap() > INDEX_BYTES);
        assert!(free_bytes_beside(Path::new("here.sqlite")).is_some());
        open(&path, OpenFlags::default()).unwrap();
        // Nothing is ever written there, so it has no bytes free.
        let refused = open(Path::new("/proc/full.sqlite"), OpenFlags::default()).unwrap_err();
        let expected = "SQLite needs 1048576 bytes for the index of /proc/full.sqlite, 0 are free";
        assert_eq!(refused.to_string(), expected);
    }
}
