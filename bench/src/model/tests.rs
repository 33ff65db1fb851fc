//! A log of holds and cancellations that holds together, and the same with a lie in it.

use super::*;
use crate::made::{About as Envelope, Bytes};

/// Decided at the time of its sequence, under a key of its own.
fn about(sequence: u64, changes: &[(u32, u64)]) -> Envelope<'_> {
    Envelope { at_ms: sequence, reference: None, key: u8::try_from(sequence).ok(), changes }
}

fn late(sequence: u64, at_ms: u64, changes: &[(u32, u64)]) -> Envelope<'_> {
    Envelope { at_ms, ..about(sequence, changes) }
}

const RESTOCKED: [bool; 3] = [true, true, true];
const WRITTEN_OFF: [bool; 3] = [true, false, true];

/// Ten units of product 0, four a buyer; four of product 1 without a limit.
fn honest() -> Vec<(u64, Vec<u8>)> {
    let part: [&[(u32, u32)]; 2] = [&[(0, 1)], &[(0, 1), (1, 1)]];
    let payloads = [
        Bytes::started(1),
        Bytes::created(about(2, &[(0, 1)]), "one", 10, (0, 4)),
        Bytes::created(about(3, &[(1, 1)]), "two", 4, (0, 0)),
        Bytes::held(about(4, &[(0, 2), (1, 2)]), "b1", &[(0, 2), (1, 1)], 100),
        Bytes::ordered(about(5, &[(0, 3)]), "b1", 2),
        Bytes::confirmed(about(6, &[(0, 4), (1, 3)]), 4, "b1", part),
        Bytes::held(about(7, &[(0, 5)]), "b2", &[(0, 4)], 60),
        Bytes::extended(about(8, &[]), 7, 80),
        Bytes::refused(85, 1),
        Bytes::ended(12, late(10, 85, &[(0, 6)]), 7, "b2", &[(0, 4)]),
        Bytes::cancelled(late(11, 86, &[(0, 7)]), 5, "b1", &[(0, 0, 1)], [true, true, false]),
        Bytes::cancelled(late(12, 86, &[(0, 8)]), 5, "b1", &[(0, 0, 1)], RESTOCKED),
        Bytes::cancelled(late(13, 86, &[(0, 9)]), 6, "b1", &[(0, 0, 1)], WRITTEN_OFF),
        Bytes::held(late(14, 87, &[(0, 10)]), "b1", &[(0, 4)], 90),
        Bytes::ended(11, late(15, 88, &[(0, 11)]), 14, "b1", &[(0, 4)]),
        Bytes::paused(89, true),
        Bytes::paused(90, false),
    ];
    (1..).zip(payloads).collect()
}

fn read(records: &[(u64, Vec<u8>)]) -> (Model, Faults) {
    let (mut model, mut faults) = (Model::default(), Faults::default());
    for (sequence, bytes) in records {
        let payload = Payload::parse(bytes).expect("a payload");
        model.apply(*sequence, &payload, &mut faults);
    }
    (model, faults)
}

/// The record behind `sequence` is replaced, or follows the last.
fn check(sequence: u64, payload: Vec<u8>, part: &str) {
    let mut records = honest();
    match records.iter_mut().find(|(place, _)| *place == sequence) {
        Some((_, bytes)) => *bytes = payload,
        None => records.push((sequence, payload)),
    }
    let (_, faults) = read(&records);
    let told = faults.first().iter().any(|fault| fault.detail.contains(part));
    assert!(told, "{part:?} expected: {faults}");
}

#[test]
fn an_honest_log_has_no_fault() {
    let (model, faults) = read(&honest());
    assert!(faults.is_empty(), "{faults}");
    let figures: Vec<_> =
        model.products().iter().map(|shelf| (shelf.stock, shelf.held, shelf.sold)).collect();
    assert_eq!(figures, [(9, 0, 0), (4, 0, 0)]);
    let end = |hold| model.holds().get(hold).and_then(|held| held.end).map(|end| end.status);
    assert_eq!([4, 7, 14].map(end), [Some("confirmed"), Some("expired"), Some("released")]);
    let status = |order| model.orders().get(order).map(Placed::status);
    assert_eq!([5, 6, 7].map(status), [Some("cancelled"), Some("cancelled"), None]);
}

#[test]
fn what_is_held_counts_for_stock_and_limit() {
    let held = |units| Bytes::held(late(18, 91, &[(0, 12)]), "b9", &[(0, units)], 99);
    check(18, held(10), "10 held, 0 sold, 9 stock");
    check(18, held(5), "b9 has 5 of one, the limit is 4");
    // Two are held for b1, and four a buyer may have.
    check(5, Bytes::ordered(about(5, &[(0, 3)]), "b1", 3), "b1 has 5 of one");
}

#[test]
fn a_hold_ends_once_as_what_it_was() {
    let again = |kind, hold| Bytes::ended(kind, late(18, 91, &[(0, 12)]), hold, "b2", &[(0, 4)]);
    check(18, again(11, 7), "hold 7 was expired at 10");
    check(18, again(12, 9), "no hold was placed at 9");
    check(18, again(11, 4), "hold 4 was confirmed at 6");
    check(18, Bytes::extended(late(18, 91, &[]), 14, 99), "hold 14 was released at 15");
    let released =
        |buyer, lines: &[(u32, u32)]| Bytes::ended(11, late(15, 88, &[(0, 11)]), 14, buyer, lines);
    check(15, released("b2", &[(0, 4)]), "another hold than 14 has ended");
    check(15, released("b1", &[(0, 3)]), "another hold than 14 has ended");
    let changes = [(0, 4), (1, 3)];
    let confirmed = |buyer, parts| Bytes::confirmed(about(6, &changes), 4, buyer, parts);
    let another = "another hold than 4 is confirmed";
    check(6, confirmed("b2", [&[(0, 1)], &[(0, 1), (1, 1)]]), another);
    check(6, confirmed("b1", [&[(0, 1)], &[(1, 1)]]), another);
    check(6, confirmed("b1", [&[(0, 3)], &[(1, 1)]]), "one had 2 held, 3 go?");
    check(6, confirmed("b1", [&[(0, 2)], &[]]), "changes other products than it names");
}

