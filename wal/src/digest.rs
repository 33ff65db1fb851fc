//! The digest of a log up to a record: what its chain would say, did a segment begin after it.

use sha2::Digest;

use crate::WalError;
use crate::files;
use crate::scan::{Scan, corrupt};
use crate::segment::Segment;

impl Scan {
    /// SHA-256 over the header of the segment that holds `sequence`, which has the digest of the
    /// segment before, and its frames up to there. Once the log has grown it is still the same.
    ///
    /// Cost: reads the segment whole.
    ///
    /// # Errors
    /// `Corrupt`: there is no such record; `Io`.
    pub fn digest_upto(&self, sequence: u64) -> Result<[u8; 32], WalError> {
        let header = self.place_holding(sequence).and_then(|place| self.headers.get(place));
        let missing = || corrupt(0, 0, Some(sequence), "no segment holds it".to_owned());
        let header = header.ok_or_else(missing)?;
        let (open, mut bytes) = (files::open(&*self.storage, header.segment)?, Vec::new());
        open.read(header, &mut bytes)?;
        let segment = Segment { header, file: &open.name, bytes: &bytes };
        let walked = segment.walk(Some(sequence), &mut |_| Ok(()))?;
        match walked.stopped {
            None => Ok(walked.digest.finalize().into()),
            Some(stopped) => Err(segment.corrupt(walked.end, Some(sequence), stopped.to_string())),
        }
    }
}
