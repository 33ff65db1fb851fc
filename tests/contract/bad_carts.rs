//! Requests about lines that must change nothing: orders, their cancellations, holds, and the pause
//! of everything.

use doorbuster::domain::{HoldRules, Sequence};
use doorbuster::http::ProblemType as P;
use doorbuster::journal::{HoldId, OrderId, Position};
use serde_json::{Value, json};

use crate::bad_requests::{Row, check_in, furnished, invalid, row};
use crate::house::{House, Plan, wait_until};
use crate::race::{hold, hold_path};
use crate::wire::Ask;

const LINE: &str = r#"{"product_id":"plain","quantity":1}"#;

/// A house with orders and holds in every state.
struct Shop {
    house: House,
    /// Two of `plain`, two of `early`; nothing came back of it.
    order: Value,
    partly: Value,
    cancelled: Value,
    /// Of what was never in stock.
    oversold: Value,
    /// Live, two of `plain` and one of `over`.
    held: Value,
    /// Confirmed, released, expired.
    ended: [(P, Value); 3],
}

fn shop() -> Shop {
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

fn order_path(order: &Value) -> String {
    format!("/v1/orders/{}/cancel", order["order_id"].as_str().expect("an order"))
}

impl Shop {
    fn check(&self, rows: Vec<Row>) {
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

/// The ids of things that are not here, or not of that kind, under a letter.
fn strange_ids(house: &House, letter: char) -> Vec<String> {
    let here = house.engine.position(Sequence::new(1));
    let of = |position: Position| match letter {
        'o' => OrderId(position).to_string(),
        _ => HoldId(position).to_string(),
    };
    let at = |sequence: u64| Position { sequence: Sequence::new(sequence), ..here };
    let mut ids: Vec<String> =
        [0, 1, 2, 1_000_000, (1 << 56) - 1].map(|place| of(at(place))).into();
    // The last record before now, whatever it is, of another journal or another life of this one.
    let last = house.engine.gauges().expect("a started engine").durable_sequence;
    for sequence in 1..=last {
        let here = at(sequence);
        ids.push(of(Position { epoch: here.epoch + 1, ..here }));
        ids.push(of(Position { partition: here.partition + 1, ..here }));
    }
    let good = of(at(3));
    ids.push(good.to_uppercase());
    ids.push(format!("{}{}", &good[..24], if good.ends_with('0') { '1' } else { '0' }));
    ids.push(format!("{good}0"));
    ids.push(at(3).to_string());
    ids.extend(["7", "%20", "null", "o", "h", "-1"].map(str::to_owned));
    ids
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
        row("GET", P::MethodNotAllowed, Ask::get(path)),
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

/// What is wrong with parts is wrong with them in cancellations and confirmations alike; `path` is
/// of two lines with two units of `much` and one or two of `over`.
fn part_rows(path: &str, more: &str) -> Vec<Row> {
    let ask = |body: String| Ask::post(path, "bad", body);
    let lines = |lines: &str| ask(format!(r#"{{"lines":{lines}{more}}}"#));
    let part = |part: &str| lines(&format!("[{{{part}}}]"));
    let mut rows = vec![
        row("half", P::Malformed, ask("{".to_owned())),
        invalid("array", &[""], ask("[]".to_owned())),
        invalid("null", &[""], ask("null".to_owned())),
        invalid("unknown", &["/colour"], ask(format!(r#"{{"colour":1{more}}}"#))),
        invalid("no lines", &["/lines"], lines("[]")),
        invalid("lines of an object", &["/lines"], lines("{}")),
        invalid("1,001 lines", &["/lines"], lines(&format!("[{}]", vec![LINE; 1_001].join(",")))),
        invalid("line of a number", &["/lines/0"], lines("[1]")),
        invalid("both", &["/lines/0"], part(r#""line_no":1,"product_id":"much","quantity":1"#)),
        invalid("neither", &["/lines/0"], part(r#""quantity":1"#)),
        invalid(
            "neither of null",
            &["/lines/0"],
            part(r#""line_no":null,"product_id":null,"quantity":1"#),
        ),
        invalid("no quantity", &["/lines/0/quantity"], part(r#""line_no":1"#)),
        invalid(
            "price",
            &["/lines/0/unit_price"],
            part(r#""line_no":1,"quantity":1,"unit_price":null"#),
        ),
        invalid(
            "duplicate",
            &["/lines/0/line_no"],
            part(r#""line_no":1,"line_no":1,"quantity":1"#),
        ),
        invalid("line 3 of 2", &["/lines/0"], part(r#""line_no":3,"quantity":1"#)),
        invalid("another's product", &["/lines/0"], part(r#""product_id":"plain","quantity":1"#)),
        invalid(
            "nobody's product",
            &["/lines/0/product_id"],
            part(r#""product_id":"nowhere","quantity":1"#),
        ),
        invalid(
            "odd product",
            &["/lines/0/product_id"],
            part(r#""product_id":"a b","quantity":1"#),
        ),
        invalid("too many", &["/lines/0/quantity"], part(r#""product_id":"much","quantity":3"#)),
        invalid(
            "too many together",
            &["/lines/1/quantity"],
            lines(r#"[{"line_no":1,"quantity":1},{"product_id":"much","quantity":2}]"#),
        ),
        row("no key", P::KeyMissing, lines("[]").without("idempotency-key")),
        row(
            "used key",
            P::KeyReused,
            Ask::post(path, "used", format!(r#"{{"lines":null{more}}}"#)),
        ),
        row(
            "text",
            P::UnsupportedMediaType,
            lines("[]").without("content-type").header("content-type", "text/plain"),
        ),
        row("large", P::TooLarge, ask(" ".repeat((256 << 10) + 1))),
        row("GET", P::MethodNotAllowed, Ask::get(path)),
        row("DELETE", P::MethodNotAllowed, Ask::delete(path)),
        invalid("query", &["?x"], Ask::post(&format!("{path}?x=1"), "bad", "{}")),
    ];
    for line_no in ["0", "-1", "1001", "1.0", "\"1\"", "true"] {
        let ask = part(&format!(r#""line_no":{line_no},"quantity":1"#));
        rows.push(invalid(&format!("line_no {line_no}"), &["/lines/0/line_no"], ask));
    }
    for quantity in ["0", "-1", "1.5", "1000000001", "\"1\"", "null"] {
        let ask = part(&format!(r#""line_no":1,"quantity":{quantity}"#));
        rows.push(invalid(&format!("quantity {quantity}"), &["/lines/0/quantity"], ask));
    }
    rows
}

#[test]
fn wrong_cancellations_change_nothing() {
    let shop = shop();
    let path = order_path(&shop.order);
    let ask = |body: &str| Ask::post(&path, "bad", body);
    let of = |order: &Value, body: &str| Ask::post(&order_path(order), "bad", body);
    let mut rows = part_rows(&path, r#","reason":"r""#);
    rows.extend([
        row("no body", P::Malformed, ask("")),
        invalid("no reason", &["/reason"], ask("{}")),
        invalid("reason of null", &["/reason"], ask(r#"{"reason":null}"#)),
        invalid("empty reason", &["/reason"], ask(r#"{"reason":""}"#)),
        invalid("reason of a number", &["/reason"], ask(r#"{"reason":1}"#)),
        invalid("line break", &["/reason"], ask(r#"{"reason":"a\nb"}"#)),
        invalid("long reason", &["/reason"], ask(&json!({"reason": "x".repeat(201)}).to_string())),
        invalid("restock in words", &["/restock"], ask(r#"{"reason":"r","restock":"yes"}"#)),
        invalid("duplicate", &["/reason"], ask(r#"{"reason":"r","reason":"r"}"#)),
        invalid("reference", &["/reference"], ask(r#"{"reason":"r","reference":"r"}"#)),
        row("cancelled", P::AlreadyCancelled, of(&shop.cancelled, r#"{"reason":"again"}"#)),
        row(
            "part of a cancelled one",
            P::AlreadyCancelled,
            of(&shop.cancelled, r#"{"reason":"r","lines":[{"line_no":1,"quantity":1}]}"#),
        ),
        row(
            "more than is left",
            P::AlreadyCancelled,
            of(&shop.partly, r#"{"reason":"r","lines":[{"line_no":1,"quantity":2}]}"#),
        ),
        row(
            "written off, never in stock",
            P::WouldOversell,
            of(&shop.oversold, r#"{"reason":"r","restock":false}"#),
        ),
        row(
            "used key for nobody",
            P::KeyReused,
            Ask::post("/v1/orders/o7/cancel", "used", r#"{"reason":"r"}"#),
        ),
    ]);
    for id in strange_ids(&shop.house, 'o') {
        let path = format!("/v1/orders/{id}");
        let cancel = Ask::post(&format!("{path}/cancel"), "bad", r#"{"reason":"r"}"#);
        rows.push(row(&format!("cancel {id}"), P::UnknownOrder, cancel));
        rows.push(row(&format!("read {id}"), P::UnknownOrder, Ask::get(&path)));
    }
    shop.check(rows);
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
    for ttl_ms in ["0", "-1", "1.5", "14400001", "9007199254740993", "\"1000\"", "null", "[]"] {
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
fn wrong_ends_of_holds_change_nothing() {
    let shop = shop();
    let path = hold_path(&shop.held, "/confirm");
    let mut rows = part_rows(&path, "");
    rows.extend([
        invalid("reference", &["/reference"], Ask::post(&path, "bad", r#"{"reference":""}"#)),
        invalid("price", &["/unit_price"], Ask::post(&path, "bad", r#"{"unit_price":null}"#)),
        row("no key and no body", P::KeyMissing, Ask::new("POST", &path)),
    ]);
    let ends = |path: &str| {
        [
            Ask::post(&format!("{path}/confirm"), "bad", ""),
            Ask::post(&format!("{path}/extend"), "bad", r#"{"ttl_ms":1000}"#),
            Ask::delete(path),
        ]
    };
    for (problem, hold) in &shop.ended {
        let ends = ends(&hold_path(hold, ""));
        rows.extend(ends.into_iter().map(|ask| row("ended", *problem, ask)));
    }
    for id in strange_ids(&shop.house, 'h') {
        let path = format!("/v1/holds/{id}");
        let asks = ends(&path).into_iter().chain([Ask::get(&path)]);
        rows.extend(asks.map(|ask| row(&id, P::UnknownHold, ask)));
    }
    for (of, body) in [("confirm", ""), ("extend", r#"{"ttl_ms":1000}"#)] {
        let ask = Ask::post(&format!("/v1/holds/h7/{of}"), "used", body);
        rows.push(row("used key for nobody", P::KeyReused, ask));
    }
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
    let longer = Ask::post(&hold_path(&first, "/extend"), "e", r#"{"ttl_ms":10001}"#);
    assert_eq!(longer.to(house.address).pointers(), ["/ttl_ms"]);
    place("b", "k4", 1, 10_000).ok(201);
    // A hold that ends makes room for its buyer and for its lines, under the keys that were refused.
    Ask::delete(&hold_path(&first, "")).to(house.address).ok(200);
    place("a", "k3", 1, 10_000).ok(201);
    assert_eq!(house.get("/v1/products/p/stock")["held"], 3);
}
