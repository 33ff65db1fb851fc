//! Records of holds that cannot follow: placed beyond stock or limit, ended as what they are not.

use super::*;

const ONE: &[Change] = &[Change { handle: Handle::new(0), version: Version::new(3) }];

fn at(sequence: u64, at_ms: u64) -> RecordAt {
    RecordAt { sequence: Sequence::new(sequence), at_ms }
}

fn placed(name: &str, of: &[(u32, u64)], expires_at_ms: u64) -> Decision {
    Decision::HoldPlaced(HoldPlaced { buyer_id: buyer(name), lines: lines(of), expires_at_ms })
}

fn ended(hold: u64, name: &str, of: &[(u32, u64)]) -> HoldEnded {
    HoldEnded { hold: Sequence::new(hold), buyer_id: buyer(name), lines: lines(of) }
}

fn confirmed(name: &str, sold: &[(u32, u64)], released: &[(u32, u64)]) -> HoldConfirmed {
    let order = OrderPlaced { buyer_id: buyer(name), lines: lines(sold) };
    HoldConfirmed { hold: Sequence::new(10), order, released: lines(released) }
}

/// `super::world` with two units of product 0 held for anna until 500, placed by record 10.
fn held() -> Inventory {
    let mut inventory = world();
    let placed = placed("anna", &[(0, 1), (0, 1)], 500);
    assert_eq!(follows(&mut inventory, &placed, &[change(0, 2)], at(10, 0)), "applies");
    inventory
}

fn refused_at(decision: Decision, changes: &[Change], at_ms: u64) -> String {
    follows(&mut held(), &decision, changes, at(11, at_ms))
}

#[test]
fn hold_that_cannot_be_placed_is_refused() {
    let cases: &[(Decision, &[Change], &str)] = &[
        (placed("ben", &[(0, 2)], 500), ONE, "applies"),
        (placed("ben", &[(0, 2)], 101), ONE, "applies"),
        (
            placed("ben", &[(0, 2)], 100),
            ONE,
            "the record breaks a promise: a hold that is over as it is placed",
        ),
        (
            placed("ben", &[], 500),
            ONE,
            "the changes do not match the body: too few or too many lines",
        ),
        (
            placed("ben", &[(0, 1)], 500),
            &[],
            "the changes do not match the body: too few or too many changes",
        ),
        (
            placed("ben", &[(1, 1)], 500),
            ONE,
            "the changes do not match the body: a changed product has no line",
        ),
        (
            placed("ben", &[(0, 9)], 500),
            ONE,
            "the record breaks a promise: held and sold over stock and oversell_limit",
        ),
        (placed("ben", &[(0, 3)], 500), ONE, "the record breaks a promise: a buyer over the limit"),
        (
            placed("anna", &[(0, 1)], 500),
            ONE,
            "the record breaks a promise: a buyer over the limit",
        ),
        (
            placed("ben", &[(0, 1)], 500),
            &[change(0, 4)],
            "product 0 is at version 2, the record says 4",
        ),
    ];
    for (decision, changes, expected) in cases {
        assert_eq!(refused_at(decision.clone(), changes, 100), *expected, "{decision:?}");
    }
}

#[test]
fn extension_that_cannot_follow_is_refused() {
    let extended = |hold, expires_at_ms| {
        Decision::HoldExtended(HoldExtended { hold: Sequence::new(hold), expires_at_ms })
    };
    let cases: &[(Decision, &[Change], &str)] = &[
        (extended(10, 500), &[], "applies"),
        (extended(10, u64::MAX), &[], "applies"),
        (extended(10, 499), &[], "the record breaks a promise: a hold made shorter"),
        (extended(9, 600), &[], "no live hold was placed at 9"),
        (extended(10, 600), ONE, "the changes do not match the body: an extension moves nothing"),
    ];
    for (decision, changes, expected) in cases {
        assert_eq!(refused_at(decision.clone(), changes, 100), *expected, "{decision:?}");
    }
}

