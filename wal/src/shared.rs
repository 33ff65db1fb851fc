//! What other threads see of a log: how far it is durable, how much room it has, its records.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::archive;
use crate::bisect::{self, Known};
use crate::cursor::Cursor;
use crate::files;
use crate::frame;
use crate::header::{HEADER_BYTES, Header};
use crate::spare::{self, Spare};
use crate::storage::Storage;
use crate::tail::Tail;
use crate::{Epochs, Identity, Options, WalError};

/// Where a record begins, for one record in about 64 KiB of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) sequence: u64,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// The parts of a log that all threads share.
pub struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: Options,
    identity: Identity,
    epochs: Epochs,
    /// Highest sequence on stable storage. Moves after the sync returned, and after the index.
    durable: AtomicU64,
    /// Bytes that fit zeroed segments, less what is reserved and written.
    room: AtomicI64,
    failed: AtomicBool,
    pub(crate) spares: Spares,
    headers: RwLock<Vec<Header>>,
    index: RwLock<Vec<IndexEntry>>,
}

/// What a started log begins with.
pub(crate) struct SharedParts {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: Options,
    pub(crate) headers: Vec<Header>,
    pub(crate) index: Vec<IndexEntry>,
    /// Bytes of frames in the segment in use.
    pub(crate) used_bytes: u64,
    pub(crate) durable: u64,
}

/// Zeroed segments that wait to be used.
#[derive(Default)]
pub(crate) struct Spares {
    ready: Mutex<SparesState>,
    taken: Condvar,
}

#[derive(Default)]
struct SparesState {
    spares: VecDeque<Spare>,
    made: u64,
    stopped: bool,
    error: Option<String>,
}

impl IndexEntry {
    pub(crate) fn start_of(header: &Header) -> Self {
        let Header { segment, first_sequence: sequence, .. } = *header;
        Self { sequence, segment, offset: HEADER_BYTES }
    }
}

impl Shared {
    pub(crate) fn new(parts: SharedParts) -> Self {
        let SharedParts { storage, options, headers, index, used_bytes, durable } = parts;
        let identity = headers.last().expect("a started log has a segment").identity;
        let epochs = Epochs::of_headers(&headers);
        // Re-written records may reach into the part that counts as waste: then there is no room
        // until the first spare is ready.
        let room = i64::try_from(options.segment_room()).unwrap_or(i64::MAX)
            - i64::try_from(used_bytes).unwrap_or(i64::MAX);
        Self {
            storage,
            options,
            identity,
            epochs,
            durable: AtomicU64::new(durable),
            room: AtomicI64::new(room),
            failed: AtomicBool::new(false),
            spares: Spares::default(),
            headers: RwLock::new(headers),
            index: RwLock::new(index),
        }
    }

    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Highest sequence on stable storage.
    #[must_use]
    pub fn durable_sequence(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self, sequence: u64) {
        self.durable.store(sequence, Ordering::Release);
    }

    /// Whether a write or sync failed: nothing will be written any more.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Bytes that a record takes in the log.
    #[must_use]
    pub fn frame_bytes(payload_bytes: usize) -> u64 {
        frame::frame_bytes(payload_bytes) as u64
    }

