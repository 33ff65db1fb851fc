//! A journal's directory: its segments in order, their frames in order, and where they end.
//!
//! Segments are `segment-%010d.wal`, numbered without a gap; other files are not looked at. A
//! segment ends where the next one's first sequence says; frames behind that have been written
//! again in the next one. The last segment ends at the first place without a sound next frame: a
//! torn write, unless the header or a sound frame further on says that this one was durable.
//! Reads files and changes none. One segment at a time is in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

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
        let mut files = segment_files(directory)?;
        for inner in entries(directory)? {
            if files.is_empty() && inner.is_dir() {
                files = segment_files(&inner)?;
            }
        }
        if files.is_empty() {
            return Err(LogError::Empty(directory.to_owned()));
        }
        files.sort_unstable();
        let mut segments: Vec<(PathBuf, Header)> = Vec::with_capacity(files.len());
        for (number, path) in files {
            let header = read_header(&path)?;
            push_segment(&mut segments, (number, path, header))?;
        }
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
        let (mut segments, mut held) = (Vec::new(), Vec::new());
        for (number, name, bytes) in files {
            let path = PathBuf::from(name);
            let header = Header::parse(&bytes)
                .map_err(|reason| LogError::Sequel { path: path.clone(), reason })?;
            push_segment(&mut segments, (number, path, header))?;
            held.push(bytes);
        }
        Ok(Self { segments, held })
    }

    /// Partition and epoch.
    #[must_use]
    pub fn owner(&self) -> (u16, u32) {
        self.segments.first().map_or((0, 0), |(_, header)| (header.partition, header.epoch))
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
        std::fs::read(path).map(Cow::Owned).map_err(io)
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
        let mut end = End { next_sequence: from, segments: self.segments.len(), ..End::default() };
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

/// Adds a segment that follows those before it.
fn push_segment(
    segments: &mut Vec<(PathBuf, Header)>,
    (number, path, header): (u64, PathBuf, Header),
) -> Result<(), LogError> {
    let sequel = |reason: &str| LogError::Sequel { path: path.clone(), reason: reason.into() };
    if header.segment != number {
        return Err(sequel("its header has another number"));
    }
    if let Some((_, before)) = segments.last() {
        let same = |h: &Header| (h.journal_id, h.partition, h.epoch);
        if same(before) != same(&header) {
            return Err(sequel("it belongs to another log than the segment before"));
        }
        if before.segment + 1 != number || before.first_sequence > header.first_sequence {
            return Err(sequel("it does not follow the segment before"));
        }
    }
    segments.push((path, header));
    Ok(())
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

fn segment_files(directory: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let numbered = |path: PathBuf| Some((segment_number(path.file_name()?.to_str()?)?, path));
    Ok(entries(directory)?.into_iter().filter_map(numbered).collect())
}

fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".wal")?;
    let ten = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| ten)
}

