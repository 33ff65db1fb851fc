//! Probes, metrics, and the life of a server around recovery.

use doorbuster::engine::ports::{ProjectionProblem, ProjectionReport};
use doorbuster::http::HttpOptions;
use doorbuster::http::ProblemType as P;
use serde_json::json;

use crate::house::{House, Plan, wait_until};
use crate::wire::{Ask, Wire};

#[test]
fn server_is_alive_and_says_how_far_it_is_before_it_has_recovered() {
    let mut house = House::open(Plan { waits_for_recovery: true, ..Plan::default() });
    house.get("/livez");
    house.engine.health().recovered(250, 1_000);
    for path in ["/readyz", "/ready"] {
        let answer = Ask::get(path).to(house.address);
        assert_eq!(answer.ok(503), json!({"status": "recovering", "progress": 0.25}));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    for ask in [
        Ask::get("/v1/products"),
        Ask::get("/v1/orders/o1"),
        Ask::post("/v1/purchases", "k", r#"{"product_id":"p","buyer_id":"b","quantity":1}"#),
        Ask::post("/v1/purchases", "k", "{"),
    ] {
        assert_eq!(ask.to(house.address).problem(), P::Starting);
    }
    assert_eq!(Ask::get("/v1/nothing").to(house.address).problem(), P::UnknownPath);
    house.recover();
    let ready = json!({"status": "ready", "progress": 1.0, "degraded": []});
    assert_eq!(house.get("/readyz"), ready);
    house.engine.health().set_draining();
    assert_eq!(Ask::get("/readyz").to(house.address).ok(503), json!({"status": "draining"}));
    assert_eq!(house.get("/livez"), json!({"status": "alive"}));
}

#[test]
fn what_does_not_stop_a_sale_is_told_and_leaves_the_server_ready() {
    let report = ProjectionReport {
        lag_records: 7,
        quarantined: 2,
        problem: Some(ProjectionProblem::Retrying("nobody listens".to_owned())),
        ..ProjectionReport::default()
    };
    let house = House::open(Plan { report, free_bytes: 1_000, ..Plan::default() });
    let told = house.get("/readyz");
    assert_eq!(told["status"], "ready");
    let degraded = told["degraded"].as_array().expect("a list");
    let names: Vec<_> = degraded.iter().map(|what| what["name"].as_str()).collect();
    assert_eq!(names, [Some("database"), Some("quarantine"), Some("disk-low")]);
    assert_eq!(degraded[0]["detail"], "trying again: nobody listens");
    house.product("p", 1, json!({}));
}

#[test]
fn full_disk_is_told_before_deciding_and_heals() {
    let house = House::open(Plan::default());
    let mut wire = Wire::open(house.address);
    let mut create = |number: u32| {
        let name = "ä".repeat(200);
        let body = json!({"product_id": format!("p{number}"), "name": name, "stock": 1});
        Ask::post("/v1/products", &format!("c{number}"), body.to_string()).over(&mut wire)
    };
    create(0).ok(201);
    house.storage.set_capacity(Some(0));
    let refused = (1..20_000).map(|number| (number, create(number)));
    let (last, refused) =
        refused.into_iter().find(|(_, answer)| answer.status != 201).expect("a full disk");
    assert_eq!(refused.problem(), P::DiskLow);
    assert_eq!(Ask::get(&format!("/v1/products/p{last}")).to(house.address).status, 404);
    house.get(&format!("/v1/products/p{}/stock", last - 1));
    house.storage.set_capacity(None);
    wait_until(|| create(last).status == 201);
}

#[test]
fn metrics_name_routes_decisions_and_figures() {
    let house = House::open(Plan::default());
    house.product("metered", 1, json!({}));
    let body = r#"{"product_id":"metered","buyer_id":"b","quantity":1}"#;
    Ask::post("/v1/purchases", "m1", body).to(house.address).ok(201);
    Ask::post("/v1/purchases", "m2", body).to(house.address);
    Ask::get("/no/such/path").to(house.address);
    let answer = Ask::get("/metrics").to(house.address);
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|media| media.starts_with("text/plain")));
    for line in [
        r#"doorbuster_decisions_total{kind="order_placed",outcome="done"}"#,
        r#"doorbuster_decisions_total{kind="order_placed",outcome="sold_out"}"#,
        r#"doorbuster_http_request_duration_seconds_count{route="/v1/purchases",method="POST",code="201"}"#,
        r#"doorbuster_http_request_duration_seconds_count{route="unknown",method="GET",code="404"}"#,
        "doorbuster_journal_durable_sequence ",
        "doorbuster_idempotency_keys ",
        r#"doorbuster_queue_depth{queue="commands"}"#,
        "doorbuster_data_free_bytes ",
        "doorbuster_live_holds 0",
        "doorbuster_recovery_progress_ratio 1",
        "doorbuster_projection_lag_records 0",
        "doorbuster_quarantined_records 0",
        "doorbuster_build_info{version=",
    ] {
        assert!(answer.body.contains(line), "{line} in {}", answer.body);
    }
    assert!(!answer.body.contains("metered"), "no label per product");
}

#[test]
fn metrics_with_a_listener_of_their_own_are_there_and_nowhere_else() {
    let plan = Plan::default();
    let metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let house = House::open(Plan { http: HttpOptions { metrics_listen, ..plan.http }, ..plan });
    let metrics = house.metrics_address.expect("a second address");
    assert_eq!(Ask::get("/metrics").to(metrics).status, 200);
    assert_eq!(Ask::get("/livez").to(metrics).status, 200);
    assert_eq!(Ask::get("/v1/products").to(metrics).problem(), P::UnknownPath);
    assert_eq!(Ask::get("/metrics").to(house.address).problem(), P::UnknownPath);
    assert_eq!(Ask::get("/readyz").to(house.address).status, 200);
}
