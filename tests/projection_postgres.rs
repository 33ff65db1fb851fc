//! What only a server can do to the projection: be killed, be slow, cut connections, stand behind
//! a pooler, have another encoding, allow less. On real servers of these tests' own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/log.rs"]
mod log;
#[path = "support/postgres.rs"]
mod postgres_server;
#[path = "support/projecting.rs"]
mod projecting;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use doorbuster::domain::{BuyerId, Patch, TermsPatch};
use doorbuster::engine::ports::{OrderPage, OrderQuery, OrderReader, OrdersOf};
use doorbuster::projection::{Ledger, SchemaName, StoreConfig, start};

use crate::log::TestLog;
use crate::postgres_server::Server;
use crate::projecting::{
    begin, finish, options, project, until, until_report, until_retrying, until_stopped,
};

/// A log with one product.
fn new_log() -> TestLog {
    let mut log = TestLog::new(1);
    log.create("lamp", 1_000_000, |_| ());
    log.sync();
    log
}

fn sell(log: &mut TestLog, orders: u64) {
    for number in 0..orders {
        log.now_ms += 1;
        log.order(&format!("b{number}"), &[("lamp", 1, Some(250))], None);
    }
    log.sync();
}

fn config(server: &Server, application: &str) -> StoreConfig {
    let url = server.url(application).parse().expect("a URL");
    StoreConfig::Postgres { url, schema: SchemaName::usual() }
}

/// Fails unless each order is in the tables exactly once.
fn assert_sold(config: &StoreConfig, orders: u64) {
    let ledger = Ledger::read(config, 1).expect("the tables");
    let lamp = &ledger.products["lamp"];
    assert_eq!((ledger.orders, ledger.order_lines, ledger.quarantined), (orders, orders, 0));
    assert_eq!((lamp.sold, lamp.units, lamp.version), (orders, orders, orders + 1));
    assert_eq!(lamp.money_minor["GBP"], u128::from(orders) * 250);
    assert_eq!(ledger.movements, orders + 1);
}

#[test]
fn server_killed_and_started_again_in_the_middle_loses_and_doubles_nothing() {
    let Some(mut server) = postgres_server::start() else { return };
    let config = config(&server, "projector");
    let mut log = new_log();
    let projection = begin(&config, log.reader());
    for round in 0..4 {
        // Some records are being written as the server dies.
        sell(&mut log, 2_000);
        if round % 2 == 0 {
            let some = log.reader().durable().get() - 1_500;
            until_report(&projection, "some records", |report| {
                report.applied.is_some_and(|applied| applied.get() >= some)
            });
        }
        server.kill();
        sell(&mut log, 100);
        until_retrying(&projection);
        server.start();
        until_report(&projection, "its return", |report| report.problem.is_none());
    }
    finish(projection, log.reader().durable());
    assert_sold(&config, 4 * 2_100);
}

#[test]
fn server_that_is_not_there_at_the_start_is_waited_for() {
    let Some(mut server) = postgres_server::start() else { return };
    server.kill();
    let config = config(&server, "early");
    let mut log = new_log();
    sell(&mut log, 10);
    let projection = begin(&config, log.reader());
    let reason = until_retrying(&projection);
    assert!(reason.contains("the schema doorbuster of postgresql://postgres@"), "{reason}");
    assert_eq!(projection.status().report().lag_records, 12);
    server.start();
    finish(projection, log.reader().durable());
    assert_sold(&config, 10);
}

#[test]
fn connections_cut_again_and_again_lose_and_double_nothing() {
    let Some(server) = postgres_server::start() else { return };
    let config = config(&server, "cut");
    let mut log = new_log();
    let projection = begin(&config, log.reader());
    let mut cut = 0;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name = 'cut'";
    while cut < 20 {
        sell(&mut log, 200);
        cut += server.rows(kill)[0].parse::<u64>().unwrap();
    }
    let sold = log.reader().durable().get() - 2;
    finish(projection, log.reader().durable());
    assert_sold(&config, sold);
}

