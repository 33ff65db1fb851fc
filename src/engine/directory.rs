//! The directory: every product by id and by handle, with its published view.
//!
//! The partition enters a product when it decides its creation; the world sees it once that is
//! durable. A view holds what is durable, never the actor's present figures, so reads never visit
//! an actor: at worst a view lags by the batch that is being written.
//!
//! Products are never removed, so that whoever finds one borrows it: no lock, no count that all
//! threads share.
//!
//! Memory: an idle product costs its [`ProductEntry`] and a slot of a table here; no actor, no queue
//! (`tests/memory.rs`).

use std::cell::Cell;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use actix::Addr;
use actix::dev::SendError;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;

use super::append_only::AppendOnly;
use super::command::Command;
use super::product_actor::ProductActor;
use crate::domain::{
    Figures, Handle, Product, ProductId, Refusal, StandingTerms, Version, refusal_in_view,
};
use crate::journal::{Planted, planted};

/// `Default` is derived for arrays of at most 32.
const SHARDS: usize = 32;
const SECOND_MS: u64 = 1_000;
/// Handles a worker keeps at hand: a sale has few hot products.
const FOUND: usize = 256;

/// What is durable of one product.
#[derive(Debug, Clone)]
pub struct View {
    /// Its terms.
    pub terms: Arc<StandingTerms>,
    /// Its figures.
    pub figures: Figures,
    /// Place of its last change.
    pub version: Version,
    /// How often its terms were set.
    pub terms_version: u32,
    /// Since when a buyer's units are counted; `None` without a limit.
    pub counted_since_ms: Option<u64>,
}

/// What a view is made of.
#[derive(Debug, Clone)]
struct Published {
    terms: Arc<StandingTerms>,
    figures: Figures,
    version: Version,
    /// When the first of its holds is over; `u64::MAX` without one. Early after an extension.
    next_expiry_ms: u64,
}

/// What a record leaves behind to be published.
#[derive(Debug)]
pub(super) struct ViewChange {
    /// `None`: the record leaves them as they were.
    terms: Option<Arc<StandingTerms>>,
    figures: Figures,
    version: Version,
    next_expiry_ms: u64,
}

/// One product, as all threads know it.
pub struct ProductEntry {
    id: ProductId,
    handle: Handle,
    /// Never taken back, so that looking at it costs no lock.
    is_published: AtomicBool,
    /// The second in which it was last asked for without having an actor, its low bits. Of the
    /// partition's thread alone.
    asked: AtomicU16,
    shown: RwLock<Shown>,
}

#[derive(Default)]
struct Shown {
    published: Option<Published>,
    /// Its actor while it has traffic. Set and taken by the partition's thread alone.
    actor: Option<Box<Addr<ProductActor>>>,
}

/// A million idle products each have one.
const _: () = assert!(size_of::<ProductEntry>() == 88);

/// All products of a partition.
#[derive(Default)]
pub struct Directory {
    /// Handles by id.
    shards: [RwLock<HashTable<u32>>; SHARDS],
    /// By handle.
    entries: AppendOnly<ProductEntry>,
    edition: AtomicU64,
    hasher: RandomState,
}

/// Handles that a worker has found by id: a product keeps its id, so that another look costs
/// neither a lock nor a write.
pub(super) struct Found {
    handles: [Cell<Option<Handle>>; FOUND],
}

impl View {
    /// Units that may be sold now.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.figures.available(&self.terms)
    }
}

impl ViewChange {
    /// The product as it stands, terms too, with when the first of its holds is over.
    pub(super) fn whole(product: &Product, next_expiry_ms: u64) -> Self {
        let terms = Some(Arc::clone(&product.terms));
        Self { terms, ..Self::figures(product, next_expiry_ms) }
    }

    /// The product as it stands, its terms as they were.
    pub(super) fn figures(product: &Product, next_expiry_ms: u64) -> Self {
        let Product { figures, version, .. } = product;
        Self { terms: None, figures: *figures, version: *version, next_expiry_ms }
    }

