//! Parts of orders and holds that must change nothing: what no cancellation takes back, and what no
//! end of a hold confirms, extends or releases.

use doorbuster::domain::Sequence;
use doorbuster::http::ProblemType as P;
use doorbuster::journal::{HoldId, OrderId, Position};
use serde_json::{Value, json};

use crate::bad_carts::{LINE, order_path, shop};
use crate::bad_requests::{Row, invalid, row};
use crate::house::House;
use crate::race::hold_path;
use crate::wire::Ask;

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
