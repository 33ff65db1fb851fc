//! A small log and its copy, and every way in which the copy may lie.

use std::fmt::Write as _;

use super::*;
use crate::made::{self, About, Bytes};
use crate::place::Place;

const SCHEMA: &str = include_str!("../../../schema/sqlite/V1__tables.sql");
const LAST: u64 = 11;

/// Decided at the time of its sequence, under a reference with its number.
fn about<'a>(sequence: u64, reference: &'a str, changes: &'a [(u32, u64)]) -> About<'a> {
    let key = u8::try_from(sequence).ok();
    About { at_ms: sequence, reference: Some(reference), key, changes }
}

fn at(ms: u64) -> String {
    format!("1970-01-01T00:00:00.{ms:03}Z")
}

fn id(letter: u8, sequence: u64) -> String {
    Place { partition: 0, epoch: 1, sequence }.word(letter)
}

/// Fifteen units of ware-0, of which c1 and c3 are bought, c6 is held and bought but for one unit,
/// c8 is held; of c1 a unit came back, c3 was written off.
fn write_log(directory: &Path) {
    let (part, kept): ([&[(u32, u32)]; 2], _) = ([&[(0, 3)], &[(0, 1)]], [false, true, false]);
    let payloads = [
        Bytes::started(1),
        Bytes::created(about(2, "", &[(0, 1)]), "ware-0", 10, (0, 0)),
        Bytes::ordered(about(3, "c1", &[(0, 2)]), "b7", 2),
        Bytes::adjusted(about(4, "c2", &[(0, 3)]), 5, 15, 13),
        Bytes::ordered(about(5, "c3", &[(0, 4)]), "b8", 1),
        Bytes::held(about(6, "c6", &[(0, 5)]), "b9", &[(0, 4)], 900),
        Bytes::confirmed(about(7, "c7", &[(0, 6)]), 6, "b9", part),
        Bytes::held(about(8, "c8", &[(0, 7)]), "b9", &[(0, 2)], 500),
        Bytes::extended(about(9, "c9", &[]), 8, 600),
        Bytes::cancelled(about(10, "c10", &[(0, 8)]), 3, "b7", &[(0, 0, 1)], kept),
        Bytes::cancelled(about(11, "c11", &[(0, 9)]), 5, "b8", &[(0, 0, 1)], [false, false, true]),
    ];
    let header = made::header(1, 1, [0; 32]);
    let mut bytes = header.clone();
    for (sequence, payload) in (1..).zip(&payloads) {
        bytes.extend(made::frame(&header, sequence, sequence - 1, payload));
    }
    std::fs::write(directory.join("segment-0000000001.wal"), bytes).expect("room");
}

/// A word in SQL.
fn quoted(word: Option<String>) -> String {
    word.map_or_else(|| "NULL".to_owned(), |word| format!("'{word}'"))
}

fn write_database(path: &Path) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(path).expect("a database");
    // It need not survive anything.
    database.execute_batch("PRAGMA synchronous = OFF").expect("a setting");
    database.execute_batch(SCHEMA).expect("the schema");
    let (first, last) = (at(2), at(LAST));
    let mut rows = format!(
        "INSERT INTO products VALUES ('ware-0', 0, 0, 'A thing', NULL, NULL, NULL, NULL, NULL,
         0, 0, NULL, NULL, 0, 1, 14, 2, 4, 9, 1, '{first}', '{last}');
         INSERT INTO progress (partition, journal_id, epoch, sequence, checksum)
         VALUES (0, '07', 1, {LAST}, 0);"
    );
    for (sequence, of, quantity, status, cancelled, hold) in [
        (3, "'b7', 'c1'", 2, "partly_cancelled", 1, None),
        (5, "'b8', 'c3'", 1, "cancelled", 1, None),
        (7, "'b9', 'c7'", 3, "placed", 0, Some(6)),
    ] {
        let (order, hold) = (id(b'o', sequence), quoted(hold.map(|hold| id(b'h', hold))));
        let _ = write!(
            rows,
            "INSERT INTO orders (order_id, partition, sequence, buyer_id, reference, principal,
             status, placed_at, hold_id)
             VALUES ('{order}', 0, {sequence}, {of}, 'anyone', '{status}', '{}', {hold});
             INSERT INTO order_lines (order_id, line_no, product_id, quantity, cancelled)
             VALUES ('{order}', 1, 'ware-0', {quantity}, {cancelled});",
            at(sequence)
        );
    }
    for (sequence, status, over, resolved, order) in
        [(6, "confirmed", 900, Some(7), Some(7)), (8, "held", 600, None, None)]
    {
        let (hold, order) = (id(b'h', sequence), quoted(order.map(|order| id(b'o', order))));
        let (placed, over, resolved) = (at(sequence), at(over), quoted(resolved.map(at)));
        let _ = write!(
            rows,
            "INSERT INTO holds (hold_id, partition, sequence, buyer_id, reference, principal,
             status, placed_at, expires_at, resolved_at, order_id)
             VALUES ('{hold}', 0, {sequence}, 'b9', 'c{sequence}', 'anyone', '{status}',
             '{placed}', '{over}', {resolved}, {order});"
        );
    }
    write_movements(&mut rows);
    database.execute_batch(&rows).expect("rows");
    database
}

