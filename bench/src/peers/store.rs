//! A peer's store, fresh and its own: started before its turn, gone after it.

use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::redis_server::{self, RedisServer, Sync};
use super::{Peer, postgres_row, postgres_units};
use crate::postgres::{self, Postgres};

/// Settings that a careful operator gives a PostgreSQL of this size; durability stays as it comes.
const POSTGRES: &[&str] = &[
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "wal_buffers=16MB",
    "autovacuum_naptime=1s",
    "synchronous_commit=on",
    "max_connections=200",
];

/// What a peer keeps its decisions in. One that is dropped is ended, its data removed.
#[derive(Debug)]
pub enum Store {
    /// Nothing.
    None,
    /// A Redis.
    Redis(RedisServer),
    /// A PostgreSQL.
    Postgres(Postgres),
    /// A directory for what the peer writes itself.
    Directory(TempDir),
}

impl Store {
    /// Whether what a peer needs is on this machine.
    ///
    /// # Errors
    /// It is not: what to install.
    pub fn check(peer: Peer) -> anyhow::Result<()> {
        match peer {
            Peer::Bare | Peer::Synced | Peer::Sqlite | Peer::SqliteBatch => Ok(()),
            Peer::RedisAlways | Peer::RedisEverysec => redis_server::binary().map(|_| ()),
            Peer::PostgresRowLock | Peer::PostgresSkipLocked => {
                postgres::bin_directory().map(|_| ())
            }
        }
    }

    /// Starts a peer's store with its data under `data_root`.
    ///
    /// # Errors
    /// It is missing, or does not start.
    pub async fn start(peer: Peer, data_root: &Path) -> anyhow::Result<Self> {
        match peer {
            Peer::Bare => Ok(Self::None),
            Peer::RedisAlways => Ok(Self::Redis(RedisServer::start(data_root, Sync::Always)?)),
            Peer::RedisEverysec => {
                Ok(Self::Redis(RedisServer::start(data_root, Sync::EverySecond)?))
            }
            Peer::PostgresRowLock => postgres(data_root, postgres_row::STATEMENTS.schema).await,
            Peer::PostgresSkipLocked => {
                postgres(data_root, postgres_units::STATEMENTS.schema).await
            }
            Peer::Synced | Peer::Sqlite | Peer::SqliteBatch => {
                let mut directory = tempfile::Builder::new();
                Ok(Self::Directory(directory.prefix("doorbuster-peer-").tempdir_in(data_root)?))
            }
        }
    }

    /// What the peer is told.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Redis(redis) => redis.url(),
            Self::Postgres(postgres) => postgres.url(),
            Self::Directory(directory) => directory.path().display().to_string(),
        }
    }

    /// Lets a store come to rest after products were put in, so that none of that is measured.
    ///
    /// # Errors
    /// The database's.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let Self::Postgres(postgres) = self else { return Ok(()) };
        // Each by itself: VACUUM runs in no transaction.
        for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            execute(postgres, statement).await?;
        }
        Ok(())
    }

    /// Its own process, where it is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::None | Self::Directory(_) => None,
            Self::Redis(redis) => Some(redis.pid()),
            Self::Postgres(postgres) => postgres.pid(),
        }
    }
}

async fn postgres(data_root: &Path, schema: &str) -> anyhow::Result<Store> {
    let postgres = Postgres::start_in(data_root, POSTGRES).await?;
    execute(&postgres, schema).await.context("cannot make the tables")?;
    Ok(Store::Postgres(postgres))
}

async fn execute(postgres: &Postgres, statements: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(&postgres.url(), NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(statements).await?;
    drop(client);
    connection.await??;
    Ok(())
}
