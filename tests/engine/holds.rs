//! Holds: their ends are exact whatever the process, the clock and the disk do.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use doorbuster::domain::*;
use doorbuster::engine::*;

use crate::house::*;

const HOUR_MS: u64 = 3_600_000;

fn sequence(answer: Answer) -> Sequence {
    Sequence::new(decided(answer).0)
}

async fn place(house: &House, buyer: &str, lines: &[(Handle, u64)], ttl_ms: u64) -> Sequence {
    sequence(house.client.ask(hold(buyer, lines, ttl_ms)).await)
}

fn state(house: &House, hold: Sequence) -> Option<HoldState> {
    let entry = house.engine.board().expect("a started engine").hold(hold, house.engine.now_ms());
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
fn holds_over_while_the_process_was_down_expire_before_anything_is_decided() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 3, TermsPatch::default()).await;
        let second = place(&house, "anna", &[(product, 1)], 2 * HOUR_MS).await;
        let first = place(&house, "anna", &[(product, 1)], HOUR_MS).await;
        let third = place(&house, "anna", &[(product, 1)], 4 * HOUR_MS).await;
        house.stop().await;
        house.clock.advance(3 * HOUR_MS);
        let mut house = house.kill().await;
        let sold = sequence(house.client.ask(buy(product, "ben", 2)).await);
        assert!(is_sold_out(&house.client.ask(buy(product, "ben", 1)).await));
        assert_eq!(expired(&house), [first, second], "by their time");
        for hold in [first, second] {
            let Some(HoldState::Ended(ended)) = state(&house, hold) else { panic!() };
            assert!(ended.end == HoldEnd::Expired && ended.by.sequence < sold);
            assert_eq!(ended.by.at_ms, START_MS + 3 * HOUR_MS);
        }
        let expires_at_ms = START_MS + 4 * HOUR_MS;
        assert_eq!(state(&house, third), Some(HoldState::Held { expires_at_ms }));
        house.stop().await;
    });
}

#[test]
fn holds_end_by_the_partitions_clock_whatever_the_wall_says() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1, TermsPatch::default()).await;
        let held = place(&house, "anna", &[(product, 1)], HOUR_MS).await;
        for wall_ms in [START_MS + 100 * HOUR_MS, START_MS - 100 * HOUR_MS, START_MS + HOUR_MS] {
            house.clock.wall_ms.store(wall_ms, Ordering::SeqCst);
            assert!(is_sold_out(&house.client.ask(buy(product, "ben", 1)).await));
            // Of two lines, so that the partition itself is asked.
            let both = house.client.ask(order("ben", &[(product, 1), (product, 1)])).await;
            assert!(matches!(both, Answer::Refused(Refusal::Lines(_))), "{both:?}");
        }
        house.clock.monotonic_ms.fetch_add(HOUR_MS - 1, Ordering::SeqCst);
        assert!(is_sold_out(&house.client.ask(buy(product, "ben", 1)).await));
        house.clock.monotonic_ms.fetch_add(1, Ordering::SeqCst);
        decided(house.client.ask(buy(product, "ben", 1)).await);
        assert_eq!(end(&house, held), Some(HoldEnd::Expired));
        house.stop().await;
    });
}

#[test]
fn timer_shows_a_resting_products_units_without_any_command() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 5, TermsPatch::default()).await;
        let held = place(&house, "anna", &[(product, 5)], 50).await;
        assert_eq!(house.view("p").available(), 0);
        house.clock.advance(50);
        until(|| house.view("p").available() == 5);
        until(|| end(&house, held) == Some(HoldEnd::Expired));
        assert_eq!(house.view("p").version.get(), 3);
        assert_eq!(expired(&house), [held]);
        house.stop().await;
    });
}

#[test]
fn hold_that_is_over_before_the_one_waited_for_is_not_late() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 5, TermsPatch::default()).await;
        let long = place(&house, "anna", &[(product, 1)], 4 * HOUR_MS).await;
        let short = place(&house, "ben", &[(product, 1)], 40).await;
        // Longer now: the timer, woken for its old time, waits on.
        let extended = place(&house, "carl", &[(product, 1)], 30).await;
        decided(house.client.ask(extend(extended, HOUR_MS)).await);
        house.clock.advance(40);
        until(|| end(&house, short) == Some(HoldEnd::Expired));
        assert_eq!((end(&house, long), end(&house, extended)), (None, None));
        assert_eq!(house.view("p").figures.held, 2);
        house.stop().await;
    });
}