#[test]
fn end_that_cannot_follow_is_refused() {
    let another = "the changes do not match the body: another hold than was placed";
    let whole: &[(u32, u64)] = &[(0, 1), (0, 1)];
    let cases: &[(HoldEnded, &[Change], &str)] = &[
        (ended(10, "anna", whole), ONE, "applies"),
        (ended(11, "anna", whole), ONE, "no live hold was placed at 11"),
        (ended(10, "ben", whole), ONE, another),
        (ended(10, "anna", &[(0, 2)]), ONE, another),
        (ended(10, "anna", &[(0, 1)]), ONE, another),
        (
            ended(10, "anna", whole),
            &[change(1, 2)],
            "the changes do not match the body: a changed product has no line",
        ),
        (
            ended(10, "anna", whole),
            &[change(0, 3), change(1, 2)],
            "the changes do not match the body: the lines name other products",
        ),
        (
            ended(10, "anna", whole),
            &[],
            "the changes do not match the body: too few or too many changes",
        ),
    ];
    for (body, changes, expected) in cases {
        let released = Decision::HoldReleased(body.clone());
        assert_eq!(refused_at(released, changes, 499), *expected, "{body:?}");
        let expired = Decision::HoldExpired(body.clone());
        assert_eq!(refused_at(expired, changes, 500), *expected, "{body:?}");
    }
    let early = refused_at(Decision::HoldExpired(ended(10, "anna", whole)), ONE, 499);
    assert_eq!(early, "the record breaks a promise: a hold expired before its time");
}

#[test]
fn confirmation_that_cannot_follow_is_refused() {
    let another = "the changes do not match the body: another hold than was placed";
    let mut dearer = confirmed("anna", &[(0, 1)], &[(0, 1)]);
    for line in &mut dearer.order.lines {
        line.unit_price = Some(Money::new(1, Currency::new("EUR").unwrap()).unwrap());
    }
    let many = [(0, 1); ORDER_LINES_MAX + 1];
    let cases: &[(HoldConfirmed, &[Change], &str)] = &[
        (confirmed("anna", &[(0, 1), (0, 1)], &[]), ONE, "applies"),
        (confirmed("anna", &[(0, 1)], &[(0, 1)]), ONE, "applies"),
        (confirmed("anna", &[], &[(0, 1), (0, 1)]), ONE, another),
        (confirmed("anna", &[(0, 1)], &[]), ONE, another),
        (confirmed("anna", &[(0, 2)], &[(0, 1)]), ONE, another),
        (confirmed("anna", &[(0, 1), (0, 1)], &[(1, 1)]), ONE, another),
        (confirmed("anna", &[(0, 1), (1, 1)], &[]), ONE, another),
        (confirmed("anna", &[(0, 1)], &many), ONE, another),
        (confirmed("ben", &[(0, 1), (0, 1)], &[]), ONE, another),
        (dearer, ONE, another),
        (
            confirmed("anna", &[(0, 2)], &[]),
            &[change(1, 2)],
            "the changes do not match the body: a changed product has no line",
        ),
    ];
    for (body, changes, expected) in cases {
        let decision = Decision::HoldConfirmed(Box::new(body.clone()));
        assert_eq!(refused_at(decision, changes, 100), *expected, "{body:?}");
    }
}

#[test]
fn price_of_a_hold_belongs_to_its_lines() {
    let euro = |cents| Some(Money::new(cents, Currency::new("EUR").unwrap()).unwrap());
    let line = |units, cents| OrderLine { unit_price: euro(cents), ..lines(&[(0, units)])[0] };
    let mut inventory = world();
    let held = [line(1, 7), line(1, 9)].into_iter().collect();
    let placed = HoldPlaced { buyer_id: buyer("anna"), lines: held, expires_at_ms: 500 };
    let placed = Decision::HoldPlaced(placed);
    assert_eq!(follows(&mut inventory, &placed, &[change(0, 2)], at(10, 0)), "applies");
    let confirmed = |sold: OrderLine, released: OrderLine| {
        let order = OrderPlaced { buyer_id: buyer("anna"), lines: [sold].into_iter().collect() };
        let released = [released].into_iter().collect();
        let confirmed = HoldConfirmed { hold: Sequence::new(10), order, released };
        let decision = Decision::HoldConfirmed(Box::new(confirmed));
        check_applicable(&inventory, &decision, ONE, at(11, 100)).is_ok()
    };
    assert!(confirmed(line(1, 7), line(1, 9)) && confirmed(line(1, 9), line(1, 7)));
    assert!(!confirmed(line(1, 7), line(1, 7)) && !confirmed(line(1, 8), line(1, 9)));
}

