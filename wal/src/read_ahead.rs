//! Reading a long log a thread ahead of whoever takes its records.
//!
//! ```text
//! files ─► read, checksums, digest ─► chunks of records ─► visit, in order
//!               ▲                                            │
//!               └────────────── emptied chunks ◄─────────────┘
//! ```
//!
//! Closed segments are read in chunks. The last one may end torn: it is read in one piece by `scan`,
//! and its records are copied into chunks. The result and every error are the same as without a second
//! thread. Memory: a few chunks of 128 KiB, whatever the size of a segment, and one that is as long as a
//! longer frame.
//!
//! What crosses from core to core are the bytes as they lie in the file: a record that is decoded on
//! one core and applied on another costs more to move than to decode
//! (docs/adr/0012-what-crosses-between-cores.md).

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use sha2::Digest;

use crate::files;
use crate::frame::{self, FRAME_HEADER_BYTES, NoFrame};
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::scan::{self, Replayed, Scan};
use crate::segment::placed;
use crate::storage::read_full;
use crate::{Entry, WalError};

/// Log that is read at once: it is checked and visited while it is in the processor's cache.
const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that may wait for the visit.
const CHUNKS_WAITING: usize = 16;
/// Less log than this is read sooner without a second thread.
const BYTES_MIN: u64 = 8 << 20;

/// Records of a segment that were checked, in order.
#[derive(Default)]
struct Chunk {
    segment: u64,
    file: Arc<str>,
    /// What is read of the closed segments so far.
    bytes_read: u64,
    bytes: Vec<u8>,
    records: Vec<Place>,
}

/// Where a record stands.
struct Place {
    sequence: u64,
    durable_upto: u64,
    /// Of its frame, in the file.
    offset: u64,
    /// Of its payload, in the chunk.
    begin: usize,
    end: usize,
}

/// Where chunks go, and where they come back from once they are visited.
struct Ahead {
    out: SyncSender<Chunk>,
    emptied: Receiver<Chunk>,
}

/// Why a segment is not read to its end.
enum Stop {
    Damage(WalError),
    /// Nobody takes what is read: the visit has met an error.
    NotTaken,
}

