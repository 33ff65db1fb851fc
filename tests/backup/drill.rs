//! The drill: sell while a follower ships, lose the directory, restore, sell on, with the old database.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::house::{
    Follower, House, backup, dumped, dumped_lines, fill, json_of, last_sequence, number, restore,
    text, verified, wait_until,
};
use crate::postgres_server;
use crate::server::{Answer, Server, call};

/// Order ids by their keys, as they were answered.
type Orders = Vec<(String, String)>;

fn sell(server: &Server, count: usize, round: &str) -> Orders {
    let buy = |n| {
        let key = format!("{round}-{n}");
        let answer = server.buy("hat", &key);
        assert_eq!(answer.status, 201, "{answer:?}");
        (key, answer.order_id())
    };
    (0..count).map(buy).collect()
}

fn sequence_of(data_dir: &Path, order_id: &str) -> u64 {
    let mut sequence = None;
    // A dump stops where the log proves itself, a moment behind the last answer.
    wait_until("the log proves the order", || {
        let records = dumped(data_dir);
        let found = records.iter().find(|record| record["order_id"].as_str() == Some(order_id));
        sequence = found.map(|record| number(record, "sequence"));
        sequence.is_some()
    });
    sequence.expect("it was found")
}

/// The server's own word on its database; `None`: all is well.
fn problem(server: &Server) -> Option<String> {
    let answer = server.get("/readyz").expect("an answer");
    let degraded = answer.body["degraded"].as_array().cloned().unwrap_or_default();
    let database = degraded.iter().find(|item| item["name"] == "database")?;
    Some(database["detail"].as_str().unwrap_or_default().to_owned())
}

fn wait_for_database(server: &Server) {
    wait_until("the database has every record", || {
        metric(server, "doorbuster_projection_lag_records") == Some(0.0)
            && problem(server).is_none()
    });
}

fn metric(server: &Server, name: &str) -> Option<f64> {
    crate::house::metric(server.address, name)
}

fn replayed(answer: &Answer) -> bool {
    answer.head.to_ascii_lowercase().contains("idempotent-replayed: true")
}

