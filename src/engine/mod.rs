//! The engine: one partition that decides, and what all threads see of it.
//!
//! ```text
//! worker ── Client::ask ──► view? key? permit? ──► Router ──► ProductActor ─┐
//!   ▲                                                  └────► PartitionActor ┤
//!   │                                                        Partition::turn ▼
//!   └── ReplyQueue ◄── AfterSync: views, keys, replies ◄── sync ◄─ commit ─┘
//! ```
//!
//! Called by: `http` through [`Engine`] and [`Client`]; `cli` starts it.
//! Invariants: nothing is answered as done before it is durable; nothing is decided without a
//! permit; the log's order is the only order.
//! Never here: SQL, HTTP.

mod admission;
mod answer;
mod append_only;
mod assembly;
mod board;
mod client;
mod clock;
mod command;
mod commit;
mod completion;
mod directory;
mod expiry;
mod fatal;
mod fifo;
mod health;
#[cfg(test)]
mod histories;
mod idempotency;
mod link;
mod partition;
mod partition_actor;
mod past;
mod policy;
pub mod ports;
mod product_actor;
mod recovery;
mod refusal_counts;
mod reply;
mod router;
mod snapshot;
mod start;
pub mod stepped;
mod upkeep;

pub use admission::{Admission, AdmissionError, AdmissionLimits};
pub use answer::{Action, Answer, Request};
pub use assembly::{RecoveredState, read_whole, recover_state};
pub use board::{Board, HoldEntry, HoldState};
pub use client::Client;
pub use clock::{Clock, ClockError, PartitionClock, SystemClock};
pub use completion::{AfterSync, Effect};
pub use directory::{Directory, ProductEntry, View};
pub use health::{Degraded, Health, Readiness};
pub use idempotency::{Idempotency, KEY_AGE_MS, Lookup};
pub use partition::{Expired, Partition};
pub use partition_actor::ActorLimits;
pub use past::{Named, Past, PastError, recover_past};
pub use recovery::Recovered;
pub use refusal_counts::RefusalCounts;
pub use reply::{Replies, Reply};
pub use snapshot::{FromSnapshot, NoSnapshot};
pub use start::{
    EngineConfig, PARTITION, Running, StartError, StartOptions, StartSummary, Witness, start,
};
pub use upkeep::{AskFree, AskProjected, Upkeep, UpkeepError, UpkeepOptions, UpkeepThread, Upkept};

use std::sync::{Arc, OnceLock};

use self::router::Router;
use crate::domain::{Decision, Handle, Sequence};
use crate::journal::{HoldId, JournalReader, OrderId, Payload, Position, ReadError, Record};

/// What all threads hold of the engine; there before recovery has ended.
#[derive(Clone, Default)]
pub struct Engine {
    health: Arc<Health>,
    refusals: Arc<RefusalCounts>,
    core: Arc<OnceLock<Core>>,
}

/// What exists once recovery has ended.
struct Core {
    directory: Arc<Directory>,
    board: Arc<Board>,
    idempotency: Arc<Idempotency>,
    admission: Arc<Admission>,
    clock: Arc<PartitionClock>,
    router: Arc<Router>,
    reader: JournalReader,
}

/// An order or a hold as its record says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Place of its record.
    pub sequence: Sequence,
    /// The record that placed it.
    pub record: Record,
}

impl Engine {
    /// An engine that has not started.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    fn core(&self) -> Option<&Core> {
        self.core.get()
    }

    fn refusals(&self) -> &Arc<RefusalCounts> {
        &self.refusals
    }

    /// Unix time in milliseconds by the partition's clock; 0 before it started.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.core().map_or(0, |core| core.clock.now_ms())
    }

    /// Whether it has recovered and reads can be answered.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.core().is_some()
    }

    /// The durable product of this id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<&ProductEntry> {
        self.core()?.directory.product(id)
    }

    /// The durable product of this handle.
    #[must_use]
    pub fn product_by_handle(&self, handle: Handle) -> Option<&ProductEntry> {
        self.core()?.directory.product_by_handle(handle)
    }

    /// Up to `limit` durable products from `first` on, by handle.
    #[must_use]
    pub fn products_from(&self, first: Handle, limit: usize) -> Vec<&ProductEntry> {
        self.core().map_or_else(Vec::new, |core| core.directory.products_from(first, limit))
    }

    /// What [`Directory::edition`] says; 0 before the start is over.
    #[must_use]
    pub fn edition(&self) -> u64 {
        self.core().map_or(0, |core| core.directory.edition())
    }

    /// An order, read from its record: there the instant it was answered, database or not.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn order(&self, id: OrderId) -> Result<Option<Stored>, ReadError> {
        let stored = self.record_at(id.0)?;
        Ok(stored.filter(|stored| stored.record.order().is_some()))
    }

    /// The record that placed a hold, whatever became of it since.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn placed_hold(&self, id: HoldId) -> Result<Option<Stored>, ReadError> {
        let stored = self.record_at(id.0)?;
        Ok(stored.filter(|stored| matches!(stored.record.decision, Decision::HoldPlaced(_))))
    }

    fn record_at(&self, position: Position) -> Result<Option<Stored>, ReadError> {
        let Some(core) = self.core() else { return Ok(None) };
        Ok(match core.reader.read_at(position)? {
            Some(Payload::Record(record)) => Some(Stored { sequence: position.sequence, record }),
            _ => None,
        })
    }

    /// What is durable of holds and orders beyond their records, once started.
    #[must_use]
    pub fn board(&self) -> Option<&Board> {
        self.core().map(|core| &*core.board)
    }

    /// Whether the journal an id speaks of is this one.
    #[must_use]
    pub fn is_here(&self, position: Position) -> bool {
        self.core().is_some_and(|core| core.reader.position(position.sequence) == position)
    }

    /// The place of a record, as the world outside sees it.
    ///
    /// # Panics
    /// Before the engine has started: nobody has a sequence then.
    #[must_use]
    pub fn position(&self, sequence: Sequence) -> Position {
        self.core().expect("sequences come from a started engine").reader.position(sequence)
    }

    /// What reads the journal, once started.
    #[must_use]
    pub fn journal(&self) -> Option<&JournalReader> {
        self.core().map(|core| &core.reader)
    }

    /// Figures for `/metrics`, once started.
    #[must_use]
    pub fn gauges(&self) -> Option<Gauges> {
        let core = self.core()?;
        Some(Gauges {
            durable_sequence: core.reader.durable().get(),
            room_bytes: core.admission.room().bytes_left(),
            commands: core.admission.commands(),
            idempotency_keys: core.idempotency.len(),
            products: core.directory.len(),
            live_holds: core.board.live_holds(),
        })
    }
}

/// Figures of a running engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Highest sequence on stable storage.
    pub durable_sequence: u64,
    /// Room left in zeroed segments.
    pub room_bytes: i64,
    /// Commands admitted and not answered.
    pub commands: usize,
    /// Idempotency keys kept and reserved.
    pub idempotency_keys: usize,
    /// Products, durable or not.
    pub products: usize,
    /// Live holds.
    pub live_holds: usize,
}
