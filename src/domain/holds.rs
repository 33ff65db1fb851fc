//! Holds: lines set aside for a buyer until a time, each resolved at most once.
//!
//! Owns: the live holds of a partition, when each is over, and for 24 hours how each ended. The
//! units themselves stand in each product's `held`.
//! Invariant: a live hold has an entry in `due`, and one per product in `of_product`, at its time.

use std::collections::{BTreeSet, VecDeque};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::buyers::BuyerCounts;
use super::decision::OrderLines;
use super::ids::BuyerId;
use super::place::{Changes, Handle, RecordAt, Sequence, Version};

/// How long it is known how a hold ended, by record time.
pub const HOLD_KNOWN_MS: u64 = 24 * 3_600_000;

/// A live hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// For whom.
    pub buyer_id: BuyerId,
    /// What.
    pub lines: OrderLines,
    /// When it was placed.
    pub placed_at_ms: u64,
    /// First moment it is over.
    pub expires_at_ms: u64,
    /// The changes its placing made.
    pub changes: Changes,
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldEnd {
    /// It became an order.
    Confirmed,
    /// It was given back.
    Released,
    /// Its time was over.
    Expired,
}

/// The holds of a partition.
#[derive(Debug, Default)]
pub struct Holds {
    live: HashMap<Sequence, Hold, RandomState>,
    due: BTreeSet<(u64, Sequence)>,
    of_product: HashMap<Handle, BTreeSet<(u64, Sequence)>, RandomState>,
    of_buyer: HashMap<BuyerId, u32, RandomState>,
    lines: usize,
    ended: HashMap<Sequence, Ended, RandomState>,
    /// In the order they ended, so the oldest is in front.
    ended_in_order: VecDeque<Sequence>,
}

/// The end of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: HoldEnd,
    /// The record that ended it; of a confirmed hold, its order's too.
    pub by: RecordAt,
}

impl HoldEnd {
    /// Its word in SQL and JSON: the status of the hold.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

impl Hold {
    /// Whether `counts` of a product count its units: it was placed after counting began.
    #[must_use]
    pub(super) fn is_counted(&self, product: Handle, counts: &BuyerCounts) -> bool {
        self.version_of(product).is_some_and(|version| counts.count_from(version))
    }

    /// The version its placing gave a product; `None` for one it does not hold.
    #[must_use]
    pub fn version_of(&self, handle: Handle) -> Option<Version> {
        self.changes.iter().find(|change| change.handle == handle).map(|change| change.version)
    }
}

impl Holds {
    /// A live hold.
    #[must_use]
    pub fn live(&self, hold: Sequence) -> Option<&Hold> {
        self.live.get(&hold)
    }

    /// Every live hold, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Sequence, &Hold)> {
        self.live.iter().map(|(sequence, hold)| (*sequence, hold))
    }

    /// How many are live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Lines in live holds.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Live holds of a buyer.
    #[must_use]
    pub fn of_buyer(&self, buyer_id: &BuyerId) -> u32 {
        self.of_buyer.get(buyer_id).copied().unwrap_or(0)
    }

    /// How a hold ended, within [`HOLD_KNOWN_MS`] before `now_ms`.
    #[must_use]
    pub fn end_of(&self, hold: Sequence, now_ms: u64) -> Option<HoldEnd> {
        let ended = self.ended.get(&hold)?;
        (!ended.aged(now_ms)).then_some(ended.end)
    }

    /// Every hold that is known to have ended by `now_ms`, in the order they ended.
    pub fn ends(&self, now_ms: u64) -> impl Iterator<Item = (Sequence, Ended)> {
        let ended =
            self.ended_in_order.iter().filter_map(|hold| Some((*hold, *self.ended.get(hold)?)));
        ended.filter(move |(_, ended)| !ended.aged(now_ms))
    }

    /// The hold that is over first, and when.
    #[must_use]
    pub fn next_due(&self) -> Option<(u64, Sequence)> {
        self.due.first().copied()
    }

    /// When the first hold of a product is over; `u64::MAX` without one.
    #[must_use]
    pub fn next_expiry_ms(&self, product: Handle) -> u64 {
        let first = self.of_product.get(&product).and_then(BTreeSet::first);
        first.map_or(u64::MAX, |(expires_at_ms, _)| *expires_at_ms)
    }

