//! What the log tells of a play: its orders, and whether any product was ever oversold.
//!
//! Shares no code with the engine's rules: a sum of what went in, a sum of what was sold.
//! An order belongs to this play when its idempotency key is one of ours.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::book::{Book, Line, Order, Price};
use crate::cli::hex;
use crate::cli::log::open_log;
use crate::domain::{Decision, Handle, Money, Patch, Sequence};
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
    /// Orders under our keys.
    pub(crate) ours: Book,
    /// Orders of others in the same stretch of the log.
    pub(crate) others: Book,
    /// Keys of ours that made more than one order.
    pub(crate) keys_twice: Vec<String>,
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
    seen: HashMap<usize, u64>,
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
    let identity = log.identity();
    let journal_id = hex(&identity.journal_id);
    let book = LogBook { journal_id, ..LogBook::default() };
    let (tallies, seen) = (HashMap::new(), HashMap::new());
    let mut reader = Reader { keys, seen, from, tallies, book };
    let mut visit = |entry: &doorbuster_wal::Entry<'_>, payload: Payload| {
        reader.book.last_sequence = entry.sequence;
        let Payload::Record(record) = payload else { return Ok(()) };
        reader.book.last_decision = entry.sequence;
        let sequence = Sequence::new(entry.sequence);
        let position = Position { partition: identity.partition, epoch: identity.epoch, sequence };
        reader.visit(position, &record)
    };
    log.read(&mut visit, &mut |_| {})?;
    let mut oversold: Vec<String> =
        reader.tallies.into_values().filter(|tally| tally.oversold).map(|t| t.product_id).collect();
    oversold.sort_unstable();
    reader.book.oversold = oversold;
    Ok(reader.book)
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
                self.tally(adjusted.product)?.stock += i128::from(adjusted.delta);
            }
            Decision::OrderPlaced(placed) => {
                let mut order = Order {
                    buyer_id: placed.buyer_id.to_string(),
                    reference: record.envelope.reference.as_ref().map(ToString::to_string),
                    lines: Vec::new(),
                };
                for line in &placed.lines {
                    let tally = self.tally(line.product)?;
                    tally.sold += i128::from(line.quantity.units());
                    tally.oversold |= tally.sold > tally.stock + tally.oversell_limit;
                    let product_id = tally.product_id.clone();
                    let quantity = line.quantity.units();
                    let unit_price = line.unit_price.map(price);
                    order.lines.push(Line { product_id, quantity, unit_price });
                }
                self.enter(position, record, order);
            }
            // What a play of purchases alone does not make.
            Decision::HoldPlaced(_)
            | Decision::HoldExtended(_)
            | Decision::HoldConfirmed(_)
            | Decision::HoldReleased(_)
            | Decision::HoldExpired(_)
            | Decision::OrderCancelled(_)
            | Decision::SellingPaused(_)
            | Decision::RefusalsCounted(_) => {}
        }
        Ok(())
    }

    fn tally(&mut self, handle: Handle) -> Result<&mut Tally, String> {
        self.tallies.get_mut(&handle).ok_or_else(|| format!("product {handle} was never created"))
    }

    fn enter(&mut self, position: Position, record: &Record, order: Order) {
        if position.sequence.get() <= self.from {
            return;
        }
        let order_id = OrderId(position).to_string();
        match self.keys.find(record) {
            Some(key) => {
                let orders = self.seen.entry(key).or_default();
                *orders += 1;
                if *orders == 2 {
                    self.book.keys_twice.extend(self.keys.keys.get(key).cloned());
                }
                self.book.ours.enter(order_id, order);
            }
            None => self.book.others.enter(order_id, order),
        }
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
