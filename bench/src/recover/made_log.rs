//! A log of as many purchases as asked for, written through the product's own code: every record
//! is decided, applied and encoded as in a sale, and synced in batches.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use doorbuster::domain::{
    BuyerId, CreateProduct, Decided, Inventory, LineWish, Name, PlaceOrder, Principal, ProductId,
    Quantity, RecordAt, Reference, Sequence, Terms, apply, decide_create, decide_order,
};
use doorbuster::journal::{
    Envelope, JournalIdentity, KeyStamp, PAYLOAD_BYTES_MAX, Payload, Record, Started, encode,
    encode_record,
};
use doorbuster_wal::{Batch, DirStorage, Log, Options, Recovery, Shared};

use crate::seeded::Seeded;

/// Records in one write and sync: what a busy sale has.
const BATCH_RECORDS: u64 = 256;
/// Records decided in the same millisecond.
const RECORDS_PER_MS: u64 = 40;
const BEGUN_AT_MS: u64 = 1_790_000_000_000;

/// What log to make.
#[derive(Debug, Clone, Copy)]
pub struct Making {
    /// Purchases in it.
    pub purchases: u64,
    /// Products they are of, evenly.
    pub products: u32,
    /// Buyers, evenly; each product counts them under a limit where `limited`.
    pub buyers: u64,
    /// Whether each product has a limit per buyer.
    pub limited: bool,
}

struct Maker {
    log: Log,
    shared: Arc<Shared>,
    batch: Batch,
    bytes: u64,
    inventory: Inventory,
    payload: Vec<u8>,
    now_ms: u64,
    keys: Seeded,
    principal: Principal,
}

/// Writes a log into `directory`, which is made; `progress` hears how many purchases it has.
///
/// # Errors
/// The file system's; a directory that has one.
pub fn make(directory: &Path, making: Making, progress: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
    let mut maker = Maker::begin(directory)?;
    for number in 0..making.products {
        let mut terms = Terms::open(Name::new(&format!("Product {number}"))?);
        terms.per_buyer_limit = if making.limited { u32::MAX } else { 0 };
        let product_id = ProductId::new(&format!("product-{number}"))?;
        let create = CreateProduct { product_id, terms, stock: 1 << 40 };
        let decided = decide_create(&maker.inventory, create, false);
        maker.push(decided.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?, None)?;
    }
    let mut draws = Seeded::new(1);
    for number in 0..making.purchases {
        let product = u32::try_from(draws.below(u64::from(making.products)))?;
        let handle = doorbuster::domain::Handle::new(product);
        let line = LineWish { product: handle, quantity: Quantity::new(1)?, unit_price: None };
        let buyer_id = BuyerId::new(&format!("buyer-{}", draws.below(making.buyers)))?;
        let order = PlaceOrder { buyer_id, lines: std::iter::once(line).collect() };
        maker.now_ms += u64::from(number % RECORDS_PER_MS == 0);
        let decided = decide_order(&maker.inventory, order, maker.now_ms);
        let decided = decided.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        maker.push(decided, Some(&format!("web-{number}")))?;
        if number.is_multiple_of(100_000) {
            progress(number);
        }
    }
    maker.commit()
}

impl Maker {
    fn begin(directory: &Path) -> anyhow::Result<Self> {
        let storage = DirStorage::open(directory).context("cannot make the directory")?;
        let options = Options {
            payload_bytes_max: u32::try_from(PAYLOAD_BYTES_MAX)?,
            spare_segments: 1,
            ..Options::default()
        };
        let mut recovery = Recovery::open(Arc::new(storage), options)?;
        ensure!(recovery.identity().is_none(), "{} has a log already", directory.display());
        recovery.replay(&mut |_| Ok(()), &mut |_| {})?;
        let mut payload = Vec::new();
        encode(
            &Payload::Started(Started { started_at_ms: BEGUN_AT_MS, binary: "bench".into() }),
            &mut payload,
        );
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        let log = recovery.start(identity, &payload)?;
        Ok(Self {
            shared: log.shared(),
            log,
            batch: Batch::new(),
            bytes: 0,
            inventory: Inventory::new(),
            payload,
            now_ms: BEGUN_AT_MS,
            keys: Seeded::new(2),
            principal: Principal::new("shop")?,
        })
    }

    fn push(&mut self, decided: Decided, reference: Option<&str>) -> anyhow::Result<()> {
        let Decided { decision, changes } = decided;
        let sequence = self.batch.last_sequence().unwrap_or(self.log.next_sequence() - 1) + 1;
        let at = RecordAt { sequence: Sequence::new(sequence), at_ms: self.now_ms };
        apply(&mut self.inventory, &decision, &changes, at);
        let mut hash = [0; 16];
        let (first, second) = hash.split_at_mut(8);
        first.copy_from_slice(&self.keys.draw().to_le_bytes());
        second.copy_from_slice(&self.keys.draw().to_le_bytes());
        let fingerprint = self.keys.draw().to_le_bytes();
        let envelope = Envelope {
            decided_at_ms: self.now_ms,
            principal: self.principal.clone(),
            reference: reference.map(Reference::new).transpose()?,
            key: Some(KeyStamp { hash, fingerprint }),
            changes,
        };
        self.payload.clear();
        encode_record(&Record { envelope, decision }, &mut self.payload);
        self.batch.push(sequence, &self.payload);
        self.bytes += Shared::frame_bytes(self.payload.len());
        if sequence.is_multiple_of(BATCH_RECORDS) {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        while !self.shared.try_reserve(self.bytes) {
            ensure!(self.shared.prepare_spare()?, "a batch of {} bytes finds no room", self.bytes);
        }
        self.log.commit(&mut self.batch)?;
        self.batch.clear();
        self.bytes = 0;
        Ok(())
    }
}
