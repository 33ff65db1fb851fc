//! What a log says by itself: products, figures, buyers, keys, rebuilt record by record.
//!
//! Proves, without knowing what anybody asked: sequences and versions have no gap, handles are
//! given in order, time never goes back, `held + sold <= stock + oversell_limit` after every
//! record, an adjustment leaves the figures it says, no buyer passes a limit, no key makes two
//! records within the 24 hours it is kept, every decision but a count stands under a key.
//! A record that does not fit is told and still counted, so that one fault is not told a thousand
//! times.

use std::collections::HashMap;

use crate::faults::{FaultKind, Faults};
use crate::payload::{Decision, Envelope, Line, Payload, Terms};

/// How long a key is kept, by record time.
const KEY_AGE_MS: u64 = 24 * 3_600_000;

/// The state that a log's records make.
#[derive(Debug, Default)]
pub struct Model {
    products: Vec<Shelf>,
    ids: HashMap<Box<str>, u32>,
    /// Sequence and time of the last record under each key.
    keys: HashMap<[u8; 16], (u64, u64)>,
    last_sequence: u64,
    last_decision: u64,
    last_at_ms: u64,
    kinds: [u64; 8],
}

/// One product.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The shop's id.
    pub product_id: Box<str>,
    /// Units put in, less those written off.
    pub stock: u64,
    /// Units in orders.
    pub sold: u64,
    /// Orders it is in.
    pub orders: u64,
    /// Units that may be sold beyond the stock.
    pub oversell_limit: u32,
    version: u64,
    per_buyer_limit: u32,
    /// Units by buyer, while there is a limit.
    bought: HashMap<Box<str>, u64>,
}

impl Model {
    /// Before the record after `last_sequence`.
    #[must_use]
    pub fn after(last_sequence: u64) -> Self {
        Self { last_sequence, ..Self::default() }
    }

    /// Sequence of the last record.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Sequence of the last decision; what follows it leaves no row in a database.
    #[must_use]
    pub fn last_decision(&self) -> u64 {
        self.last_decision
    }

    /// The product of an id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<&Shelf> {
        self.products.get(*self.ids.get(id)? as usize)
    }

    /// The products, by handle.
    #[must_use]
    pub fn products(&self) -> &[Shelf] {
        &self.products
    }

    /// Records by the number of their kind.
    #[must_use]
    pub fn kinds(&self) -> &[u64; 8] {
        &self.kinds
    }

    /// The next record.
    pub fn apply(&mut self, sequence: u64, payload: &Payload<'_>, faults: &mut Faults) {
        if sequence != self.last_sequence + 1 {
            let last = self.last_sequence;
            faults.add(FaultKind::Broken, || format!("sequence {sequence} follows {last}"));
        }
        self.last_sequence = sequence;
        if let Some(count) = self.kinds.get_mut(payload.kind()) {
            *count += 1;
        }
        match payload {
            Payload::Started { at_ms, .. } => self.at(sequence, *at_ms, faults),
            Payload::Watermark => {}
            Payload::Decision(envelope, decision) => {
                self.last_decision = sequence;
                self.at(sequence, envelope.at_ms, faults);
                self.key(sequence, envelope, decision, faults);
                self.decision(sequence, envelope, decision, faults);
            }
        }
    }

    fn at(&mut self, sequence: u64, at_ms: u64, faults: &mut Faults) {
        let last = self.last_at_ms;
        if at_ms < last {
            faults.add(FaultKind::Broken, || {
                format!("sequence {sequence} was decided at {at_ms} ms, after one at {last} ms")
            });
        }
        self.last_at_ms = last.max(at_ms);
    }

    fn key(
        &mut self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        faults: &mut Faults,
    ) {
        let Some((hash, _)) = envelope.key else {
            let keyless = matches!(
                decision,
                Decision::TermsChanged { .. } | Decision::RefusalsCounted { .. }
            );
            if !keyless {
                faults.add(FaultKind::Broken, || format!("sequence {sequence} has no key"));
            }
            return;
        };
        let at_ms = envelope.at_ms;
        if let Some((first, first_ms)) = self.keys.insert(hash, (sequence, at_ms))
            && at_ms.saturating_sub(first_ms) < KEY_AGE_MS
        {
            faults.add(FaultKind::Doubled, || {
                format!("sequences {first} and {sequence} stand under one key")
            });
        }
    }

    fn decision(
        &mut self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        faults: &mut Faults,
    ) {
        if let Decision::ProductCreated { product_id, terms, stock } = decision {
            self.create(sequence, product_id, terms, *stock, faults);
        }
        for (handle, version) in &envelope.changes {
            let Some(shelf) = self.products.get_mut(*handle as usize) else {
                faults
                    .add(FaultKind::Broken, || format!("sequence {sequence}: no product {handle}"));
                continue;
            };
            if *version != shelf.version + 1 {
                let (id, last) = (&shelf.product_id, shelf.version);
                faults.add(FaultKind::Broken, || {
                    format!("sequence {sequence}: version {version} of {id} follows {last}")
                });
            }
            shelf.version = *version;
            shelf.apply(sequence, *handle, decision, faults);
            if shelf.sold > shelf.stock + u64::from(shelf.oversell_limit) {
                faults.add(FaultKind::Oversold, || {
                    let Shelf { product_id, sold, stock, oversell_limit, .. } = shelf;
                    format!(
                        "after sequence {sequence}, {product_id}: \
                         {sold} sold, {stock} stock, {oversell_limit} oversell limit"
                    )
                });
            }
        }
        self.named(sequence, envelope, decision, faults);
    }

    fn create(
        &mut self,
        sequence: u64,
        product_id: &str,
        terms: &Terms<'_>,
        stock: u64,
        faults: &mut Faults,
    ) {
        let handle = u32::try_from(self.products.len()).unwrap_or(u32::MAX);
        if self.ids.insert(product_id.into(), handle).is_some() {
            faults.add(FaultKind::Doubled, || {
                format!("sequence {sequence}: {product_id} is created again")
            });
        }
        self.products.push(Shelf {
            product_id: product_id.into(),
            stock,
            oversell_limit: terms.oversell_limit,
            per_buyer_limit: terms.per_buyer_limit,
            ..Shelf::default()
        });
    }

    /// The products a decision changes are the ones its body names.
    fn named(
        &self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        faults: &mut Faults,
    ) {
        let changes = &envelope.changes;
        let changed = |handle: u32| changes.iter().any(|(changed, _)| *changed == handle);
        let newest = self.products.len().checked_sub(1).and_then(|n| u32::try_from(n).ok());
        let fits = match decision {
            Decision::ProductCreated { .. } => changes.len() == 1 && newest.is_some_and(changed),
            Decision::TermsChanged { .. } => !changes.is_empty(),
            Decision::StockAdjusted { product, .. } => changes.len() == 1 && changed(*product),
            Decision::OrderPlaced { lines, .. } => {
                let bought = |handle| lines.iter().any(|line| line.product == handle);
                let named = lines.iter().all(|line| changed(line.product));
                !lines.is_empty() && named && changes.iter().all(|(handle, _)| bought(*handle))
            }
            Decision::RefusalsCounted { .. } => changes.is_empty(),
        };
        if !fits {
            faults.add(FaultKind::Broken, || {
                format!("sequence {sequence} changes other products than it names")
            });
        }
    }
}

