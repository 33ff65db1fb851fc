//! What every case needs: small logs, and whether the tables are what a log makes of them.

use doorbuster::domain::{HoldEnd, Sequence};
use doorbuster::journal::{HoldId, JournalIdentity, OrderId, Payload, Position};
use doorbuster::projection::{Ledger, StoreConfig};

use crate::databases::Database;
use crate::log::{TestLog, identity, pence};

/// A log of two products and `orders` orders of one line.
pub(crate) fn small_log(orders: u64) -> TestLog {
    let mut log = TestLog::new(1);
    log.create("lamp", 1_000_000, |terms| terms.price = Some(pence(250)));
    log.create("sofa", 1_000_000, |_| ());
    more_orders(&mut log, orders);
    log.sync();
    log
}

pub(crate) fn more_orders(log: &mut TestLog, orders: u64) {
    for number in 0..orders {
        log.now_ms += 1;
        let id = if number % 3 == 0 { "sofa" } else { "lamp" };
        log.order(&format!("b{number}"), &[(id, 1 + number % 2, None)], None);
    }
    log.sync();
}

/// Its last record that is not a watermark.
fn last_with_rows(log: &TestLog) -> Sequence {
    let mut tail = log.reader().tail(Sequence::new(1));
    let mut last = Sequence::new(0);
    while let Some(record) = tail.next().expect("a log that can be read") {
        if !matches!(record.payload, Payload::Watermark) {
            last = record.sequence;
        }
    }
    last
}

/// Fails unless every record of the log is once in the tables, and nothing else is.
pub(crate) fn assert_equal(database: &Database, log: &TestLog) {
    let ledger = read(&database.config());
    assert_eq!(ledger.progress.map(|progress| progress.sequence), Some(last_with_rows(log)));
    assert_eq!(ledger.quarantined, 0);
    assert_eq!(ledger.products.len(), log.inventory.len());
    let mut changes = 0;
    let ids = database.rows("SELECT product_id FROM products ORDER BY handle");
    for (id, (_, product)) in ids.iter().zip(log.inventory.products()) {
        let totals = &ledger.products[id];
        let figures = product.figures;
        let expected = (figures.stock, figures.held, figures.sold, product.version.get());
        assert_eq!((totals.stock, totals.held, totals.sold, totals.version), expected, "{id}");
        assert_eq!(totals.units, figures.sold, "{id}");
        changes += product.version.get();
    }
    assert_eq!(ledger.movements, changes, "each version of each product once");
    let gaps = "SELECT count(*) FROM (SELECT product_id FROM movements GROUP BY product_id \
        HAVING min(version) <> 1 OR max(version) <> count(*)) AS gaps";
    assert_eq!(database.number(gaps), 0);
    let torn = "SELECT count(*) FROM orders o WHERE NOT EXISTS \
        (SELECT 1 FROM order_lines l WHERE l.order_id = o.order_id)";
    assert_eq!(database.number(torn), 0);
    assert_figures_follow(database);
    assert_holds(database, log);
    assert_returns(database, log);
}

/// The movements of a product make its figures, those of a hold that ended come to nothing.
fn assert_figures_follow(database: &Database) {
    let figures = "SELECT count(*) FROM products p JOIN (SELECT product_id, sum(stock_delta) AS \
        stock, sum(held_delta) AS held, sum(sold_delta) AS sold FROM movements GROUP BY product_id) \
        m USING (product_id) WHERE m.stock <> p.stock OR m.held <> p.held OR m.sold <> p.sold";
    assert_eq!(database.number(figures), 0);
    let left = "SELECT count(*) FROM (SELECT hold_id FROM movements m JOIN holds h USING (hold_id) \
        WHERE h.status <> 'held' GROUP BY hold_id HAVING sum(held_delta) <> 0) AS unbalanced";
    assert_eq!(database.number(left), 0);
}

/// Every hold is as the engine knows it.
fn assert_holds(database: &Database, log: &TestLog) {
    let holds = log.inventory.holds();
    let live = holds.iter().map(|(sequence, hold)| {
        let (id, at_ms) = (hold_id(sequence), hold.expires_at_ms);
        format!("{id}|held|{}|-", doorbuster::domain::rfc3339(at_ms))
    });
    let mut expected: Vec<_> = live.collect();
    expected.sort_unstable();
    let rows = format!(
        "SELECT hold_id, status, {}, order_id FROM holds WHERE status = 'held'",
        database.time("expires_at")
    );
    assert_eq!(sorted(database, &rows), expected);
    let ends = holds.ends(log.now_ms).map(|(hold, ended)| {
        let (status, at) = (ended.end.as_str(), doorbuster::domain::rfc3339(ended.by.at_ms));
        let order = match ended.end {
            HoldEnd::Confirmed => order_id(ended.by.sequence),
            HoldEnd::Released | HoldEnd::Expired => "-".to_owned(),
        };
        format!("{}|{status}|{at}|{order}", hold_id(hold))
    });
    let mut expected: Vec<_> = ends.collect();
    expected.sort_unstable();
    let rows = format!(
        "SELECT hold_id, status, {}, order_id FROM holds WHERE status <> 'held'",
        database.time("resolved_at")
    );
    assert_eq!(sorted(database, &rows), expected);
    let linked = "SELECT count(*) FROM holds h JOIN orders o ON o.order_id = h.order_id AND \
        o.hold_id = h.hold_id WHERE h.status = 'confirmed'";
    let confirmed = "SELECT count(*) FROM holds WHERE status = 'confirmed'";
    assert_eq!(database.number(linked), database.number(confirmed));
}

/// What came back of every order is as the engine knows it.
fn assert_returns(database: &Database, log: &TestLog) {
    let returns = log.inventory.returns().iter().flat_map(|(order, returned)| {
        let line = move |(place, units)| format!("{}|{}|{units}", order_id(order), place + 1);
        returned.lines().map(line).collect::<Vec<_>>()
    });
    let mut expected: Vec<_> = returns.collect();
    expected.sort_unstable();
    let lines = "SELECT order_id, line_no, cancelled FROM order_lines WHERE cancelled > 0";
    assert_eq!(sorted(database, lines), expected);
    let wrong = "SELECT count(*) FROM orders o JOIN (SELECT order_id, sum(quantity) AS units, \
        sum(cancelled) AS back FROM order_lines GROUP BY order_id) l USING (order_id) WHERE \
        status <> CASE WHEN back = 0 THEN 'placed' WHEN back < units THEN 'partly_cancelled' \
        ELSE 'cancelled' END";
    assert_eq!(database.number(wrong), 0);
}

pub(crate) fn read(config: &StoreConfig) -> Ledger {
    Ledger::read(config, 1).expect("the tables")
}

/// The id of the order that a record placed.
pub(crate) fn order_id(sequence: Sequence) -> String {
    OrderId(position(sequence)).to_string()
}

/// The id of the hold that a record placed.
pub(crate) fn hold_id(sequence: Sequence) -> String {
    HoldId(position(sequence)).to_string()
}

/// A place in the first log.
pub(crate) fn position(sequence: Sequence) -> Position {
    let JournalIdentity { partition, epoch, .. } = identity(1);
    Position { partition, epoch, sequence }
}

fn sorted(database: &Database, sql: &str) -> Vec<String> {
    let mut rows = database.rows(sql);
    rows.sort_unstable();
    rows
}
