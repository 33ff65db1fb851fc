//! The peer whose store is SQLite: one thread writes, each purchase is a transaction.
//!
//! WAL mode and `synchronous=FULL`: each commit syncs. One writer thread owns the connection, as SQLite
//! lets only one write; workers hand it purchases and are woken with its answer. [`Batching::Queued`]
//! puts what queued up meanwhile into one transaction and answers after its commit, which is what an
//! engineer would do who measured the first.
//! Promises: what is answered is committed and synced.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::front::{Ask, Decide, Decision, Units};

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 10000;
CREATE TABLE stock (
    product_id TEXT PRIMARY KEY, available INTEGER NOT NULL CHECK (available >= 0), stock INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, product_id TEXT NOT NULL, buyer_id TEXT NOT NULL,
    quantity INTEGER NOT NULL
);
";
/// Grows the write-ahead file to its usual length, so that no commit pays for a longer file.
const GROW: &str = "
CREATE TABLE room (bytes BLOB NOT NULL);
INSERT INTO room VALUES (zeroblob(40000000));
DROP TABLE room;
PRAGMA wal_checkpoint(RESTART);
";
const KNOWN: &str = "SELECT id FROM orders WHERE key = ?1";
const TAKE: &str =
    "UPDATE stock SET available = available - ?2 WHERE product_id = ?1 AND available >= ?2";
const ORDER: &str =
    "INSERT INTO orders (key, product_id, buyer_id, quantity) VALUES (?1, ?2, ?3, ?4)";
const UNITS: &str = "SELECT available, stock FROM stock WHERE product_id = ?1";
const PUT_IN: &str = "INSERT INTO stock (product_id, available, stock) VALUES (?1, ?2, ?2)";
/// Purchases that wait for the writer; more wait in front of it.
const QUEUE: usize = 10_000;
const BATCH: usize = 1_000;

/// How much one transaction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batching {
    /// One purchase.
    None,
    /// All that queued while the last one was committed.
    Queued,
}

/// A worker's way to the writer.
#[derive(Debug, Clone)]
pub(super) struct Sqlite {
    writer: SyncSender<Task>,
}

#[derive(Debug)]
struct Task {
    wish: Wish,
    reply: oneshot::Sender<Found>,
}

#[derive(Debug)]
enum Wish {
    Buy { key: String, product_id: String, buyer_id: String, quantity: u32 },
    PutIn { product_id: String, stock: u64 },
    Units { product_id: String },
}

#[derive(Debug)]
enum Found {
    Decided(Decision),
    Done,
    Units(Option<Units>),
}

impl Sqlite {
    /// Makes the database in `directory` and starts its writer.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn open(directory: PathBuf, batching: Batching) -> anyhow::Result<Self> {
        let connection = Connection::open(directory.join("peer.sqlite"))?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(GROW)?;
        let (writer, tasks) = sync_channel(QUEUE);
        let batch = match batching {
            Batching::None => 1,
            Batching::Queued => BATCH,
        };
        std::thread::Builder::new().name("sqlite".to_owned()).spawn(move || {
            if let Err(error) = write(&connection, &tasks, batch) {
                // Nobody is answered any more; requests fail.
                eprintln!("error: {error:#}");
            }
        })?;
        Ok(Self { writer })
    }

    async fn ask(&self, wish: Wish) -> anyhow::Result<Found> {
        let (reply, heard) = oneshot::channel();
        self.writer.try_send(Task { wish, reply }).context("the writer's queue is full")?;
        heard.await.context("the writer has ended")
    }
}

/// Takes tasks until all senders are gone: each batch is one transaction, answered after its commit.
fn write(connection: &Connection, tasks: &Receiver<Task>, batch: usize) -> anyhow::Result<()> {
    let mut answers = Vec::with_capacity(batch);
    while let Ok(first) = tasks.recv() {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let more = std::iter::from_fn(|| tasks.try_recv().ok());
        for task in std::iter::once(first).chain(more.take(batch - 1)) {
            // A fault ends the writer, and its transaction with it: nothing of the batch happened.
            answers.push((task.reply, act(connection, &task.wish)?));
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        for (reply, answer) in answers.drain(..) {
            // A client that went away is no fault.
            let _ = reply.send(answer);
        }
    }
    Ok(())
}

fn act(connection: &Connection, wish: &Wish) -> anyhow::Result<Found> {
    match wish {
        Wish::Buy { key, product_id, buyer_id, quantity } => {
            let mut known = connection.prepare_cached(KNOWN)?;
            if let Some(id) = known.query_row([key], |row| row.get(0)).optional()? {
                return Ok(Found::Decided(Decision::Replayed(id)));
            }
            if connection.prepare_cached(TAKE)?.execute(params![product_id, quantity])? == 0 {
                let available = units(connection, product_id)?.map_or(0, |units| units.available);
                return Ok(Found::Decided(Decision::SoldOut(available)));
            }
            let mut order = connection.prepare_cached(ORDER)?;
            let id = order.insert(params![key, product_id, buyer_id, quantity])?;
            Ok(Found::Decided(Decision::Sold(u64::try_from(id)?)))
        }
        Wish::PutIn { product_id, stock } => {
            connection.prepare_cached(PUT_IN)?.execute(params![product_id, stock])?;
            Ok(Found::Done)
        }
        Wish::Units { product_id } => Ok(Found::Units(units(connection, product_id)?)),
    }
}

fn units(connection: &Connection, product_id: &str) -> anyhow::Result<Option<Units>> {
    let mut units = connection.prepare_cached(UNITS)?;
    let row = units.query_row([product_id], |row| Ok((row.get(0)?, row.get::<_, u64>(1)?)));
    let row = row.optional()?;
    Ok(row.map(|(available, stock)| Units { available, sold: stock - available }))
}

impl Decide for Sqlite {
    async fn decide(&self, ask: Ask<'_>) -> anyhow::Result<Decision> {
        let wish = Wish::Buy {
            key: ask.key.to_owned(),
            product_id: ask.product_id.to_owned(),
            buyer_id: ask.buyer_id.to_owned(),
            quantity: ask.quantity,
        };
        match self.ask(wish).await? {
            Found::Decided(decision) => Ok(decision),
            other => anyhow::bail!("the writer answered {other:?}"),
        }
    }

    async fn put_in(&self, product_id: &str, stock: u64) -> anyhow::Result<()> {
        self.ask(Wish::PutIn { product_id: product_id.to_owned(), stock }).await.map(|_| ())
    }

    async fn units(&self, product_id: &str) -> anyhow::Result<Option<Units>> {
        match self.ask(Wish::Units { product_id: product_id.to_owned() }).await? {
            Found::Units(units) => Ok(units),
            other => anyhow::bail!("the writer answered {other:?}"),
        }
    }
}
