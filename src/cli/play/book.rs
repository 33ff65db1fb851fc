//! Orders as one witness tells them: the answers, the log, or the database.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

/// A price in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Price {
    /// Pence, cents, yen.
    pub(crate) amount_minor: u64,
    /// ISO 4217.
    pub(crate) currency: String,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which product.
    pub(crate) product_id: String,
    /// How many units.
    pub(crate) quantity: u64,
    /// The price of one.
    pub(crate) unit_price: Option<Price>,
}

/// One order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Who bought.
    pub(crate) buyer_id: String,
    /// The shop's number for it.
    pub(crate) reference: Option<String>,
    /// What.
    pub(crate) lines: Vec<Line>,
}

/// Orders by their id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    orders: HashMap<String, Order>,
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

impl Price {
    /// The price in `{amount_minor, currency}`.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let amount_minor = value.get("amount_minor")?.as_u64()?;
        let currency = value.get("currency")?.as_str()?.to_owned();
        Some(Self { amount_minor, currency })
    }
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

    /// Orders in it.
    pub(crate) fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether it has an order.
    pub(crate) fn has(&self, order_id: &str) -> bool {
        self.orders.contains_key(order_id)
    }

    /// This book and another's orders in one.
    pub(crate) fn with(mut self, other: Self) -> Self {
        other.orders.into_iter().for_each(|(order_id, order)| self.enter(order_id, order));
        self.twice.extend(other.twice);
        self
    }

    /// The orders of this book that `other` has too, as they stand here.
    pub(crate) fn only(&self, other: &Self) -> Self {
        let orders = self.orders.iter().filter(|(order_id, _)| other.has(order_id));
        let orders = orders.map(|(order_id, order)| (order_id.clone(), order.clone())).collect();
        Self { orders, twice: Vec::new() }
    }

    /// The ids in it.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.orders.keys().map(String::as_str)
    }

    /// Ids that were told twice.
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
        totals
    }

    /// How `other` differs from this one; ids in order.
    pub(crate) fn compare(&self, other: &Self) -> Difference {
        let mut difference = Difference::default();
        for (order_id, order) in &self.orders {
            match other.orders.get(order_id) {
                None => difference.missing.push(order_id.clone()),
                Some(theirs) if theirs != order => difference.changed.push(order_id.clone()),
                Some(_) => {}
            }
        }
        let extra = other.orders.keys().filter(|id| !self.has(id)).cloned();
        difference.extra.extend(extra);
        difference.missing.sort_unstable();
        difference.extra.sort_unstable();
        difference.changed.sort_unstable();
        difference
    }
}

impl Totals {
    /// Adds one line; its order is counted by the caller.
    fn add(&mut self, line: &Line) {
        self.units += line.quantity;
        if let Some(price) = &line.unit_price {
            let money = u128::from(price.amount_minor) * u128::from(line.quantity);
            *self.money_minor.entry(price.currency.clone()).or_default() += money;
        }
    }
}

impl Difference {
    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.changed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(product_id: &str, quantity: u64) -> Order {
        let unit_price = Some(Price { amount_minor: 255, currency: "GBP".into() });
        let line = Line { product_id: product_id.into(), quantity, unit_price };
        Order { buyer_id: "b".into(), reference: None, lines: vec![line] }
    }

    fn book(orders: &[(&str, Order)]) -> Book {
        let mut book = Book::default();
        orders.iter().for_each(|(id, order)| book.enter((*id).to_owned(), order.clone()));
        book
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
    fn an_id_told_twice_is_counted_once_and_remembered() {
        let book = book(&[("o1", order("p", 1)), ("o1", order("p", 1)), ("o2", order("q", 3))]);
        assert_eq!(book.twice(), ["o1"]);
        let totals = book.totals();
        assert_eq!((totals.orders, totals.units), (2, 4));
        assert_eq!(totals.money_minor.get("GBP"), Some(&1_020));
    }
}
