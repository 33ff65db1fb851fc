//! Holds: their ends are exact whatever the process, the clock and the disk do.

use std::sync::atomic::Ordering;

use doorbuster::domain::*;
use doorbuster::engine::*;

use crate::house::*;

const DAY_MS: u64 = 24 * 3_600_000;

fn sequence(answer: Answer) -> Sequence {
    Sequence::new(decided(answer).0)
}

async fn place(house: &House, buyer: &str, lines: &[(Handle, u64)], ttl_ms: u64) -> Sequence {
    sequence(house.client.ask(hold(buyer, lines, ttl_ms)).await)
}

fn state(house: &House, hold: Sequence) -> Option<HoldState> {
    let entry = house.engine.board().unwrap().hold(hold, house.engine.now_ms());
    entry.map(|entry| entry.state)
}

fn end(house: &House, hold: Sequence) -> Option<HoldEnd> {
    match state(house, hold) {
        Some(HoldState::Ended(ended)) => Some(ended.end),
        _ => None,
    }
}

/// Sequences of the holds that expired, in the order of the log.
fn expired(house: &House) -> Vec<Sequence> {
    let ended = |decision: Decision| match decision {
        Decision::HoldExpired(ended) => Some(ended.hold),
        _ => None,
    };
    house.records().into_iter().filter_map(|(_, record, _)| ended(record.decision)).collect()
}

fn is_sold_out(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(Refusal::SoldOut { .. }))
}

#[test]
fn hold_that_is_guessed_before_it_is_durable_is_no_hold_yet() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1_000, TermsPatch::default()).await;
        house.storage.syncs.close();
        let first = house.client.submit(buy(product, "anna", 1)).unwrap();
        house.storage.syncs.until_held();
        // Its worker sees no such hold, and takes room for the end of one line.
        let guessed = Sequence::new(house.engine.gauges().unwrap().durable_sequence + 2);
        let lines = vec![(product, 1); 500];
        let held = house.client.submit(hold("ben", &lines, 60_000)).unwrap();
        let others = [confirm(guessed, 1), release(guessed, 1)]
            .map(|request| house.client.submit(request).unwrap());
        // In line behind the others.
        let last = house.client.submit(create("q", 1, TermsPatch::default())).unwrap();
        house.storage.syncs.open();
        decided(first.await);
        assert_eq!(sequence(held.await), guessed);
        for other in others {
            let answer = other.await;
            assert!(matches!(answer, Answer::Refused(Refusal::UnknownHold)), "{answer:?}");
        }
        decided(last.await);
        decided(house.client.ask(confirm(guessed, 500)).await);
        house.stop().await;
    });
}
