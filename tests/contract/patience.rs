//! Time and size: slow senders, large bodies, requests that wait for a disk.
#![expect(clippy::disallowed_methods, reason = "measures how long an answer takes")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use doorbuster::engine::{Clock, SystemClock};
use doorbuster::http::HttpOptions;
use doorbuster::http::ProblemType as P;
use serde_json::json;

use crate::house::{House, Plan, wait_until};
use crate::wire::{Ask, Wire};

const BUY: &str = r#"{"product_id":"p","buyer_id":"b","quantity":1}"#;

fn impatient() -> Plan {
    let plan = Plan::default();
    let http = HttpOptions {
        workers: 1,
        head_timeout: Duration::from_millis(500),
        body_timeout: Duration::from_millis(500),
        ..plan.http
    };
    Plan { http, ..plan }
}

#[test]
fn slow_sender_gets_408_and_holds_up_nobody() {
    let house = House::open(impatient());
    house.product("p", 10, json!({}));
    let head = "POST /v1/purchases HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                idempotency-key: slow\r\ncontent-length: 50\r\n\r\n{";
    let mut slow: Vec<Wire> = (0..50).map(|_| Wire::open(house.address)).collect();
    slow.iter_mut().for_each(|wire| wire.send(head.as_bytes()));
    let mut quick = Wire::open(house.address);
    for number in 0..50 {
        Ask::post("/v1/purchases", &format!("quick-{number}"), BUY).over(&mut quick);
    }
    for mut wire in slow {
        let answer = wire.receive().expect("an answer");
        assert_eq!(answer.problem(), P::RequestTimeout);
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
        assert!(wire.receive().is_none(), "the connection ends");
    }
    assert_eq!(house.sold("p").0, 10);
}

#[test]
fn slow_head_ends_its_connection() {
    let house = House::open(impatient());
    let mut wire = Wire::open(house.address);
    wire.send(b"POST /v1/purchases HTTP/1.1\r\nhost: x\r\n");
    if let Some(answer) = wire.receive() {
        assert_eq!(answer.status, 408);
        assert!(wire.receive().is_none());
    }
}

#[test]
fn body_in_pieces_is_read_whole() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({}));
    let bytes = Ask::post("/v1/purchases", "pieces", BUY).bytes();
    let mut wire = Wire::open(house.address);
    for piece in bytes.chunks(7) {
        wire.send(piece);
    }
    wire.receive().expect("an answer").ok(201);
    let head = "POST /v1/purchases HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                idempotency-key: chunked\r\ntransfer-encoding: chunked\r\n\r\n";
    wire.send(head.as_bytes());
    for piece in BUY.as_bytes().chunks(9) {
        wire.send(format!("{:x}\r\n", piece.len()).as_bytes());
        wire.send(piece);
        wire.send(b"\r\n");
    }
    wire.send(b"0\r\n\r\n");
    wire.receive().expect("an answer").ok(201);
    assert_eq!(house.sold("p").0, 2);
}

#[test]
fn large_body_hears_413_while_it_is_still_sending() {
    let house = House::open(Plan::default());
    for (megabytes, announced) in [(1, true), (4, true), (4, false)] {
        let mut wire = Wire::open(house.address);
        let length = match announced {
            true => format!("content-length: {}", megabytes << 20),
            false => "transfer-encoding: chunked".to_owned(),
        };
        let head = format!(
            "POST /v1/purchases HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             idempotency-key: large\r\n{length}\r\n\r\n"
        );
        wire.send(head.as_bytes());
        for _ in 0..megabytes * 16 {
            if !announced {
                wire.send(b"10000\r\n");
            }
            wire.send(&[b' '; 1 << 16]);
            if !announced {
                wire.send(b"\r\n");
            }
        }
        let answer = wire.receive().expect("an answer rather than a reset");
        assert_eq!(answer.problem(), P::TooLarge);
    }
}

