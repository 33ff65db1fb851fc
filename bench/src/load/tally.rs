//! What a thread counted: every answer by status, latency by kind, and the generator's own lag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::work::Kind;
use crate::connection::{ConnectionError, Head};

/// Slowest latency that is told exactly.
const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// A request that leaves later than this was behind its schedule.
const BEHIND: Duration = Duration::from_millis(1);

/// Counts of one thread, or of all.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) kinds: BTreeMap<Kind, KindTally>,
    /// Every answer by status, warm-up and drain included.
    pub(super) answers: BTreeMap<u16, u64>,
    /// Answers of the expected status that count and came within the measured time.
    pub(super) in_time: u64,
    pub(super) units_sold: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    pub(super) lag: LagTally,
    /// When the last answer of the measured time came, since its beginning.
    pub(super) last: Duration,
    /// Longest time without an answer.
    pub(super) silence: Duration,
}

/// Counts of one kind of request.
#[derive(Debug)]
pub(super) struct KindTally {
    pub(super) expected: u64,
    pub(super) unexpected: u64,
    pub(super) answer_bytes: usize,
    pub(super) latency: Histogram<u64>,
}

/// How far the generator was behind its schedule.
#[derive(Debug, Default)]
pub(super) struct LagTally {
    pub(super) behind: u64,
    pub(super) max: Duration,
    pub(super) unsent: u64,
}

impl Default for KindTally {
    fn default() -> Self {
        Self { expected: 0, unexpected: 0, answer_bytes: 0, latency: histogram() }
    }
}

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "these bounds are constants that hdrhistogram accepts")]
    let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("good bounds");
    histogram
}

/// A latency as such a histogram takes it.
pub(crate) fn nanoseconds(latency: Duration) -> u64 {
    u64::try_from(latency.as_nanos()).unwrap_or(LATENCY_NS_MAX).max(1)
}

/// What is wrong with an answer, and what to do.
fn unexpected(kind: Kind, head: &Head) -> String {
    let (status, expected) = (head.status, kind.expected_status());
    let next = match status {
        _ if head.replayed => "its key was used before: another --key-prefix",
        422 => "if its key was used before, another --key-prefix",
        404 => "the products have to be there: --put-in STOCK puts them in",
        _ => "the server's log may say more",
    };
    format!("{}: {status} where {expected} was expected; {next}", kind.name())
}

impl Tally {
    /// An answer came; with its latency if it counts.
    pub(super) fn answered(&mut self, kind: Kind, head: &Head, latency: Option<Duration>) {
        *self.answers.entry(head.status).or_insert(0) += 1;
        let expected = head.status == kind.expected_status() && !head.replayed;
        if expected {
            self.units_sold += kind.units_sold();
        } else {
            self.first_error.get_or_insert_with(|| unexpected(kind, head));
        }
        let Some(latency) = latency else { return };
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.latency.saturating_record(nanoseconds(latency));
        if expected {
            of_kind.expected += 1;
            of_kind.answer_bytes = head.head_bytes + head.body_bytes;
        } else {
            of_kind.unexpected += 1;
        }
    }

    /// An answer came at this moment of the measured time.
    pub(super) fn heard_at(&mut self, now: Instant, from: Instant) {
        let at = now.saturating_duration_since(from);
        self.silence = self.silence.max(at.saturating_sub(self.last));
        self.last = at;
    }

    /// A request has no answer.
    pub(super) fn failed(&mut self, kind: Kind, error: &ConnectionError) {
        self.kinds.entry(kind).or_default().unexpected += 1;
        self.lost(error);
    }

    /// Something failed that is no request's.
    pub(super) fn lost(&mut self, error: &ConnectionError) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    /// A request left so long after it was due.
    pub(super) fn left(&mut self, late: Duration) {
        self.lag.behind += u64::from(late > BEHIND);
        self.lag.max = self.lag.max.max(late);
    }

    /// Adds another thread's.
    pub(super) fn add(&mut self, other: &Self) {
        for (kind, theirs) in &other.kinds {
            let ours = self.kinds.entry(*kind).or_default();
            ours.expected += theirs.expected;
            ours.unexpected += theirs.unexpected;
            ours.answer_bytes = ours.answer_bytes.max(theirs.answer_bytes);
            ours.latency += &theirs.latency;
        }
        for (status, count) in &other.answers {
            *self.answers.entry(*status).or_insert(0) += count;
        }
        self.in_time += other.in_time;
        self.units_sold += other.units_sold;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
        self.lag.behind += other.lag.behind;
        self.lag.max = self.lag.max.max(other.lag.max);
        self.lag.unsent += other.lag.unsent;
        self.last = self.last.max(other.last);
        self.silence = self.silence.max(other.silence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_that_is_not_what_was_asked_for_is_a_failure_and_the_first_is_told() {
        let mut tally = Tally::default();
        let at = Some(Duration::from_millis(1));
        let head = |status, replayed| Head {
            status,
            replayed,
            close: false,
            head_bytes: 100,
            body_bytes: 100,
        };
        for (status, replayed) in [(201, false), (201, true), (404, false)] {
            tally.answered(Kind::Purchase, &head(status, replayed), at);
        }
        let kind = tally.kinds.get(&Kind::Purchase).expect("purchases");
        assert_eq!((kind.expected, kind.unexpected, tally.units_sold), (1, 2, 1));
        let told = tally.first_error.expect("an error");
        assert!(told.contains("its key was used before: another --key-prefix"), "{told}");
    }
}
