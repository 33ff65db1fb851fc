//! Records of cancellations that cannot follow: more comes back than was sold, counted or ordered.

use super::*;

const ONE: &[Change] = &[Change { handle: Handle::new(0), version: Version::new(3) }];

fn at(sequence: u64) -> RecordAt {
    RecordAt { sequence: Sequence::new(sequence), at_ms: 0 }
}

/// Lines of place, product and units.
fn cancelled(of: &[(u32, u32, u64)]) -> OrderCancelled {
    let line = |(place, product, units): &(u32, u32, u64)| CancelledLine {
        place: *place,
        product: Handle::new(*product),
        quantity: Quantity::new(*units).unwrap(),
        unit_price: None,
        frees_limit: false,
    };
    OrderCancelled {
        order: Sequence::new(10),
        buyer_id: buyer("anna"),
        lines: of.iter().map(line).collect(),
        reason: Text::new("changed mind").unwrap(),
        restocked: true,
        whole: false,
    }
}

/// A return to anna that frees what it takes back.
pub(super) fn freed(order: u64, of: &[(u32, u32, u64)]) -> Decision {
    let mut body = cancelled(of);
    body.order = Sequence::new(order);
    body.lines.iter_mut().for_each(|line| line.frees_limit = true);
    Decision::OrderCancelled(Box::new(body))
}

/// `super::world` with an order of anna, record 10, of two units of product 0.
fn sold() -> Inventory {
    let mut inventory = world();
    let order = order(&[(0, 1), (0, 1)]);
    assert_eq!(follows(&mut inventory, &order, &[change(0, 2)], at(10)), "applies");
    inventory
}

fn check(body: OrderCancelled, changes: &[Change], expected: &str) {
    let decision = Decision::OrderCancelled(Box::new(body));
    assert_eq!(follows(&mut sold(), &decision, changes, at(11)), expected, "{decision:?}");
}

#[test]
fn cancellation_that_cannot_follow_is_refused() {
    let both: &[Change] = &[change(0, 3), change(1, 2)];
    let other = "the changes do not match the body: the lines name other products";
    let no_lines = "the changes do not match the body: lines that are not an order's";
    let more = "the record breaks a promise: more comes back than was sold";
    check(cancelled(&[(0, 0, 1), (1, 0, 1)]), ONE, "applies");
    check(cancelled(&[(1, 0, 2)]), ONE, "applies");
    check(cancelled(&[(999, 0, 2)]), ONE, "applies");
    check(cancelled(&[]), ONE, other);
    check(cancelled(&[(0, 0, 1)]), both, other);
    check(cancelled(&[(0, 0, 1), (1, 1, 1)]), ONE, other);
    check(cancelled(&[(0, 0, 1), (1, 1, 1)]), both, more);
    check(cancelled(&[(0, 0, 1), (1, 0, 2)]), ONE, more);
    check(cancelled(&[(1, 0, 1), (0, 0, 1)]), ONE, no_lines);
    check(cancelled(&[(0, 0, 1), (0, 0, 1)]), ONE, no_lines);
    check(cancelled(&[(1_000, 0, 1)]), ONE, no_lines);
    check(cancelled(&[(u32::MAX, 0, 1)]), ONE, no_lines);
    let wrong_version = "product 0 is at version 2, the record says 4";
    check(cancelled(&[(0, 0, 1)]), &[change(0, 4)], wrong_version);
    check(cancelled(&[(0, 9, 1)]), &[change(9, 1)], "no product has handle 9");
    let changes = "the changes do not match the body: too few or too many changes";
    check(cancelled(&[(0, 0, 1)]), &[], changes);
}

#[test]
fn order_is_cancelled_after_it_is_placed() {
    let early = "the changes do not match the body: an order that is not placed yet";
    for (order, expected) in [(10, "applies"), (11, early), (u64::MAX, early)] {
        let order = Sequence::new(order);
        check(OrderCancelled { order, ..cancelled(&[(0, 0, 1)]) }, ONE, expected);
    }
}

