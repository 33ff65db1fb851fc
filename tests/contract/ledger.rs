//! The log as a ledger: adds it up record by record, in its own way, and finds what may never be.
//!
//! It shares no rule with the engine: what a record says is taken at its word, and summed.

use std::collections::HashMap;

use doorbuster::domain::{
    Decision, OrderCancelled, OrderLine, Patch, ProductCreated, Sequence, TermsChanged,
};
use doorbuster::journal::{JournalReader, Payload, Record};

/// What a product comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) stock: i64,
    pub(crate) held: i64,
    pub(crate) sold: i64,
    oversell_limit: i64,
    paused: bool,
}

/// What a log comes to.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    products: Vec<Sums>,
    names: HashMap<String, usize>,
    /// Lines of live holds.
    holds: HashMap<Sequence, Vec<OrderLine>>,
    /// What is left of the lines of orders.
    orders: HashMap<Sequence, Vec<i64>>,
    paused: bool,
    /// Records that came under a key.
    pub(crate) keys: usize,
    /// Orders, of which confirmed holds.
    pub(crate) sales: usize,
    pub(crate) confirmed: usize,
    pub(crate) expired: usize,
    pub(crate) released: usize,
    pub(crate) cancellations: usize,
}

impl Ledger {
    /// Everything durable.
    ///
    /// # Panics
    /// At the first record that may not be.
    #[track_caller]
    pub(crate) fn of(journal: &JournalReader) -> Self {
        let mut ledger = Self::default();
        let mut tail = journal.tail(Sequence::new(1));
        while let Some(next) = tail.next().expect("a readable log") {
            if let Payload::Record(record) = next.payload {
                let wrong = ledger.add(next.sequence, &record).err();
                assert_eq!(wrong, None, "record {}: {record:?}", next.sequence.get());
            }
        }
        ledger
    }

    /// What a product comes to.
    #[track_caller]
    pub(crate) fn product(&self, id: &str) -> Sums {
        self.products[self.names[id]]
    }

    /// Every product.
    pub(crate) fn products(&self) -> impl Iterator<Item = (&str, Sums)> {
        self.names.iter().map(|(id, place)| (&**id, self.products[*place]))
    }

    /// Holds that have not ended.
    pub(crate) fn live_holds(&self) -> usize {
        self.holds.len()
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, sequence: Sequence, record: &Record) -> Result<(), &'static str> {
        self.keys += usize::from(record.envelope.key.is_some());
        match &record.decision {
            Decision::ProductCreated(created) => self.create(created),
            Decision::TermsChanged(changed) => self.change(changed, record),
            Decision::StockAdjusted(adjusted) => {
                self.products[adjusted.product.index()].stock += adjusted.delta;
            }
            Decision::OrderPlaced(order) => {
                self.may_sell(&order.lines)?;
                self.sell(sequence, &order.lines);
            }
            Decision::HoldPlaced(hold) => {
                self.may_sell(&hold.lines)?;
                self.hold(&hold.lines, 1);
                self.holds.insert(sequence, hold.lines.to_vec());
            }
            Decision::HoldExtended(extended) => {
                self.holds.get(&extended.hold).ok_or("an ended hold is extended")?;
            }
            Decision::HoldConfirmed(confirmed) => {
                let units = |lines: &[OrderLine]| -> u64 {
                    lines.iter().map(|line| line.quantity.units()).sum()
                };
                let held = units(&self.end(confirmed.hold)?);
                if held != units(&confirmed.order.lines) + units(&confirmed.released) {
                    return Err("a confirmation loses units");
                }
                self.sell(sequence, &confirmed.order.lines);
                self.confirmed += 1;
            }
            Decision::HoldReleased(ended) => {
                self.end(ended.hold)?;
                self.released += 1;
            }
            Decision::HoldExpired(ended) => {
                self.end(ended.hold)?;
                self.expired += 1;
            }
            Decision::OrderCancelled(cancelled) => self.cancel(cancelled)?,
            Decision::SellingPaused(selling) => self.paused = selling.paused,
            Decision::RefusalsCounted(_) => {}
        }
        let sound = |sums: &Sums| {
            let Sums { stock, held, sold, oversell_limit, .. } = *sums;
            stock >= 0 && held >= 0 && sold >= 0 && held + sold <= stock + oversell_limit
        };
        self.products.iter().all(sound).then_some(()).ok_or("oversold")
    }

    fn create(&mut self, created: &ProductCreated) {
        let ProductCreated { product_id, terms, stock } = created;
        self.names.insert(product_id.as_str().to_owned(), self.products.len());
        let stock = i64::try_from(*stock).expect("a stock below 2^53");
        let (oversell_limit, paused) = (terms.oversell_limit.into(), terms.paused);
        self.products.push(Sums { stock, oversell_limit, paused, ..Sums::default() });
    }

    fn change(&mut self, changed: &TermsChanged, record: &Record) {
        for change in &record.envelope.changes {
            let product = &mut self.products[change.handle.index()];
            if let Patch::Set(paused) = changed.patch.paused {
                product.paused = paused;
            }
            if let Patch::Set(limit) = changed.patch.oversell_limit {
                product.oversell_limit = limit.into();
            }
        }
    }

    fn may_sell(&self, lines: &[OrderLine]) -> Result<(), &'static str> {
        let paused = lines.iter().any(|line| self.products[line.product.index()].paused);
        if self.paused || paused { Err("sold or held while paused") } else { Ok(()) }
    }

    fn sell(&mut self, sequence: Sequence, lines: &[OrderLine]) {
        self.sales += 1;
        for line in lines {
            self.products[line.product.index()].sold += units(line);
        }
        self.orders.insert(sequence, lines.iter().map(units).collect());
    }

    fn hold(&mut self, lines: &[OrderLine], sign: i64) {
        for line in lines {
            self.products[line.product.index()].held += sign * units(line);
        }
    }

    fn end(&mut self, hold: Sequence) -> Result<Vec<OrderLine>, &'static str> {
        let lines = self.holds.remove(&hold).ok_or("a hold ends twice")?;
        self.hold(&lines, -1);
        Ok(lines)
    }

    fn cancel(&mut self, cancelled: &OrderCancelled) -> Result<(), &'static str> {
        self.cancellations += 1;
        let left = self.orders.get_mut(&cancelled.order).ok_or("no such order")?;
        for line in &cancelled.lines {
            let units = i64::try_from(line.quantity.units()).expect("a quantity");
            let left = left.get_mut(line.place as usize).ok_or("no such line")?;
            *left -= units;
            if *left < 0 {
                return Err("units come back twice");
            }
            let product = &mut self.products[line.product.index()];
            product.sold -= units;
            product.stock -= if cancelled.restocked { 0 } else { units };
        }
        Ok(())
    }
}

