//! How fast records become rows. Not run by itself: `cargo test --release --test projection
//! rows_per_second -- --ignored --nocapture`.

use std::sync::Arc;

use doorbuster_wal::DirStorage;

use crate::databases::Database;
use crate::log::{TestLog, identity};
use crate::projecting::{LIMIT, options};
use doorbuster::projection::{Drained, start};

const ORDERS: u64 = 200_000;

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn measure(database: &Database, what: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = TestLog::of(identity(1), Arc::new(DirStorage::open(dir.path()).unwrap()));
    for number in 0..100 {
        log.create(&format!("p{number}"), 10_000_000, |_| ());
    }
    for number in 0..ORDERS {
        log.now_ms += number % 2;
        let id = format!("p{}", number * 7 % 100);
        log.order(&format!("b{}", number * 7_919 % 100_003), &[(&id, 1, Some(5))], None);
        if number % 100 == 0 {
            log.sync();
        }
    }
    let last = log.sync();
    let mut options = options();
    options.poll = std::time::Duration::from_millis(20);
    let begun = std::time::Instant::now();
    let projection = start(&database.config(), log.reader(), options).unwrap();
    assert_eq!(projection.drain(last, LIMIT * 10), Drained::Done);
    let seconds = begun.elapsed().as_secs_f64();
    let rate = ORDERS as f64 / seconds;
    println!(
        "{what}: {ORDERS} orders in {seconds:.2} s: {rate:.0} orders/s, {:.0} rows/s",
        rate * 3.0
    );
}

#[test]
#[ignore = "a measurement"]
fn rows_per_second_sqlite() {
    measure(&Database::sqlite(), "SQLite");
}

#[test]
#[ignore = "a measurement"]
fn rows_per_second_postgres() {
    if let Some(server) = crate::postgres_server::shared() {
        measure(&Database::postgres(server), "PostgreSQL");
    }
}
