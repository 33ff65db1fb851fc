//! What a record does to the products it changes, as sums over its lines.

use std::collections::HashMap;

use super::line::Delta;
use crate::domain::{Decision, Handle, OrderLine, Patch};
use crate::journal::Record;

/// A record, summed up.
pub(super) struct Effect {
    by_product: HashMap<Handle, Delta>,
    /// The limit it sets for every product it changes.
    sets_limit: Option<u32>,
    /// The hold it ends.
    pub(super) hold: Option<u64>,
    /// The order of which units come back.
    pub(super) order: Option<u64>,
    /// Why stock is adjusted.
    pub(super) reason: Option<&'static str>,
}

impl Effect {
    /// Of a record.
    pub(super) fn of(record: &Record) -> Self {
        let mut effect = Self {
            by_product: HashMap::new(),
            sets_limit: None,
            hold: None,
            order: None,
            reason: None,
        };
        match &record.decision {
            Decision::ProductCreated(created) => {
                let handle = record.envelope.changes.first().map(|change| change.handle);
                if let Some(handle) = handle {
                    effect.on(handle).stock = created.stock.cast_signed();
                }
                effect.sets_limit = Some(created.terms.oversell_limit);
            }
            Decision::TermsChanged(changed) => {
                if let Patch::Set(limit) = changed.patch.oversell_limit {
                    effect.sets_limit = Some(limit);
                }
            }
            Decision::StockAdjusted(adjusted) => {
                effect.on(adjusted.product).stock = adjusted.delta;
                effect.reason = Some(adjusted.reason.as_str());
            }
            Decision::OrderPlaced(order) => effect.lines(&order.lines, 0, 1),
            Decision::HoldPlaced(placed) => effect.lines(&placed.lines, 1, 0),
            Decision::HoldConfirmed(confirmed) => {
                effect.lines(&confirmed.order.lines, -1, 1);
                effect.lines(&confirmed.released, -1, 0);
                effect.hold = Some(confirmed.hold.get());
            }
            Decision::HoldReleased(ended) | Decision::HoldExpired(ended) => {
                effect.lines(&ended.lines, -1, 0);
                effect.hold = Some(ended.hold.get());
            }
            Decision::OrderCancelled(cancelled) => {
                for line in &cancelled.lines {
                    let units = line.quantity.units().cast_signed();
                    let delta = effect.on(line.product);
                    delta.sold -= units;
                    if !cancelled.restocked {
                        delta.stock -= units;
                    }
                }
                effect.order = Some(cancelled.order.get());
            }
            Decision::RefusalsCounted(_)
            | Decision::HoldExtended(_)
            | Decision::SellingPaused(_) => {}
        }
        effect
    }

    fn on(&mut self, product: Handle) -> &mut Delta {
        self.by_product.entry(product).or_default()
    }

    fn lines(&mut self, lines: &[OrderLine], held: i64, sold: i64) {
        for line in lines {
            let units = line.quantity.units().cast_signed();
            let delta = self.on(line.product);
            delta.held += held * units;
            delta.sold += sold * units;
        }
    }

    /// What it does to a product that has this limit.
    pub(super) fn delta(&self, product: Handle, oversell_limit: u64) -> Delta {
        let mut delta = self.by_product.get(&product).copied().unwrap_or_default();
        if let Some(limit) = self.sets_limit {
            delta.oversell_limit = i64::from(limit) - oversell_limit.cast_signed();
        }
        delta
    }
}