fn units(line: &OrderLine) -> i64 {
    i64::try_from(line.quantity.units()).expect("a quantity")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::house::{House, Plan};
    use crate::wire::Ask;

    fn records(house: &House) -> Vec<(Sequence, Record)> {
        let mut tail = house.engine.journal().expect("a journal").tail(Sequence::new(1));
        let mut records = Vec::new();
        while let Some(next) = tail.next().expect("a readable log") {
            if let Payload::Record(record) = next.payload {
                records.push((next.sequence, record));
            }
        }
        records
    }

    fn first_wrong(records: &[&(Sequence, Record)]) -> Option<&'static str> {
        let mut ledger = Ledger::default();
        records.iter().find_map(|(sequence, record)| ledger.add(*sequence, record).err())
    }

    /// What tells the rows of races right from wrong is itself shown every wrong outcome.
    #[test]
    fn what_may_never_be_is_found() {
        let house = House::open(Plan::default());
        house.product("p", 5, json!({}));
        let hold = r#"{"buyer_id":"b","ttl_ms":60000,"lines":[{"product_id":"p","quantity":3}]}"#;
        let hold = Ask::post("/v1/holds", "h", hold).to(house.address).ok(201);
        let confirm = format!("/v1/holds/{}/confirm", hold["hold_id"].as_str().unwrap());
        let order = Ask::post(&confirm, "c", "").to(house.address).ok(201);
        let buy = r#"{"product_id":"p","buyer_id":"b","quantity":2}"#;
        Ask::post("/v1/purchases", "p", buy).to(house.address).ok(201);
        let cancel = format!("/v1/orders/{}/cancel", order["order_id"].as_str().unwrap());
        Ask::post(&cancel, "x", r#"{"reason":"r"}"#).to(house.address).ok(200);
        for pause in ["/v1/products/p", "/v1/sales"] {
            Ask::patch(pause, r#"{"paused":true}"#).to(house.address).ok(200);
        }
        let records = records(&house);
        let [create, hold, confirm, buy, cancel, pause, all] = &*records else {
            panic!("{records:?}")
        };
        assert_eq!(first_wrong(&records.iter().collect::<Vec<_>>()), None);
        for (wrong, records) in [
            ("a hold ends twice", vec![create, hold, confirm, confirm]),
            ("oversold", vec![create, hold, confirm, buy, buy]),
            ("units come back twice", vec![create, hold, confirm, cancel, cancel]),
            ("sold or held while paused", vec![create, pause, buy]),
            ("sold or held while paused", vec![create, all, hold]),
        ] {
            assert_eq!(first_wrong(&records), Some(wrong));
        }
    }
}
