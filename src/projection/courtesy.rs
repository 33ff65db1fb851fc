//! Courtesy: how long the projector leaves the cores to others after it had to wait for one.
//!
//! The idle policy gives a core to whoever else wants it, but what runs in the gaps between sales
//! still costs them: caches, memory, the disk. So each batch is followed by a rest of some times what
//! it waited for a core: on a machine with cores to spare there is none, on one that is full the copy
//! keeps to a small share (docs/adr/0003-threads-and-the-scheduler.md has the figures). A copy that
//! is far behind rests no more, so that a machine that is full for hours still reports.

use std::time::Duration;

use crate::background::waited_for_a_core;

/// Rest for each unit of time waited.
const RESTS_FOR_A_WAIT: u32 = 9;

/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(5);

/// Rest for each unit of time that the disk was busy with a piece: it is the log's for three parts of
/// four (docs/adr/0013).
const RESTS_FOR_A_PIECE: u32 = 3;

/// Longest rest for a piece.
const REST_FOR_A_PIECE_MAX: Duration = Duration::from_millis(50);

/// A batch of fewer records is no burden.
const RECORDS_MIN: usize = 128;

/// A copy that ends so long ago is far behind.
const LATE: Duration = Duration::from_secs(30);

/// The last batch that was copied.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copied {
    /// How many records it had; 0: there was none to copy.
    pub(super) records: usize,
    /// How old its last record was by then.
    pub(super) late: Duration,
}

/// The thread's waiting so far.
pub(super) struct Courtesy {
    /// Up to the last look; `None`: the kernel does not tell.
    waited: Option<Duration>,
}

impl Courtesy {
    /// Of this thread, from now on.
    pub(super) fn begin() -> Self {
        Self { waited: waited_for_a_core() }
    }

    /// How long to rest after this batch, for what the thread waited since the last look. After a small
    /// one it does not look: most of the time there is nothing to copy.
    pub(super) fn rest(&mut self, copied: Copied) -> Duration {
        if copied.records < RECORDS_MIN {
            return Duration::ZERO;
        }
        let before = std::mem::replace(&mut self.waited, waited_for_a_core());
        let waited = self.waited.zip(before).map(|(now, before)| now.saturating_sub(before));
        rest(waited.unwrap_or_default(), copied.late)
    }
}

fn rest(waited: Duration, late: Duration) -> Duration {
    match late < LATE {
        true => (waited * RESTS_FOR_A_WAIT).min(REST_MAX),
        false => Duration::ZERO,
    }
}

/// How long to leave the disk to the log after a piece that took so long, while the last batch copied
/// was so late.
pub(super) fn rest_of_disk(took: Duration, late: Duration) -> Duration {
    match late < LATE {
        true => (took * RESTS_FOR_A_PIECE).min(REST_FOR_A_PIECE_MAX),
        false => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn whoever_waited_rests_longer_up_to_five_seconds() {
        assert_eq!(rest(Duration::ZERO, ms(0)), Duration::ZERO);
        assert_eq!(rest(ms(5), ms(0)), ms(45));
        assert_eq!(rest(ms(700), ms(29_999)), ms(5_000));
    }

    #[test]
    fn late_copy_does_not_rest() {
        assert_eq!(rest(ms(700), ms(30_000)), Duration::ZERO);
    }

    #[test]
    fn disk_is_left_to_the_log_for_three_parts_of_four_unless_the_copy_is_late() {
        assert_eq!(rest_of_disk(ms(2), ms(0)), ms(6));
        assert_eq!(rest_of_disk(ms(200), ms(29_999)), ms(50));
        assert_eq!(rest_of_disk(ms(2), ms(30_000)), Duration::ZERO);
    }

    #[test]
    fn small_batch_is_followed_by_no_rest() {
        let copied = Copied { records: RECORDS_MIN - 1, late: ms(0) };
        assert_eq!(Courtesy::begin().rest(copied), Duration::ZERO);
    }
}