/// Keeps the SQLite file, as one that lies on another disk, and puts it beside a new log.
fn move_sqlite(from: &Path, to: &Path) {
    for name in ["doorbuster.sqlite", "doorbuster.sqlite-wal", "doorbuster.sqlite-shm"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Everything that was shipped is there, a retry finds it, and what was not is as if never sold.
fn check_restored(server: &Server, orders: &Orders, shipped: usize) {
    for (n, (key, order_id)) in orders.iter().enumerate() {
        let read = server.get(&format!("/v1/orders/{order_id}")).unwrap();
        if n < shipped {
            assert_eq!(read.status, 200, "{key}: {read:?}");
            let again = server.buy("hat", key);
            assert!(again.order_id() == *order_id && replayed(&again), "{key}: {again:?}");
        } else {
            assert_eq!(read.status, 404, "{key}: {read:?}");
        }
    }
}

struct Drill {
    house: House,
    orders: Orders,
    /// How many of them the backup has.
    shipped: usize,
}

/// Sells, ships, loses the directory with the server. `more` are the server's arguments.
fn lose(more: &[&str], keep: impl FnOnce(&House)) -> Drill {
    let house = House::new();
    let (data, to) = (house.data(), house.backup());
    let server = Server::start(&data, more);
    server.create("hat", 1_000);
    let follower = Follower::start(&data, &to, &[]);
    let mut orders = sell(&server, 25, "shipped");
    let last = sequence_of(&data, &orders[24].1);
    wait_until("the sales are shipped", || last_sequence(&to).is_some_and(|upto| upto >= last));
    follower.kill();
    orders.extend(sell(&server, 10, "lost"));
    let first_lost = sequence_of(&data, &orders[25].1);
    wait_for_database(&server);
    server.kill();
    keep(&house);
    fs::remove_dir_all(&data).unwrap();
    let upto = last_sequence(&to).unwrap();
    assert!(
        (last..first_lost).contains(&upto),
        "{upto} is shipped: none after the follower's death"
    );
    Drill { house, orders, shipped: 25 }
}

/// Restores, serves with the old database, which is ahead, and sells past where it is.
fn recover(drill: &Drill, more: &[&str], bring_back: impl FnOnce(&Path)) -> Server {
    let Drill { house, orders, shipped } = drill;
    let new = house.path("new");
    let report = restore(&house.backup(), &new, &[]);
    assert_eq!(number(&report, "left_out_records"), 0);
    assert_eq!(number(&report, "sold"), *shipped as u64);
    bring_back(&new);
    let server = Server::start(&new, more);
    wait_until("the database is found to be ahead", || problem(&server).is_some());
    let said = problem(&server).unwrap();
    assert!(said.contains("it is an older copy of the log"), "{said}");
    assert!(said.contains("`doorbuster project --rebuild` fills one"), "{said}");
    check_restored(&server, orders, *shipped);
    // A lost order's key is free: the retry buys anew, under an id that was never given out.
    let (key, lost) = orders.last().unwrap();
    let anew = server.buy("hat", key);
    assert!(anew.status == 201 && !replayed(&anew), "{anew:?}");
    assert!(orders.iter().all(|(_, id)| *id != anew.order_id()), "{lost} was given out twice");
    let later = sell(&server, 30, "later");
    for (_, order_id) in orders.iter().take(*shipped).chain(&later) {
        assert_eq!(server.get(&format!("/v1/orders/{order_id}")).unwrap().status, 200);
    }
    server
}

/// Past the record at which the database stands, the log has another one there.
fn check_still_refused(server: Server, new: &Path, more: &[&str]) {
    server.kill();
    let server = Server::start(new, more);
    wait_until("the database is found to be another's", || problem(&server).is_some());
    let said = problem(&server).unwrap();
    assert!(said.contains("ends with another record") && said.contains("was restored"), "{said}");
}

#[test]
fn directory_is_lost_and_what_was_shipped_sells_on_beside_an_old_sqlite() {
    let drill = lose(&[], |house| {
        let kept = house.path("kept");
        fs::create_dir(&kept).unwrap();
        move_sqlite(&house.data(), &kept);
    });
    let kept = drill.house.path("kept");
    let server = recover(&drill, &[], |new| move_sqlite(&kept, new));
    let new = drill.house.path("new");
    check_still_refused(server, &new, &[]);
    // A new database is filled from the log, and sells on.
    for name in files_of_sqlite(&new) {
        fs::remove_file(new.join(name)).unwrap();
    }
    let server = Server::start(&new, &[]);
    wait_for_database(&server);
}

fn files_of_sqlite(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    names.filter(|name| name.starts_with("doorbuster.sqlite")).collect()
}

#[test]
fn directory_is_lost_and_what_was_shipped_sells_on_beside_an_old_postgres() {
    let Some(postgres) = postgres_server::start() else { return };
    let url = postgres.url("drill");
    let more = ["--database-url", &*url];
    let drill = lose(&more, |_| ());
    let server = recover(&drill, &more, |_| ());
    check_still_refused(server, &drill.house.path("new"), &more);
    let more = ["--database-url", &*url, "--database-schema", "restored"];
    let server = Server::start(&drill.house.path("new"), &more);
    wait_for_database(&server);
    let orders = postgres.rows("SELECT count(*) FROM restored.orders");
    assert_eq!(orders, [(drill.shipped + 1 + 30).to_string()]);
}

#[test]
fn log_is_put_back_to_before_a_mistake_and_a_database_that_is_not_ahead_goes_on() {
    let house = House::new();
    let (data, to, new) = (house.data(), house.backup(), house.path("new"));
    let server = Server::start(&data, &[]);
    server.create("hat", 1_000);
    let before = sell(&server, 5, "before");
    wait_for_database(&server);
    let kept = house.path("kept");
    fs::create_dir(&kept).unwrap();
    server.kill();
    move_sqlite(&data, &kept);
    let server = Server::start(&data, &[]);
    let good = sell(&server, 5, "good");
    // Times are told in milliseconds: the mistake must not share one with the sale before it.
    let at = server.get(&format!("/v1/orders/{}", good[4].1)).unwrap().body["placed_at"].clone();
    let at = at.as_str().unwrap().to_owned();
    wait_until("a millisecond goes by", || {
        let later = sell(&server, 1, "probe").remove(0).1;
        let order = server.get(&format!("/v1/orders/{later}")).unwrap();
        order.body["placed_at"].as_str().unwrap() > &*at
    });
    let mistake = sell(&server, 10, "mistake");
    drop(server.terminate());
    backup(&data, &to);
    let report = restore(&to, &new, &["--until", &at]);
    assert_eq!(report["last_at"].as_str(), Some(&*at), "{report}");
    assert!(number(&report, "left_out_records") >= 10, "{report}");
    let cut = sequence_of(&data, &good[4].1);
    assert!(number(&report, "last_sequence") >= cut, "{report}");
    let by_sequence = house.path("by-sequence");
    let report = restore(&to, &by_sequence, &["--until", &cut.to_string()]);
    assert_eq!(number(&report, "last_sequence"), cut);
    assert_eq!(number(&verified(&by_sequence)["state"], "sold"), 10);

    move_sqlite(&kept, &by_sequence);
    let server = Server::start(&by_sequence, &[]);
    wait_for_database(&server);
    for (_, order_id) in before.iter().chain(&good) {
        assert_eq!(server.get(&format!("/v1/orders/{order_id}")).unwrap().status, 200);
    }
    for (key, order_id) in &mistake {
        assert_eq!(server.get(&format!("/v1/orders/{order_id}")).unwrap().status, 404);
        assert!(!replayed(&server.buy("hat", key)), "{key} is free");
    }
    wait_for_database(&server);
}

/// The tables against a log that is not theirs by place: no difference, and every record.
fn check_reconciles(log: &Path, tables: &Path) {
    let file = tables.join("doorbuster.sqlite");
    let found = json_of(&["reconcile", "--data-dir", text(log), "--sqlite", text(&file)]);
    assert_eq!(number(&found, "difference_count"), 0, "{found}");
    assert!(number(&found["rows"], "orders") > 0, "{found}");
}

#[test]
fn backup_of_a_quiet_server_lacks_nothing_that_its_tables_have() {
    let house = House::new();
    let (data, quiet) = (house.data(), house.path("quiet"));
    let server = Server::start(&data, &[]);
    server.create("hat", 1_000);
    let orders = sell(&server, 5, "sold");
    wait_for_database(&server);
    sequence_of(&data, &orders[4].1);
    backup(&data, &quiet);
    check_reconciles(&quiet, &data);

    assert_eq!(server.terminate().0.code(), Some(0));
    let (stopped, new) = (house.path("stopped"), house.path("new"));
    backup(&data, &stopped);
    check_reconciles(&stopped, &data);
    // Not one record was lost, and the tables that were kept go on beside the restored log.
    restore(&stopped, &new, &[]);
    move_sqlite(&data, &new);
    let server = Server::start(&new, &[]);
    let more = sell(&server, 5, "more");
    wait_for_database(&server);
    for (_, order_id) in orders.iter().chain(&more) {
        assert_eq!(server.get(&format!("/v1/orders/{order_id}")).unwrap().status, 200);
    }
}

#[test]
fn follower_that_is_killed_goes_on_and_tells_its_lag() {
    let house = House::new();
    let (data, to) = (house.data(), house.backup());
    let server = Server::start(&data, &["--snapshot-segments", "1"]);
    server.create("hat", 1_000_000);
    let selling = Arc::new(AtomicBool::new(true));
    let address = server.address;
    let seller = {
        let selling = Arc::clone(&selling);
        std::thread::spawn(move || {
            let mut sold = 0;
            while selling.load(Ordering::Relaxed) {
                let body = r#"{"product_id":"hat","buyer_id":"b","quantity":1}"#;
                let headers =
                    format!("idempotency-key: s-{sold}\r\ncontent-type: application/json\r\n");
                let answer = call(address, "POST", "/v1/purchases", &headers, body);
                assert_eq!(answer.expect("an answer").status, 201);
                sold += 1;
            }
        })
    };
    let mut last = 0;
    for round in 0..3 {
        let follower = Follower::start(&data, &to, &[]);
        wait_until("it ships more", || last_sequence(&to).is_some_and(|upto| upto > last + 3));
        fill(&server, "hat", 3, &format!("round-{round}"));
        follower.kill();
        last = number(&verified(&to), "last_sequence");
        let records = dumped_lines(&to);
        assert!(records[..] == dumped_lines(&data)[..records.len()], "round {round}");
    }
    let metrics = ["--metrics-listen", "127.0.0.1:0"];
    let follower = Follower::start(&data, &to, &metrics);
    fill(&server, "hat", 46, "more");
    selling.store(false, Ordering::Relaxed);
    seller.join().unwrap();
    let upto = last_sequence(&data).unwrap() - 1;
    wait_until("all is shipped", || last_sequence(&to).is_some_and(|shipped| shipped >= upto));
    let words = follower.words();
    let address = words.lines().find_map(|line| line.strip_prefix("metrics at http://"));
    let address = address.and_then(|rest| rest.strip_suffix("/metrics")).expect("an address");
    let address = address.parse().unwrap();
    // It may be at a watermark that came meanwhile, or not have said yet that it has shipped all.
    for lag in ["doorbuster_backup_lag_records", "doorbuster_backup_lag_seconds"] {
        wait_until("it says that nothing is left", || {
            crate::house::metric(address, lag) == Some(0.0)
        });
    }
    assert!(crate::house::metric(address, "doorbuster_backup_sequence") >= Some(upto as f64));
    // A second backup into the same directory would write over the first's shoulder.
    let segments = verified(&to)["segments"].as_array().map_or(0, Vec::len);
    assert!(segments >= 2, "it followed into the next segment");
    let (code, said) =
        crate::house::refused(&["backup", "--to", text(&to), "--data-dir", text(&data)]);
    assert!(code == 4 && said.contains("another process holds"), "{said}");
    follower.terminate();
    let (code, said) = follower.wait();
    assert!(code == 0 && said.contains("0 records behind"), "{said}");

    // Started again, it says so when there is nothing left to follow.
    let follower = Follower::start(&data, &to, &[]);
    wait_until("it follows", || follower.words().contains("shipped up to"));
    server.kill();
    fs::remove_dir_all(&data).unwrap();
    let (code, said) = follower.wait();
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("doorbuster restore --from"), "{said}");
}
