//! Segments zeroed ahead: a sync on zeroed, allocated blocks writes data alone, where a growing
//! file writes its metadata too.
//!
//! Zeroes are written and synced in small pieces, with rests between them while the log has room: a
//! sync of the log waits for all that the disk was given before it, and a segment's zeroes given at
//! once are tens of milliseconds (docs/adr/0013).
//!
//! Running out of space here is no failure of the log: it writes to the end of what is zeroed, and
//! the zeroing goes on by itself when there is space again. A panic is no failure of the log either:
//! nothing that is half done here is in use, so it is told and tried again like any other error.
//! Ending the process would end sales that still have room.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::WalError;
use crate::log::now;
use crate::pruned;
use crate::shared::{Shared, Spares};
use crate::storage::{PIECE_BYTES, Storage, StorageFile};

/// The file in which a start prepares its segment.
pub(crate) const FRESH: &str = "fresh.tmp";

static ZEROS: [u8; PIECE_BYTES] = [0; PIECE_BYTES];
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Rest after a piece, in times of what the piece took: the disk is the log's for three parts of four.
const RESTS_FOR_A_PIECE: u32 = 3;
/// Longest rest.
const REST_MAX: Duration = Duration::from_millis(50);

/// A zeroed file under a temporary name.
pub(crate) struct Spare {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn StorageFile>,
}

/// The background thread that keeps spare segments ready.
pub struct Preallocator {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The file of a zeroed segment.
pub(crate) fn file_name(number: u64) -> String {
    format!("spare-{number}.tmp")
}

/// Whether a file is one of those that a start deletes: no other is touched.
pub(crate) fn is_temporary(name: &str) -> bool {
    name == FRESH || name == pruned::WRITING || is_spare(name)
}

/// Whether a file is a zeroed segment.
pub(crate) fn is_spare(name: &str) -> bool {
    let number = name.strip_prefix("spare-").and_then(|rest| rest.strip_suffix(".tmp"));
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

/// Makes a zeroed and synced file; removes what it could not finish.
///
/// Looks at the free space first: writing until it is full would take the last bytes from others
/// that need them, once in every attempt. Calls `rest` between two pieces.
pub(crate) fn zeroed(
    storage: &dyn Storage,
    name: &str,
    bytes: u64,
    rest: &mut dyn FnMut(),
) -> Result<Arc<dyn StorageFile>, WalError> {
    let free_bytes = storage.free_bytes().map_err(WalError::io("measure the space for", name))?;
    if free_bytes < bytes {
        return Err(WalError::NoRoom { needed_bytes: bytes, free_bytes });
    }
    let file = storage.create(name).map_err(WalError::io("create", name))?;
    match zero(&*file, bytes, rest) {
        Ok(()) => Ok(file),
        Err(error) => {
            // Half a spare would only take the room that others need.
            drop(file);
            let _ = storage.remove(name);
            Err(WalError::io("zero", name)(error))
        }
    }
}

fn zero(file: &dyn StorageFile, bytes: u64, rest: &mut dyn FnMut()) -> io::Result<()> {
    let mut at = 0;
    loop {
        let step = (bytes - at).min(ZEROS.len() as u64);
        file.write_all_at(ZEROS.get(..step as usize).unwrap_or(&ZEROS), at)?;
        file.sync_data()?;
        at += step;
        if at == bytes {
            return Ok(());
        }
        rest();
    }
}

/// A random salt for a segment.
pub(crate) fn salt() -> Result<u64, WalError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| WalError::io("draw a salt for", "a segment")(io::Error::other(error)))?;
    Ok(u64::from_le_bytes(bytes))
}

impl Preallocator {
    /// Starts the thread. It tells why zeroing fails, once until it succeeds again.
    ///
    /// # Errors
    /// The system has no thread left: without one the log would end with its first segment.
    pub fn start(
        shared: Arc<Shared>,
        mut tell: impl FnMut(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let theirs = Arc::clone(&shared);
        let run = move || {
            let enough = theirs.options.spare_segments;
            let prepare = || {
                let mut began = now();
                theirs.prepare_spare_with(&mut || {
                    if !theirs.is_short_of_room() {
                        theirs.spares.rest((began.elapsed() * RESTS_FOR_A_PIECE).min(REST_MAX));
                    }
                    began = now();
                })
            };
            keep_ready(&theirs.spares, enough, prepare, &mut tell);
        };
        let thread = std::thread::Builder::new().name("preallocate".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Ends the thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.spares.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Preallocator {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep_ready(
    spares: &Spares,
    enough: usize,
    mut prepare: impl FnMut() -> io::Result<bool>,
    tell: &mut dyn FnMut(&io::Error),
) {
    let mut told = false;
    while !spares.stopped() {
        match without_panic(&mut prepare) {
            Ok(true) => told = false,
            Ok(false) => spares.wait_wanted(enough),
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tell(&error);
                }
                spares.rest(RETRY_AFTER);
            }
        }
    }
}

/// Runs `prepare`; a panic in it is an error. Its message is out by then.
fn without_panic(prepare: &mut impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    catch_unwind(AssertUnwindSafe(prepare))
        .unwrap_or_else(|_| Err(io::Error::other("the zeroing of a segment panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemStorage;

    #[test]
    fn only_the_logs_own_temporary_files_are_temporary() {
        assert!(is_temporary(FRESH) && is_temporary(&file_name(12)));
        for foreign in ["notes.tmp", "spare-.tmp", "spare-a.tmp", "fresh.tmp2", "spare-1.wal"] {
            assert!(!is_temporary(foreign), "{foreign}");
        }
    }

    #[test]
    fn zeroing_without_space_writes_nothing() {
        let storage = MemStorage::new();
        storage.set_capacity(Some(4095));
        let before = storage.operations();
        let error =
            zeroed(&storage, "spare-1.tmp", 4096, &mut || {}).err().map(|error| error.to_string());
        let expected = "4096 bytes for a segment are needed, 4095 are free";
        assert_eq!(error.as_deref(), Some(expected));
        assert_eq!(storage.operations(), before);
    }

    #[test]
    fn zeroes_are_synced_piece_by_piece_with_a_rest_between_two() {
        let storage = MemStorage::new();
        let bytes = 2 * PIECE_BYTES as u64 + 4096;
        let mut at_rest = Vec::new();
        let rest = &mut || {
            storage.sync_dir().unwrap();
            at_rest.push(storage.stable_bytes("spare-1.tmp", 0).map(|bytes| bytes.len()));
        };
        zeroed(&storage, "spare-1.tmp", bytes, rest).unwrap();
        assert_eq!(at_rest, [Some(PIECE_BYTES), Some(2 * PIECE_BYTES)]);
    }

    #[test]
    fn panic_while_zeroing_is_told_once_and_tried_again() {
        let (spares, mut attempts, mut told) = (Spares::default(), 0, Vec::new());
        let prepare = || {
            attempts += 1;
            match attempts {
                1 => panic!("a bug"),
                2 => Err(io::Error::other("no space")),
                3 => Ok(true),
                4 => Err(io::Error::other("no space again")),
                _ => {
                    spares.stop();
                    Ok(true)
                }
            }
        };
        keep_ready(&spares, 1, prepare, &mut |error| told.push(error.to_string()));
        assert_eq!(attempts, 5);
        assert_eq!(told, ["the zeroing of a segment panicked", "no space again"]);
    }
}
