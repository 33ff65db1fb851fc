//! Orders and adjustments as one witness tells them: the answers, the log, or the database.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::order::{Adjustment, Line, Order, Status};

/// Orders by their id, adjustments by the sequence of their record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    orders: HashMap<String, Order>,
    adjustments: HashMap<u64, Adjustment>,
    twice: Vec<String>,
}

/// What a witness counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Orders.
    pub(crate) orders: u64,
    /// Units in them.
    pub(crate) units: u64,
    /// Money in them by currency, in minor units.
    pub(crate) money_minor: BTreeMap<String, u128>,
    /// Units of them that came back.
    pub(crate) cancelled_units: u64,
    /// Money in these.
    pub(crate) cancelled_money_minor: BTreeMap<String, u128>,
    /// Units written off by adjustments.
    pub(crate) written_off_units: u64,
    /// Units put in by adjustments.
    pub(crate) returned_units: u64,
}

/// How two witnesses differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Only the first knows these.
    pub(crate) missing: Vec<String>,
    /// Only the second knows these.
    pub(crate) extra: Vec<String>,
    /// Both know them, but not the same.
    pub(crate) changed: Vec<String>,
}

impl Book {
    /// Takes an order down; an id that stands here already is remembered as told twice.
    pub(crate) fn enter(&mut self, order_id: String, order: Order) {
        match self.orders.entry(order_id) {
            Entry::Occupied(entry) => self.twice.push(entry.key().clone()),
            Entry::Vacant(entry) => {
                entry.insert(order);
            }
        }
    }

    /// Takes an adjustment down, by the sequence of its record.
    pub(crate) fn adjust(&mut self, sequence: u64, adjustment: Adjustment) {
        if self.adjustments.insert(sequence, adjustment).is_some() {
            self.twice.push(named(sequence));
        }
    }

    /// Takes down that units of an order came back, by the place of each line from 0. Of an order
    /// that does not stand here there is nothing to take down.
    pub(crate) fn cancel(
        &mut self,
        order_id: &str,
        cancelled: impl IntoIterator<Item = (usize, u64)>,
        status: Status,
    ) {
        let Some(order) = self.orders.get_mut(order_id) else { return };
        order.status = status;
        for (place, units) in cancelled {
            if let Some(line) = order.lines.get_mut(place) {
                line.cancelled += units;
            }
        }
    }

    /// Whether nothing stands in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.adjustments.is_empty()
    }

    /// Orders in it.
    pub(crate) fn len(&self) -> usize {
        self.orders.len()
    }

    /// Adjustments in it.
    pub(crate) fn adjustments(&self) -> usize {
        self.adjustments.len()
    }

    /// An order in it.
    pub(crate) fn order(&self, order_id: &str) -> Option<&Order> {
        self.orders.get(order_id)
    }

    /// This book and another's orders in one.
    pub(crate) fn with(mut self, other: Self) -> Self {
        other.orders.into_iter().for_each(|(order_id, order)| self.enter(order_id, order));
        let adjustments = other.adjustments.into_iter();
        adjustments.for_each(|(sequence, adjustment)| self.adjust(sequence, adjustment));
        self.twice.extend(other.twice);
        self
    }

    /// What of this book `other` tells of too, as it stands here.
    pub(crate) fn only(&self, other: &Self) -> Self {
        let orders = self.orders.iter().filter(|(id, _)| other.orders.contains_key(*id));
        let orders = orders.map(|(order_id, order)| (order_id.clone(), order.clone())).collect();
        let adjustments = self.adjustments.iter();
        let adjustments = adjustments.filter(|(place, _)| other.adjustments.contains_key(place));
        let adjustments = adjustments.map(|(place, told)| (*place, told.clone())).collect();
        Self { orders, adjustments, twice: Vec::new() }
    }

    /// The ids of its orders.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.orders.keys().map(String::as_str)
    }

    /// The sequences of its adjustments.
    pub(crate) fn adjusted_at(&self) -> impl Iterator<Item = u64> {
        self.adjustments.keys().copied()
    }

    /// What was told twice.
    pub(crate) fn twice(&self) -> &[String] {
        &self.twice
    }

    /// What it counts altogether.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for order in self.orders.values() {
            totals.orders += 1;
            order.lines.iter().for_each(|line| totals.add(line));
        }
        for adjustment in self.adjustments.values() {
            let units = adjustment.delta.unsigned_abs();
            match adjustment.delta {
                ..0 => totals.written_off_units += units,
                _ => totals.returned_units += units,
            }
        }
        totals
    }

    /// How `other` differs from this one; ids in order.
    pub(crate) fn compare(&self, other: &Self) -> Difference {
        let mut difference = Difference::default();
        difference.of(&self.orders, &other.orders, String::clone);
        difference.of(&self.adjustments, &other.adjustments, |sequence| named(*sequence));
        difference.missing.sort_unstable();
        difference.extra.sort_unstable();
        difference.changed.sort_unstable();
        difference
    }
}

