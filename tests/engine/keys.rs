//! A key decides once, whoever asks with it and however often.

use doorbuster::domain::*;
use doorbuster::engine::*;

use crate::house::*;

#[test]
fn key_in_flight_stays_taken_when_nobody_waits_any_more() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 10, TermsPatch::default()).await;
        house.clock.turns.close();
        drop(house.client.submit(with_key(1, buy(product, "anna", 1))).unwrap());
        house.clock.turns.until_held();
        let again = house.client.ask(with_key(1, buy(product, "anna", 1))).await;
        assert!(matches!(again, Answer::KeyInFlight), "{again:?}");
        let mut other = with_key(1, buy(product, "anna", 1));
        other.key.as_mut().unwrap().fingerprint = [2; 8];
        let other = house.client.ask(other).await;
        assert!(matches!(other, Answer::KeyReused), "{other:?}");
        house.clock.turns.open();
        until(|| house.view("p").figures.sold == 1);
        let again = loop {
            // The view comes before the key by a moment.
            match house.client.ask(with_key(1, buy(product, "anna", 1))).await {
                Answer::KeyInFlight => continue,
                answer => break answer,
            }
        };
        assert!(decided(again).1);
        house.stop().await;
    });
}

#[test]
fn two_clients_with_one_key_decide_once() {
    const KEYS: u64 = 300;
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1_000, TermsPatch::default()).await;
        let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let barrier = std::sync::Arc::clone(&barrier);
                worker(&house.engine, move |client| async move {
                    let mut sequences = Vec::new();
                    barrier.wait();
                    for number in 0..KEYS {
                        let sequence = loop {
                            match client.ask(with_key(number, buy(product, "anna", 1))).await {
                                Answer::KeyInFlight => actix_rt::task::yield_now().await,
                                answer => break decided(answer).0,
                            }
                        };
                        sequences.push(sequence);
                    }
                    sequences
                })
            })
            .collect();
        let mut heard = Vec::new();
        for client in clients {
            heard.push(client.await);
        }
        assert_eq!(heard[0], heard[1], "both hear of the same orders");
        assert_eq!(house.view("p").figures.sold, KEYS);
        house.stop().await;
    });
}

#[test]
fn key_that_is_found_wins_over_the_view() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1, TermsPatch::default()).await;
        let (sequence, _) = decided(house.client.ask(with_key(1, buy(product, "anna", 1))).await);
        // Sold out, and paused: whoever bought gets the order again.
        let targets = Targets::Product { handle: product, terms_version: None };
        decided(house.client.ask(patch(targets, paused())).await);
        let again = house.client.ask(with_key(1, buy(product, "anna", 1))).await;
        assert_eq!(decided(again), (sequence, true));
        let other = house.client.ask(with_key(2, buy(product, "ben", 1))).await;
        assert!(matches!(other, Answer::Refused(Refusal::Paused)), "{other:?}");
        house.stop().await;
    });
}

#[test]
fn refused_key_is_free_and_decided_anew() {
    run(async {
        let mut house = House::new(roomy());
        let limit = TermsPatch { per_buyer_limit: Patch::Set(Some(1)), ..TermsPatch::default() };
        let product = house.create("p", 9, limit).await;
        let refused = house.client.ask(with_key(1, buy(product, "anna", 2))).await;
        assert!(matches!(refused, Answer::Refused(Refusal::LimitReached { .. })), "{refused:?}");
        let keys = house.engine.gauges().unwrap().idempotency_keys;
        assert_eq!(keys, 0);
        assert!(!decided(house.client.ask(with_key(1, buy(product, "anna", 1))).await).1);
        house.stop().await;
    });
}

#[test]
fn full_table_turns_away_before_deciding() {
    run(async {
        let house = House::new(EngineConfig { keys_max: 3, ..roomy() });
        let product = house.create("p", 10, TermsPatch::default()).await;
        for number in 0..3 {
            decided(house.client.ask(with_key(number, buy(product, "anna", 1))).await);
        }
        let fourth = house.client.ask(with_key(3, buy(product, "anna", 1))).await;
        assert!(matches!(fourth, Answer::Overloaded { .. }), "{fourth:?}");
        assert_eq!(house.view("p").figures.sold, 3);
        assert_eq!(house.engine.gauges().unwrap().commands, 0);
        // Full after a restart too, and every key is still known.
        let mut house = house.restart().await;
        assert!(decided(house.client.ask(with_key(0, buy(product, "anna", 1))).await).1);
        let fourth = house.client.ask(with_key(3, buy(product, "anna", 1))).await;
        assert!(matches!(fourth, Answer::Overloaded { .. }), "{fourth:?}");
        // It heals as they age, by the clock alone.
        house.clock.advance(KEY_AGE_MS);
        assert!(!decided(house.client.ask(with_key(3, buy(product, "anna", 1))).await).1);
        assert!(!decided(house.client.ask(with_key(0, buy(product, "anna", 1))).await).1, "aged");
        house.stop().await;
    });
}
