//! A real log for tests: decisions of the domain, journaled into memory, durable when told.
//!
//! Two logs of one number are copies that went different ways, as after a restore.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::HashMap;
use std::sync::Arc;

use doorbuster::domain::{
    AdjustReason, AdjustStock, BuyerId, ChangeTerms, CreateProduct, Currency, Decided, Decision,
    Handle, Inventory, LineWish, Money, Name, PlaceOrder, Principal, ProductId, Quantity, RecordAt,
    Reference, RefusalReason, RefusalRow, RefusalsCounted, SaleId, Sequence, StockChange, Targets,
    Terms, TermsPatch, apply, decide_adjustment, decide_create, decide_order, decide_terms,
};
use doorbuster::journal::{
    Completion, Envelope, Journal, JournalError, JournalIdentity, JournalReader, LocalJournal,
    Opening, Payload, Preallocator, Queued, Record, Started, Writer, encode, local_journal,
};
use doorbuster_wal::{MemStorage, Options, Storage};

/// Time of a log's first record.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// A log and the state its records make.
pub(crate) struct TestLog {
    /// What the records make.
    pub(crate) inventory: Inventory,
    /// Time of the next record.
    pub(crate) now_ms: u64,
    handles: HashMap<String, Handle>,
    journal: LocalJournal<()>,
    writer: Writer<(), Nothing>,
    _preallocator: Preallocator,
}

/// Nobody waits for the records.
struct Nothing;

impl Completion<()> for Nothing {
    fn complete(&mut self, _: Sequence, items: &mut Vec<Queued<()>>) {
        items.clear();
    }
    fn fail(&mut self, error: &JournalError, _: Vec<Queued<()>>) {
        panic!("the test's log fails: {error}");
    }
}

/// The identity of logs of this number.
pub(crate) fn identity(number: u8) -> JournalIdentity {
    JournalIdentity { journal_id: [number; 16], partition: 1, epoch: 1 }
}

impl TestLog {
    /// An empty log, but for its start record.
    pub(crate) fn new(number: u8) -> Self {
        Self::of(identity(number), Arc::new(MemStorage::new()))
    }

    /// An empty log of this identity, kept there.
    pub(crate) fn of(identity: JournalIdentity, storage: Arc<dyn Storage>) -> Self {
        let options = Options { segment_bytes: 4 << 20, ..Options::default() };
        let mut opening = Opening::new(storage, options).expect("a new log");
        opening.replay(&mut |_| Ok(()), &mut |_| ()).expect("an empty log");
        let started = Started { started_at_ms: START_MS, binary: "test".into() };
        let log = opening.start(identity, &Payload::Started(started)).expect("a start");
        let preallocator = log.preallocate();
        let (journal, writer) = local_journal(log, Nothing);
        Self {
            inventory: Inventory::new(),
            now_ms: START_MS,
            handles: HashMap::new(),
            journal,
            writer,
            _preallocator: preallocator.expect("a thread"),
        }
    }

    /// Reads what is durable.
    pub(crate) fn reader(&self) -> JournalReader {
        self.writer.reader()
    }

    /// Makes everything appended durable; gives the last sequence.
    pub(crate) fn sync(&mut self) -> Sequence {
        self.writer.step().expect("the test's log takes records");
        self.reader().durable()
    }

    /// The handle of a product that was created.
    pub(crate) fn handle(&self, id: &str) -> Handle {
        self.handles[id]
    }

    /// Puts a product in for sale; `edit` changes its terms.
    pub(crate) fn create(
        &mut self,
        id: &str,
        stock: u64,
        edit: impl FnOnce(&mut Terms),
    ) -> Sequence {
        let mut terms = Terms::open(Name::new(&format!("Product {id}")).unwrap());
        edit(&mut terms);
        let create = CreateProduct { product_id: ProductId::new(id).unwrap(), terms, stock };
        let decided = decide_create(&self.inventory, create, false).expect("a product");
        let handle = decided.changes[0].handle;
        self.handles.insert(id.to_owned(), handle);
        self.decided(decided, None)
    }

    /// Sells; lines are product, quantity, and a unit price in pence if it has one.
    pub(crate) fn order(
        &mut self,
        buyer: &str,
        lines: &[(&str, u64, Option<u64>)],
        reference: Option<&str>,
    ) -> Sequence {
        let lines = lines.iter().map(|(id, quantity, price)| LineWish {
            product: self.handles[*id],
            quantity: Quantity::new(*quantity).unwrap(),
            unit_price: price.map(pence),
        });
        let order = PlaceOrder { buyer_id: BuyerId::new(buyer).unwrap(), lines: lines.collect() };
        let decided = decide_order(&self.inventory, order, self.now_ms).expect("an order");
        self.decided(decided, reference)
    }

    /// Changes stock.
    pub(crate) fn adjust(
        &mut self,
        id: &str,
        delta: i64,
        reason: AdjustReason,
        reference: Option<&str>,
    ) -> Sequence {
        let (product, change) = (self.handles[id], StockChange::Delta(delta));
        let adjust = AdjustStock { product, change, reason };
        let decided = decide_adjustment(&self.inventory, adjust).expect("an adjustment");
        self.decided(decided, reference)
    }

    /// Changes terms of one product.
    pub(crate) fn change(&mut self, id: &str, patch: TermsPatch) -> Sequence {
        let targets = Targets::Product { handle: self.handles[id], terms_version: None };
        let decided = decide_terms(&self.inventory, ChangeTerms { targets, patch });
        self.decided(decided.expect("a change"), None)
    }

    /// Changes terms of a sale.
    pub(crate) fn change_sale(&mut self, sale: &str, patch: TermsPatch) -> Sequence {
        let targets = Targets::Sale(SaleId::new(sale).unwrap());
        let decided = decide_terms(&self.inventory, ChangeTerms { targets, patch });
        self.decided(decided.expect("a change"), None)
    }

    /// Counts refusals of one minute.
    pub(crate) fn refusals(
        &mut self,
        minute_ms: u64,
        rows: &[(&str, RefusalReason, u64)],
    ) -> Sequence {
        let rows = rows.iter().map(|(id, reason, count)| RefusalRow {
            product: self.handles[*id],
            reason: *reason,
            count: *count,
        });
        let counted = RefusalsCounted { minute_ms, rows: rows.collect() };
        let decision = Decision::RefusalsCounted(counted);
        self.decided(Decided { decision, changes: Default::default() }, None)
    }

    /// A record that changes nothing.
    pub(crate) fn watermark(&mut self) -> Sequence {
        self.append(&Payload::Watermark)
    }

    fn decided(&mut self, decided: Decided, reference: Option<&str>) -> Sequence {
        let Decided { decision, changes } = decided;
        let at = RecordAt { sequence: self.journal.next_sequence(), at_ms: self.now_ms };
        apply(&mut self.inventory, &decision, &changes, at);
        let envelope = Envelope {
            decided_at_ms: self.now_ms,
            principal: Principal::new("shop").unwrap(),
            reference: reference.map(|reference| Reference::new(reference).unwrap()),
            key: None,
            changes,
        };
        self.append(&Payload::Record(Box::new(Record { envelope, decision })))
    }

    fn append(&mut self, payload: &Payload) -> Sequence {
        let mut bytes = Vec::new();
        encode(payload, &mut bytes);
        // The thread that zeroes segments ahead may be a moment behind.
        while self.reader().room().try_reserve(bytes.len()).is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.journal.append(&bytes, ())
    }
}

/// British money.
pub(crate) fn pence(amount_minor: u64) -> Money {
    Money::new(amount_minor, Currency::new("GBP").unwrap()).unwrap()
}