    /// Takes room in zeroed segments; `false`: there is none, nothing was taken.
    ///
    /// With all of a batch's bytes reserved, its commit finds the segments it needs: the room is
    /// what fits the segment in use and the spares, each less the worst waste at its end.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.room.fetch_sub(bytes, Ordering::Relaxed) >= bytes {
            return true;
        }
        self.room.fetch_add(bytes, Ordering::Relaxed);
        false
    }

    /// Gives back room that was reserved and not written.
    pub fn release(&self, bytes: u64) {
        self.room.fetch_add(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Room left.
    #[must_use]
    pub fn room_bytes(&self) -> i64 {
        self.room.load(Ordering::Relaxed)
    }

    /// Whether the log may soon wait for the next spare.
    pub(crate) fn is_short_of_room(&self) -> bool {
        self.room_bytes() < self.segment_share() / 2
    }

    /// What a segment adds to the room.
    fn segment_share(&self) -> i64 {
        i64::try_from(self.options.segment_room()).unwrap_or(i64::MAX)
    }

    /// Puts the room right at a change of segments, where `used_bytes` of frames went into the
    /// old one: its share of the room ends with it.
    pub(crate) fn settle_room(&self, used_bytes: u64) {
        let used = i64::try_from(used_bytes).unwrap_or(i64::MAX);
        self.room.fetch_add(used - self.segment_share(), Ordering::Relaxed);
    }

    /// Zeroes at most one segment ahead. `false`: enough are ready.
    ///
    /// # Errors
    /// The storage's, such as a full disk; the log goes on to the end of what is zeroed.
    pub fn prepare_spare(&self) -> io::Result<bool> {
        self.prepare_spare_with(&mut || {})
    }

    /// As [`Self::prepare_spare`], with a `rest` between two pieces.
    pub(crate) fn prepare_spare_with(&self, rest: &mut dyn FnMut()) -> io::Result<bool> {
        let Some(name) = self.spares.next_name(self.options.spare_segments) else {
            return Ok(false);
        };
        match spare::zeroed(&*self.storage, &name, self.options.segment_bytes, rest) {
            Ok(file) => {
                self.spares.add(Spare { name, file });
                self.release(self.options.segment_room());
                Ok(true)
            }
            Err(error) => {
                self.spares.ready.lock().error = Some(error.to_string());
                Err(io::Error::other(error))
            }
        }
    }

    /// Why the last zeroing failed, if it did.
    #[must_use]
    pub fn spare_error(&self) -> Option<String> {
        self.spares.ready.lock().error.clone()
    }

    /// The payload of a durable record.
    ///
    /// `None` also for one that was pruned.
    ///
    /// Cost: a binary search, an open and a read of about 64 KiB; about ten such reads in a segment
    /// that no replay has visited.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn read(&self, sequence: u64) -> Result<Option<Vec<u8>>, WalError> {
        if self.epochs.of(sequence).is_none() || sequence > self.durable_sequence() {
            return Ok(None);
        }
        let mut cursor = self.cursor_before(sequence)?;
        let durable = self.durable_sequence();
        loop {
            let entry = cursor.next(durable)?;
            if entry.sequence == sequence {
                return Ok(Some(entry.payload.to_vec()));
            }
        }
    }

    /// Durable records from `from` on, as they come.
    #[must_use]
    pub fn tail(self: &Arc<Self>, from: u64) -> Tail {
        Tail::new(Arc::clone(self), from.max(1))
    }

    /// A cursor in the segment that holds `sequence`, at or before it.
    pub(crate) fn cursor_before(&self, sequence: u64) -> Result<Cursor, WalError> {
        let index = self.index.read();
        let after = index.partition_point(|entry| entry.sequence <= sequence);
        let entry = after.checked_sub(1).and_then(|at| index.get(at)).copied();
        drop(index);
        let entry = entry.expect("the index begins with the first record");
        let header = self.header(entry.segment).expect("the index names segments there are");
        let is_written = self.header(entry.segment + 1).is_none();
        let open = files::open(&*self.storage, header.segment)?;
        if is_written {
            // Its index is as fine as can be, and behind its end there are only zeros.
            return Ok(Cursor::new(open.file, open.name, header, entry.offset, entry.sequence));
        }
        let from = Known { sequence: entry.sequence, offset: entry.offset };
        bisect::cursor_near(&open, &header, from, sequence)
    }

    fn header(&self, segment: u64) -> Option<Header> {
        let headers = self.headers.read();
        let first = headers.first()?.segment;
        let place = usize::try_from(segment.checked_sub(first)?).ok()?;
        headers.get(place).copied()
    }

    /// First sequence of the segment after `segment`, once there is one.
    #[must_use]
    pub fn end_of(&self, segment: u64) -> Option<u64> {
        self.header(segment + 1).map(|next| next.first_sequence)
    }

    /// Who owned the log, from which record on.
    #[must_use]
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The header of the segment that is written.
    #[must_use]
    pub fn last_header(&self) -> Header {
        *self.headers.read().last().expect("a started log has a segment")
    }

    /// Number of the first segment that is still there.
    #[must_use]
    pub fn first_segment(&self) -> u64 {
        self.headers.read().first().map_or(0, |header| header.segment)
    }

    /// Headers of the closed segments, oldest first.
    #[must_use]
    pub fn closed_segments(&self) -> Vec<Header> {
        let headers = self.headers.read();
        headers.split_last().map_or_else(Vec::new, |(_, closed)| closed.to_vec())
    }

    /// Moves a closed segment into the archive; `false`: it is there already.
    ///
    /// # Errors
    /// `Corrupt`: it is not what the next segment says, and stays where it is; `Io`.
    ///
    /// # Panics
    /// When the segment is not a closed one.
    pub fn archive(&self, segment: u64) -> Result<bool, WalError> {
        let header = self.header(segment).expect("a segment of this log");
        let next = self.header(segment + 1).expect("only closed segments are archived");
        let open = files::open(&*self.storage, segment)?;
        if open.is_archived {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        open.read(&header, &mut bytes)?;
        archive::move_into(&*self.storage, &header, &bytes, &next)?;
        Ok(true)
    }

    /// Where the log lies.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(crate) fn add_index(&self, entry: IndexEntry) {
        self.index.write().push(entry);
    }

    pub(crate) fn add_segment(&self, header: Header) {
        self.headers.write().push(header);
        self.add_index(IndexEntry::start_of(&header));
    }
}

