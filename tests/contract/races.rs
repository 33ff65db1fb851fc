//! The table of races: two requests at once, and the only ways in which they may end.
//!
//! Each row runs many rounds, in which both orders occur; afterwards the log is added up, and what
//! may never be (`ledger`) was not.

use std::thread;
use std::time::Duration;

use doorbuster::http::ProblemType as P;
use serde_json::json;

use crate::house::{House, Plan, wait_until};
use crate::race::{ROUNDS, Race, cancel, hold, hold_path, purchase, settled};
use crate::server::Server;
use crate::wire::Ask;

fn shop(stock: u64) -> (House, Race) {
    let house = House::open(Plan::default());
    house.product("p", stock, json!({}));
    let race = Race::at(house.address);
    (house, race)
}

/// Makes the unsold units of a product so many.
fn set_unsold(product: &str, key: &str, unsold: u64) -> Ask {
    let body = json!({"set_unsold": unsold, "expected_unsold": null, "reason": "correction"});
    Ask::post(&format!("/v1/products/{product}/adjustments"), key, body.to_string())
}

#[test]
fn hold_is_confirmed_or_expired() {
    let (house, mut race) = shop(1_000);
    for round in 0..ROUNDS {
        let ttl_ms = if round % 20 == 1 { 60_000 } else { 8 };
        let placed = race.ask(&hold("p", &format!("h{round}"), 2, ttl_ms)).ok(201);
        match round % 20 {
            1 => {}
            2 => wait_until(|| house.get(&hold_path(&placed, ""))["status"] == "expired"),
            _ => thread::sleep(Duration::from_micros(4_000 + race.random(6_000))),
        }
        let confirm = Ask::post(&hold_path(&placed, "/confirm"), &format!("c{round}"), "");
        let confirmed = race.ask(&confirm);
        if confirmed.status == 201 {
            race.won("confirm");
            let again = race.ask(&confirm);
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.ok(201), confirmed.json());
            assert_eq!(house.get(&hold_path(&placed, ""))["status"], "confirmed");
        } else {
            race.won("expiry");
            assert_eq!(confirmed.problem(), P::HoldExpired);
            assert_eq!(race.ask(&confirm).problem(), P::HoldExpired);
            assert_eq!(house.get(&hold_path(&placed, ""))["status"], "expired");
        }
    }
    race.report("confirm against expiry", &["confirm", "expiry"]);
    let ledger = settled(&house);
    assert_eq!(ledger.confirmed + ledger.expired, ROUNDS as usize);
    assert_eq!(ledger.product("p").sold, 2 * ledger.confirmed as i64);
}

/// Both at once, on any server; gives how often it was confirmed.
fn confirm_against_release(race: &mut Race) -> u64 {
    let mut confirmations = 0;
    for round in 0..ROUNDS {
        let placed = race.ask(&hold("p", &format!("h{round}"), 2, 60_000)).ok(201);
        let confirm = Ask::post(&hold_path(&placed, "/confirm"), &format!("c{round}"), "");
        let release = Ask::delete(&hold_path(&placed, ""));
        let (confirmed, released) = race.run(&confirm, &release);
        let status = if confirmed.status == 201 {
            race.won("confirm");
            confirmations += 1;
            assert_eq!(released.problem(), P::HoldConfirmed);
            "confirmed"
        } else {
            race.won("release");
            assert_eq!(confirmed.problem(), P::HoldReleased);
            released.ok(200);
            "released"
        };
        assert_eq!(race.ask(&Ask::get(&hold_path(&placed, ""))).ok(200)["status"], status);
    }
    race.report("confirm against release", &["confirm", "release"]);
    confirmations
}

#[test]
fn hold_is_confirmed_or_released() {
    let (house, mut race) = shop(1_000);
    let confirmations = confirm_against_release(&mut race);
    let ledger = settled(&house);
    assert_eq!((ledger.confirmed + ledger.released) as u64, ROUNDS);
    assert_eq!(ledger.product("p").sold as u64, 2 * confirmations);
}

