//! Reading a log whole: headers, frames, continuity, chain. Changes nothing.
//!
//! A bad frame at sequence s is *corruption* if and only if a sound frame says that s was durable,
//! or a later header begins above s; otherwise it is a *torn tail*: the batch that was being
//! written when the process died. (Damage confined to that last batch cannot be told from a torn
//! write.)

use std::sync::Arc;

use sha2::Digest;

use crate::archive::archived_path;
use crate::copied;
use crate::files::{self, unreadable};
use crate::frame::NoFrame;
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::pruned::{self, Deleted, Pruned};
use crate::read_ahead;
use crate::segment::{Segment, Walked};
use crate::shared::IndexEntry;
use crate::storage::{Storage, read_full};
use crate::{Entry, Epochs, Identity, WalError};

/// Bytes of log between two entries of the sparse index.
pub(crate) const INDEX_EVERY_BYTES: u64 = 64 << 10;

/// How often a reader beside a running engine looks again before it believes in damage.
const LOOKS: usize = 4;

/// A log with its headers read and checked.
pub struct Scan {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) headers: Vec<Header>,
    /// Bytes of each segment, as if none were compressed.
    file_bytes: Vec<u64>,
}

/// A place between two segments, and what is certain there of all before it: where a snapshot lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log it is. Its epoch is the one of the segment before the place.
    pub identity: Identity,
    /// Last record before the place.
    pub sequence: u64,
    /// Segment that begins there.
    pub segment: u64,
    /// Chain in that segment's header: the digest of all before.
    pub chain: [u8; 32],
}

/// One segment, as `inspect` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its header.
    pub header: Header,
    /// Its file, from the log's directory on.
    pub file: String,
    /// Whether it lies compressed in the archive.
    pub is_archived: bool,
    /// Sequence of its last record; `first_sequence - 1` when it has none.
    pub last_sequence: u64,
    /// Records.
    pub frames: u64,
    /// Bytes of header and frames.
    pub used_bytes: u64,
    /// Length of the file; of an archived one as it was before.
    pub file_bytes: u64,
    /// What it takes of the disk.
    pub stored_bytes: u64,
    /// SHA-256 over header and frames.
    pub digest: [u8; 32],
}

/// A batch that was being written when the process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Its segment.
    pub segment: u64,
    /// Where it begins.
    pub offset: u64,
    /// The first record that is lost with it; nobody was told of it.
    pub sequence: u64,
    /// Bytes up to the last one that is not zero.
    pub bytes: u64,
    /// What is wrong there.
    pub reason: String,
}

/// What reading a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Sequence of the first record read: 1, or more after a checkpoint or in a pruned log.
    pub first_sequence: u64,
    /// Sequence of the last sound record, 0 in an empty log.
    pub last_sequence: u64,
    /// Up to here the log proves itself that it was durable.
    pub proven_sequence: u64,
    /// What has to be cut.
    pub torn: Option<TornTail>,
    /// Every segment that was read.
    pub segments: Vec<SegmentReport>,
    pub(crate) index: Vec<IndexEntry>,
    pub(crate) unproven: Vec<Unproven>,
}

/// A sound record above the proven watermark: a failed sync may have left it only in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unproven {
    pub(crate) sequence: u64,
    pub(crate) offset: u64,
    pub(crate) payload: Vec<u8>,
}

impl std::fmt::Display for TornTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { segment, offset, sequence, bytes, reason } = self;
        write!(
            f,
            "a torn batch of {bytes} bytes from sequence {sequence} on \
             (segment {segment}, offset {offset}: {reason})"
        )
    }
}

impl Scan {
    /// Reads and checks all headers.
    ///
    /// # Errors
    /// `Corrupt`, `FormatFromFuture`, `Io`.
    pub fn open(storage: Arc<dyn Storage>) -> Result<Self, WalError> {
        let mut looks = 0;
        loop {
            match Self::read_headers(Arc::clone(&storage)) {
                // Beside a running engine the last segment may have been cut since it was listed.
                Err(WalError::Corrupt { .. }) if looks < LOOKS => looks += 1,
                done => return done,
            }
        }
    }

    fn read_headers(storage: Arc<dyn Storage>) -> Result<Self, WalError> {
        let pruned = Pruned::read(&*storage)?;
        let first = pruned.map_or(0, |pruned| pruned.segment);
        let mut scan = Self { storage, headers: Vec::new(), file_bytes: Vec::new() };
        for number in files::list(&*scan.storage)? {
            // What was pruned may still be there in part.
            if number >= first {
                scan.add(number, pruned.as_ref())?;
            }
        }
        if let (None, Some(pruned)) = (scan.headers.last(), pruned) {
            let reason = "the log that was pruned up to here is gone".to_owned();
            return Err(corrupt(pruned.segment, 0, None, reason));
        }
        scan.check_last()?;
        Ok(scan)
    }

