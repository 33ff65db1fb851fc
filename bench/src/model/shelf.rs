//! One product of the log: its figures, and how much each buyer has while there is a limit.

use std::collections::HashMap;

use super::held::Held;
use crate::faults::{FaultKind, Faults};
use crate::payload::{Decision, Line, Terms};

/// One product.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The shop's id.
    pub product_id: Box<str>,
    /// Units put in, less those written off.
    pub stock: u64,
    /// Units in live holds.
    pub held: u64,
    /// Units in orders, less returned.
    pub sold: u64,
    /// Units that may be sold beyond the stock.
    pub oversell_limit: u32,
    /// Units that are not for sale.
    pub safety_stock: u32,
    /// First moment of the window; 0: none.
    pub opens_at_ms: u64,
    /// End of the window; `u64::MAX`: none.
    pub closes_at_ms: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// How often its terms were set.
    pub terms_version: u32,
    pub(super) version: u64,
    per_buyer_limit: u32,
    returns_free_limit: bool,
    /// The version that set the limit.
    counted_since: u64,
    /// Units by buyer, while there is a limit.
    bought: HashMap<Box<str>, u64>,
}

/// A decision about one product, with what its bodies do not say.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) sequence: u64,
    pub(super) at_ms: u64,
    pub(super) handle: u32,
    pub(super) decision: &'a Decision<'a>,
    /// The hold that ends by it.
    pub(super) ended: Option<&'a Held>,
}

/// Units of a product over lines.
fn units<'a>(lines: impl IntoIterator<Item = &'a Line>, handle: u32) -> u64 {
    let own = lines.into_iter().filter(|line| line.product == handle);
    own.map(|line| u64::from(line.quantity)).sum()
}

impl Shelf {
    pub(super) fn created(product_id: &str, terms: &Terms<'_>, stock: u64) -> Self {
        Self {
            product_id: product_id.into(),
            stock,
            oversell_limit: terms.oversell_limit,
            safety_stock: terms.safety_stock,
            opens_at_ms: terms.opens_at_ms,
            closes_at_ms: terms.closes_at_ms,
            paused: terms.paused,
            terms_version: 1,
            per_buyer_limit: terms.per_buyer_limit,
            returns_free_limit: terms.returns_free_limit,
            counted_since: 1,
            ..Self::default()
        }
    }

    /// Version after the last record.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Most units of one buyer, 0: no limit.
    #[must_use]
    pub fn per_buyer_limit(&self) -> u32 {
        self.per_buyer_limit
    }

    /// Units that may be sold now.
    #[must_use]
    pub fn available(&self) -> u64 {
        let most = self.stock.saturating_add(u64::from(self.oversell_limit));
        most.saturating_sub(u64::from(self.safety_stock)).saturating_sub(self.held + self.sold)
    }

    /// Whether an order or a hold of `units` may be decided at `at_ms`; otherwise why not.
    pub(super) fn may_sell(&self, units: u64, at_ms: u64) -> Result<(), String> {
        let (id, available) = (&self.product_id, self.available());
        let (opens_at_ms, closes_at_ms) = (self.opens_at_ms, self.closes_at_ms);
        if self.paused {
            return Err(format!("{id} is paused"));
        }
        if !(opens_at_ms..closes_at_ms).contains(&at_ms) {
            let window = format!("from {opens_at_ms} to {closes_at_ms} ms");
            return Err(format!("{id} is open {window}, not at {at_ms} ms"));
        }
        if available < units {
            return Err(format!("{available} of {id} are available, {units} go"));
        }
        Ok(())
    }

    /// Whether units that came with `version` count for a limit now.
    fn counts(&self, version: u64) -> bool {
        self.per_buyer_limit > 0 && version > self.counted_since
    }

    /// Whether a return of units that came with `version` frees a limit now.
    pub(super) fn frees(&self, version: u64) -> bool {
        self.returns_free_limit && self.counts(version)
    }

    /// Whether P1 holds.
    pub(super) fn check(&self, sequence: u64, faults: &mut Faults) {
        let Self { product_id, stock, held, sold, oversell_limit, .. } = self;
        if held + sold > stock + u64::from(*oversell_limit) {
            faults.add(FaultKind::Oversold, || {
                format!(
                    "after sequence {sequence}, {product_id}: {held} held, {sold} sold, \
                     {stock} stock, {oversell_limit} oversell limit"
                )
            });
        }
    }

