//! The real binary: starting, refusing to start, stopping, dying.
#![expect(clippy::disallowed_methods, reason = "damages real files and waits for real processes")]

#[path = "support/server.rs"]
mod server;

use std::path::{Path, PathBuf};

use serde_json::json;
use server::{Server, run};

/// A data directory in a directory that goes when the test ends.
fn data_dir() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a directory");
    let data_dir = place.path().join("data");
    (place, data_dir)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

fn segments(data_dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data_dir.join("journal")).expect("a journal");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut segments: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|wal| wal == "wal")).collect();
    segments.sort();
    segments
}

/// Sells three of four units and kills the server; gives the order ids.
fn sell_three_and_kill(data_dir: &Path) -> Vec<String> {
    let server = Server::start(data_dir, &[]);
    server.create("hat", 4);
    let orders = (0..3).map(|n| {
        let answer = server.buy("hat", &format!("buy-{n}"));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.order_id()
    });
    let orders = orders.collect();
    server.kill();
    orders
}

/// A start that fails: its exit code and what it said.
fn refused(data_dir: &Path, more: &[&str]) -> (i32, String) {
    let arguments = ["serve", "--data-dir", text(data_dir)];
    let output = run(&[&arguments, more].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("an exit code"), said)
}

#[test]
fn every_answered_sale_is_there_after_a_kill_and_a_retry_finds_it() {
    let (_place, data_dir) = data_dir();
    let orders = sell_three_and_kill(&data_dir);
    let server = Server::start(&data_dir, &[]);
    for (n, order_id) in orders.iter().enumerate() {
        let read = server.get(&format!("/v1/orders/{order_id}")).expect("an answer");
        assert_eq!((read.status, read.order_id()), (200, order_id.clone()));
        let again = server.buy("hat", &format!("buy-{n}"));
        assert_eq!((again.status, again.order_id()), (201, order_id.clone()));
        assert!(again.head.to_lowercase().contains("idempotent-replayed: true"), "{}", again.head);
    }
    assert_eq!(server.buy("hat", "last").status, 201);
    let refused = server.buy("hat", "one-too-many");
    assert_eq!((refused.status, refused.body["available"].as_u64()), (409, Some(0)));
    let stock = server.get("/v1/products/hat/stock").expect("an answer");
    assert_eq!(stock.body["sold"], json!(4));
}

#[test]
fn a_second_process_on_a_directory_is_refused_and_harms_nothing() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 1);
    let (code, said) = refused(&data_dir, &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("another process holds"), "{said}");
    assert_eq!(server.buy("hat", "buy").status, 201);
}

#[test]
fn a_journal_that_is_removed_ends_the_sale() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 10);
    std::fs::remove_dir_all(data_dir.join("journal")).expect("removed");
    let (status, said) = server.wait();
    assert_eq!(status.code(), Some(5), "{said}");
    assert!(said.contains("was removed or replaced while it was in use"), "{said}");
}

#[test]
fn a_database_file_that_is_removed_is_made_again() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 10);
    let file = data_dir.join("doorbuster.sqlite");
    let orders = |of: &Path| {
        let database = rusqlite::Connection::open(of)?;
        database.query_row("SELECT count(*) FROM orders", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(server.buy("hat", "first").status, 201);
    let until = std::time::Instant::now() + server::LIMIT;
    while orders(&file) != Ok(1) {
        assert!(std::time::Instant::now() < until, "{}", server.words());
    }
    for name in ["doorbuster.sqlite", "doorbuster.sqlite-wal", "doorbuster.sqlite-shm"] {
        std::fs::remove_file(data_dir.join(name)).expect("removed");
    }
    assert_eq!(server.buy("hat", "second").status, 201);
    assert_eq!(server.terminate().0.code(), Some(0));
    assert_eq!(orders(&file), Ok(2), "both, in a file that was begun anew");
}

#[test]
fn sigterm_drains_into_the_database_and_ends_well() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 100);
    for n in 0..100 {
        assert_eq!(server.buy("hat", &format!("buy-{n}")).status, 201);
    }
    let (status, said) = server.terminate();
    assert_eq!(status.code(), Some(0), "{said}");
    let database =
        rusqlite::Connection::open(data_dir.join("doorbuster.sqlite")).expect("a database");
    let count =
        |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count");
    assert_eq!(count("SELECT count(*) FROM orders"), 100);
    assert_eq!(count("SELECT sum(quantity) FROM order_lines"), 100);
}

