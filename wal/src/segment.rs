//! One segment read whole: its frames in order, and what stands behind them.

use sha2::{Digest, Sha256};

use crate::frame::{self, Frame, NoFrame};
use crate::header::{HEADER_BYTES, Header};
use crate::planted::{Planted, planted};
use crate::{Entry, WalError};

const ZERO_BLOCK: [u8; 4096] = [0; 4096];

/// A segment's bytes in memory. One buffer serves all segments of a scan.
pub(crate) struct Segment<'a> {
    pub(crate) header: &'a Header,
    pub(crate) file: &'a str,
    pub(crate) bytes: &'a [u8],
}

/// What walking the frames of a segment found.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Sequence of the last sound frame in order; `first_sequence - 1` when there is none.
    pub(crate) last_sequence: u64,
    /// Where the frames end.
    pub(crate) end: u64,
    /// Why the walk ended there; `None` at the sequence asked for.
    pub(crate) stopped: Option<NoFrame>,
    /// Highest `durable_upto` of the header and the frames walked.
    pub(crate) durable_upto: u64,
    pub(crate) frames: u64,
    /// SHA-256 over header and frames.
    pub(crate) digest: Sha256,
}

impl Segment<'_> {
    /// Visits frames in order until `until` (the last sequence wanted) or the first bad frame.
    pub(crate) fn walk(
        &self,
        until: Option<u64>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
    ) -> Result<Walked, WalError> {
        let mut walked = Walked {
            last_sequence: self.header.first_sequence - 1,
            end: HEADER_BYTES,
            stopped: None,
            durable_upto: self.header.durable_upto,
            frames: 0,
            digest: self.header.digest(),
        };
        let seed = self.header.seed();
        while until.is_none_or(|until| walked.last_sequence < until) {
            let rest = self.bytes.get(walked.end as usize..).unwrap_or_default();
            // Out of order or not to be believed is as bad as a wrong checksum.
            let next = frame::parse(rest, seed);
            let frame = match next.and_then(|frame| placed(frame, walked.last_sequence + 1)) {
                Ok(frame) => frame,
                Err(no_frame) => {
                    walked.stopped = Some(no_frame);
                    break;
                }
            };
            if planted(Planted::CutOneFrameTooMany)
                && until.is_none()
                && frame::parse(rest.get(frame.bytes..).unwrap_or_default(), seed)
                    == Err(NoFrame::Checksum)
            {
                walked.stopped = Some(NoFrame::Checksum);
                break;
            }
            self.visit_one(&frame, walked.end, visit)?;
            walked.digest.update(rest.get(..frame.bytes).unwrap_or_default());
            walked.last_sequence = frame.sequence;
            walked.durable_upto = walked.durable_upto.max(frame.durable_upto);
            walked.end += frame.bytes as u64;
            walked.frames += 1;
        }
        Ok(walked)
    }

    /// Where a closed segment ends, once all of it was checked against its successor.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn checked_end(&self, next: &Header) -> Result<usize, WalError> {
        let walked = self.walk(Some(next.first_sequence - 1), &mut |_| Ok(()))?;
        if let Some(stopped) = walked.stopped {
            let sequence = Some(walked.last_sequence + 1);
            return Err(self.corrupt(walked.end, sequence, stopped.to_string()));
        }
        let digest: [u8; 32] = walked.digest.finalize().into();
        match digest == next.chain {
            true => Ok(usize::try_from(walked.end).unwrap_or(usize::MAX)),
            false => {
                let reason = format!("its digest is not the one in segment {}", next.segment);
                Err(self.corrupt(0, None, reason))
            }
        }
    }

    fn visit_one(
        &self,
        frame: &Frame<'_>,
        offset: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
    ) -> Result<(), WalError> {
        let entry = frame.entry(self.header.segment, offset);
        visit(&entry).map_err(|reason| self.corrupt(offset, Some(frame.sequence), reason))
    }

    /// Whether a sound frame at or behind `offset`, at any alignment a frame can have, says that
    /// `sequence` was durable: what tells damage from a torn tail. Gives what the first one says.
    ///
    /// Cost: a checksum runs over as many bytes as stand where a length would, so it is made only where
    /// all fields could be those of a frame of this segment. Text, of which payloads are full, never
    /// is one: a batch torn at its second record is read once, not once a word.
    pub(crate) fn durable_behind(&self, offset: u64, sequence: u64) -> Option<u64> {
        let seed = self.header.seed();
        let first = offset as usize;
        let (mut at, end) = (first, first + self.tail(offset).len());
        while let Some(rest) = self.bytes.get(at..).filter(|_| at < end) {
            let claimed = frame::claimed_durable_upto(rest).filter(|upto| *upto >= sequence);
            // Where the log ends a frame is looked at whatever it says: it may be sound and misplaced.
            let may_be = claimed.is_some() && (at == first || self.could_hold(rest));
            if may_be && frame::parse(rest, seed).is_ok() {
                return claimed;
            }
            at += 8;
        }
        None
    }

    /// Whether the sequence of what could be a frame is one that this segment has room for, wherever
    /// in it the frame was written.
    fn could_hold(&self, rest: &[u8]) -> bool {
        let room = self.header.segment_bytes / frame::frame_bytes(1) as u64;
        let first = self.header.first_sequence;
        frame::claimed_sequence(rest)
            .is_some_and(|it| (first..=first.saturating_add(room)).contains(&it))
    }

    /// Bytes from `offset` up to the last one that is not zero.
    pub(crate) fn tail(&self, offset: u64) -> &[u8] {
        let mut rest = self.bytes.get(offset as usize..).unwrap_or_default();
        // Most of a segment that is being written is zeros: whole blocks of them first.
        while let Some(shorter) = rest.strip_suffix(&ZERO_BLOCK) {
            rest = shorter;
        }
        let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        rest.get(..used).unwrap_or_default()
    }

    pub(crate) fn corrupt(&self, offset: u64, sequence: Option<u64>, reason: String) -> WalError {
        let (segment, file) = (self.header.segment, self.file.to_owned());
        WalError::Corrupt { segment, file, offset, sequence, reason }
    }
}

