//! Writing a copy: frames behind its end, and segments after its last.

use std::sync::Arc;

use super::{Copier, CopyError, CopyStep, CopyUpto, End};
use crate::copied::{self, Copied};
use crate::frame;
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::scan::corrupt;
use crate::segment::{Segment, placed};
use crate::spare::FRESH;
use crate::storage::{StorageFile, read_full};
use crate::{WalError, files, pruned};

/// Log that is read at once.
const READ_BYTES: usize = 1 << 20;

impl Copier {
    /// Writes the frames from `end` up to the record `last` behind the copy's end.
    pub(super) fn append(
        &mut self,
        header: &Header,
        mut end: End,
        last: u64,
    ) -> Result<CopyStep, CopyError> {
        let source = &**self.source.scan().storage();
        let open = files::open(source, header.segment).map_err(CopyError::Log)?;
        let name = file_name(header.segment);
        let file = self.target.open(&name).map_err(WalError::io("open", &name));
        let file = file.map_err(CopyError::Copy)?;
        let (mut buffer, mut bytes, before) = (Vec::new(), READ_BYTES, end.offset);
        while end.sequence <= last {
            buffer.resize(bytes, 0);
            let read = read_full(&*open.file, &mut buffer, end.offset);
            let read = read.map_err(|error| {
                CopyError::Log(files::unreadable_frames(&*open.file, &open.name, header, error))
            })?;
            let ahead = buffer.get(..read).unwrap_or_default();
            let from = end.offset;
            self.write_batches(&*file, &name, header, ahead, &mut end, last)?;
            if end.offset > from {
                bytes = READ_BYTES;
            } else if read == bytes && bytes as u64 <= header.segment_bytes {
                // A frame may be longer than what was read.
                bytes *= 2;
            } else {
                let reason = "a record that was durable is not there".to_owned();
                let error = corrupt(header.segment, from, Some(end.sequence), reason);
                return Err(CopyError::Log(error));
            }
        }
        self.say_copied(header, end)?;
        Ok(CopyStep::Copied(end.offset - before))
    }

    /// Writes the whole batches in `ahead`, each synced before the next is written.
    fn write_batches(
        &mut self,
        file: &dyn StorageFile,
        name: &str,
        header: &Header,
        mut ahead: &[u8],
        end: &mut End,
        last: u64,
    ) -> Result<(), CopyError> {
        while let Some(Batch { bytes, next_sequence }) = batch(ahead, header, end.sequence, last) {
            let (frames, rest) = ahead.split_at(bytes);
            let written = file.write_all_at(frames, end.offset);
            written.map_err(|error| CopyError::Copy(WalError::io("write", name)(error)))?;
            let synced = file.sync_data();
            synced.map_err(|error| CopyError::Copy(WalError::io("sync", name)(error)))?;
            end.offset += bytes as u64;
            end.sequence = next_sequence;
            self.end = Some(*end);
            ahead = rest;
        }
        Ok(())
    }

    /// Where the copy's segment ends, once it was checked against the header of the next one.
    pub(super) fn check_end(
        &self,
        header: &Header,
        next: &Header,
        end: End,
    ) -> Result<u64, CopyError> {
        self.check_written_again(header, next, end.sequence - 1)?;
        let open = files::open(&*self.target, header.segment).map_err(CopyError::Copy)?;
        let mut bytes = Vec::new();
        open.read(header, &mut bytes).map_err(CopyError::Copy)?;
        let segment = Segment { header, file: &open.name, bytes: &bytes };
        let used = segment.checked_end(next).map_err(CopyError::Copy)?;
        Ok(used as u64)
    }

