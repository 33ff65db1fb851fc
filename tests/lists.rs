//! Lists over HTTP from the tables of either store: a buyer's orders, a reference's, a product's
//! history; by the real binary.
#![expect(clippy::indexing_slicing, reason = "a missing field of an answer is a failed test")]
#![expect(clippy::disallowed_methods, reason = "waits for a real process")]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/server.rs"]
mod server;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use server::Server;

/// What the tables hold, once they hold the record at `position`.
fn complete(server: &Server, path: &str, is: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = server.get(path).expect("an answer");
        if answer.status == 200 && is(&answer.body) {
            return answer.body;
        }
        assert!(Instant::now() < until, "{path}: {answer:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lists(more: &[&str]) {
    let place = tempfile::tempdir().expect("a directory");
    let server = Server::start(&place.path().join("data"), more);
    server.create("hat", 100);
    server.create("mug", 100);
    let mut placed = Vec::new();
    for number in 0..5 {
        let lines =
            json!([{"product_id": "hat", "quantity": 2}, {"product_id": "mug", "quantity": 1}]);
        let reference = if number == 3 { "web-3" } else { "web-other" };
        let body = json!({"buyer_id": "anna", "reference": reference, "lines": lines});
        placed.push(server.post("/v1/orders", &format!("k{number}"), &body).body);
    }
    server.buy("hat", "ben");
    let hold = json!({"buyer_id": "anna", "ttl_ms": 600_000, "lines": [{"product_id": "mug", "quantity": 4}]});
    let hold = server.post("/v1/holds", "h", &hold).body;
    let confirm = format!("/v1/holds/{}/confirm", hold["hold_id"].as_str().expect("an id"));
    placed.push(server.post(&confirm, "c", &json!({})).body);
    let first = placed[0]["order_id"].as_str().expect("an id");
    let cancel = json!({"reason": "too small", "lines": [{"product_id": "hat", "quantity": 1}]});
    let cancelled = server.post(&format!("/v1/orders/{first}/cancel"), "x", &cancel).body;
    let done = |body: &Value| body["complete_to"] == cancelled["position"];

    // The watermark may follow: complete to that record, or later.
    let history = complete(&server, "/v1/products/hat/history", |body| {
        body["movements"][0]["kind"] == "order_cancelled" || done(body)
    });
    let kinds: Vec<&str> = history["movements"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|m| m["kind"].as_str())
        .collect();
    assert_eq!(kinds[0], "order_cancelled");
    assert_eq!((kinds.len(), kinds[kinds.len() - 1]), (8, "product_created"));
    assert_eq!(history["movements"][0]["sold_delta"], -1);
    assert_eq!(history["movements"][0]["order_id"], placed[0]["order_id"]);
    let orders = complete(&server, "/v1/orders?buyer_id=anna&limit=4", |_| true);
    let ids = |body: &Value| -> Vec<Value> {
        body["orders"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|order| order["order_id"].clone())
            .collect()
    };
    let newest: Vec<Value> = placed.iter().rev().map(|order| order["order_id"].clone()).collect();
    assert_eq!(ids(&orders), newest[..4]);
    let cursor = orders["next_cursor"].as_str().expect("there are more");
    let rest =
        complete(&server, &format!("/v1/orders?buyer_id=anna&limit=4&cursor={cursor}"), |_| true);
    assert_eq!((ids(&rest), &rest["next_cursor"]), (newest[4..].to_vec(), &Value::Null));
    let last = &rest["orders"][1];
    assert_eq!(
        (&last["status"], &last["lines"][0]["cancelled"]),
        (&json!("partly_cancelled"), &json!(1))
    );
    let one = complete(&server, "/v1/orders?buyer_id=anna&reference=web-3", |_| true);
    assert_eq!(one["orders"], json!([placed[3]]));
    let nobody = complete(&server, "/v1/orders?buyer_id=nobody", |_| true);
    assert_eq!(nobody["orders"], json!([]));

    let page = complete(&server, "/v1/products/mug/history?limit=3", |_| true);
    assert_eq!(page["movements"][0]["kind"], "hold_confirmed");
    assert_eq!(
        (&page["movements"][0]["held_delta"], &page["movements"][0]["sold_delta"]),
        (&json!(-4), &json!(4))
    );
    assert_eq!(page["movements"][1]["hold_id"], hold["hold_id"]);
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let next =
        complete(&server, &format!("/v1/products/mug/history?limit=50&cursor={cursor}"), |_| true);
    assert_eq!(next["movements"].as_array().expect("rows").len(), 5);
    assert_eq!(next["next_cursor"], Value::Null);
}

#[test]
fn page_of_large_orders_ends_by_its_lines() {
    let place = tempfile::tempdir().expect("a directory");
    let server = Server::start(&place.path().join("data"), &[]);
    server.create("hat", 10_000);
    let lines = vec![json!({"product_id": "hat", "quantity": 1}); 600];
    let body = json!({"buyer_id": "anna", "lines": lines});
    let placed: Vec<Value> = (0..3)
        .map(|number| {
            server.post("/v1/orders", &format!("k{number}"), &body).body["order_id"].clone()
        })
        .collect();
    // The first two of them are in the tables before the third is, and then nothing is left over.
    let all = |body: &Value| {
        body["orders"].as_array().is_some_and(|orders| orders.len() == 2)
            && body["next_cursor"].is_string()
    };
    let page = complete(&server, "/v1/orders?buyer_id=anna&limit=100", all);
    let ids = |page: &Value| -> Vec<Value> {
        page["orders"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|order| order["order_id"].clone())
            .collect()
    };
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let rest = complete(&server, &format!("/v1/orders?buyer_id=anna&cursor={cursor}"), |_| true);
    assert_eq!(rest["next_cursor"], Value::Null);
    let newest: Vec<Value> = placed.iter().rev().cloned().collect();
    assert_eq!([ids(&page), ids(&rest)].concat(), newest);
}

#[test]
fn lists_come_from_sqlite() {
    lists(&[]);
}

#[test]
fn lists_come_from_postgresql() {
    let Some(postgres) = postgres::start() else { return };
    lists(&["--database-url", &postgres.url("lists")]);
}