    pub(super) fn apply(&mut self, about: About<'_>, faults: &mut Faults) {
        let About { sequence, handle, decision, .. } = about;
        match decision {
            Decision::StockAdjusted { delta, stock, unsold, .. } => {
                self.adjust(sequence, (*delta, *stock, *unsold), faults);
            }
            Decision::OrderPlaced { buyer_id, lines } => {
                let units = units(lines, handle);
                self.check_sale(about, units, faults);
                self.sold += units;
                self.count(sequence, buyer_id, units, faults);
            }
            Decision::HoldPlaced { buyer_id, lines, .. } => {
                let units = units(lines, handle);
                self.check_sale(about, units, faults);
                self.held += units;
                self.count(sequence, buyer_id, units, faults);
            }
            Decision::HoldConfirmed { buyer_id, lines, released, .. } => {
                let (sold, released) = (units(lines, handle), units(released, handle));
                self.take(sequence, (0, sold + released, 0), faults);
                self.sold += sold;
                self.settle(about, buyer_id, (sold, released), faults);
            }
            Decision::HoldReleased(hold) | Decision::HoldExpired(hold) => {
                let released = units(&hold.lines, handle);
                self.take(sequence, (0, released, 0), faults);
                self.settle(about, hold.buyer_id, (0, released), faults);
            }
            Decision::OrderCancelled { buyer_id, lines, restocked, .. } => {
                let all = units(lines.iter().map(|returned| &returned.line), handle);
                let freeing = lines.iter().filter(|returned| returned.frees_limit);
                let freed = units(freeing.map(|returned| &returned.line), handle);
                self.take(sequence, (if *restocked { 0 } else { all }, 0, all), faults);
                self.uncount(sequence, buyer_id, freed, faults);
            }
            Decision::TermsChanged {
                opens_at_ms,
                closes_at_ms,
                paused,
                safety_stock,
                oversell_limit,
                per_buyer_limit,
                returns_free_limit,
                ..
            } => {
                self.terms_version += 1;
                self.opens_at_ms = opens_at_ms.unwrap_or(self.opens_at_ms);
                self.closes_at_ms = closes_at_ms.unwrap_or(self.closes_at_ms);
                self.paused = paused.unwrap_or(self.paused);
                self.safety_stock = safety_stock.unwrap_or(self.safety_stock);
                self.oversell_limit = oversell_limit.unwrap_or(self.oversell_limit);
                self.returns_free_limit = returns_free_limit.unwrap_or(self.returns_free_limit);
                self.limit(*per_buyer_limit);
            }
            Decision::ProductCreated { .. }
            | Decision::RefusalsCounted { .. }
            | Decision::HoldExtended { .. }
            | Decision::SellingPaused { .. } => {}
        }
    }

    fn check_sale(&self, about: About<'_>, units: u64, faults: &mut Faults) {
        if let Err(reason) = self.may_sell(units, about.at_ms) {
            faults.add(FaultKind::Broken, || format!("sequence {}: {reason}", about.sequence));
        }
    }

    fn limit(&mut self, set: Option<Option<u32>>) {
        let Some(limit) = set else { return };
        if self.per_buyer_limit == 0 {
            self.counted_since = self.version;
        }
        self.per_buyer_limit = limit.unwrap_or(0);
        if self.per_buyer_limit == 0 {
            self.bought.clear();
        }
    }

    fn adjust(
        &mut self,
        sequence: u64,
        (delta, stock, unsold): (i64, u64, i64),
        faults: &mut Faults,
    ) {
        let expected = self.stock.checked_add_signed(delta);
        let left = i128::from(stock) - i128::from(self.sold);
        if expected != Some(stock) || left != i128::from(unsold) {
            let (id, had, sold) = (&self.product_id, self.stock, self.sold);
            faults.add(FaultKind::Broken, || {
                format!(
                    "sequence {sequence}: {id} had {had} and sold {sold}, {delta} \
                     leaves {stock} with {unsold} unsold?"
                )
            });
        }
        self.stock = stock;
    }

    /// Takes stock, held and sold down; none goes below nothing.
    fn take(&mut self, sequence: u64, less: (u64, u64, u64), faults: &mut Faults) {
        let id = &self.product_id;
        let figures = [
            (&mut self.stock, less.0, "stock"),
            (&mut self.held, less.1, "held"),
            (&mut self.sold, less.2, "sold"),
        ];
        for (figure, less, name) in figures {
            if *figure < less {
                faults.add(FaultKind::Broken, || {
                    format!("sequence {sequence}: {id} had {figure} {name}, {less} go?")
                });
            }
            *figure = figure.saturating_sub(less);
        }
    }

    /// Units an order or a hold takes: never more than the limit.
    fn count(&mut self, sequence: u64, buyer_id: &str, units: u64, faults: &mut Faults) {
        let limit = u64::from(self.per_buyer_limit);
        if limit == 0 {
            return;
        }
        let bought = self.bought.entry(buyer_id.into()).or_insert(0);
        *bought += units;
        let bought = *bought;
        if bought > limit {
            let id = &self.product_id;
            faults.add(FaultKind::Broken, || {
                format!(
                    "sequence {sequence}: {buyer_id} has {bought} of {id}, the limit is {limit}"
                )
            });
        }
    }

    /// What a hold leaves of its buyer's units: one that counted gives back what was released, one
    /// from before the limit counts from its order on, whatever the limit.
    fn settle(
        &mut self,
        about: About<'_>,
        buyer_id: &str,
        (sold, released): (u64, u64),
        faults: &mut Faults,
    ) {
        if self.per_buyer_limit == 0 {
            return;
        }
        let version = about.ended.and_then(|held| held.version_of(about.handle)).unwrap_or(0);
        if self.counts(version) {
            self.uncount(about.sequence, buyer_id, released, faults);
        } else if sold > 0 {
            *self.bought.entry(buyer_id.into()).or_insert(0) += sold;
        }
    }

    fn uncount(&mut self, sequence: u64, buyer_id: &str, units: u64, faults: &mut Faults) {
        let bought = self.bought.get(buyer_id).copied().unwrap_or(0);
        if bought < units {
            let id = &self.product_id;
            faults.add(FaultKind::Broken, || {
                format!("sequence {sequence}: {buyer_id} has {bought} of {id}, {units} are freed?")
            });
        }
        match bought.saturating_sub(units) {
            0 => drop(self.bought.remove(buyer_id)),
            left => drop(self.bought.insert(buyer_id.into(), left)),
        }
    }
}
