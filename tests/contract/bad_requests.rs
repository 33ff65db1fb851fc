//! A table of requests that must change nothing: each with its status and problem.

use std::collections::BTreeMap;

use doorbuster::http::ProblemType as P;
use doorbuster::http::{PROBLEM_PREFIX, ProblemType};
use serde_json::{Value, json};

use crate::house::{House, Plan};
use crate::wire::{Ask, Wire};

/// A request, and the problem it must meet.
pub(crate) struct Row {
    says: String,
    ask: Ask,
    problem: ProblemType,
    /// Where the mistakes are, for those that are invalid.
    pointers: Vec<&'static str>,
}

pub(crate) fn row(says: &str, problem: ProblemType, ask: Ask) -> Row {
    Row { says: says.to_owned(), ask, problem, pointers: Vec::new() }
}

pub(crate) fn invalid(says: &str, pointers: &[&'static str], ask: Ask) -> Row {
    Row { pointers: pointers.to_vec(), ..row(says, P::Invalid, ask) }
}

fn purchase(body: impl AsRef<[u8]>) -> Ask {
    Ask::post("/v1/purchases", "bad-1", body)
}

fn good_purchase() -> Ask {
    purchase(r#"{"product_id":"plain","buyer_id":"b1","quantity":1}"#)
}

fn create(body: impl AsRef<[u8]>) -> Ask {
    Ask::post("/v1/products", "bad-2", body)
}

fn adjust(body: impl AsRef<[u8]>) -> Ask {
    Ask::post("/v1/products/plain/adjustments", "bad-3", body)
}

/// A house with a product of each kind that says no.
pub(crate) fn furnished() -> House {
    let house = House::open(Plan::default());
    house.product("plain", 10, json!({"price": {"amount_minor": 250, "currency": "GBP"}}));
    house.product("gone", 0, json!({}));
    house.product("early", 10, json!({"opens_at": "2999-01-01T00:00:00Z"}));
    house.product("late", 10, json!({"closes_at": "2001-01-01T00:00:00Z"}));
    house.product("paused", 10, json!({"paused": true, "sale_id": "s1"}));
    house.product("limited", 10, json!({"per_buyer_limit": 1}));
    let body = r#"{"product_id":"limited","buyer_id":"b1","quantity":1}"#;
    Ask::post("/v1/purchases", "used", body).to(house.address).ok(201);
    house
}

fn check(rows: Vec<Row>) {
    let house = furnished();
    check_in(&house, &[], rows);
    // And nothing of it spoiled the house.
    good_purchase().to(house.address).ok(201);
}

/// Each row meets its problem, and leaves products, what is `watched` and keys as they were.
pub(crate) fn check_in(house: &House, watched: &[String], rows: Vec<Row>) {
    let keys = || house.engine.gauges().map(|gauges| gauges.idempotency_keys);
    let state =
        || (house.state(), watched.iter().map(|path| house.get(path)).collect::<Vec<_>>(), keys());
    let before = state();
    let mut wire = Wire::open(house.address);
    for Row { says, ask, problem, pointers } in rows {
        // One connection for all that leave it open: what one left unread would spoil the next.
        let answer = ask.over(&mut wire);
        if answer.header("connection") == Some("close") {
            wire = Wire::open(house.address);
        }
        assert_eq!(answer.problem(), problem, "{says}: {answer:?}");
        if problem == P::Invalid {
            assert_eq!(answer.pointers(), pointers, "{says}: {answer:?}");
        }
        assert_eq!(state(), before, "{says} changed something");
    }
}

#[test]
fn json_that_is_broken_or_nests_too_deep_is_refused() {
    let deep = format!(r#"{{"product_id":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    check(vec![
        row("empty", P::Malformed, purchase("")),
        row("half", P::Malformed, purchase(r#"{"product_id":"plain","#)),
        row("no JSON", P::Malformed, purchase("product_id=plain")),
        row("two documents", P::Malformed, purchase("{} {}")),
        row("not UTF-8", P::Malformed, purchase(b"{\"product_id\":\"\xff\"}")),
        row("half a surrogate", P::Malformed, purchase(r#"{"product_id":"\ud800"}"#)),
        row("comment", P::Malformed, purchase("{}//")),
        row("leading zero", P::Malformed, purchase(r#"{"quantity":01}"#)),
        row("no number", P::Malformed, purchase(r#"{"quantity":NaN}"#)),
        invalid("deep", &[""], purchase(deep)),
        invalid("very deep", &[""], purchase("[".repeat(60_000))),
        invalid("deep creation", &[""], create("[".repeat(60_000))),
        row("half a creation", P::Malformed, create("{")),
        row("half an adjustment", P::Malformed, adjust("{")),
        row("half a patch", P::Malformed, Ask::patch("/v1/products/plain", "{")),
    ]);
}

#[test]
fn wrong_fields_of_purchases_are_refused_by_name_and_all_together() {
    let with = |field: &str| {
        purchase(format!(r#"{{"product_id":"plain","buyer_id":"b1","quantity":1,{field}}}"#))
    };
    let of = |quantity: &str| {
        purchase(format!(r#"{{"product_id":"plain","buyer_id":"b1","quantity":{quantity}}}"#))
    };
    let product =
        |id: &str| purchase(json!({"product_id": id, "buyer_id": "b1", "quantity": 1}).to_string());
    let mut rows = vec![
        invalid("array", &[""], purchase(r#"["plain","b1",1]"#)),
        invalid("string", &[""], purchase("\"plain\"")),
        invalid("null", &[""], purchase("null")),
        invalid("nothing", &["/product_id", "/buyer_id", "/quantity"], purchase("{}")),
        invalid("unknown", &["/colour"], with(r#""colour":"red""#)),
        invalid("misspelt", &["/Reference"], with(r#""Reference":"r""#)),
        invalid("duplicate", &["/quantity"], with(r#""quantity":1"#)),
        invalid("duplicate by escape", &["/quantity"], with(r#""\u0071uantity":1"#)),
        invalid("reference of a number", &["/reference"], with(r#""reference":7"#)),
        invalid("empty reference", &["/reference"], with(r#""reference":"""#)),
        invalid("price of a number", &["/unit_price"], with(r#""unit_price":7"#)),
        invalid("price of an array", &["/unit_price"], with(r#""unit_price":[7,"GBP"]"#)),
        invalid(
            "empty price",
            &["/unit_price/amount_minor", "/unit_price/currency"],
            with(r#""unit_price":{}"#),
        ),
        invalid(
            "price of several mistakes",
            &["/unit_price/vat", "/unit_price/amount_minor", "/unit_price/currency"],
            with(r#""unit_price":{"amount_minor":-1,"currency":"ABC","vat":1}"#),
        ),
        invalid(
            "price over 2^53",
            &["/unit_price/amount_minor"],
            with(r#""unit_price":{"amount_minor":9007199254740992,"currency":"GBP"}"#),
        ),
        invalid(
            "small letters",
            &["/unit_price/currency"],
            with(r#""unit_price":{"amount_minor":1,"currency":"gbp"}"#),
        ),
        invalid(
            "mistakes everywhere",
            &["/x", "/product_id", "/buyer_id", "/quantity", "/reference"],
            purchase(r#"{"product_id":"a b","buyer_id":1,"quantity":0,"reference":"ä","x":0}"#),
        ),
        invalid(
            "odd buyer",
            &["/buyer_id"],
            purchase(r#"{"product_id":"plain","buyer_id":"b 1","quantity":1}"#),
        ),
        row("unknown product", P::UnknownProduct, product("nowhere")),
        row("product of another case", P::UnknownProduct, product("PLAIN")),
    ];
    for quantity in [
        "0",
        "-1",
        "1.0",
        "1.5",
        "1e0",
        "-0",
        "1000000001",
        "4294967297",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551617",
        "99999999999999999999999999",
        "1e400",
        "\"1\"",
        "true",
        "null",
        "[1]",
        "{}",
    ] {
        // Digits that no float can hold say so at once, for the whole body.
        let pointer = if quantity == "1e400" { "" } else { "/quantity" };
        rows.push(invalid(&format!("quantity {quantity}"), &[pointer], of(quantity)));
    }
    for id in ["", "a b", "a/b", "ä", "a\n", "a\u{0}", "a\"b", "..%2f", &"x".repeat(65)] {
        rows.push(invalid(&format!("product {id:?}"), &["/product_id"], product(id)));
    }
    check(rows);
}

#[test]
fn wrong_terms_and_adjustments_are_refused() {
    let terms =
        |field: &str| create(format!(r#"{{"product_id":"new","name":"n","stock":1,{field}}}"#));
    let patch = |body: &str| Ask::patch("/v1/products/plain", body);
    let sale = |body: &str| Ask::patch("/v1/sales/s1", body);
    check(vec![
        invalid("no fields", &["/product_id", "/stock", "/name"], create("{}")),
        invalid(
            "negative stock",
            &["/stock"],
            create(r#"{"product_id":"n","name":"n","stock":-1}"#),
        ),
        invalid(
            "huge stock",
            &["/stock"],
            create(r#"{"product_id":"n","name":"n","stock":9007199254740992}"#),
        ),
        invalid(
            "line break in a name",
            &["/name"],
            create(r#"{"product_id":"n","name":"a\nb","stock":1}"#),
        ),
        invalid(
            "long name",
            &["/name"],
            create(json!({"product_id": "n", "name": "x".repeat(201), "stock": 1}).to_string()),
        ),
        invalid(
            "unknown currency",
            &["/price/currency"],
            terms(r#""price":{"amount_minor":1,"currency":"ZZZ"}"#),
        ),
        invalid(
            "empty window",
            &["/closes_at"],
            terms(r#""opens_at":"2026-01-01T00:00:00Z","closes_at":"2026-01-01T00:00:00Z""#),
        ),
        invalid("before 1970", &["/opens_at"], terms(r#""opens_at":"1969-12-31T23:59:59Z""#)),
        invalid("no offset", &["/opens_at"], terms(r#""opens_at":"2026-01-01T00:00:00""#)),
        invalid("a number for a time", &["/closes_at"], terms(r#""closes_at":1767225600"#)),
        invalid("no such day", &["/closes_at"], terms(r#""closes_at":"2026-02-30T00:00:00Z""#)),
        invalid("limit of 0", &["/per_buyer_limit"], terms(r#""per_buyer_limit":0"#)),
        invalid("huge limit", &["/per_buyer_limit"], terms(r#""per_buyer_limit":4294967296"#)),
        invalid("paused in words", &["/paused"], terms(r#""paused":"yes""#)),
        invalid("odd sale", &["/sale_id"], terms(r#""sale_id":"a/b""#)),
        row("taken id", P::AlreadyExists, create(r#"{"product_id":"plain","name":"n","stock":1}"#)),
        invalid("patch of nothing", &[""], patch("{}")),
        invalid("patch of stock", &["/stock"], patch(r#"{"stock":5}"#)),
        invalid("patch without a name", &["/name"], patch(r#"{"name":null}"#)),
        invalid(
            "patch to an empty window",
            &["/closes_at"],
            patch(r#"{"opens_at":"2026-01-02T00:00:00Z","closes_at":"2026-01-01T00:00:00Z"}"#),
        ),
        row("unquoted If-Match", P::Malformed, patch(r#"{"paused":true}"#).header("if-match", "1")),
        row(
            "another If-Match",
            P::PreconditionFailed,
            patch(r#"{"paused":true}"#).header("if-match", "\"2\""),
        ),
        row(
            "weak If-Match",
            P::PreconditionFailed,
            patch(r#"{"paused":true}"#).header("if-match", "W/\"1\""),
        ),
        row(
            "stock's tag as If-Match",
            P::PreconditionFailed,
            patch(r#"{"paused":true}"#).header("if-match", "\"s1\""),
        ),
        row(
            "patch of nobody",
            P::UnknownProduct,
            Ask::patch("/v1/products/nowhere", r#"{"paused":true}"#),
        ),
        row("a sale's tag", P::Malformed, sale(r#"{"paused":true}"#).header("if-match", "\"1\"")),
        row(
            "a tag of all sales",
            P::Malformed,
            Ask::patch("/v1/sales", r#"{"paused":true}"#).header("if-match", "\"1\""),
        ),
        invalid("price of a sale", &["/price"], sale(r#"{"price":null}"#)),
        invalid("sale of nothing", &[""], sale("{}")),
        row("no such sale", P::UnknownProduct, Ask::patch("/v1/sales/s2", r#"{"paused":true}"#)),
        row("odd sale", P::UnknownProduct, Ask::patch("/v1/sales/a%20b", r#"{"paused":true}"#)),
        invalid("adjustment of nothing", &["", "/reason"], adjust("{}")),
        invalid(
            "both ways",
            &["/set_unsold"],
            adjust(r#"{"delta":1,"set_unsold":1,"expected_unsold":null,"reason":"received"}"#),
        ),
        invalid("no guard", &["/expected_unsold"], adjust(r#"{"set_unsold":1,"reason":"lost"}"#)),
        invalid(
            "guard of a delta",
            &["/expected_unsold"],
            adjust(r#"{"delta":1,"expected_unsold":1,"reason":"received"}"#),
        ),
        invalid("delta of 0", &["/delta"], adjust(r#"{"delta":0,"reason":"received"}"#)),
        invalid("fraction", &["/delta"], adjust(r#"{"delta":0.5,"reason":"received"}"#)),
        invalid("unknown reason", &["/reason"], adjust(r#"{"delta":1,"reason":"found"}"#)),
        invalid("other without text", &["/text"], adjust(r#"{"delta":1,"reason":"other"}"#)),
        invalid(
            "text without other",
            &["/text"],
            adjust(r#"{"delta":1,"reason":"lost","text":"x"}"#),
        ),
        row("too much written off", P::WouldOversell, adjust(r#"{"delta":-11,"reason":"lost"}"#)),
        row(
            "another figure",
            P::StockChanged,
            adjust(r#"{"set_unsold":1,"expected_unsold":9,"reason":"correction"}"#),
        ),
        invalid(
            "over 2^53 in all",
            &[""],
            adjust(r#"{"delta":9007199254740991,"reason":"received"}"#),
        ),
        row(
            "adjusting nobody",
            P::UnknownProduct,
            Ask::post(
                "/v1/products/nowhere/adjustments",
                "k",
                r#"{"delta":1,"reason":"received"}"#,
            ),
        ),
    ]);
}

#[test]
fn refusals_have_their_problem() {
    let buy = |product: &str, quantity: u64| {
        purchase(json!({"product_id": product, "buyer_id": "b1", "quantity": quantity}).to_string())
    };
    check(vec![
        row("nothing there", P::SoldOut, buy("gone", 1)),
        row("more than there", P::SoldOut, buy("plain", 11)),
        row("early", P::NotOpen, buy("early", 1)),
        row("late", P::Closed, buy("late", 1)),
        row("paused", P::Paused, buy("paused", 1)),
        row("one too many", P::LimitReached, buy("limited", 1)),
        row(
            "used key",
            P::KeyReused,
            Ask::post(
                "/v1/purchases",
                "used",
                r#"{"product_id":"limited","buyer_id":"b2","quantity":1}"#,
            ),
        ),
        row(
            "used key elsewhere",
            P::KeyReused,
            Ask::post("/v1/products", "used", r#"{"product_id":"limited","name":"n","stock":1}"#),
        ),
        row(
            "used key for nobody",
            P::KeyReused,
            Ask::post(
                "/v1/purchases",
                "used",
                r#"{"product_id":"nowhere","buyer_id":"b1","quantity":1}"#,
            ),
        ),
        row(
            "used key for sold out",
            P::KeyReused,
            Ask::post(
                "/v1/purchases",
                "used",
                r#"{"product_id":"gone","buyer_id":"b1","quantity":1}"#,
            ),
        ),
        row("no order", P::UnknownOrder, Ask::get("/v1/orders/o0000000000000000000000000")),
        row("no id", P::UnknownOrder, Ask::get("/v1/orders/7")),
        row("no stock", P::UnknownProduct, Ask::get("/v1/products/nowhere/stock")),
        row("odd id", P::UnknownProduct, Ask::get("/v1/products/a%22b")),
        row("no terms", P::UnknownProduct, Ask::get("/v1/products/nowhere")),
    ]);
}

#[test]
fn wrong_heads_are_refused() {
    let good = good_purchase;
    let keyed = |key: &str| good().without("idempotency-key").header("idempotency-key", key);
    let timed = |ms: &str| good().header("request-timeout-ms", ms);
    let body = r#"{"product_id":"plain","buyer_id":"b1","quantity":1}"#;
    let mut rows = vec![
        row("no key", P::KeyMissing, good().without("idempotency-key")),
        row("no key to create", P::KeyMissing, create("{}").without("idempotency-key")),
        row("no key to adjust", P::KeyMissing, adjust("{}").without("idempotency-key")),
        row("empty key", P::Malformed, keyed("")),
        row("empty quoted key", P::Malformed, keyed("\"\"")),
        row("long key", P::Malformed, keyed(&"k".repeat(256))),
        row("blank in a key", P::Malformed, keyed("a b")),
        row("two keys", P::Malformed, good().header("idempotency-key", "other")),
        row("no type", P::UnsupportedMediaType, good().without("content-type")),
        row(
            "form",
            P::UnsupportedMediaType,
            good()
                .without("content-type")
                .header("content-type", "application/x-www-form-urlencoded"),
        ),
        row(
            "text",
            P::UnsupportedMediaType,
            good().without("content-type").header("content-type", "text/plain; application/json"),
        ),
        row(
            "patch to post",
            P::UnsupportedMediaType,
            good().without("content-type").header("content-type", "application/merge-patch+json"),
        ),
        row("compressed", P::UnsupportedMediaType, good().header("content-encoding", "gzip")),
        row("no such path", P::UnknownPath, Ask::get("/v1/purchase")),
        row("slash at the end", P::UnknownPath, Ask::post("/v1/purchases/", "k", body)),
        row("root", P::UnknownPath, Ask::get("/")),
        row("broken escape", P::UnknownPath, Ask::get("/v1/products/%zz")),
        row("wrong verb", P::MethodNotAllowed, Ask::get("/v1/purchases")),
        row("PUT", P::MethodNotAllowed, Ask::new("PUT", "/v1/purchases").with_json(body)),
        row("DELETE", P::MethodNotAllowed, Ask::new("DELETE", "/v1/products/plain")),
        row("own verb", P::MethodNotAllowed, Ask::new("BREW", "/v1/products")),
        row("POST of an order", P::MethodNotAllowed, Ask::post("/v1/orders/o1", "k", "{}")),
        row("POST of readiness", P::MethodNotAllowed, Ask::post("/readyz", "k", "{}")),
        invalid("query to post", &["?dry_run"], Ask::post("/v1/purchases?dry_run=1", "k", body)),
        invalid("query of stock", &["?at"], Ask::get("/v1/products/plain/stock?at=1")),
        invalid("query of an order", &["?x"], Ask::get("/v1/orders/o1?x")),
        invalid(
            "unknown parameters",
            &["?page", "?limit"],
            Ask::get("/v1/products?page=2&limit=0"),
        ),
        invalid("twice", &["?limit"], Ask::get("/v1/products?limit=1&limit=2")),
        row("large", P::TooLarge, purchase(" ".repeat((64 << 10) + 1))),
        row("very large", P::TooLarge, purchase(" ".repeat(512 << 10))),
    ];
    for cursor in ["", "c", "c000000000000", "c00000001", "1", "C00000000ffff", "%00"] {
        let path = format!("/v1/products?cursor={cursor}");
        rows.push(invalid(&format!("cursor {cursor:?}"), &["?cursor"], Ask::get(&path)));
    }
    for limit in ["0", "501", "-1", "+1", "1.0", "x", ""] {
        let path = format!("/v1/products?limit={limit}");
        rows.push(invalid(&format!("limit {limit:?}"), &["?limit"], Ask::get(&path)));
    }
    for ms in ["0", "30001", "-1", "1.5", "x", "+1", "99999999999999999999"] {
        rows.push(row(&format!("timeout {ms:?}"), P::Malformed, timed(ms)));
    }
    check(rows);
}

#[test]
fn wrong_method_names_the_right_ones() {
    let house = House::open(Plan::default());
    let allow = |method: &str, path: &str| {
        let answer = Ask::new(method, path).to(house.address);
        assert_eq!(answer.problem(), P::MethodNotAllowed);
        answer.header("allow").expect("an Allow header").to_owned()
    };
    assert_eq!(allow("DELETE", "/v1/products"), "GET, HEAD, POST");
    assert_eq!(allow("POST", "/v1/products/a"), "GET, HEAD, PATCH");
    assert_eq!(allow("PUT", "/v1/purchases"), "POST");
    assert_eq!(allow("GET", "/v1/sales/a"), "PATCH");
    assert_eq!(allow("OPTIONS", "/livez"), "GET, HEAD");
}

#[test]
fn broken_json_is_told_with_line_and_column() {
    let house = House::open(Plan::default());
    let answer = purchase("{\"product_id\": \"a\",\n  \"quantity\": }").to(house.address);
    assert_eq!(answer.problem(), P::Malformed);
    assert!(answer.body.contains("line 2 column 15"), "{answer:?}");
}

#[test]
fn problem_list_and_its_page_say_the_same() {
    let page = include_str!("../../docs/problems.md");
    // `## name · 409 · retry: never`
    let mut told = BTreeMap::new();
    for heading in page.lines().filter_map(|line| line.strip_prefix("### ")) {
        let parts: Vec<&str> = heading.split(" · ").collect();
        let [name, status, retry] = parts.as_slice() else { panic!("heading {heading:?}") };
        let (name, retry) = (name.trim_matches('`'), retry.trim_matches('`'));
        assert_eq!(told.insert(name, (*status, retry)), None, "{name} twice");
    }
    let known: BTreeMap<&str, (String, &str)> = ProblemType::ALL
        .iter()
        .map(|kind| (kind.name(), (kind.status().to_string(), kind.retry().as_str())))
        .collect();
    let known: BTreeMap<&str, (&str, &str)> =
        known.iter().map(|(name, (status, retry))| (*name, (&**status, *retry))).collect();
    assert_eq!(told, known);
    let examples = page.lines().filter(|line| line.starts_with('{'));
    let examples: BTreeMap<String, Value> = examples
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .map(|example: Value| (example["type"].as_str().expect("a type").to_owned(), example))
        .collect();
    assert_eq!(examples.len(), ProblemType::ALL.len());
    for kind in ProblemType::ALL {
        let urn = format!("{PROBLEM_PREFIX}{}", kind.name());
        let example = examples.get(&urn).unwrap_or_else(|| panic!("no example of {urn}"));
        let said = [&example["title"], &example["status"], &example["retry"]];
        let known = [json!(kind.title()), json!(kind.status()), json!(kind.retry().as_str())];
        assert_eq!(said, known.each_ref(), "the example of {urn}");
    }
}

#[test]
fn problem_list_is_closed() {
    let designed = "malformed key-missing unauthenticated forbidden unknown-product unknown-order \
        unknown-hold unknown-path method-not-allowed request-timeout sold-out limit-reached \
        not-open closed paused already-exists stock-changed would-oversell hold-expired \
        hold-confirmed hold-released already-cancelled key-in-flight precondition-failed \
        too-large unsupported-media-type key-reused invalid overloaded starting disk-low \
        database-unavailable not-decided outcome-unknown";
    let names: Vec<&str> = ProblemType::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names, designed.split_whitespace().collect::<Vec<_>>());
}
