//! The cases: each makes a log, projects it, and looks at the tables.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use doorbuster::domain::{AdjustReason, Patch, RefusalReason, SaleId, Sequence, TermsPatch, Text};
use doorbuster::engine::ports::ProjectionProblem;
use doorbuster::journal::JournalIdentity;
use doorbuster::projection::{DiskRoom, Drained, Projection, StoreConfig, start};
use doorbuster_wal::MemStorage;

use crate::databases::Database;
use crate::faulty::{Fault, Faulty, store};
use crate::log::{START_MS, TestLog, identity, pence};
use crate::mix::{Mix, mixed_log};
use crate::projecting::{
    begin, begin_with, finish, options, project, until_report, until_retrying, until_stopped,
};
use crate::tables::{assert_equal, more_orders, order_id, read, small_log};

pub(crate) fn every_kind_of_record_leaves_its_rows(database: &Database) {
    let mut log = TestLog::new(1);
    let sale = SaleId::new("friday").unwrap();
    log.create("lamp", 10, |terms| {
        terms.price = Some(pence(250));
        terms.sale_id = Some(sale.clone());
        terms.opens_at_ms = START_MS - 1;
        terms.closes_at_ms = START_MS + 60_000;
        terms.oversell_limit = 2;
        terms.safety_stock = 1;
        terms.per_buyer_limit = 5;
        terms.low_stock_threshold = Some(3);
    });
    log.now_ms += 7;
    log.create("sofa", 4, |terms| terms.sale_id = Some(sale.clone()));
    let bought = log.order("ann", &[("lamp", 2, None)], Some("web-1"));
    let cart =
        log.order("bob", &[("sofa", 1, None), ("lamp", 1, Some(199)), ("lamp", 1, None)], None);
    log.now_ms += 1;
    log.adjust("sofa", 6, AdjustReason::Received, Some("delivery-9"));
    log.adjust("sofa", -1, AdjustReason::Other(Text::new("Kratzer, größer").unwrap()), None);
    log.change(
        "lamp",
        TermsPatch {
            price: Patch::Set(None),
            closes_at_ms: Patch::Set(None),
            per_buyer_limit: Patch::Set(None),
            ..TermsPatch::default()
        },
    );
    log.change_sale("friday", TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() });
    log.watermark();
    let last = log.refusals(
        1_699_999_980_000,
        &[
            ("lamp", RefusalReason::SoldOut, 3),
            ("lamp", RefusalReason::SoldOut, 2),
            ("sofa", RefusalReason::Paused, 1),
        ],
    );
    log.watermark();
    log.sync();
    project(&database.config(), &log.reader());
    assert_equal(database, &log);

    let (time, flag) = (|c: &str| database.time(c), |c: &str| database.flag(c));
    let products = format!(
        "SELECT product_id, partition, handle, name, price_minor, currency, sale_id, {}, {}, \
         oversell_limit, safety_stock, per_buyer_limit, low_stock_threshold, {}, {}, \
         stock, held, sold, version, terms_version, {}, {} FROM products ORDER BY product_id",
        time("opens_at"),
        time("closes_at"),
        flag("paused"),
        flag("returns_free_limit"),
        time("created_at"),
        time("updated_at"),
    );
    assert_eq!(
        database.rows(&products),
        [
            "lamp|1|0|Product lamp|-|-|friday|2023-11-14T22:13:19.999Z|-|2|1|-|3|1|1|10|0|4|5|3|\
         2023-11-14T22:13:20.000Z|2023-11-14T22:13:20.008Z",
            "sofa|1|1|Product sofa|-|-|friday|-|-|0|0|-|-|1|1|9|0|1|5|2|\
         2023-11-14T22:13:20.007Z|2023-11-14T22:13:20.008Z",
        ]
    );
    let orders = format!(
        "SELECT order_id, partition, sequence, buyer_id, reference, principal, status, {} \
         FROM orders ORDER BY sequence",
        time("placed_at")
    );
    let (first, second) = (order_id(bought), order_id(cart));
    assert_eq!(
        database.rows(&orders),
        [
            format!("{first}|1|4|ann|web-1|shop|placed|2023-11-14T22:13:20.007Z"),
            format!("{second}|1|5|bob|-|shop|placed|2023-11-14T22:13:20.007Z"),
        ]
    );
    let lines = "SELECT order_id, line_no, product_id, quantity, unit_price_minor, currency \
         FROM order_lines ORDER BY order_id, line_no";
    assert_eq!(
        database.rows(lines),
        [
            format!("{first}|1|lamp|2|250|GBP"),
            format!("{second}|1|sofa|1|-|-"),
            format!("{second}|2|lamp|1|199|GBP"),
            format!("{second}|3|lamp|1|250|GBP"),
        ]
    );
    let movements = "SELECT product_id, version, sequence, kind, stock_delta, held_delta, sold_delta, \
         stock, held, sold, reason, text, order_id, reference, principal \
         FROM movements ORDER BY product_id, version";
    assert_eq!(
        database.rows(movements),
        [
            "lamp|1|2|product_created|10|0|0|10|0|0|-|-|-|-|shop".to_owned(),
            format!("lamp|2|4|order_placed|0|0|2|10|0|2|-|-|{first}|web-1|shop"),
            format!("lamp|3|5|order_placed|0|0|2|10|0|4|-|-|{second}|-|shop"),
            "lamp|4|8|terms_changed|0|0|0|10|0|4|-|-|-|-|shop".to_owned(),
            "lamp|5|9|terms_changed|0|0|0|10|0|4|-|-|-|-|shop".to_owned(),
            "sofa|1|3|product_created|4|0|0|4|0|0|-|-|-|-|shop".to_owned(),
            format!("sofa|2|5|order_placed|0|0|1|4|0|1|-|-|{second}|-|shop"),
            "sofa|3|6|stock_adjusted|6|0|0|10|0|1|received|-|-|delivery-9|shop".to_owned(),
            "sofa|4|7|stock_adjusted|-1|0|0|9|0|1|other|Kratzer, größer|-|-|shop".to_owned(),
            "sofa|5|9|terms_changed|0|0|0|9|0|1|-|-|-|-|shop".to_owned(),
        ]
    );
    let terms =
        "SELECT terms FROM movements WHERE kind = 'terms_changed' ORDER BY product_id, version";
    assert_eq!(
        database.rows(terms),
        [
            r#"{"closes_at":null,"per_buyer_limit":null,"price":null}"#,
            r#"{"paused":true}"#,
            r#"{"paused":true}"#,
        ]
    );
    let refusals = format!(
        "SELECT partition, sequence, product_id, reason, {}, refusals FROM refusal_counts \
         ORDER BY product_id",
        time("minute")
    );
    assert_eq!(
        database.rows(&refusals),
        [
            "1|11|lamp|sold_out|2023-11-14T22:13:00.000Z|5",
            "1|11|sofa|paused|2023-11-14T22:13:00.000Z|1",
        ]
    );
    let progress =
        format!("SELECT journal_id, epoch, sequence, {} FROM progress", time("decided_at"));
    let id = "01".repeat(16);
    assert_eq!(database.rows(&progress), [format!("{id}|1|{last}|2023-11-14T22:13:20.008Z")]);
    let ledger = read(&database.config());
    assert_eq!((ledger.orders, ledger.order_lines, ledger.units(), ledger.refusals), (2, 4, 5, 6));
    assert_eq!(ledger.products["lamp"].money_minor["GBP"], 2 * 250 + 199 + 250);
}

