//! A journal's directory: its segments in order, their frames in order, and where they end.
//!
//! Segments are `segment-%010d.wal`, or packed in `archive/`, numbered without a gap; other files are
//! not looked at, but for the one that says where a pruned log begins. A segment ends where the next one's first sequence says; frames behind that have been written
//! again in the next one. The last segment ends at the first place without a sound next frame: a
//! torn write, unless the header or a sound frame further on says that this one was durable.
//! Reads files and changes none. One segment at a time is in memory.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::archive::{self, ARCHIVE_DIR, Marker};
use crate::segment::{FRAME_HEADER_BYTES, Frame, HEADER_BYTES, Header};

/// Why a log cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system's.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// No segments here or one directory down.
    #[error("no segments in {}", .0.display())]
    Empty(PathBuf),
    /// The bytes are not those of an undamaged log.
    #[error("{} is damaged at offset {offset}, before sequence {sequence}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: usize,
        /// The sequence that should stand there.
        sequence: u64,
        /// What is wrong.
        reason: String,
    },
    /// A segment is missing, or belongs to another log.
    #[error("{}: {reason}", path.display())]
    Sequel {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A log's segments.
#[derive(Debug)]
pub struct Log {
    segments: Vec<(PathBuf, Header)>,
    /// Their bytes, in the same order, of a log that lies in memory.
    held: Vec<Vec<u8>>,
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// The sequence after the last.
    pub next_sequence: u64,
    /// Segments there are.
    pub segments: usize,
    /// Of these: archived.
    pub archived: usize,
    /// Bytes of headers and frames that were read.
    pub bytes: u64,
    /// Bytes of a torn frame stand behind the end.
    pub torn: bool,
}

impl Log {
    /// The log in `directory`, or in the one directory in it that holds segments.
    ///
    /// # Errors
    /// There is none, or its headers do not follow each other.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        let mut journal = directory.to_owned();
        let mut files = segment_files(directory)?;
        for inner in entries(directory)? {
            if files.is_empty() && inner.is_dir() {
                files = segment_files(&inner)?;
                journal = inner;
            }
        }
        if files.is_empty() {
            return Err(LogError::Empty(directory.to_owned()));
        }
        let begin = beginning(&journal)?;
        let mut segments: Vec<(PathBuf, Header)> = Vec::with_capacity(files.len());
        for (number, path) in files {
            // Deleted, though a crash has left it.
            if begin.as_ref().is_some_and(|(_, marker)| number < marker.segment) {
                continue;
            }
            let header = read_header(&path)?;
            follows(segments.last().map(|(_, before)| before), number, &path, &header)?;
            segments.push((path, header));
        }
        begins(begin, segments.first(), &journal)?;
        Ok(Self { segments, held: Vec::new() })
    }

    /// The log of these files, by name; others than segments are not looked at.
    ///
    /// # Errors
    /// There is none, or its headers do not follow each other.
    pub fn of_files(files: Vec<(String, Vec<u8>)>) -> Result<Self, LogError> {
        let numbered = |(name, bytes): (String, _)| Some((segment_number(&name)?, name, bytes));
        let mut files: Vec<_> = files.into_iter().filter_map(numbered).collect();
        if files.is_empty() {
            return Err(LogError::Empty(PathBuf::new()));
        }
        files.sort_unstable();
        let (mut segments, mut held) = (Vec::<(PathBuf, Header)>::new(), Vec::new());
        for (number, name, bytes) in files {
            let path = PathBuf::from(name);
            let header = Header::parse(&bytes)
                .map_err(|reason| LogError::Sequel { path: path.clone(), reason })?;
            follows(segments.last().map(|(_, before)| before), number, &path, &header)?;
            segments.push((path, header));
            held.push(bytes);
        }
        Ok(Self { segments, held })
    }

    /// Partition and epoch of the segment that has a sequence.
    #[must_use]
    pub fn owner_of(&self, sequence: u64) -> (u16, u32) {
        let after = self.segments.partition_point(|(_, h)| h.first_sequence <= sequence);
        let segment = self.segments.get(after.saturating_sub(1));
        segment.map_or((0, 0), |(_, header)| (header.partition, header.epoch))
    }

    /// Sequence of the first frame there is.
    #[must_use]
    pub fn first_sequence(&self) -> u64 {
        self.segments.first().map_or(1, |(_, header)| header.first_sequence)
    }

    /// Shows every frame from `from` on, in order.
    ///
    /// Segments that end before `from` are not opened.
    ///
    /// # Errors
    /// The log is damaged: everything before the damage has been shown.
    pub fn read(&self, from: u64, mut visit: impl FnMut(&Frame<'_>)) -> Result<End, LogError> {
        self.read_placed(from, |_, _, frame| visit(frame))
    }

    fn bytes(&self, place: usize, path: &Path) -> Result<Cow<'_, [u8]>, LogError> {
        if let Some(bytes) = self.held.get(place) {
            return Ok(Cow::Borrowed(bytes));
        }
        let io = |error| LogError::Io { path: path.to_owned(), error };
        archive::read_segment(path).map(Cow::Owned).map_err(io)
    }

    /// As [`Self::read`], with the name of the file and the offset in it where each frame begins.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_placed(
        &self,
        from: u64,
        mut visit: impl FnMut(&str, u64, &Frame<'_>),
    ) -> Result<End, LogError> {
        let archived = self.segments.iter().filter(|(path, _)| archive::is_archived(path)).count();
        let segments = self.segments.len();
        let mut end = End { next_sequence: from, segments, archived, ..End::default() };
        for (place, (path, header)) in self.segments.iter().enumerate() {
            let next = self.segments.get(place + 1).map(|(_, header)| header);
            if next.is_some_and(|next| next.first_sequence <= from) {
                continue;
            }
            let bytes = self.bytes(place, path)?;
            let segment = Segment { path, header, bytes: &bytes };
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut visit = |offset: usize, frame: &Frame<'_>| visit(name, offset as u64, frame);
            let offset = match next {
                Some(next) => segment.read_closed(next, from, &mut visit)?,
                None => {
                    let (offset, next_sequence) = segment.read_last(from, &mut visit)?;
                    end.next_sequence = next_sequence;
                    end.torn = bytes.get(offset..).is_some_and(|rest| rest.iter().any(|b| *b != 0));
                    offset
                }
            };
            end.bytes += offset as u64;
        }
        Ok(end)
    }
}