#[test]
fn table_locked_by_someone_is_waited_for() {
    let Some(server) = postgres_server::start() else { return };
    let config = config(&server, "locked");
    let mut log = new_log();
    sell(&mut log, 10);
    project(&config, &log.reader());
    let mut options = options();
    options.transaction_limit = Duration::from_millis(300);
    let lock = "BEGIN; LOCK TABLE doorbuster.orders; SELECT pg_sleep(600); COMMIT";
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
         AND relation = 'doorbuster.orders'::regclass";
    std::thread::scope(|scope| {
        scope.spawn(|| drop(server.try_sql(lock)));
        until("a lock", || server.rows(locked) == ["1"]);
        sell(&mut log, 10);
        let projection = start(&config, log.reader(), options).unwrap();
        let reason = until_retrying(&projection);
        assert!(reason.contains("lock timeout") || reason.contains("no answer"), "{reason}");
        server.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'",
        );
        finish(projection, log.reader().durable());
    });
    assert_sold(&config, 20);
}

#[test]
fn character_the_databases_encoding_lacks_goes_to_quarantine() {
    let Some(server) = postgres_server::start() else { return };
    server.rows("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let url = server.url("latin").replace("/postgres?", "/latin?").parse().unwrap();
    let config = StoreConfig::Postgres { url, schema: SchemaName::usual() };
    let mut log = new_log();
    sell(&mut log, 10);
    let name = doorbuster::domain::Name::new("Lampe \u{1f4a1}").unwrap();
    log.create("bulb", 5, |terms| terms.name = name);
    log.sync();
    project(&config, &log.reader());
    let ledger = Ledger::read(&config, 1).unwrap();
    assert_eq!((ledger.orders, ledger.quarantined, ledger.products.len()), (10, 1, 1));
}

#[test]
fn role_that_may_not_make_tables_writes_where_they_are() {
    let Some(server) = postgres_server::start() else { return };
    let config = config(&server, "owner");
    let mut log = new_log();
    project(&config, &log.reader());
    server.rows(
        "CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA doorbuster TO clerk; \
         GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA doorbuster TO clerk",
    );
    let url = server.url("clerk").replace("postgres@", "clerk@").parse().unwrap();
    let clerk = StoreConfig::Postgres { url, schema: SchemaName::usual() };
    sell(&mut log, 10);
    project(&clerk, &log.reader());
    assert_sold(&config, 10);
}

#[test]
fn nothing_is_left_in_the_session_or_outside_the_schema() {
    let Some(server) = postgres_server::start() else { return };
    let config = config(&server, "tidy");
    let mut log = new_log();
    sell(&mut log, 100);
    log.change("lamp", TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() });
    log.sync();
    project(&config, &log.reader());
    let elsewhere = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname NOT IN ('doorbuster', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'";
    assert_eq!(server.rows(elsewhere), ["0"]);
    let history = "SELECT count(*) FROM doorbuster.refinery_schema_history";
    assert_eq!(server.rows(history), ["1"]);
}

/// The newest of a buyer's orders, or why they cannot be read.
fn newest(reader: &dyn OrderReader) -> Result<OrderPage, String> {
    let of = OrdersOf::Buyer(BuyerId::new("b1").unwrap());
    let asked = reader.orders(OrderQuery { of, before: None, limit: 1 });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(asked).map_err(|error| error.reason)
}

#[test]
fn orders_are_read_again_once_the_server_is_back() {
    let Some(mut server) = postgres_server::start() else { return };
    let config = config(&server, "reader");
    let mut log = new_log();
    sell(&mut log, 10);
    let projection = begin(&config, log.reader());
    let durable = log.reader().durable();
    until_report(&projection, "all", |report| report.applied == Some(durable));
    let reader = projection.reader(&config).unwrap();
    // Twice, so that both connections are kept ones when the server dies.
    let both = [newest(&*reader), newest(&*reader)];
    assert!(both.iter().all(|page| page.as_ref().is_ok_and(|page| page.orders.len() == 1)));
    server.kill();
    let reason = newest(&*reader).unwrap_err();
    assert!(reason.contains("connect"), "{reason}");
    server.start();
    for _ in 0..4 {
        assert_eq!(newest(&*reader).unwrap().orders.len(), 1);
    }
    let elsewhere = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'reader'";
    server.rows(elsewhere);
    assert_eq!(newest(&*reader).unwrap().orders.len(), 1, "a cut connection is opened again");
    finish(projection, durable);
}

#[test]
fn reading_a_locked_table_ends_in_time() {
    let Some(server) = postgres_server::start() else { return };
    let config = config(&server, "waiting");
    let mut log = new_log();
    sell(&mut log, 10);
    let projection = begin(&config, log.reader());
    let durable = log.reader().durable();
    until_report(&projection, "all", |report| report.applied == Some(durable));
    let reader = projection.reader(&config).unwrap();
    let lock = "BEGIN; LOCK TABLE doorbuster.orders; SELECT pg_sleep(600); COMMIT";
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
         AND relation = 'doorbuster.orders'::regclass";
    std::thread::scope(|scope| {
        scope.spawn(|| drop(server.try_sql(lock)));
        until("a lock", || server.rows(locked) == ["1"]);
        let reason = newest(&*reader).unwrap_err();
        let said = ["no answer within", "lock timeout", "statement timeout"];
        assert!(said.iter().any(|said| reason.contains(said)), "{reason}");
        server.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'",
        );
    });
    assert_eq!(newest(&*reader).unwrap().orders.len(), 1);
}

