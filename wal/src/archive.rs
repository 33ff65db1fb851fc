//! The archive: closed segments, compressed, and still read one record at a time.
//!
//! An archived segment is its header and its frames in the zstd seekable format: the header is a
//! zstd frame of its own, then one about every 64 KiB of log, cut where a frame of the log ends. Any
//! zstd reader gives the whole back. A segment leaves its place only after its copy was synced, read
//! back and named, so that a crash leaves one or both of them, and both say the same.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use parking_lot::Mutex;
use zeekstd::{Decoder, EncodeOptions, FrameSizePolicy};

use crate::WalError;
use crate::frame;
use crate::header::{HEADER_BYTES, Header, file_name, segment_of};
use crate::planted::{Planted, planted};
use crate::segment::Segment;
use crate::storage::{Storage, StorageFile, read_full, write_in_pieces};

/// Its directory beside the segments.
pub(crate) const ARCHIVE_DIR: &str = "archive";
/// The file in which a segment is packed.
const PACKING: &str = "packing.tmp";
const SUFFIX: &str = ".zst";
/// Log in one zstd frame: what reading one record unpacks.
const CHUNK_BYTES: usize = 64 << 10;
/// Of zstd's levels the default: twice as small as the fastest, as fast to read.
const LEVEL: i32 = 3;
/// The end of the seekable format: count of frames, flags, magic number.
const FOOTER_BYTES: u64 = 9;
/// What a frame takes in the table of a file at least.
const TABLE_ENTRY_BYTES: u64 = 8;

/// An archived segment as the file it was.
pub(crate) struct ArchivedFile {
    decoder: Mutex<Decoder<'static, Source>>,
    len: u64,
}

/// The packed bytes, as the decoder reads them.
struct Source {
    file: Arc<dyn StorageFile>,
    len: u64,
    at: u64,
}

/// The file of an archived segment.
pub(crate) fn archived_name(segment: u64) -> String {
    file_name(segment) + SUFFIX
}

/// The segment of an archived file, if it is one.
pub(crate) fn archived_segment_of(file: &str) -> Option<u64> {
    segment_of(file.strip_suffix(SUFFIX)?)
}

/// Where it is, for people.
pub(crate) fn archived_path(segment: u64) -> String {
    format!("{ARCHIVE_DIR}/{}", archived_name(segment))
}

impl ArchivedFile {
    /// Opens a packed segment.
    ///
    /// # Errors
    /// `InvalidData`: it is damaged; or the storage's.
    pub(crate) fn open(file: Arc<dyn StorageFile>) -> io::Result<Self> {
        let len = file.len()?;
        let of_table = |why: io::Error| damaged(format!("the table at its end: {why}"));
        check_footer(&*file, len).map_err(of_table)?;
        let decoder = Decoder::new(Source { file, len, at: 0 });
        let decoder = decoder.map_err(|error| of_table(damaged(error)))?;
        let table = decoder.seek_table();
        let table_bytes = table.clone().into_serializer().encoded_len() as u64;
        if table.size_comp() + table_bytes != len {
            return Err(of_table(damaged("the parts it tells are not so many bytes")));
        }
        let len = table.size_decomp();
        Ok(Self { decoder: Mutex::new(decoder), len })
    }
}

/// The table must fit the file: what is allocated for it grows with bytes there are.
fn check_footer(file: &dyn StorageFile, len: u64) -> io::Result<()> {
    let mut footer = [0; FOOTER_BYTES as usize];
    let at = len.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged("it is too short"))?;
    if read_full(file, &mut footer, at)? < footer.len() {
        return Err(damaged("it is too short"));
    }
    let [n0, n1, n2, n3, flags, ..] = footer;
    if flags != 0 {
        return Err(damaged("it is of a kind that is not written"));
    }
    let frames = u64::from(u32::from_le_bytes([n0, n1, n2, n3]));
    if frames * TABLE_ENTRY_BYTES > len {
        return Err(damaged(format!("{frames} parts do not fit {len} bytes")));
    }
    Ok(())
}

fn damaged(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

impl Read for Source {
    /// At the end an error, not 0: the decoder asks only for what its table says is there.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = read_full(&*self.file, buf, self.at)?;
        if read == 0 && !buf.is_empty() {
            return Err(damaged("it ends too early"));
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.len.checked_add_signed(back),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| damaged("a place before its beginning"))?;
        Ok(self.at)
    }
}

impl StorageFile for ArchivedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut decoder = self.decoder.lock();
        if offset >= self.len {
            return Ok(0);
        }
        // Each part is entered by the table: one that does not tell where it is gives other bytes than
        // were packed, whether few or many are asked for at once.
        let table = decoder.seek_table();
        let end = table.frame_end_decomp(table.frame_index_decomp(offset)).map_err(damaged)?;
        let part = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..part).unwrap_or_default();
        let read = decoder.set_offset(offset).and_then(|()| decoder.decompress(part));
        read.map_err(|error| {
            // What it had begun is not to be gone on with.
            decoder.reset();
            damaged(error)
        })
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Moves a closed segment into the archive. `bytes` are its file's, `end_sequence` is the last
/// record's and `chain` what the next header says of it.
///
/// # Errors
/// `Corrupt`: the segment is not what the next one says, and stays where it is; `Io`.
pub(crate) fn move_into(
    storage: &dyn Storage,
    header: &Header,
    bytes: &[u8],
    next: &Header,
) -> Result<(), WalError> {
    let name = file_name(header.segment);
    let segment = Segment { header, file: &name, bytes };
    let end = segment.checked_end(next)?;
    let used = bytes.get(..end).unwrap_or_default();
    let packed = pack(used).map_err(WalError::io("pack", &name))?;
    put(storage, header, used, &packed)
}

