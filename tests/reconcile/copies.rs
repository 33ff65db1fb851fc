//! The log against its copy.

use doorbuster::domain::{Patch, RefusalReason, Sequence, TermsPatch};
use doorbuster::journal::Places;
use doorbuster::projection::StoreConfig;
use serde_json::Value;

use crate::databases::Database;
use crate::house::{Ended, House, ended};
use crate::log::{START_MS, identity};
use crate::mix::Mix;
use crate::server::doorbuster;

pub(crate) fn a_copy_of_every_kind_of_record_has_no_difference(database: Database) {
    let mut house = House::new(1, database);
    let mut mix = Mix::new(&mut house.log);
    mix.more(&mut house.log, 1_500);
    house
        .log
        .refusals(START_MS, &[("p1", RefusalReason::SoldOut, 3), ("p0", RefusalReason::Paused, 1)]);
    house.project();
    let (code, found) = house.reconcile();
    assert_eq!((code, &found["difference_count"]), (0, &Value::from(0)), "{found}");
    let rows = |table: &str| house.database.number(&format!("SELECT count(*) FROM {table}"));
    for table in ["products", "orders", "order_lines", "holds", "movements", "refusal_counts"] {
        assert_eq!(found["rows"][table], rows(table), "{table}");
        assert!(rows(table) > 0, "{table}");
    }
    let ended = house.run(&["reconcile"]);
    assert!(ended.out.ends_with("no difference\n"), "{}", ended.out);
}

pub(crate) fn records_not_projected_yet_are_said_and_no_difference(database: Database) {
    let mut house = House::new(1, database);
    let mut mix = Mix::new(&mut house.log);
    mix.more(&mut house.log, 100);
    house.project();
    let projected = house.log.reader().durable().get() - 1;
    mix.more(&mut house.log, 50);
    house.prove();
    let proven = house.log.reader().durable().get() - 1;
    let (code, found) = house.reconcile();
    assert_eq!((code, &found["difference_count"]), (0, &Value::from(0)), "{found}");
    assert_eq!(found["database_sequence"], projected);
    assert_eq!(found["log_sequence"], proven);
    assert_eq!(found["not_projected"], proven - projected);
    let ended = house.run(&["reconcile"]);
    let words = format!("{} records not projected yet, which is no difference", proven - projected);
    assert!(ended.out.contains(&words), "{}", ended.out);
}

/// What is changed in the tables, and the difference that must be told: kind, table, column, and
/// both sides.
struct Slip {
    sql: String,
    told: [String; 5],
}

fn slip(sql: impl Into<String>, told: [&str; 5]) -> Slip {
    Slip { sql: sql.into(), told: told.map(str::to_owned) }
}

