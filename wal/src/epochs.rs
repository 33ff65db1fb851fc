//! Who owned a log, from which record on.

use std::sync::Arc;

use crate::header::Header;

/// The epochs of a log. They change only with a start, so a running log's stay as they are; cheap to
/// clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs {
    /// First sequence and epoch, the latest first: it is asked for most.
    owners: Arc<[(u64, u32)]>,
}

impl Epochs {
    /// Of a log that has had one owner.
    #[must_use]
    pub fn one(epoch: u32) -> Self {
        Self { owners: [(1, epoch)].into() }
    }

    pub(crate) fn of_headers(headers: &[Header]) -> Self {
        let mut owners: Vec<(u64, u32)> = Vec::new();
        for header in headers {
            let epoch = header.identity.epoch;
            if owners.last().is_none_or(|(_, last)| *last != epoch) {
                // A segment without a frame of its own leaves its place to the next.
                owners.retain(|(first, _)| *first < header.first_sequence);
                owners.push((header.first_sequence, epoch));
            }
        }
        owners.reverse();
        Self { owners: owners.into() }
    }

    /// The epoch of the segment that holds a sequence, or will; `None`: it was pruned.
    #[must_use]
    pub fn of(&self, sequence: u64) -> Option<u32> {
        self.owners.iter().find(|(first, _)| *first <= sequence).map(|(_, epoch)| *epoch)
    }
}
