//! Products, their terms and their stock.

use doorbuster::http::ProblemType as P;
use serde_json::{Value, json};

use crate::house::{House, Plan};
use crate::wire::{Ask, Wire};

#[test]
fn product_is_shown_as_it_was_created() {
    let house = House::open(Plan::default());
    let terms = json!({
        "price": {"amount_minor": 250, "currency": "GBP"}, "sale_id": "s",
        "opens_at": "2026-01-01T01:00:00+01:00", "closes_at": "9999-12-31T23:59:59.999Z",
        "oversell_limit": 2, "safety_stock": 1, "per_buyer_limit": 5, "returns_free_limit": false,
        "low_stock_threshold": 3, "paused": true,
    });
    let created = house.product("p:1", 10, terms);
    assert_eq!(created["opens_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!((&created["stock"], &created["version"]), (&json!(10), &json!(1)));
    let answer = Ask::get("/v1/products/p%3A1").to(house.address);
    let shown = answer.ok(200);
    assert_eq!(answer.header("etag"), Some("\"1\""));
    for field in [
        "product_id",
        "name",
        "price",
        "sale_id",
        "opens_at",
        "closes_at",
        "oversell_limit",
        "safety_stock",
        "per_buyer_limit",
        "returns_free_limit",
        "low_stock_threshold",
        "paused",
        "terms_version",
    ] {
        assert!(!shown[field].is_null(), "{field}");
        assert_eq!(shown[field], created[field], "{field}");
    }
    assert_eq!(shown["counted_since"], created["created_at"]);
    let stock = json!({"product_id": "p:1", "available": 11, "stock": 10, "held": 0, "sold": 0,
        "unsold": 10, "version": 1});
    assert_eq!(house.get("/v1/products/p:1/stock"), stock);
    let plain = house.product("p2", 0, json!({"name": "a \"quoted\" ä"}));
    for none in ["price", "sale_id", "opens_at", "closes_at", "per_buyer_limit"] {
        assert_eq!(plain.get(none), Some(&Value::Null), "{none}");
    }
    assert_eq!(plain["name"], "a \"quoted\" ä");
}

#[test]
fn unchanged_is_304_and_changed_is_not() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({}));
    let mut wire = Wire::open(house.address);
    for path in ["/v1/products/p", "/v1/products/p/stock"] {
        let first = Ask::get(path).over(&mut wire);
        let tag = first.header("etag").expect("a tag").to_owned();
        let again = Ask::get(path).header("if-none-match", &tag).over(&mut wire);
        assert_eq!((again.status, again.header("etag")), (304, Some(&*tag)));
        let other = Ask::get(path).header("if-none-match", "\"0\"").over(&mut wire);
        assert_eq!(other.ok(200), first.json());
    }
    let body = r#"{"product_id":"p","buyer_id":"b","quantity":1}"#;
    Ask::post("/v1/purchases", "k", body).over(&mut wire).ok(201);
    let read = |path: &str, tag: &str, wire: &mut Wire| {
        Ask::get(path).header("if-none-match", tag).over(wire).status
    };
    assert_eq!(read("/v1/products/p/stock", "\"s1\"", &mut wire), 200);
    assert_eq!(read("/v1/products/p", "\"1\"", &mut wire), 304, "selling changes no terms");
}