pub(crate) fn every_difference_is_named_with_both_sides(database: Database) {
    let mut house = House::new(1, database);
    let log = &mut house.log;
    log.create("hat", 1_000, |_| ());
    log.create("mug", 1_000, |_| ());
    let order = |log: &mut crate::log::TestLog, n: u64| {
        log.now_ms += 1;
        let lines = [("hat", n, Some(250)), ("mug", 1, None)];
        log.order("ann", &lines, Some(&format!("web-{n}")))
    };
    let orders: Vec<Sequence> = (1..=8).map(|n| order(log, n)).collect();
    log.cancel(orders[6], Some(&[(0, 2)]), true, None).unwrap();
    let live = log.hold("ben", &[("hat", 3, None)], 60_000, None);
    let released = log.hold("ben", &[("mug", 2, None)], 60_000, None);
    log.extend(live, 90_000);
    log.release(released);
    log.change("mug", TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() });
    log.refusals(START_MS, &[("hat", RefusalReason::SoldOut, 7)]);
    house.project();
    let places = Places::of_one_owner(identity(1));
    let id = |n: usize| places.order_id(orders[n]).to_string();
    let hold = |hold: Sequence| places.hold_id(hold).to_string();
    let order =
        |n: usize, set: &str| format!("UPDATE orders SET {set} WHERE order_id = '{}'", id(n));
    let line = |n: usize, no: u32, set: &str| {
        format!("UPDATE order_lines SET {set} WHERE order_id = '{}' AND line_no = {no}", id(n))
    };
    let hold_set = |of, set: &str| format!("UPDATE holds SET {set} WHERE hold_id = '{}'", hold(of));
    let at = "2023-11-14T22:13:20.000Z";
    let slips = [
        slip(order(0, "buyer_id = 'eve'"), ["different", "orders", "buyer_id", "ann", "eve"]),
        slip(order(1, "reference = NULL"), ["different", "orders", "reference", "web-2", "-"]),
        slip(
            order(2, &format!("placed_at = '{at}'")),
            ["different", "orders", "placed_at", "2023-11-14T22:13:20.003Z", at],
        ),
        slip(order(3, "hold_id = 'h1'"), ["different", "orders", "hold_id", "-", "h1"]),
        slip(
            order(4, "status = 'cancelled'"),
            ["different", "orders", "status", "placed", "cancelled"],
        ),
        slip(
            order(6, "status = 'placed'"),
            ["different", "orders", "status", "partly_cancelled", "placed"],
        ),
        slip(line(0, 1, "quantity = 9"), ["different", "order_lines", "quantity", "1", "9"]),
        slip(
            line(1, 1, "unit_price_minor = 251"),
            ["different", "order_lines", "unit_price_minor", "250", "251"],
        ),
        slip(
            line(2, 2, "product_id = 'hat'"),
            ["different", "order_lines", "product_id", "mug", "hat"],
        ),
        slip(line(3, 1, "cancelled = 4"), ["different", "order_lines", "cancelled", "0", "4"]),
        slip(line(6, 1, "cancelled = 1"), ["different", "order_lines", "cancelled", "2", "1"]),
        slip(
            format!("DELETE FROM orders WHERE order_id = '{}'", id(5)),
            ["missing", "orders", "-", "", "-"],
        ),
        slip(
            format!("DELETE FROM order_lines WHERE order_id = '{}' AND line_no = 2", id(7)),
            ["missing", "order_lines", "-", "", "-"],
        ),
        slip(
            format!(
                "INSERT INTO orders (order_id, partition, sequence, buyer_id, principal, status, placed_at) VALUES ('O''x', 1, 3, 'b', 'p', 'placed', '{at}')"
            ),
            ["unknown", "orders", "-", "-", ""],
        ),
        slip(
            "INSERT INTO order_lines (order_id, line_no, product_id, quantity) VALUES ('zz', 1, 'hat', 1)",
            ["unknown", "order_lines", "-", "-", ""],
        ),
        slip(
            hold_set(live, &format!("expires_at = '{at}'")),
            ["different", "holds", "expires_at", "2023-11-14T22:14:50.008Z", at],
        ),
        slip(
            hold_set(released, "status = 'expired'"),
            ["different", "holds", "status", "released", "expired"],
        ),
        slip(
            format!(
                "INSERT INTO holds (hold_id, partition, sequence, buyer_id, principal, status, placed_at, expires_at) VALUES ('a', 1, 3, 'b', 'p', 'held', '{at}', '{at}')"
            ),
            ["unknown", "holds", "-", "-", ""],
        ),
        slip(
            "UPDATE products SET sold = sold - 1 WHERE product_id = 'hat'",
            ["different", "products", "sold", "34", "33"],
        ),
        slip(
            "UPDATE products SET version = 99 WHERE product_id = 'mug'",
            ["different", "products", "version", "12", "99"],
        ),
        slip(
            "UPDATE movements SET stock_delta = 1 WHERE product_id = 'hat' AND version = 4",
            ["different", "movements", "stock_delta", "0", "1"],
        ),
        slip(
            "DELETE FROM movements WHERE product_id = 'mug' AND version = 3",
            ["missing", "movements", "-", "", "-"],
        ),
        slip(
            format!(
                "INSERT INTO movements (product_id, version, partition, sequence, kind, decided_at, stock_delta, held_delta, sold_delta, stock, held, sold, principal) VALUES ('mug', 13, 1, 99, 'order_placed', '{at}', 0, 0, 1, 1, 0, 1, 'p')"
            ),
            ["unknown", "movements", "-", "-", ""],
        ),
        slip(
            "UPDATE refusal_counts SET refusals = 8",
            ["different", "refusal_counts", "refusals", "7", "8"],
        ),
        slip(
            "INSERT INTO quarantine (partition, sequence, kind, code, error, record) VALUES (1, 4, 'order_placed', '23514', 'no', '{}')",
            [
                "quarantined",
                "quarantine",
                "-",
                "order_placed",
                "a order_placed set aside: 23514: no",
            ],
        ),
    ];
    let all: Vec<&str> = slips.iter().map(|slip| &*slip.sql).collect();
    let all = all.join("; ");
    house.database.execute(&all, &all);
    let (code, found) = house.reconcile();
    assert_eq!(code, 1);
    let mut told: Vec<[String; 5]> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| {
            ["kind", "table", "column", "log", "database"]
                .map(|field| difference[field].as_str().unwrap_or("-").to_owned())
        })
        .collect();
    for slip in &slips {
        let place = told.iter().position(|told| {
            let sides = told.iter().zip(&slip.told);
            // Of a whole row only that there is one.
            sides
                .into_iter()
                .all(|(told, wanted)| told == wanted || (wanted.is_empty() && told.len() > 10))
        });
        let place =
            place.unwrap_or_else(|| panic!("{:?} of {} is not in {found:#}", slip.told, slip.sql));
        told.remove(place);
    }
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(found["difference_count"], slips.len());
    assert_eq!(
        house.run(&["reconcile"]).out.lines().filter(|line| line.starts_with("different ")).count(),
        17
    );
}

