//! What the steps come to: when a product sold out, what an earlier run had taken, and what must
//! never be.

use super::*;
use crate::cli::play::order::{Adjustment, Order, Status};
use crate::cli::rehearse::earlier::Units;
use crate::cli::rehearse::line::Kind;
use crate::cli::rehearse::outcome::{Back, Short};
use crate::cli::rehearse::plan::{Partial, PlannedProduct};
use crate::domain::Sequence;
use crate::journal::Position;
use jiff::civil::DateTime;

/// A plan of one product, 5 in stock, with a step for each of these lines.
fn plan(lines: &[(Kind, u64)]) -> Plan {
    let line = |(number, (kind, quantity)): (u64, &(Kind, u64))| Line {
        number,
        kind: *kind,
        invoice: "i".to_owned(),
        stretch: number,
        product: 0,
        quantity: *quantity,
        at: DateTime::constant(2010, 12, 1, 8, i8::try_from(number).unwrap(), 0, 0),
        price_minor: 100,
        buyer_id: "b".to_owned(),
        text: String::new(),
    };
    let step = |(place, (kind, _)): (usize, &(Kind, u64))| match kind {
        Kind::Sale => Step::Order(vec![place]),
        Kind::Cancellation => Step::Cancellation(place),
        Kind::WriteOff => Step::WriteOff(place),
    };
    let (product_id, name) = ("p".to_owned(), "A thing".to_owned());
    Plan {
        run_id: "r".to_owned(),
        products: vec![PlannedProduct { product_id, name, stock: 5 }],
        lines: (2..).zip(lines).map(line).collect(),
        steps: lines.iter().enumerate().map(step).collect(),
        currency: "GBP".to_owned(),
        partial: Partial::Refuse,
        split: Vec::new(),
    }
}

fn order_id(sequence: u64) -> String {
    let sequence = Sequence::new(sequence);
    OrderId(Position { partition: 1, epoch: 1, sequence }).to_string()
}

/// So many units were sold at a record.
fn sold(plan: &Plan, step: usize, sequence: u64, of_earlier_run: bool) -> Outcome {
    let line = plan.head(&plan.steps[step]).unwrap();
    let lines = vec![plan.order_line(line, line.quantity)];
    let order = Order { buyer_id: "b".to_owned(), lines, ..Order::default() };
    let (order_id, got) = (order_id(sequence), vec![line.quantity]);
    Outcome::Sold(Sold { order_id, order, got, refused: None, of_earlier_run })
}

fn cancelled(order: u64, units: u64, sequence: u64) -> Outcome {
    let units = vec![Units { step: 0, place: 0, units }];
    let (order_id, status) = (order_id(order), Status::PartlyCancelled);
    let back = Back { order_id, status, units, sequence, of_earlier_run: false };
    Outcome::Returned(Returned { back: vec![back], ..Returned::default() })
}

fn written_off(units: i64, sequence: u64) -> Outcome {
    let (product_id, reason) = ("p".to_owned(), "damaged".to_owned());
    let adjustment = Adjustment { product_id, delta: -units, reason, text: None, reference: None };
    Outcome::WrittenOff(Booked { adjustment, sequence, of_earlier_run: false })
}

fn refused(requested: u64, available: u64) -> Outcome {
    let short = vec![Short { product: 0, requested, available, sold_out: true }];
    Outcome::Refused(Refused { reason: "sold-out".to_owned(), short })
}

fn product(tally: &Tally) -> &ProductTally {
    &tally.products[0]
}

/// Names of the checks that fail.
fn failed(tally: &Tally) -> Vec<String> {
    let checks = tally.checks(None, true);
    checks.into_iter().filter(Check::failed).map(|check| check.what).collect()
}

const FRESH: Opening = Opening { units: 5, reused: false };

#[test]
fn every_unit_is_accounted_for() {
    use Kind::{Cancellation, Sale, WriteOff};
    let plan = plan(&[(Sale, 5), (Sale, 2), (Cancellation, 3), (Sale, 1), (WriteOff, 2)]);
    let outcomes = [
        sold(&plan, 0, 10, false),
        refused(2, 0),
        cancelled(10, 3, 11),
        sold(&plan, 3, 12, false),
        written_off(2, 13),
    ];
    let tally = Tally::new(&plan, &[FRESH], &outcomes, None);
    let product = product(&tally);
    let sums = &product.sums;
    assert_eq!((sums.demand.units, sums.ordered.units, sums.refused.units), (8, 6, 2));
    assert_eq!((sums.cancelled.units, sums.sold_units, sums.left_units), (3, 3, 0));
    assert_eq!((sums.sold_money_minor, sums.refused.money_minor), (300, 200));
    assert_eq!((product.sold_out_line, product.first_refused_line), (Some(2), Some(3)));
    assert_eq!(failed(&tally), Vec::<String>::new());
    let totals = tally.answers.totals();
    assert_eq!((totals.units, totals.cancelled_units, totals.written_off_units), (6, 3, 2));
}

#[test]
fn order_of_the_records_counts_and_not_that_of_the_file() {
    let plan = plan(&[(Kind::Sale, 2), (Kind::Sale, 3)]);
    // Line 3 was decided first, so line 2 took the last unit.
    let outcomes = [sold(&plan, 0, 12, false), sold(&plan, 1, 11, false)];
    let tally = Tally::new(&plan, &[FRESH], &outcomes, None);
    assert_eq!(product(&tally).sold_out_line, Some(2));
}

#[test]
fn what_must_not_be_is_found() {
    let plan = plan(&[(Kind::Sale, 4), (Kind::Sale, 2)]);
    let both = [sold(&plan, 0, 10, false), sold(&plan, 1, 11, false)];
    let tally = Tally::new(&plan, &[FRESH], &both, None);
    assert_eq!(failed(&tally), ["products that sold more than they had"]);
    let one = [refused(4, 3), sold(&plan, 1, 11, false)];
    let opening = Opening { units: 6, ..FRESH };
    let tally = Tally::new(&plan, &[opening], &one, None);
    assert_eq!(failed(&tally), ["products that refused an order their stock could serve"]);
    let none = [Outcome::Failed("x".to_owned()), sold(&plan, 1, 11, false)];
    let tally = Tally::new(&plan, &[FRESH], &none, None);
    assert_eq!(failed(&tally), ["lines without an outcome"]);
}

/// Opening units of a product that was there with 3, once an order of 2 units of the record
/// `sequence` was told: at the first attempt of this run, or else after one that was lost.
fn opening_units(before: Option<u64>, sequence: u64, at_first_attempt: bool) -> i64 {
    let plan = plan(&[(Kind::Sale, 2)]);
    let outcomes = [sold(&plan, 0, sequence, at_first_attempt)];
    let opening = Opening { units: 3, reused: true };
    product(&Tally::new(&plan, &[opening], &outcomes, before)).sums.opening_units
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
