//! What was refused, sold in part, cancelled and written off, one by one.

use serde::Serialize;

use super::line::Line;
use super::outcome::{Outcome, Refused, Returned};
use super::plan::{Plan, Step};

/// All lists.
#[derive(Debug, Default, Serialize)]
pub(super) struct Lists {
    /// Orders of which nothing was sold.
    pub(super) refused_orders: Vec<MissedOrder>,
    /// Orders that were refused as a whole and sold in part.
    pub(super) part_orders: Vec<MissedOrder>,
    /// Lines by which units came back.
    pub(super) cancellations: Vec<Cancellation>,
    /// Lines by which units were written off.
    pub(super) write_offs: Vec<WriteOff>,
    /// Orders of which all was sold.
    #[serde(skip)]
    pub(super) whole_orders: u64,
}

/// An order that did not get all it wanted.
#[derive(Debug, Serialize)]
pub(super) struct MissedOrder {
    /// Its first line in the file.
    pub(super) line: u64,
    pub(super) invoice: String,
    pub(super) buyer_id: String,
    pub(super) lines: u64,
    pub(super) units: u64,
    pub(super) missed_units: u64,
    pub(super) missed_money_minor: u128,
    /// Why it was refused as a whole.
    pub(super) reason: String,
    pub(super) short: Vec<ShortProduct>,
}

/// A product of which an order wanted more than it could have.
#[derive(Debug, Serialize)]
pub(super) struct ShortProduct {
    pub(super) product_id: String,
    pub(super) requested: u64,
    pub(super) available: u64,
}

/// A line by which units came back.
#[derive(Debug, Serialize)]
pub(super) struct Cancellation {
    pub(super) line: u64,
    pub(super) invoice: String,
    pub(super) buyer_id: String,
    pub(super) product_id: String,
    pub(super) units: u64,
    /// Units of earlier orders, with the orders they are of, newest first.
    pub(super) cancelled_units: u64,
    pub(super) orders: Vec<String>,
    /// Units that matched none and were put in as returned.
    pub(super) returned_units: u64,
    /// Why units did not come back; empty: they all did.
    pub(super) refused: Vec<String>,
}

/// A line by which units were written off.
#[derive(Debug, Serialize)]
pub(super) struct WriteOff {
    pub(super) line: u64,
    pub(super) invoice: String,
    pub(super) product_id: String,
    pub(super) units: u64,
    /// What the file says.
    pub(super) description: String,
    /// The adjustment's reason, if it was booked.
    pub(super) booked_as: Option<String>,
    /// Why it was refused, if it was.
    pub(super) refused: Option<String>,
}

impl Lists {
    /// The lists of a play.
    pub(super) fn new(plan: &Plan, outcomes: &[Outcome]) -> Self {
        let mut lists = Self::default();
        for (step, outcome) in plan.steps.iter().zip(outcomes) {
            let Some(head) = plan.head(step) else { continue };
            match outcome {
                Outcome::Failed(_) => {}
                Outcome::Sold(sold) => match &sold.refused {
                    None => lists.whole_orders += 1,
                    Some(refused) => {
                        lists.part_orders.push(missed(plan, step, &sold.got, refused));
                    }
                },
                Outcome::Refused(refused) => {
                    lists.refused_orders.push(missed(plan, step, &[], refused));
                }
                Outcome::Returned(returned) => {
                    lists.cancellations.push(cancellation(plan, head, returned));
                }
                Outcome::WrittenOff(booked) => lists.write_offs.push(WriteOff {
                    booked_as: Some(booked.adjustment.reason.clone()),
                    ..write_off(plan, head)
                }),
                Outcome::Kept(refused) => lists.write_offs.push(WriteOff {
                    refused: Some(refused.reason.clone()),
                    ..write_off(plan, head)
                }),
            }
        }
        lists
    }
}

/// What an order did not get; `got` may be shorter than its lines.
fn missed(plan: &Plan, step: &Step, got: &[u64], refused: &Refused) -> MissedOrder {
    let lines: Vec<&Line> = plan.lines_of(step).collect();
    let got = got.iter().copied().chain(std::iter::repeat(0));
    let missed = lines.iter().zip(got).map(|(line, got)| (line, line.quantity - got));
    let short = refused.short.iter().map(|short| ShortProduct {
        product_id: plan.product_id(short.product).to_owned(),
        requested: short.requested,
        available: short.available,
    });
    let head = lines.first();
    MissedOrder {
        line: head.map_or(0, |head| head.number),
        invoice: head.map_or(String::new(), |head| head.invoice.clone()),
        buyer_id: head.map_or(String::new(), |head| head.buyer_id.clone()),
        lines: lines.len() as u64,
        units: lines.iter().map(|line| line.quantity).sum(),
        missed_units: missed.clone().map(|(_, units)| units).sum(),
        missed_money_minor: missed
            .map(|(line, units)| u128::from(units) * u128::from(line.price_minor))
            .sum(),
        reason: refused.reason.clone(),
        short: short.collect(),
    }
}

fn cancellation(plan: &Plan, line: &Line, returned: &Returned) -> Cancellation {
    let units = returned.back.iter().flat_map(|back| &back.units);
    Cancellation {
        line: line.number,
        invoice: line.invoice.clone(),
        buyer_id: line.buyer_id.clone(),
        product_id: plan.product_id(line.product).to_owned(),
        units: line.quantity,
        cancelled_units: units.map(|units| units.units).sum(),
        orders: returned.back.iter().map(|back| back.order_id.clone()).collect(),
        returned_units: returned
            .booked
            .as_ref()
            .map_or(0, |booked| booked.adjustment.delta.unsigned_abs()),
        refused: returned.refused.iter().map(|(_, reason)| reason.clone()).collect(),
    }
}

fn write_off(plan: &Plan, line: &Line) -> WriteOff {
    WriteOff {
        line: line.number,
        invoice: line.invoice.clone(),
        product_id: plan.product_id(line.product).to_owned(),
        units: line.quantity,
        description: line.text.clone(),
        booked_as: None,
        refused: None,
    }
}