#[test]
fn nothing_is_decided_before_what_was_over_has_ended() {
    let late = "the record breaks a promise: decided before a hold that was over had ended";
    let release = Decision::HoldReleased(ended(10, "anna", &[(0, 1), (0, 1)]));
    let extend = HoldExtended { hold: Sequence::new(10), expires_at_ms: 900 };
    let pause = Decision::SellingPaused(SellingPaused { paused: true });
    let cases: &[(Decision, &[Change])] = &[
        (release, ONE),
        (Decision::HoldExtended(extend), &[]),
        (Decision::HoldConfirmed(Box::new(confirmed("anna", &[(0, 2)], &[]))), ONE),
        (placed("ben", &[(1, 1)], 900), &[change(1, 2)]),
        (order(&[(1, 1)]), &[change(1, 2)]),
        (pause, &[]),
    ];
    for (decision, changes) in cases {
        assert_eq!(refused_at(decision.clone(), changes, 499), "applies", "{decision:?}");
        assert_eq!(refused_at(decision.clone(), changes, 500), late, "{decision:?}");
    }
    // Counting decides nothing.
    let counted = RefusalsCounted { minute_ms: 0, rows: Vec::new() };
    assert_eq!(refused_at(Decision::RefusalsCounted(counted), &[], 500), "applies");
}

#[test]
fn pause_of_all_changes_no_product() {
    let pause = || Decision::SellingPaused(SellingPaused { paused: true });
    assert_eq!(refused_at(pause(), &[], 0), "applies");
    let expected = "the changes do not match the body: a pause of all changes nothing";
    assert_eq!(refused_at(pause(), ONE, 0), expected);
}

#[test]
fn hold_whose_units_a_false_return_freed_does_not_panic() {
    // One unit bought, one held, both counted; the return claims to free both.
    let mut inventory = world();
    let steps = [
        (order(&[(0, 1)]), change(0, 2), 10),
        (placed("anna", &[(0, 1)], 500), change(0, 3), 11),
        (order_of("ben", &[(0, 2)]), change(0, 4), 12),
        (super::cancels::freed(10, &[(0, 0, 2)]), change(0, 5), 13),
    ];
    for (decision, change, sequence) in steps {
        let at = at(sequence, 0);
        assert_eq!(check_applicable(&inventory, &decision, &[change], at), Ok(()));
        apply(&mut inventory, &decision, &[change], at);
    }
    let broken = "the record breaks a promise: a limit is freed that was not used";
    let ended = HoldEnded { hold: Sequence::new(11), ..ended(11, "anna", &[(0, 1)]) };
    let confirmed = HoldConfirmed {
        hold: Sequence::new(11),
        order: OrderPlaced { buyer_id: buyer("anna"), lines: lines(&[(0, 1)]) },
        released: OrderLines::new(),
    };
    for (decision, at_ms, expected) in [
        (Decision::HoldReleased(ended.clone()), 0, broken),
        (Decision::HoldExpired(ended), 500, broken),
        (Decision::HoldConfirmed(Box::new(confirmed)), 0, "applies"),
    ] {
        let fits = check_applicable(&inventory, &decision, &[change(0, 6)], at(14, at_ms));
        let found = fits.map_or_else(|error| error.to_string(), |()| "applies".to_owned());
        assert_eq!(found, expected, "{decision:?}");
    }
}

fn order_of(name: &str, of: &[(u32, u64)]) -> Decision {
    Decision::OrderPlaced(OrderPlaced { buyer_id: buyer(name), lines: lines(of) })
}
