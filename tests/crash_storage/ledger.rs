//! What clients were told in all lives of a round, and whether a log agrees.

use std::collections::BTreeMap;

use doorbuster::domain::Decision;
use doorbuster::engine::Engine;
use doorbuster::journal::{Payload, Record};

pub(crate) const PRODUCTS: u32 = 3;
pub(crate) const STOCK: u64 = 120;

/// What one key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) key: u64,
    pub(crate) product: u32,
    pub(crate) quantity: u64,
}

/// What became of it, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It happened, at this sequence.
    Sold(u64),
    /// It happened once or not at all.
    Unknown,
    /// It did not happen.
    Nothing,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    pub(crate) nothing: u64,
    pub(crate) sold_out: u64,
    pub(crate) replayed: u64,
    pub(crate) lives: u64,
    pub(crate) torn: u64,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) told: BTreeMap<u64, (Ask, Told)>,
    /// Fewest units that were refused as more than there are, by product.
    too_many: BTreeMap<u32, u64>,
    pub(crate) next_key: u64,
    pub(crate) counts: Counts,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.nothing += other.nothing;
        self.sold_out += other.sold_out;
        self.replayed += other.replayed;
        self.lives += other.lives;
        self.torn += other.torn;
    }
}

impl Ledger {
    pub(crate) fn sold(&mut self, ask: Ask, sequence: u64, replayed: bool) -> Result<(), String> {
        let before = self.told.insert(ask.key, (ask, Told::Sold(sequence)));
        match before {
            Some((_, Told::Sold(first))) if first != sequence || !replayed => {
                Err(format!("key {} was order {first} and is now {sequence}", ask.key))
            }
            Some((_, Told::Sold(_))) => {
                self.counts.replayed += 1;
                Ok(())
            }
            _ => {
                self.counts.acknowledged += 1;
                Ok(())
            }
        }
    }

    pub(crate) fn sold_out(&mut self, ask: Ask) -> Result<(), String> {
        if let Some((_, Told::Sold(first))) = self.told.insert(ask.key, (ask, Told::Nothing)) {
            return Err(format!("key {} was order {first} and is now sold out", ask.key));
        }
        self.counts.sold_out += 1;
        let fewest = self.too_many.entry(ask.product).or_insert(u64::MAX);
        *fewest = ask.quantity.min(*fewest);
        Ok(())
    }

    pub(crate) fn unknown(&mut self, ask: Ask) {
        self.counts.unknown += 1;
        // A retry that does not come through says nothing new about an order there is.
        self.told.entry(ask.key).or_insert((ask, Told::Unknown));
    }

    pub(crate) fn nothing(&mut self, ask: Ask) {
        self.counts.nothing += 1;
        self.told.entry(ask.key).or_insert((ask, Told::Nothing));
    }

    /// Compares with what a started engine's log holds.
    pub(crate) fn check(&self, engine: &Engine) -> Result<(), String> {
        let orders = orders(engine)?;
        let mut sold: BTreeMap<u32, u64> = BTreeMap::new();
        for (key, (ask, told)) in &self.told {
            let found = orders.get(key).map_or(&[][..], Vec::as_slice);
            match (told, found) {
                (Told::Sold(sequence), [(at, product, quantity)])
                    if (sequence, ask.product, ask.quantity) == (at, *product, *quantity) => {}
                (Told::Unknown, [] | [_]) | (Told::Nothing, []) => {}
                _ => return Err(format!("{ask:?} was told {told:?}, the log has {found:?}")),
            }
        }
        for (key, found) in &orders {
            if !self.told.contains_key(key) {
                return Err(format!("nobody asked for {key}: {found:?}"));
            }
            for (_, product, quantity) in found {
                *sold.entry(*product).or_default() += quantity;
            }
        }
        for product in 0..PRODUCTS {
            let sold = sold.get(&product).copied().unwrap_or(0);
            let left = STOCK.checked_sub(sold);
            let left = left.ok_or_else(|| format!("{sold} of product {product} are sold"))?;
            let too_many = self.too_many.get(&product).copied().unwrap_or(u64::MAX);
            if left >= too_many {
                return Err(format!(
                    "{too_many} of product {product} were refused, {left} are left"
                ));
            }
        }
        Ok(())
    }
}

type Orders = BTreeMap<u64, Vec<(u64, u32, u64)>>;

/// Every order of the log by its key: sequence, product, quantity.
fn orders(engine: &Engine) -> Result<Orders, String> {
    let journal = engine.journal().ok_or("the engine has not started")?;
    let mut tail = journal.tail(doorbuster::domain::Sequence::new(1));
    let mut orders = Orders::new();
    while let Some(tailed) = tail.next().map_err(|error| error.to_string())? {
        let Payload::Record(record) = tailed.payload else { continue };
        let Record { envelope, decision } = *record;
        let (Decision::OrderPlaced(order), Some(stamp)) = (decision, envelope.key) else {
            continue;
        };
        let [line] = order.lines.as_slice() else { return Err("an order of one line".into()) };
        let key = u64::from_le_bytes(*stamp.hash.first_chunk().ok_or("a key")?);
        let order = (tailed.sequence.get(), line.product.get(), line.quantity.units());
        orders.entry(key).or_default().push(order);
    }
    Ok(orders)
}
