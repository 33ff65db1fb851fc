//! What became of the steps, counted by product and altogether.
//!
//! Counted after the play, from the answers alone: orders, cancellations and adjustments in the
//! order of their records, whatever connection heard of them first.

use std::collections::BTreeMap;

use super::count::{ProductTally, Sums, signed};
use super::line::Line;
use super::outcome::{Booked, Outcome, Refused, Returned, Sold};
use super::plan::{Plan, Step};
use super::products::Opening;
use crate::cli::play::book::Book;
use crate::cli::play::check::Check;
use crate::journal::OrderId;

/// Everything that became of the steps.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By product, in the plan's order.
    pub(super) products: Vec<ProductTally>,
    /// Refused orders, cancellations and write-offs by the problem's name.
    pub(super) refused_by_reason: BTreeMap<String, u64>,
    /// Lines without an answer that can be used: line and words.
    pub(super) failed: Vec<(u64, String)>,
    /// Orders and adjustments, as the answers tell them.
    pub(super) answers: Book,
    /// What moved units, to be put into the order of the records.
    moves: Vec<Move>,
}

/// Units of a product that moved.
#[derive(Debug, Clone, Copy)]
struct Move {
    sequence: u64,
    product: usize,
    /// Units that became available by it.
    units: i64,
    /// The place of the line that sold them.
    sold: Option<usize>,
    of_earlier_run: bool,
}

impl Tally {
    /// Counts. `before` is the log's last record before this run, if it could be read.
    pub(super) fn new(
        plan: &Plan,
        openings: &[Opening],
        outcomes: &[Outcome],
        before: Option<u64>,
    ) -> Self {
        let products = plan.products.iter().zip(openings).map(|(product, opening)| ProductTally {
            product_id: product.product_id.clone(),
            name: product.name.clone(),
            reused: opening.reused,
            sums: Sums { opening_units: signed(opening.units), ..Sums::default() },
            ..ProductTally::default()
        });
        let mut tally = Self { products: products.collect(), ..Self::default() };
        for (step, outcome) in plan.steps.iter().zip(outcomes) {
            tally.enter(plan, step, outcome, before);
        }
        tally.run_off(plan);
        tally
    }

    fn enter(&mut self, plan: &Plan, step: &Step, outcome: &Outcome, before: Option<u64>) {
        let lines: Vec<&Line> = plan.lines_of(step).collect();
        let Some(head) = lines.first() else { return };
        match (step, outcome) {
            (_, Outcome::Failed(what)) => self.failed.push((head.number, what.clone())),
            (Step::Order(places), Outcome::Sold(sold)) => self.sold(&lines, places, sold, before),
            (Step::Order(_), Outcome::Refused(refused)) => {
                self.missed(&lines, &vec![0; lines.len()], refused);
                self.count_refusal(&refused.reason);
            }
            (Step::Cancellation(_), Outcome::Returned(returned)) => {
                self.returned(head, returned, before);
            }
            (Step::WriteOff(_), Outcome::WrittenOff(booked)) => {
                self.of(head).sums.written_off.add(head.quantity);
                self.booked(head, booked, before);
            }
            (Step::WriteOff(_), Outcome::Kept(refused)) => {
                self.of(head).sums.write_off_refused.add(head.quantity);
                self.count_refusal(&refused.reason);
            }
            _ => self.failed.push((head.number, "an outcome of another kind".to_owned())),
        }
        if matches!(step, Step::Order(_)) {
            lines.iter().for_each(|line| self.of(line).sums.demand.add(line, line.quantity));
        }
    }

    fn sold(&mut self, lines: &[&Line], places: &[usize], sold: &Sold, before: Option<u64>) {
        let order_id: Result<OrderId, _> = sold.order_id.parse();
        let sequence = order_id.map_or(0, |OrderId(position)| position.sequence.get());
        // The place of its record tells, also when the first attempt of this run was lost, and a
        // replayed answer may be to that one.
        let of_earlier_run = before.map_or(sold.of_earlier_run, |before| sequence <= before);
        for ((line, place), units) in lines.iter().zip(places).zip(&sold.got) {
            self.of(line).sums.ordered.add(line, *units);
            let (product, sold) = (line.product, Some(*place));
            let units = -signed(*units);
            if units == 0 {
                continue;
            }
            self.moves.push(Move { sequence, product, units, sold, of_earlier_run });
        }
        if let Some(refused) = &sold.refused {
            self.missed(lines, &sold.got, refused);
        }
        self.answers.enter(sold.order_id.clone(), sold.order.clone());
    }

    /// Counts what lines did not get.
    fn missed(&mut self, lines: &[&Line], got: &[u64], refused: &Refused) {
        for (line, units) in lines.iter().zip(got) {
            self.of(line).sums.refused.add(line, line.quantity - units);
        }
        for short in refused.short.iter().filter(|short| short.sold_out) {
            let line = lines.iter().find(|line| line.product == short.product);
            if let (Some(line), Some(product)) = (line, self.products.get_mut(short.product)) {
                product.refused_for_want(line, *short);
            }
        }
    }

