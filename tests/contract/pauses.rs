//! Pausing: nothing with a later position escapes it, one purchase or hundreds at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use doorbuster::domain::Sequence;
use doorbuster::http::ProblemType as P;
use serde_json::json;

use crate::house::{House, Plan, wait_until};
use crate::race::{ROUNDS, Race, purchase, sequence, settled};
use crate::wire::{Ask, Wire};

/// What can be paused, and where.
const PAUSES: [&str; 3] = ["/v1/products/p", "/v1/sales/s", "/v1/sales"];

fn shop() -> House {
    let house = House::open(Plan::default());
    house.product("p", 1_000_000, json!({"sale_id": "s"}));
    house
}

fn set(path: &str, paused: bool) -> Ask {
    Ask::patch(path, json!({ "paused": paused }).to_string())
}

#[test]
fn purchase_is_before_the_pause_or_is_none() {
    for path in PAUSES {
        let house = shop();
        let mut race = Race::at(house.address);
        for round in 0..ROUNDS {
            let buy = purchase("p", &format!("k{round}"), 1);
            let (paused, bought) = race.run(&set(path, true), &buy);
            let pause = sequence(&paused.ok(200));
            if bought.status == 201 {
                race.won("purchase");
                assert!(sequence(&bought.ok(201)) < pause);
            } else {
                race.won("pause");
                assert_eq!(bought.problem(), P::Paused);
            }
            // Whoever bought before is told again; nobody else buys.
            let again = race.ask(&buy);
            assert_eq!(again.status, bought.status, "{again:?}");
            race.ask(&set(path, false)).ok(200);
        }
        race.report(&format!("purchase against pause of {path}"), &["purchase", "pause"]);
        settled(&house);
    }
}

/// Buys until it has been refused often enough; gives the places of what was sold.
fn buy_until_paused(house: &House, buyer: usize, sold: &AtomicUsize) -> Vec<Sequence> {
    let mut wire = Wire::open(house.address);
    let (mut places, mut refused, mut number) = (Vec::new(), 0, 0);
    while refused < 20 {
        number += 1;
        // Every third is a cart: for the partition's actor, not the product's.
        let lines = json!([{"product_id": "p", "quantity": 1}, {"product_id": "q", "quantity": 1}]);
        let cart = json!({"buyer_id": "b", "lines": lines});
        let key = format!("b{buyer}-{number}");
        let ask = match number % 3 {
            0 => Ask::post("/v1/orders", &key, cart.to_string()),
            _ => purchase("p", &key, 1),
        };
        let answer = ask.header("request-timeout-ms", "20000").over(&mut wire);
        if answer.status == 201 {
            places.push(sequence(&answer.ok(201)));
            sold.fetch_add(1, Ordering::Relaxed);
        } else {
            assert_eq!(answer.problem(), P::Paused);
            refused += 1;
        }
    }
    places
}

#[test]
fn nothing_escapes_a_pause_under_load() {
    for path in PAUSES {
        let house = shop();
        house.product("q", 1_000_000, json!({"sale_id": "s"}));
        let sold = AtomicUsize::new(0);
        let (pause, places) = thread::scope(|scope| {
            let buyers: Vec<_> = (0..16)
                .map(|buyer| {
                    scope.spawn({
                        let (house, sold) = (&house, &sold);
                        move || buy_until_paused(house, buyer, sold)
                    })
                })
                .collect();
            wait_until(|| sold.load(Ordering::Relaxed) >= 200);
            let pause = sequence(&set(path, true).to(house.address).ok(200));
            // Its answer was heard: from here on even the first to ask is refused.
            assert_eq!(purchase("p", "late", 1).to(house.address).problem(), P::Paused);
            let places: Vec<Sequence> =
                buyers.into_iter().flat_map(|buyer| buyer.join().expect("a buyer")).collect();
            (pause, places)
        });
        let before = places.iter().filter(|place| **place < pause).count();
        eprintln!("{} sold under load, then {path} paused", places.len());
        assert_eq!(before, places.len(), "sold after the pause at {}", pause.get());
        let ledger = settled(&house);
        assert_eq!(ledger.sales, places.len(), "told of all that was sold, and of no more");
        let stock = house.get("/v1/products/p/stock");
        set(path, false).to(house.address).ok(200);
        purchase("p", "late", 1).to(house.address).ok(201);
        assert_eq!(house.sold("p").0, stock["sold"].as_u64().expect("a figure") + 1);
    }
}
