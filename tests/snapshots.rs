//! Snapshots and the archive of the real binary: a start reads only what came later, and says the
//! same whatever becomes of the snapshots.
#![expect(clippy::disallowed_methods, reason = "damages real files and waits for real processes")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/server.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use server::{LIMIT, Server, run};

/// A snapshot after each segment that is closed: each start closes one.
const OFTEN: [&str; 2] = ["--snapshot-segments", "1"];

/// Names of a directory of the journal, in order; none where it is missing.
fn names(data_dir: &Path, dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(data_dir.join("journal").join(dir));
    let names = entries.into_iter().flatten().map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("letters")).collect();
    names.sort();
    names
}

fn snapshots(data_dir: &Path) -> Vec<PathBuf> {
    let names = names(data_dir, "snapshots");
    let whole = names.iter().filter(|name| name.ends_with(".bin"));
    whole.map(|name| data_dir.join("journal/snapshots").join(name)).collect()
}

/// Segments in the archive; not what a kill left half packed.
fn archived(data_dir: &Path) -> Vec<String> {
    let names = names(data_dir, "archive").into_iter();
    names.filter(|name| name.ends_with(".zst")).collect()
}

/// Looks until it is so.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "it takes too long: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sells in several lives of the server, until two snapshots and an archived segment are there;
/// gives every order with its key.
fn sell_in_several_lives(data_dir: &Path) -> Vec<(String, String)> {
    let mut orders = Vec::new();
    for life in 0..4 {
        let server = Server::start(data_dir, &OFTEN);
        if life == 0 {
            server.create("hat", 1_000);
            server.create("cap", 1_000);
        }
        for number in 0..5 {
            let key = format!("buy-{life}-{number}");
            let answer = server.buy(if number % 2 == 0 { "hat" } else { "cap" }, &key);
            assert_eq!(answer.status, 201, "{answer:?}");
            orders.push((key, answer.order_id()));
        }
        let hold = json!({"buyer_id": "anna", "ttl_ms": 3_600_000,
            "lines": [{"product_id": "hat", "quantity": 2}]});
        assert_eq!(server.post("/v1/holds", &format!("hold-{life}"), &hold).status, 201);
        wait_until("a snapshot", || snapshots(data_dir).len() >= (life as usize).min(2));
        wait_until("the archive", || archived(data_dir).len() >= life as usize);
        server.kill();
    }
    orders
}

/// What the server says of the products.
fn stocks(server: &Server) -> Vec<Value> {
    let stock = |id: &str| server.get(&format!("/v1/products/{id}/stock")).expect("an answer").body;
    vec![stock("hat"), stock("cap")]
}

fn check_orders(server: &Server, orders: &[(String, String)]) {
    for (number, (key, order_id)) in orders.iter().enumerate() {
        let product = if number % 5 % 2 == 0 { "hat" } else { "cap" };
        let again = server.buy(product, key);
        assert_eq!((again.status, again.order_id()), (201, order_id.clone()), "{key} again");
        let read = server.get(&format!("/v1/orders/{order_id}")).expect("an answer");
        assert_eq!(read.status, 200, "{key} from the archive or not");
    }
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("it is written");
}

#[test]
fn start_goes_on_from_a_snapshot_and_damaged_ones_are_passed_over_loudly() {
    let place = tempfile::tempdir().expect("a directory");
    let data_dir = place.path().join("data");
    let orders = sell_in_several_lives(&data_dir);
    assert_eq!(snapshots(&data_dir).len(), 2, "two are kept");
    let mut said = Vec::new();
    let mut shown = Vec::new();
    // The newest, then the other, then none is sound.
    for damaged in 0..3 {
        let kept = snapshots(&data_dir);
        for file in kept.iter().rev().take(damaged) {
            flip(file);
        }
        // No new ones meanwhile: many segments would have to be closed.
        let server = Server::start(&data_dir, &["--snapshot-segments", "1000"]);
        shown.push(stocks(&server));
        check_orders(&server, &orders);
        said.push(server.words());
        server.kill();
        for file in kept.iter().rev().take(damaged) {
            flip(file);
        }
    }
    assert!(shown.iter().all(|stocks| *stocks == shown[0]), "{shown:?}");
    let [newest, older, none] = said.as_slice() else { panic!("three starts") };
    assert!(!newest.contains("cannot be used"), "{newest}");
    assert!(newest.contains("snapshots/snapshot-"), "{newest}");
    for (words, count) in [(older, 1), (none, 2)] {
        let warned = words.matches("a snapshot cannot be used").count();
        assert_eq!(warned, count, "{words}");
        assert!(words.contains("checksum does not match"), "{words}");
    }
    assert!(none.contains("snapshot=\"none\""), "{none}");
}

#[test]
fn log_that_lacks_what_a_snapshot_has_seen_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let data_dir = place.path().join("data");
    sell_in_several_lives(&data_dir);
    // A log that ends earlier, sound by itself: its last segments were taken away, and the one
    // before them has its full size again.
    let journal = data_dir.join("journal");
    let archived = archived(&data_dir);
    let first = journal.join("archive").join(&archived[0]);
    let segments: Vec<String> =
        names(&data_dir, "").into_iter().filter(|name| name.ends_with(".wal")).collect();
    for name in &segments {
        std::fs::remove_file(journal.join(name)).expect("it was there");
    }
    for name in &archived[1..] {
        std::fs::remove_file(journal.join("archive").join(name)).expect("it was there");
    }
    let packed = std::fs::read(&first).expect("a file");
    let mut plain = unpacked(&packed);
    plain.resize(1 << 20, 0);
    std::fs::write(journal.join("segment-0000000001.wal"), plain).expect("it is written");
    std::fs::remove_file(first).expect("it was there");

    let data = data_dir.to_str().expect("letters");
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("does not fit the log"), "{said}");
    assert!(said.contains(&format!("wal verify --data-dir {data}")), "{said}");
}

/// What a zstd file holds.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = zeekstd::Decoder::new(zeekstd::BytesWrapper::new(packed)).expect("zstd");
    let mut buffer = vec![0; 1 << 16];
    loop {
        match decoder.decompress(&mut buffer).expect("zstd") {
            0 => return plain,
            read => plain.extend_from_slice(&buffer[..read]),
        }
    }
}
