//! What became of each line, counted by product and altogether.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use serde::Serialize;

use super::plan::Plan;
use super::products::Opening;
use super::sheet::Line;
use crate::cli::play::book::Book;
use crate::cli::play::check::Check;
use crate::cli::play::number::grouped;
use crate::cli::play::purchase::Outcome;
use crate::journal::OrderId;

/// Lines, units and money of the same kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    /// Lines of the file.
    pub(super) lines: u64,
    /// Units.
    pub(super) units: u64,
    /// Money in minor units.
    pub(super) money_minor: u128,
}

/// One product of the rehearsal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct ProductTally {
    /// Its code.
    pub(super) product_id: String,
    /// What it is called.
    pub(super) name: String,
    /// Units it could sell at the start.
    pub(super) opening_units: u64,
    /// It was on the server already.
    pub(super) reused: bool,
    /// What the lines wanted.
    pub(super) demand: Count,
    /// What was sold.
    pub(super) sold: Count,
    /// What was refused.
    pub(super) refused: Count,
    /// When it sold out: the file's time of the sale that took the last unit.
    #[serde(serialize_with = "as_text")]
    pub(super) sold_out_at: Option<DateTime>,
    /// That line.
    pub(super) sold_out_line: Option<u64>,
    /// When it first turned a line away for want of stock, which it may do with units left.
    #[serde(serialize_with = "as_text")]
    pub(super) first_refused_at: Option<DateTime>,
    /// That line.
    pub(super) first_refused_line: Option<u64>,
    /// Smallest line refused for want of stock.
    #[serde(skip)]
    smallest_refused: Option<u64>,
}

/// Everything that became of the lines.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By product, in the plan's order.
    pub(super) products: Vec<ProductTally>,
    /// Refused lines by the problem's name.
    pub(super) refused_by_reason: BTreeMap<String, u64>,
    /// Lines without an answer that can be used: line and words.
    pub(super) failed: Vec<(u64, String)>,
    /// The orders, as the answers tell them.
    pub(super) answers: Book,
    /// The log's last record before this run, if it could be read.
    before: Option<u64>,
    /// Lines that came out otherwise than one after another they must.
    unexpected: Vec<String>,
}

/// A time of the file as `2010-12-01T08:26:00`; it has no zone.
#[expect(clippy::ref_option, reason = "as serde hands it over")]
fn as_text<S: serde::Serializer>(at: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// Whether an order's record is not behind that place of the log.
fn is_upto(order_id: &str, last: u64) -> bool {
    order_id.parse().is_ok_and(|OrderId(position)| position.sequence.get() <= last)
}

impl Count {
    fn add(&mut self, line: &Line) {
        self.lines += 1;
        self.units += line.quantity;
        self.money_minor += u128::from(line.quantity) * u128::from(line.price_minor);
    }

    fn plus(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            units: self.units + other.units,
            money_minor: self.money_minor + other.money_minor,
        }
    }
}

impl Tally {
    /// Nothing has happened yet.
    pub(super) fn new(plan: &Plan, openings: &[Opening], before: Option<u64>) -> Self {
        let products = plan.products.iter().zip(openings).map(|(product, opening)| ProductTally {
            product_id: product.product_id.clone(),
            name: product.name.clone(),
            opening_units: opening.units,
            reused: opening.reused,
            ..ProductTally::default()
        });
        let mut tally = Self { products: products.collect(), before, ..Self::default() };
        for line in &plan.lines {
            if let Some(product) = tally.products.get_mut(line.product) {
                product.demand.add(line);
            }
        }
        tally
    }

    /// Takes down what became of a line; `expected` is whether it must be sold, if that is known.
    pub(super) fn enter(&mut self, line: &Line, outcome: Outcome, expected: Option<bool>) {
        let Some(product) = self.products.get_mut(line.product) else { return };
        let sold = matches!(outcome, Outcome::Sold { .. });
        match outcome {
            Outcome::Sold { order_id, order, earlier } => {
                // The place of its record tells, also when the first attempt of this run was lost,
                // and a replayed answer may be to that one.
                let earlier = self.before.map_or(earlier, |before| is_upto(&order_id, before));
                if earlier && product.reused {
                    // What was there at the start had these units taken from it already.
                    product.opening_units += line.quantity;
                }
                product.sold.add(line);
                if product.sold.units == product.opening_units {
                    (product.sold_out_line, product.sold_out_at) =
                        (Some(line.number), Some(line.at));
                }
                self.answers.enter(order_id, order);
            }
            Outcome::Refused { reason } => {
                product.refused.add(line);
                if reason == "sold-out" {
                    product.refused_for_want(line);
                }
                *self.refused_by_reason.entry(reason).or_default() += 1;
            }
            Outcome::Failed { what } => self.failed.push((line.number, what)),
        }
        if expected.is_some_and(|expected| expected != sold) {
            self.unexpected.push(format!("line {}", line.number));
        }
    }

