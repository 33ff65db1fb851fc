//! The board: what is durable of holds and of orders beyond their records, for whoever reads.
//!
//! An order and a hold are read from the record that placed them; the board adds what changed
//! since: until when a hold lives or how it ended, and what came back of an order. It is published
//! from durable records, so reads never visit the partition.
//!
//! Memory: about 50 bytes a hold, live or ended within 24 hours; what came back of an order for ever.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use crate::domain::{
    Decision, Ended, HoldEnd, Inventory, OrderCancelled, RecordAt, Returned, Sequence,
};
use crate::journal::Record;

const SHARDS: usize = 32;

/// How a hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// It holds.
    Held {
        /// First moment it is over.
        expires_at_ms: u64,
    },
    /// It has ended.
    Ended(Ended),
}

/// A hold on the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldEntry {
    /// How it is.
    pub state: HoldState,
    /// Lines it was placed with.
    pub lines: u16,
}

/// What is durable of a partition's holds and orders.
#[derive(Default)]
pub struct Board {
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    live: AtomicUsize,
    selling_paused: AtomicBool,
    /// Ended holds, the first ended in front.
    ended: Mutex<VecDeque<(Sequence, Ended)>>,
}

#[derive(Default)]
struct Shard {
    holds: HashMap<Sequence, HoldEntry, RandomState>,
    returns: HashMap<Sequence, Returned, RandomState>,
}

impl Board {
    /// A hold; `None`: there is none, or it ended 24 hours before `now_ms` or earlier.
    #[must_use]
    pub fn hold(&self, hold: Sequence, now_ms: u64) -> Option<HoldEntry> {
        let entry = self.shard(hold).read().holds.get(&hold).copied()?;
        // What has aged out leaves the memory with the next end of a hold, and is forgotten before.
        let aged = matches!(entry.state, HoldState::Ended(ended) if ended.aged(now_ms));
        (!aged).then_some(entry)
    }

    /// What came back of an order; `None`: nothing.
    #[must_use]
    pub fn returned(&self, order: Sequence) -> Option<Returned> {
        self.shard(order).read().returns.get(&order).cloned()
    }