    /// The last segment is the one that is written: whole, and in its own place.
    fn check_last(&self) -> Result<(), WalError> {
        let (Some(last), Some(len)) = (self.headers.last(), self.file_bytes.last()) else {
            return Ok(());
        };
        if files::open(&*self.storage, last.segment)?.is_archived {
            let (before, next) = (archived_path(last.segment), last.segment + 1);
            let reason = format!("it is missing: {before} is archived, so another followed it");
            return Err(corrupt(next, 0, None, reason));
        }
        if *len != last.segment_bytes {
            let reason = format!("the last segment has {len} bytes, not {}", last.segment_bytes);
            return Err(corrupt(last.segment, *len, None, reason));
        }
        Ok(())
    }

    /// Reads the headers of segments that were begun since.
    pub(crate) fn look_again(&mut self) -> Result<(), WalError> {
        while let Some(last) = self.headers.last() {
            let next = last.segment + 1;
            match self.storage.open_read(&file_name(next)) {
                Ok(_) => self.add(next, None)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(WalError::io("open", &file_name(next))(error)),
            }
        }
        Ok(())
    }

    /// The segment that holds a sequence, or would: its place among the headers.
    pub(crate) fn place_holding(&self, sequence: u64) -> Option<usize> {
        // Of two that begin with the same one, the first has no frame of its own.
        let after = self.headers.partition_point(|header| header.first_sequence <= sequence);
        after.checked_sub(1)
    }

    /// Reads the next segment's header.
    fn add(&mut self, number: u64, pruned: Option<&Pruned>) -> Result<(), WalError> {
        let open = files::open(&*self.storage, number)?;
        let unreadable = |error| unreadable(number, &open.name, error);
        let mut bytes = vec![0; HEADER_BYTES as usize];
        let read = read_full(&*open.file, &mut bytes, 0).map_err(unreadable)?;
        bytes.truncate(read);
        let header = Header::decode(&bytes, number, &open.name)?;
        let len = open.file.len().map_err(unreadable)?;
        check_follows(self.headers.last(), pruned, &header, number, &open.name)?;
        self.headers.push(header);
        self.file_bytes.push(len);
        Ok(())
    }

    /// Where it lies.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The headers of all segments, in order.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// First sequence that is still there: 1, or more in a log that was pruned.
    #[must_use]
    pub fn first_sequence(&self) -> u64 {
        self.headers.first().map_or(1, |header| header.first_sequence)
    }

    /// Who owned the log, from which record on.
    #[must_use]
    pub fn epochs(&self) -> Epochs {
        Epochs::of_headers(&self.headers)
    }

    /// The place before a segment, if it and all that is before it is known: not before the first
    /// record.
    #[must_use]
    pub fn checkpoint(&self, segment: u64) -> Option<Checkpoint> {
        let place = self.place_of(segment)?;
        let header = self.headers.get(place)?;
        let sequence = header.first_sequence.checked_sub(1).filter(|sequence| *sequence > 0)?;
        let before = place.checked_sub(1).and_then(|place| self.headers.get(place));
        let identity = before.unwrap_or(header).identity;
        Some(Checkpoint { identity, sequence, segment, chain: header.chain })
    }

    /// Whether the log goes on from this checkpoint.
    ///
    /// # Errors
    /// Why it does not, in words: it is not this log's, or not at this place.
    pub fn check_continues(&self, from: &Checkpoint) -> Result<(), String> {
        let Some(place) = self.place_of(from.segment) else {
            let (first, last) = (self.headers.first(), self.headers.last());
            let number = |header: Option<&Header>| header.map_or(0, |header| header.segment);
            return Err(format!(
                "it is followed by segment {}, the log has {} to {}",
                from.segment,
                number(first),
                number(last)
            ));
        };
        let header = self.headers.get(place).ok_or("no such segment")?;
        let (ours, theirs) = (header.identity, from.identity);
        if ours.journal_id != theirs.journal_id || ours.partition != theirs.partition {
            return Err("it belongs to another journal".to_owned());
        }
        if header.first_sequence != from.sequence + 1 {
            return Err(format!(
                "it ends with record {}, segment {} begins with {}",
                from.sequence, from.segment, header.first_sequence
            ));
        }
        match header.chain == from.chain {
            true => Ok(()),
            false => {
                Err(format!("its digest of the log is not the one of segment {}", from.segment))
            }
        }
    }