    /// Sums over all products.
    pub(super) fn total(&self, of: impl Fn(&ProductTally) -> Count) -> Count {
        self.products.iter().map(of).fold(Count::default(), Count::plus)
    }

    /// What the answers prove by themselves. `alone`: nobody else bought from this server.
    pub(super) fn checks(&self, expected_known: bool, alone: bool) -> Vec<Check> {
        let over = |product: &&ProductTally| product.sold.units > product.opening_units;
        let wanting = |product: &&ProductTally| {
            let left = product.opening_units.saturating_sub(product.sold.units);
            product.smallest_refused.is_some_and(|units| units <= left)
        };
        let ids = |products: Vec<&ProductTally>| -> Vec<String> {
            products.into_iter().map(|product| product.product_id.clone()).collect()
        };
        let failed: Vec<String> =
            self.failed.iter().map(|(line, what)| format!("line {line}: {what}")).collect();
        let mut checks = vec![
            Check::none("lines without an outcome", &failed),
            Check::none(
                "products that sold more than their opening stock",
                &ids(self.products.iter().filter(over).collect()),
            ),
        ];
        let refused = "products that refused a line their stock could serve";
        checks.push(if alone {
            Check::none(refused, &ids(self.products.iter().filter(wanting).collect()))
        } else {
            Check::not_checked(refused, "others may have bought from this server too")
        });
        if expected_known {
            let what = "every line came out as counted beforehand, one after another";
            let lines = self.total(|product| product.demand).lines;
            checks.push(match self.unexpected.is_empty() {
                true => Check::new(what, true, format!("{} lines", grouped(lines))),
                false => Check::none(what, &self.unexpected),
            });
        }
        checks
    }
}

impl ProductTally {
    fn refused_for_want(&mut self, line: &Line) {
        let smallest =
            self.smallest_refused.map_or(line.quantity, |units| units.min(line.quantity));
        self.smallest_refused = Some(smallest);
        // Under pressure answers come in any order; the file's order tells which was first.
        if self.first_refused_line.is_none_or(|first| line.number < first) {
            (self.first_refused_line, self.first_refused_at) = (Some(line.number), Some(line.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::play::book::Order;
    use crate::cli::rehearse::plan::PlannedProduct;
    use crate::domain::Sequence;
    use crate::journal::Position;

    /// Opening units of a product that was there with 3, once an order of 2 units of the record
    /// `sequence` was told: at the first attempt of this run, or else after one that was lost.
    fn opening_units(before: Option<u64>, sequence: u64, at_first_attempt: bool) -> u64 {
        let (product_id, name) = ("p".to_owned(), "A thing".to_owned());
        let plan = Plan {
            run_id: "r".to_owned(),
            products: vec![PlannedProduct { product_id, name, stock: 5 }],
            lines: Vec::new(),
            wishes: Vec::new(),
        };
        let mut tally = Tally::new(&plan, &[Opening { units: 3, reused: true }], before);
        let line = Line {
            number: 1,
            invoice: "i".to_owned(),
            product: 0,
            buyer_id: "b".to_owned(),
            quantity: 2,
            price_minor: 1,
            at: DateTime::constant(2010, 12, 1, 8, 26, 0, 0),
        };
        let sequence = Sequence::new(sequence);
        let order_id = OrderId(Position { partition: 1, epoch: 1, sequence }).to_string();
        let order = Order { buyer_id: "b".to_owned(), reference: None, lines: Vec::new() };
        let outcome = Outcome::Sold { order_id, order, earlier: at_first_attempt };
        tally.enter(&line, outcome, None);
        tally.products.first().map_or(0, |product| product.opening_units)
    }

    #[test]
    fn what_an_earlier_run_sold_was_there_at_the_opening_also_when_this_run_heard_late() {
        assert_eq!(opening_units(Some(10), 10, true), 5);
        assert_eq!(opening_units(Some(10), 10, false), 5, "its first attempt was lost");
        assert_eq!(opening_units(Some(10), 11, false), 3, "this run sold it");
        // Without a log only the first attempt tells.
        assert_eq!(opening_units(None, 10, true), 5);
        assert_eq!(opening_units(None, 11, false), 3);
    }
}
