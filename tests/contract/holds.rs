//! Holds over HTTP: placed, read, extended, confirmed, released, expired.

use doorbuster::domain::Sequence;
use doorbuster::http::ProblemType as P;
use doorbuster::journal::HoldId;
use serde_json::{Value, json};

use crate::house::{House, Plan, wait_until};
use crate::wire::{Ask, Wire};

fn shop() -> House {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({"price": {"amount_minor": 250, "currency": "GBP"}}));
    house.product("q", 5, json!({}));
    house
}

fn hold(house: &House, key: &str, body: &Value) -> Value {
    Ask::post("/v1/holds", key, body.to_string()).to(house.address).ok(201)
}

fn two_lines(ttl_ms: u64) -> Value {
    json!({"buyer_id": "b", "ttl_ms": ttl_ms, "reference": "cart-1", "lines": [
        {"product_id": "p", "quantity": 3},
        {"product_id": "q", "quantity": 2, "unit_price": {"amount_minor": 99, "currency": "EUR"}}]})
}

fn path(hold: &Value, of: &str) -> String {
    format!("/v1/holds/{}{of}", hold["hold_id"].as_str().expect("a hold"))
}

#[test]
fn held_units_are_not_for_sale_until_they_are_released() {
    let house = shop();
    let placed = hold(&house, "h1", &two_lines(60_000));
    assert_eq!((&placed["status"], &placed["reference"]), (&json!("held"), &json!("cart-1")));
    assert_eq!(placed["lines"][0]["unit_price"]["amount_minor"], 250);
    assert_eq!(placed["lines"][1]["unit_price"]["currency"], "EUR");
    assert_eq!(house.get(&path(&placed, "")), placed);
    let stock = house.get("/v1/products/p/stock");
    assert_eq!(
        (&stock["held"], &stock["available"], &stock["unsold"]),
        (&json!(3), &json!(7), &json!(10))
    );
    let eight = r#"{"product_id":"p","buyer_id":"c","quantity":8}"#;
    assert_eq!(Ask::post("/v1/purchases", "k", eight).to(house.address).problem(), P::SoldOut);
    let again = Ask::post("/v1/holds", "h1", two_lines(60_000).to_string()).to(house.address);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(201), placed);

    let released = Ask::delete(&path(&placed, "")).to(house.address).ok(200);
    assert_eq!((&released["status"], &released["lines"]), (&json!("released"), &placed["lines"]));
    assert_eq!(house.get(&path(&placed, ""))["status"], "released");
    Ask::post("/v1/purchases", "k", eight).to(house.address).ok(201);
    let twice = Ask::delete(&path(&placed, "")).to(house.address);
    assert_eq!(twice.problem(), P::HoldReleased);
    let confirm = Ask::post(&path(&placed, "/confirm"), "c", "{}").to(house.address);
    assert_eq!(confirm.problem(), P::HoldReleased);
}

#[test]
fn confirmed_hold_is_an_order_at_the_price_it_was_placed_at() {
    let house = shop();
    let placed = hold(&house, "h1", &two_lines(60_000));
    let terms =
        r#"{"paused":true,"price":{"amount_minor":999,"currency":"GBP"},"per_buyer_limit":1}"#;
    Ask::patch("/v1/products/p", terms).to(house.address).ok(200);
    let confirm = Ask::post(&path(&placed, "/confirm"), "c1", r#"{"reference":"order-9"}"#);
    let order = confirm.to(house.address).ok(201);
    assert_eq!((&order["status"], &order["hold_id"]), (&json!("placed"), &placed["hold_id"]));
    assert_eq!((&order["lines"], &order["reference"]), (&placed["lines"], &json!("order-9")));
    let id = order["order_id"].as_str().expect("text");
    assert_eq!(house.get(&format!("/v1/orders/{id}")), order);
    let shown = house.get(&path(&placed, ""));
    assert_eq!((&shown["status"], &shown["order_id"]), (&json!("confirmed"), &order["order_id"]));
    let again = confirm.to(house.address);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(201), order);
    let other = Ask::post(&path(&placed, "/confirm"), "c2", "{}").to(house.address);
    assert_eq!(other.problem(), P::HoldConfirmed);
    let stock = house.get("/v1/products/p/stock");
    assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(3)));
}

#[test]
fn part_of_a_hold_is_confirmed_and_the_rest_released() {
    let house = shop();
    let placed = hold(&house, "h1", &two_lines(60_000));
    let body = |lines: Value| json!({ "lines": lines }).to_string();
    let too_many = body(json!([{"product_id": "p", "quantity": 4}]));
    let refused = Ask::post(&path(&placed, "/confirm"), "c", &too_many).to(house.address);
    assert_eq!(refused.problem(), P::Invalid);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/lines/0/quantity");
    for nothing in
        [json!([{"product_id": "x", "quantity": 1}]), json!([{"line_no": 3, "quantity": 1}])]
    {
        let refused = Ask::post(&path(&placed, "/confirm"), "c", body(nothing)).to(house.address);
        assert_eq!(refused.problem(), P::Invalid);
    }
    let part = body(json!([{"product_id": "p", "quantity": 2}, {"line_no": 2, "quantity": 2}]));
    let order = Ask::post(&path(&placed, "/confirm"), "c", &part).to(house.address).ok(201);
    assert_eq!(order["lines"][0]["quantity"], 2);
    assert_eq!(
        order["released"],
        json!([{"line_no": 1, "product_id": "p", "quantity": 1,
        "unit_price": {"amount_minor": 250, "currency": "GBP"}}])
    );
    let stock = house.get("/v1/products/p/stock");
    assert_eq!(
        (&stock["held"], &stock["sold"], &stock["available"]),
        (&json!(0), &json!(2), &json!(8))
    );
}

