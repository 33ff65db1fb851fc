//! What must become of each step when they come one after another: a plain count of the stock.

use std::collections::HashMap;

use super::earlier::{Earlier, Units};
use super::line::Line;
use super::outcome::{Short, Verdict};
use super::plan::{Partial, Plan, Step};

/// The verdict on each step.
pub(super) fn reckon(plan: &Plan) -> Vec<Verdict> {
    let left = plan.products.iter().map(|product| product.stock).collect();
    let mut reckoning = Reckoning { plan, left, earlier: Earlier::default() };
    plan.steps.iter().enumerate().map(|(number, step)| reckoning.step(number, step)).collect()
}

/// How far it is.
struct Reckoning<'a> {
    plan: &'a Plan,
    /// By product.
    left: Vec<u64>,
    earlier: Earlier,
}

impl Reckoning<'_> {
    fn step(&mut self, number: usize, step: &Step) -> Verdict {
        let plan = self.plan;
        let lines: Vec<&Line> = plan.lines_of(step).collect();
        let Some(line) = lines.first() else { return Verdict::Refused(Vec::new()) };
        match step {
            Step::Order(_) => self.order(number, &lines),
            Step::Cancellation(_) => {
                let (buyer_id, product) = (&line.buyer_id, line.product);
                let (taken, rest) = self.earlier.take(buyer_id, product, line.quantity);
                *self.left_of(product) += line.quantity;
                Verdict::Returned(taken, rest)
            }
            Step::WriteOff(_) => match self.left_of(line.product) {
                left if *left < line.quantity => Verdict::Kept,
                left => {
                    *left -= line.quantity;
                    Verdict::WrittenOff
                }
            },
        }
    }

    fn order(&mut self, number: usize, lines: &[&Line]) -> Verdict {
        let short = short_of(lines, |product| *self.left_of(product));
        let got = share_out(lines, &short);
        let fills = self.plan.partial == Partial::Fill && got.iter().any(|units| *units > 0);
        if !short.is_empty() && !fills {
            return Verdict::Refused(short);
        }
        for (line, units) in lines.iter().zip(&got) {
            *self.left_of(line.product) -= units;
        }
        enter_bought(&mut self.earlier, number, lines, &got);
        Verdict::Sold(got, short)
    }

    fn left_of(&mut self, product: usize) -> &mut u64 {
        self.left.get_mut(product).expect("a line's product is in the plan")
    }
}

/// The products of which lines together want more than there is, in the order they name them.
fn short_of(lines: &[&Line], mut left: impl FnMut(usize) -> u64) -> Vec<Short> {
    let mut wanted: Vec<(usize, u64)> = Vec::new();
    let mut places: HashMap<usize, usize> = HashMap::new();
    for line in lines {
        let place = *places.entry(line.product).or_insert_with(|| {
            wanted.push((line.product, 0));
            wanted.len() - 1
        });
        if let Some((_, units)) = wanted.get_mut(place) {
            *units += line.quantity;
        }
    }
    let short = wanted.into_iter().map(|(product, requested)| Short {
        product,
        requested,
        available: left(product),
        sold_out: true,
    });
    short.filter(|short| short.available < short.requested).collect()
}

/// What each line can have: the lines of a product that is short, one after another as far as it
/// goes; the others all they want.
pub(super) fn share_out(lines: &[&Line], short: &[Short]) -> Vec<u64> {
    let mut left: HashMap<usize, u64> =
        short.iter().map(|short| (short.product, short.available)).collect();
    let share = |line: &&Line| match left.get_mut(&line.product) {
        None => line.quantity,
        Some(left) => {
            let units = line.quantity.min(*left);
            *left -= units;
            units
        }
    };
    lines.iter().map(share).collect()
}

/// Remembers what the order of a step had of each line; lines that had nothing are not in it.
pub(super) fn enter_bought(earlier: &mut Earlier, step: usize, lines: &[&Line], got: &[u64]) {
    let had = lines.iter().zip(got).filter(|(_, units)| **units > 0);
    for (place, (line, units)) in had.enumerate() {
        earlier.bought(&line.buyer_id, line.product, Units { step, place, units: *units });
    }
}

#[cfg(test)]
#[path = "reckon_tests.rs"]
mod tests;