pub(crate) fn tables_equal_the_engines_state_after_many_records(database: &Database) {
    let mut log = TestLog::new(1);
    let projection = begin(&database.config(), log.reader());
    let mut mix = Mix::new(&mut log);
    for _ in 0..100 {
        mix.more(&mut log, 40);
        log.sync();
    }
    finish(projection, log.sync());
    assert_equal(database, &log);
}

pub(crate) fn a_restart_goes_on_where_the_last_one_ended(database: &Database) {
    let mut log = TestLog::new(1);
    let mut mix = Mix::new(&mut log);
    for _ in 0..4 {
        mix.more(&mut log, 400);
        log.sync();
        let projection = begin(&database.config(), log.reader());
        until_report(&projection, "another batch", |report| report.applied.is_some());
        projection.stop();
    }
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
}

pub(crate) fn a_commit_whose_answer_is_lost_is_not_written_again(database: &Database) {
    let log = mixed_log(2_000);
    // Calls: open, apply (lost), open, apply (lost), …
    let plan = |call, _| if call % 2 == 1 { Fault::After } else { Fault::None };
    let projection = begin_with(Faulty::new(&database.config(), plan), log.reader());
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}

pub(crate) fn a_store_that_fails_anywhere_loses_and_doubles_nothing(database: &Database) {
    let log = mixed_log(3_000);
    let mut random = 3_u64;
    let plan = move |_, _| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        [Fault::Before, Fault::After, Fault::None, Fault::None][(random >> 60) as usize % 4]
    };
    let projection = begin_with(Faulty::new(&database.config(), plan), log.reader());
    let reason = until_retrying(&projection);
    assert!(["nothing was done", "is lost"].iter().any(|said| reason.contains(said)), "{reason}");
    let status = projection.status();
    finish(projection, log.reader().durable());
    assert_eq!(status.report().problem, None, "it is over");
    assert_equal(database, &log);
}

