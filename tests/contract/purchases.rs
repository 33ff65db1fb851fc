//! Purchases, their orders, and their keys.

use doorbuster::http::ProblemType as P;
use serde_json::{Value, json};

use crate::house::{House, Plan};
use crate::wire::{Ask, Wire};

fn shop() -> House {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({"price": {"amount_minor": 250, "currency": "GBP"}}));
    house
}

#[test]
fn order_is_readable_the_instant_it_is_answered() {
    let house = shop();
    let mut wire = Wire::open(house.address);
    let body = r#"{"product_id":"p","buyer_id":"b1","quantity":2,"reference":"r-1",
        "unit_price":{"amount_minor":199,"currency":"EUR"}}"#;
    let order = Ask::post("/v1/purchases", "k1", body).over(&mut wire).ok(201);
    let id = order["order_id"].as_str().unwrap();
    assert_eq!(Ask::get(&format!("/v1/orders/{id}")).over(&mut wire).ok(200), order);
    let line = json!({"line_no": 1, "product_id": "p", "quantity": 2,
        "unit_price": {"amount_minor": 199, "currency": "EUR"}});
    assert_eq!(order["lines"], json!([line]));
    assert_eq!((&order["status"], &order["buyer_id"]), (&json!("placed"), &json!("b1")));
    assert_eq!(order["reference"], "r-1");
    let placed_at = order["placed_at"].as_str().unwrap();
    assert!(placed_at.len() == 24 && placed_at.ends_with('Z'), "{placed_at}");
    assert!(order["position"].as_str().unwrap().starts_with('p'));
    // Without a price of its own the line has the product's, without either none.
    let plain = r#"{"product_id":"p","buyer_id":"b1","quantity":1}"#;
    let order = Ask::post("/v1/purchases", "k2", plain).over(&mut wire).ok(201);
    assert_eq!(order["lines"][0]["unit_price"]["amount_minor"], 250);
    assert_eq!(order["reference"], Value::Null);
    assert_eq!(house.sold("p"), (3, 3));
}

#[test]
fn same_request_is_the_same_order_however_it_is_written() {
    let house = shop();
    let written = [
        r#"{"product_id":"p","buyer_id":"b","quantity":1,"reference":null}"#,
        "{ \"quantity\" : 1,\n\t\"buyer_id\":\"b\", \"product_id\":\"p\" }",
        r#"{"buyer_id":"\u0062","unit_price":null,"product_id":"p","quantity":1}"#,
    ];
    let first = Ask::post("/v1/purchases", "key", written[0]).to(house.address);
    assert_eq!(first.header("idempotent-replayed"), None);
    for body in written {
        for key in ["key", "\"key\""] {
            let again = Ask::post("/v1/purchases", key, body).to(house.address);
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{body}");
            assert_eq!(again.ok(201), first.json(), "{body}");
        }
    }
    let other = r#"{"product_id":"p","buyer_id":"b","quantity":2}"#;
    let reused = Ask::post("/v1/purchases", "key", other).to(house.address);
    assert_eq!(reused.problem(), P::KeyReused);
    assert_eq!(house.sold("p"), (1, 2));
}

