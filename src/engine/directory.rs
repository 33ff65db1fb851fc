//! The directory: every product by id and by handle, with its published view.
//!
//! The partition enters a product when it decides its creation; the world sees it once that is
//! durable. A view holds what is durable, never the actor's present figures, so reads never visit
//! an actor: at worst a view lags by the batch that is being written.
//!
//! Memory: an idle product costs its [`ProductEntry`], a pointer and a slot of a table here; no
//! actor, no queue (`tests/memory.rs`).

use std::hash::BuildHasher;
use std::sync::Arc;

use actix::Addr;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;

use super::product_actor::ProductActor;
use crate::domain::{
    Figures, Handle, Product, ProductId, Refusal, StandingTerms, Version, refusal_in_view,
};

/// `Default` is derived for arrays of at most 32.
const SHARDS: usize = 32;
const BLOCK_ENTRIES: usize = 1024;

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

/// What a view is made of, and what a record leaves behind to be published.
#[derive(Debug, Clone)]
pub(super) struct Published {
    terms: Arc<StandingTerms>,
    figures: Figures,
    version: Version,
    /// When the first of its holds is over; `u64::MAX` without one. Early after an extension.
    next_expiry_ms: u64,
}

/// One product, as all threads know it.
pub struct ProductEntry {
    id: ProductId,
    handle: Handle,
    shown: RwLock<Shown>,
}

#[derive(Default)]
struct Shown {
    published: Option<Published>,
    /// Its actor while it has traffic. Set and taken by the partition's thread alone.
    actor: Option<Arc<Addr<ProductActor>>>,
}

/// Behind the two counts of its `Arc`; a million idle products each have one.
const _: () = assert!(size_of::<ProductEntry>() == 88);

/// All products of a partition.
#[derive(Default)]
pub struct Directory {
    /// Handles by id.
    shards: [RwLock<HashTable<u32>>; SHARDS],
    blocks: RwLock<Vec<Vec<Arc<ProductEntry>>>>,
    hasher: RandomState,
}

impl View {
    /// Units that may be sold now.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.figures.available(&self.terms)
    }
}

impl Published {
    /// The product as it stands.
    pub(super) fn of(product: &Product, next_expiry_ms: u64) -> Self {
        let Product { terms, figures, version, .. } = product;
        Self { terms: Arc::clone(terms), figures: *figures, version: *version, next_expiry_ms }
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
        Self { id, handle, shown: RwLock::default() }
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
                Err(Refusal::SoldOut { .. }) if view.next_expiry_ms <= now_ms => Ok(()),
                refused => refused,
            },
            None => Ok(()),
        }
    }

    fn is_published(&self) -> bool {
        self.shown.read().published.is_some()
    }

    /// Shows what has become durable. Versions only move on.
    pub(super) fn publish(&self, published: Published) {
        let mut shown = self.shown.write();
        let before = shown.published.as_ref().map_or(Version::NONE, |shown| shown.version);
        let version = published.version;
        assert!(before < version, "views follow the log: {before} then {version}");
        let replaced = shown.published.replace(published);
        drop(shown);
        // Freeing terms may take a while; nobody waits for it.
        drop(replaced);
    }

    /// Its actor, if it has one. It may stop at any time: what it has not decided comes back.
    pub(super) fn actor(&self) -> Option<Arc<Addr<ProductActor>>> {
        self.shown.read().actor.clone()
    }

    /// For the partition's thread.
    pub(super) fn set_actor(&self, actor: Option<Addr<ProductActor>>) {
        self.shown.write().actor = actor.map(Arc::new);
    }
}

impl Directory {
    /// The durable product of this id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<Arc<ProductEntry>> {
        self.entry(id).filter(|entry| entry.is_published())
    }

    /// The durable product of this handle.
    #[must_use]
    pub fn product_by_handle(&self, handle: Handle) -> Option<Arc<ProductEntry>> {
        self.entry_by_handle(handle).filter(|entry| entry.is_published())
    }

    /// Up to `limit` durable products from `first` on, by handle.
    #[must_use]
    pub fn products_from(&self, first: Handle, limit: usize) -> Vec<Arc<ProductEntry>> {
        let blocks = self.blocks.read();
        let from = first.index();
        let entries = blocks.iter().skip(from / BLOCK_ENTRIES).flatten().skip(from % BLOCK_ENTRIES);
        entries.filter(|entry| entry.is_published()).take(limit).cloned().collect()
    }

    /// How many products there are, durable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        let blocks = self.blocks.read();
        blocks.last().map_or(0, |last| (blocks.len() - 1) * BLOCK_ENTRIES + last.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The product of this id, durable or not: for the partition, which decided it.
    pub(super) fn entry(&self, id: &str) -> Option<Arc<ProductEntry>> {
        let hash = self.hasher.hash_one(id);
        let shard = self.shard(hash).read();
        let blocks = self.blocks.read();
        let of = |number: &u32| entry_of(&blocks, *number as usize);
        let same = |number: &u32| of(number).is_some_and(|entry| entry.id.as_str() == id);
        shard.find(hash, same).and_then(of).cloned()
    }

    pub(super) fn entry_by_handle(&self, handle: Handle) -> Option<Arc<ProductEntry>> {
        entry_of(&self.blocks.read(), handle.index()).cloned()
    }

    /// Enters a product that is decided; nobody else sees it until it is published.
    pub(super) fn enter(&self, id: ProductId, handle: Handle) -> Arc<ProductEntry> {
        assert_eq!(handle.index(), self.len(), "handles have no gaps");
        let hash = self.hasher.hash_one(id.as_str());
        let entry = Arc::new(ProductEntry::new(id, handle));
        let mut shard = self.shard(hash).write();
        {
            let mut blocks = self.blocks.write();
            match blocks.last_mut() {
                Some(block) if block.len() < BLOCK_ENTRIES => block.push(Arc::clone(&entry)),
                _ => blocks.push(vec![Arc::clone(&entry)]),
            }
        }
        let blocks = self.blocks.read();
        let rehash = |number: &u32| {
            let entry = entry_of(&blocks, *number as usize);
            entry.map_or(0, |entry| self.hasher.hash_one(entry.id.as_str()))
        };
        shard.insert_unique(hash, handle.get(), rehash);
        entry
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<u32>> {
        // The table inside uses the low and the top bits.
        let shard = (hash >> 32) as usize % SHARDS;
        self.shards.get(shard).expect("a remainder is in range")
    }
}

fn entry_of(blocks: &[Vec<Arc<ProductEntry>>], number: usize) -> Option<&Arc<ProductEntry>> {
    blocks.get(number / BLOCK_ENTRIES)?.get(number % BLOCK_ENTRIES)
}