pub(crate) fn connections_cut_lose_and_double_nothing(database: &Database) {
    let mut log = TestLog::new(1);
    let mut mix = Mix::new(&mut log);
    log.sync();
    let projection = begin(&database.config(), log.reader());
    let mut cut = 0;
    while cut < 20 {
        mix.more(&mut log, 100);
        log.sync();
        // The driver's name is its schema's: only this projector's connections.
        cut += database.number(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = current_schema()",
        );
    }
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}

pub(crate) fn a_database_too_slow_for_large_batches_gets_smaller_ones(database: &Database) {
    let log = mixed_log(1_000);
    let plan = |_, records| if records > 10 { Fault::TooSlow } else { Fault::None };
    let projection = begin_with(Faulty::new(&database.config(), plan), log.reader());
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}

pub(crate) fn two_projectors_write_each_record_once(database: &Database) {
    let mut log = TestLog::new(1);
    let mut mix = Mix::new(&mut log);
    log.sync();
    let config = database.config();
    let both = [begin(&config, log.reader()), begin(&config, log.reader())];
    for _ in 0..40 {
        mix.more(&mut log, 50);
        log.sync();
    }
    let last = log.reader().durable();
    for projection in both {
        let status = projection.status();
        finish(projection, last);
        assert_eq!(status.report().problem, None);
    }
    assert_equal(database, &log);
}

