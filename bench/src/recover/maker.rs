//! Puts records into a log through the product's own code: decided, applied and encoded as in a
//! sale, synced batch by batch; without threads, so that a log is made the same each time.

use std::sync::Arc;

use anyhow::ensure;
use doorbuster::domain::{
    Decided, Inventory, Principal, RecordAt, Reference, Sequence, apply, check_applicable,
};
use doorbuster::engine::Recovered;
use doorbuster::journal::{
    Envelope, JournalIdentity, KeyStamp, Payload, Record, Started, encode, encode_record,
};
use doorbuster_wal::{Batch, Log, Options, Recovery, Shared, Storage};

use crate::seeded::Seeded;

/// A log being made.
pub(crate) struct Maker {
    log: Log,
    shared: Arc<Shared>,
    batch: Batch,
    bytes: u64,
    /// What its records make.
    pub(crate) inventory: Inventory,
    payload: Vec<u8>,
    /// Time of the next record.
    pub(crate) now_ms: u64,
    keys: Seeded,
    /// Whether records have keys; without, as if they were of another day.
    pub(crate) has_keys: bool,
    principal: Principal,
}

impl Maker {
    /// Begins a log, or goes on with one as a start does: in a segment of its own.
    pub(crate) fn begin(
        storage: Arc<dyn Storage>,
        options: Options,
        begun_at_ms: u64,
    ) -> anyhow::Result<Self> {
        let mut recovery = Recovery::open(storage, options)?;
        let mut recovered = Recovered::new(usize::MAX);
        let replayed = recovery.replay(
            &mut |entry| recovered.replay(Sequence::new(entry.sequence), entry.payload),
            &mut |_| {},
        )?;
        let now_ms = recovered.last_ms.map_or(begun_at_ms, |last_ms| last_ms + 1);
        let mut payload = Vec::new();
        let started = Started { started_at_ms: now_ms, binary: "bench".into() };
        encode(&Payload::Started(started), &mut payload);
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        let log = recovery.start(identity, &payload)?;
        let inventory = recovered.inventory;
        let keys = Seeded::new(replayed.last_sequence);
        let (shared, principal) = (log.shared(), Principal::new("shop")?);
        let (batch, bytes) = (Batch::new(), 0);
        let has_keys = true;
        Ok(Self {
            log,
            shared,
            batch,
            bytes,
            inventory,
            payload,
            now_ms,
            keys,
            has_keys,
            principal,
        })
    }

    /// Place of the next record.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.batch.last_sequence().unwrap_or(self.log.next_sequence() - 1) + 1
    }

    /// Queues what was decided, with a key of its own where records have keys; gives its place.
    pub(crate) fn push(
        &mut self,
        decided: Decided,
        reference: Option<&str>,
    ) -> anyhow::Result<Sequence> {
        let Decided { decision, changes } = decided;
        let sequence = Sequence::new(self.next_sequence());
        let at = RecordAt { sequence, at_ms: self.now_ms };
        check_applicable(&self.inventory, &decision, &changes, at)?;
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
            key: self.has_keys.then_some(KeyStamp { hash, fingerprint }),
            changes,
        };
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        encode_record(&Record { envelope, decision }, &mut payload);
        self.push_payload(&payload);
        self.payload = payload;
        Ok(sequence)
    }

    /// Queues a record that changes nothing.
    pub(crate) fn push_watermark(&mut self) {
        let mut payload = Vec::new();
        encode(&Payload::Watermark, &mut payload);
        self.push_payload(&payload);
    }

    fn push_payload(&mut self, payload: &[u8]) {
        self.batch.push(self.next_sequence(), payload);
        self.bytes += Shared::frame_bytes(payload.len());
    }

    /// Writes and syncs what is queued.
    pub(crate) fn commit(&mut self) -> anyhow::Result<()> {
        while !self.shared.try_reserve(self.bytes) {
            ensure!(self.shared.prepare_spare()?, "a batch of {} bytes finds no room", self.bytes);
        }
        self.log.commit(&mut self.batch)?;
        self.batch.clear();
        self.bytes = 0;
        Ok(())
    }
}