    /// What [`Planted::ReleaseTwice`] does.
    pub(super) fn release(&mut self, units: u64) {
        self.figures.held = self.figures.held.saturating_sub(units);
    }
}

impl From<Published> for View {
    fn from(published: Published) -> Self {
        let Published { terms, figures, version, .. } = published;
        let (terms_version, counted_since_ms) = (terms.version(), terms.counted_since_ms());
        Self { terms, figures, version, terms_version, counted_since_ms }
    }
}

impl ProductEntry {
    fn new(id: ProductId, handle: Handle) -> Self {
        let (is_published, asked, shown) = <_>::default();
        Self { id, handle, is_published, asked, shown }
    }

    /// The shop's id.
    #[must_use]
    pub fn id(&self) -> &ProductId {
        &self.id
    }

    /// Its number in the partition.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// What is durable of it.
    ///
    /// # Panics
    /// Never for an entry that the directory gave out: those are published.
    #[must_use]
    pub fn view(&self) -> View {
        let published = self.shown.read().published.clone();
        published.expect("the directory gives out published products").into()
    }

    /// Whether the view alone refuses `units`: no clone, no allocation.
    pub(super) fn refusal(&self, units: u64, now_ms: u64) -> Result<(), Refusal> {
        match &self.shown.read().published {
            Some(view) => match refusal_in_view(&view.terms, &view.figures, units, now_ms) {
                // What a hold gives back is not in the view yet: the actor knows.
                Err(Refusal::SoldOut { .. })
                    if view.next_expiry_ms <= now_ms && !planted(Planted::RefuseBeforeExpiry) =>
                {
                    Ok(())
                }
                refused => refused,
            },
            None => Ok(()),
        }
    }

    fn is_published(&self) -> bool {
        self.is_published.load(Ordering::Acquire)
    }

    /// Shows what has become durable. Versions only move on.
    pub(super) fn publish(&self, change: ViewChange) {
        let ViewChange { terms, figures, version, next_expiry_ms } = change;
        let mut shown = self.shown.write();
        let replaced = if let Some(shown) = &mut shown.published {
            let before = shown.version;
            assert!(before < version, "views follow the log: {before} then {version}");
            (shown.figures, shown.version) = (figures, version);
            shown.next_expiry_ms = next_expiry_ms;
            terms.map(|terms| std::mem::replace(&mut shown.terms, terms))
        } else {
            let terms = terms.expect("the first change of a product, its creation, sets terms");
            shown.published = Some(Published { terms, figures, version, next_expiry_ms });
            self.is_published.store(true, Ordering::Release);
            None
        };
        drop(shown);
        // Freeing terms may take a while; nobody waits for it.
        drop(replaced);
    }

    /// Sends to its actor; [`SendError::Closed`] when it has none. An actor may stop at any time:
    /// what it has not decided comes back.
    #[expect(clippy::result_large_err, reason = "what was not sent comes back as it is")]
    pub(super) fn try_send(&self, command: Command) -> Result<(), SendError<Command>> {
        // Under the lock, since a clone of the address would be counted where all workers count.
        match &self.shown.read().actor {
            Some(actor) => actor.try_send(command),
            None => Err(SendError::Closed(command)),
        }
    }

    /// Whether it has an actor that runs.
    pub(super) fn has_actor(&self) -> bool {
        self.shown.read().actor.as_ref().is_some_and(|actor| actor.connected())
    }

    /// Notes that it is asked for; whether it was in this second before, as far as 16 bits know. For the
    /// partition's thread.
    pub(super) fn note_asked(&self, at_ms: u64) -> bool {
        let [.., high, low] = (at_ms / SECOND_MS).to_be_bytes();
        let second = u16::from_be_bytes([high, low]);
        let before = self.asked.load(Ordering::Relaxed);
        self.asked.store(second, Ordering::Relaxed);
        before == second
    }

    /// For the partition's thread.
    pub(super) fn set_actor(&self, actor: Option<Addr<ProductActor>>) {
        let replaced = std::mem::replace(&mut self.shown.write().actor, actor.map(Box::new));
        // Outside the lock: the last address of a mailbox may take what lies in it along.
        drop(replaced);
    }
}