    /// Begins a segment of the copy with all that the log has of it; then the one before is cut to
    /// its end, and archived where the log's is.
    pub(super) fn begin(
        &mut self,
        header: &Header,
        before: Option<(&Header, u64)>,
    ) -> Result<CopyStep, CopyError> {
        let open = files::open(&**self.source.scan().storage(), header.segment);
        let open = open.map_err(CopyError::Log)?;
        let mut bytes = Vec::new();
        open.read(header, &mut bytes).map_err(CopyError::Log)?;
        let segment = Segment { header, file: &open.name, bytes: &bytes };
        let wanted = self.wanted();
        let next = self.next_of(header);
        let end = match next.filter(|next| next.first_sequence - 1 <= wanted) {
            Some(next) => {
                let used = segment.checked_end(&next).map_err(CopyError::Log)?;
                End { segment: header.segment, offset: used as u64, sequence: next.first_sequence }
            }
            None => {
                let walked = segment.walk(Some(wanted), &mut |_| Ok(())).map_err(CopyError::Log)?;
                if let Some(stopped) = walked.stopped {
                    let sequence = Some(walked.last_sequence + 1);
                    let reason = stopped.to_string();
                    return Err(CopyError::Log(segment.corrupt(walked.end, sequence, reason)));
                }
                End { segment: header.segment, offset: walked.end, sequence: wanted + 1 }
            }
        };
        if before.is_none() {
            pruned::copy_beginning(&*self.target, header).map_err(CopyError::Copy)?;
        }
        let used = bytes.get(..usize::try_from(end.offset).unwrap_or(usize::MAX));
        let frames = used.and_then(|used| used.get(HEADER_BYTES as usize..)).unwrap_or_default();
        self.write_segment(header, frames).map_err(CopyError::Copy)?;
        self.say_copied(header, end)?;
        self.end = Some(end);
        if let Some((before, used)) = before {
            self.cut(before, used).map_err(CopyError::Copy)?;
            self.archive_as_log(before, header)?;
        }
        Ok(CopyStep::Copied(end.offset))
    }

    /// The copy is synced up to `end`, in the segment of this header.
    fn say_copied(&self, header: &Header, end: End) -> Result<(), CopyError> {
        let copied = Copied { sequence: end.sequence - 1, epoch: self.epoch() };
        copied::write(&*self.target, header, copied).map_err(CopyError::Copy)
    }

    fn write_segment(&self, header: &Header, frames: &[u8]) -> Result<(), WalError> {
        let mut header = *header;
        if let CopyUpto::Sequence(upto) = self.upto {
            // What it had proved behind the cut is not there any more.
            header.durable_upto = header.durable_upto.min(upto);
        }
        let target = &*self.target;
        let needed_bytes = HEADER_BYTES + frames.len() as u64;
        let free_bytes =
            target.free_bytes().map_err(WalError::io("measure the space for", FRESH))?;
        if free_bytes < needed_bytes {
            return Err(WalError::NoRoom { needed_bytes, free_bytes });
        }
        let written = self.write_fresh(&header, frames);
        if written.is_err() {
            // Half a segment would only take the room that others need.
            let _ = target.remove(FRESH);
        }
        written?;
        target.rename(FRESH, &file_name(header.segment)).map_err(WalError::io("rename", FRESH))?;
        target.sync_dir().map_err(WalError::io("sync", "the directory"))
    }

    fn write_fresh(&self, header: &Header, frames: &[u8]) -> Result<(), WalError> {
        let file: Arc<dyn StorageFile> =
            self.target.create(FRESH).map_err(WalError::io("create", FRESH))?;
        file.write_all_at(&header.encode(), 0).map_err(WalError::io("write", FRESH))?;
        file.write_all_at(frames, HEADER_BYTES).map_err(WalError::io("write", FRESH))?;
        file.set_len(header.segment_bytes).map_err(WalError::io("lengthen", FRESH))?;
        file.sync_data().map_err(WalError::io("sync", FRESH))
    }
}

/// Frames that may be written with one sync.
struct Batch {
    bytes: usize,
    next_sequence: u64,
}

/// The frames at the beginning of `ahead` of which none says that another one is durable: a batch of
/// the log, or what is left of one.
fn batch(ahead: &[u8], header: &Header, first: u64, last: u64) -> Option<Batch> {
    let (mut bytes, mut next_sequence) = (0, first);
    let seed = header.seed();
    while next_sequence <= last
        && let Some(rest) = ahead.get(bytes..)
        && let Ok(frame) = frame::parse(rest, seed).and_then(|frame| placed(frame, next_sequence))
        && (next_sequence == first || frame.durable_upto < first)
    {
        bytes += frame.bytes;
        next_sequence += 1;
    }
    (bytes > 0).then_some(Batch { bytes, next_sequence })
}