pub(crate) fn the_database_of_another_journal_stops_it(database: &Database) {
    project(&database.config(), &small_log(3).reader());
    let mut other = TestLog::new(2);
    other.sync();
    let projection = begin(&database.config(), other.reader());
    let reason = until_stopped(&projection);
    for part in [&"01".repeat(16), &"02".repeat(16), "give this log another"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(projection.status().report().lag_records, other.reader().durable().get());
    let drained = projection.drain(other.reader().durable(), Duration::from_secs(60));
    assert_eq!(drained, Drained::Left { records: 1 }, "a stopped one does not wait");
}

pub(crate) fn a_database_ahead_of_the_log_stops_it(database: &Database) {
    project(&database.config(), &small_log(10).reader());
    let reason = until_stopped(&begin(&database.config(), small_log(5).reader()));
    assert!(reason.contains("is at record 13, this log ends at 8"), "{reason}");
}

pub(crate) fn a_database_that_ends_with_another_record_stops_it(database: &Database) {
    project(&database.config(), &small_log(10).reader());
    let mut other = small_log(9);
    other.order("someone-else", &[("lamp", 1, None)], None);
    more_orders(&mut other, 5);
    let reason = until_stopped(&begin(&database.config(), other.reader()));
    assert!(reason.contains("ends with another record 13 than this log"), "{reason}");

    let later = JournalIdentity { epoch: 2, ..identity(1) };
    let mut later = TestLog::of(later, Arc::new(MemStorage::new()));
    later.create("lamp", 1_000_000, |terms| terms.price = Some(pence(250)));
    later.create("sofa", 1_000_000, |_| ());
    more_orders(&mut later, 10);
    let reason = until_stopped(&begin(&database.config(), later.reader()));
    assert!(reason.contains("here epoch 2"), "{reason}");
}

pub(crate) fn a_record_the_database_refuses_goes_to_quarantine_alone(database: &Database) {
    let mut log = small_log(10);
    project(&database.config(), &log.reader());
    database.execute(
        "CREATE TRIGGER no_sevens BEFORE INSERT ON order_lines WHEN NEW.quantity = 7 \
         BEGIN SELECT RAISE(ABORT, 'no sevens'); END",
        "ALTER TABLE order_lines ADD CONSTRAINT no_sevens CHECK (quantity <> 7)",
    );
    log.create("vase", 100, |_| ());
    more_orders(&mut log, 40);
    let refused = log.order("ann", &[("vase", 7, Some(1))], Some("web-7"));
    more_orders(&mut log, 40);
    // Its product is a version behind from here on, and says so; the others go on.
    let behind = log.order("bob", &[("vase", 1, None), ("lamp", 1, None)], None);
    let lost = log.order("cleo", &[("lamp", 1, None)], None);
    log.order("dora", &[("sofa", 1, None)], None);
    let last = log.sync();
    project(&database.config(), &log.reader());

    let quarantine = "SELECT sequence, kind, code, error FROM quarantine ORDER BY sequence";
    let rows = database.rows(quarantine);
    assert_eq!(rows.len(), 3, "{rows:?}");
    let (code, error) = match database {
        Database::Sqlite(_) => ("sqlite-1811", "no sevens"),
        Database::Postgres(..) => ("23514", "violates check constraint \"no_sevens\""),
    };
    assert!(rows[0].starts_with(&format!("{refused}|order_placed|{code}|")), "{rows:?}");
    assert!(rows[0].contains(error), "{rows:?}");
    let version = format!(
        "{behind}|order_placed|version|product vase is at version 1 in its row, the record makes 3"
    );
    assert_eq!(rows[1], version);
    assert!(rows[2].starts_with(&format!("{lost}|order_placed|version|product lamp")), "{rows:?}");
    let record = database.rows("SELECT record FROM quarantine ORDER BY sequence");
    for part in ["\"buyer_id\":\"ann\"", "\"reference\":\"web-7\"", "\"quantity\":7"] {
        assert!(record[0].contains(part), "{record:?}");
    }
    let ledger = read(&database.config());
    assert_eq!(ledger.progress.map(|progress| progress.sequence), Some(last));
    assert_eq!(ledger.orders, 10 + 40 + 40 + 1, "all but the three");
    assert_eq!(ledger.products["vase"].units, 0);
    let sofa = log.inventory.product(log.handle("sofa")).unwrap().figures.sold;
    assert_eq!((ledger.products["sofa"].sold, ledger.products["sofa"].units), (sofa, sofa));
    let projection = begin(&database.config(), log.reader());
    until_report(&projection, "the count", |report| report.quarantined == 3);
}

pub(crate) fn a_change_whose_row_is_missing_goes_to_quarantine(database: &Database) {
    let mut log = small_log(10);
    project(&database.config(), &log.reader());
    let delete = "DELETE FROM products WHERE product_id = 'lamp'";
    database.execute(delete, delete);
    let missing = log.order("ann", &[("lamp", 1, None)], None);
    let counted = log.refusals(60_000, &[("lamp", RefusalReason::SoldOut, 1)]);
    log.order("bob", &[("sofa", 1, None)], None);
    log.sync();
    project(&database.config(), &log.reader());
    let rows = database.rows("SELECT sequence, code, error FROM quarantine ORDER BY sequence");
    let error = "missing_product|the product of handle 0 has no row";
    assert_eq!(rows, [format!("{missing}|{error}"), format!("{counted}|{error}")]);
    assert_eq!(read(&database.config()).orders, 11);
}

pub(crate) fn a_row_that_someone_else_wrote_stops_it(database: &Database) {
    let mut log = small_log(10);
    project(&database.config(), &log.reader());
    let next = Sequence::new(log.reader().durable().get() + 1);
    let insert = format!(
        "INSERT INTO orders (order_id, partition, sequence, buyer_id, principal, status, placed_at) \
         VALUES ('{}', 1, 1, 'x', 'x', 'placed', '2023-11-14T22:13:20.000Z')",
        order_id(next)
    );
    database.execute(&insert, &insert);
    more_orders(&mut log, 5);
    let projection = begin(&database.config(), log.reader());
    let reason = until_stopped(&projection);
    assert!(reason.contains("someone else wrote to these tables"), "{reason}");
    assert_eq!(projection.status().report().lag_records, 5);
    drop(projection);
    let delete = "DELETE FROM orders WHERE buyer_id = 'x'";
    database.execute(delete, delete);
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
}

pub(crate) fn progress_that_cannot_be_updated_is_reported(database: &Database) {
    let mut log = small_log(3);
    project(&database.config(), &log.reader());
    database.execute(
        "CREATE TRIGGER swallow BEFORE UPDATE ON progress BEGIN SELECT RAISE(IGNORE); END",
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER swallow BEFORE UPDATE ON progress FOR EACH ROW EXECUTE FUNCTION swallow()",
    );
    more_orders(&mut log, 3);
    let projection = begin(&database.config(), log.reader());
    let reason = until_retrying(&projection);
    assert!(reason.contains("progress cannot be updated"), "{reason}");
    database.execute("DROP TRIGGER swallow", "DROP TRIGGER swallow ON progress");
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}

pub(crate) fn lag_is_counted_and_ends(database: &Database) {
    let mut log = small_log(10);
    let calls = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&calls);
    // The first batch is written; later ones fail until the count is set back.
    let plan = move |_, _| match seen.fetch_add(1, Ordering::SeqCst) {
        0..2 => Fault::None,
        1_000.. => Fault::None,
        _ => Fault::Before,
    };
    let projection = begin_with(Faulty::new(&database.config(), plan), log.reader());
    let first = log.reader().durable();
    until_report(&projection, "the first batch", |report| report.applied == Some(first));
    log.now_ms += 10_000;
    let bought = log.now_ms + 1;
    more_orders(&mut log, 3);
    let report = until_report(&projection, "a retry", |report| report.problem.is_some());
    assert_eq!(report.lag_records, 3);
    assert_eq!(report.lag_ms, START_MS + 1_000_000 - bought, "by the oldest record's time");
    calls.store(1_000, Ordering::SeqCst);
    let report = until_report(&projection, "the end", |report| report.lag_records == 0);
    assert_eq!(report.lag_ms, 0);
    until_report(&projection, "no problem", |report| report.problem.is_none());
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}

