//! The directory: every product by id and by handle, with its published view.
//!
//! The partition enters a product when it decides its creation; the world sees it once that is
//! durable. A view holds what is durable, never the actor's present figures, so reads never visit
//! an actor: at worst a view lags by the batch that is being written.
//!
//! Memory: an idle product costs its [`ProductEntry`] and two pointers here; no actor, no queue.

use std::hash::BuildHasher;
use std::sync::Arc;

use actix::Addr;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};

use super::product_actor::ProductActor;
use crate::domain::{
    Figures, Handle, Product, ProductId, Refusal, Terms, Version, refusal_in_view,
};

/// `Default` is derived for arrays of at most 32.
const SHARDS: usize = 32;
const BLOCK_ENTRIES: usize = 1024;

/// What is durable of one product.
#[derive(Debug, Clone)]
pub struct View {
    /// Its terms.
    pub terms: Arc<Terms>,
    /// Its figures.
    pub figures: Figures,
    /// Place of its last change.
    pub version: Version,
    /// How often its terms were set.
    pub terms_version: u32,
    /// Since when a buyer's units are counted; `None` without a limit.
    pub counted_since_ms: Option<u64>,
}

/// One product, as all threads know it.
pub struct ProductEntry {
    id: ProductId,
    handle: Handle,
    view: RwLock<Option<View>>,
    /// Its actor while it has traffic. Set and taken by the partition's thread alone.
    mailbox: Mutex<Option<Addr<ProductActor>>>,
}

/// All products of a partition.
#[derive(Default)]
pub struct Directory {
    shards: [RwLock<HashTable<Arc<ProductEntry>>>; SHARDS],
    blocks: RwLock<Vec<Vec<Arc<ProductEntry>>>>,
    hasher: RandomState,
}

impl View {
    /// The view of a product as it stands.
    #[must_use]
    pub fn of(product: &Product) -> Self {
        Self {
            terms: Arc::clone(&product.terms),
            figures: product.figures,
            version: product.version,
            terms_version: product.terms_version,
            counted_since_ms: product.counts.as_ref().map(|counts| counts.since_ms),
        }
    }

    /// Units that may be sold now.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.figures.available(&self.terms)
    }
}

impl ProductEntry {
    fn new(id: ProductId, handle: Handle) -> Self {
        Self { id, handle, view: RwLock::new(None), mailbox: Mutex::new(None) }
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
        self.view.read().clone().expect("the directory gives out published products")
    }

    /// Whether the view alone refuses `units`: no clone, no allocation.
    pub(super) fn refusal(&self, units: u64, now_ms: u64) -> Result<(), Refusal> {
        match self.view.read().as_ref() {
            Some(view) => refusal_in_view(&view.terms, &view.figures, units, now_ms),
            None => Ok(()),
        }
    }

    fn is_published(&self) -> bool {
        self.view.read().is_some()
    }

    /// Shows what has become durable. Versions only move on.
    pub(super) fn publish(&self, view: View) {
        let mut published = self.view.write();
        let before = published.as_ref().map_or(Version::NONE, |view| view.version);
        assert!(before < view.version, "views follow the log: {before} then {}", view.version);
        *published = Some(view);
    }

    pub(super) fn with_mailbox<T>(
        &self,
        then: impl FnOnce(&mut Option<Addr<ProductActor>>) -> T,
    ) -> T {
        then(&mut self.mailbox.lock())
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
        shard.find(hash, |entry| entry.id.as_str() == id).cloned()
    }

    pub(super) fn entry_by_handle(&self, handle: Handle) -> Option<Arc<ProductEntry>> {
        let blocks = self.blocks.read();
        let block = blocks.get(handle.index() / BLOCK_ENTRIES)?;
        block.get(handle.index() % BLOCK_ENTRIES).cloned()
    }

    /// Enters a product that is decided; nobody else sees it until it is published.
    pub(super) fn enter(&self, id: ProductId, handle: Handle) -> Arc<ProductEntry> {
        assert_eq!(handle.index(), self.len(), "handles have no gaps");
        let hash = self.hasher.hash_one(id.as_str());
        let entry = Arc::new(ProductEntry::new(id, handle));
        let mut blocks = self.blocks.write();
        match blocks.last_mut() {
            Some(block) if block.len() < BLOCK_ENTRIES => block.push(Arc::clone(&entry)),
            _ => blocks.push(vec![Arc::clone(&entry)]),
        }
        drop(blocks);
        let rehash = |entry: &Arc<ProductEntry>| self.hasher.hash_one(entry.id.as_str());
        self.shard(hash).write().insert_unique(hash, Arc::clone(&entry), rehash);
        entry
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Arc<ProductEntry>>> {
        // The table inside uses the low and the top bits.
        let shard = (hash >> 32) as usize % SHARDS;
        self.shards.get(shard).expect("a remainder is in range")
    }
}