#[test]
fn request_that_outlasts_its_time_has_an_unknown_outcome_which_its_key_tells() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({}));
    let ask = Ask::post("/v1/purchases", "patient", BUY).header("request-timeout-ms", "100");
    house.gate.close();
    let began = Instant::now();
    assert_eq!(ask.to(house.address).problem(), P::OutcomeUnknown);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(ask.to(house.address).problem(), P::KeyInFlight);
    assert_eq!(house.sold("p").0, 0, "views show what is durable");
    house.gate.open();
    let mut answer = ask.to(house.address);
    wait_until(|| {
        answer = ask.to(house.address);
        answer.status == 201
    });
    assert_eq!(answer.header("idempotent-replayed"), Some("true"));
    assert_eq!(house.sold("p").0, 1);
}

#[test]
fn change_without_a_key_is_never_sent_to_the_same_one() {
    let house = House::open(impatient());
    house.product("p", 10, json!({}));
    let change = Ask::patch("/v1/products/p", r#"{"paused":true}"#);
    let mut slow = Wire::open(house.address);
    slow.send(&change.bytes()[..change.bytes().len() - 1]);
    let late = slow.receive().expect("an answer");
    assert_eq!(late.problem_without_key(), P::RequestTimeout);
    house.gate.close();
    let unknown = change.header("request-timeout-ms", "100").to(house.address);
    assert_eq!(unknown.problem_without_key(), P::OutcomeUnknown);
    let detail = unknown.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.ends_with("read what it changes, then decide"), "{detail}");
}

/// A clock that moves on by itself whenever somebody looks.
struct Hasty {
    system: SystemClock,
    looks: AtomicU64,
}

impl Clock for Hasty {
    fn wall_ms(&self) -> u64 {
        self.system.wall_ms()
    }
    fn monotonic_ms(&self) -> u64 {
        100 * self.looks.fetch_add(1, Ordering::Relaxed)
    }
}

#[test]
fn what_is_not_decided_in_time_did_not_happen_and_leaves_its_key_free() {
    let clock = Arc::new(Hasty { system: SystemClock::new(), looks: AtomicU64::new(0) });
    let house = House::open(Plan { clock, ..Plan::default() });
    let patient = |ask: Ask, ms: &str| ask.header("request-timeout-ms", ms).to(house.address);
    let body = r#"{"product_id":"p","name":"n","stock":10}"#;
    patient(Ask::post("/v1/products", "c", body), "30000").ok(201);
    let buy = || Ask::post("/v1/purchases", "k", BUY);
    assert_eq!(patient(buy(), "1").problem(), P::NotDecided);
    assert_eq!(house.sold("p"), (0, 1));
    let change = patient(Ask::patch("/v1/products/p", r#"{"paused":true}"#), "1");
    assert_eq!(change.problem_without_key(), P::NotDecided);
    assert_eq!(house.get("/v1/products/p")["paused"], false);
    let answer = patient(buy(), "30000");
    assert_eq!(answer.header("idempotent-replayed"), None);
    answer.ok(201);
    assert_eq!(house.sold("p"), (1, 2));
}

#[test]
fn more_at_once_than_may_be_is_told_before_anything_is_decided() {
    let house = House::open(Plan { commands_max: 1, ..Plan::default() });
    house.product("p", 10, json!({}));
    house.gate.close();
    let mut first = Wire::open(house.address);
    first.send(&Ask::post("/v1/purchases", "first", BUY).bytes());
    wait_until(|| house.engine.gauges().is_some_and(|gauges| gauges.commands == 1));
    let second = Ask::post("/v1/purchases", "second", BUY);
    assert_eq!(second.to(house.address).problem(), P::Overloaded);
    house.gate.open();
    first.receive().expect("an answer").ok(201);
    second.to(house.address).ok(201);
    assert_eq!(house.sold("p").0, 2);
}

#[test]
fn what_is_in_flight_at_a_stop_is_answered() {
    let house = House::open(Plan::default());
    house.product("p", 10, json!({}));
    house.gate.close();
    let mut idle = Wire::open(house.address);
    Ask::get("/livez").over(&mut idle).ok(200);
    let mut wire = Wire::open(house.address);
    wire.send(&Ask::post("/v1/purchases", "last", BUY).bytes());
    wait_until(|| house.engine.gauges().is_some_and(|gauges| gauges.commands == 1));
    let began = Instant::now();
    // Opens the gate and stops, in this order; the answer may still be on its way.
    drop(house);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    wire.receive().expect("an answer").ok(201);
    assert!(idle.receive().is_none(), "idle connections end");
}