#[test]
fn a_flipped_bit_before_the_watermark_is_refused_with_its_place() {
    let (_place, data_dir) = data_dir();
    sell_three_and_kill(&data_dir);
    // A second start proves what the first one wrote.
    Server::start(&data_dir, &[]).kill();
    let [first, ..] = &*segments(&data_dir) else { panic!("no segment") };
    let mut bytes = std::fs::read(first).expect("a segment");
    bytes[4096 + 40] ^= 1;
    std::fs::write(first, &bytes).expect("written");
    let (code, said) = refused(&data_dir, &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 3, "{said}");
    for part in
        ["segment-0000000001.wal", "offset 4096", "sequence 1", "doorbuster wal verify --data-dir"]
    {
        assert!(said.contains(part), "{part:?} expected: {said}");
    }
    assert_eq!(std::fs::read(first).expect("a segment"), bytes, "nothing was changed");
    let verified = run(&["wal", "verify", "--data-dir", text(&data_dir)]);
    assert_eq!(verified.status.code(), Some(3));
}

#[test]
fn a_format_from_the_future_is_refused_naming_both() {
    let (_place, data_dir) = data_dir();
    sell_three_and_kill(&data_dir);
    let [first, ..] = &*segments(&data_dir) else { panic!("no segment") };
    let mut bytes = std::fs::read(first).expect("a segment");
    bytes[8] = 2;
    let crc = {
        bytes[12..16].fill(0);
        crc32c::crc32c(&bytes[..4096]).to_le_bytes()
    };
    bytes[12..16].copy_from_slice(&crc);
    std::fs::write(first, &bytes).expect("written");
    let (code, said) = refused(&data_dir, &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("format 2") && said.contains("up to 1"), "{said}");
}

#[test]
fn a_torn_last_batch_is_cut_said_and_kept() {
    let (_place, data_dir) = data_dir();
    let orders = sell_three_and_kill(&data_dir);
    let [.., last] = &*segments(&data_dir) else { panic!("no segment") };
    let mut bytes = std::fs::read(last).expect("a segment");
    let inspected = run(&["wal", "inspect", "--json", "--data-dir", text(&data_dir)]);
    let report: serde_json::Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
    let ends = report["segments"].as_array().expect("segments").last().expect("one");
    let torn = usize::try_from(ends["used_bytes"].as_u64().expect("a number")).expect("fits");
    // The head of a frame that was being written when the power went.
    bytes[torn..torn + 4].copy_from_slice(&90u32.to_le_bytes());
    bytes[torn + 8..torn + 20].fill(0xAB);
    std::fs::write(last, &bytes).expect("written");
    let server = Server::start(&data_dir, &[]);
    // It may be ready a moment before it has said what it cut.
    let until = std::time::Instant::now() + server::LIMIT;
    while !server.words().contains("cut a torn batch") {
        assert!(std::time::Instant::now() < until, "{}", server.words());
    }
    for order_id in &orders {
        assert_eq!(server.get(&format!("/v1/orders/{order_id}")).expect("an answer").status, 200);
    }
    let kept = std::fs::read_dir(data_dir.join("journal")).expect("a journal");
    let kept = kept.filter(|entry| {
        entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with("torn-")
    });
    assert_eq!(kept.count(), 1);
}

#[test]
fn listening_to_the_network_without_keys_is_refused_with_the_way_out() {
    let (_place, data_dir) = data_dir();
    let (code, said) = refused(&data_dir, &["--listen", "0.0.0.0:0"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("keys new") && said.contains("--keys-file"), "{said}");
    assert!(!data_dir.exists(), "nothing was begun");
}

#[test]
fn keys_are_read_again_on_sighup_and_a_bad_file_changes_nothing() {
    let (place, data_dir) = data_dir();
    let keys_file = place.path().join("keys");
    let new = |name: &str| {
        let made = run(&["keys", "new", name, "--scopes", "read", "--keys-file", text(&keys_file)]);
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).expect("a key").trim().to_owned()
    };
    let first = new("first");
    let server = Server::start(&data_dir, &["--keys-file", text(&keys_file)]);
    let status = |token: &str| {
        let header = format!("authorization: Bearer {token}\r\n");
        server::call(server.address, "GET", "/v1/products", &header, "").expect("an answer").status
    };
    let second = new("second");
    assert_eq!((status(&first), status(&second), status("")), (200, 401, 401));
    let until = std::time::Instant::now() + server::LIMIT;
    server.signal(rustix::process::Signal::HUP);
    while status(&second) != 200 {
        assert!(std::time::Instant::now() < until, "{}", server.words());
    }
    std::fs::write(&keys_file, "no key at all").expect("written");
    server.signal(rustix::process::Signal::HUP);
    while !server.words().contains("stay as they were") {
        assert!(std::time::Instant::now() < until, "{}", server.words());
    }
    assert_eq!((status(&first), status(&second)), (200, 200));
    assert!(!server.words().contains(&first), "a key is never logged");
}