fn write_movements(rows: &mut String) {
    let movements = [
        (2, "product_created", [10, 0, 0], None, None),
        (3, "order_placed", [0, 0, 2], Some(3), None),
        (4, "stock_adjusted", [5, 0, 0], None, None),
        (5, "order_placed", [0, 0, 1], Some(5), None),
        (6, "hold_placed", [0, 4, 0], None, Some(6)),
        (7, "hold_confirmed", [0, -4, 3], Some(7), Some(6)),
        (8, "hold_placed", [0, 2, 0], None, Some(8)),
        (10, "order_cancelled", [0, 0, -1], Some(3), None),
        (11, "order_cancelled", [-1, 0, -1], Some(5), None),
    ];
    let (mut figures, mut version) = ([0; 3], 0);
    for (sequence, kind, deltas, order, hold) in movements {
        version += 1;
        figures.iter_mut().zip(deltas).for_each(|(figure, delta)| *figure += delta);
        let text = |figures: [i64; 3]| figures.map(|figure| figure.to_string()).join(", ");
        let (order, hold) =
            (quoted(order.map(|o| id(b'o', o))), quoted(hold.map(|hold| id(b'h', hold))));
        let _ = write!(
            rows,
            "INSERT INTO movements (product_id, version, partition, sequence, kind, decided_at,
             stock_delta, held_delta, sold_delta, stock, held, sold, order_id, hold_id, principal)
             VALUES ('ware-0', {version}, 0, {sequence}, '{kind}', '{}', {}, {}, {order}, {hold},
             'anyone');",
            at(sequence),
            text(deltas),
            text(figures)
        );
    }
}

fn faults_after(lie: &str) -> (Faults, Compared) {
    let directory = tempfile::tempdir().expect("a directory");
    write_log(directory.path());
    let path = directory.path().join("doorbuster.sqlite");
    write_database(&path).execute_batch(lie).expect("a lie that the schema allows");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut faults = Faults::default();
    let compared = runtime.expect("a runtime").block_on(async {
        let reader = caught_up(&Database::Sqlite(path), LAST, Duration::from_secs(9)).await;
        compare(directory.path(), &reader.expect("progress"), &mut faults).await
    });
    (faults, compared.expect("both can be read"))
}

#[test]
fn an_honest_copy_has_no_fault() {
    let (faults, compared) = faults_after("");
    assert!(faults.is_empty(), "{faults}");
    assert_eq!(compared, Compared { orders: 3, holds: 2, products: 1, movements: 9 });
}

