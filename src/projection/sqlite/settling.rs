//! Moving what stands in the write-ahead file into the database, in pieces.
//!
//! SQLite syncs each of the two files whole. On the disk of the log that is a stall of all sales: its
//! sync waits for all that the disk was given before it (docs/adr/0014). So SQLite moves without a
//! sync, and both files are synced here by [`PIECE_BYTES`], in SQLite's order:
//!
//! ```text
//! hold the write lock ─► sync -wal ─► move ─► sync database ─► give the lock back
//! ```
//!
//! Invariant: until the database is synced nobody can write over what was moved, since that takes the
//! write lock, and the write-ahead file still has all of it, synced. Whatever a power loss leaves of
//! the database is then written again from there at the next opening.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::journal::PIECE_BYTES;
use crate::projection::sqlite_room;

/// Bytes of a page of the database.
const PAGE_BYTES: u64 = 4096;

/// Why nothing was moved, or not all the way.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettleError {
    /// A reader, another writer or the disk is in the way; all is as it was, the next time may do.
    #[error("{0}")]
    NotNow(rusqlite::Error),
    /// What was moved may not be in the database after a power loss: it has to be moved again from
    /// the write-ahead file, which only a connection does that opens it anew.
    #[error("{0}: {1}")]
    Unsynced(String, io::Error),
}

/// Bytes of the write-ahead file that are still to be moved.
pub(super) fn unsettled_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let (logged, moved) = checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    Ok(logged.saturating_sub(moved) * PAGE_BYTES)
}

/// Moves all that no reader needs where it is. `rest` is told how long each piece took.
pub(super) fn settle(
    writer: &mut Connection,
    path: &Path,
    database: &File,
    rest: &mut dyn FnMut(Duration),
) -> Result<(), SettleError> {
    let unwritten = writer
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(SettleError::NotNow)?;
    let log = log_path(path);
    #[expect(clippy::disallowed_methods, reason = "the adapter of this file")]
    let synced = File::open(&log).and_then(|log| sync_in_pieces(&log, rest));
    synced.map_err(|error| SettleError::Unsynced(log.display().to_string(), error))?;
    let mover = sqlite_room::open(path, OpenFlags::default()).map_err(SettleError::NotNow)?;
    mover.execute_batch("PRAGMA synchronous = OFF").map_err(SettleError::NotNow)?;
    let moved = checkpoint(&mover, "PRAGMA wal_checkpoint(PASSIVE)");
    // Also after a failure: it may have moved some, and then it says so where others look.
    sync_in_pieces(database, rest)
        .map_err(|error| SettleError::Unsynced(path.display().to_string(), error))?;
    drop(unwritten);
    moved.map(|_| ()).map_err(SettleError::NotNow)
}

/// Pages in the write-ahead file, and how many of them are in the database, after this statement.
fn checkpoint(connection: &Connection, statement: &str) -> rusqlite::Result<(u64, u64)> {
    let mut statement = connection.prepare_cached(statement)?;
    // -1: it has no write-ahead file yet.
    let pages = |pages: i64| u64::try_from(pages).unwrap_or(0);
    statement.query_row([], |row| Ok((pages(row.get(1)?), pages(row.get(2)?))))
}

fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// What `File::sync_data` does, piece by piece.
#[expect(clippy::disallowed_methods, reason = "measures its own work, to rest as much")]
fn sync_in_pieces(file: &File, rest: &mut dyn FnMut(Duration)) -> io::Result<()> {
    let bytes = file.metadata()?.len();
    for at in (0..bytes).step_by(PIECE_BYTES) {
        let began = Instant::now();
        sync_piece(file, at)?;
        let took = began.elapsed();
        if took > CLEAN_PIECE {
            rest(took);
        }
    }
    file.sync_data()
}

/// A piece without anything to sync takes less.
const CLEAN_PIECE: Duration = Duration::from_micros(50);