/// A sound frame that can stand where `expected` should.
pub(crate) fn placed(frame: Frame<'_>, expected: u64) -> Result<Frame<'_>, NoFrame> {
    if frame.sequence != expected {
        return Err(NoFrame::Sequence(frame.sequence));
    }
    // A start record proves itself; nothing can prove what comes after it.
    if frame.durable_upto > expected {
        return Err(NoFrame::Durable(frame.durable_upto));
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::sealed;
    use crate::header::tests::header;

    /// A torn batch of text had a checksum over the rest of the segment for each of its words.
    #[test]
    fn no_word_of_text_could_be_a_frame_and_every_frame_of_the_segment_could() {
        let header = header();
        let segment = Segment { header: &header, file: "any", bytes: &[] };
        let text = b"{\"reference\": \"R-100-2000-3\", \"buyer\": \"some.buyer@shop\"}".repeat(9);
        let words = (0..text.len()).map(|at| text.get(at..).unwrap());
        assert!(words.filter(|rest| rest.len() >= 24).all(|rest| !segment.could_hold(rest)));
        let last = 41 + (64 << 10) / 32;
        for sequence in [41, 42, 1_000, last] {
            assert!(segment.could_hold(&sealed(sequence, sequence - 1, b"any", header.seed())));
        }
        assert!(!segment.could_hold(&sealed(40, 39, b"any", header.seed())));
        assert!(!segment.could_hold(&sealed(last + 1, last, b"any", header.seed())));
    }

    /// Sound frames behind the end of the walk are evidence wherever they are, and at its end also
    /// one whose sequence no frame of this segment has.
    #[test]
    fn sound_frame_that_knows_more_is_found_behind_text_and_at_the_end() {
        let header = header();
        let found =
            |bytes: &[u8]| Segment { header: &header, file: "any", bytes }.durable_behind(0, 50);
        let mut bytes = b"torn text, of eight bytes a word".to_vec();
        assert_eq!(found(&bytes), None);
        bytes.extend(sealed(60, 55, b"any", header.seed()));
        assert_eq!(found(&bytes), Some(55));
        assert_eq!(found(&sealed(u64::MAX, 55, b"any", header.seed())), Some(55));
        assert_eq!(found(&sealed(60, 49, b"any", header.seed())), None);
    }
}