pub(crate) fn a_drain_that_cannot_end_says_what_is_left(database: &Database) {
    let log = small_log(10);
    let plan = |_, _| Fault::Before;
    let projection = begin_with(Faulty::new(&database.config(), plan), log.reader());
    let durable = log.reader().durable();
    let drained = projection.drain(durable, Duration::from_millis(50));
    assert_eq!(drained, Drained::Left { records: durable.get() });
}

pub(crate) fn an_end_amid_the_search_for_a_bad_record_is_no_word_too_far(database: &Database) {
    let log = small_log(10);
    let (give, given) = mpsc::channel::<Projection>();
    let (ended, end) = mpsc::channel::<()>();
    // Calls: open, apply (all refused), apply (the first half, while it is told to end).
    let plan = move |call, _| {
        let _until_the_store_is_dropped = &ended;
        match call {
            1 => return Fault::Refused,
            2 => drop(given.recv()),
            _ => {}
        }
        Fault::None
    };
    let projection = begin_with(Faulty::new(&database.config(), plan), log.reader());
    let status = projection.status();
    give.send(projection).unwrap();
    assert!(end.recv().is_err());
    let written = store(&database.config()).open(&identity(1)).unwrap().progress.sequence;
    assert!(written > Sequence::new(0) && written < log.reader().durable(), "{written:?}");
    assert_eq!(status.report().applied, Some(written));
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
}