impl Shelf {
    /// Version after the last record.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    fn apply(&mut self, sequence: u64, handle: u32, decision: &Decision<'_>, faults: &mut Faults) {
        match decision {
            Decision::StockAdjusted { delta, stock, unsold, .. } => {
                let expected = self.stock.checked_add_signed(*delta);
                let left = i128::from(*stock) - i128::from(self.sold);
                if expected != Some(*stock) || left != i128::from(*unsold) {
                    let (id, had, sold) = (&self.product_id, self.stock, self.sold);
                    faults.add(FaultKind::Broken, || {
                        format!(
                            "sequence {sequence}: {id} had {had} and sold {sold}, {delta} \
                             leaves {stock} with {unsold} unsold?"
                        )
                    });
                }
                self.stock = *stock;
            }
            Decision::OrderPlaced { buyer_id, lines } => {
                self.sell(sequence, handle, buyer_id, lines, faults);
            }
            Decision::TermsChanged { oversell_limit, per_buyer_limit, .. } => {
                self.oversell_limit = oversell_limit.unwrap_or(self.oversell_limit);
                if let Some(limit) = per_buyer_limit {
                    self.per_buyer_limit = limit.unwrap_or(0);
                }
                if self.per_buyer_limit == 0 {
                    self.bought.clear();
                }
            }
            Decision::ProductCreated { .. } | Decision::RefusalsCounted { .. } => {}
        }
    }

    fn sell(
        &mut self,
        sequence: u64,
        handle: u32,
        buyer_id: &str,
        lines: &[Line],
        faults: &mut Faults,
    ) {
        let own = lines.iter().filter(|line| line.product == handle);
        let units: u64 = own.map(|line| u64::from(line.quantity)).sum();
        self.sold += units;
        self.orders += 1;
        if self.per_buyer_limit == 0 {
            return;
        }
        let bought = self.bought.entry(buyer_id.into()).or_insert(0);
        *bought += units;
        let (bought, limit) = (*bought, self.per_buyer_limit);
        if bought > u64::from(limit) {
            let id = &self.product_id;
            faults.add(FaultKind::Broken, || {
                format!(
                    "sequence {sequence}: {buyer_id} has {bought} of {id}, the limit is {limit}"
                )
            });
        }
    }
}