    /// The segment that a log would begin with, were everything deleted that is archived and lies
    /// before `sequence`; `None`: nothing would be.
    ///
    /// # Errors
    /// `Io`.
    pub fn prunable(&self, sequence: u64) -> Result<Option<Header>, WalError> {
        let mut first = None;
        for (header, next) in self.headers.iter().zip(self.headers.iter().skip(1)) {
            if next.first_sequence > sequence
                || !files::open(&*self.storage, header.segment)?.is_archived
            {
                break;
            }
            first = Some(*next);
        }
        Ok(first)
    }

    /// Deletes the segments before `first`, which [`Self::prunable`] gave. They cannot be brought
    /// back. Nobody may write the log meanwhile.
    ///
    /// # Errors
    /// `Io`: the log begins with `first` or with what it began with before; asking again goes on.
    pub fn prune(self, first: &Header) -> Result<Deleted, WalError> {
        assert!(self.headers.contains(first), "a segment of this log");
        pruned::prune(&*self.storage, first)
    }

    /// Deletes what a pruning that was interrupted has left: segments before the one that the log
    /// begins with. Nobody may write the log meanwhile.
    ///
    /// # Errors
    /// `Io`: asking again goes on.
    pub fn finish_pruning(&self) -> Result<Deleted, WalError> {
        pruned::finish(&*self.storage)
    }

    fn place_of(&self, segment: u64) -> Option<usize> {
        self.headers.binary_search_by_key(&segment, |header| header.segment).ok()
    }