#[test]
fn key_that_is_found_wins_over_everything() {
    let house = shop();
    let all =
        Ask::post("/v1/purchases", "all", r#"{"product_id":"p","buyer_id":"b","quantity":10}"#);
    let order = all.to(house.address).ok(201);
    let more =
        Ask::post("/v1/purchases", "more", r#"{"product_id":"p","buyer_id":"b","quantity":1}"#);
    let refused = more.to(house.address);
    assert_eq!(refused.problem(), P::SoldOut);
    let body = refused.json();
    assert_eq!((&body["available"], &body["requested"]), (&json!(0), &json!(1)));
    assert_eq!(all.to(house.address).ok(201), order, "sold out");
    Ask::patch("/v1/products/p", r#"{"paused":true,"oversell_limit":5}"#).to(house.address).ok(200);
    assert_eq!(all.to(house.address).ok(201), order, "paused");
    // A refusal leaves its key free: what was refused is decided anew.
    Ask::patch("/v1/products/p", r#"{"paused":false}"#).to(house.address).ok(200);
    assert_eq!(more.to(house.address).header("idempotent-replayed"), None);
    assert_eq!(house.sold("p").0, 11);
}

#[test]
fn replayed_creation_is_as_it_was() {
    let house = House::open(Plan::default());
    let body = r#"{"product_id":"p","name":"n","stock":3}"#;
    let create = Ask::post("/v1/products", "c", body);
    let first = create.to(house.address).ok(201);
    Ask::patch("/v1/products/p", r#"{"name":"m"}"#).to(house.address).ok(200);
    let again = create.to(house.address);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(201), first);
    let taken = Ask::post("/v1/products", "d", body).to(house.address);
    assert_eq!(taken.problem(), P::AlreadyExists);
}

#[test]
fn refused_window_says_when() {
    let house = House::open(Plan::default());
    house.product("early", 1, json!({"opens_at": "2999-01-01T00:00:00Z"}));
    house.product("late", 1, json!({"closes_at": "2001-01-01T00:00:00Z"}));
    let buy = |product: &str| {
        let body = json!({"product_id": product, "buyer_id": "b", "quantity": 1});
        Ask::post("/v1/purchases", "k", body.to_string()).to(house.address).json()
    };
    assert_eq!(buy("early")["opens_at"], "2999-01-01T00:00:00.000Z");
    assert_eq!(buy("late")["closes_at"], "2001-01-01T00:00:00.000Z");
}

#[test]
fn head_is_get_without_a_body() {
    let house = shop();
    let mut wire = Wire::open(house.address);
    for path in ["/v1/products", "/v1/products/p", "/v1/products/p/stock", "/livez", "/readyz"] {
        let get = Ask::get(path).over(&mut wire);
        let head = Ask::new("HEAD", path).over(&mut wire);
        assert_eq!(head.status, 200, "{path}");
        for header in ["content-length", "content-type", "etag"] {
            assert_eq!(head.header(header), get.header(header), "{path} {header}");
        }
    }
}

#[test]
fn request_ids_are_echoed_or_made() {
    let house = shop();
    let of = |ask: Ask| {
        let answer = ask.to(house.address);
        answer.header("x-request-id").expect("an id").to_owned()
    };
    let list = || Ask::get("/v1/products");
    assert_eq!(of(list().header("x-request-id", "mine-7")), "mine-7");
    let made = of(list());
    assert!(!made.is_empty() && made != of(list()));
    assert_ne!(of(list().header("x-request-id", "a \"quoted\" one")), "a \"quoted\" one");
    assert!(of(list().header("x-request-id", &"x".repeat(500))).len() < 100);
    let lost = Ask::get("/nowhere").header("x-request-id", "mine-8").to(house.address);
    assert_eq!(lost.problem(), P::UnknownPath);
    assert_eq!(lost.json()["request_id"], "mine-8");
}

#[test]
fn one_connection_serves_many_and_pipelined_requests_in_order() {
    let house = shop();
    let mut wire = Wire::open(house.address);
    let mut bytes = Vec::new();
    for number in 0..5 {
        let body = json!({"product_id": "p", "buyer_id": format!("b{number}"), "quantity": 1});
        let ask = Ask::post("/v1/purchases", &format!("k{number}"), body.to_string());
        bytes.extend_from_slice(&ask.bytes());
    }
    wire.send(&bytes);
    for number in 0..5 {
        let order = wire.receive().expect("an answer").ok(201);
        assert_eq!(order["buyer_id"], format!("b{number}"));
    }
    let body = r#"{"ignored":true}"#;
    Ask::get("/livez").with_json(body).over(&mut wire).ok(200);
    Ask::get("/livez").over(&mut wire).ok(200);
}
