//! What the log tells of a play: its orders and adjustments, what is left of each product, and
//! whether any was ever oversold.
//!
//! Shares no code with the engine's rules: a sum of what went in, a sum of what was sold.
//! A decision belongs to this play when its idempotency key is one of ours.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::book::Book;
use super::order::{Adjustment, Line, Order, Price, Status};
use crate::cli::hex;
use crate::cli::log::open_log;
use crate::domain::{Decision, Handle, Money, OrderCancelled, OrderPlaced, Patch, Sequence};
use crate::journal::{OrderId, Payload, Position, Record};

/// The keys of a play, by what each leaves in a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct OurKeys {
    keys: Vec<String>,
    by_principal: HashMap<String, HashMap<[u8; 16], usize>>,
}

/// What the log tells.
#[derive(Debug, Default)]
pub(crate) struct LogBook {
    /// Whose log it is.
    pub(crate) journal_id: String,
    /// Orders and adjustments under our keys.
    pub(crate) ours: Book,
    /// Those of others in the same stretch of the log.
    pub(crate) others: Book,
    /// What our keys decided, by the key's place: the order it placed, if it placed one.
    pub(crate) by_key: HashMap<usize, Option<String>>,
    /// Keys of ours that decided more than once.
    pub(crate) keys_twice: Vec<String>,
    /// Units in stock and not sold at the end, by product.
    pub(crate) left: HashMap<String, i128>,
    /// Products that at some record had more sold than they may.
    pub(crate) oversold: Vec<String>,
    /// Sequence of the last decision.
    pub(crate) last_decision: u64,
    /// Sequence of the last record.
    pub(crate) last_sequence: u64,
}

#[derive(Default)]
struct Tally {
    product_id: String,
    stock: i128,
    oversell_limit: i128,
    sold: i128,
    oversold: bool,
}

struct Reader<'a> {
    keys: &'a mut OurKeys,
    from: u64,
    tallies: HashMap<Handle, Tally>,
    book: LogBook,
}

impl OurKeys {
    /// These keys.
    pub(crate) fn new(keys: Vec<String>) -> Self {
        Self { keys, by_principal: HashMap::new() }
    }

    /// Which of our keys a record was made under.
    fn find(&mut self, record: &Record) -> Option<usize> {
        let stamp = record.envelope.key.as_ref()?;
        let principal = record.envelope.principal.as_str();
        if !self.by_principal.contains_key(principal) {
            let hashed = self.keys.iter().enumerate();
            let hashed = hashed.map(|(place, key)| (key_hash(principal, key), place)).collect();
            self.by_principal.insert(principal.to_owned(), hashed);
        }
        self.by_principal.get(principal)?.get(&stamp.hash).copied()
    }
}

/// Reads the log of a data directory; orders up to `from` are not taken down.
///
/// # Errors
/// There is none, or it is damaged.
pub(crate) fn read(data_dir: &Path, keys: &mut OurKeys, from: u64) -> anyhow::Result<LogBook> {
    let log = open_log(data_dir)?;
    let places = log.places();
    let journal_id = hex(&log.identity().journal_id);
    let book = LogBook { journal_id, ..LogBook::default() };
    let mut reader = Reader { keys, from, tallies: HashMap::new(), book };
    let mut visit = |entry: &doorbuster_wal::Entry<'_>, payload: Payload| {
        reader.book.last_sequence = entry.sequence;
        let Payload::Record(record) = payload else { return Ok(()) };
        reader.book.last_decision = entry.sequence;
        let sequence = Sequence::new(entry.sequence);
        reader.visit(places.position(sequence), &record)
    };
    log.read(&mut visit, &mut |_| {})?;
    let mut book = reader.book;
    for tally in reader.tallies.into_values() {
        book.left.insert(tally.product_id.clone(), tally.stock - tally.sold);
        if tally.oversold {
            book.oversold.push(tally.product_id);
        }
    }
    book.oversold.sort_unstable();
    Ok(book)
}

/// Sequence of the last record of a log; 0 when there is none yet.
///
/// # Errors
/// It is damaged.
pub(crate) fn last_sequence(data_dir: &Path) -> anyhow::Result<u64> {
    if !crate::cli::log::journal_dir(data_dir).is_dir() {
        return Ok(0);
    }
    let log = open_log(data_dir)?;
    let replayed = log.read(&mut |_, _| Ok(()), &mut |_| {})?;
    Ok(replayed.last_sequence)
}