#[test]
fn a_hold_lives_until_its_time_and_no_longer() {
    let expired = |at_ms| Bytes::ended(12, late(10, at_ms, &[(0, 6)]), 7, "b2", &[(0, 4)]);
    check(10, expired(79), "hold 7 until 80 expired at 79");
    check(8, Bytes::extended(about(8, &[]), 7, 59), "hold 7 until 60 is over at 59");
    check(7, Bytes::held(about(7, &[(0, 5)]), "b2", &[(0, 4)], 7), "over as it is placed");
    // Anything but an expiry or a count.
    let early = "sequence 9 was decided at 85 ms, hold 7 was over at 80 ms";
    check(9, Bytes::paused(85, false), early);
    check(9, Bytes::extended(late(9, 85, &[]), 7, 99), early);
}

#[test]
fn no_unit_comes_back_twice() {
    let cancel = |order, line, flags| {
        Bytes::cancelled(late(18, 91, &[(0, 12)]), order, "b1", &[line], flags)
    };
    let more = "line 0 of order 5 had 2, of which 2 were cancelled, and 1 more are";
    check(18, cancel(5, (0, 0, 1), RESTOCKED), more);
    check(18, cancel(7, (0, 0, 1), RESTOCKED), "no order was placed at 7");
    check(18, cancel(5, (1, 0, 1), RESTOCKED), "order 5 has no such line 1");
    check(18, cancel(5, (0, 1, 1), RESTOCKED), "order 5 has no such line 0");
    let second =
        |buyer, flags| Bytes::cancelled(late(12, 86, &[(0, 8)]), 5, buyer, &[(0, 0, 1)], flags);
    check(12, second("b2", RESTOCKED), "order 5 is of b1, not b2");
    check(12, second("b1", [true, true, false]), "order 5 is cancelled, whole: false?");
    check(12, second("b1", [false, true, true]), "line 0 of order 5 frees a limit: false?");
}

#[test]
fn a_limit_counts_from_the_record_that_set_it() {
    let limited = |sequence, version| {
        let set = Bytes::decision(4, late(sequence, 91, &[(1, version)])).u8(0);
        let set = (0..7).fold(set, |bytes, _| bytes.u32(0)).u32(1).u8(1).u32(1);
        (sequence, (0..3).fold(set, |bytes, _| bytes.u32(0)).u8(1).0)
    };
    let mut records = honest();
    let held = Bytes::held(late(18, 91, &[(1, 4)]), "b1", &[(1, 3)], 99);
    let confirmed = |sold: u32, rest: &[(u32, u32)]| {
        Bytes::confirmed(late(20, 91, &[(1, 6)]), 18, "b1", [&[(1, sold)], rest])
    };
    // Placed before the limit of one: confirmed all the same, and freed again.
    records.extend([(18, held), limited(19, 5), (20, confirmed(2, &[(1, 1)]))]);
    let back = Bytes::cancelled(late(21, 91, &[(1, 7)]), 20, "b1", &[(0, 1, 2)], RESTOCKED);
    records.push((21, back));
    records.push((22, Bytes::held(late(22, 91, &[(1, 8)]), "b1", &[(1, 1)], 99)));
    let (_, faults) = read(&records);
    assert!(faults.is_empty(), "{faults}");
    records[20].1 =
        Bytes::cancelled(late(21, 91, &[(1, 7)]), 20, "b1", &[(0, 1, 1)], [true, true, false]);
    let (_, faults) = read(&records);
    assert!(faults.to_string().contains("b1 has 2 of two, the limit is 1"), "{faults}");
}

#[test]
fn nothing_is_sold_while_all_selling_is_paused() {
    let mut records = honest();
    records.truncate(16);
    let held = |until| Bytes::held(late(17, 91, &[(0, 12)]), "b9", &[(0, 1)], until);
    for payload in [held(99), Bytes::ordered(late(17, 91, &[(0, 12)]), "b9", 1)] {
        records.truncate(16);
        records.push((17, payload));
        let (_, faults) = read(&records);
        assert!(faults.to_string().contains("sells while selling is paused"), "{faults}");
    }
}

#[test]
fn a_product_changes_once_a_record() {
    let twice = Bytes::ordered(about(5, &[(0, 3), (0, 4)]), "b1", 2);
    check(5, twice, "changes other products than it names");
    let keyless = Envelope { key: None, ..late(15, 88, &[(0, 11)]) };
    let mut records = honest();
    records[14].1 = Bytes::ended(11, keyless, 14, "b1", &[(0, 4)]);
    let (_, faults) = read(&records);
    assert!(faults.is_empty(), "a release needs no key: {faults}");
    let keyless = Envelope { key: None, ..about(4, &[(0, 2), (1, 2)]) };
    check(4, Bytes::held(keyless, "b1", &[(0, 2), (1, 1)], 100), "sequence 4 has no key");
}