#[test]
fn hold_that_is_over_is_sellable_without_anybody_asking() {
    let house = shop();
    let placed = hold(&house, "h1", &two_lines(30));
    wait_until(|| house.get("/v1/products/p/stock")["held"] == 0);
    let shown = house.get(&path(&placed, ""));
    assert_eq!(shown["status"], "expired");
    let late = Ask::post(&path(&placed, "/confirm"), "c", "{}").to(house.address);
    assert_eq!(late.problem(), P::HoldExpired);
    let late = Ask::post(&path(&placed, "/extend"), "e", r#"{"ttl_ms":1000}"#).to(house.address);
    assert_eq!(late.problem(), P::HoldExpired);
}

#[test]
fn hold_is_extended_never_shorter_and_never_past_the_longest() {
    let house = shop();
    let placed = hold(&house, "h1", &two_lines(60_000));
    let extend = |key: &str, ttl_ms: u64| {
        let body = json!({ "ttl_ms": ttl_ms }).to_string();
        Ask::post(&path(&placed, "/extend"), key, &body).to(house.address)
    };
    let shorter = extend("e1", 1).ok(200);
    assert_eq!(shorter["expires_at"], placed["expires_at"]);
    let longer = extend("e2", 120_000).ok(200);
    assert!(longer["expires_at"].as_str() > placed["expires_at"].as_str());
    assert_eq!((&longer["lines"], &longer["status"]), (&placed["lines"], &json!("held")));
    assert_eq!(house.get(&path(&placed, ""))["expires_at"], longer["expires_at"]);
    assert_eq!(extend("e2", 120_000).ok(200), longer, "replayed");
    let longest = extend("e3", 31 * 24 * 3_600_000).ok(200);
    let ms = |time: &Value| {
        time.as_str()
            .expect("a time")
            .parse::<jiff::Timestamp>()
            .expect("RFC 3339")
            .as_millisecond()
    };
    assert_eq!(ms(&longest["expires_at"]) - ms(&placed["placed_at"]), 4 * 3_600_000);
    assert_eq!(extend("e4", 31 * 24 * 3_600_000 + 1).problem(), P::Invalid);
}

#[test]
fn what_is_no_hold_is_unknown() {
    let house = shop();
    let order = r#"{"product_id":"p","buyer_id":"b","quantity":1}"#;
    let order = Ask::post("/v1/purchases", "k", order).to(house.address).ok(201);
    let order_as_hold = order["order_id"].as_str().expect("text").replacen('o', "h", 1);
    for id in ["h", "nonsense", order["order_id"].as_str().expect("text"), &order_as_hold] {
        for ask in [
            Ask::get(&format!("/v1/holds/{id}")),
            Ask::delete(&format!("/v1/holds/{id}")),
            Ask::post(&format!("/v1/holds/{id}/confirm"), "c", "{}"),
            Ask::post(&format!("/v1/holds/{id}/extend"), "e", r#"{"ttl_ms":5}"#),
        ] {
            assert_eq!(ask.to(house.address).problem(), P::UnknownHold, "{id}");
        }
    }
}

#[test]
fn hold_whose_placing_is_not_durable_yet_is_nobodys_to_end() {
    let house = shop();
    let pair =
        [json!({"product_id": "p", "quantity": 1}), json!({"product_id": "q", "quantity": 1})];
    let lines: Vec<&Value> = pair.iter().cycle().take(400).collect();
    for product in ["p", "q"] {
        let terms = r#"{"oversell_limit":1000}"#;
        Ask::patch(&format!("/v1/products/{product}"), terms).to(house.address).ok(200);
    }
    house.gate.close();
    let mut placing = Wire::open(house.address);
    let body = json!({"buyer_id": "b", "ttl_ms": 60_000, "lines": lines});
    placing.send(&Ask::post("/v1/holds", "h", body.to_string()).bytes());
    wait_until(|| house.engine.gauges().is_some_and(|gauges| gauges.commands == 1));
    // Ids are no secrets: whoever guesses the next one asks before it is anybody's.
    let durable = house.engine.gauges().unwrap().durable_sequence;
    let mut guessing = Vec::new();
    for guess in 1..=3 {
        let id = HoldId(house.engine.position(Sequence::new(durable + guess)));
        let confirm = Ask::post(&format!("/v1/holds/{id}/confirm"), &format!("c{guess}"), "{}");
        for ask in [confirm, Ask::delete(&format!("/v1/holds/{id}"))] {
            let mut wire = Wire::open(house.address);
            wire.send(&ask.bytes());
            guessing.push(wire);
        }
    }
    wait_until(|| house.engine.gauges().is_some_and(|gauges| gauges.commands == 7));
    house.gate.open();
    for mut wire in guessing {
        assert_eq!(wire.receive().expect("an answer").problem(), P::UnknownHold);
    }
    let placed = placing.receive().expect("an answer").ok(201);
    assert_eq!(house.get(&path(&placed, ""))["status"], "held");
    Ask::post(&path(&placed, "/confirm"), "c", "{}").to(house.address).ok(201);
}