impl Spares {
    fn next_name(&self, wanted: usize) -> Option<String> {
        let mut state = self.ready.lock();
        if state.spares.len() >= wanted {
            return None;
        }
        state.made += 1;
        Some(spare::file_name(state.made))
    }

    fn add(&self, spare: Spare) {
        let mut state = self.ready.lock();
        state.spares.push_back(spare);
        state.error = None;
    }

    pub(crate) fn take(&self) -> Option<Spare> {
        let spare = self.ready.lock().spares.pop_front();
        self.taken.notify_all();
        spare
    }

    pub(crate) fn stop(&self) {
        self.ready.lock().stopped = true;
        self.taken.notify_all();
    }

    pub(crate) fn stopped(&self) -> bool {
        self.ready.lock().stopped
    }

    /// Waits until fewer than `wanted` are ready, or the end.
    pub(crate) fn wait_wanted(&self, wanted: usize) {
        let mut state = self.ready.lock();
        // Looked at under the lock: a spare taken just before is not missed.
        self.taken.wait_while(&mut state, |state| !state.stopped && state.spares.len() >= wanted);
    }

    /// Waits between two attempts or two pieces; the end does not wait.
    pub(crate) fn rest(&self, at_most: Duration) {
        let mut state = self.ready.lock();
        self.taken.wait_while_for(&mut state, |state| !state.stopped, at_most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemStorage;

    #[test]
    fn a_spare_taken_before_the_wait_is_not_missed() {
        let spares = Spares::default();
        let storage = MemStorage::new();
        let file = storage.create("spare-1.tmp").unwrap();
        spares.add(Spare { name: "spare-1.tmp".to_owned(), file });
        assert!(spares.take().is_some());
        // Would wait for ever if it waited for the next taking.
        spares.wait_wanted(1);
    }

    #[test]
    fn the_end_is_not_waited_for() {
        let spares = Spares::default();
        spares.stop();
        spares.wait_wanted(0);
        spares.rest(Duration::from_secs(3600));
    }
}
