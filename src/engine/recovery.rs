//! Recovery: the state of a partition, rebuilt from its records.
//!
//! Runs the same `apply` as a live partition. A sound frame whose record cannot follow the state
//! before it is corruption, and said so; nothing is skipped or guessed.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

use parking_lot::Mutex;

use super::directory::{Directory, ViewChange};
use super::idempotency::Idempotency;
use crate::domain::{
    Decision, Inventory, RecordAt, Sequence, TIME_MS_MAX, apply, check_applicable,
};
use crate::journal::{KeyStamp, Payload, Planted, Record, decode, planted};

/// Keys that go to another thread at once.
const KEYS_AT_ONCE: usize = 4096;
/// Such batches that may wait for it.
const BATCHES_WAITING: usize = 4;

/// What applies the next record; its error says why that cannot be the next one.
pub(super) type Follow<'a> = dyn FnMut(Sequence, &Payload) -> Result<(), String> + 'a;

/// A key with its record's place and time.
type Key = (KeyStamp, Sequence, u64);

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
        self.follow_without_key(sequence, payload)?;
        if let Some((stamp, sequence, decided_at_ms)) = key(sequence, payload) {
            self.idempotency.replay(&stamp, sequence, decided_at_ms);
        }
        Ok(())
    }

    /// Runs `replay` with [`Self::follow`] for it to call, and the keys of many records entered on a
    /// thread of their own, behind them: they are nearly all of the memory that a replay fills. Where
    /// the system gives no thread they are entered on this one.
    pub fn replaying<T>(&mut self, replay: impl FnOnce(&mut Follow<'_>) -> T) -> T {
        let mut keys: Vec<Key> = Vec::new();
        let table = Mutex::new(std::mem::replace(&mut self.idempotency, Idempotency::new(0)));
        let replayed = std::thread::scope(|scope| {
            let mut behind = None;
            let begin = || {
                let (out, batches) = sync_channel(BATCHES_WAITING);
                let enter_all = || {
                    let mut table = table.lock();
                    batches.into_iter().for_each(|keys| enter(&mut table, keys));
                };
                let thread = Builder::new().name("keys".to_owned()).spawn_scoped(scope, enter_all);
                thread.is_ok().then_some(out)
            };
            replay(&mut |sequence, payload| {
                self.follow_without_key(sequence, payload)?;
                keys.extend(key(sequence, payload));
                if keys.len() < KEYS_AT_ONCE {
                    return Ok(());
                }
                let full = std::mem::replace(&mut keys, Vec::with_capacity(KEYS_AT_ONCE));
                let out: &Option<SyncSender<_>> = behind.get_or_insert_with(begin);
                match out {
                    Some(out) => {
                        out.send(full).map_err(|_| "the keys' thread has ended".to_owned())
                    }
                    None => {
                        enter(&mut table.lock(), full);
                        Ok(())
                    }
                }
            })
        });
        let mut table = table.into_inner();
        enter(&mut table, keys);
        self.idempotency = table;
        replayed
    }

    fn follow_without_key(&mut self, sequence: Sequence, payload: &Payload) -> Result<(), String> {
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

fn key(sequence: Sequence, payload: &Payload) -> Option<Key> {
    let Payload::Record(Record { envelope, .. }) = payload else { return None };
    let stamp = envelope.key.filter(|_| !planted(Planted::DropKeyOnReplay))?;
    Some((stamp, sequence, envelope.decided_at_ms))
}

fn enter(table: &mut Idempotency, keys: Vec<Key>) {
    for (stamp, sequence, decided_at_ms) in keys {
        table.replay(&stamp, sequence, decided_at_ms);
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::domain::{
        BuyerId, Change, CreateProduct, Handle, LineWish, Name, PlaceOrder, Principal, ProductId,
        Quantity, Terms, Version, decide_create, decide_order,
    };
    use crate::engine::idempotency::Lookup;
    use crate::engine::idempotency::tests::stamp as keyed;
    use crate::journal::Envelope;

    const PURCHASES: u64 = 3 * KEYS_AT_ONCE as u64 + 5;

    fn stamp(number: u64) -> KeyStamp {
        keyed(u32::try_from(number).unwrap(), 7)
    }

    fn record(decision: Decision, version: u64, key: Option<KeyStamp>) -> Payload {
        let change = Change { handle: Handle::new(0), version: Version::new(version) };
        let envelope = Envelope {
            decided_at_ms: version,
            principal: Principal::new("shop").unwrap(),
            reference: None,
            key,
            changes: smallvec![change],
        };
        Payload::Record(Record { envelope, decision })
    }

    /// A product, and as many purchases of it, each with a key.
    fn sale() -> impl Iterator<Item = (Sequence, Payload)> {
        let terms = Terms::open(Name::new("Lamp").unwrap());
        let product_id = ProductId::new("lamp").unwrap();
        let create = CreateProduct { product_id, terms, stock: PURCHASES };
        let mut inventory = Inventory::new();
        let created = decide_create(&inventory, create, false).unwrap();
        let at = RecordAt { sequence: Sequence::new(1), at_ms: 1 };
        apply(&mut inventory, &created.decision, &created.changes, at);
        let line = LineWish {
            product: Handle::new(0),
            quantity: Quantity::new(1).unwrap(),
            unit_price: None,
        };
        let order = PlaceOrder { buyer_id: BuyerId::new("ada").unwrap(), lines: smallvec![line] };
        let placed = decide_order(&inventory, order, 2).unwrap().decision;
        let purchases = (2..PURCHASES + 2).map(move |n| record(placed.clone(), n, Some(stamp(n))));
        let created = std::iter::once(record(created.decision, 1, None));
        (1..).map(Sequence::new).zip(created.chain(purchases))
    }

    fn found(recovered: &Recovered, number: u64) -> Option<u64> {
        match recovered.idempotency.look_up(&stamp(number), PURCHASES) {
            Lookup::Found(sequence) => Some(sequence.get()),
            _ => None,
        }
    }

    #[test]
    fn every_key_of_a_long_replay_is_known_afterwards() {
        let mut recovered = Recovered::new(10);
        recovered
            .replaying(|follow| sale().try_for_each(|(at, payload)| follow(at, &payload)))
            .unwrap();
        assert_eq!(recovered.idempotency.len() as u64, PURCHASES);
        recovered.publish();
        for number in 2..PURCHASES + 2 {
            assert_eq!(found(&recovered, number), Some(number));
        }
    }

    #[test]
    fn replay_that_ends_early_keeps_the_keys_that_came_before() {
        let gone = PURCHASES - 7;
        let mut recovered = Recovered::new(10);
        let ended = recovered.replaying(|follow| {
            let mut with_a_gap = sale().filter(|(at, _)| at.get() != gone);
            with_a_gap.try_for_each(|(at, payload)| follow(at, &payload))
        });
        assert!(ended.unwrap_err().contains("version"));
        assert_eq!(found(&recovered, gone - 1), Some(gone - 1));
        assert_eq!(found(&recovered, gone + 1), None);
    }
}