/// One segment in memory.
struct Segment<'a> {
    path: &'a Path,
    header: &'a Header,
    bytes: &'a [u8],
}

impl Segment<'_> {
    /// A segment with a successor: every frame up to it must be sound, and the chain must hold.
    fn read_closed(
        &self,
        next: &Header,
        from: u64,
        visit: &mut impl FnMut(usize, &Frame<'_>),
    ) -> Result<usize, LogError> {
        let (mut offset, mut sequence) = (HEADER_BYTES, self.header.first_sequence);
        while sequence < next.first_sequence {
            let frame = self.frame(offset, sequence);
            let frame = frame.ok_or_else(|| self.damaged(offset, sequence, "no sound frame"))?;
            if sequence >= from {
                visit(offset, &frame);
            }
            offset += frame.bytes;
            sequence += 1;
        }
        let digest = Sha256::digest(self.bytes.get(..offset).unwrap_or_default());
        if digest.as_slice() != next.chain {
            let reason = "the next segment's header has another digest of this one";
            return Err(self.damaged(offset, sequence, reason));
        }
        Ok(offset)
    }

    /// The last segment: its frames, its end, and the sequence that would come next.
    fn read_last(
        &self,
        from: u64,
        visit: &mut impl FnMut(usize, &Frame<'_>),
    ) -> Result<(usize, u64), LogError> {
        let (mut offset, mut sequence) = (HEADER_BYTES, self.header.first_sequence);
        while let Some(frame) = self.frame(offset, sequence) {
            if sequence >= from {
                visit(offset, &frame);
            }
            offset += frame.bytes;
            sequence += 1;
        }
        // A torn write leaves nothing that knew it to be durable, before it or behind it.
        if self.header.durable_upto >= sequence {
            let upto = self.header.durable_upto;
            let reason = format!("the segment's header says that up to {upto} all was durable");
            return Err(self.damaged(offset, sequence, &reason));
        }
        let mut later = offset;
        while later + FRAME_HEADER_BYTES <= self.bytes.len() {
            let rest = self.bytes.get(later..).unwrap_or_default();
            if self.header.frame(rest).is_some_and(|frame| frame.durable_upto >= sequence) {
                let reason = format!("the frame at {later} says that this one was durable");
                return Err(self.damaged(offset, sequence, &reason));
            }
            later += 8;
        }
        Ok((offset, sequence))
    }

    fn frame(&self, offset: usize, sequence: u64) -> Option<Frame<'_>> {
        let frame = self.header.frame(self.bytes.get(offset..)?)?;
        // Nothing is durable before it is written; a start record proves itself.
        let sound = frame.sequence == sequence && frame.durable_upto <= sequence;
        sound.then_some(frame)
    }

    fn damaged(&self, offset: usize, sequence: u64, reason: &str) -> LogError {
        LogError::Damaged {
            path: self.path.to_owned(),
            offset,
            sequence,
            reason: reason.to_owned(),
        }
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, LogError> {
    let io = |error| LogError::Io { path: directory.to_owned(), error };
    let listed = std::fs::read_dir(directory).map_err(io)?;
    listed.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

/// Files of segments by number, live and archived. Live ones count, and are listed first: what is
/// moved away meanwhile is then found in the archive.
fn segment_files(directory: &Path) -> Result<BTreeMap<u64, PathBuf>, LogError> {
    let number = |path: &Path| segment_number(path.file_name()?.to_str()?);
    let live: Vec<PathBuf> = entries(directory)?;
    let archive = directory.join(ARCHIVE_DIR);
    let packed = if archive.is_dir() { entries(&archive)? } else { Vec::new() };
    let name = |path: &Path| {
        let name = path.file_name()?.to_str().and_then(archive::unarchived)?;
        segment_number(name)
    };
    let packed = packed.into_iter().filter_map(|path| Some((name(&path)?, path)));
    let live = live.into_iter().filter_map(|path| Some((number(&path)?, path)));
    Ok(packed.chain(live).collect())
}

/// What says where a pruned log begins; of several the highest counts.
fn beginning(journal: &Path) -> Result<Option<(PathBuf, Marker)>, LogError> {
    let numbered =
        |path: PathBuf| Some((Marker::number(path.file_name()?.to_str()?)?, path.clone()));
    let found = entries(journal)?.into_iter().filter_map(numbered).max();
    let Some((number, path)) = found else { return Ok(None) };
    let io = |error| LogError::Io { path: path.clone(), error };
    let sequel = |reason| LogError::Sequel { path: path.clone(), reason };
    let marker = Marker::parse(&std::fs::read(&path).map_err(io)?).map_err(sequel)?;
    if marker.segment != number {
        return Err(sequel("it names another segment than its own name".to_owned()));
    }
    Ok(Some((path, marker)))
}

/// A log begins with segment 1, or with the one that its marker names.
fn begins(
    marker: Option<(PathBuf, Marker)>,
    first: Option<&(PathBuf, Header)>,
    journal: &Path,
) -> Result<(), LogError> {
    let Some((path, first)) = first else { return Err(LogError::Empty(journal.to_owned())) };
    match marker {
        Some((_, marker)) if marker.agrees(first) => Ok(()),
        Some((path, _)) => {
            let reason = "the first segment there is does not say the same".to_owned();
            Err(LogError::Sequel { path, reason })
        }
        None if first.segment == 1 => Ok(()),
        None => {
            let reason = "the segments before it are gone, and nothing says that they were pruned";
            Err(LogError::Sequel { path: path.clone(), reason: reason.to_owned() })
        }
    }
}

/// Whether a segment can be the next one.
fn follows(
    before: Option<&Header>,
    number: u64,
    path: &Path,
    header: &Header,
) -> Result<(), LogError> {
    let sequel =
        |reason: &str| LogError::Sequel { path: path.to_owned(), reason: reason.to_owned() };
    if header.segment != number {
        return Err(sequel("its header has another number"));
    }
    let Some(before) = before else { return Ok(()) };
    let same = |h: &Header| (h.journal_id, h.partition);
    if same(before) != same(header) || before.epoch > header.epoch {
        return Err(sequel("it belongs to another log than the segment before"));
    }
    if before.segment + 1 != number || before.first_sequence > header.first_sequence {
        return Err(sequel("it does not follow the segment before"));
    }
    Ok(())
}

fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".wal")?;
    let ten = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| ten)
}

fn read_header(path: &Path) -> Result<Header, LogError> {
    let io = |error| LogError::Io { path: path.to_owned(), error };
    let bytes = archive::read_header(path).map_err(io)?;
    Header::parse(&bytes).map_err(|reason| LogError::Sequel { path: path.to_owned(), reason })
}