#[test]
fn ten_thousand_holds_end_in_one_turn_or_by_the_timer_in_many() {
    const HOLDS: u64 = 10_000;
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", HOLDS, TermsPatch::default()).await;
        for ttl_ms in [HOUR_MS, 100] {
            let asked = (0..HOLDS).map(|number| {
                let buyer = format!("b{}", number % 100);
                house.client.submit(hold(&buyer, &[(product, 1)], ttl_ms)).unwrap()
            });
            for reply in asked.collect::<Vec<_>>() {
                decided(reply.await);
            }
            assert_eq!(house.engine.gauges().unwrap().live_holds as u64, HOLDS);
            house.clock.advance(ttl_ms);
            if ttl_ms == HOUR_MS {
                // The timer sleeps, so this command ends them all.
                decided(house.client.ask(buy(product, "zoe", 1)).await);
            }
            until(|| house.engine.gauges().unwrap().live_holds == 0);
            decided(house.client.ask(adjust(product, 1)).await);
            assert_eq!(house.view("p").figures.held, 0);
        }
        let expired = expired(&house);
        assert_eq!(expired.len() as u64, 2 * HOLDS);
        assert_eq!(expired.iter().collect::<HashSet<_>>().len(), expired.len(), "each once");
        house.stop().await;
    });
}

#[test]
fn hold_over_many_products_gives_all_of_them_back_at_once() {
    const PRODUCTS: usize = 500;
    run(async {
        let mut house = House::new(roomy());
        let ids: Vec<_> = (0..PRODUCTS).map(|number| format!("p{number}")).collect();
        let creations = ids.iter().map(|id| create(id, 1, TermsPatch::default()));
        let creations: Vec<_> =
            creations.map(|request| house.client.submit(request).unwrap()).collect();
        for reply in creations {
            decided(reply.await);
        }
        let lines: Vec<_> = ids.iter().map(|id| (house.handle(id), 1)).collect();
        let held = place(&house, "anna", &lines, 50).await;
        assert!(ids.iter().all(|id| house.view(id).available() == 0));
        house.clock.advance(50);
        until(|| end(&house, held) == Some(HoldEnd::Expired));
        assert!(ids.iter().all(|id| house.view(id).available() == 1));
        decided(house.client.ask(order("ben", &lines)).await);
        house.stop().await;
    });
}

#[test]
fn without_room_for_an_expiry_nothing_is_sold_and_it_heals() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1, TermsPatch::default()).await;
        let filler = house.create("filler", 100_000_000, TermsPatch::default()).await;
        let held = place(&house, "anna", &[(product, 1)], HOUR_MS).await;
        house.storage.files.set_capacity(Some(0));
        for lines in [1_000, 100, 10, 1] {
            let lines = vec![(filler, 1); lines];
            let low = loop {
                match house.client.ask(order("ben", &lines)).await {
                    Answer::Decided { .. } => {}
                    other => break other,
                }
            };
            assert!(matches!(low, Answer::DiskLow { .. }), "{low:?}");
        }
        house.clock.advance(HOUR_MS);
        let low = house.client.ask(with_key(1, buy(product, "ben", 1))).await;
        assert!(matches!(low, Answer::DiskLow { .. }), "{low:?}");
        assert!(!house.engine.health().is_failed());
        house.storage.files.set_capacity(None);
        until(|| house.engine.gauges().unwrap().room_bytes > 1 << 20);
        decided(house.client.ask(with_key(1, buy(product, "ben", 1))).await);
        assert_eq!(expired(&house), [held]);
        assert_eq!(house.view("p").figures, Figures { stock: 1, held: 0, sold: 1 });
        house.stop().await;
    });
}

#[test]
fn expiry_is_durable_before_any_answer_that_rests_on_it() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 2, TermsPatch::default()).await;
        let held = place(&house, "anna", &[(product, 2)], HOUR_MS).await;
        house.clock.advance(HOUR_MS);
        house.clock.turns.close();
        // Refused for want of a third unit, sold of the two that the hold gave back.
        let refusal = house.client.submit(buy(product, "ben", 3)).unwrap();
        let sale = house.client.submit(buy(product, "ben", 2)).unwrap();
        let late = house.client.submit(confirm(held, 1)).unwrap();
        decide_up_to_the_sync(&house);
        for reply in [&refusal, &sale, &late] {
            assert!(reply.take().is_none(), "told before the expiry is durable");
        }
        assert_eq!(house.view("p").figures, Figures { stock: 2, held: 2, sold: 0 });
        assert_eq!((end(&house, held), house.engine.gauges().unwrap().live_holds), (None, 1));
        house.storage.syncs.open();
        let refused = refusal.await;
        let sold_out = Refusal::SoldOut { available: 2, requested: 3 };
        assert!(
            matches!(&refused, Answer::Refused(refusal) if *refusal == sold_out),
            "{refused:?}"
        );
        let sold = sequence(sale.await);
        let Some(HoldState::Ended(ended)) = state(&house, held) else { panic!("it is over") };
        assert_eq!(sold.get(), ended.by.sequence.get() + 1, "right behind the expiry");
        let refused = late.await;
        let over = Refusal::HoldEnded { end: HoldEnd::Expired };
        assert!(matches!(&refused, Answer::Refused(refusal) if *refusal == over), "{refused:?}");
        assert_eq!(house.view("p").figures, Figures { stock: 2, held: 0, sold: 2 });
        house.stop().await;
    });
}