#[test]
fn the_operators_word_on_the_clock_is_two_times() {
    let (_place, data_dir) = data_dir();
    let (code, said) = refused(&data_dir, &["--accept-clock", "yesterday"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("two times in milliseconds"), "{said}");
}

#[test]
fn the_log_is_read_beside_a_running_server() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 2);
    let bought = server.buy("hat", "buy");
    // The last sale is proven by the watermark that is written when nothing follows it.
    let until = std::time::Instant::now() + server::LIMIT;
    loop {
        let verified = run(&["wal", "verify", "--json", "--data-dir", text(&data_dir)]);
        assert!(verified.status.success(), "{verified:?}");
        let report: serde_json::Value = serde_json::from_slice(&verified.stdout).expect("JSON");
        if report["state"]["sold"] == json!(1) {
            break;
        }
        assert!(std::time::Instant::now() < until, "{report}");
    }
    let dumped = run(&["wal", "dump", "--data-dir", text(&data_dir)]);
    let lines = String::from_utf8(dumped.stdout).expect("text");
    let records: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = records.iter().filter_map(|record| record["kind"].as_str()).collect();
    let kinds: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "watermark").collect();
    assert_eq!(kinds, ["started", "product_created", "order_placed"]);
    let placed = records.iter().find(|record| record["kind"] == "order_placed").expect("the order");
    assert_eq!(placed["lines"][0]["product_id"], json!("hat"));
    assert_eq!(bought.status, 201);
}

#[test]
fn health_tells_by_its_exit_code() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    let url = format!("http://{}", server.address);
    assert_eq!(run(&["health", "--url", &url]).status.code(), Some(0));
    server.kill();
    let output = run(&["health", "--url", &url]);
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not answer"), "{output:?}");
}

#[test]
fn a_shops_log_is_not_played_in() {
    let (_place, data_dir) = data_dir();
    sell_three_and_kill(&data_dir);
    let before = run(&["wal", "verify", "--json", "--data-dir", text(&data_dir)]).stdout;
    let played = run(&["demo", "--units", "5", "--buyers", "5", "--data-dir", text(&data_dir)]);
    let said = String::from_utf8_lossy(&played.stderr).into_owned();
    assert_eq!(played.status.code(), Some(2), "{said}");
    assert!(said.contains("name a new directory"), "{said}");
    assert_eq!(run(&["wal", "verify", "--json", "--data-dir", text(&data_dir)]).stdout, before);
}

#[test]
fn selling_is_paused_and_resumed_from_the_command_line() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    let url = format!("http://{}", server.address);
    let asked = |words: &[&str]| {
        let output = run(&[words, &["--url", &url]].concat());
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    server.create("hat", 9);
    for (place, what) in [["product", "hat"].as_slice(), &["all"]].into_iter().enumerate() {
        let (exit, said) = asked(&[&["pause"], what].concat());
        assert!(exit == Some(0) && said.contains("nothing is sold after position p"), "{said}");
        assert_eq!(server.buy("hat", &format!("paused-{place}")).status, 409);
        let (exit, said) = asked(&[&["resume"], what].concat());
        assert!(exit == Some(0) && said.contains("is resumed at position p"), "{said}");
        assert_eq!(server.buy("hat", &format!("resumed-{place}")).status, 201);
    }
    let (exit, said) = asked(&["pause", "sale", "nowhere"]);
    assert!(exit == Some(1) && said.contains("unknown-product"), "{said}");
    for wrong in
        [["pause", "product"].as_slice(), &["pause", "all", "hat"], &["pause", "product", "a/b"]]
    {
        assert_eq!(asked(wrong).0, Some(2), "{wrong:?}");
    }
    let (exit, said) = asked(&["pause", "all", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(exit == Some(0) && answer["paused"] == json!(true), "{said}");
    server.kill();
    let again = Server::start(&data_dir, &[]);
    assert_eq!(again.buy("hat", "after").status, 409, "a pause outlives the process");
    let (exit, said) = asked(&["resume", "all"]);
    assert!(exit == Some(5) && said.contains("does not answer"), "{said}");
}

#[test]
fn key_of_a_hold_is_answered_whatever_the_longest_hold_is_now() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 9);
    let lines = json!([{"product_id": "hat", "quantity": 1}]);
    let hold = json!({"buyer_id": "ann", "ttl_ms": 3_600_000, "lines": lines});
    let placed = server.post("/v1/holds", "k", &hold);
    let extend = format!("/v1/holds/{}/extend", placed.body["hold_id"].as_str().expect("an id"));
    let longer = server.post(&extend, "e", &json!({"ttl_ms": 3_700_000}));
    assert_eq!((placed.status, longer.status), (201, 200));
    server.kill();
    let again = Server::start(&data_dir, &["--hold-ttl-max-ms", "1000"]);
    assert_eq!(again.post("/v1/holds", "k", &hold).body, placed.body);
    assert_eq!(again.post(&extend, "e", &json!({"ttl_ms": 3_700_000})).body, longer.body);
    let refused = again.post("/v1/holds", "another", &hold);
    assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!("/ttl_ms")));
}

