//! What a small suite may have found, for the tests of what shows it.

use serde_json::{Value, json};

use super::raw::{About, Kept, Raw};
use super::suite::Form;

fn all(figure: f64) -> Value {
    json!({"median": figure, "min": figure * 0.9, "max": figure * 1.1})
}

fn side(rate: f64, ratio: Option<f64>) -> Value {
    json!({"per_second": all(rate), "p50_us": all(2e3), "p99_us": all(9e3), "ratio": ratio.map(all)})
}

fn compared(connections: u32, rate: Option<f64>) -> Value {
    let pace = rate.map_or(json!({"loop": "closed"}), |rate| json!({"loop": "open", "rate": rate}));
    json!({
        "machine": {"cores": 2, "cpu": "A processor", "kernel": "6.1", "fdatasync_p50_us": 135.0,
            "fdatasync_p99_us": 400.0, "data_in_memory": false},
        "work": "purchase", "connections": connections, "pace": pace, "seconds": 3.0,
        "missing": {"redis-always": "no redis-server"},
        "sides": {"doorbuster": side(60e3, None), "bare": side(100e3, Some(0.6))},
    })
}

fn results() -> Vec<(&'static str, Value)> {
    let size = |products: u32| {
        json!({
            "products": products, "per_second": all(60e3), "p99_us": all(9e3),
            "ratio_to_first": all(1.0), "resident_bytes": all(2e7), "first_sale_seconds": all(0.2),
            "bytes_per_product": (products > 10).then(|| all(250.0)),
        })
    };
    let turn = |seconds: f64| json!({"seconds": seconds, "records": 100_000});
    let round = json!({"check": turn(0.2), "recover": turn(0.5), "ratio": 0.4});
    let latency = json!({"p99": 9e3, "p99_9": 20e3});
    let minute = json!({
        "load": {"per_second": 90e3, "latency_us": latency}, "orders": 270_000,
        "resident_bytes": 5e7, "snapshots": 1, "behind_records": 20.0,
    });
    let bounds = json!([
        {"what": "p95, ms", "limit": {"at-most": 200.0}, "seen": 212.0},
        {"what": "list p99, ms", "limit": {"at-most": 80.0}, "seen": null},
    ]);
    vec![
        ("purchase", compared(256, None)),
        ("peers", compared(256, None)),
        ("connections-8", compared(8, None)),
        ("connections-128", compared(128, None)),
        ("rate-10", compared(256, Some(10e3))),
        ("rate-50", compared(256, Some(30e3))),
        ("products", json!({"sizes": [size(1), size(1_000)]})),
        ("memory", json!({"sizes": [size(10), size(1_000_000)]})),
        ("recover-100000", json!({"log_bytes": 15_000_000, "rounds": [round]})),
        (
            "soak",
            json!({"minutes": [minute, minute], "per_second": all(9e4), "p99_9_us": all(2e4)}),
        ),
        ("retail", json!({"bounds": bounds})),
        ("project", json!({"sqlite": {"per_second": all(1e5)}, "postgres_missing": "no server"})),
    ]
}

/// Some steps that ended well, one that did not, and one that left a picture.
pub(super) fn raw() -> Raw {
    let mut raw = Raw::default();
    let commit = "0123abc".to_owned();
    raw.about = Some(About { form: Form::Short, commit: commit.clone(), seconds: 90.0 });
    let mut keep = |name: &str, failed: Option<&str>, result: Value| {
        let kept = Kept {
            command: format!("doorbuster-bench {name}"),
            commit: commit.clone(),
            seconds: 3.0,
            failed: failed.map(str::to_owned),
            result,
        };
        raw.steps.insert(name.to_owned(), kept);
    };
    for (name, result) in results() {
        keep(name, None, result);
    }
    keep("idle", Some("error: the server was not ready in time"), Value::Null);
    keep("flame-purchase", None, Value::Null);
    raw
}