/// Writes what is not written of [`PIECE_BYTES`] from `at`, and waits for it. Not durable before
/// `File::sync_data`, which then has nothing more to write but how long the file is.
#[expect(unsafe_code, reason = "no safe library calls it")]
fn sync_piece(file: &File, at: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let at = i64::try_from(at).map_err(io::Error::other)?;
    let piece = PIECE_BYTES as i64;
    let write_and_wait = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: it is given integers alone and touches no memory of the process; the descriptor is open
    // for as long as `file` is borrowed.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), at, piece, write_and_wait) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "copies the files as a power loss leaves them")]
mod tests {
    use super::*;

    const ROWS: i64 = 3_000;
    const COUNT: &str = "SELECT count(*) FROM t";

    struct Desk {
        place: tempfile::TempDir,
        connection: Connection,
        file: File,
    }

    impl Desk {
        /// A file with about 1.5 MiB to move.
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("a.sqlite");
            let connection = Connection::open(&path).unwrap();
            let wal = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a TEXT)";
            connection.execute_batch(wal).unwrap();
            let add = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                INSERT INTO t SELECT hex(zeroblob(250)) FROM n";
            connection.execute(add, [ROWS]).unwrap();
            let file = File::open(&path).unwrap();
            Self { place, connection, file }
        }

        fn path(&self) -> PathBuf {
            self.place.path().join("a.sqlite")
        }

        fn settle(&mut self, rest: &mut dyn FnMut(Duration)) {
            let path = self.path();
            settle(&mut self.connection, &path, &self.file, rest).unwrap();
        }

        fn unsettled_bytes(&self) -> u64 {
            unsettled_bytes(&self.connection).unwrap()
        }
    }

    fn count_in(path: &Path) -> i64 {
        Connection::open(path).unwrap().query_row(COUNT, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn database_alone_has_everything_once_it_has_settled() {
        let mut desk = Desk::new();
        assert!(desk.unsettled_bytes() > 5 * PIECE_BYTES as u64);
        desk.settle(&mut |_| {});
        assert_eq!(desk.unsettled_bytes(), 0);
        let alone = desk.place.path().join("alone.sqlite");
        std::fs::copy(desk.path(), &alone).unwrap();
        assert_eq!(count_in(&alone), ROWS);
    }

    #[test]
    fn what_lies_there_between_two_pieces_has_everything_and_nobody_writes_over_it() {
        let mut desk = Desk::new();
        let path = desk.path();
        let (crashed, mut rests) = (desk.place.path().join("crashed.sqlite"), 0);
        desk.settle(&mut |_| {
            rests += 1;
            // Without -shm, which a power loss does not leave: all is moved again.
            std::fs::copy(&path, &crashed).unwrap();
            std::fs::copy(log_path(&path), log_path(&crashed)).unwrap();
            assert_eq!(count_in(&crashed), ROWS);
            let other = Connection::open(&path).unwrap();
            other.busy_timeout(Duration::ZERO).unwrap();
            assert!(other.execute("DELETE FROM t", []).is_err());
        });
        assert!(rests > 5, "{rests}");
        desk.connection.execute("DELETE FROM t", []).unwrap();
    }

    #[test]
    fn what_a_reader_needs_is_moved_when_it_has_gone() {
        let mut desk = Desk::new();
        let mut reader = Connection::open(desk.path()).unwrap();
        let reading = reader.transaction().unwrap();
        let _: i64 = reading.query_row(COUNT, [], |row| row.get(0)).unwrap();
        desk.connection.execute("DELETE FROM t", []).unwrap();
        desk.settle(&mut |_| {});
        assert!(desk.unsettled_bytes() > 0);
        drop(reading);
        desk.settle(&mut |_| {});
        assert_eq!(desk.unsettled_bytes(), 0);
        assert_eq!(count_in(&desk.path()), 0);
    }

    #[test]
    fn file_without_a_write_ahead_file_has_nothing_to_settle() {
        let place = tempfile::tempdir().unwrap();
        let connection = Connection::open(place.path().join("a.sqlite")).unwrap();
        assert_eq!(unsettled_bytes(&connection).unwrap(), 0);
    }
}
