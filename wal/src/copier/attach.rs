//! Finding out where a copy ends, and whether it is one of this log.

use std::io;
use std::sync::Arc;

use super::{Copier, CopyError, End, journal_of};
use crate::copied;
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::pruned;
use crate::scan::{Replayed, Scan};
use crate::segment::Segment;
use crate::spare::FRESH;
use crate::{WalError, archive, files};

impl Copier {
    pub(super) fn attach(&mut self) -> Result<(), CopyError> {
        self.remove_half_done().map_err(CopyError::Copy)?;
        let copy = Scan::open(Arc::clone(&self.target)).map_err(CopyError::Copy)?;
        let Some(last) = copy.headers().last().copied() else {
            return Ok(());
        };
        self.check_same_log(copy.headers())?;
        let place = copy.headers().len() - 1;
        let replayed = copy.replay_segments(place, &mut |_| Ok(()), &mut |_| {});
        let replayed = replayed.map_err(CopyError::Copy)?;
        self.check_not_ahead(&last, &replayed)?;
        self.check_same_owner(&last)?;
        self.zero_torn(&replayed).map_err(CopyError::Copy)?;
        // What no later record proves may not be on the disk: a sync may have failed. It is written
        // again, the same bytes at the same place.
        let used = replayed.segments.last().map_or(HEADER_BYTES, |segment| segment.used_bytes);
        let unproven = replayed.unproven.first();
        let (sequence, offset) = unproven
            .map_or((replayed.last_sequence + 1, used), |first| (first.sequence, first.offset));
        self.found = replayed.last_sequence;
        self.end = Some(End { segment: last.segment, offset, sequence });
        if let [.., before, _] = copy.headers() {
            // A crash may have come between the next segment's name and this.
            self.cut_to_end(before, &last)?;
        }
        self.archive()
    }

    fn remove_half_done(&self) -> Result<(), WalError> {
        let target = &*self.target;
        remove(target, FRESH)?;
        archive::clean(target)?;
        if files::list(target)?.is_empty() {
            // Written before the segment that it speaks of, which never came.
            pruned::remove(target)?;
        }
        Ok(())
    }

    fn check_same_log(&self, copied: &[Header]) -> Result<(), CopyError> {
        let log = self.source.scan();
        let (Some(ours), Some(last)) = (log.identity(), copied.last()) else {
            return Err(CopyError::Empty);
        };
        if journal_of(&ours) != journal_of(&last.identity) {
            return Err(CopyError::OtherJournal);
        }
        let headers = log.headers();
        let place = |segment: u64| headers.binary_search_by_key(&segment, |h| h.segment).ok();
        for header in copied {
            // A copy may begin earlier than a log that was pruned since.
            let same = place(header.segment).and_then(|place| headers.get(place));
            if same.is_some_and(|same| same != header) {
                return Err(CopyError::Diverged { segment: header.segment });
            }
        }
        if place(last.segment).is_some() {
            return Ok(());
        }
        let first = headers.first().map_or(1, |header| header.first_sequence);
        match headers.last().is_some_and(|ours| ours.segment < last.segment) {
            // A segment begins with a record that says who owns it.
            true => Err(CopyError::Ahead {
                copied: last.first_sequence,
                last: self.source.last_sequence(),
            }),
            false => Err(CopyError::Gap { copied: last.first_sequence - 1, first }),
        }
    }

    /// A log that was restored begins a copy of its own: the one before is all there is of what it
    /// leaves behind.
    fn check_same_owner(&self, last: &Header) -> Result<(), CopyError> {
        let copied = copied::read(&*self.target, last).map_err(CopyError::Copy)?;
        let ours = self.epoch();
        match copied {
            Some(copied) if copied.epoch != ours => {
                Err(CopyError::OtherEpoch { copied: copied.epoch, log: ours })
            }
            _ => Ok(()),
        }
    }

    /// Whether the log has every record that the copy has.
    fn check_not_ahead(&self, last: &Header, copied: &Replayed) -> Result<(), CopyError> {
        let copied = copied.last_sequence;
        match self.next_of(last) {
            Some(next) => self.check_written_again(last, &next, copied),
            None if copied <= self.source.last_sequence() => Ok(()),
            None => Err(CopyError::Ahead { copied, last: self.source.last_sequence() }),
        }
    }

    /// A log that lost its machine's power may have had to write the last records again, into the
    /// next segment: then they are the same ones.
    pub(super) fn check_written_again(
        &self,
        header: &Header,
        next: &Header,
        copied: u64,
    ) -> Result<(), CopyError> {
        if copied < next.first_sequence {
            return Ok(());
        }
        let diverged = CopyError::Diverged { segment: next.segment };
        let open = files::open(&*self.target, header.segment).map_err(CopyError::Copy)?;
        let mut bytes = Vec::new();
        open.read(header, &mut bytes).map_err(CopyError::Copy)?;
        let segment = Segment { header, file: &open.name, bytes: &bytes };
        let mut same = Ok(true);
        let walked = segment.walk(Some(copied), &mut |entry| {
            if entry.sequence >= next.first_sequence && matches!(same, Ok(true)) {
                let record = self.source.read(entry.sequence);
                same = record.map(|record| record.as_deref() == Some(entry.payload));
            }
            Ok(())
        });
        walked.map_err(CopyError::Copy)?;
        match same.map_err(CopyError::Log)? {
            true => Ok(()),
            false => Err(diverged),
        }
    }

    fn zero_torn(&self, replayed: &Replayed) -> Result<(), WalError> {
        let Some(torn) = &replayed.torn else { return Ok(()) };
        let name = file_name(torn.segment);
        let file = self.target.open(&name).map_err(WalError::io("open", &name))?;
        let zeros = vec![0; usize::try_from(torn.bytes).unwrap_or(usize::MAX)];
        file.write_all_at(&zeros, torn.offset).map_err(WalError::io("zero", &name))?;
        file.sync_data().map_err(WalError::io("sync", &name))
    }
}

fn remove(storage: &dyn crate::Storage, name: &str) -> Result<(), WalError> {
    match storage.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(WalError::io("remove", name)(error))
        }
        _ => Ok(()),
    }
}