/// Whether so much log is worth a thread.
pub(crate) fn pays(bytes: u64) -> bool {
    bytes >= BYTES_MIN && std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

impl Chunk {
    /// Notes a record whose payload begins at `begin` of its bytes.
    fn note(&mut self, entry: &Entry<'_>, begin: usize) {
        let Entry { sequence, durable_upto, payload, offset, .. } = *entry;
        let end = begin + payload.len();
        self.records.push(Place { sequence, durable_upto, offset, begin, end });
    }

    /// Takes a record with its payload.
    fn copy(&mut self, entry: &Entry<'_>) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(entry.payload);
        self.note(entry, begin);
    }

    /// Shows what it has; what is refused is corruption at its place.
    fn visit(
        &self,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
    ) -> Result<(), WalError> {
        let segment = self.segment;
        for Place { sequence, durable_upto, offset, begin, end } in &self.records {
            let (sequence, durable_upto, offset) = (*sequence, *durable_upto, *offset);
            let payload = self.bytes.get(*begin..*end).unwrap_or_default();
            visit(&Entry { sequence, durable_upto, payload, segment, offset }).map_err(
                |reason| {
                    let (file, sequence) = (self.file.to_string(), Some(sequence));
                    WalError::Corrupt { segment, file, offset, sequence, reason }
                },
            )?;
        }
        Ok(())
    }
}

impl Ahead {
    /// A chunk to fill, in the place of one that was visited, if there is one.
    fn chunk(&self, segment: u64, file: &Arc<str>, bytes_read: u64) -> Chunk {
        // What one long frame needed is not kept.
        let emptied = self.emptied.try_recv().ok();
        let of_usual_size = |chunk: &Chunk| chunk.bytes.capacity() <= 2 * CHUNK_BYTES;
        let mut chunk = emptied.filter(of_usual_size).unwrap_or_default();
        chunk.records.clear();
        Chunk { segment, file: Arc::clone(file), bytes_read, ..chunk }
    }

    fn send(&self, chunk: Chunk) -> Result<(), Stop> {
        self.out.send(chunk).map_err(|_| Stop::NotTaken)
    }
}

impl Scan {
    /// As [`Scan::replay_rest`], a thread ahead of the visit; without it where the system gives none.
    pub(crate) fn replay_rest_ahead(
        &self,
        places: Range<usize>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
        replayed: &mut Replayed,
    ) -> Result<(), WalError> {
        let (out, chunks) = sync_channel(CHUNKS_WAITING);
        let (visited, emptied) = channel();
        let (reads, reader) = (places.clone(), &mut *replayed);
        let read = std::thread::scope(|scope| {
            let ahead = Ahead { out, emptied };
            let read = move || self.read(reads, &ahead, reader);
            let thread = std::thread::Builder::new().name("read-ahead".to_owned());
            let reading = thread.spawn_scoped(scope, read).ok()?;
            // Taken along: an error ends the other thread by closing it.
            let taken = visit_all(chunks, &visited, &mut *visit, &mut *progress);
            Some(taken.and_then(|()| match reading.join() {
                Ok(Err(Stop::Damage(error))) => Err(error),
                Ok(Ok(()) | Err(Stop::NotTaken)) => Ok(()),
                Err(panic) => std::panic::resume_unwind(panic),
            }))
        });
        read.unwrap_or_else(|| self.replay_rest(places, visit, progress, replayed))
    }

    /// Reads and checks the segments at `places`, in order.
    fn read(
        &self,
        places: Range<usize>,
        ahead: &Ahead,
        replayed: &mut Replayed,
    ) -> Result<(), Stop> {
        let mut bytes_read = 0;
        for place in places {
            let [header, next] = [place, place + 1].map(|place| self.headers.get(place));
            match (header, next) {
                (Some(header), Some(next)) => {
                    self.read_closed(header, next, ahead, &mut bytes_read, replayed)?;
                }
                _ => self.read_last(place, ahead, bytes_read, replayed)?,
            }
        }
        Ok(())
    }

    /// Reads one segment in chunks and checks frames, continuity and digest.
    fn read_closed(
        &self,
        header: &Header,
        next: &Header,
        ahead: &Ahead,
        bytes_read: &mut u64,
        replayed: &mut Replayed,
    ) -> Result<(), Stop> {
        let open = files::open(&*self.storage, header.segment)?;
        let unreadable = |error| files::unreadable_frames(&*open.file, &open.name, header, error);
        let file_bytes = open.file.len().map_err(unreadable)?.min(header.segment_bytes);
        let name = open.name.as_str().into();
        let (seed, last) = (header.seed(), next.first_sequence - 1);
        let (mut digest, mut offset) = (header.digest(), HEADER_BYTES);
        let (mut sequence, mut chunk_bytes) = (header.first_sequence, CHUNK_BYTES);
        while sequence <= last {
            let mut chunk = ahead.chunk(header.segment, &name, *bytes_read);
            let mut bytes = std::mem::take(&mut chunk.bytes);
            bytes.resize(chunk_bytes, 0);
            let read = read_full(&*open.file, &mut bytes, offset).map_err(unreadable)?;
            let ends = read < chunk_bytes;
            bytes.truncate(read);
            chunk_bytes = CHUNK_BYTES;
            let (mut at, mut damage) = (0, None);
            while sequence <= last {
                let rest = bytes.get(at..).unwrap_or_default();
                match frame::parse(rest, seed).and_then(|frame| placed(frame, sequence)) {
                    Ok(frame) => {
                        let entry = frame.entry(header.segment, offset + at as u64);
                        chunk.note(&entry, at + FRAME_HEADER_BYTES);
                        replayed.mark(sequence, header.segment, entry.offset);
                        at += frame.bytes;
                        sequence += 1;
                    }
                    // It is whole in the next chunk, if the file has so much.
                    Err(NoFrame::Short(whole))
                        if !ends && offset + (at + whole) as u64 <= file_bytes =>
                    {
                        chunk_bytes = whole.max(CHUNK_BYTES);
                        break;
                    }
                    Err(no_frame) => {
                        damage = Some(no_frame);
                        break;
                    }
                }
            }
            digest.update(bytes.get(..at).unwrap_or_default());
            offset += at as u64;
            *bytes_read += at as u64;
            (chunk.bytes, chunk.bytes_read) = (bytes, *bytes_read);
            // Also before damage: what came first is told first.
            ahead.send(chunk)?;
            if let Some(found) = damage {
                let (file, sequence) = (&open.name, sequence);
                return Err(
                    scan::closed_damage(file, header, next, offset, sequence, &found).into()
                );
            }
        }
        let digest: [u8; 32] = digest.finalize().into();
        scan::check_chain(next, &digest)?;
        replayed.closed(open.report(header, last, offset, file_bytes, digest));
        Ok(())
    }

    /// Reads the last segment, whose end has to be judged, in one piece.
    fn read_last(
        &self,
        place: usize,
        ahead: &Ahead,
        bytes_read: u64,
        replayed: &mut Replayed,
    ) -> Result<(), Stop> {
        let segment = self.headers.get(place).map_or(0, |header| header.segment);
        let name = file_name(segment).into();
        let to_fill = || {
            let mut chunk = ahead.chunk(segment, &name, bytes_read);
            chunk.bytes.clear();
            chunk
        };
        let mut chunk = to_fill();
        let mut take = |entry: &Entry<'_>| {
            chunk.copy(entry);
            if chunk.bytes.len() < CHUNK_BYTES {
                return Ok(());
            }
            let full = std::mem::replace(&mut chunk, to_fill());
            ahead.send(full).map_err(|_| "nobody takes what is read".to_owned())
        };
        let ended = self.replay_rest(place..place + 1, &mut take, &mut |_| {}, replayed);
        // Also before damage: what came first is told first.
        ahead.send(chunk)?;
        Ok(ended?)
    }
}

impl From<WalError> for Stop {
    fn from(error: WalError) -> Self {
        Self::Damage(error)
    }
}

/// Shows the caller what was read; gives the chunks back to be filled again.
fn visit_all(
    chunks: Receiver<Chunk>,
    visited: &Sender<Chunk>,
    visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), WalError> {
    for chunk in chunks {
        chunk.visit(visit)?;
        progress(chunk.bytes_read);
        // The reader may have ended.
        let _ = visited.send(chunk);
    }
    Ok(())
}
