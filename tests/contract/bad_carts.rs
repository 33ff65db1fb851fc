//! Requests about lines that must change nothing: orders, holds, and the pause of everything.

use doorbuster::domain::HoldRules;
use doorbuster::http::ProblemType as P;
use serde_json::{Value, json};

use crate::bad_requests::{Row, check_in, furnished, invalid, row};
use crate::house::{House, Plan, wait_until};
use crate::race::{hold, hold_path};
use crate::wire::Ask;

pub(crate) const LINE: &str = r#"{"product_id":"plain","quantity":1}"#;

/// A house with orders and holds in every state.
pub(crate) struct Shop {
    pub(crate) house: House,
    /// Two of `plain`, two of `early`; nothing came back of it.
    pub(crate) order: Value,
    pub(crate) partly: Value,
    pub(crate) cancelled: Value,
    /// Of what was never in stock.
    pub(crate) oversold: Value,
    /// Live, two of `plain` and one of `over`.
    pub(crate) held: Value,
    /// Confirmed, released, expired.
    pub(crate) ended: [(P, Value); 3],
}

pub(crate) fn shop() -> Shop {
    let house = furnished();
    house.product("over", 0, json!({"oversell_limit": 50}));
    house.product("much", 100, json!({}));
    let post = |path: &str, key: &str, body: Value, status| {
        Ask::post(path, key, body.to_string()).to(house.address).ok(status)
    };
    let two = |key: &str, product: &str| {
        let lines =
            json!([{"product_id": "much", "quantity": 2}, {"product_id": product, "quantity": 2}]);
        post("/v1/orders", key, json!({"buyer_id": "b1", "lines": lines}), 201)
    };
    let place = |key: &str, ttl_ms: u64| hold("much", key, 1, ttl_ms).to(house.address).ok(201);
    let (order, partly, cancelled) = (two("o1", "over"), two("o2", "much"), two("o3", "much"));
    let back = json!({"reason": "r", "lines": [{"line_no": 1, "quantity": 1}]});
    post(&order_path(&partly), "x1", back, 200);
    post(&order_path(&cancelled), "x2", json!({"reason": "r"}), 200);
    let oversold = json!({"product_id": "over", "buyer_id": "b1", "quantity": 3});
    let oversold = post("/v1/purchases", "o4", oversold, 201);
    let lines =
        json!([{"product_id": "much", "quantity": 2}, {"product_id": "over", "quantity": 1}]);
    let held = json!({"buyer_id": "b1", "ttl_ms": 600_000, "lines": lines});
    let held = post("/v1/holds", "h1", held, 201);
    let [confirmed, released] = ["h2", "h3"].map(|key| place(key, 600_000));
    post(&hold_path(&confirmed, "/confirm"), "c1", json!({}), 201);
    Ask::delete(&hold_path(&released, "")).to(house.address).ok(200);
    let expired = place("h4", 1);
    wait_until(|| house.get(&hold_path(&expired, ""))["status"] == "expired");
    let ended =
        [(P::HoldConfirmed, confirmed), (P::HoldReleased, released), (P::HoldExpired, expired)];
    Shop { house, order, partly, cancelled, oversold, held, ended }
}

pub(crate) fn order_path(order: &Value) -> String {
    format!("/v1/orders/{}/cancel", order["order_id"].as_str().expect("an order"))
}

impl Shop {
    pub(crate) fn check(&self, rows: Vec<Row>) {
        let order =
            |order: &Value| format!("/v1/orders/{}", order["order_id"].as_str().expect("an order"));
        let ended = self.ended.iter().map(|(_, hold)| hold_path(hold, ""));
        let orders = [&self.order, &self.partly, &self.cancelled, &self.oversold].map(order);
        let watched: Vec<String> = ended
            .chain(orders)
            .chain([hold_path(&self.held, ""), "/v1/sales".to_owned()])
            .collect();
        check_in(&self.house, &watched, rows);
    }
}

