//! Damaged logs: all of the damage is named, with the next command, and nothing is changed.

use std::path::PathBuf;

use serde_json::Value;

use crate::house::{House, flip};

fn segment(house: &House, number: u64) -> PathBuf {
    let name = format!("segment-{number:010}.wal");
    let archived = house.journal().join("archive").join(format!("{name}.zst"));
    if archived.exists() { archived } else { house.journal().join(name) }
}

/// Segments that `wal verify` says are damaged.
fn damaged(house: &House) -> Vec<u64> {
    let said = house.run(&["wal", "verify", "--json"]);
    assert_eq!(said.exit, 3, "{said:?}");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let places = report["damage"].as_array().unwrap();
    places.iter().map(|place| place["segment"].as_u64().unwrap()).collect()
}

#[test]
fn all_damaged_segments_are_named_with_the_next_command() {
    let house = House::new();
    let whole = house.files();
    flip(&segment(&house, 2), 600);
    flip(&segment(&house, 4), 20);
    flip(&segment(&house, 5), 4096 + 40);
    let found = house.files();
    assert_eq!(damaged(&house), [2, 4, 5]);
    let data = format!("'{}'", house.data_dir().display());
    let verified = house.run(&["wal", "verify"]);
    verified.check(
        3,
        &[
            "archive/segment-0000000002.wal.zst at offset 4096, sequence 33: it does not unpack",
            "segment-0000000005.wal at offset 4128, sequence",
            "3 of 5 segments are damaged",
            &format!("doorbuster restore --from BACKUP --data-dir {data}"),
        ],
    );
    // Headers are read first: the one that is damaged ends every other tool.
    let next = format!("`doorbuster wal verify --data-dir {data}`");
    for words in [
        ["wal", "inspect"].as_slice(),
        &["wal", "dump"],
        &["state", "--as-of", "now"],
        &["wal", "prune", "--before", "now", "--yes"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["reconcile"],
        &["proof", "--product", "hat"],
        &["orders", "beyond", "hat", "--true-stock", "1"],
    ] {
        house.run(words).check(3, &["the log is damaged", &next]);
    }
    let now: Vec<_> = house.files();
    assert_eq!(now, found, "nothing is changed");

    for (path, bytes) in whole {
        std::fs::write(path, bytes).unwrap();
    }
    house.run(&["wal", "verify"]).check(0, &["sound: "]);
    std::fs::remove_file(segment(&house, 3)).unwrap();
    assert_eq!(damaged(&house), [3], "one that is missing");
    let missing =
        "archive/segment-0000000003.wal.zst at offset 0: it is missing, the next one is archive/";
    house.run(&["wal", "verify"]).check(3, &[missing]);
}

#[test]
fn damage_in_the_archive_is_met_where_it_is_read_and_what_lies_before_is_printed() {
    let house = House::new();
    let lines = house.lines(&[]);
    let first = house.json(&["wal", "inspect"])["segments"][2]["first_sequence"].as_u64().unwrap();
    // Behind the packed header: in a frame of records.
    let file = segment(&house, 3);
    let middle = std::fs::metadata(&file).unwrap().len() / 2;
    flip(&file, usize::try_from(middle).unwrap());
    assert_eq!(damaged(&house), [3]);
    let before = house.lines(&["--to", &(first - 1).to_string()]);
    assert_eq!(before.len() as u64, first - 1);
    assert_eq!(before, lines[..before.len()]);
    house.run(&["wal", "dump"]).check(3, &["archive/segment-0000000003.wal.zst", "wal verify"]);
    // Snapshots after it make it needless for a start, and for what came later.
    house.run(&["state", "--as-of", "now"]).check(0, &["made of snapshots/"]);
    house.run(&["state", "--as-of", &first.to_string()]).check(3, &["wal verify"]);
}

#[test]
fn segments_that_are_swapped_are_two_damages() {
    let house = House::new();
    let (one, two) = (segment(&house, 1), segment(&house, 2));
    let aside = house.beside("aside");
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        std::fs::rename(from, to).unwrap();
    }
    assert_eq!(damaged(&house), [1, 2]);
    house.run(&["wal", "verify"]).check(3, &["2 of 5 segments are damaged"]);
}

/// A size that no address space has: every thread of the usual stack is refused.
const NO_THREADS: (&str, &str) = ("RUST_MIN_STACK", "281474976710656000");

#[test]
fn system_that_gives_no_thread_gets_the_same_answers() {
    let house = House::new();
    let check = |words: &[&str]| {
        let said = house.run(words);
        let alone = house.run_with(NO_THREADS, words);
        assert_eq!((said.exit, &said.out), (alone.exit, &alone.out), "{words:?}: {alone:?}");
        said.exit
    };
    for words in [["wal", "verify"].as_slice(), &["wal", "dump"], &["state", "--as-of", "now"]] {
        assert_eq!(check(words), 0, "{words:?}");
    }
    flip(&segment(&house, 2), 600);
    assert_eq!(check(&["wal", "verify"]), 3);
}

#[test]
fn damaged_snapshot_is_told_and_is_no_damage_of_the_log() {
    let house = House::new();
    let [older, newer] = &*house.snapshots() else { panic!("two snapshots") };
    let bytes = std::fs::read(newer).unwrap();
    flip(newer, bytes.len() / 2);
    let data = format!("'{}", house.data_dir().display());
    house.run(&["wal", "verify"]).check(1, &["damaged, a start passes it over", "rm ", &data]);
    house.run(&["wal", "inspect"]).check(0, &["damaged, a start passes it over"]);
    house
        .run(&["state", "--as-of", "now"])
        .check(0, &[older.file_name().unwrap().to_str().unwrap()]);
}

#[test]
fn settings_file_that_is_missing_is_a_mistake_of_usage() {
    let house = House::new();
    house.run(&["serve", "--config", "/nowhere/settings.toml"]).check(2, &["settings file"]);
}