    /// Live holds.
    #[must_use]
    pub fn live_holds(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether selling is paused for every product.
    #[must_use]
    pub fn selling_paused(&self) -> bool {
        self.selling_paused.load(Ordering::Acquire)
    }

    /// Shows all that was replayed.
    pub(super) fn publish_all(&self, inventory: &Inventory, now_ms: u64) {
        for (sequence, hold) in inventory.holds().iter() {
            self.place(sequence, hold.lines.len(), hold.expires_at_ms);
        }
        for (sequence, ended) in inventory.holds().ends(now_ms) {
            let entry = HoldEntry { state: HoldState::Ended(ended), lines: 0 };
            self.shard(sequence).write().holds.insert(sequence, entry);
            self.ended.lock().push_back((sequence, ended));
        }
        for (order, returned) in inventory.returns().iter() {
            self.shard(order).write().returns.insert(order, returned.clone());
        }
        self.selling_paused.store(inventory.selling_paused(), Ordering::Release);
    }

    /// Shows what a record, durable now, changed here.
    pub(super) fn publish(&self, sequence: Sequence, record: &Record) {
        let by = RecordAt { sequence, at_ms: record.envelope.decided_at_ms };
        match &record.decision {
            Decision::HoldPlaced(placed) => {
                self.place(sequence, placed.lines.len(), placed.expires_at_ms);
            }
            Decision::HoldExtended(extended) => {
                if let Some(entry) = self.shard(extended.hold).write().holds.get_mut(&extended.hold)
                {
                    entry.state = HoldState::Held { expires_at_ms: extended.expires_at_ms };
                }
            }
            Decision::HoldConfirmed(confirmed) => {
                self.end(confirmed.hold, Ended { end: HoldEnd::Confirmed, by });
            }
            Decision::HoldReleased(ended) => {
                self.end(ended.hold, Ended { end: HoldEnd::Released, by });
            }
            Decision::HoldExpired(ended) => {
                self.end(ended.hold, Ended { end: HoldEnd::Expired, by });
            }
            Decision::OrderCancelled(cancelled) => self.cancel(cancelled),
            Decision::SellingPaused(selling) => {
                self.selling_paused.store(selling.paused, Ordering::Release);
            }
            Decision::ProductCreated(_)
            | Decision::TermsChanged(_)
            | Decision::StockAdjusted(_)
            | Decision::OrderPlaced(_)
            | Decision::RefusalsCounted(_) => {}
        }
    }

    fn place(&self, sequence: Sequence, lines: usize, expires_at_ms: u64) {
        let lines = u16::try_from(lines).expect("at most 1,000 lines");
        let entry = HoldEntry { state: HoldState::Held { expires_at_ms }, lines };
        self.shard(sequence).write().holds.insert(sequence, entry);
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, hold: Sequence, ended: Ended) {
        if let Some(entry) = self.shard(hold).write().holds.get_mut(&hold) {
            entry.state = HoldState::Ended(ended);
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
        let mut queue = self.ended.lock();
        queue.push_back((hold, ended));
        while let Some((oldest, _)) = queue.pop_front_if(|(_, oldest)| oldest.aged(ended.by.at_ms))
        {
            self.shard(oldest).write().holds.remove(&oldest);
        }
    }

    fn cancel(&self, cancelled: &OrderCancelled) {
        let order = cancelled.order;
        self.shard(order).write().returns.entry(order).or_default().add(&cancelled.lines);
    }

    fn shard(&self, sequence: Sequence) -> &RwLock<Shard> {
        // Neighbours are read together: a hash spreads them.
        let shard = (self.hasher.hash_one(sequence) >> 32) as usize % SHARDS;
        self.shards.get(shard).expect("a remainder is in range")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::*;
    use crate::journal::Envelope;

    const DAY_MS: u64 = 24 * 3_600_000;

    fn publish(board: &Board, sequence: u64, decided_at_ms: u64, decision: Decision) {
        let principal = Principal::new("shop").unwrap();
        let changes = Changes::new();
        let envelope = Envelope { decided_at_ms, principal, reference: None, key: None, changes };
        board.publish(Sequence::new(sequence), &Record { envelope, decision });
    }

    fn placed() -> Decision {
        let buyer_id = BuyerId::new("anna").unwrap();
        Decision::HoldPlaced(HoldPlaced { buyer_id, lines: OrderLines::new(), expires_at_ms: 9 })
    }

    fn released(hold: u64) -> Decision {
        let (hold, buyer_id) = (Sequence::new(hold), BuyerId::new("anna").unwrap());
        Decision::HoldReleased(HoldEnded { hold, buyer_id, lines: OrderLines::new() })
    }

    #[test]
    fn ended_hold_leaves_the_memory_with_an_end_a_day_later() {
        let board = Board::default();
        let remembered =
            || board.shards.iter().map(|shard| shard.read().holds.len()).sum::<usize>();
        for hold in 1..=100 {
            publish(&board, hold, 0, placed());
        }
        for hold in 1..=99 {
            publish(&board, 100 + hold, hold, released(hold));
        }
        assert_eq!((board.live_holds(), remembered()), (1, 100));
        publish(&board, 200, DAY_MS + 50, placed());
        publish(&board, 201, DAY_MS + 50, released(200));
        assert_eq!((board.live_holds(), remembered(), board.ended.lock().len()), (1, 51, 50));
        assert!(board.hold(Sequence::new(50), DAY_MS + 49).is_none());
        assert!(board.hold(Sequence::new(51), DAY_MS + 50).is_some());
        assert!(board.hold(Sequence::new(51), DAY_MS + 51).is_none(), "though it is remembered");
        assert!(board.hold(Sequence::new(100), DAY_MS + 51).is_some(), "live");
    }
}
