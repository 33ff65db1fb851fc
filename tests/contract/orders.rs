//! Orders of many lines, and what comes back of them.

use doorbuster::http::ProblemType as P;
use serde_json::{Value, json};

use crate::house::{House, Plan};
use crate::wire::Ask;

fn shop() -> House {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({"price": {"amount_minor": 250, "currency": "GBP"}}));
    house.product("q", 5, json!({"per_buyer_limit": 3}));
    house
}

fn order(house: &House, key: &str, lines: Value) -> Value {
    let body = json!({"buyer_id": "b", "lines": lines}).to_string();
    Ask::post("/v1/orders", key, &body).to(house.address).ok(201)
}

fn cancel(house: &House, order: &Value, key: &str, body: &Value) -> crate::wire::Answer {
    let path = format!("/v1/orders/{}/cancel", order["order_id"].as_str().expect("an order"));
    Ask::post(&path, key, body.to_string()).to(house.address)
}

#[test]
fn cart_is_sold_whole_with_each_lines_price() {
    let house = shop();
    let lines = json!([
        {"product_id": "p", "quantity": 2},
        {"product_id": "q", "quantity": 1},
        {"product_id": "p", "quantity": 1, "unit_price": {"amount_minor": 1, "currency": "GBP"}}]);
    let sold = order(&house, "k", lines);
    let prices: Vec<&Value> =
        (0..3).map(|line| &sold["lines"][line]["unit_price"]["amount_minor"]).collect();
    assert_eq!(prices, [&json!(250), &json!(null), &json!(1)]);
    assert_eq!(house.sold("p"), (3, 2));
    assert_eq!(
        house.get(&format!("/v1/orders/{}", sold["order_id"].as_str().expect("text"))),
        sold
    );
}

#[test]
fn refused_cart_names_every_line_that_fails_and_takes_nothing() {
    let house = shop();
    let body = json!({"buyer_id": "b", "lines": [
        {"product_id": "p", "quantity": 6}, {"product_id": "q", "quantity": 4},
        {"product_id": "p", "quantity": 5}]});
    let refused = Ask::post("/v1/orders", "k", body.to_string()).to(house.address);
    assert_eq!(refused.problem(), P::SoldOut);
    let lines = &refused.json()["lines"];
    assert_eq!(
        (&lines[0]["line_nos"], &lines[0]["available"], &lines[0]["requested"]),
        (&json!([1, 3]), &json!(10), &json!(11))
    );
    assert_eq!((&lines[1]["line_nos"], &lines[1]["limit"]), (&json!([2]), &json!(3)));
    assert_eq!(house.sold("p"), (0, 1));
    let unknown = json!({"buyer_id": "b", "lines": [
        {"product_id": "x", "quantity": 6}, {"product_id": "y", "quantity": 4}]});
    let unknown = Ask::post("/v1/orders", "k", unknown.to_string()).to(house.address);
    assert_eq!(unknown.problem(), P::UnknownProduct);
    assert_eq!(unknown.json()["detail"], r#"no product "x", "y""#);
}

#[test]
fn each_unit_comes_back_once() {
    let house = shop();
    let sold = order(
        &house,
        "k",
        json!([
        {"product_id": "p", "quantity": 4}, {"product_id": "q", "quantity": 3}]),
    );
    let part = json!({"reason": "too large", "lines": [{"product_id": "p", "quantity": 3}]});
    let back = cancel(&house, &sold, "c1", &part).ok(200);
    assert_eq!((&back["status"], &back["restock"]), (&json!("partly_cancelled"), &json!(true)));
    assert_eq!(back["lines"][0]["quantity"], 3);
    let again = cancel(&house, &sold, "c1", &part);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(200), back);
    let refused = cancel(&house, &sold, "c2", &part);
    assert_eq!(refused.problem(), P::AlreadyCancelled);
    assert_eq!((&refused.json()["left"], &refused.json()["requested"]), (&json!(1), &json!(3)));
    let shown = house.get(&format!("/v1/orders/{}", sold["order_id"].as_str().expect("text")));
    assert_eq!(
        (&shown["status"], &shown["lines"][0]["cancelled"]),
        (&json!("partly_cancelled"), &json!(3))
    );
    let rest = cancel(&house, &sold, "c3", &json!({"reason": "broken", "restock": false})).ok(200);
    assert_eq!((&rest["status"], &rest["lines"][1]["quantity"]), (&json!("cancelled"), &json!(3)));
    let stock = house.get("/v1/products/q/stock");
    assert_eq!((&stock["stock"], &stock["sold"]), (&json!(2), &json!(0)));
    let shown = house.get(&format!("/v1/orders/{}", sold["order_id"].as_str().expect("text")));
    assert_eq!(shown["status"], "cancelled");
    let nothing = cancel(&house, &sold, "c4", &json!({"reason": "again"}));
    assert_eq!(nothing.problem(), P::AlreadyCancelled);
    let part = cancel(&house, &sold, "c5", &part);
    assert_eq!((&part.json()["left"], &part.json()["requested"]), (&json!(0), &json!(3)));
    // The limit of q is free again.
    order(&house, "k2", json!([{"product_id": "q", "quantity": 2}]));
}

