//! Reading a log whole: headers, frames, continuity, chain. Changes nothing.
//!
//! A bad frame at sequence s is *corruption* if and only if a sound frame says that s was durable,
//! or a later header begins above s; otherwise it is a *torn tail*: the batch that was being
//! written when the process died. (Damage confined to that last batch cannot be told from a torn
//! write.)

use std::sync::Arc;

use sha2::Digest;

use crate::frame::NoFrame;
use crate::header::{HEADER_BYTES, Header, file_name, segment_of};
use crate::segment::{Segment, Walked, read_file};
use crate::shared::IndexEntry;
use crate::storage::{Storage, read_full};
use crate::{Entry, Identity, WalError};

/// Bytes of log between two entries of the sparse index.
pub(crate) const INDEX_EVERY_BYTES: u64 = 64 << 10;

/// How often a reader beside a running engine looks again before it believes in damage.
const LOOKS: usize = 4;

/// A log with its headers read and checked.
pub struct Scan {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) headers: Vec<Header>,
    file_bytes: Vec<u64>,
}

/// One segment, as `inspect` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its header.
    pub header: Header,
    /// Its file.
    pub file: String,
    /// Sequence of its last record; `first_sequence - 1` when it has none.
    pub last_sequence: u64,
    /// Records.
    pub frames: u64,
    /// Bytes of header and frames.
    pub used_bytes: u64,
    /// Length of the file.
    pub file_bytes: u64,
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
    /// Sequence of the last sound record, 0 in an empty log.
    pub last_sequence: u64,
    /// Up to here the log proves itself that it was durable.
    pub proven_sequence: u64,
    /// What has to be cut.
    pub torn: Option<TornTail>,
    /// Every segment.
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
            match Self::headers(Arc::clone(&storage)) {
                // Beside a running engine the last segment may have been cut since it was listed.
                Err(WalError::Corrupt { .. }) if looks < LOOKS => looks += 1,
                done => return done,
            }
        }
    }

    fn headers(storage: Arc<dyn Storage>) -> Result<Self, WalError> {
        let names = storage.list().map_err(WalError::io("list", "the directory"))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
        numbers.sort_unstable();
        let mut scan = Self { storage, headers: Vec::new(), file_bytes: Vec::new() };
        for number in numbers {
            let file = file_name(number);
            let open = scan.storage.open_read(&file).map_err(WalError::io("open", &file))?;
            let mut bytes = vec![0; HEADER_BYTES as usize];
            let read = read_full(&*open, &mut bytes, 0).map_err(WalError::io("read", &file))?;
            bytes.truncate(read);
            let header = Header::decode(&bytes, &file)?;
            let len = open.len().map_err(WalError::io("measure", &file))?;
            check_follows(scan.headers.last(), &header, number, &file)?;
            scan.headers.push(header);
            scan.file_bytes.push(len);
        }
        if let (Some(last), Some(len)) = (scan.headers.last(), scan.file_bytes.last())
            && *len != last.segment_bytes
        {
            let reason = format!("the last segment has {len} bytes, not {}", last.segment_bytes);
            return Err(corrupt(last.segment, *len, None, reason));
        }
        Ok(scan)
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
        let mut replayed = Replayed {
            last_sequence: 0,
            proven_sequence: 0,
            torn: None,
            segments: Vec::new(),
            index: Vec::new(),
            unproven: Vec::new(),
        };
        let (mut buffer, mut bytes_read) = (Vec::new(), 0);
        for (place, header) in self.headers.iter().enumerate() {
            let next = self.headers.get(place + 1);
            self.segment(header, next, &mut buffer, visit, &mut replayed)?;
            bytes_read += self.file_bytes.get(place).copied().unwrap_or(0);
            progress(bytes_read);
        }
        Ok(replayed)
    }

    fn segment(
        &self,
        header: &Header,
        next: Option<&Header>,
        buffer: &mut Vec<u8>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        replayed: &mut Replayed,
    ) -> Result<(), WalError> {
        let file = file_name(header.segment);
        read_file(&*self.storage, &file, header.segment_bytes, buffer)?;
        replayed.index.push(IndexEntry::start_of(header));
        let until = next.map(|next| next.first_sequence - 1);
        let mut visited = header.first_sequence - 1;
        let mut looks = 0;
        let walked = loop {
            let segment = Segment { header, file: &file, bytes: buffer };
            let walked = segment.walk(until, &mut |entry| {
                // A second look visits only what the first did not.
                if entry.sequence > visited {
                    visited = entry.sequence;
                    visit(entry)?;
                    replayed.note(entry);
                }
                Ok(())
            })?;
            let judged = judge(&segment, next, &walked);
            match judged {
                Ok(torn) => {
                    replayed.torn = torn;
                    break walked;
                }
                // Beside a running engine the file may have been read while it was written.
                Err(_) if next.is_none() && looks < LOOKS => {
                    looks += 1;
                    read_file(&*self.storage, &file, header.segment_bytes, buffer)?;
                }
                Err(error) => return Err(error),
            }
        };
        replayed.close(header, next, walked, buffer.len() as u64)
    }
}

/// Whether a segment ends as it should: damage is an error, a torn tail is a finding.
fn judge(
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
                let first = next.first_sequence;
                let why = format!("{}, though the next segment begins at {first}", reason(stopped));
                Err(segment.corrupt(walked.end, Some(sequence), why))
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

/// Whether a header can follow the one before.
fn check_follows(
    before: Option<&Header>,
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
        let first = header.segment == 1 && header.first_sequence == 1 && header.chain == [0; 32];
        return if first { Ok(()) } else { bad("segments before it are missing".to_owned()) };
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
        let last = self.index.last();
        if last.is_some_and(|last| entry.offset >= last.offset + INDEX_EVERY_BYTES) {
            let Entry { sequence, segment, offset, .. } = *entry;
            self.index.push(IndexEntry { sequence, segment, offset });
        }
    }

    /// They are in order: one look when nothing is new, as for all frames of one batch.
    fn forget_proven(&mut self, durable_upto: u64) {
        let proven = self.unproven.partition_point(|kept| kept.sequence <= durable_upto);
        self.unproven.drain(..proven);
    }

    fn close(
        &mut self,
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
            if next.chain != digest {
                let reason = "the chain does not match: an earlier segment was changed".to_owned();
                return Err(corrupt(next.segment, 0, None, reason));
            }
        }
        self.segments.push(SegmentReport {
            header: *header,
            file: file_name(header.segment),
            last_sequence: walked.last_sequence,
            frames: walked.frames,
            used_bytes: walked.end,
            file_bytes,
            digest,
        });
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
