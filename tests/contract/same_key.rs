//! One key from several callers: one order, whoever asks, however often, whatever was not heard.

use std::thread;
use std::time::Duration;

use doorbuster::http::ProblemType as P;
use serde_json::json;

use crate::house::{House, Plan, wait_until};
use crate::race::{ROUNDS, Race, purchase, settled};
use crate::wire::{Answer, Ask, Wire};

fn shop() -> (House, Race) {
    let house = House::open(Plan::default());
    house.product("p", 10_000, json!({}));
    let race = Race::at(house.address);
    (house, race)
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

#[test]
fn key_from_two_connections_is_one_order() {
    let (house, mut race) = shop();
    for round in 0..ROUNDS {
        let ask = purchase("p", &format!("k{round}"), 1);
        let (one, other) = race.run(&ask, &ask);
        let answers = [&one, &other];
        let decided: Vec<_> =
            answers.into_iter().filter(|a| a.status == 201 && !is_replayed(a)).collect();
        assert_eq!(decided.len(), 1, "{answers:?}");
        let order = decided[0].ok(201);
        let (side, second) =
            if is_replayed(&one) || one.status != 201 { ("other", &one) } else { ("one", &other) };
        race.won(side);
        match second.status {
            201 => assert_eq!(second.ok(201), order),
            _ => assert_eq!(second.problem(), P::KeyInFlight),
        }
        let again = race.ask(&ask);
        assert!(is_replayed(&again), "{again:?}");
        assert_eq!(again.ok(201), order);
    }
    race.report("same key from two connections", &["one", "other"]);
    let ledger = settled(&house);
    assert_eq!((ledger.sales as u64, ledger.product("p").sold as u64), (ROUNDS, ROUNDS));
}

#[test]
fn key_with_two_bodies_belongs_to_one_of_them() {
    let (house, mut race) = shop();
    let mut units = 0;
    for round in 0..ROUNDS {
        let asks = [1, 2].map(|quantity| purchase("p", &format!("k{round}"), quantity));
        let (one, other) = race.run(&asks[0], &asks[1]);
        let (side, won, lost) =
            if one.status == 201 { ("one", one, other) } else { ("other", other, one) };
        race.won(side);
        units += won.ok(201)["lines"][0]["quantity"].as_u64().expect("a quantity");
        assert_eq!(lost.problem(), P::KeyReused);
    }
    race.report("same key, two bodies", &["one", "other"]);
    let ledger = settled(&house);
    assert_eq!((ledger.sales as u64, ledger.product("p").sold as u64), (ROUNDS, units));
}

/// Each caller gives up, or hears it just in time; then its key tells, once the disk is back.
#[test]
fn key_tells_what_its_caller_did_not_wait_for() {
    const CALLERS: u64 = 50;
    let (house, mut race) = shop();
    for batch in 0..ROUNDS / CALLERS {
        let asks: Vec<Ask> = (0..CALLERS).map(|caller| impatient(batch, caller)).collect();
        house.gate.close();
        let mut wires: Vec<Wire> = asks.iter().map(|_| Wire::open(house.address)).collect();
        asks.iter().zip(&mut wires).for_each(|(ask, wire)| wire.send(&ask.bytes()));
        let mut heard = Vec::new();
        for (place, wire) in wires.iter_mut().enumerate() {
            heard.push(wire.receive().expect("an answer"));
            // The first has given up for sure; of the others some do before the disk is back.
            if place == 0 {
                thread::sleep(Duration::from_millis(30 * batch));
                house.gate.open();
            }
        }
        for (ask, heard) in asks.iter().zip(heard) {
            // What was not decided in time is decided now, if it is in time.
            wait_until(|| race.ask(ask).status == 201);
            let told = race.ask(ask);
            assert!(is_replayed(&told), "{told:?}");
            if heard.status == 201 {
                race.won("heard");
                assert_eq!(told.ok(201), heard.ok(201));
            } else {
                let problem = heard.problem();
                assert!(matches!(problem, P::OutcomeUnknown | P::NotDecided), "{problem:?}");
                race.won("given up");
            }
        }
    }
    race.report("same key after its caller timed out", &["heard", "given up"]);
    let ledger = settled(&house);
    assert_eq!((ledger.sales as u64, ledger.product("p").sold as u64), (ROUNDS, ROUNDS));
}

/// A purchase with little time, but for the last caller's; half a second for the disk comes on top.
fn impatient(batch: u64, caller: u64) -> Ask {
    let timeout_ms = if caller == 49 { 20_000 } else { 1 + 4 * caller };
    let ask = purchase("p", &format!("k{batch}-{caller}"), 1);
    ask.header("request-timeout-ms", &timeout_ms.to_string())
}
