//! What a log says by itself: products, figures, buyers, holds, orders, keys, rebuilt record by
//! record.
//!
//! Proves, without knowing what anybody asked: sequences and versions have no gap, handles are
//! given in order, time never goes back, `held + sold <= stock + oversell_limit` after every
//! record, an adjustment leaves the figures it says, no buyer passes a limit by an order or a hold,
//! each hold ends at most once, as what it was, and before anything later when its time is over, no
//! unit of an order comes back twice, nothing is sold while all selling is paused, no key makes two
//! records within the 24 hours it is kept, every decision that a key must bring stands under one.
//! A record that does not fit is told and still counted, so that one fault is not told a thousand
//! times.

mod held;
mod placed;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use self::placed::Cancelling;
use self::shelf::About;
use crate::faults::{FaultKind, Faults};
use crate::log::{End, Log, LogError};
use crate::payload::{Decision, Envelope, KINDS, Line, Payload, Terms};

pub use self::held::{Held, HoldEnd, Holds};
pub use self::placed::{Orders, Placed};
pub use self::shelf::Shelf;

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
    kinds: [u64; KINDS.len()],
    holds: Holds,
    orders: Orders,
    selling_paused: bool,
}

impl Model {
    /// Before the record after `last_sequence`.
    #[must_use]
    pub fn after(last_sequence: u64) -> Self {
        Self { last_sequence, ..Self::default() }
    }

    /// A whole log by itself, and where it ends.
    ///
    /// # Errors
    /// It is damaged.
    pub fn of_log(log: &Log, faults: &mut Faults) -> Result<(Self, End), LogError> {
        let first = log.first_sequence();
        let mut model = Self::after(first - 1);
        let end = log.read(first, |frame| match Payload::parse(frame.payload) {
            Ok(payload) => model.apply(frame.sequence, &payload, faults),
            Err(error) => {
                faults.add(FaultKind::Broken, || format!("sequence {}: {error}", frame.sequence))
            }
        })?;
        Ok((model, end))
    }

    /// How many records there are of a kind, by its word.
    #[must_use]
    pub fn kind_count(&self, word: &str) -> u64 {
        let of_kind = KINDS.iter().zip(self.kinds()).find(|(name, _)| **name == word);
        of_kind.map_or(0, |(_, count)| *count)
    }

    /// Units sold and not returned, over all products.
    #[must_use]
    pub fn units_sold(&self) -> u64 {
        self.products().iter().map(|shelf| shelf.sold).sum()
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
    pub fn kinds(&self) -> &[u64; KINDS.len()] {
        &self.kinds
    }

    /// Every hold that was placed.
    #[must_use]
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Every order that was placed.
    #[must_use]
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Whether all selling is paused.
    #[must_use]
    pub fn selling_paused(&self) -> bool {
        self.selling_paused
    }

    /// Time of the last record that has one.
    #[must_use]
    pub fn last_at_ms(&self) -> u64 {
        self.last_at_ms
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
                Decision::TermsChanged { .. }
                    | Decision::RefusalsCounted { .. }
                    | Decision::HoldReleased(_)
                    | Decision::HoldExpired(_)
                    | Decision::SellingPaused { .. }
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
        self.check_selling(sequence, decision, faults);
        self.keep_order(sequence, envelope, decision, faults);
        let ended = self.holds.apply(sequence, envelope, decision, faults);
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
            let at_ms = envelope.at_ms;
            shelf.apply(About { sequence, at_ms, handle: *handle, decision, ended }, faults);
            shelf.check(sequence, faults);
        }
        self.named(sequence, envelope, decision, faults);
    }

    /// Nothing is sold or newly held while all selling is paused.
    fn check_selling(&mut self, sequence: u64, decision: &Decision<'_>, faults: &mut Faults) {
        match decision {
            Decision::SellingPaused { paused } => self.selling_paused = *paused,
            Decision::OrderPlaced { .. } | Decision::HoldPlaced { .. } if self.selling_paused => {
                faults.add(FaultKind::Broken, || {
                    format!("sequence {sequence} sells while selling is paused")
                });
            }
            _ => {}
        }
    }

    /// Orders that are placed and cancelled, by the terms before the record.
    fn keep_order(
        &mut self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        faults: &mut Faults,
    ) {
        match decision {
            Decision::OrderPlaced { buyer_id, lines }
            | Decision::HoldConfirmed { buyer_id, lines, .. } => {
                self.orders.place(sequence, buyer_id, lines, &envelope.changes);
            }
            Decision::OrderCancelled { order, buyer_id, lines, whole, .. } => {
                let (order, whole) = (*order, *whole);
                let cancelling = Cancelling { order, buyer_id, lines, whole };
                let products = &self.products;
                let frees = |handle: u32, version| {
                    products.get(handle as usize).is_some_and(|shelf| shelf.frees(version))
                };
                self.orders.cancel(sequence, cancelling, frees, faults);
            }
            _ => {}
        }
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
        self.products.push(Shelf::created(product_id, terms, stock));
    }

    /// The products a decision changes are the ones its body names.
    fn named(
        &self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        faults: &mut Faults,
    ) {
        let changed: BTreeSet<u32> = envelope.changes.iter().map(|(handle, _)| *handle).collect();
        let once = changed.len() == envelope.changes.len();
        let newest = self.products.len().checked_sub(1).and_then(|n| u32::try_from(n).ok());
        let of = |lines: &[Line]| !lines.is_empty() && changed == products(lines);
        let fits = match decision {
            Decision::ProductCreated { .. } => changed.iter().copied().eq(newest),
            Decision::TermsChanged { .. } => !changed.is_empty(),
            Decision::StockAdjusted { product, .. } => changed.iter().eq([product]),
            Decision::OrderPlaced { lines, .. } | Decision::HoldPlaced { lines, .. } => of(lines),
            Decision::HoldConfirmed { lines, released, .. } => {
                !lines.is_empty() && changed == products(lines.iter().chain(released))
            }
            Decision::HoldReleased(ended) | Decision::HoldExpired(ended) => of(&ended.lines),
            Decision::OrderCancelled { lines, .. } => {
                let lines: Vec<Line> = lines.iter().map(|returned| returned.line).collect();
                of(&lines)
            }
            Decision::RefusalsCounted { .. }
            | Decision::HoldExtended { .. }
            | Decision::SellingPaused { .. } => changed.is_empty(),
        };
        let fits = fits && once;
        if !fits {
            faults.add(FaultKind::Broken, || {
                format!("sequence {sequence} changes other products than it names")
            });
        }
    }
}

fn products<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeSet<u32> {
    lines.into_iter().map(|line| line.product).collect()
}