#[test]
fn what_is_no_order_cannot_be_cancelled() {
    let house = shop();
    let path = "/v1/orders/o0000000000000000000000/cancel";
    let ask = Ask::post(path, "c", r#"{"reason":"x"}"#).to(house.address);
    assert_eq!(ask.problem(), P::UnknownOrder);
}

#[test]
fn pause_of_everything_stops_every_product_and_confirms_holds() {
    let house = shop();
    let hold =
        json!({"buyer_id": "b", "ttl_ms": 60_000, "lines": [{"product_id": "p", "quantity": 1}]});
    let hold = Ask::post("/v1/holds", "h", hold.to_string()).to(house.address).ok(201);
    let paused = Ask::patch("/v1/sales", r#"{"paused":true}"#).to(house.address).ok(200);
    assert_eq!(paused["paused"], true);
    assert_eq!(house.get("/v1/sales"), json!({"paused": true}));
    assert_eq!(house.get("/v1/products")["products"][0]["state"], "paused");
    let one = r#"{"product_id":"p","buyer_id":"b","quantity":1}"#;
    assert_eq!(Ask::post("/v1/purchases", "k", one).to(house.address).problem(), P::Paused);
    let cart = json!({"buyer_id": "b", "lines": [{"product_id": "p", "quantity": 1}, {"product_id": "q", "quantity": 1}]});
    assert_eq!(
        Ask::post("/v1/orders", "k", cart.to_string()).to(house.address).problem(),
        P::Paused
    );
    let confirm = format!("/v1/holds/{}/confirm", hold["hold_id"].as_str().expect("text"));
    Ask::post(&confirm, "c", "").to(house.address).ok(201);
    Ask::patch("/v1/sales", r#"{"paused":false}"#).to(house.address).ok(200);
    Ask::post("/v1/purchases", "k", one).to(house.address).ok(201);
}

#[test]
fn lists_are_not_there_without_the_database_and_say_what_they_need() {
    let house = shop();
    for path in ["/v1/orders?buyer_id=b", "/v1/orders?reference=r", "/v1/products/p/history"] {
        let away = Ask::get(path).to(house.address);
        assert_eq!(away.problem(), P::DatabaseUnavailable, "{path}");
        assert_eq!(away.header("retry-after"), Some("5"));
    }
    for path in [
        "/v1/orders",
        "/v1/orders?buyer_id=a%20b",
        "/v1/orders?buyer_id=b&limit=0",
        "/v1/orders?buyer_id=b&limit=101",
        "/v1/orders?buyer_id=b&cursor=x",
        "/v1/orders?buyer_id=b&buyer_id=c",
        "/v1/orders?buyer=b",
        "/v1/products/p/history?cursor=c0",
        "/v1/products/p/history?limit=501",
    ] {
        assert_eq!(Ask::get(path).to(house.address).problem(), P::Invalid, "{path}");
    }
    assert_eq!(Ask::get("/v1/products/x/history").to(house.address).problem(), P::UnknownProduct);
}