/// As [`move_into`], with what another archive has packed of the same segment.
///
/// # Errors
/// As [`move_into`]; `Io` also where it does not unpack to this segment.
pub(crate) fn move_packed(
    storage: &dyn Storage,
    header: &Header,
    bytes: &[u8],
    next: &Header,
    packed: &[u8],
) -> Result<(), WalError> {
    let name = file_name(header.segment);
    let segment = Segment { header, file: &name, bytes };
    let end = segment.checked_end(next)?;
    put(storage, header, bytes.get(..end).unwrap_or_default(), packed)
}

/// The packed bytes of an archived segment; `None`: it is not in the archive alone.
///
/// # Errors
/// The storage's.
pub(crate) fn packed(storage: &dyn Storage, segment: u64) -> Result<Option<Vec<u8>>, WalError> {
    let path = archived_path(segment);
    let archive = storage.dir(ARCHIVE_DIR).map_err(WalError::io("open", ARCHIVE_DIR))?;
    let Some(archive) = archive else { return Ok(None) };
    let file = match archive.open_read(&archived_name(segment)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(WalError::io("open", &path))?,
    };
    let len = file.len().map_err(WalError::io("measure", &path))?;
    let mut packed = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let read = read_full(&*file, &mut packed, 0).map_err(WalError::io("read", &path))?;
    packed.truncate(read);
    Ok(Some(packed))
}

/// Puts a packed segment, which must give `used` back, into the archive; then removes its own file.
fn put(storage: &dyn Storage, header: &Header, used: &[u8], packed: &[u8]) -> Result<(), WalError> {
    let name = file_name(header.segment);
    let archive = storage.make_dir(ARCHIVE_DIR).map_err(WalError::io("make", ARCHIVE_DIR))?;
    let (path, archived) = (archived_path(header.segment), archived_name(header.segment));
    let io = |operation| WalError::io(operation, &path);
    let file = archive.create(PACKING).map_err(io("create"))?;
    write_in_pieces(&*file, &path, packed)?;
    check_same(&*archive, PACKING, used).map_err(io("read back"))?;
    if let Err(error) = archive.rename(PACKING, &archived) {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(io("rename")(error));
        }
        // Left by a crash before its segment was removed. The segment itself was just checked.
        archive.remove(&archived).map_err(io("remove"))?;
        archive.rename(PACKING, &archived).map_err(io("rename"))?;
    }
    if !planted(Planted::RemoveBeforeArchived) {
        archive.sync_dir().map_err(WalError::io("sync", ARCHIVE_DIR))?;
    }
    storage.remove(&name).map_err(WalError::io("remove", &name))?;
    storage.sync_dir().map_err(WalError::io("sync", "the directory"))
}

/// Removes what a crash left half packed.
///
/// # Errors
/// The storage's.
pub(crate) fn clean(storage: &dyn Storage) -> Result<(), WalError> {
    let archive = storage.dir(ARCHIVE_DIR).map_err(WalError::io("open", ARCHIVE_DIR))?;
    let Some(archive) = archive else { return Ok(()) };
    match archive.remove(PACKING) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(WalError::io("remove", PACKING)(error))
        }
        _ => Ok(()),
    }
}

fn pack(used: &[u8]) -> io::Result<Vec<u8>> {
    let options = EncodeOptions::new()
        .checksum_flag(true)
        .compression_level(LEVEL)
        .frame_size_policy(FrameSizePolicy::Uncompressed(u32::MAX));
    let mut packed = Vec::with_capacity(used.len() / 2);
    let mut encoder = options.into_encoder(&mut packed).map_err(damaged)?;
    let (mut from, mut at, mut is_first) = (0, HEADER_BYTES as usize, true);
    let mut put = |chunk: &[u8]| {
        if is_first {
            is_first = false;
        } else {
            // Not behind the last one, which the end of the file ends: an empty frame would follow it.
            encoder.end_frame()?;
        }
        encoder.compress(chunk)
    };
    while at < used.len() {
        // The first chunk is the header alone: a start reads nothing else of an archived segment.
        if from == 0 || at - from >= CHUNK_BYTES {
            put(used.get(from..at).unwrap_or_default()).map_err(damaged)?;
            from = at;
        }
        at += frame::own_frame_bytes(used.get(at..).unwrap_or_default());
    }
    put(used.get(from..).unwrap_or_default()).map_err(damaged)?;
    encoder.finish().map_err(damaged)?;
    Ok(packed)
}

/// Whether a packed file gives these bytes back.
fn check_same(archive: &dyn Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = ArchivedFile::open(archive.open_read(name)?)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    for (number, expected) in bytes.chunks(CHUNK_BYTES).enumerate() {
        let read = read_full(&file, &mut buffer, (number * CHUNK_BYTES) as u64)?;
        if buffer.get(..read) != Some(expected) {
            return Err(damaged("it does not give back what was packed"));
        }
    }
    if file.len != bytes.len() as u64 {
        return Err(damaged("it is longer than what was packed"));
    }
    Ok(())
}