#[test]
fn terms_change_as_the_patch_says_and_only_from_the_version_that_was_seen() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({"price": {"amount_minor": 1, "currency": "GBP"}}));
    let patch = |body: &str, tag: &str| {
        Ask::patch("/v1/products/p", body).header("if-match", tag).to(house.address)
    };
    let changed = patch(r#"{"price":null,"safety_stock":2}"#, "\"1\"").ok(200);
    assert_eq!(changed["changed"], json!({"price": null, "safety_stock": 2}));
    assert_eq!(changed["version"], 2);
    assert!(changed["position"].is_string() && changed["changed_at"].is_string());
    let stale = patch(r#"{"safety_stock":3}"#, "\"1\"");
    assert_eq!(stale.problem(), P::PreconditionFailed);
    assert_eq!(stale.json()["terms_version"], 2);
    patch(r#"{"name":"new name"}"#, "\"9\", \"2\"").ok(200);
    patch(r#"{"paused":true}"#, "*").ok(200);
    let shown = house.get("/v1/products/p");
    assert_eq!(shown["price"], Value::Null);
    assert_eq!((&shown["safety_stock"], &shown["name"]), (&json!(2), &json!("new name")));
    assert_eq!((&shown["paused"], &shown["terms_version"]), (&json!(true), &json!(4)));
    let media = Ask::new("PATCH", "/v1/products/p").with_json(r#"{"paused":null}"#);
    let media =
        media.without("content-type").header("content-type", "application/merge-patch+json");
    media.to(house.address).ok(200);
    assert_eq!(house.get("/v1/products/p")["paused"], false);
}

#[test]
fn changed_terms_come_with_the_tag_of_the_next_change() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({}));
    let patch = |tag: &str, stock: u64| {
        let body = json!({"safety_stock": stock}).to_string();
        Ask::patch("/v1/products/p", &body).header("if-match", tag).to(house.address)
    };
    let mut tag = "\"1\"".to_owned();
    for version in 2..5 {
        let answer = patch(&tag, version);
        assert_eq!(answer.ok(200)["terms_version"], version);
        tag = answer.header("etag").expect("a tag").to_owned();
        let shown = Ask::get("/v1/products/p").to(house.address);
        assert_eq!(shown.header("etag"), Some(&*tag));
    }
    // Nobody else changes terms, so it is certain without If-Match too, whatever is sold.
    let body = r#"{"product_id":"p","buyer_id":"b","quantity":1}"#;
    Ask::post("/v1/purchases", "k", body).to(house.address).ok(201);
    let free = Ask::patch("/v1/products/p", r#"{"paused":true}"#).to(house.address);
    assert_eq!(free.ok(200)["terms_version"], 5);
    assert_eq!(free.header("etag"), Some("\"5\""));
}

#[test]
fn limit_set_in_mid_sale_says_since_when_it_counts() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({}));
    let body = r#"{"product_id":"p","buyer_id":"b","quantity":5}"#;
    Ask::post("/v1/purchases", "k1", body).to(house.address).ok(201);
    let patch = |body: &str| Ask::patch("/v1/products/p", body).to(house.address).ok(200);
    let first = patch(r#"{"per_buyer_limit":2}"#);
    assert_eq!(first["counted_since"], first["changed_at"]);
    assert_eq!(house.get("/v1/products/p")["counted_since"], first["changed_at"]);
    let buy = |key: &str| {
        let body = r#"{"product_id":"p","buyer_id":"b","quantity":2}"#;
        Ask::post("/v1/purchases", key, body).to(house.address)
    };
    buy("k2").ok(201);
    let refused = buy("k3");
    assert_eq!(refused.problem(), P::LimitReached);
    let body = refused.json();
    let figures = (&body["limit"], &body["bought"], &body["requested"]);
    assert_eq!(figures, (&json!(2), &json!(2), &json!(2)));
    assert!(patch(r#"{"paused":false}"#).get("counted_since").is_none());
}

#[test]
fn sale_pauses_all_its_products_at_once() {
    let house = House::open(Plan::default());
    for id in ["a", "b"] {
        house.product(id, 10, json!({"sale_id": "s"}));
    }
    house.product("c", 10, json!({}));
    let answer = Ask::patch("/v1/sales/s", r#"{"paused":true}"#).to(house.address).ok(200);
    assert_eq!((&answer["sale_id"], &answer["products_changed"]), (&json!("s"), &json!(2)));
    let state = |id: &str| {
        let list = house.get("/v1/products");
        let rows = list["products"].as_array().unwrap().clone();
        rows.iter().find(|row| row["product_id"] == id).unwrap()["state"].clone()
    };
    assert_eq!(
        (state("a"), state("b"), state("c")),
        ("paused".into(), "paused".into(), "open".into())
    );
    let any = Ask::patch("/v1/sales/s", r#"{"paused":false}"#).header("if-match", "*");
    any.to(house.address).ok(200);
}

#[test]
fn list_tells_each_state() {
    let house = House::open(Plan::default());
    house.product("open", 1, json!({}));
    house.product("gone", 0, json!({}));
    house.product("early", 1, json!({"opens_at": "2999-01-01T00:00:00Z"}));
    house.product("late", 1, json!({"closes_at": "2001-01-01T00:00:00Z"}));
    house.product("paused", 0, json!({"paused": true}));
    let list = house.get("/v1/products");
    let rows = list["products"].as_array().unwrap();
    let states: Vec<&str> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["open", "sold_out", "not_open", "closed", "paused"]);
    assert_eq!(list["next_cursor"], Value::Null);
    assert_eq!(house.get("/v1/products?limit=5"), list);
}

#[test]
fn list_tells_every_change_to_whoever_heard_of_it() {
    let house = House::open(Plan::default());
    house.product("a", 50, json!({}));
    // One connection, so one worker, which keeps the page it rendered last.
    let mut wire = Wire::open(house.address);
    let list = |wire: &mut Wire| Ask::get("/v1/products").over(wire).ok(200)["products"].clone();
    let first = list(&mut wire);
    assert_eq!((&first[0]["available"], &first[0]["state"]), (&json!(50), &json!("open")));
    for sold in 1..=50 {
        let body = r#"{"product_id":"a","buyer_id":"b","quantity":1}"#;
        Ask::post("/v1/purchases", &format!("k{sold}"), body).over(&mut wire).ok(201);
        assert_eq!(list(&mut wire)[0]["available"], json!(50 - sold));
    }
    assert_eq!(list(&mut wire)[0]["state"], "sold_out");
    let pause = |wire: &mut Wire, paused: bool| {
        let body = json!({ "paused": paused }).to_string();
        Ask::patch("/v1/sales", body).over(wire).ok(200);
        list(wire)[0]["state"].clone()
    };
    assert_eq!(pause(&mut wire, true), "paused");
    assert_eq!(pause(&mut wire, false), "sold_out");
    house.product("b", 1, json!({}));
    assert_eq!(list(&mut wire).as_array().map(Vec::len), Some(2));
}

#[test]
fn cursors_walk_a_thousand_products_each_once() {
    let house = House::open(Plan::default());
    let mut wire = Wire::open(house.address);
    for number in 0..1_000 {
        let body = json!({"product_id": format!("p{number}"), "name": "n", "stock": 1});
        Ask::post("/v1/products", &format!("c{number}"), body.to_string()).over(&mut wire).ok(201);
    }
    let (mut ids, mut pages) = (Vec::new(), 0);
    let mut path = "/v1/products?limit=37".to_owned();
    loop {
        let page = Ask::get(&path).over(&mut wire).ok(200);
        let rows = page["products"].as_array().unwrap();
        ids.extend(rows.iter().map(|row| row["product_id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/products?limit=37&cursor={next}");
    }
    let expected: Vec<String> = (0..1_000).map(|number| format!("p{number}")).collect();
    assert_eq!((ids, pages), (expected, 28));
}

#[test]
fn twenty_rows_take_at_most_3480_bytes() {
    let house = House::open(Plan::default());
    for number in 0..21 {
        let name = format!("{:x<40}", "name ");
        let price = json!({"amount_minor": 1_234_567, "currency": "GBP"});
        let terms = json!({"name": name, "price": price, "opens_at": "2999-01-01T00:00:00Z"});
        house.product(&format!("sku-{number:06}"), 1_234_567, terms);
    }
    let answer = Ask::get("/v1/products?limit=20").to(house.address);
    let list = answer.ok(200);
    assert_eq!(list["products"].as_array().map(Vec::len), Some(20));
    assert!(list["next_cursor"].is_string());
    assert!(answer.body.len() <= 3_480, "{} bytes", answer.body.len());
}

#[test]
fn stock_is_adjusted_by_delta_and_set_under_guard() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({}));
    let adjust = |key: &str, body: &str| {
        Ask::post("/v1/products/p/adjustments", key, body).to(house.address)
    };
    let body = r#"{"delta":-3,"reason":"other","text":"a \"leak\"","reference":"doc-1"}"#;
    let first = adjust("k1", body);
    let told = first.ok(201);
    assert_eq!(
        (&told["delta"], &told["stock"], &told["unsold"]),
        (&json!(-3), &json!(7), &json!(7))
    );
    assert_eq!((&told["text"], &told["reference"]), (&json!("a \"leak\""), &json!("doc-1")));
    let set = r#"{"set_unsold":20,"expected_unsold":7,"reason":"correction"}"#;
    assert_eq!(adjust("k2", set).ok(201)["delta"], 13);
    let changed = adjust("k3", set);
    assert_eq!(changed.problem(), P::StockChanged);
    assert_eq!(changed.json()["unsold"], 20);
    let unguarded = r#"{"set_unsold":5,"expected_unsold":null,"reason":"correction"}"#;
    assert_eq!(adjust("k4", unguarded).ok(201)["stock"], 5);
    let oversold = adjust("k5", r#"{"delta":-6,"reason":"lost"}"#);
    assert_eq!(oversold.json()["shortfall"], 1);
    let again = adjust("k1", body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(201), told, "as it was then, not as it is now");
    assert_eq!(house.get("/v1/products/p/stock")["version"], 4);
}