pub(crate) fn tables_of_another_journal_are_not_compared(database: Database) {
    let mut house = House::new(1, database);
    house.log.create("hat", 10, |_| ());
    house.project();
    let mut other = House::new(2, house.database);
    other.log.create("hat", 10, |_| ());
    other.prove();
    let ended = other.run(&["reconcile"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(
        ended.err.contains("holds the journal 01010101010101010101010101010101, this log is 0202"),
        "{ended:?}"
    );
}

/// As beside a backup: the log's directory has no database, and the settings name another.
#[test]
fn a_sqlite_file_that_is_named_is_compared_and_what_is_wrong_with_it_is_told() {
    let mut house = House::new(1, Database::sqlite());
    house.log.create("hat", 10, |_| ());
    house.project();
    let StoreConfig::Sqlite { path } = house.database.config() else { unreachable!() };
    let data_dir = house.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let run = |more: &[&str]| -> Ended {
        let mut command = doorbuster(&["reconcile", "--data-dir", data_dir]);
        ended({
            command.args(more);
            command
        })
    };
    let new = format!("`doorbuster project --rebuild --to new.sqlite --data-dir {data_dir}`");
    let refused = |more: &[&str], words: &[&str]| {
        let told = run(more);
        assert_eq!(told.code, 5, "{more:?} {told:?}");
        for word in words {
            assert!(told.err.contains(word), "{word:?} is not in {told:?}");
        }
    };
    refused(
        &[],
        &[&format!("there is no SQLite {data_dir}/doorbuster.sqlite: --sqlite FILE"), &new],
    );
    let file = path.to_str().unwrap();
    let mut command = doorbuster(&["reconcile", "--data-dir", data_dir, "--sqlite", file]);
    command.env("DATABASE_URL", "postgres://nobody@192.0.2.1/none");
    let told = ended(command);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains(&format!("database  SQLite {file}, at record 2 ")), "{told:?}");

    let broken = house.data_dir().join("broken.sqlite");
    let broken = broken.to_str().unwrap();
    refused(&["--sqlite", broken], &[&format!("there is no SQLite {broken}"), &new]);
    std::fs::write(broken, "reference,product,quantity\n".repeat(100)).unwrap();
    let shown = format!("SQLite {broken}: ");
    refused(&["--sqlite", broken], &[&shown, "file is not a database", &new]);
    let mut bytes = std::fs::read(file).unwrap();
    for byte in bytes.iter_mut().skip(4_096) {
        *byte = 0x55;
    }
    std::fs::write(broken, bytes).unwrap();
    refused(&["--sqlite", broken], &[&shown, "malformed", &new]);
    std::fs::write(broken, "").unwrap();
    refused(&["--sqlite", broken], &[&shown, "has no tables of doorbuster", &new]);
    let away = "postgres://me:secret@127.0.0.1:1/x";
    refused(&["--database-url", away], &["postgresql://me@127.0.0.1:1/x", "refused"]);
    assert!(!run(&["--database-url", away]).err.contains("secret"));
    assert_eq!(run(&["--sqlite", file, "--database-url", away]).code, 2);
}