fn read_header(path: &Path) -> Result<Header, LogError> {
    let io = |error| LogError::Io { path: path.to_owned(), error };
    let mut bytes = vec![0; HEADER_BYTES];
    File::open(path).map_err(io)?.read_exact(&mut bytes).map_err(io)?;
    Header::parse(&bytes).map_err(|reason| LogError::Sequel { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    /// Writes a segment with frames from `first` on, each with its sequence as payload.
    fn write(directory: &Path, number: u64, first: u64, count: u64, chain: [u8; 32]) -> Vec<u8> {
        write_after(directory, made::header(number, first, chain), count)
    }

    fn write_after(directory: &Path, header: Vec<u8>, count: u64) -> Vec<u8> {
        let Header { segment: number, first_sequence: first, .. } =
            Header::parse(&header).expect("a header");
        let mut bytes = header.clone();
        for sequence in first..first + count {
            bytes.extend(made::frame(&header, sequence, sequence - 1, &sequence.to_le_bytes()));
        }
        let name = format!("segment-{number:010}.wal");
        std::fs::write(directory.join(name), [bytes.as_slice(), &[0; 4096]].concat())
            .expect("room");
        bytes
    }

    fn digest(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    fn sequences(directory: &Path, from: u64) -> Result<(Vec<u64>, End), LogError> {
        let mut seen = Vec::new();
        let end = Log::open(directory)?.read(from, |frame| seen.push(frame.sequence))?;
        Ok((seen, end))
    }

    #[test]
    fn segments_are_read_in_order_and_rewritten_frames_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("journal");
        std::fs::create_dir(&inner).expect("room");
        // Frames 4 and 5 were written again in the second segment.
        let first = write(&inner, 1, 1, 5, [0; 32]);
        let chain = digest(&first[..HEADER_BYTES + 3 * 32]);
        write(&inner, 2, 4, 4, chain);
        std::fs::write(inner.join("segment-0000000003.tmp"), "spare").expect("room");
        let (seen, end) = sequences(directory.path(), 1).expect("a log");
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((end.next_sequence, end.segments, end.torn), (8, 2, false));
        assert_eq!(sequences(directory.path(), 6).expect("a log").0, [6, 7]);
    }

    #[test]
    fn a_torn_end_is_an_end_and_a_hole_is_damage() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("segment-0000000001.wal");
        let bytes = write(directory.path(), 1, 1, 3, [0; 32]);
        let mut torn = bytes.clone();
        *torn.last_mut().expect("bytes") ^= 1;
        std::fs::write(&path, &torn).expect("room");
        let (seen, end) = sequences(directory.path(), 1).expect("a log");
        assert_eq!((seen, end.torn), (vec![1, 2], true));
        // Frame 3 says that 2 was durable, so 2 cannot be a torn write.
        let mut hole = bytes.clone();
        hole[HEADER_BYTES + 32 + 30] ^= 1;
        std::fs::write(&path, &hole).expect("room");
        let error = sequences(directory.path(), 1).expect_err("damage").to_string();
        assert!(error.contains("before sequence 2"), "{error}");
    }

    #[test]
    fn a_tail_that_was_durable_when_the_segment_got_its_name_is_never_torn() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("segment-0000000001.wal");
        // A start wrote 1 and 2 again, and 3, before the file got its name; 4 came later.
        let bytes = write_after(directory.path(), made::header_after(1, 1, 3, [0; 32]), 4);
        assert_eq!(sequences(directory.path(), 1).expect("a log").0, [1, 2, 3, 4]);
        for (frame, torn) in [(4, true), (3, false), (1, false)] {
            let mut cut = bytes.clone();
            cut[HEADER_BYTES + 32 * (frame - 1)..].fill(0);
            cut[HEADER_BYTES + 32 * frame - 1] = 1;
            std::fs::write(&path, &cut).expect("room");
            let read = sequences(directory.path(), 1);
            match torn {
                true => assert!(read.expect("a log").1.torn),
                false => {
                    let error = read.expect_err("damage").to_string();
                    assert!(error.contains(&format!("before sequence {frame}")), "{error}");
                    assert!(error.contains("up to 3 all was durable"), "{error}");
                }
            }
        }
    }

    #[test]
    fn missing_foreign_and_changed_segments_are_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let first = write(path, 1, 1, 3, [0; 32]);
        write(path, 3, 4, 1, digest(&first));
        let error = sequences(path, 1).expect_err("a gap").to_string();
        assert!(error.contains("does not follow"), "{error}");
        std::fs::remove_file(path.join("segment-0000000003.wal")).expect("it was there");
        write(path, 2, 4, 1, [1; 32]);
        let error = sequences(path, 1).expect_err("another chain").to_string();
        assert!(error.contains("digest"), "{error}");
        write(path, 2, 5, 1, digest(&first));
        let error = sequences(path, 1).expect_err("a missing frame").to_string();
        assert!(error.contains("before sequence 4"), "{error}");
        let empty = tempfile::tempdir().expect("a directory");
        let error = sequences(empty.path(), 1).expect_err("empty").to_string();
        assert!(error.contains("no segments"), "{error}");
    }
}