    /// Whose log it is; `None` when there is none.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.headers.last().map(|header| header.identity)
    }

    /// Bytes to read, for progress.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.file_bytes.iter().sum()
    }

    /// Bytes of the segments from this one on, without the last.
    pub(crate) fn bytes_of_closed_from(&self, segment: u64) -> u64 {
        let place = self.headers.partition_point(|header| header.segment < segment);
        let closed = self.file_bytes.split_last().map_or(&[][..], |(_, closed)| closed);
        closed.get(place..).unwrap_or_default().iter().sum()
    }

    /// Bytes to read after a checkpoint, for progress.
    #[must_use]
    pub fn bytes_after(&self, from: &Checkpoint) -> u64 {
        let place = self.place_of(from.segment).unwrap_or(0);
        self.file_bytes.get(place..).unwrap_or_default().iter().sum()
    }

    /// Visits every record in order and checks frames, continuity and chain.
    ///
    /// `visit` may refuse a record with a reason: that is corruption at its place. Memory: one
    /// segment and the last batch. `progress` hears how many bytes are read.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn replay(
        &self,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, WalError> {
        self.replay_segments(0, visit, progress)
    }

    /// As [`Self::replay`], only what comes after a checkpoint.
    ///
    /// # Errors
    /// As [`Self::replay`]; `Corrupt` also where the log does not go on from it.
    pub fn replay_after(
        &self,
        from: &Checkpoint,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, WalError> {
        self.replay_segments(self.place_after(from)?, visit, progress)
    }

    /// As [`Self::replay`]; a long log is read and checked on a thread of its own, ahead of `visit`.
    ///
    /// `from`: only what comes after this checkpoint; `until`: only what comes before this one.
    ///
    /// # Errors
    /// As [`Self::replay_after`].
    pub fn replay_ahead(
        &self,
        from: Option<&Checkpoint>,
        until: Option<&Checkpoint>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, WalError> {
        let first = from.map_or(Ok(0), |from| self.place_after(from))?;
        let end = until.map_or(Ok(self.headers.len()), |until| self.place_after(until))?;
        let bytes = self.file_bytes.get(first..end).unwrap_or_default().iter().sum();
        let mut replayed = self.nothing_replayed(first);
        if read_ahead::pays(bytes) {
            self.replay_rest_ahead(first..end, visit, progress, &mut replayed)?;
            // Chunks tell of closed segments alone.
            progress(bytes);
        } else {
            self.replay_rest(first..end, visit, progress, &mut replayed)?;
        }
        Ok(replayed)
    }

    /// The place of the segment after a checkpoint.
    fn place_after(&self, from: &Checkpoint) -> Result<usize, WalError> {
        self.check_continues(from)
            .map_err(|reason| corrupt(from.segment, 0, Some(from.sequence + 1), reason))?;
        Ok(self.place_of(from.segment).expect("it was found just now"))
    }

    /// `first`: place of the first segment to read.
    pub(crate) fn replay_segments(
        &self,
        first: usize,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, WalError> {
        let mut replayed = self.nothing_replayed(first);
        self.replay_rest(first..self.headers.len(), visit, progress, &mut replayed)?;
        Ok(replayed)
    }

    fn nothing_replayed(&self, first: usize) -> Replayed {
        let (before, rest) = self.headers.split_at(first);
        let last_sequence = rest.first().map_or(0, |header| header.first_sequence - 1);
        Replayed {
            first_sequence: last_sequence + 1,
            last_sequence,
            proven_sequence: last_sequence,
            torn: None,
            segments: Vec::new(),
            index: before.iter().map(IndexEntry::start_of).collect(),
            unproven: Vec::new(),
        }
    }

    pub(crate) fn replay_rest(
        &self,
        places: std::ops::Range<usize>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
        replayed: &mut Replayed,
    ) -> Result<(), WalError> {
        let (mut buffer, mut bytes_read) = (Vec::new(), 0);
        for place in places {
            let header = self.headers.get(place).expect("a place is one of a header");
            self.segment(header, self.headers.get(place + 1), &mut buffer, visit, replayed)?;
            bytes_read += self.file_bytes.get(place).copied().unwrap_or(0);
            progress(bytes_read);
        }
        Ok(())
    }

    fn segment(
        &self,
        header: &Header,
        next: Option<&Header>,
        buffer: &mut Vec<u8>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        replayed: &mut Replayed,
    ) -> Result<(), WalError> {
        let open = files::open(&*self.storage, header.segment)?;
        open.read(header, buffer)?;
        replayed.index.push(IndexEntry::start_of(header));
        let until = next.map(|next| next.first_sequence - 1);
        let mut visited = header.first_sequence - 1;
        let mut looks = 0;
        let walked = loop {
            let segment = Segment { header, file: &open.name, bytes: buffer };
            let mut walked = segment.walk(until, &mut |entry| {
                // A second look visits only what the first did not.
                if entry.sequence > visited {
                    visited = entry.sequence;
                    visit(entry)?;
                    // What a successor proves is not written again.
                    match next {
                        None => replayed.note(entry),
                        Some(_) => replayed.mark(entry.sequence, entry.segment, entry.offset),
                    }
                }
                Ok(())
            })?;
            if next.is_none() {
                let copied = copied::upto(&*self.storage, header)?;
                walked.durable_upto = walked.durable_upto.max(copied);
            }
            let judged = judge(&segment, next, &walked);
            match judged {
                Ok(torn) => {
                    replayed.torn = torn;
                    break walked;
                }
                // Beside a running engine the file may have been read while it was written.
                Err(_) if next.is_none() && looks < LOOKS => {
                    looks += 1;
                    open.read(header, buffer)?;
                }
                Err(error) => return Err(error),
            }
        };
        replayed.close(&open, header, next, walked, buffer.len() as u64)
    }
}

/// Whether a segment ends as it should: damage is an error, a torn tail is a finding.
pub(crate) fn judge(
    segment: &Segment<'_>,
    next: Option<&Header>,
    walked: &Walked,
) -> Result<Option<TornTail>, WalError> {
    let sequence = walked.last_sequence + 1;
    let reason = |stopped: &NoFrame| stopped.to_string();
    if let Some(next) = next {
        return match &walked.stopped {
            None => Ok(None),
            Some(stopped) => {
                let (file, header) = (segment.file, segment.header);
                Err(closed_damage(file, header, next, walked.end, sequence, stopped))
            }
        };
    }
    let tail = segment.tail(walked.end);
    let Some(stopped) = walked.stopped.as_ref().filter(|_| !tail.is_empty()) else {
        // Zeros to the end: but what was walked may say that there was more.
        return match walked.durable_upto >= sequence {
            false => Ok(None),
            true => {
                Err(segment.corrupt(walked.end, Some(sequence), "durable records are gone".into()))
            }
        };
    };
    let walked_upto = Some(walked.durable_upto).filter(|upto| *upto >= sequence);
    if let Some(durable) = walked_upto.or_else(|| segment.durable_behind(walked.end, sequence)) {
        let why = format!("{}, though the log was durable up to {durable}", reason(stopped));
        return Err(segment.corrupt(walked.end, Some(sequence), why));
    }
    Ok(Some(TornTail {
        segment: segment.header.segment,
        offset: walked.end,
        sequence,
        bytes: tail.len() as u64,
        reason: reason(stopped),
    }))
}

/// No sound frame where a closed segment must have one.
pub(crate) fn closed_damage(
    file: &str,
    header: &Header,
    next: &Header,
    offset: u64,
    sequence: u64,
    found: &NoFrame,
) -> WalError {
    WalError::Corrupt {
        segment: header.segment,
        file: file.to_owned(),
        offset,
        sequence: Some(sequence),
        reason: format!("{found}, though the next segment begins at {}", next.first_sequence),
    }
}

/// Whether a segment is what its successor says.
pub(crate) fn check_chain(next: &Header, digest: &[u8; 32]) -> Result<(), WalError> {
    if next.chain == *digest {
        return Ok(());
    }
    let reason = "the chain does not match: an earlier segment was changed".to_owned();
    Err(corrupt(next.segment, 0, None, reason))
}

/// Whether a header can follow the one before.
pub(crate) fn check_follows(
    before: Option<&Header>,
    pruned: Option<&Pruned>,
    header: &Header,
    number: u64,
    file: &str,
) -> Result<(), WalError> {
    let bad = |reason: String| {
        let (segment, file) = (number, file.to_owned());
        Err(WalError::Corrupt { segment, file, offset: 0, sequence: None, reason })
    };
    if header.segment != number {
        return bad(format!("its header says it is segment {}", header.segment));
    }
    let Some(before) = before else {
        let is_first = match pruned {
            Some(pruned) => pruned.is(header),
            None => header.segment == 1 && header.first_sequence == 1 && header.chain == [0; 32],
        };
        return if is_first { Ok(()) } else { bad("segments before it are missing".to_owned()) };
    };
    if header.segment != before.segment + 1 {
        return bad(format!("segment {} is missing before it", before.segment + 1));
    }
    let (ours, theirs) = (before.identity, header.identity);
    if ours.journal_id != theirs.journal_id || ours.partition != theirs.partition {
        return bad("it belongs to another journal".to_owned());
    }
    if theirs.epoch < ours.epoch || header.first_sequence < before.first_sequence {
        return bad("it is older than the segment before it".to_owned());
    }
    Ok(())
}

impl Replayed {
    /// Keeps what may have to be written again, and a sparse index of the rest.
    fn note(&mut self, entry: &Entry<'_>) {
        self.forget_proven(entry.durable_upto);
        if entry.sequence > entry.durable_upto {
            let (sequence, offset) = (entry.sequence, entry.offset);
            self.unproven.push(Unproven { sequence, offset, payload: entry.payload.to_vec() });
        }
        self.mark(entry.sequence, entry.segment, entry.offset);
    }

    /// Puts a record into the sparse index, if it is time.
    pub(crate) fn mark(&mut self, sequence: u64, segment: u64, offset: u64) {
        let last = self.index.last();
        let is_due = last.is_none_or(|last| {
            last.segment != segment || offset >= last.offset + INDEX_EVERY_BYTES
        });
        if is_due {
            self.index.push(IndexEntry { sequence, segment, offset });
        }
    }

    /// A closed segment was read to its end: all of it is proven.
    pub(crate) fn closed(&mut self, report: SegmentReport) {
        self.last_sequence = report.last_sequence;
        self.proven_sequence = report.last_sequence;
        if report.frames == 0 {
            // It has a place in the index nevertheless.
            self.index.push(IndexEntry::start_of(&report.header));
        }
        self.segments.push(report);
    }

    /// They are in order: one look when nothing is new, as for all frames of one batch.
    fn forget_proven(&mut self, durable_upto: u64) {
        let proven = self.unproven.partition_point(|kept| kept.sequence <= durable_upto);
        self.unproven.drain(..proven);
    }

    fn close(
        &mut self,
        open: &files::OpenSegment,
        header: &Header,
        next: Option<&Header>,
        walked: Walked,
        file_bytes: u64,
    ) -> Result<(), WalError> {
        self.last_sequence = walked.last_sequence;
        self.proven_sequence = walked.durable_upto;
        self.forget_proven(walked.durable_upto);
        let digest: [u8; 32] = walked.digest.finalize().into();
        if let Some(next) = next {
            // The next header proves all before it.
            self.proven_sequence = next.first_sequence - 1;
            self.unproven.clear();
            check_chain(next, &digest)?;
        }
        let last_sequence = walked.last_sequence;
        self.segments.push(open.report(header, last_sequence, walked.end, file_bytes, digest));
        Ok(())
    }
}

pub(crate) fn corrupt(
    segment: u64,
    offset: u64,
    sequence: Option<u64>,
    reason: String,
) -> WalError {
    WalError::Corrupt { segment, file: file_name(segment), offset, sequence, reason }
}
