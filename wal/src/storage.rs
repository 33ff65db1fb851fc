//! Files of one log directory, as the log needs them. Real ones in `dir_storage`; in memory, with
//! faults, in `mem_storage`.

use std::io;
use std::sync::Arc;

use crate::WalError;

/// A directory of files. Everything the log does to a disk goes through it.
pub trait Storage: Send + Sync + 'static {
    /// A new or emptied file, for reading and writing.
    ///
    /// # Errors
    /// The storage's.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;
    /// An existing file, for reading and writing.
    ///
    /// # Errors
    /// The storage's.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;
    /// An existing file, for reading.
    ///
    /// # Errors
    /// The storage's.
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;
    /// Names of all files.
    ///
    /// # Errors
    /// The storage's.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Gives a file a name that no file has: what stands under a final name is never replaced.
    ///
    /// # Errors
    /// `AlreadyExists`, or the storage's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The storage's.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable: a file survives power loss only once its directory entry does.
    ///
    /// # Errors
    /// The storage's.
    fn sync_dir(&self) -> io::Result<()>;
    /// Bytes that can still be written, as far as the storage says; a quota may end it earlier.
    ///
    /// # Errors
    /// The storage's.
    fn free_bytes(&self) -> io::Result<u64>;
    /// A flat directory inside this one; `None`: there is none of this name.
    ///
    /// # Errors
    /// The storage's.
    fn dir(&self, name: &str) -> io::Result<Option<Arc<dyn Storage>>>;
    /// As [`Self::dir`], made where it is missing, so that it survives power loss.
    ///
    /// # Errors
    /// The storage's.
    fn make_dir(&self, name: &str) -> io::Result<Arc<dyn Storage>>;
}

/// One file.
#[expect(
    clippy::len_without_is_empty,
    reason = "a file's length is asked for, never its emptiness"
)]
pub trait StorageFile: Send + Sync {
    /// Reads up to `buf.len()` bytes; fewer at the end of the file.
    ///
    /// # Errors
    /// The storage's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `buf`.
    ///
    /// # Errors
    /// The storage's; part of it may have been written.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written, and the file's length, durable (fdatasync).
    ///
    /// # Errors
    /// The storage's: what was written may be durable or not, and asking again proves nothing.
    fn sync_data(&self) -> io::Result<()>;
    /// The file's length.
    ///
    /// # Errors
    /// The storage's.
    fn len(&self) -> io::Result<u64>;
    /// Cuts or grows the file.
    ///
    /// # Errors
    /// The storage's.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// What is written beside the log goes to the disk in pieces of about this, each synced: a sync of
/// the log waits for all that the disk was given before it (docs/adr/0013).
pub const PIECE_BYTES: usize = 256 << 10;

/// Writes all of `buf` into the file called `name`, piece by piece; it is durable when this returns.
///
/// # Errors
/// The storage's; part of it may have been written.
pub(crate) fn write_in_pieces(
    file: &dyn StorageFile,
    name: &str,
    buf: &[u8],
) -> Result<(), WalError> {
    let mut at = 0;
    for piece in buf.chunks(PIECE_BYTES) {
        file.write_all_at(piece, at).map_err(WalError::io("write", name))?;
        file.sync_data().map_err(WalError::io("sync", name))?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Reads exactly `buf.len()` bytes or up to the end of the file; gives how many.
pub(crate) fn read_full(file: &dyn StorageFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