#[test]
fn every_lie_of_the_database_is_found() {
    let (first, other, held) = (id(b'o', 3), id(b'o', 9), id(b'h', 8));
    let order = |id: &str, sequence: u64| {
        let at = at(sequence);
        format!(
            "INSERT INTO orders (order_id, partition, sequence, buyer_id, reference, principal,
             status, placed_at) VALUES ('{id}', 0, {sequence}, 'b7', 'c1', 'anyone', 'placed', '{at}')"
        )
    };
    let hold = |set: &str| format!("UPDATE holds SET {set} WHERE hold_id = '{held}'");
    let confirmed = |set: &str| format!("UPDATE holds SET {set} WHERE status = 'confirmed'");
    let movement = |set: &str| format!("UPDATE movements SET {set} WHERE version = 6");
    let (over, late) = (at(500), at(8));
    let cases = [
        (
            format!("DELETE FROM orders WHERE order_id = '{first}'"),
            "the order of sequence 3 is not",
        ),
        (format!("DELETE FROM orders WHERE order_id = '{first}'"), "belong to no order"),
        (order(&other, 3), "twice in the database"),
        (order(&other, 4), "not in the log"),
        (order(&other, 99), "beyond the log's end"),
        ("UPDATE order_lines SET quantity = 4 WHERE quantity = 2".into(), "ware-0 4 NULL"),
        ("UPDATE order_lines SET unit_price_minor = 1, currency = 'GBP'".into(), "1 GBP"),
        ("UPDATE order_lines SET cancelled = 2 WHERE quantity = 2".into(), "2 NULL NULL 2"),
        ("UPDATE order_lines SET cancelled = 0".into(), "sequence 5"),
        ("DELETE FROM order_lines".into(), "sequence 5"),
        ("UPDATE orders SET buyer_id = 'b6' WHERE buyer_id = 'b8'".into(), "b6"),
        ("UPDATE orders SET reference = NULL".into(), "NULL placed"),
        ("UPDATE orders SET status = 'cancelled'".into(), "cancelled"),
        ("UPDATE orders SET status = 'placed'".into(), "c1 placed"),
        ("UPDATE orders SET hold_id = NULL".into(), "c7 placed NULL"),
        ("DELETE FROM holds".into(), "the hold of sequence 8 is not"),
        (hold("buyer_id = 'b6'"), "0 b6 c8 held"),
        (hold("reference = NULL"), "b9 NULL held"),
        (hold(&format!("expires_at = '{over}'")), "held 8 500 NULL"),
        (hold(&format!("status = 'expired', resolved_at = '{over}'")), "expired 8 600 500"),
        (hold("sequence = 9"), "not in the log"),
        (confirmed(&format!("resolved_at = '{late}'")), "confirmed 6 900 8"),
        (confirmed(&format!("order_id = '{first}'")), &first),
        ("UPDATE products SET sold = 2".into(), "ware-0 (stock, held"),
        ("UPDATE products SET held = 1".into(), "ware-0 (stock, held"),
        ("DELETE FROM products".into(), "has nothing"),
        ("DELETE FROM movements WHERE version = 2".into(), "ware-0 (stock, held"),
        ("DELETE FROM movements WHERE version = 2".into(), "the movement of sequence 3"),
        ("UPDATE movements SET sold_delta = 2 WHERE version = 4".into(), "ware-0 (stock"),
        (movement("kind = 'order_placed'"), "6 order_placed 0 -4 3"),
        (movement("held_delta = -3"), "0 -3 3"),
        (movement("held = 1"), "15 1 6"),
        (movement("order_id = NULL"), "15 0 6 NULL h"),
        (movement("hold_id = NULL"), "NULL\"]"),
        (
            "INSERT INTO quarantine (partition, sequence, kind, code, error, record)
             VALUES (0, 3, 'order', '23505', 'why', 'what')"
                .into(),
            "1 records are in quarantine",
        ),
    ];
    for (lie, part) in cases {
        let (faults, _) = faults_after(&lie);
        let told = faults.first().iter().any(|fault| fault.detail.contains(part));
        assert!(told, "{lie}: {part:?} expected: {faults}");
    }
}

#[test]
fn a_projection_that_does_not_come_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("doorbuster.sqlite");
    write_database(&path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let database = Database::Sqlite(path);
    let late = runtime.block_on(caught_up(&database, LAST + 1, Duration::ZERO));
    let error = late.err().expect("it is at 11").to_string();
    assert!(error.contains("not at 12") && error.contains("is at 11"), "{error}");
}