/// On a real disk, whose syncs take their time; and a kill -9 changes nothing.
#[test]
fn hold_is_confirmed_or_released_by_the_binary_too() {
    let place = tempfile::tempdir().expect("a directory");
    let server = Server::start(&place.path().join("data"), &[]);
    server.create("p", 1_000);
    let confirmations = confirm_against_release(&mut Race::at(server.address));
    let stock = server.get("/v1/products/p/stock").expect("an answer").body;
    assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(2 * confirmations)));
    server.kill();
    let server = Server::start(&place.path().join("data"), &[]);
    assert_eq!(server.get("/v1/products/p/stock").expect("an answer").body, stock);
}

#[test]
fn hold_is_one_order_however_many_confirm() {
    let (house, mut race) = shop(1_000);
    for round in 0..ROUNDS {
        let placed = race.ask(&hold("p", &format!("h{round}"), 2, 60_000)).ok(201);
        let confirm = |key: String| Ask::post(&hold_path(&placed, "/confirm"), &key, "");
        let (one, other) =
            race.run(&confirm(format!("c{round}-1")), &confirm(format!("c{round}-2")));
        let (won, lost) = if one.status == 201 { ("one", other) } else { ("other", one.clone()) };
        race.won(won);
        assert_eq!(lost.problem(), P::HoldConfirmed);
        assert!(one.status == 201 || won == "other");
    }
    race.report("two confirms", &["one", "other"]);
    let ledger = settled(&house);
    assert_eq!((ledger.confirmed as u64, ledger.product("p").sold as u64), (ROUNDS, 2 * ROUNDS));
}

