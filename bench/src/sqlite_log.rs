//! SQLite's write-ahead log, read as <https://sqlite.org/fileformat2.html#the_write_ahead_log> says:
//! whether a transaction was being written when its process ended.

use std::io;
use std::path::Path;

use crate::cursor::Cursor;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Ends in 1 where the checksums read big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// Whether sound frames stand behind the last one that commits.
///
/// Frames of an older use of the file, and what an older transaction that nobody committed has left,
/// break the chain of checksums, so they are no frames.
///
/// # Errors
/// The file cannot be read. That it is not there says no.
pub(crate) fn is_open(path: &Path) -> io::Result<bool> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(frames(&bytes).is_some_and(|(after_commit, _)| after_commit > 0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sound frames behind the last commit, and all.
fn frames(bytes: &[u8]) -> Option<(u64, u64)> {
    let word = |bytes: &[u8]| Some(u32::from_be_bytes(*bytes.first_chunk()?));
    let mut header = Cursor::new(bytes.get(..HEADER_BYTES)?);
    let magic = word(header.take(4, "magic").ok()?)?;
    let big_endian = magic == MAGIC | 1;
    if !big_endian && magic != MAGIC {
        return None;
    }
    header.take(4, "version").ok()?;
    let page_bytes = usize::try_from(word(header.take(4, "page size").ok()?)?).ok()?;
    header.take(4, "checkpoint").ok()?;
    let salts = header.take(8, "salts").ok()?;
    let mut sums = summed((0, 0), bytes.get(..24)?, big_endian);
    if (word(bytes.get(24..)?)?, word(bytes.get(28..)?)?) != sums {
        return None;
    }
    let (mut after_commit, mut all) = (0, 0);
    for frame in bytes.get(HEADER_BYTES..)?.chunks_exact(FRAME_HEADER_BYTES + page_bytes) {
        let (head, page) = frame.split_at_checked(FRAME_HEADER_BYTES)?;
        if head.get(8..16)? != salts {
            break;
        }
        let found = summed(summed(sums, head.get(..8)?, big_endian), page, big_endian);
        if (word(head.get(16..)?)?, word(head.get(20..)?)?) != found {
            break;
        }
        (sums, all) = (found, all + 1);
        // The database's size in pages stands in the frame that commits, and nowhere else.
        let commits = word(head.get(4..)?)? != 0;
        after_commit = if commits { 0 } else { after_commit + 1 };
    }
    Some((after_commit, all))
}

fn summed((mut one, mut two): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let (words, _) = bytes.as_chunks::<4>();
    let (pairs, _) = words.as_chunks::<2>();
    let word = |bytes: [u8; 4]| {
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    for [first, second] in pairs {
        one = one.wrapping_add(word(*first)).wrapping_add(two);
        two = two.wrapping_add(word(*second)).wrapping_add(one);
    }
    (one, two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_was_being_written_shows_and_a_committed_one_does_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("some.sqlite");
        let database = rusqlite::Connection::open(&path).expect("a database");
        let setup = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                     CREATE TABLE some (text TEXT)";
        database.execute_batch(setup).expect("SQLite");
        for _ in 0..3 {
            database.execute("INSERT INTO some VALUES (hex(zeroblob(9000)))", []).expect("SQLite");
        }
        let log = directory.path().join("some.sqlite-wal");
        let bytes = std::fs::read(&log).expect("a log");
        let (after_commit, all) = frames(&bytes).expect("a log of SQLite's");
        assert!(after_commit == 0 && all > 9, "{all} frames");
        assert!(!is_open(&log).expect("a log"));
        let frame = 4096 + FRAME_HEADER_BYTES;
        std::fs::write(&log, &bytes[..bytes.len() - frame]).expect("room");
        assert!(is_open(&log).expect("a log"), "without its commit");
        // The same frames with one changed: an older use of the file.
        let mut changed = bytes;
        changed[HEADER_BYTES + FRAME_HEADER_BYTES] ^= 1;
        std::fs::write(&log, &changed).expect("room");
        assert!(!is_open(&log).expect("a log"));
        assert!(!is_open(&directory.path().join("none")).expect("no log"));
    }
}