    fn returned(&mut self, line: &Line, returned: &Returned, before: Option<u64>) {
        for back in &returned.back {
            let of_earlier_run =
                before.map_or(back.of_earlier_run, |before| back.sequence <= before);
            for units in &back.units {
                let price = self.price_of(&back.order_id, units.place);
                self.of(line).sums.cancelled.add_at(price, units.units);
                let (sequence, units) = (back.sequence, signed(units.units));
                self.moves.push(Move {
                    sequence,
                    product: line.product,
                    units,
                    sold: None,
                    of_earlier_run,
                });
            }
            let places = back.units.iter().map(|units| (units.place, units.units));
            self.answers.cancel(&back.order_id, places, back.status);
        }
        if let Some(booked) = &returned.booked {
            self.of(line).sums.returned.add(booked.adjustment.delta.unsigned_abs());
            self.booked(line, booked, before);
        }
        returned.refused.iter().for_each(|(_, reason)| self.count_refusal(reason));
        self.failed.extend(returned.failed.iter().map(|what| (line.number, what.clone())));
    }

    fn booked(&mut self, line: &Line, booked: &Booked, before: Option<u64>) {
        let sequence = booked.sequence;
        let of_earlier_run = before.map_or(booked.of_earlier_run, |before| sequence <= before);
        let (product, units) = (line.product, booked.adjustment.delta);
        self.moves.push(Move { sequence, product, units, sold: None, of_earlier_run });
        self.answers.adjust(sequence, booked.adjustment.clone());
    }

    fn count_refusal(&mut self, reason: &str) {
        *self.refused_by_reason.entry(reason.to_owned()).or_default() += 1;
    }

    /// What a unit of an order's line was sold at.
    fn price_of(&self, order_id: &str, place: usize) -> u128 {
        let line = self.answers.order(order_id).and_then(|order| order.lines.get(place));
        let price = line.and_then(|line| line.unit_price.as_ref());
        price.map_or(0, |price| price.amount_minor.into())
    }

    /// Lets the units move in the order of the records: when did a product sell out, and was it
    /// ever sold beyond what it had?
    fn run_off(&mut self, plan: &Plan) {
        self.moves.sort_by_key(|moved| moved.sequence);
        for moved in self.moves.iter().filter(|moved| moved.of_earlier_run) {
            let product = self.products.get_mut(moved.product);
            if let Some(product) = product.filter(|product| product.reused) {
                // What was there at the start had these units taken from it already.
                product.sums.opening_units -= moved.units;
            }
        }
        let mut left: Vec<i64> =
            self.products.iter().map(|product| product.sums.opening_units).collect();
        for moved in &self.moves {
            let product = self.products.get_mut(moved.product);
            let Some((product, left)) = product.zip(left.get_mut(moved.product)) else { continue };
            *left += moved.units;
            product.came_back += moved.units.max(0);
            product.oversold |= *left < 0;
            let line = moved.sold.and_then(|place| plan.lines.get(place));
            if let Some(line) = line.filter(|_| *left == 0 && product.sold_out_line.is_none()) {
                (product.sold_out_line, product.sold_out_at) = (Some(line.number), Some(line.at));
            }
        }
        self.products.iter_mut().for_each(|product| product.sums.finish());
    }

    fn of(&mut self, line: &Line) -> &mut ProductTally {
        self.products.get_mut(line.product).expect("a line's product is in the plan")
    }

    /// Sums over all products.
    pub(super) fn total(&self) -> Sums {
        let mut total = Sums::default();
        self.products.iter().for_each(|product| total.plus(&product.sums));
        total
    }

    /// What the answers prove by themselves. `unexpected`: the lines whose outcome is not the one
    /// that must come of them, where that is certain. `alone`: nobody else bought from this server.
    pub(super) fn checks(&self, unexpected: Option<&[u64]>, alone: bool) -> Vec<Check> {
        let could_serve = |product: &&ProductTally| {
            // What came back may have come after the refusal.
            let left = product.sums.left_units - product.came_back;
            product.smallest_refused.is_some_and(|units| signed(units) <= left)
        };
        let ids = |products: Vec<&ProductTally>| -> Vec<String> {
            products.into_iter().map(|product| product.product_id.clone()).collect()
        };
        let failed: Vec<String> =
            self.failed.iter().map(|(line, what)| format!("line {line}: {what}")).collect();
        let oversold = self.products.iter().filter(|product| product.oversold).collect();
        let mut checks = vec![
            Check::none("lines without an outcome", &failed),
            Check::none("products that sold more than they had", &ids(oversold)),
        ];
        let refused = "products that refused an order their stock could serve";
        checks.push(match alone {
            true => Check::none(refused, &ids(self.products.iter().filter(could_serve).collect())),
            false => Check::not_checked(refused, "others may have bought from this server too"),
        });
        if let Some(unexpected) = unexpected {
            let what = "everything came out as counted beforehand, one after another";
            let lines: Vec<String> = unexpected.iter().map(|line| format!("line {line}")).collect();
            checks.push(match lines.as_slice() {
                [] => Check::new(what, true, "line by line"),
                lines => Check::none(what, lines),
            });
        }
        checks
    }
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