#[test]
fn order_is_cancelled_once_however_many_cancel() {
    let (house, mut race) = shop(10);
    for round in 0..ROUNDS {
        let order = race.ask(&purchase("p", &format!("p{round}"), 3)).ok(201);
        let whole = |key: String| cancel(&order, &key, r#"{"reason":"r"}"#);
        let (one, other) = race.run(&whole(format!("x{round}-1")), &whole(format!("x{round}-2")));
        let (side, won, lost) =
            if one.status == 200 { ("one", one, other) } else { ("other", other, one) };
        race.won(side);
        assert_eq!(won.ok(200)["lines"][0]["quantity"], 3);
        assert_eq!(lost.problem(), P::AlreadyCancelled);
    }
    race.report("two cancels", &["one", "other"]);
    let ledger = settled(&house);
    let sums = ledger.product("p");
    assert_eq!((ledger.cancellations as u64, sums.stock, sums.sold), (ROUNDS, 10, 0));
}

#[test]
fn each_unit_comes_back_once_of_a_whole_and_a_partial_cancellation() {
    let (house, mut race) = shop(10);
    for round in 0..ROUNDS {
        let order = race.ask(&purchase("p", &format!("p{round}"), 3)).ok(201);
        let whole = cancel(&order, &format!("w{round}"), r#"{"reason":"r"}"#);
        let part = r#"{"reason":"r","lines":[{"line_no":1,"quantity":2}]}"#;
        let part = cancel(&order, &format!("x{round}"), part);
        let (whole, part) = race.run(&whole, &part);
        let rest = whole.ok(200)["lines"][0]["quantity"].clone();
        if part.status == 200 {
            race.won("part first");
            assert_eq!((part.ok(200)["lines"][0]["quantity"].clone(), rest), (json!(2), json!(1)));
        } else {
            race.won("whole first");
            assert_eq!((part.problem(), rest), (P::AlreadyCancelled, json!(3)));
        }
    }
    race.report("cancel against partial cancel", &["part first", "whole first"]);
    let sums = settled(&house).product("p");
    assert_eq!((sums.stock, sums.sold), (10, 0));
}

#[test]
fn carts_in_opposite_order_are_exact_and_do_not_wait_for_each_other() {
    let (house, mut race) = shop(0);
    house.product("q", 0, json!({}));
    let cart = |key: String, first: &str, second: &str| {
        let lines =
            json!([{"product_id": first, "quantity": 2}, {"product_id": second, "quantity": 2}]);
        Ask::post("/v1/orders", &key, json!({"buyer_id": "b", "lines": lines}).to_string())
    };
    let mut sold = 0;
    for round in 0..ROUNDS {
        // In every other round there is enough for one only.
        let unsold = 3 + round % 2;
        for product in ["p", "q"] {
            race.ask(&set_unsold(product, &format!("{product}{round}"), unsold)).ok(201);
        }
        let one = cart(format!("one-{round}"), "p", "q");
        let other = cart(format!("other-{round}"), "q", "p");
        let (one, other) = race.run(&one, &other);
        sold += i64::from(one.status == 201) + i64::from(other.status == 201);
        if unsold == 4 {
            one.ok(201);
            other.ok(201);
            race.won("both");
            continue;
        }
        let (side, lost) = if one.status == 201 { ("one", other) } else { ("other", one) };
        race.won(side);
        assert_eq!(lost.problem(), P::SoldOut);
        assert_eq!(lost.json()["lines"].as_array().map(Vec::len), Some(2));
    }
    race.report("carts in opposite order", &["one", "other", "both"]);
    let ledger = settled(&house);
    assert_eq!(sold as u64, ROUNDS / 2 * 3);
    assert_eq!((ledger.product("p").sold, ledger.product("q").sold), (2 * sold, 2 * sold));
}

#[test]
fn last_unit_is_written_off_or_sold() {
    let (house, mut race) = shop(0);
    for round in 0..ROUNDS {
        race.ask(&set_unsold("p", &format!("s{round}"), 1)).ok(201);
        let lost = r#"{"delta":-1,"reason":"lost"}"#;
        let write_off = Ask::post("/v1/products/p/adjustments", &format!("a{round}"), lost);
        let (written_off, bought) = race.run(&write_off, &purchase("p", &format!("p{round}"), 1));
        if bought.status == 201 {
            race.won("purchase");
            assert_eq!(written_off.problem(), P::WouldOversell);
            assert_eq!(written_off.json()["shortfall"], 1);
        } else {
            race.won("write-off");
            written_off.ok(201);
            assert_eq!(bought.problem(), P::SoldOut);
        }
    }
    race.report("write-off against purchase", &["purchase", "write-off"]);
    settled(&house);
}

/// The hold of the last unit is confirmed, or it is over and somebody else buys; nobody, and it is
/// for sale.
#[test]
fn last_unit_of_an_expiring_hold_is_never_lost() {
    let (house, mut race) = shop(0);
    for round in 0..ROUNDS {
        race.ask(&set_unsold("p", &format!("s{round}"), 1)).ok(201);
        // Each side surely wins the rounds in which it is the first by design.
        let ttl_ms = if round % 20 == 0 { 60_000 } else { 6 };
        let placed = race.ask(&hold("p", &format!("h{round}"), 1, ttl_ms)).ok(201);
        match round % 20 {
            0 => {}
            1 => wait_until(|| house.get(&hold_path(&placed, ""))["status"] == "expired"),
            _ => thread::sleep(Duration::from_micros(2_000 + race.random(6_000))),
        }
        let confirm = Ask::post(&hold_path(&placed, "/confirm"), &format!("c{round}"), "");
        let buy = purchase("p", &format!("p{round}"), 1);
        let (confirmed, bought) = race.run(&confirm, &buy);
        match (confirmed.status, bought.status) {
            (201, _) => {
                race.won("holder");
                assert_eq!(bought.problem(), P::SoldOut);
            }
            (_, 201) => {
                race.won("buyer");
                assert_eq!(confirmed.problem(), P::HoldExpired);
            }
            // The buyer came before the end of the hold, its holder after it.
            _ => {
                race.won("nobody");
                assert_eq!((confirmed.problem(), bought.problem()), (P::HoldExpired, P::SoldOut));
                race.ask(&buy).ok(201);
            }
        }
        assert_eq!(race.ask(&purchase("p", &format!("q{round}"), 1)).problem(), P::SoldOut);
    }
    race.report("last unit against expiring hold", &["holder", "buyer"]);
    let ledger = settled(&house);
    let sums = ledger.product("p");
    assert_eq!((sums.stock as u64, sums.sold as u64), (ROUNDS, ROUNDS));
}