#[test]
fn write_off_beyond_the_stock_is_refused() {
    let mut inventory = sold();
    // Stock falls to the two that were sold, then one may be oversold and stock is one.
    let (oversell_limit, keep) = (Patch::Set(5), TermsPatch::default());
    let terms = changed(None, TermsPatch { oversell_limit, ..keep });
    assert_eq!(follows(&mut inventory, &terms, &[change(0, 3)], at(11)), "applies");
    let adjusted = adjusted(-9, 1, -1);
    assert_eq!(follows(&mut inventory, &adjusted, &[change(0, 4)], at(12)), "applies");
    let mut written_off = OrderCancelled { restocked: false, ..cancelled(&[(0, 0, 1), (1, 0, 1)]) };
    let mut check = |body: &OrderCancelled, expected: &str| {
        let decision = Decision::OrderCancelled(Box::new(body.clone()));
        assert_eq!(follows(&mut inventory, &decision, &[change(0, 5)], at(13)), expected);
    };
    check(&written_off, "the record breaks a promise: more is written off than was in stock");
    written_off.lines.truncate(1);
    check(&written_off, "applies");
}

#[test]
fn limit_is_freed_only_of_what_was_counted() {
    let unused = "the record breaks a promise: a limit is freed that was not used";
    let Decision::OrderCancelled(body) = freed(10, &[(0, 0, 1), (1, 0, 1)]) else { panic!() };
    check(*body.clone(), ONE, "applies");
    check(OrderCancelled { buyer_id: buyer("ben"), ..*body.clone() }, ONE, unused);
    // Nothing is counted without a limit.
    let mut inventory = sold();
    let unlimited = TermsPatch { per_buyer_limit: Patch::Set(None), ..TermsPatch::default() };
    let unlimited = changed(None, unlimited);
    assert_eq!(follows(&mut inventory, &unlimited, &[change(0, 3)], at(11)), "applies");
    let decision = Decision::OrderCancelled(body.clone());
    assert_eq!(follows(&mut inventory, &decision, &[change(0, 4)], at(12)), unused);
}

#[test]
fn line_that_comes_back_for_ever_is_refused_and_does_not_panic() {
    let most = u64::from(Quantity::MAX);
    let mut inventory = Inventory::new();
    let mut created = product(None, 0);
    created.stock = 10 * most;
    let created = Decision::ProductCreated(Box::new(created));
    assert_eq!(follows(&mut inventory, &created, &[change(0, 1)], at(1)), "applies");
    let order = order(&[(0, most); 8]);
    assert_eq!(follows(&mut inventory, &order, &[change(0, 2)], at(10)), "applies");
    let mut cancel = |units: u64, version: u64, expected: &str| {
        let decision = Decision::OrderCancelled(Box::new(cancelled(&[(3, 0, units)])));
        let found = follows(&mut inventory, &decision, &[change(0, version)], at(9 + version));
        assert_eq!(found, expected);
    };
    cancel(most - 1, 3, "applies");
    cancel(2, 4, "the record breaks a promise: more comes back than was sold");
    cancel(1, 4, "applies");
    cancel(1, 5, "the record breaks a promise: more comes back than was sold");
}

#[test]
fn order_that_came_back_beyond_its_lines_has_nothing_left() {
    let mut inventory = sold();
    let other = order_of_two("ben");
    assert_eq!(follows(&mut inventory, &other, &[change(0, 3)], at(11)), "applies");
    // Only the order's own record could tell that its first line had one unit.
    let decision = Decision::OrderCancelled(Box::new(cancelled(&[(0, 0, 2)])));
    assert_eq!(follows(&mut inventory, &decision, &[change(0, 4)], at(12)), "applies");
    let placed = PlacedOrder {
        sequence: Sequence::new(10),
        buyer_id: buyer("anna"),
        lines: lines(&[(0, 1), (0, 1)]),
        changes: [change(0, 2)].into_iter().collect(),
    };
    let reason = Text::new("changed mind").unwrap();
    let cancel = CancelOrder { order: placed, parts: None, reason, restock: true };
    let decided = decide_cancel(&inventory, cancel).unwrap();
    let Decision::OrderCancelled(body) = decided.decision else { panic!() };
    assert_eq!(body.lines.iter().map(|line| line.place).collect::<Vec<_>>(), [1]);
}

fn order_of_two(name: &str) -> Decision {
    Decision::OrderPlaced(OrderPlaced { buyer_id: buyer(name), lines: lines(&[(0, 2)]) })
}
