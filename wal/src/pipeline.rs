//! Reading a long log with the work divided: one thread reads and checks, one makes of each frame
//! what the caller wants to have of it, and the caller takes those in order.
//!
//! ```text
//! files ─► read, checksums, digest ─► chunks of frames ─► map ─► visit, in order
//!               ▲                         │  ▲                    │
//!               └──── emptied chunks ◄────┘  └── seen records ◄───┘
//! ```
//!
//! For closed segments. The one that is written may end torn: `scan` reads it in one piece, a thread
//! ahead of the caller. The result and every error are the same as without it. Memory: a few chunks of
//! 128 KiB between threads, whatever the size of a segment. What was made goes back to the thread that
//! made it, which makes the next in its place: to free what another thread has allocated costs more
//! than to allocate it, and to move what is made costs as much as to make it.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use sha2::Digest;

use crate::files;
use crate::frame::{self, NoFrame};
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::scan::{self, Replayed, Scan, SegmentReport};
use crate::segment::placed;
use crate::storage::read_full;
use crate::{Entry, WalError};

/// Log that is read at once: it is checked and mapped while it is in the processor's cache.
const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that may wait between two threads.
const CHUNKS_WAITING: usize = 16;
/// Records of the last segment that are given on at once.
const RECORDS_AHEAD: usize = 512;
/// Less log than this is read sooner without threads.
const BYTES_MIN: u64 = 8 << 20;

/// Makes of a record what the caller wants to have of it, in the place of what was made there before.
pub type Map<'a, T> = dyn Fn(&Entry<'_>, &mut T) -> Result<(), String> + Sync + 'a;

/// What is made of one frame, and where it stands.
#[derive(Default)]
struct Mapped<T> {
    sequence: u64,
    offset: u64,
    made: T,
}

/// What is made of some frames, in order.
#[derive(Default)]
struct Made<T> {
    /// More than are `used` where it had more frames before.
    places: Vec<Mapped<T>>,
    used: usize,
    /// Why nothing is made of the last one; none follows it.
    refused: Option<String>,
}

impl<T: Default> Made<T> {
    /// One to fill: its places are those of one that is seen, if there is one.
    fn to_fill(seen: &Receiver<Self>) -> Self {
        let places = seen.try_recv().map_or_else(|_| Vec::new(), |batch| batch.places);
        Self { places, used: 0, refused: None }
    }

    fn map(&mut self, map: &Map<'_, T>, entry: &Entry<'_>) {
        if self.refused.is_some() {
            return;
        }
        if self.used == self.places.len() {
            self.places.push(Mapped::default());
        }
        if let Some(place) = self.places.get_mut(self.used) {
            (place.sequence, place.offset) = (entry.sequence, entry.offset);
            self.refused = map(entry, &mut place.made).err();
            self.used += 1;
        }
    }
}

/// What goes from one thread to the next.
enum Step<C> {
    /// Frames of a segment, whole and in order.
    Chunk {
        segment: u64,
        name: String,
        bytes: u64,
        frames: C,
    },
    /// All of a segment was read, and it is what its successor says.
    End(SegmentReport),
    Failed(WalError),
}

/// Checked frames, as they lie in the file from `offset` on.
struct Frames {
    offset: u64,
    bytes: Vec<u8>,
}

/// The threads are gone: whoever was to take something has met an error.
struct Hurried;

/// What of a log is read here, if it is worth the threads.
pub(crate) fn pays(closed: &[Header], closed_bytes: u64) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    !closed.is_empty() && closed_bytes >= BYTES_MIN && cores > 1
}