impl Reader<'_> {
    fn visit(&mut self, position: Position, record: &Record) -> Result<(), String> {
        match &record.decision {
            Decision::ProductCreated(created) => {
                let change = record.envelope.changes.first().ok_or("a creation without product")?;
                let tally = Tally {
                    product_id: created.product_id.to_string(),
                    stock: created.stock.into(),
                    oversell_limit: created.terms.oversell_limit.into(),
                    ..Tally::default()
                };
                self.tallies.insert(change.handle, tally);
            }
            Decision::TermsChanged(changed) => {
                if let Patch::Set(limit) = changed.patch.oversell_limit {
                    for change in &record.envelope.changes {
                        self.tally(change.handle)?.oversell_limit = limit.into();
                    }
                }
            }
            Decision::StockAdjusted(adjusted) => {
                let tally = self.tally(adjusted.product)?;
                tally.stock += i128::from(adjusted.delta);
                let adjustment = Adjustment {
                    product_id: tally.product_id.clone(),
                    delta: adjusted.delta,
                    reason: adjusted.reason.as_str().to_owned(),
                    text: adjusted.reason.text().map(str::to_owned),
                    reference: record.envelope.reference.as_ref().map(ToString::to_string),
                };
                if let Some(book) = self.book_of(position, record, None) {
                    book.adjust(position.sequence.get(), adjustment);
                }
            }
            Decision::OrderPlaced(order) => self.place(position, record, order)?,
            Decision::HoldConfirmed(confirmed) => self.place(position, record, &confirmed.order)?,
            Decision::OrderCancelled(cancelled) => self.cancel(position, record, cancelled)?,
            // Units on hold are not sold yet.
            Decision::HoldPlaced(_)
            | Decision::HoldExtended(_)
            | Decision::HoldReleased(_)
            | Decision::HoldExpired(_)
            | Decision::SellingPaused(_)
            | Decision::RefusalsCounted(_) => {}
        }
        Ok(())
    }

    fn place(
        &mut self,
        position: Position,
        record: &Record,
        placed: &OrderPlaced,
    ) -> Result<(), String> {
        let mut order = Order {
            buyer_id: placed.buyer_id.to_string(),
            reference: record.envelope.reference.as_ref().map(ToString::to_string),
            ..Order::default()
        };
        for line in &placed.lines {
            let tally = self.tally(line.product)?;
            tally.sold += i128::from(line.quantity.units());
            tally.oversold |= tally.sold > tally.stock + tally.oversell_limit;
            let (product_id, quantity) = (tally.product_id.clone(), line.quantity.units());
            order.lines.push(Line::new(product_id, quantity, line.unit_price.map(price)));
        }
        let order_id = OrderId(position).to_string();
        if let Some(book) = self.book_of(position, record, Some(&order_id)) {
            book.enter(order_id, order);
        }
        Ok(())
    }

    fn cancel(
        &mut self,
        position: Position,
        record: &Record,
        cancelled: &OrderCancelled,
    ) -> Result<(), String> {
        for line in &cancelled.lines {
            let units = i128::from(line.quantity.units());
            let tally = self.tally(line.product)?;
            tally.sold -= units;
            if !cancelled.restocked {
                tally.stock -= units;
            }
        }
        let _ = self.book_of(position, record, None);
        let status = if cancelled.whole { Status::Cancelled } else { Status::PartlyCancelled };
        let order_id = OrderId(Position { sequence: cancelled.order, ..position }).to_string();
        let lines = cancelled.lines.iter();
        let lines = lines.map(|line| (line.place as usize, line.quantity.units()));
        // Whoever cancels, it is that order which has less; one of the two books has it, or none.
        self.book.ours.cancel(&order_id, lines.clone(), status);
        self.book.others.cancel(&order_id, lines, status);
        Ok(())
    }

    fn tally(&mut self, handle: Handle) -> Result<&mut Tally, String> {
        self.tallies.get_mut(&handle).ok_or_else(|| format!("product {handle} was never created"))
    }

    /// The book a decision belongs in, if it is in the stretch that is taken down.
    fn book_of(
        &mut self,
        position: Position,
        record: &Record,
        order_id: Option<&str>,
    ) -> Option<&mut Book> {
        if position.sequence.get() <= self.from {
            return None;
        }
        let Some(key) = self.keys.find(record) else { return Some(&mut self.book.others) };
        let placed = order_id.map(str::to_owned);
        if self.book.by_key.insert(key, placed).is_some() {
            self.book.keys_twice.extend(self.keys.keys.get(key).cloned());
        }
        Some(&mut self.book.ours)
    }
}

fn price(money: Money) -> Price {
    let (amount_minor, currency) = (money.amount_minor(), money.currency().as_str().to_owned());
    Price { amount_minor, currency }
}

/// What a key leaves in the record it made (schema/journal-format.md).
fn key_hash(principal: &str, key: &str) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update((principal.len() as u64).to_le_bytes());
    hasher.update(principal);
    hasher.update(key);
    let mut hash = [0; 16];
    hash.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
    hash
}
