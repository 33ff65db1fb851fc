//! What a log tells by itself: figures, holds and orders, by rules of its own.

use std::collections::{BTreeMap, BTreeSet};

use doorbuster::domain::{Decision, HoldEnd};
use doorbuster::journal::Record;

use crate::ledger::{PRODUCTS, STOCK, Units, Wish, wish_of};

/// A hold the log tells of.
pub(crate) struct Hold {
    pub(crate) end: Option<HoldEnd>,
    units: Units,
}

#[derive(Default)]
pub(crate) struct Tale {
    /// What each key made, and where.
    pub(crate) by_key: BTreeMap<u64, (u64, Wish)>,
    pub(crate) holds: BTreeMap<u64, Hold>,
    pub(crate) cancelled: BTreeSet<u64>,
    /// Units that were available of a product at some time.
    pub(crate) available_once: BTreeSet<(u32, u64)>,
    orders: BTreeMap<u64, Units>,
    /// Held and sold, by product.
    taken: BTreeMap<u32, u64>,
}

impl Tale {
    /// Follows the next decision.
    pub(crate) fn follow(&mut self, sequence: u64, record: &Record) -> Result<(), String> {
        let decision = &record.decision;
        self.happen(sequence, decision).map_err(|error| format!("{sequence}: {error}"))?;
        if let (Some(stamp), Some(wish)) = (&record.envelope.key, wish_of(decision)) {
            let key = u64::from_le_bytes(*stamp.hash.first_chunk().ok_or("a key")?);
            if let Some((first, _)) = self.by_key.insert(key, (sequence, wish)) {
                return Err(format!("key {key} is at {first} and at {sequence}"));
            }
        }
        for product in 0..PRODUCTS {
            let taken = self.taken.get(&product).copied().unwrap_or(0);
            let left = STOCK.checked_sub(taken);
            let left = left.ok_or_else(|| format!("{taken} of product {product} are taken"))?;
            self.available_once.insert((product, left));
        }
        Ok(())
    }

    fn happen(&mut self, sequence: u64, decision: &Decision) -> Result<(), String> {
        match (decision, wish_of(decision)) {
            (_, Some(Wish::Buy(units))) => {
                self.take(&units);
                self.orders.insert(sequence, units);
            }
            (_, Some(Wish::Hold(units))) => {
                self.take(&units);
                self.holds.insert(sequence, Hold { end: None, units });
            }
            (_, Some(Wish::Extend(hold))) => {
                let live = self.holds.get(&hold).is_some_and(|hold| hold.end.is_none());
                live.then_some(()).ok_or_else(|| format!("hold {hold} is not live"))?;
            }
            (_, Some(Wish::Confirm(hold))) => {
                let units = self.end(hold, HoldEnd::Confirmed)?;
                self.orders.insert(sequence, units);
            }
            (_, Some(Wish::Release(hold))) => {
                let units = self.end(hold, HoldEnd::Released)?;
                self.give_back(&units);
            }
            (Decision::HoldExpired(ended), _) => {
                let units = self.end(ended.hold.get(), HoldEnd::Expired)?;
                self.give_back(&units);
            }
            (_, Some(Wish::Cancel(order))) => {
                if !self.cancelled.insert(order) {
                    return Err(format!("order {order} is cancelled twice"));
                }
                let units = self.orders.get(&order).cloned();
                self.give_back(&units.ok_or_else(|| format!("there is no order {order}"))?);
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, units: &[(u32, u64)]) {
        for (product, units) in units {
            *self.taken.entry(*product).or_default() += units;
        }
    }

    fn give_back(&mut self, units: &[(u32, u64)]) {
        for (product, units) in units {
            *self.taken.entry(*product).or_default() -= units;
        }
    }

    fn end(&mut self, hold: u64, end: HoldEnd) -> Result<Units, String> {
        let found = self.holds.get_mut(&hold).ok_or_else(|| format!("there is no hold {hold}"))?;
        match found.end.replace(end) {
            None => Ok(found.units.clone()),
            Some(first) => Err(format!("hold {hold} is {first:?}, then {end:?}")),
        }
    }
}