impl Scan {
    /// Reads the closed segments at `places`; each has a successor.
    pub(crate) fn replay_closed<T: Send + Default>(
        &self,
        places: std::ops::Range<usize>,
        map: &Map<'_, T>,
        visit: &mut dyn FnMut(u64, &T) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
        replayed: &mut Replayed,
    ) -> Result<(), WalError> {
        let (checked, to_map) = sync_channel(CHUNKS_WAITING);
        let (mapped, to_visit) = sync_channel(CHUNKS_WAITING);
        let (used, pool) = channel();
        let (seen, to_fill) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || self.check_all(places, &checked, &pool));
            scope.spawn(move || map_all(map, &to_map, &mapped, &used, &to_fill));
            // Taken along: an error ends the other threads by closing it.
            take_all(to_visit, &seen, visit, progress, replayed)
        })
    }

    /// Reads the segment at `place`, the last, with what is made of its frames one thread ahead.
    pub(crate) fn replay_last<T: Send + Default>(
        &self,
        place: usize,
        map: &Map<'_, T>,
        visit: &mut dyn FnMut(u64, &T) -> Result<(), String>,
        replayed: &mut Replayed,
    ) -> Result<(), WalError> {
        let segment = self.headers.get(place).map_or(0, |header| header.segment);
        let (mapped, to_visit) = sync_channel(CHUNKS_WAITING);
        let (seen, to_fill) = channel();
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut ahead = Made::default();
                let mut take = |entry: &Entry<'_>| {
                    ahead.map(map, entry);
                    match ahead.used < RECORDS_AHEAD {
                        true => Ok(()),
                        false => mapped
                            .send(std::mem::replace(&mut ahead, Made::to_fill(&to_fill)))
                            .map_err(|_| "nobody takes what is read".to_owned()),
                    }
                };
                let read = self.replay_rest(place..place + 1, &mut take, &mut |_| {}, replayed);
                // Also before damage: what came first is told first.
                let _ = mapped.send(ahead);
                read
            });
            // Taken along: an error ends the other thread by closing it.
            take_last(to_visit, &seen, segment, visit)?;
            reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn check_all(
        &self,
        places: std::ops::Range<usize>,
        out: &SyncSender<Step<Frames>>,
        pool: &Receiver<Vec<u8>>,
    ) {
        for pair in self.headers.get(places.start..=places.end).unwrap_or_default().windows(2) {
            let [header, next] = pair else { unreachable!("windows of two") };
            let checked = self.check_closed(header, next, out, pool);
            let step = match checked {
                Ok(report) => Step::End(report),
                Err(Stop::Damage(error)) => Step::Failed(error),
                Err(Stop::Hurried(Hurried)) => return,
            };
            let failed = matches!(step, Step::Failed(_));
            if out.send(step).is_err() || failed {
                return;
            }
        }
    }

    /// Reads one segment in chunks and checks frames, continuity and digest.
    fn check_closed(
        &self,
        header: &Header,
        next: &Header,
        out: &SyncSender<Step<Frames>>,
        pool: &Receiver<Vec<u8>>,
    ) -> Result<SegmentReport, Stop> {
        let open = files::open(&*self.storage, header.segment)?;
        let unreadable = |error| files::unreadable(header.segment, &open.name, error);
        let file_bytes = open.file.len().map_err(unreadable)?.min(header.segment_bytes);
        let (seed, last) = (header.seed(), next.first_sequence - 1);
        let (mut digest, mut offset) = (header.digest(), HEADER_BYTES);
        let (mut sequence, mut chunk_bytes) = (header.first_sequence, CHUNK_BYTES);
        while sequence <= last {
            let mut bytes = pool.try_recv().unwrap_or_default();
            bytes.resize(chunk_bytes, 0);
            let read = read_full(&*open.file, &mut bytes, offset).map_err(unreadable)?;
            let ends = read < chunk_bytes;
            bytes.truncate(read);
            let mut at = 0;
            while sequence <= last {
                let rest = bytes.get(at..).unwrap_or_default();
                match frame::parse(rest, seed).and_then(|frame| placed(frame, sequence)) {
                    Ok(frame) => {
                        at += frame.bytes;
                        sequence += 1;
                    }
                    // It goes on in the next chunk.
                    Err(NoFrame::Short(_)) if !ends => break,
                    Err(no_frame) => {
                        let at = offset + at as u64;
                        let error =
                            scan::closed_damage(&open.name, header, next, at, sequence, &no_frame);
                        self.send(out, &open.name, header, offset, bytes, at - offset)?;
                        return Err(Stop::Damage(error));
                    }
                }
            }
            // A frame that is longer than a chunk.
            chunk_bytes = if at == 0 { chunk_bytes * 2 } else { CHUNK_BYTES };
            digest.update(bytes.get(..at).unwrap_or_default());
            self.send(out, &open.name, header, offset, bytes, at as u64)?;
            offset += at as u64;
        }
        let digest: [u8; 32] = digest.finalize().into();
        scan::check_chain(next, &digest)?;
        Ok(open.report(header, last, offset, file_bytes, digest))
    }

    fn send(
        &self,
        out: &SyncSender<Step<Frames>>,
        name: &str,
        header: &Header,
        offset: u64,
        mut bytes: Vec<u8>,
        used: u64,
    ) -> Result<(), Hurried> {
        bytes.truncate(usize::try_from(used).unwrap_or(usize::MAX));
        let frames = Frames { offset, bytes };
        let (segment, name) = (header.segment, name.to_owned());
        out.send(Step::Chunk { segment, name, bytes: used, frames }).map_err(|_| Hurried)
    }
}