#[test]
fn end_of_a_hold_is_known_for_a_day() {
    run(async {
        let house = House::new(roomy());
        let product = house.create("p", 3, TermsPatch::default()).await;
        let confirmed = place(&house, "anna", &[(product, 1)], HOUR_MS).await;
        let released = place(&house, "anna", &[(product, 1)], HOUR_MS).await;
        decided(house.client.ask(confirm(confirmed, 1)).await);
        decided(house.client.ask(release(released, 1)).await);
        let over = |hold| [extend(hold, 1), confirm(hold, 1), release(hold, 1)];
        let mut house = house;
        for _ in 0..2 {
            for (hold, ended) in [(confirmed, HoldEnd::Confirmed), (released, HoldEnd::Released)] {
                assert_eq!(end(&house, hold), Some(ended));
                for request in over(hold) {
                    let answer = house.client.ask(request).await;
                    let Answer::Refused(Refusal::HoldEnded { end }) = answer else {
                        panic!("{answer:?}")
                    };
                    assert_eq!(end, ended);
                }
            }
            // A day later less a millisecond, by a process that has replayed it.
            house.stop().await;
            let clock = Arc::clone(&house.clock);
            let age_ms = clock.monotonic_ms.load(Ordering::SeqCst);
            clock.advance((HOLD_KNOWN_MS - 1).saturating_sub(age_ms));
            house = house.restart().await;
        }
        house.clock.advance(1);
        for hold in [confirmed, released] {
            assert_eq!(state(&house, hold), None);
            for request in over(hold) {
                let answer = house.client.ask(request).await;
                assert!(matches!(answer, Answer::Refused(Refusal::UnknownHold)), "{answer:?}");
            }
        }
        house.stop().await;
    });
}

#[test]
fn live_holds_are_counted_over_every_way_a_hold_goes() {
    run(async {
        let house = House::new(roomy());
        let product = house.create("p", 9, TermsPatch::default()).await;
        let live = |house: &House| house.engine.gauges().unwrap().live_holds;
        let mut holds = Vec::new();
        for number in 0..4 {
            assert_eq!(live(&house), number);
            holds.push(place(&house, "anna", &[(product, 1)], HOUR_MS).await);
        }
        decided(house.client.ask(extend(holds[3], 2 * HOUR_MS)).await);
        assert_eq!(live(&house), 4);
        decided(house.client.ask(confirm(holds[0], 1)).await);
        assert_eq!(live(&house), 3);
        let house = house.kill().await;
        assert_eq!(live(&house), 3);
        decided(house.client.ask(release(holds[1], 1)).await);
        assert_eq!(live(&house), 2);
        house.clock.advance(HOUR_MS);
        decided(house.client.ask(buy(product, "ben", 1)).await);
        assert_eq!(live(&house), 1);
        let mut house = house.restart().await;
        assert_eq!(live(&house), 1);
        house.stop().await;
    });
}

#[test]
fn hold_that_is_guessed_before_it_is_durable_is_no_hold_yet() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1_000, TermsPatch::default()).await;
        house.storage.syncs.close();
        let first = house.client.submit(buy(product, "anna", 1)).unwrap();
        house.storage.syncs.until_held();
        // A worker sees no such hold, and takes room for the end of one line. Where the hold will
        // stand depends on whether the log has noted its watermark.
        let durable = house.engine.gauges().unwrap().durable_sequence;
        let guesses = [durable + 2, durable + 3].map(Sequence::new);
        let lines = vec![(product, 1); 500];
        let held = house.client.submit(hold("ben", &lines, 60_000)).unwrap();
        let ends = guesses.map(|guess| [confirm(guess, 1), release(guess, 1)]);
        let ends: Vec<_> = ends.into_iter().flatten().collect();
        let others: Vec<_> =
            ends.into_iter().map(|request| house.client.submit(request).unwrap()).collect();
        // In line behind the others.
        let last = house.client.submit(create("q", 1, TermsPatch::default())).unwrap();
        house.storage.syncs.open();
        decided(first.await);
        let held = sequence(held.await);
        assert!(guesses.contains(&held));
        for other in others {
            let answer = other.await;
            assert!(matches!(answer, Answer::Refused(Refusal::UnknownHold)), "{answer:?}");
        }
        decided(last.await);
        decided(house.client.ask(confirm(held, 500)).await);
        house.stop().await;
    });
}
