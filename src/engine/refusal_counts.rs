//! Counting refusals: per product and reason, one shard per worker, taken once a minute.
//!
//! No memory for products nobody is refused; no lock that two workers share. A crash loses at
//! most the minute that was not journaled.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::domain::{Handle, Refusal, RefusalReason, RefusalRow};

type Counts = HashMap<(Handle, RefusalReason), u64, RandomState>;

/// All shards.
#[derive(Default)]
pub struct RefusalCounts {
    shards: Mutex<Vec<Arc<RefusalShard>>>,
}

/// The counts of one thread.
#[derive(Default)]
pub struct RefusalShard(Mutex<Counts>);

impl RefusalCounts {
    /// A shard for one more thread.
    #[must_use]
    pub fn shard(&self) -> Arc<RefusalShard> {
        let shard = Arc::new(RefusalShard::default());
        self.shards.lock().push(Arc::clone(&shard));
        shard
    }

    /// Takes what all shards counted, by product and reason.
    #[must_use]
    pub fn take(&self) -> Vec<RefusalRow> {
        let mut sum = Counts::default();
        for shard in self.shards.lock().iter() {
            for (key, count) in std::mem::take(&mut *shard.0.lock()) {
                *sum.entry(key).or_default() += count;
            }
        }
        let mut rows: Vec<RefusalRow> = sum
            .into_iter()
            .map(|((product, reason), count)| RefusalRow { product, reason, count })
            .collect();
        rows.sort_unstable_by_key(|row| (row.product, row.reason));
        rows
    }

    /// Gives back rows that could not be journaled; the next minute carries them.
    pub fn give_back(&self, rows: &[RefusalRow]) {
        if let Some(shard) = self.shards.lock().first() {
            let mut counts = shard.0.lock();
            for row in rows {
                *counts.entry((row.product, row.reason)).or_default() += row.count;
            }
        }
    }
}

impl RefusalShard {
    /// Counts one refusal of one product.
    pub fn count(&self, product: Handle, refusal: &Refusal) {
        if let Some(reason) = refusal.reason() {
            *self.0.lock().entry((product, reason)).or_default() += 1;
        }
    }
}
