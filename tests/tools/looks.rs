//! `wal inspect`, `wal verify` and `state --as-of`: what they say of a whole log.

use std::collections::BTreeMap;

use doorbuster::domain::rfc3339;
use serde_json::{Value, json};

use crate::house::{House, LIFE_MS, START_MS};

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn inspect_and_verify_agree_about_segments_snapshots_and_digest() {
    let house = House::new();
    let before = house.files();
    let inspected = house.json(&["wal", "inspect"]);
    let mut verified = house.json(&["wal", "verify"]);
    assert_eq!(house.files(), before, "nothing is changed");
    let segments = inspected["segments"].as_array().unwrap();
    let archived: Vec<bool> = segments.iter().map(|it| it["archived"] == json!(true)).collect();
    assert_eq!(archived, [true, true, true, true, false]);
    for segment in segments {
        let packed = number(&segment["stored_bytes"]) < number(&segment["used_bytes"]);
        assert_eq!(segment["archived"] == json!(true), packed, "{segment}");
    }
    let verdicts = |report: &Value| -> Vec<String> {
        let snapshots = report["snapshots"].as_array().unwrap();
        snapshots.iter().map(|it| it["verdict"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts(&inspected), ["sound", "sound"]);
    assert_eq!(verdicts(&verified), ["proven", "proven"]);
    assert_eq!(number(&inspected["first_sequence"]), 1);
    let state = verified.as_object_mut().unwrap().remove("state").unwrap();
    assert_eq!((number(&state["live_holds"]), number(&state["products"])), (1, 7));
    for report in [&mut verified, &mut inspected.clone()] {
        let snapshots = report["snapshots"].as_array_mut().unwrap();
        snapshots.iter_mut().for_each(|it| drop(it["verdict"].take()));
    }
    for field in ["segments", "digest", "durable_watermark", "journal_id", "room", "epochs"] {
        assert_eq!(verified[field], inspected[field], "{field}");
    }
    // What is published of a closed segment is what its successor has.
    for pair in segments.windows(2) {
        assert_eq!(pair[0]["sha256"], pair[1]["chain_before"]);
    }
    house.run(&["wal", "inspect"]).check(0, &["digest up to", "room ahead", "archive/segment-"]);
    house.run(&["wal", "verify"]).check(0, &["sound: ", "the state of its records"]);
}

/// Stock, sold and held of each product after each record, reckoned from the dump.
fn reckoned(lines: &[Value], upto: u64) -> BTreeMap<String, (u64, u64)> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let units = |line: &Value| number(&line["quantity"]);
    for record in lines.iter().filter(|it| number(&it["sequence"]) <= upto) {
        let list = |field: &str| record[field].as_array().cloned().unwrap_or_default();
        let mut each = |field: &str, change: &dyn Fn(&mut (u64, u64), u64)| {
            for line in list(field) {
                let product = line["product_id"].as_str().unwrap().to_owned();
                change(sums.entry(product).or_default(), units(&line));
            }
        };
        match record["kind"].as_str().unwrap() {
            "order_placed" => each("lines", &|sum, units| sum.0 += units),
            "order_cancelled" => each("lines", &|sum, units| sum.0 -= units),
            "hold_placed" => each("lines", &|sum, units| sum.1 += units),
            "hold_confirmed" => {
                each("lines", &|sum, units| (sum.0, sum.1) = (sum.0 + units, sum.1 - units));
                each("released", &|sum, units| sum.1 -= units);
            }
            "hold_released" | "hold_expired" => each("lines", &|sum, units| sum.1 -= units),
            _ => {}
        }
    }
    sums
}

fn check_state(house: &House, lines: &[Value], as_of: &str, upto: u64) -> Value {
    let state = house.json(&["state", "--as-of", as_of]);
    assert_eq!(number(&state["sequence"]), upto, "as of {as_of}");
    let expected = reckoned(lines, upto);
    for product in state["products"].as_array().unwrap() {
        let id = product["product_id"].as_str().unwrap();
        let (sold, held) = expected.get(id).copied().unwrap_or_default();
        assert_eq!((number(&product["sold"]), number(&product["held"])), (sold, held), "{id}");
        assert_eq!(number(&product["available"]), 1_000 - sold - held, "{id} as of {as_of}");
    }
    let sold: u64 = expected.values().map(|(sold, _)| sold).sum();
    assert_eq!(number(&state["totals"]["sold"]), sold, "as of {as_of}");
    state
}

#[test]
fn state_of_any_moment_is_what_the_records_up_to_it_make() {
    let house = House::new();
    let lines = house.lines(&[]);
    let last = number(&lines.last().unwrap()["sequence"]);
    let mut hashes = Vec::new();
    let places = [0, 1, 5, 29, 30, 31, 66, 99, 132, 140, last];
    for upto in places {
        hashes.push(check_state(&house, &lines, &upto.to_string(), upto)["state_hash"].clone());
    }
    let now = check_state(&house, &lines, "now", last);
    assert!(now["snapshot"].as_str().unwrap().starts_with("snapshots/"), "{now}");
    // The last record of a second, and of the first life.
    for (at_ms, time) in [(5_999, 5_000), (LIFE_MS - 1, 31_000)] {
        let decided = lines.iter().find(|it| it["at"] == json!(rfc3339(START_MS + time)));
        check_state(
            &house,
            &lines,
            &rfc3339(START_MS + at_ms),
            number(&decided.unwrap()["sequence"]),
        );
    }
    let later = house.run(&["state", "--as-of", "2030-01-01T00:00:00Z"]);
    later.check(0, &["the last record that is proven is", &format!("state after record {last}")]);
    house.run(&["state", "--as-of", "2020-01-01T00:00:00Z"]).check(2, &["before it the log knows"]);
    house.run(&["state", "--as-of", "9999"]).check(2, &["there is no record 9999"]);
    let one = house.run(&["state", "--as-of", "now", "--product", "hat"]);
    one.check(0, &["hat", "\"per_buyer_limit\": null"]);
    assert!(!one.out.contains("\ncap "), "{one:?}");
    house.run(&["state", "--as-of", "1", "--product", "hat"]).check(2, &["no product hat as of"]);

    // Without snapshots the same, to the hash.
    std::fs::remove_dir_all(house.journal().join("snapshots")).unwrap();
    for (upto, hash) in places.into_iter().zip(hashes) {
        let state = check_state(&house, &lines, &upto.to_string(), upto);
        assert_eq!((&state["state_hash"], &state["snapshot"]), (&hash, &Value::Null));
    }
}
