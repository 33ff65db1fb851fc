//! What doorbuster is compared with: the same front before other stores.
//!
//! ```text
//! compare ─► Store::start ─► redis-server | postgres | a directory
//!        └─► doorbuster-bench peer NAME --store URL ─► front ─► one of the files here
//! ```
//!
//! Each peer is what a good engineer would build on that store for this one task: a decision, its order
//! and its idempotency key in one atomic and durable step, one round trip, statements prepared once.
//! A peer is a process of its own; its store is started and ended by whoever compares.

pub mod bare;
pub mod debian;
pub mod front;
mod pool;
mod postgres;
mod postgres_row;
mod postgres_units;
mod redis_lua;
pub mod redis_server;
mod sqlite;
mod store;
mod synced;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::bare::Bare;
use self::front::Serving;
use self::postgres::PostgresPeer;
use self::redis_lua::RedisLua;
use self::sqlite::{Batching, Sqlite};
use self::synced::Synced;

pub use self::store::Store;

/// What a peer decides with.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// Nothing: the same front alone.
    Bare,
    /// Nothing, but each answer waits for a sync: the floor of durability.
    Synced,
    /// Redis, a Lua script, its file synced before each answer.
    RedisAlways,
    /// Redis, a Lua script, its file synced once a second.
    RedisEverysec,
    /// PostgreSQL, a row for each product.
    PostgresRowLock,
    /// PostgreSQL, a row for each unit.
    PostgresSkipLocked,
    /// SQLite, a transaction for each purchase.
    Sqlite,
    /// SQLite, a transaction for all that queued up.
    SqliteBatch,
}

/// How a peer is served.
#[derive(Debug, Clone)]
pub struct PeerPlan {
    /// Which.
    pub peer: Peer,
    /// Where it listens.
    pub serving: Serving,
    /// Its store: a URL, or SQLite's directory; the bare one has none.
    pub store: String,
    /// Connections to PostgreSQL, of all workers together.
    pub pool: usize,
}

impl Peer {
    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Synced => "synced",
            Self::RedisAlways => "redis-always",
            Self::RedisEverysec => "redis-everysec",
            Self::PostgresRowLock => "postgres-row-lock",
            Self::PostgresSkipLocked => "postgres-skip-locked",
            Self::Sqlite => "sqlite",
            Self::SqliteBatch => "sqlite-batch",
        }
    }

    /// It knows no products: nothing is put in, and what it sold is of all together.
    #[must_use]
    pub fn decides_nothing(self) -> bool {
        matches!(self, Self::Bare | Self::Synced)
    }

    /// Connections to PostgreSQL, of all workers together, where nothing else is asked for: with those
    /// it sold most on 2 cores. More wait for the same row, or for the same cores.
    #[must_use]
    pub fn pool(self) -> usize {
        match self {
            Self::PostgresSkipLocked => 32,
            _ => 4,
        }
    }
}

/// Serves until the process is killed.
///
/// # Errors
/// It cannot listen, or its store cannot be reached.
pub fn serve(plan: &PeerPlan) -> anyhow::Result<()> {
    let serving = &plan.serving;
    let each = plan.pool.div_ceil(serving.workers).max(1);
    let store = plan.store.clone();
    match plan.peer {
        Peer::Bare => {
            let bare = Bare::default();
            front::serve(serving, move || std::future::ready(Ok(bare.clone())))
        }
        Peer::Synced => {
            let synced = Synced::open(Path::new(&store))?;
            front::serve(serving, move || std::future::ready(Ok(synced.clone())))
        }
        Peer::RedisAlways | Peer::RedisEverysec => {
            front::serve(serving, move || RedisLua::connect(store.clone()))
        }
        Peer::PostgresRowLock | Peer::PostgresSkipLocked => {
            let statements = match plan.peer {
                Peer::PostgresRowLock => &postgres_row::STATEMENTS,
                _ => &postgres_units::STATEMENTS,
            };
            front::serve(serving, move || PostgresPeer::connect(statements, store.clone(), each))
        }
        Peer::Sqlite | Peer::SqliteBatch => {
            let batching = match plan.peer {
                Peer::Sqlite => Batching::None,
                _ => Batching::Queued,
            };
            let sqlite = Sqlite::open(PathBuf::from(store), batching)?;
            front::serve(serving, move || std::future::ready(Ok(sqlite.clone())))
        }
    }
}
