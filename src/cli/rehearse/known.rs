//! What an earlier run under the same id has done already, by the log.
//!
//! Steps of a chain come one after another. So a step that left no record, before one of its chain
//! that did, was refused: to ask again would decide it anew, with the stock of another moment.

use std::collections::{HashMap, HashSet};

use super::line::Line;
use super::plan::{Plan, Step};
use crate::cli::play::log_book::LogBook;

/// What is known of an earlier run; nothing, for a new one.
#[derive(Debug, Default)]
pub(super) struct Known {
    decided: HashSet<String>,
    /// Steps before the last of their chain that left a record.
    passed: HashSet<usize>,
    /// Units of each line of an order that was sold in part.
    filled: HashMap<usize, Vec<u64>>,
}

/// Every key a step may use, with the step.
pub(super) fn keys(plan: &Plan) -> Vec<(String, usize)> {
    let mut bought: HashMap<(&str, usize), usize> = HashMap::new();
    let mut keys = Vec::new();
    for (number, step) in plan.steps.iter().enumerate() {
        let key = plan.key(step);
        match step {
            Step::Order(_) => {
                for line in plan.lines_of(step) {
                    *bought.entry((&line.buyer_id, line.product)).or_default() += 1;
                }
                keys.push((part_key(&key), number));
                keys.push((key, number));
            }
            Step::Cancellation(_) => {
                let line = plan.head(step);
                let orders = line.and_then(|line| bought.get(&(&*line.buyer_id, line.product)));
                let orders = orders.copied().unwrap_or(0);
                keys.extend((1..=orders).map(|nth| (cancel_key(&key, nth), number)));
                keys.push((returned_key(&key), number));
            }
            Step::WriteOff(_) => keys.push((key, number)),
        }
    }
    keys
}

/// The key under which what can be had of a refused order is asked for.
pub(super) fn part_key(key: &str) -> String {
    format!("{key}-part")
}

/// The key of a cancellation's `nth` order, from 1.
pub(super) fn cancel_key(key: &str, nth: usize) -> String {
    format!("{key}-cancel-{nth}")
}

/// The key under which units that match no order are put in.
pub(super) fn returned_key(key: &str) -> String {
    format!("{key}-returned")
}

impl Known {
    /// What the log tells; `chains` are those of this run, and of the earlier one.
    pub(super) fn of(
        log: &LogBook,
        keys: &[(String, usize)],
        plan: &Plan,
        chains: &[Vec<usize>],
    ) -> Self {
        let mut known = Self::default();
        let mut decided: HashSet<usize> = HashSet::new();
        for (place, order_id) in &log.by_key {
            let Some((key, number)) = keys.get(*place) else { continue };
            known.decided.insert(key.clone());
            decided.insert(*number);
            let order = order_id.as_deref().and_then(|order_id| log.ours.order(order_id));
            let step = plan.steps.get(*number);
            if let Some((order, step)) = order.zip(step)
                && *key == part_key(&plan.key(step))
            {
                let lines: Vec<&Line> = plan.lines_of(step).collect();
                let had = order.lines.iter().map(|line| (&*line.product_id, line.quantity));
                known.filled.insert(*number, had_of_each(&lines, had, plan));
            }
        }
        for chain in chains {
            let last = chain.iter().rposition(|number| decided.contains(number)).unwrap_or(0);
            known.passed.extend(chain.iter().take(last));
        }
        known
    }

    /// Whether a step lies behind, done or refused.
    pub(super) fn is_behind(&self, number: usize, key: &str) -> bool {
        self.passed.contains(&number) || self.decided.contains(key)
    }

    /// Whether what a step asks for under a key was refused.
    pub(super) fn was_refused(&self, number: usize, key: &str) -> bool {
        self.passed.contains(&number) && !self.decided.contains(key)
    }

    /// Units of each line of an order that was sold in part.
    pub(super) fn filled(&self, number: usize) -> Option<&[u64]> {
        self.filled.get(&number).map(Vec::as_slice)
    }
}

/// Which lines of an order have what its part has: the same products in the same order.
fn had_of_each<'a>(
    lines: &[&Line],
    had: impl Iterator<Item = (&'a str, u64)>,
    plan: &Plan,
) -> Vec<u64> {
    let mut had = had.peekable();
    let share = |line: &&Line| {
        let fits = |(product_id, units): &(&str, u64)| {
            *product_id == plan.product_id(line.product) && *units <= line.quantity
        };
        had.next_if(fits).map_or(0, |(_, units)| units)
    };
    lines.iter().map(share).collect()
}
