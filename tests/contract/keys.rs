//! API keys: who gets in, and to what.

use doorbuster::http::ProblemType as P;
use doorbuster::http::auth::{NewKey, Scopes};
use doorbuster::http::{HttpOptions, Keys};

use serde_json::json;

use crate::house::{House, Plan};
use crate::wire::{Answer, Ask};

fn made(name: &str, scopes: &str) -> NewKey {
    NewKey::generate(name, Scopes::parse(scopes).expect("scopes")).expect("a key")
}

fn guarded(keys: &Keys) -> House {
    let plan = Plan::default();
    House::open(Plan { http: HttpOptions { keys: Some(keys.clone()), ..plan.http }, ..plan })
}

fn with(key: &NewKey, ask: Ask) -> Ask {
    ask.header("authorization", &format!("Bearer {}", key.token))
}

const CREATE: &str = r#"{"product_id":"p","name":"n","stock":3}"#;
const BUY: &str = r#"{"product_id":"p","buyer_id":"b","quantity":1}"#;

/// Nobody gets in without a key of the scope `wanted`, and everybody with one.
fn knock(house: &House, all: &[(&str, NewKey)], wanted: &str, ask: &Ask) {
    for wrong in ["", "Bearer", "Bearer ", "Bearer db_0", "Basic eDp5", "bearer\tx"] {
        let answer = ask.clone().header("authorization", wrong).to(house.address);
        assert_eq!(answer.problem(), P::Unauthenticated, "{wrong:?} {answer:?}");
    }
    let answer = ask.to(house.address);
    assert_eq!(answer.problem(), P::Unauthenticated);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    for (scope, key) in all {
        let answer: Answer = with(key, ask.clone()).to(house.address);
        if *scope == wanted {
            assert!(answer.status < 300, "{answer:?}");
        } else {
            assert_eq!(answer.problem(), P::Forbidden, "{scope} {answer:?}");
        }
    }
}

#[test]
fn each_scope_opens_its_own_doors_only() {
    let all = ["read", "sell", "manage"].map(|scope| (scope, made(scope, scope)));
    let lines: Vec<&str> = all.iter().map(|(_, key)| &*key.line).collect();
    let house = guarded(&Keys::parse(&lines.join("\n")).unwrap());
    let doors = [
        ("manage", Ask::post("/v1/products", "k1", CREATE)),
        ("manage", Ask::patch("/v1/products/p", r#"{"sale_id":"s"}"#)),
        ("manage", Ask::patch("/v1/sales/s", r#"{"paused":false}"#)),
        ("manage", Ask::post("/v1/products/p/adjustments", "k2", r#"{"delta":1,"reason":"lost"}"#)),
        ("sell", Ask::post("/v1/purchases", "k3", BUY)),
        ("read", Ask::get("/v1/products")),
        ("read", Ask::get("/v1/products/p")),
        ("read", Ask::get("/v1/products/p/stock")),
        ("read", Ask::get("/metrics")),
    ];
    doors.into_iter().for_each(|(wanted, ask)| knock(&house, &all, wanted, &ask));
    let [(_, reader), ..] = &all;
    let stock = with(reader, Ask::get("/v1/products/p/stock")).to(house.address).ok(200);
    // Created, two changes of terms, adjusted, sold: each once, and nothing by those kept out.
    let figures = (&stock["version"], &stock["stock"], &stock["sold"]);
    assert_eq!(figures, (&json!(5), &json!(4), &json!(1)));
    for open in ["/livez", "/readyz", "/health", "/ready"] {
        house.get(open);
    }
}

#[test]
fn whoever_sells_takes_back_and_holds_and_whoever_manages_pauses_everything() {
    let all = ["read", "sell", "manage"].map(|scope| (scope, made(scope, scope)));
    let lines: Vec<&str> = all.iter().map(|(_, key)| &*key.line).collect();
    let house = guarded(&Keys::parse(&lines.join("\n")).unwrap());
    let [_, (_, seller), (_, manager)] = &all;
    with(manager, Ask::post("/v1/products", "k1", CREATE)).to(house.address).ok(201);
    let cart = r#"{"buyer_id":"b","lines":[{"product_id":"p","quantity":1}]}"#;
    let hold = r#"{"buyer_id":"b","ttl_ms":60000,"lines":[{"product_id":"p","quantity":1}]}"#;
    let told = |path: &str, key: &str, body: &str| {
        with(seller, Ask::post(path, key, body)).to(house.address).ok(201)
    };
    // Under these keys the doors below answer what was answered before.
    let order = told("/v1/orders", "k2", cart);
    let [one, other] = ["k3", "k4"].map(|key| told("/v1/holds", key, hold));
    let path = |of: &str, id: &serde_json::Value| format!("/v1/{of}/{}", id.as_str().unwrap());
    let order = path("orders", &order["order_id"]);
    let [one, other] = [one, other].map(|hold| path("holds", &hold["hold_id"]));
    let doors = [
        ("sell", Ask::post("/v1/orders", "k2", cart)),
        ("read", Ask::get(&order)),
        ("sell", Ask::post(&format!("{order}/cancel"), "k5", r#"{"reason":"r"}"#)),
        ("sell", Ask::post("/v1/holds", "k3", hold)),
        ("read", Ask::get(&one)),
        ("sell", Ask::post(&format!("{one}/extend"), "k6", r#"{"ttl_ms":90000}"#)),
        ("sell", Ask::post(&format!("{one}/confirm"), "k7", "")),
        ("sell", Ask::delete(&other)),
        ("read", Ask::get("/v1/sales")),
        ("manage", Ask::patch("/v1/sales", r#"{"paused":true}"#)),
    ];
    doors.into_iter().for_each(|(wanted, ask)| knock(&house, &all, wanted, &ask));
    let [(_, reader), ..] = &all;
    let stock = with(reader, Ask::get("/v1/products/p/stock")).to(house.address).ok(200);
    // Created, sold, held twice, cancelled, confirmed, released: each once.
    let figures = (&stock["version"], &stock["held"], &stock["sold"]);
    assert_eq!(figures, (&json!(7), &json!(0), &json!(1)));
}

#[test]
fn keys_are_the_principals_own() {
    let (one, two) = (made("one", "sell,manage"), made("two", "sell"));
    let house = guarded(&Keys::parse(&format!("{}\n{}", one.line, two.line)).unwrap());
    with(&one, Ask::post("/v1/products", "c", CREATE)).to(house.address).ok(201);
    let order = |key: &NewKey| {
        let answer = with(key, Ask::post("/v1/purchases", "same", BUY)).to(house.address);
        answer.ok(201)["order_id"].clone()
    };
    let first = order(&one);
    assert_ne!(order(&two), first, "another principal's key is another key");
    assert_eq!(order(&one), first);
}

#[test]
fn other_keys_are_in_force_from_the_next_request_on() {
    let (old, new) = (made("old", "read"), made("new", "read"));
    let keys = Keys::parse(&old.line).unwrap();
    let house = guarded(&keys);
    let list = |key: &NewKey| with(key, Ask::get("/v1/products")).to(house.address);
    list(&old).ok(200);
    assert_eq!(list(&new).problem(), P::Unauthenticated);
    keys.replace(Keys::parse(&new.line).unwrap());
    assert_eq!(list(&old).problem(), P::Unauthenticated);
    list(&new).ok(200);
}
