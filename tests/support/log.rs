//! A real log for tests: decisions of the domain, journaled into memory, durable when told.
//!
//! Two logs of one number are copies that went different ways, as after a restore.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::HashMap;
use std::sync::Arc;

use doorbuster::domain::{
    AdjustReason, AdjustStock, BuyerId, CancelOrder, ChangeTerms, ConfirmHold, CreateProduct,
    Currency, Decided, Decision, ExtendHold, Handle, HoldRules, Inventory, LineWish, LineWishes,
    Money, Name, Part, PartOf, PlaceHold, PlaceOrder, PlacedOrder, Principal, ProductId, Quantity,
    RecordAt, Reference, Refusal, RefusalReason, RefusalRow, RefusalsCounted, ReleaseHold, SaleId,
    Sequence, StockChange, Targets, Terms, TermsPatch, Text, apply, check_applicable,
    decide_adjustment, decide_cancel, decide_confirm, decide_create, decide_expiry, decide_extend,
    decide_hold, decide_order, decide_release, decide_selling, decide_terms,
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
    orders: HashMap<Sequence, PlacedOrder>,
    journal: LocalJournal<()>,
    writer: Writer<(), Nothing>,
    _preallocator: Preallocator,
}

/// Holds as long and as many as a test likes.
const RULES: HoldRules =
    HoldRules { ttl_max_ms: 86_400_000, live_per_buyer_max: 1_000_000, live_lines_max: 1_000_000 };

fn parts_of(parts: &[(usize, u64)]) -> Vec<Part> {
    let part = |(line, units): &(usize, u64)| Part {
        of: PartOf::Line(*line),
        quantity: Quantity::new(*units).unwrap(),
    };
    parts.iter().map(part).collect()
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
            orders: HashMap::new(),
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
        let order =
            PlaceOrder { buyer_id: BuyerId::new(buyer).unwrap(), lines: self.wishes(lines) };
        let decided = decide_order(&self.inventory, order, self.now_ms).expect("an order");
        self.decided(decided, reference)
    }

    fn wishes(&self, lines: &[(&str, u64, Option<u64>)]) -> LineWishes {
        let wish = |(id, quantity, price): &(&str, u64, Option<u64>)| LineWish {
            product: self.handles[*id],
            quantity: Quantity::new(*quantity).unwrap(),
            unit_price: price.map(pence),
        };
        lines.iter().map(wish).collect()
    }

    /// Sets lines aside.
    pub(crate) fn hold(
        &mut self,
        buyer: &str,
        lines: &[(&str, u64, Option<u64>)],
        ttl_ms: u64,
        reference: Option<&str>,
    ) -> Sequence {
        let (buyer_id, lines) = (BuyerId::new(buyer).unwrap(), self.wishes(lines));
        let place = PlaceHold { buyer_id, lines, ttl_ms };
        let decided = decide_hold(&self.inventory, place, &RULES, self.now_ms).expect("a hold");
        self.decided(decided, reference)
    }

    /// Keeps a hold longer.
    pub(crate) fn extend(&mut self, hold: Sequence, ttl_ms: u64) -> Sequence {
        let extend = ExtendHold { hold, ttl_ms };
        let decided = decide_extend(&self.inventory, extend, &RULES, self.now_ms);
        self.decided(decided.expect("a live hold"), None)
    }

    /// Makes an order of a hold; parts are a line's place and its units.
    pub(crate) fn confirm(
        &mut self,
        hold: Sequence,
        parts: Option<&[(usize, u64)]>,
        reference: Option<&str>,
    ) -> Sequence {
        let confirm = ConfirmHold { hold, parts: parts.map(parts_of) };
        let decided = decide_confirm(&self.inventory, confirm, self.now_ms);
        self.decided(decided.expect("a live hold"), reference)
    }

    /// Gives a hold back.
    pub(crate) fn release(&mut self, hold: Sequence) -> Sequence {
        let decided = decide_release(&self.inventory, ReleaseHold { hold }, self.now_ms);
        self.decided(decided.expect("a live hold"), None)
    }

    /// Ends the holds that are over; says how many.
    pub(crate) fn expire(&mut self) -> u64 {
        let mut expired = 0;
        while let Some(decided) = decide_expiry(&self.inventory, self.now_ms) {
            self.decided(decided, None);
            expired += 1;
        }
        expired
    }

    /// Takes units of an order back; parts are a line's place and its units.
    pub(crate) fn cancel(
        &mut self,
        order: Sequence,
        parts: Option<&[(usize, u64)]>,
        restock: bool,
        reference: Option<&str>,
    ) -> Result<Sequence, Refusal> {
        let (order, parts) = (self.orders[&order].clone(), parts.map(parts_of));
        let reason = Text::new("Changed her mind").unwrap();
        let cancel = CancelOrder { order, parts, reason, restock };
        let decided = decide_cancel(&self.inventory, cancel)?;
        Ok(self.decided(decided, reference))
    }

    /// Pauses selling of everything, or resumes it.
    pub(crate) fn pause_everything(&mut self, paused: bool) -> Sequence {
        self.decided(decide_selling(paused), None)
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
        check_applicable(&self.inventory, &decision, &changes, at).expect("it can be replayed");
        apply(&mut self.inventory, &decision, &changes, at);
        let placed = match &decision {
            Decision::OrderPlaced(order) => Some(order),
            Decision::HoldConfirmed(confirmed) => Some(&confirmed.order),
            _ => None,
        };
        if let Some(order) = placed.cloned() {
            let (sequence, changes) = (at.sequence, changes.clone());
            let (buyer_id, lines) = (order.buyer_id, order.lines);
            self.orders.insert(sequence, PlacedOrder { sequence, buyer_id, lines, changes });
        }
        let envelope = Envelope {
            decided_at_ms: self.now_ms,
            principal: Principal::new("shop").unwrap(),
            reference: reference.map(|reference| Reference::new(reference).unwrap()),
            key: None,
            changes,
        };
        self.append(&Payload::Record(Record { envelope, decision }))
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
