//! The peer that does nothing but sync: bare, and each answer waits until its request is on disk.
//!
//! The floor of durability with this front on this machine: one thread takes all that queued up, writes
//! it into a zeroed file and syncs once, as the engine does, and decides nothing. The file is written
//! round and round and nothing could be read from it again. What this peer cannot do here, no engine can
//! whose answers wait for a disk.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context;
use tokio::sync::oneshot;

use super::bare::{self, PLENTY};
use super::front::{Ask, Decide, Decision, Units};

const FILE_BYTES: usize = 64 << 20;
/// About a record of the engine's.
const RECORD_BYTES: usize = 150;
/// Requests that wait for the writer; more fail.
const QUEUE: usize = 10_000;
const BATCH: usize = 1_000;

/// A worker's way to the writer.
#[derive(Debug, Clone)]
pub(super) struct Synced {
    writer: SyncSender<oneshot::Sender<u64>>,
    orders: Arc<AtomicU64>,
}

impl Synced {
    /// Makes the file in `directory` and starts its writer.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn open(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("synced");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).open(path)?;
        file.write_all(&vec![0; FILE_BYTES])?;
        file.sync_all()?;
        let (writer, asked) = sync_channel(QUEUE);
        let orders = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&orders);
        std::thread::Builder::new().name("synced".to_owned()).spawn(move || {
            if let Err(error) = write(&file, &asked, &counted) {
                // Nobody is answered any more; requests fail.
                eprintln!("error: {error:#}");
            }
        })?;
        Ok(Self { writer, orders })
    }
}

/// Takes requests until all senders are gone: each batch is one write and one sync, then its answers.
fn write(
    file: &File,
    asked: &Receiver<oneshot::Sender<u64>>,
    orders: &AtomicU64,
) -> anyhow::Result<()> {
    let record = [7; RECORD_BYTES * BATCH];
    let mut waiting = Vec::with_capacity(BATCH);
    let mut at = 0;
    while let Ok(first) = asked.recv() {
        waiting.push(first);
        waiting.extend(asked.try_iter().take(BATCH - 1));
        let bytes = record.get(..RECORD_BYTES * waiting.len()).unwrap_or(&record);
        if at + bytes.len() > FILE_BYTES {
            at = 0;
        }
        file.write_all_at(bytes, at as u64)?;
        file.sync_data()?;
        at += bytes.len();
        for reply in waiting.drain(..) {
            // A client that went away is no fault.
            let _ = reply.send(1 + orders.fetch_add(1, Ordering::Relaxed));
        }
    }
    Ok(())
}

impl Decide for Synced {
    async fn decide(&self, ask: Ask<'_>) -> anyhow::Result<Decision> {
        if bare::is_refused(&ask) {
            return Ok(Decision::SoldOut(0));
        }
        let (reply, heard) = oneshot::channel();
        self.writer.try_send(reply).context("the writer's queue is full")?;
        Ok(Decision::Sold(heard.await.context("the writer has ended")?))
    }

    async fn put_in(&self, _product_id: &str, _stock: u64) -> anyhow::Result<()> {
        Ok(())
    }

    async fn units(&self, _product_id: &str) -> anyhow::Result<Option<Units>> {
        let sold = self.orders.load(Ordering::Relaxed);
        Ok(Some(Units { available: PLENTY - sold, sold }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_answered_lies_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let synced = Synced::open(directory.path()).expect("a file");
        for number in 1..=3 {
            let ask = Ask { key: "k", product_id: "p0", buyer_id: "b", quantity: 1 };
            let answer = synced.decide(ask).await.expect("an answer");
            assert!(matches!(answer, Decision::Sold(order) if order == number), "{answer:?}");
            let bytes = std::fs::read(directory.path().join("synced")).expect("a file");
            let written = bytes.iter().take_while(|byte| **byte == 7).count() as u64;
            assert_eq!(written, number * RECORD_BYTES as u64);
        }
    }
}
