//! `wal prune`: only what is archived and nothing needs, only when told twice, and what is left still
//! starts.

use serde_json::{Value, json};

use crate::house::{House, flip};
use crate::server::Server;

fn segments(house: &House) -> Vec<(u64, u64)> {
    let report = house.json(&["wal", "inspect"]);
    let number = |it: &Value, field: &str| it[field].as_u64().unwrap();
    let segments = report["segments"].as_array().unwrap();
    segments.iter().map(|it| (number(it, "segment"), number(it, "first_sequence"))).collect()
}

#[test]
fn prune_refuses_what_is_needed_and_tells_what_it_would_do() {
    let house = House::new();
    let firsts = segments(&house);
    let fourth = firsts[3].1;
    let files = house.files();
    let prune = |words: &[&str]| house.run(&[&["wal", "prune"], words].concat());
    // With the fifth as the first the older snapshot would lie before the log.
    let fits = format!("--before {fourth}");
    prune(&["--before", "now"]).check(1, &["nothing was deleted", "older of two sound", &fits]);
    prune(&["--before", "now", "--yes"]).check(1, &["nothing was deleted", &fits]);
    prune(&["--before", "5"]).check(0, &["nothing to delete", "whole segments are deleted"]);
    prune(&["--before", "1"]).check(0, &["nothing to delete", "nothing lies before"]);
    let would = prune(&["--before", &fourth.to_string()]);
    would.check(0, &["would delete records 1 to", "3 archived segments", "nothing was deleted"]);
    would.check(0, &["orders", "`project --rebuild`, `reconcile` and `proof` need all of it"]);
    // Times are rounded down to what lies wholly before them.
    let dry = house.json(&["wal", "prune", "--before", "2026-11-18T01:00:00Z"]);
    assert_eq!(
        (&dry["deleted"], &dry["gone"]["log_begins_with"]),
        (&json!(false), &json!(firsts[2].1))
    );
    // A damaged snapshot is none.
    flip(&house.snapshots()[0], 100);
    prune(&["--before", &fourth.to_string()]).check(1, &["of two that it must have there are 1"]);
    flip(&house.snapshots()[0], 100);
    assert_eq!(house.files(), files, "nothing is changed");
}

#[test]
fn pruned_log_says_so_everywhere_and_still_sells() {
    let house = House::new();
    let lines = house.lines(&[]);
    let firsts = segments(&house);
    let (begin, before) = (firsts[3].1, house.json(&["state", "--as-of", "now"]));
    let server = Server::start(&house.data_dir(), &[]);
    let yes = ["wal", "prune", "--before", &begin.to_string(), "--yes"];
    house.run(&yes).check(4, &["another process holds", "stop it", "fuser -v"]);
    assert_eq!(server.terminate().0.code(), Some(0));

    let told = house.json(&yes);
    assert_eq!(told["deleted"], json!(true));
    let gone = &told["gone"];
    let of_kind = |kinds: &[&str]| {
        let lost = lines.iter().take_while(|it| it["sequence"].as_u64().unwrap() < begin);
        lost.filter(|it| kinds.contains(&it["kind"].as_str().unwrap())).count()
    };
    assert_eq!(gone["orders"], json!(of_kind(&["order_placed", "hold_confirmed"])));
    assert_eq!(gone["holds"], json!(of_kind(&["hold_placed"])));
    assert_eq!(gone["segments"], json!(3));
    assert_eq!(segments(&house)[0], firsts[3]);

    let until = (begin - 1).to_string();
    let pruned = format!("records 1 to {until} were pruned");
    house.run(&["wal", "inspect"]).check(0, &[&pruned]);
    house.run(&["wal", "verify"]).check(0, &["sound: ", "the state of its records"]);
    let from_one = house.run(&["wal", "dump", "--from", "1", "--limit", "1"]);
    from_one.check(
        0,
        &[&format!("records before {begin} were pruned"), &format!("\"sequence\":{begin}")],
    );
    let kept = lines.iter().skip_while(|it| it["sequence"].as_u64().unwrap() < begin);
    let shown = house.lines(&["--to", &lines.len().to_string()]);
    assert_eq!(shown.iter().collect::<Vec<_>>(), kept.collect::<Vec<_>>(), "with all names");
    house.run(&["state", "--as-of", "5"]).check(2, &["what lies before was pruned"]);
    let edge = house.json(&["state", "--as-of", &until]);
    assert_eq!(
        edge["sequence"],
        json!(begin - 1),
        "the older snapshot is the state before the log"
    );
    house
        .run(&yes)
        .check(0, &["nothing to delete", &format!("the log begins with record {begin}")]);

    let server = Server::start(&house.data_dir(), &[]);
    assert_eq!(server.buy("hat", "after").status, 201);
    assert_eq!(server.terminate().0.code(), Some(0));
    let after = house.json(&["state", "--as-of", "now", "--product", "hat"]);
    let sold = |state: &Value| {
        let products = state["products"].as_array().unwrap().iter();
        products
            .filter(|it| it["product_id"] == "hat")
            .map(|it| it["sold"].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(sold(&after), sold(&before) + 1);

    // Without snapshots nothing says what came before.
    for snapshot in house.snapshots() {
        flip(&snapshot, 100);
    }
    let next = "`doorbuster wal verify --data-dir '";
    house.run(&["serve", "--listen", "127.0.0.1:0"]).check(3, &["no snapshot says", next]);
    house.run(&["state", "--as-of", "now"]).check(3, &["no snapshot says", next]);
    house
        .run(&["wal", "verify"])
        .check(3, &["no snapshot is sound", "doorbuster restore --from BACKUP"]);
}

#[test]
fn what_an_interrupted_pruning_left_goes_when_it_is_asked_again() {
    let house = House::new();
    let begin = segments(&house)[3].1.to_string();
    let first = house.journal().join("archive/segment-0000000001.wal.zst");
    let bytes = std::fs::read(&first).unwrap();
    let prune =
        |words: &[&str]| house.run(&[&["wal", "prune", "--before", &begin], words].concat());
    prune(&["--yes"]).check(0, &["3 archived segments"]);
    assert!(!first.exists());
    // As if it had died before that.
    std::fs::write(&first, &bytes).unwrap();
    prune(&[]).check(0, &["nothing to delete"]);
    assert!(first.exists(), "nobody said --yes");
    let size = format!("{} byte", grouped(bytes.len()));
    prune(&["--yes"]).check(0, &["deleted 1 segment of", &size, "interrupted pruning"]);
    assert!(!first.exists());
    prune(&["--yes"]).check(0, &["nothing to delete"]);
}

/// As the tool writes numbers.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn pruned_log_knows_no_state_before_its_oldest_snapshot_and_says_from_where_on_it_does() {
    let house = House::new();
    let begin = segments(&house)[3].1;
    let yes = ["wal", "prune", "--before", &begin.to_string(), "--yes"];
    house.run(&yes).check(0, &["deleted"]);
    let snapshots = house.snapshots();
    let newest: u64 =
        snapshots[1].file_stem().unwrap().to_str().unwrap()["snapshot-".len()..].parse().unwrap();
    std::fs::remove_file(&snapshots[0]).unwrap();
    let before = (newest - 1).to_string();
    let oldest = format!("states are known from record {newest} on");
    house.run(&["state", "--as-of", &before]).check(2, &["was pruned", &oldest, "backup"]);
    house.run(&["state", "--as-of", &newest.to_string()]).check(0, &[]);
}