pub(crate) fn an_order_of_a_thousand_lines_and_a_sale_of_many_products_fit(database: &Database) {
    let mut log = TestLog::new(1);
    let ids: Vec<String> = (0..2_000).map(|number| format!("p{number}")).collect();
    for id in &ids {
        log.create(id, 10, |terms| terms.sale_id = Some(SaleId::new("all").unwrap()));
    }
    let lines: Vec<_> = ids.iter().take(1_000).map(|id| (id.as_str(), 1, Some(5))).collect();
    log.order("ann", &lines, None);
    log.change_sale("all", TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() });
    log.sync();
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
    assert_eq!(read(&database.config()).order_lines, 1_000);
}

pub(crate) fn it_waits_while_the_disk_is_at_its_reserve(database: &Database) {
    let log = small_log(10);
    let free = Arc::new(AtomicU64::new(9));
    let asked = Arc::clone(&free);
    let mut options = options();
    options.room =
        Arc::new(move || DiskRoom { free_bytes: asked.load(Ordering::SeqCst), reserve_bytes: 10 });
    let projection = start(&database.config(), log.reader(), options).unwrap();
    let reason = until_retrying(&projection);
    assert!(reason.starts_with("9 bytes are free, 10 are kept for the log"), "{reason}");
    assert!(matches!(projection.status().report().problem, Some(ProjectionProblem::Retrying(_))));
    free.store(1 << 30, Ordering::SeqCst);
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}

/// The disk is as full as the files are long: a batch may not take what is the log's.
pub(crate) fn no_batch_takes_the_logs_reserve(database: &Database) {
    const RESERVE: u64 = 256 << 10;
    let log = small_log(6_000);
    let StoreConfig::Sqlite { path } = database.config() else { panic!("it has no files") };
    let taken = move || -> u64 {
        let files = ["", "-wal"].map(|end| format!("{}{end}", path.display()));
        files.iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).sum()
    };
    let (disk, lowest) = (Arc::new(AtomicU64::new(2 << 20)), Arc::new(AtomicU64::new(u64::MAX)));
    let room = {
        let (disk, lowest) = (Arc::clone(&disk), Arc::clone(&lowest));
        move || {
            let free_bytes = disk.load(Ordering::SeqCst).saturating_sub(taken());
            lowest.fetch_min(free_bytes, Ordering::SeqCst);
            DiskRoom { free_bytes, reserve_bytes: RESERVE }
        }
    };
    let mut options = options();
    options.room = Arc::new(room);
    options.batch_records_max = 512;
    let projection = start(&database.config(), log.reader(), options).unwrap();
    let reason = until_retrying(&projection);
    assert!(reason.contains("are kept for the log"), "{reason}");
    let applied = projection.status().report().applied;
    assert!(applied > Some(Sequence::new(1)), "{applied:?}");
    assert!(lowest.load(Ordering::SeqCst) >= RESERVE, "{lowest:?}");
    disk.store(1 << 40, Ordering::SeqCst);
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}
