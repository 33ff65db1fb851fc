//! A store with faults: it fails as told, before its transaction, or after it has committed.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;
use std::time::Duration;

use doorbuster::journal::JournalIdentity;
use doorbuster::projection::{
    Applied, Batch, ContentError, Opened, PostgresStore, SqliteStore, Store, StoreConfig,
    StoreError,
};
use parking_lot::Mutex;

/// Where a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not.
    None,
    /// Nothing was done.
    Before,
    /// All was done, and its answer is lost.
    After,
    /// It took too long, and nothing was done.
    TooSlow,
    /// The database refuses what a record says.
    Refused,
}

/// Asked before each call: its number, from 0, and how many records it is to write.
pub(crate) type Plan = Arc<Mutex<dyn FnMut(u64, usize) -> Fault + Send>>;

/// A real store that fails by plan.
pub(crate) struct Faulty {
    inner: Box<dyn Store>,
    plan: Plan,
    calls: u64,
}

/// The store of a database.
pub(crate) fn store(config: &StoreConfig) -> Box<dyn Store> {
    match config {
        StoreConfig::Sqlite { path } => Box::new(SqliteStore::new(path)),
        StoreConfig::Postgres { url, schema } => {
            let limit = crate::projecting::LIMIT;
            Box::new(PostgresStore::new(url, schema, limit).expect("a runtime"))
        }
    }
}

impl Faulty {
    /// The store of a database, failing by `plan`.
    pub(crate) fn new(
        config: &StoreConfig,
        plan: impl FnMut(u64, usize) -> Fault + Send + 'static,
    ) -> Self {
        Self { inner: store(config), plan: Arc::new(Mutex::new(plan)), calls: 0 }
    }

    fn call<T>(
        &mut self,
        records: usize,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = (self.plan.lock())(self.calls, records);
        self.calls += 1;
        let lost = || StoreError::Unavailable("the answer is lost".to_owned());
        match fault {
            Fault::Before => Err(StoreError::Unavailable("nothing was done".to_owned())),
            Fault::TooSlow => Err(StoreError::TooSlow("too slow".to_owned())),
            Fault::Refused => Err(StoreError::Content(ContentError {
                code: "23514".to_owned(),
                message: "refused".to_owned(),
            })),
            Fault::None => work(&mut *self.inner),
            Fault::After => work(&mut *self.inner).and_then(|_| Err(lost())),
        }
    }
}

impl Store for Faulty {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    fn is_on_data_disk(&self) -> bool {
        self.inner.is_on_data_disk()
    }
    fn unsettled_bytes(&self) -> u64 {
        self.inner.unsettled_bytes()
    }
    fn settle(&mut self, rest: &mut dyn FnMut(Duration)) -> Result<(), StoreError> {
        self.inner.settle(rest)
    }
    fn open(&mut self, identity: &JournalIdentity) -> Result<Opened, StoreError> {
        self.call(0, |store| store.open(identity))
    }
    fn apply(&mut self, batch: &Batch<'_>) -> Result<Applied, StoreError> {
        self.call(batch.records.len(), |store| store.apply(batch))
    }
}
