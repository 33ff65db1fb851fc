//! Recovery: the state of a partition, rebuilt from its records.
//!
//! Runs the same `apply` as a live partition. A sound frame whose record cannot follow the state
//! before it is corruption, and said so; nothing is skipped or guessed.

use std::sync::Arc;

use super::directory::{Directory, ViewChange};
use super::idempotency::Idempotency;
use crate::domain::{
    Decision, Inventory, RecordAt, Sequence, TIME_MS_MAX, apply, check_applicable,
};
use crate::journal::{Payload, Planted, Record, decode, planted};

/// What replaying leaves behind.
pub struct Recovered {
    /// The products.
    pub inventory: Inventory,
    /// The products by id, not published yet.
    pub directory: Arc<Directory>,
    /// The keys.
    pub idempotency: Idempotency,
    /// Time of the last record that has one.
    pub last_ms: Option<u64>,
    /// Place of the last record.
    pub last_sequence: Sequence,
    /// Records replayed.
    pub records: u64,
}

impl Recovered {
    /// The state before the first record. `keys_max` bounds the idempotency table.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self {
            inventory: Inventory::new(),
            directory: Arc::new(Directory::default()),
            idempotency: Idempotency::new(keys_max),
            last_ms: None,
            last_sequence: Sequence::new(0),
            records: 0,
        }
    }

    /// Applies the next record.
    ///
    /// # Errors
    /// Why it cannot be the next one: the log is corrupt there.
    pub fn replay(&mut self, sequence: Sequence, payload: &[u8]) -> Result<(), String> {
        self.follow(sequence, &decode(payload).map_err(|error| error.to_string())?)
    }

    /// As [`Self::replay`], a record that is decoded.
    ///
    /// # Errors
    /// As [`Self::replay`].
    pub fn follow(&mut self, sequence: Sequence, payload: &Payload) -> Result<(), String> {
        if let Some(at_ms) = payload.at_ms() {
            let last_ms = self.last_ms.unwrap_or(0);
            if at_ms > TIME_MS_MAX {
                return Err(format!("its time {at_ms} is after the year 9999"));
            }
            if at_ms < last_ms {
                return Err(format!("its time {at_ms} is before {last_ms}, the last record's"));
            }
            self.last_ms = Some(at_ms);
        }
        self.records += 1;
        self.last_sequence = sequence;
        match payload {
            Payload::Started(_) | Payload::Watermark => Ok(()),
            Payload::Record(record) => self.apply(sequence, record),
        }
    }

    fn apply(&mut self, sequence: Sequence, record: &Record) -> Result<(), String> {
        let Record { envelope, decision } = record;
        let changes = &envelope.changes;
        if let Decision::ProductCreated(created) = decision
            && self.directory.entry(created.product_id.as_str()).is_some()
        {
            return Err(format!("product {} is created twice", created.product_id));
        }
        let at = RecordAt { sequence, at_ms: envelope.decided_at_ms };
        check_applicable(&self.inventory, decision, changes, at)
            .map_err(|error| error.to_string())?;
        apply(&mut self.inventory, decision, changes, at);
        if let (Decision::ProductCreated(created), [change]) = (decision, &**changes) {
            self.directory.enter(created.product_id.clone(), change.handle);
        }
        if let Some(stamp) = &envelope.key
            && !planted(Planted::DropKeyOnReplay)
        {
            self.idempotency.replay(stamp, sequence, envelope.decided_at_ms);
        }
        Ok(())
    }

    /// Shows every product, and makes ready to look keys up: all that was replayed is durable now.
    pub fn publish(&self) {
        self.idempotency.catch_up();
        for (handle, product) in self.inventory.products() {
            if let Some(entry) = self.directory.entry_by_handle(handle) {
                let next_expiry_ms = self.inventory.holds().next_expiry_ms(handle);
                entry.publish(ViewChange::whole(product, next_expiry_ms));
            }
        }
    }
}