/// What an adjustment is called; it has no id.
fn named(sequence: u64) -> String {
    format!("the adjustment at record {sequence}")
}

impl Totals {
    /// Adds one line; its order is counted by the caller.
    fn add(&mut self, line: &Line) {
        self.units += line.quantity;
        self.cancelled_units += line.cancelled;
        if let Some(price) = &line.unit_price {
            let money = |units: u64| u128::from(price.amount_minor) * u128::from(units);
            *self.money_minor.entry(price.currency.clone()).or_default() += money(line.quantity);
            if line.cancelled > 0 {
                let sum = self.cancelled_money_minor.entry(price.currency.clone()).or_default();
                *sum += money(line.cancelled);
            }
        }
    }
}

impl Difference {
    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.changed.is_empty()
    }

    fn of<K: Eq + std::hash::Hash, V: PartialEq>(
        &mut self,
        ours: &HashMap<K, V>,
        theirs: &HashMap<K, V>,
        name: impl Fn(&K) -> String,
    ) {
        for (id, told) in ours {
            match theirs.get(id) {
                None => self.missing.push(name(id)),
                Some(other) if other != told => self.changed.push(name(id)),
                Some(_) => {}
            }
        }
        self.extra.extend(theirs.keys().filter(|id| !ours.contains_key(id)).map(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::play::order::Price;

    fn order(product_id: &str, quantity: u64) -> Order {
        let unit_price = Some(Price { amount_minor: 255, currency: "GBP".into() });
        let lines = vec![Line::new(product_id.into(), quantity, unit_price)];
        Order { buyer_id: "b".into(), lines, ..Order::default() }
    }

    fn book(orders: &[(&str, Order)]) -> Book {
        let mut book = Book::default();
        orders.iter().for_each(|(id, order)| book.enter((*id).to_owned(), order.clone()));
        book
    }

    fn adjustment(delta: i64) -> Adjustment {
        let (product_id, reason) = ("p".to_owned(), "damaged".to_owned());
        Adjustment { product_id, delta, reason, text: None, reference: None }
    }

    #[test]
    fn witnesses_differ_by_what_is_missing_extra_and_changed() {
        let ours = book(&[("o1", order("p", 1)), ("o2", order("p", 2)), ("o3", order("q", 1))]);
        assert!(ours.compare(&ours.clone()).is_none());
        let theirs = book(&[("o2", order("p", 2)), ("o3", order("q", 9)), ("o4", order("q", 1))]);
        let difference = ours.compare(&theirs);
        assert_eq!(difference.missing, ["o1"]);
        assert_eq!(difference.extra, ["o4"]);
        assert_eq!(difference.changed, ["o3"]);
    }

    #[test]
    fn what_came_back_and_what_was_written_off_must_agree_too() {
        let mut ours = book(&[("o1", order("p", 3))]);
        let mut theirs = ours.clone();
        ours.cancel("o1", [(0, 2)], Status::PartlyCancelled);
        assert_eq!(ours.compare(&theirs).changed, ["o1"]);
        theirs.cancel("o1", [(0, 2)], Status::Cancelled);
        assert_eq!(ours.compare(&theirs).changed, ["o1"], "the status must agree with the lines");
        theirs.cancel("o1", [], Status::PartlyCancelled);
        assert!(ours.compare(&theirs).is_none());
        ours.adjust(7, adjustment(-4));
        ours.adjust(8, adjustment(3));
        theirs.adjust(7, adjustment(-5));
        let difference = ours.compare(&theirs);
        assert_eq!(difference.changed, ["the adjustment at record 7"]);
        assert_eq!(difference.missing, ["the adjustment at record 8"]);
        let totals = ours.totals();
        assert_eq!((totals.units, totals.cancelled_units), (3, 2));
        assert_eq!((totals.written_off_units, totals.returned_units), (4, 3));
        assert_eq!(totals.cancelled_money_minor.get("GBP"), Some(&510));
    }

    #[test]
    fn an_id_told_twice_is_counted_once_and_remembered() {
        let book = book(&[("o1", order("p", 1)), ("o1", order("p", 1)), ("o2", order("q", 3))]);
        assert_eq!(book.twice(), ["o1"]);
        let totals = book.totals();
        assert_eq!((totals.orders, totals.units), (2, 4));
        assert_eq!(totals.money_minor.get("GBP"), Some(&1_020));
    }
}
