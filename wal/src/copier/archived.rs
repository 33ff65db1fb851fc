//! Closed segments of a copy: cut to what they hold, and archived where the log has archived them.

use super::{Copier, CopyError};
use crate::header::{Header, file_name, segment_of};
use crate::segment::Segment;
use crate::{WalError, archive, files};

impl Copier {
    /// Cuts a closed segment of the copy to its end, where it is longer.
    pub(super) fn cut_to_end(&self, header: &Header, next: &Header) -> Result<(), CopyError> {
        let open = files::open(&*self.target, header.segment).map_err(CopyError::Copy)?;
        let len = open.file.len().map_err(WalError::io("measure", &open.name));
        if open.is_archived || len.map_err(CopyError::Copy)? < header.segment_bytes {
            return Ok(());
        }
        let mut bytes = Vec::new();
        open.read(header, &mut bytes).map_err(CopyError::Copy)?;
        let segment = Segment { header, file: &open.name, bytes: &bytes };
        let used = segment.checked_end(next).map_err(CopyError::Copy)?;
        self.cut(header, used as u64).map_err(CopyError::Copy)
    }

    pub(super) fn cut(&self, header: &Header, used: u64) -> Result<(), WalError> {
        let name = file_name(header.segment);
        let file = self.target.open(&name).map_err(WalError::io("open", &name))?;
        file.set_len(used).map_err(WalError::io("cut", &name))
    }

    /// Archives the closed segments of the copy that the log has archived since they were copied.
    ///
    /// # Errors
    /// The log cannot be read, the copy cannot be written; it is sound nevertheless.
    pub fn archive(&mut self) -> Result<(), CopyError> {
        let Some(end) = self.end else { return Ok(()) };
        let names = self.target.list().map_err(WalError::io("list", "the directory"));
        for segment in names.map_err(CopyError::Copy)?.iter().filter_map(|name| segment_of(name)) {
            let headers = self.source.scan().headers();
            // One that was pruned from the log stays as it is.
            let place = headers.binary_search_by_key(&segment, |header| header.segment).ok();
            if segment < end.segment
                && let Some([header, next, ..]) = place.and_then(|place| headers.get(place..))
            {
                self.archive_as_log(header, next)?;
            }
        }
        Ok(())
    }

    /// Archives a closed segment of the copy, if the log has archived it: with the log's own packed
    /// bytes, which cost no packing and are checked against the copy's.
    pub(super) fn archive_as_log(&self, header: &Header, next: &Header) -> Result<(), CopyError> {
        let copied = files::open(&*self.target, header.segment).map_err(CopyError::Copy)?;
        if copied.is_archived {
            return Ok(());
        }
        let packed = archive::packed(&**self.source.scan().storage(), header.segment);
        let Some(packed) = packed.map_err(CopyError::Log)? else { return Ok(()) };
        let mut bytes = Vec::new();
        copied.read(header, &mut bytes).map_err(CopyError::Copy)?;
        archive::move_packed(&*self.target, header, &bytes, next, &packed).map_err(CopyError::Copy)
    }
}