/// What is wrong with lines is wrong with them in orders and holds alike.
fn line_rows(path: &str, more: &str) -> Vec<Row> {
    let ask = |body: String| Ask::post(path, "bad", body);
    let lines = |lines: &str| ask(format!(r#"{{"buyer_id":"b1","lines":{lines}{more}}}"#));
    let with = |field: &str| ask(format!(r#"{{"buyer_id":"b1","lines":[{LINE}]{more},{field}}}"#));
    let of =
        |quantity: &str| lines(&format!(r#"[{{"product_id":"plain","quantity":{quantity}}}]"#));
    let many = |count: usize| lines(&format!("[{}]", vec![LINE; count].join(",")));
    let good = || lines(&format!("[{LINE}]"));
    let mut rows = vec![
        row("half", P::Malformed, ask(r#"{"buyer_id":"b1","#.to_owned())),
        row("no body", P::Malformed, ask(String::new())),
        row("two documents", P::Malformed, ask("{} {}".to_owned())),
        invalid("array", &[""], ask("[]".to_owned())),
        invalid("null", &[""], ask("null".to_owned())),
        invalid("deep", &[""], lines(&"[".repeat(200_000))),
        invalid("unknown", &["/colour"], with(r#""colour":"red""#)),
        invalid("product beside lines", &["/product_id"], with(r#""product_id":"plain""#)),
        invalid("duplicate", &["/lines"], with(&format!(r#""lines":[{LINE}]"#))),
        invalid("reference", &["/reference"], with(r#""reference":"a b""#)),
        invalid("lines of null", &["/lines"], lines("null")),
        invalid("lines of an object", &["/lines"], lines(LINE)),
        invalid("lines of a string", &["/lines"], lines("\"plain\"")),
        invalid("no lines", &["/lines"], lines("[]")),
        invalid("1,001 lines", &["/lines"], many(1_001)),
        invalid("line of null", &["/lines/0"], lines("[null]")),
        invalid("lines that are none", &["/lines/0", "/lines/2"], lines(&format!("[1,{LINE},[]]"))),
        invalid("nothing", &["/lines/0/product_id", "/lines/0/quantity"], lines("[{}]")),
        invalid(
            "unknown in a line",
            &["/lines/1/line_no"],
            lines(&format!(r#"[{LINE},{{"product_id":"plain","quantity":1,"line_no":1}}]"#)),
        ),
        invalid(
            "duplicate in a line",
            &["/lines/0/quantity"],
            lines(r#"[{"product_id":"plain","quantity":1,"quantity":1}]"#),
        ),
        invalid(
            "mistakes everywhere",
            &[
                "/x",
                "/buyer_id",
                "/lines/0/product_id",
                "/lines/1/unit_price/currency",
                "/lines/2/quantity",
            ],
            ask(format!(
                r#"{{"buyer_id":"b 1","x":1,"lines":[{{"product_id":"a b","quantity":1}},
                {{"product_id":"plain","quantity":1,"unit_price":{{"amount_minor":1}}}},
                {{"product_id":"plain"}}]{more}}}"#
            )),
        ),
        row(
            "no such product",
            P::UnknownProduct,
            lines(r#"[{"product_id":"nowhere","quantity":1}]"#),
        ),
        row(
            "one of them unknown",
            P::UnknownProduct,
            lines(&format!(r#"[{LINE},{{"product_id":"PLAIN","quantity":1}}]"#)),
        ),
        row("nothing there", P::SoldOut, lines(r#"[{"product_id":"gone","quantity":1}]"#)),
        row("summed", P::SoldOut, many(11)),
        row("early", P::NotOpen, lines(r#"[{"product_id":"early","quantity":1}]"#)),
        row("late", P::Closed, lines(r#"[{"product_id":"late","quantity":1}]"#)),
        row("paused", P::Paused, lines(r#"[{"product_id":"paused","quantity":1}]"#)),
        row("one too many", P::LimitReached, lines(r#"[{"product_id":"limited","quantity":1}]"#)),
        row(
            "good line beside a bad one",
            P::Closed,
            lines(&format!(r#"[{LINE},{{"product_id":"late","quantity":1}}]"#)),
        ),
        row("no key", P::KeyMissing, good().without("idempotency-key")),
        row("used key", P::KeyReused, Ask::post(path, "used", good().body())),
        row(
            "used key for nobody",
            P::KeyReused,
            Ask::post(path, "used", lines(r#"[{"product_id":"nowhere","quantity":1}]"#).body()),
        ),
        row("no type", P::UnsupportedMediaType, good().without("content-type")),
        row("compressed", P::UnsupportedMediaType, good().header("content-encoding", "gzip")),
        row("timeout", P::Malformed, good().header("request-timeout-ms", "0")),
        row("large", P::TooLarge, ask(" ".repeat((256 << 10) + 1))),
        row("very large", P::TooLarge, ask(" ".repeat(900 << 10))),
        row("PATCH", P::MethodNotAllowed, Ask::patch(path, "{}")),
        row("PUT", P::MethodNotAllowed, Ask::new("PUT", path).with_json("{}")),
        row("DELETE", P::MethodNotAllowed, Ask::delete(path)),
        invalid(
            "query",
            &["?dry_run"],
            Ask::post(&format!("{path}?dry_run=1"), "bad", good().body()),
        ),
    ];
    for quantity in
        ["0", "-1", "1.5", "1e0", "1000000001", "9007199254740993", "\"1\"", "null", "{}"]
    {
        rows.push(invalid(&format!("quantity {quantity}"), &["/lines/0/quantity"], of(quantity)));
    }
    for id in ["", "a b", "a/b", &"x".repeat(65)] {
        let body = json!([{"product_id": id, "quantity": 1}]).to_string();
        rows.push(invalid(&format!("product {id:?}"), &["/lines/0/product_id"], lines(&body)));
    }
    rows
}

#[test]
fn wrong_orders_change_nothing() {
    let shop = shop();
    let nothing = Ask::post("/v1/orders", "bad", "{}");
    let mut rows = vec![invalid("nothing", &["/buyer_id", "/lines"], nothing)];
    rows.extend(line_rows("/v1/orders", ""));
    shop.check(rows);
    // A cart of 1,000 lines in 256 KiB is as good as any.
    let line = r#"{"product_id":"over","quantity":1}"#;
    let over = Ask::patch("/v1/products/over", r#"{"oversell_limit":2000}"#);
    over.to(shop.house.address).ok(200);
    let body = format!(r#"{{"buyer_id":"b1","lines":[{}]}}"#, vec![line; 1_000].join(","));
    let padded = format!("{body}{}", " ".repeat((256 << 10) - body.len()));
    let sold = Ask::post("/v1/orders", "large", padded).to(shop.house.address).ok(201);
    assert_eq!(sold["lines"].as_array().map(Vec::len), Some(1_000));
}

#[test]
fn refused_cart_tells_each_lines_own_reason() {
    let shop = shop();
    let products = ["gone", "early", "plain", "late", "paused", "limited"];
    let lines: Vec<Value> =
        products.iter().map(|id| json!({"product_id": id, "quantity": 1})).collect();
    for (path, more) in [("/v1/orders", json!({})), ("/v1/holds", json!({"ttl_ms": 1_000}))] {
        let mut body = json!({"buyer_id": "b1", "lines": lines});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let refused = Ask::post(path, "bad", body.to_string()).to(shop.house.address);
        assert_eq!(refused.problem(), P::SoldOut, "the first line's");
        let told = refused.json()["lines"].as_array().cloned().unwrap();
        let told: Vec<(Value, &str)> = told
            .iter()
            .map(|line| {
                (
                    line["line_nos"].clone(),
                    line["type"].as_str().unwrap().rsplit(':').next().unwrap(),
                )
            })
            .collect();
        let wanted =
            [(1, "sold-out"), (2, "not-open"), (4, "closed"), (5, "paused"), (6, "limit-reached")];
        assert_eq!(told, wanted.map(|(line, kind)| (json!([line]), kind)));
    }
}

#[test]
fn wrong_holds_change_nothing() {
    let shop = shop();
    let mut rows = line_rows("/v1/holds", r#","ttl_ms":1000"#);
    let ttl = |ttl_ms: &str| {
        let body = format!(r#"{{"buyer_id":"b1","lines":[{LINE}],"ttl_ms":{ttl_ms}}}"#);
        Ask::post("/v1/holds", "bad", body)
    };
    let extend = |ttl_ms: &str| {
        let body = format!(r#"{{"ttl_ms":{ttl_ms}}}"#);
        Ask::post(&hold_path(&shop.held, "/extend"), "bad", body)
    };
    // An extension past the longest ends there; only no setting's longest is no form of one.
    rows.push(invalid("hold too long", &["/ttl_ms"], ttl("14400001")));
    for ttl_ms in ["0", "-1", "1.5", "2678400001", "9007199254740993", "\"1000\"", "null", "[]"] {
        rows.push(invalid(&format!("hold for {ttl_ms}"), &["/ttl_ms"], ttl(ttl_ms)));
        rows.push(invalid(&format!("extend by {ttl_ms}"), &["/ttl_ms"], extend(ttl_ms)));
    }
    let nothing = Ask::post("/v1/holds", "bad", "{}");
    let extended = |body: &str| Ask::post(&hold_path(&shop.held, "/extend"), "bad", body);
    rows.extend([
        invalid("nothing", &["/buyer_id", "/lines", "/ttl_ms"], nothing),
        invalid("extend of nothing", &["/ttl_ms"], extended("{}")),
        invalid("extend of an array", &[""], extended("[1000]")),
        invalid("extend with lines", &["/lines"], extended(r#"{"ttl_ms":1000,"lines":[]}"#)),
        invalid("twice", &["/ttl_ms"], extended(r#"{"ttl_ms":1000,"ttl_ms":1000}"#)),
        row("extend without a body", P::Malformed, extended("")),
        row("extend without a key", P::KeyMissing, extend("1000").without("idempotency-key")),
        row(
            "extend without a type",
            P::UnsupportedMediaType,
            extend("1000").without("content-type"),
        ),
        row("extend in 64 KiB", P::TooLarge, extended(&" ".repeat((64 << 10) + 1))),
        row("extend by GET", P::MethodNotAllowed, Ask::get(&hold_path(&shop.held, "/extend"))),
        row(
            "hold by POST",
            P::MethodNotAllowed,
            Ask::post(&hold_path(&shop.held, ""), "bad", "{}"),
        ),
        row("hold by PATCH", P::MethodNotAllowed, Ask::patch(&hold_path(&shop.held, ""), "{}")),
        row(
            "release by name",
            P::UnknownPath,
            Ask::post(&hold_path(&shop.held, "/release"), "bad", "{}"),
        ),
        invalid("query of a hold", &["?x"], Ask::get(&hold_path(&shop.held, "?x=1"))),
        invalid("query of a release", &["?x"], Ask::delete(&hold_path(&shop.held, "?x=1"))),
        row(
            "release in time",
            P::Malformed,
            Ask::delete(&hold_path(&shop.held, "")).header("request-timeout-ms", "0"),
        ),
    ]);
    shop.check(rows);
}

#[test]
fn wrong_pauses_of_everything_change_nothing() {
    let shop = shop();
    let pause = |body: &str| Ask::patch("/v1/sales", body);
    shop.check(vec![
        row("half", P::Malformed, pause("{")),
        row("no body", P::Malformed, pause("")),
        invalid("nothing", &["/paused"], pause("{}")),
        invalid("null", &["/paused"], pause(r#"{"paused":null}"#)),
        invalid("words", &["/paused"], pause(r#"{"paused":"true"}"#)),
        invalid("number", &["/paused"], pause(r#"{"paused":1}"#)),
        invalid("array", &[""], pause("[true]")),
        invalid("window", &["/closes_at"], pause(r#"{"paused":true,"closes_at":null}"#)),
        invalid("duplicate", &["/paused"], pause(r#"{"paused":true,"paused":true}"#)),
        row(
            "no type",
            P::UnsupportedMediaType,
            pause(r#"{"paused":true}"#).without("content-type"),
        ),
        row("large", P::TooLarge, pause(&" ".repeat((64 << 10) + 1))),
        row("POST", P::MethodNotAllowed, Ask::post("/v1/sales", "bad", r#"{"paused":true}"#)),
        row("DELETE", P::MethodNotAllowed, Ask::delete("/v1/sales")),
        invalid("query", &["?paused"], Ask::patch("/v1/sales?paused=1", r#"{"paused":true}"#)),
        invalid("query to read", &["?x"], Ask::get("/v1/sales?x")),
    ]);
}

#[test]
fn limits_of_holds_are_told_and_heal_by_themselves() {
    let holds = HoldRules { ttl_max_ms: 10_000, live_per_buyer_max: 2, live_lines_max: 3 };
    let house = House::open(Plan { holds, ..Plan::default() });
    house.product("p", 100, json!({}));
    let place = |buyer: &str, key: &str, lines: usize, ttl_ms: u64| {
        let lines = vec![json!({"product_id": "p", "quantity": 1}); lines];
        let body = json!({"buyer_id": buyer, "ttl_ms": ttl_ms, "lines": lines});
        Ask::post("/v1/holds", key, body.to_string()).to(house.address)
    };
    assert_eq!(place("a", "k1", 1, 10_001).pointers(), ["/ttl_ms"]);
    let first = place("a", "k1", 1, 10_000).ok(201);
    place("a", "k2", 1, 10_000).ok(201);
    let before = house.state();
    let third = place("a", "k3", 1, 10_000);
    assert_eq!((third.problem(), &third.json()["limit"]), (P::LimitReached, &json!(2)));
    assert_eq!(place("b", "k4", 2, 10_000).problem(), P::Overloaded);
    assert_eq!(house.state(), before);
    place("b", "k4", 1, 10_000).ok(201);
    // A hold that ends makes room for its buyer and for its lines, under the keys that were refused.
    Ask::delete(&hold_path(&first, "")).to(house.address).ok(200);
    place("a", "k3", 1, 10_000).ok(201);
    assert_eq!(house.get("/v1/products/p/stock")["held"], 3);
}