/// PgBouncer in transaction mode before a server; ends with it.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the pooler's settings")]
fn pooler_in_transaction_mode_may_stand_between() {
    let pgbouncer = Path::new("/usr/sbin/pgbouncer");
    if !pgbouncer.exists() {
        eprintln!("skipped: no PgBouncer (apt-get install pgbouncer)");
        return;
    }
    let Some(server) = postgres_server::start() else { return };
    let dir = server.dir();
    let text = dir.display();
    let settings = format!(
        "[databases]\npostgres = host={text} port=5432 dbname=postgres\n[pgbouncer]\n\
         unix_socket_dir = {text}\nlisten_port = 6543\nlisten_addr =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = 3\n"
    )
    .replace("dbname=postgres", "dbname=postgres user=postgres");
    std::fs::write(dir.join("pgbouncer.ini"), settings).unwrap();
    let mut command = server.command(pgbouncer);
    command.args(["-q", "pgbouncer.ini"]).stdout(Stdio::null()).stderr(Stdio::null());
    let _pooler = Pooler(command.spawn().expect("the pooler runs"));
    until("the pooler's socket", || dir.join(".s.PGSQL.6543").exists());

    let url = server.url("pooled").replace("/postgres?", ":6543/postgres?");
    let schema = SchemaName::usual();
    let pooled = StoreConfig::Postgres { url: url.parse().unwrap(), schema };
    let mut log = new_log();
    // Two at once, so that the pooler hands their transactions to different server processes.
    let both = [begin(&pooled, log.reader()), begin(&pooled, log.reader())];
    until_report(&both[0], "a start", |report| report.applied.is_some());
    let reader = both[0].reader(&pooled).unwrap();
    for _ in 0..20 {
        sell(&mut log, 100);
        newest(&*reader).unwrap();
    }
    let last = log.reader().durable();
    for projection in both {
        finish(projection, last);
    }
    assert_sold(&pooled, 2_000);
    assert_sold(&config(&server, "direct"), 2_000);
}

#[test]
fn schema_restored_from_another_time_stops_it() {
    let Some(server) = postgres_server::start() else { return };
    let config = config(&server, "restored");
    let mut log = new_log();
    sell(&mut log, 10);
    project(&config, &log.reader());
    server.rows("UPDATE doorbuster.progress SET checksum = checksum # 1");
    let reason = until_stopped(&begin(&config, log.reader()));
    assert!(reason.contains("restore both to the same time, or give this log another schema"));
}