    pub(super) fn place(&mut self, sequence: Sequence, hold: Hold) {
        self.mark(sequence, &hold);
        *self.of_buyer.entry(hold.buyer_id.clone()).or_default() += 1;
        self.lines += hold.lines.len();
        assert!(self.live.insert(sequence, hold).is_none(), "a hold is placed once");
    }

    pub(super) fn extend(&mut self, sequence: Sequence, expires_at_ms: u64) {
        let mut hold = self.live.remove(&sequence).expect("a decided extension names a live hold");
        self.unmark(sequence, &hold);
        hold.expires_at_ms = expires_at_ms;
        self.mark(sequence, &hold);
        self.live.insert(sequence, hold);
    }

    /// Takes a live hold away and remembers how it ended.
    pub(super) fn end(&mut self, sequence: Sequence, end: HoldEnd, by: RecordAt) -> Hold {
        let hold = self.live.remove(&sequence).expect("a decided end names a live hold");
        self.unmark(sequence, &hold);
        self.lines -= hold.lines.len();
        if let Entry::Occupied(mut entry) = self.of_buyer.entry(hold.buyer_id.clone()) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        self.forget(by.at_ms);
        self.remember(sequence, Ended { end, by });
        hold
    }

    /// Remembers how a hold ended; `false`: it was known.
    pub(super) fn remember(&mut self, sequence: Sequence, ended: Ended) -> bool {
        if self.ended.contains_key(&sequence) {
            return false;
        }
        self.ended.insert(sequence, ended);
        self.ended_in_order.push_back(sequence);
        true
    }

    fn forget(&mut self, now_ms: u64) {
        while let Some(front) = self.ended_in_order.front()
            && self.ended.get(front).is_none_or(|ended| ended.aged(now_ms))
        {
            self.ended.remove(front);
            self.ended_in_order.pop_front();
        }
    }

    fn mark(&mut self, sequence: Sequence, hold: &Hold) {
        let mark = (hold.expires_at_ms, sequence);
        self.due.insert(mark);
        for change in &hold.changes {
            self.of_product.entry(change.handle).or_default().insert(mark);
        }
    }

    fn unmark(&mut self, sequence: Sequence, hold: &Hold) {
        let mark = (hold.expires_at_ms, sequence);
        self.due.remove(&mark);
        for change in &hold.changes {
            if let Entry::Occupied(mut entry) = self.of_product.entry(change.handle) {
                entry.get_mut().remove(&mark);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
    }
}

impl Ended {
    /// Whether it is forgotten by `now_ms`.
    #[must_use]
    pub fn aged(&self, now_ms: u64) -> bool {
        self.by.at_ms.saturating_add(HOLD_KNOWN_MS) <= now_ms
    }
}

#[cfg(test)]
impl Holds {
    /// What is kept beside the live holds says the same as they do.
    pub(super) fn assert_consistent(&self) {
        let marks: BTreeSet<_> =
            self.live.iter().map(|(sequence, hold)| (hold.expires_at_ms, *sequence)).collect();
        assert_eq!(self.due, marks, "each live hold is due once");
        let (mut of_product, mut of_buyer) = (HashMap::default(), HashMap::default());
        for (sequence, hold) in &self.live {
            for change in &hold.changes {
                let marks: &mut BTreeSet<_> = of_product.entry(change.handle).or_default();
                marks.insert((hold.expires_at_ms, *sequence));
            }
            *of_buyer.entry(hold.buyer_id.clone()).or_default() += 1;
        }
        assert_eq!(self.of_product, of_product, "each product has its holds");
        assert_eq!(self.of_buyer, of_buyer, "each buyer has its holds");
        let lines: usize = self.live.values().map(|hold| hold.lines.len()).sum();
        assert_eq!(self.lines, lines, "lines of live holds");
        assert_eq!(self.ended.len(), self.ended_in_order.len(), "each end is in order once");
        let in_order = |sequence| self.ended.contains_key(sequence);
        assert!(self.ended_in_order.iter().all(in_order), "each end is known");
    }
}
