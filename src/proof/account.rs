//! The account of one product: entries in order, what they add up to, and the promise after each.
//!
//! Used twice: to write a proof, where it gives what stands after a decision, and to check one,
//! where it is compared with what the file says. It knows sums, and nothing of the engine.

use std::collections::HashMap;

use super::line::{Closing, Delta, Entry, Standing, Totals};
use crate::domain::FIGURE_MAX;
use crate::journal::Kind;

/// What is known of a product up to an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) version: u64,
    pub(super) opening_stock: u64,
    pub(super) opening_limit: u64,
    pub(super) standing: Standing,
    totals: Totals,
    /// Units in live holds, by the sequence of the record that placed them.
    holds: HashMap<u64, u64>,
}

impl Standing {
    /// What stands after a change; `None`: a figure no product has.
    pub(super) fn plus(&self, delta: &Delta) -> Option<Self> {
        let figure = |before: u64, by: i64| {
            before.checked_add_signed(by).filter(|figure| *figure <= FIGURE_MAX)
        };
        Some(Self {
            stock: figure(self.stock, delta.stock)?,
            held: figure(self.held, delta.held)?,
            sold: figure(self.sold, delta.sold)?,
            oversell_limit: figure(self.oversell_limit, delta.oversell_limit)?,
        })
    }

    pub(super) fn held_and_sold(&self) -> u64 {
        self.held + self.sold
    }

    pub(super) fn at_most(&self) -> u64 {
        self.stock + self.oversell_limit
    }
}

impl Account {
    /// What stands after `delta`.
    ///
    /// # Errors
    /// It takes away what is not there.
    pub(super) fn after(&self, delta: &Delta) -> Result<Standing, String> {
        self.standing
            .plus(delta)
            .ok_or_else(|| format!("{delta:?} cannot follow {:?}", self.standing))
    }

    /// Takes the next entry into account.
    ///
    /// # Errors
    /// Why it cannot be the next one.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), String> {
        let expected = self.version + 1;
        if entry.version != expected {
            return Err(format!("version {} where {expected} should be", entry.version));
        }
        check_form(entry)?;
        let after = self.after(&entry.delta)?;
        if entry.after != after {
            return Err(format!("after it stands {:?}, it adds up to {after:?}", entry.after));
        }
        let (taken, at_most) = (after.held_and_sold(), after.at_most());
        if (entry.held_and_sold, entry.at_most) != (taken, at_most) {
            let (said, limit) = (entry.held_and_sold, entry.at_most);
            return Err(format!("{said} of {limit} is said, it adds up to {taken} of {at_most}"));
        }
        if taken > at_most {
            return Err(format!(
                "held + sold is {taken}, stock + oversell_limit {at_most}: oversold"
            ));
        }
        self.take_hold(entry)?;
        if expected == 1 {
            (self.opening_stock, self.opening_limit) = (after.stock, after.oversell_limit);
        }
        self.totals.add(&entry.delta)?;
        (self.version, self.standing) = (expected, after);
        Ok(())
    }

    /// A hold ends once, with the units it was placed with.
    fn take_hold(&mut self, entry: &Entry) -> Result<(), String> {
        match entry.hold {
            None if entry.delta.held > 0 => {
                self.holds.insert(entry.sequence, entry.delta.held.unsigned_abs());
                Ok(())
            }
            None => Ok(()),
            Some(hold) => {
                let ends = entry.delta.held.unsigned_abs();
                match self.holds.remove(&hold) {
                    Some(units) if units == ends => Ok(()),
                    Some(units) => Err(format!("hold {hold} has {units} units, {ends} end")),
                    None => Err(format!("there is no live hold {hold} to end")),
                }
            }
        }
    }

    /// How it stands at the end.
    pub(super) fn closing(&self, product_id: &str) -> Closing {
        let Standing { stock, held, sold, oversell_limit } = self.standing;
        Closing {
            product_id: product_id.to_owned(),
            version: self.version,
            opening_stock: self.opening_stock,
            stock,
            held,
            sold,
            oversell_limit,
            totals: self.totals,
        }
    }
}

impl Totals {
    fn add(&mut self, delta: &Delta) -> Result<(), String> {
        let sums = [
            (delta.stock, &mut self.stock_added, &mut self.stock_removed),
            (delta.held, &mut self.held_added, &mut self.held_removed),
            (delta.sold, &mut self.sold_added, &mut self.sold_removed),
        ];
        for (by, added, removed) in sums {
            let sum = if by < 0 { removed } else { added };
            *sum = sum.checked_add(by.unsigned_abs()).ok_or("the totals are too large")?;
        }
        Ok(())
    }
}

/// Whether an entry's kind can move what it moves, and has the fields that go with it.
fn check_form(entry: &Entry) -> Result<(), String> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == entry.kind);
    let Delta { stock, held, sold, oversell_limit } = entry.delta;
    let first = entry.version == 1;
    let moves = match kind {
        Some(Kind::ProductCreated) => {
            first && stock >= 0 && oversell_limit >= 0 && (held, sold) == (0, 0)
        }
        Some(Kind::TermsChanged) => !first && (stock, held, sold) == (0, 0, 0),
        Some(Kind::StockAdjusted) => !first && (held, sold, oversell_limit) == (0, 0, 0),
        Some(Kind::OrderPlaced) => !first && sold > 0 && (stock, held, oversell_limit) == (0, 0, 0),
        Some(Kind::HoldPlaced) => !first && held > 0 && (stock, sold, oversell_limit) == (0, 0, 0),
        Some(Kind::HoldConfirmed) => {
            let left = held.checked_add(sold);
            held < 0 && sold >= 0 && left <= Some(0) && (stock, oversell_limit) == (0, 0)
        }
        Some(Kind::HoldReleased | Kind::HoldExpired) => {
            held < 0 && (stock, sold, oversell_limit) == (0, 0, 0)
        }
        Some(Kind::OrderCancelled) => {
            sold < 0 && (stock == 0 || stock == sold) && (held, oversell_limit) == (0, 0)
        }
        _ => return Err(format!("no record of kind {} changes a product", entry.kind)),
    };
    if !moves {
        return Err(format!("a record of kind {} does not move {:?}", entry.kind, entry.delta));
    }
    let ends_hold =
        matches!(kind, Some(Kind::HoldConfirmed | Kind::HoldReleased | Kind::HoldExpired));
    let cancels = kind == Some(Kind::OrderCancelled);
    let adjusts = kind == Some(Kind::StockAdjusted);
    let said = (entry.hold.is_some(), entry.order.is_some(), entry.reason.is_some());
    if said != (ends_hold, cancels, adjusts) {
        return Err(format!("a record of kind {} has other fields", entry.kind));
    }
    let earlier = entry.hold.or(entry.order);
    if earlier.is_some_and(|earlier| earlier == 0 || earlier >= entry.sequence) {
        return Err("it speaks of a hold or an order that is not before it".to_owned());
    }
    Ok(())
}