/// Why a segment is not read to its end.
enum Stop {
    Damage(WalError),
    Hurried(Hurried),
}

impl From<WalError> for Stop {
    fn from(error: WalError) -> Self {
        Self::Damage(error)
    }
}

impl From<Hurried> for Stop {
    fn from(hurried: Hurried) -> Self {
        Self::Hurried(hurried)
    }
}

/// Makes of each frame what the caller wants; gives the bytes back to be filled again.
fn map_all<T: Default>(
    map: &Map<'_, T>,
    chunks: &Receiver<Step<Frames>>,
    out: &SyncSender<Step<Made<T>>>,
    used: &Sender<Vec<u8>>,
    seen: &Receiver<Made<T>>,
) {
    for step in chunks {
        let step = match step {
            Step::Chunk { segment, name, bytes, frames } => {
                let mut mapped = Made::to_fill(seen);
                map_chunk(map, segment, &frames, &mut mapped);
                // The reader may have ended.
                let _ = used.send(frames.bytes);
                Step::Chunk { segment, name, bytes, frames: mapped }
            }
            Step::End(report) => Step::End(report),
            Step::Failed(error) => Step::Failed(error),
        };
        if out.send(step).is_err() {
            return;
        }
    }
}

fn map_chunk<T: Default>(map: &Map<'_, T>, segment: u64, frames: &Frames, mapped: &mut Made<T>) {
    let mut at = 0;
    while let Some(frame) = frame::checked(frames.bytes.get(at..).unwrap_or_default()) {
        let (sequence, offset) = (frame.sequence, frames.offset + at as u64);
        let (durable_upto, payload) = (frame.durable_upto, frame.payload);
        mapped.map(map, &Entry { sequence, durable_upto, payload, segment, offset });
        at += frame.bytes;
    }
}

/// Shows the caller what was made, in order.
fn take_all<T>(
    steps: Receiver<Step<Made<T>>>,
    seen: &Sender<Made<T>>,
    visit: &mut dyn FnMut(u64, &T) -> Result<(), String>,
    progress: &mut dyn FnMut(u64),
    replayed: &mut Replayed,
) -> Result<(), WalError> {
    let mut bytes_read = 0;
    for step in steps {
        match step {
            Step::Chunk { segment, name, bytes, frames } => {
                show(&frames, segment, &name, &mut |frame| {
                    visit(frame.sequence, &frame.made)?;
                    replayed.mark(frame.sequence, segment, frame.offset);
                    Ok(())
                })?;
                // The maker may have ended.
                let _ = seen.send(frames);
                bytes_read += bytes;
                progress(bytes_read);
            }
            Step::End(report) => replayed.closed(report),
            Step::Failed(error) => return Err(error),
        }
    }
    Ok(())
}

fn take_last<T>(
    made: Receiver<Made<T>>,
    seen: &Sender<Made<T>>,
    segment: u64,
    visit: &mut dyn FnMut(u64, &T) -> Result<(), String>,
) -> Result<(), WalError> {
    let name = file_name(segment);
    let mut visit = |frame: &Mapped<T>| visit(frame.sequence, &frame.made);
    made.into_iter().try_for_each(|batch| {
        show(&batch, segment, &name, &mut visit)?;
        // The maker may have ended.
        let _ = seen.send(batch);
        Ok(())
    })
}

fn show<T>(
    batch: &Made<T>,
    segment: u64,
    name: &str,
    visit: &mut impl FnMut(&Mapped<T>) -> Result<(), String>,
) -> Result<(), WalError> {
    let mut frames = batch.places.get(..batch.used).unwrap_or_default().iter();
    let refused = batch.refused.as_ref().and_then(|reason| Some((frames.next_back()?, reason)));
    let corrupt = |frame: &Mapped<T>, reason| {
        let (file, sequence) = (name.to_owned(), Some(frame.sequence));
        WalError::Corrupt { segment, file, offset: frame.offset, sequence, reason }
    };
    for frame in frames {
        visit(frame).map_err(|reason| corrupt(frame, reason))?;
    }
    refused.map_or(Ok(()), |(frame, reason)| Err(corrupt(frame, reason.clone())))
}
