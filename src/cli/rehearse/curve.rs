//! How the sale went over the file's time: what was wanted so far, and what was sold of it.

use jiff::civil::DateTime;

use super::outcome::Outcome;
use super::plan::{Plan, Step};

/// One moment of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    /// When.
    pub(super) at: DateTime,
    /// Units wanted so far.
    pub(super) wanted: u64,
    /// Units sold so far, less those that came back.
    pub(super) sold: u64,
}

/// The moments of a play, in the order of time; one for all steps of the same minute.
pub(super) fn curve(plan: &Plan, outcomes: &[Outcome]) -> Vec<Point> {
    let mut moves: Vec<(DateTime, u64, u64, u64)> = Vec::new();
    for ((number, step), outcome) in plan.steps.iter().enumerate().zip(outcomes) {
        let Some(at) = plan.at(number) else { continue };
        let wanted = match step {
            Step::Order(_) => plan.lines_of(step).map(|line| line.quantity).sum(),
            _ => 0,
        };
        let (sold, back) = match outcome {
            Outcome::Sold(sold) => (sold.got.iter().sum(), 0),
            Outcome::Returned(returned) => {
                let units = returned.back.iter().flat_map(|back| &back.units);
                (0, units.map(|units| units.units).sum())
            }
            _ => (0, 0),
        };
        moves.push((at, wanted, sold, back));
    }
    moves.sort_by_key(|(at, ..)| *at);
    let mut points: Vec<Point> = Vec::new();
    let (mut wanted, mut sold) = (0u64, 0u64);
    for (at, more_wanted, more_sold, back) in moves {
        wanted += more_wanted;
        sold = (sold + more_sold).saturating_sub(back);
        match points.last_mut().filter(|last| last.at == at) {
            Some(last) => *last = Point { at, wanted, sold },
            None => points.push(Point { at, wanted, sold }),
        }
    }
    points
}