#[test]
fn file_of_many_keys_is_no_key() {
    let (place, _) = data_dir();
    let keys = place.path().join("keys");
    std::fs::write(&keys, "web sell 00\nadmin manage 11\n").expect("a file");
    let output = run(&["pause", "all", "--api-key-file", text(&keys)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("holds no API key"), "{said}");
}

/// Copies a directory of files and directories.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let new = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy_dir(&path, &new),
            false => drop(std::fs::copy(&path, &new).expect("a copy")),
        }
    }
}

#[test]
fn journal_that_two_data_directories_lead_to_is_one_servers() {
    let place = tempfile::tempdir().expect("a directory");
    let journal = place.path().join("journal");
    std::fs::create_dir(&journal).expect("a directory");
    let [one, other] = ["one", "other"].map(|name| place.path().join(name));
    for data_dir in [&one, &other] {
        std::fs::create_dir(data_dir).expect("a directory");
        std::os::unix::fs::symlink(&journal, data_dir.join("journal")).expect("a link");
    }
    let server = Server::start(&one, &[]);
    server.create("hat", 1);
    let (code, said) = refused(&other, &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("another process holds"), "{said}");
    assert_eq!(server.buy("hat", "first").status, 201);
}

#[test]
fn log_that_is_gone_is_no_new_shop() {
    let (_place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 4);
    assert_eq!(server.buy("hat", "first").status, 201);
    assert_eq!(server.terminate().0.code(), Some(0));
    let (journal, kept) = (data_dir.join("journal"), data_dir.join("kept"));
    std::fs::rename(&journal, &kept).expect("a move");
    // As a disk that was not mounted.
    for empty in [false, true] {
        if empty {
            std::fs::create_dir_all(&journal).expect("a directory");
        }
        let (code, said) = refused(&data_dir, &["--listen", "127.0.0.1:0"]);
        assert_eq!(code, 3, "{said}");
        for words in ["doorbuster.sqlite has seen record", "there is no log", "mounted?"] {
            assert!(said.contains(words), "{words} is missing: {said}");
        }
        std::fs::remove_dir(&journal).expect("nothing was put into it");
    }
    std::fs::rename(&kept, &journal).expect("a move");
    let server = Server::start(&data_dir, &[]);
    assert_eq!(server.buy("hat", "second").status, 201);
}

#[test]
fn older_copy_put_back_is_refused_and_comes_back_through_restore() {
    let (place, data_dir) = data_dir();
    let server = Server::start(&data_dir, &[]);
    server.create("hat", 40);
    assert_eq!(server.terminate().0.code(), Some(0));
    let older = place.path().join("older");
    copy_dir(&data_dir.join("journal"), &older);
    let server = Server::start(&data_dir, &[]);
    let sold = server.buy("hat", "first").order_id();
    assert_eq!(server.terminate().0.code(), Some(0));
    std::fs::remove_dir_all(data_dir.join("journal")).expect("removed");
    copy_dir(&older, &data_dir.join("journal"));
    let (code, said) = refused(&data_dir, &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("has seen record") && said.contains("doorbuster restore"), "{said}");

    let lost = place.path().join("data.lost");
    std::fs::rename(&data_dir, &lost).expect("a move");
    let restored = run(&["restore", "--from", text(&lost), "--data-dir", text(&data_dir)]);
    assert!(restored.status.success(), "{restored:?}");
    let server = Server::start(&data_dir, &[]);
    let order_id = server.buy("hat", "another").order_id();
    assert_ne!(order_id, sold, "an id that was given out is not given again");
}
