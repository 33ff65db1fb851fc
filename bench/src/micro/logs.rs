//! Logs in memory, to commit to and to read: what a frame costs.

use std::sync::Arc;

use anyhow::anyhow;
use doorbuster::domain::decide_create;
use doorbuster::journal::PAYLOAD_BYTES_MAX;
use doorbuster_wal::{Batch, Log, MemStorage, Options, Recovery, Storage};

use super::till::{self, BEGUN_AT_MS, Till};
use crate::recover::maker::Maker;

/// Records in one commit: what a busy sale has.
pub const BATCH_RECORDS: u64 = 256;

/// Bytes of a segment that one batch fits.
const SMALL_BYTES: u64 = 1 << 20;

/// How logs here are laid out.
#[must_use]
pub fn options(segment_bytes: u64) -> Options {
    let payload_bytes_max = u32::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX);
    Options { segment_bytes, payload_bytes_max, spare_segments: 2 }
}

/// Writes a log that has put so many products in.
///
/// # Errors
/// The storage's.
pub fn with_products(
    storage: Arc<dyn Storage>,
    segment_bytes: u64,
    products: u32,
    stock: u64,
) -> anyhow::Result<()> {
    let mut maker = Maker::begin(storage, options(segment_bytes), BEGUN_AT_MS)?;
    for number in 0..products {
        let create = till::creation(number, stock)?;
        let decided = decide_create(&maker.inventory, create, false);
        maker.push(decided.map_err(|refusal| anyhow!("{refusal:?}"))?, None)?;
        if maker.next_sequence().is_multiple_of(BATCH_RECORDS) {
            maker.commit()?;
        }
    }
    maker.commit()
}

/// A log in memory that holds nothing yet, with room for one batch.
///
/// # Errors
/// None that is not a mistake here.
pub fn empty() -> anyhow::Result<(Log, Arc<MemStorage>)> {
    let storage = Arc::new(MemStorage::new());
    let mut recovery = Recovery::open(Arc::clone(&storage) as _, options(SMALL_BYTES))?;
    recovery.replay(&mut |_| Ok(()), &mut |_| {})?;
    let identity = doorbuster_wal::Identity { journal_id: [7; 16], partition: 1, epoch: 1 };
    Ok((recovery.start(identity, b"started")?, storage))
}

/// A batch of purchases' records, beginning at `first`.
///
/// # Errors
/// None that is not a mistake here.
pub fn batch(first: u64) -> anyhow::Result<Batch> {
    let payload = purchase()?;
    let mut batch = Batch::new();
    for sequence in first..first + BATCH_RECORDS {
        batch.push(sequence, &payload);
    }
    Ok(batch)
}

/// The bytes of a purchase's record.
///
/// # Errors
/// None that is not a mistake here.
pub fn purchase() -> anyhow::Result<Vec<u8>> {
    let mut till = Till::new(1, till::PLENTY)?;
    let decided = till.wish(0).map(|wish| till.decide(wish))?;
    let record = till.record(decided.map_err(|refusal| anyhow!("{refusal:?}"))?);
    till.encode(&record);
    Ok(till.payload().to_vec())
}