impl Default for Found {
    fn default() -> Self {
        Self { handles: [const { Cell::new(None) }; FOUND] }
    }
}

impl Directory {
    /// The durable product of this id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<&ProductEntry> {
        self.entry(id).filter(|entry| entry.is_published())
    }

    /// As [`Self::product`], looking first among what was found before.
    pub(super) fn product_again(&self, id: &str, found: &Found) -> Option<&ProductEntry> {
        let hash = self.hasher.hash_one(id);
        let place = found.handles.get(hash as usize % FOUND)?;
        let known = place.get().and_then(|handle| self.product_by_handle(handle));
        if let Some(entry) = known.filter(|entry| entry.id.as_str() == id) {
            return Some(entry);
        }
        let entry = self.entry_hashed(id, hash).filter(|entry| entry.is_published())?;
        place.set(Some(entry.handle));
        Some(entry)
    }

    /// The durable product of this handle.
    #[must_use]
    pub fn product_by_handle(&self, handle: Handle) -> Option<&ProductEntry> {
        self.entry_by_handle(handle).filter(|entry| entry.is_published())
    }

    /// Up to `limit` durable products from `first` on, by handle.
    #[must_use]
    pub fn products_from(&self, first: Handle, limit: usize) -> Vec<&ProductEntry> {
        let entries = (first.index()..self.len()).filter_map(|number| self.entries.get(number));
        entries.filter(|entry| entry.is_published()).take(limit).collect()
    }

    /// Moves on after views have changed and before anyone hears of it: what was read of them after a
    /// look at it is still true while it stands.
    #[must_use]
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// How many products there are, durable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The product of this id, durable or not: for the partition, which decided it.
    pub(super) fn entry(&self, id: &str) -> Option<&ProductEntry> {
        self.entry_hashed(id, self.hasher.hash_one(id))
    }

    fn entry_hashed(&self, id: &str, hash: u64) -> Option<&ProductEntry> {
        let of = |number: &u32| self.entries.get(*number as usize);
        let same = |number: &u32| of(number).is_some_and(|entry| entry.id.as_str() == id);
        self.shard(hash).read().find(hash, same).and_then(of)
    }

    pub(super) fn entry_by_handle(&self, handle: Handle) -> Option<&ProductEntry> {
        self.entries.get(handle.index())
    }

    /// Shows what has become durable, in order.
    pub(super) fn publish(&self, changes: impl Iterator<Item = (Handle, ViewChange)>) {
        let mut changed = 0;
        for (handle, change) in changes {
            let entry = self.entry_by_handle(handle);
            entry.expect("it was entered before it was changed").publish(change);
            changed += 1;
        }
        if changed > 0 {
            self.edition.fetch_add(changed, Ordering::Release);
        }
    }

    /// Enters a product that is decided; nobody else sees it until it is published.
    pub(super) fn enter(&self, id: ProductId, handle: Handle) {
        assert_eq!(handle.index(), self.len(), "handles have no gaps");
        let hash = self.hasher.hash_one(id.as_str());
        self.entries.push(ProductEntry::new(id, handle));
        let rehash = |number: &u32| {
            let entry = self.entries.get(*number as usize);
            entry.map_or(0, |entry| self.hasher.hash_one(entry.id.as_str()))
        };
        self.shard(hash).write().insert_unique(hash, handle.get(), rehash);
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<u32>> {
        // The table inside uses the low and the top bits.
        let shard = (hash >> 32) as usize % SHARDS;
        self.shards.get(shard).expect("a remainder is in range")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_is_asked_for_again_only_within_a_second() {
        let id = ProductId::new("p").expect("an id");
        let entry = ProductEntry::new(id, Handle::new(0));
        let asked_at = [1_800_000_000_000, 1_800_000_001_000, 1_800_000_001_999, 1_800_000_002_000];
        assert_eq!(asked_at.map(|at_ms| entry.note_asked(at_ms)), [false, false, true, false]);
    }
}
