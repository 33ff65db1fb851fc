//! What the tables tell: orders and histories page by page, and the queries of docs/analysts.md.

use doorbuster::domain::{
    AdjustReason, BuyerId, Patch, ProductId, Reference, Sequence, TermsPatch,
};
use doorbuster::domain::{Text, Version};
use doorbuster::engine::ports::{
    Asked, HistoryPage, HistoryQuery, OrderPage, OrderQuery, OrderReader, OrdersOf, PAGE_ROWS_MAX,
    ProjectionUnavailable,
};
use doorbuster::journal::{HoldId, Kind, OrderId};

use crate::databases::Database;
use crate::faulty::{Fault, Faulty};
use crate::log::{START_MS, TestLog, pence};
use crate::mix::mixed_log;
use crate::projecting::{begin, begin_with, finish, project, until_report, until_stopped};
use crate::tables::{position, small_log};

fn wait<T>(asked: Asked<T>) -> Result<T, ProjectionUnavailable> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(asked)
}

fn buyer(buyer: &str) -> OrdersOf {
    OrdersOf::Buyer(BuyerId::new(buyer).unwrap())
}

fn orders(
    reader: &dyn OrderReader,
    of: OrdersOf,
    before: Option<OrderId>,
    limit: u32,
) -> OrderPage {
    wait(reader.orders(OrderQuery { of, before, limit })).expect("a page")
}

fn history(
    reader: &dyn OrderReader,
    product: &str,
    before: Option<Version>,
    limit: u32,
) -> HistoryPage {
    let product_id = ProductId::new(product).unwrap();
    wait(reader.history(HistoryQuery { product_id, before, limit })).expect("a page")
}

pub(crate) fn orders_are_found_by_buyer_and_reference(database: &Database) {
    let mut log = TestLog::new(1);
    log.create("lamp", 100, |_| ());
    let (web_1, web_2) = (Some("web-1"), Some("web-2"));
    let first = log.order("ann", &[("lamp", 1, None)], web_1);
    let bobs = log.order("bob", &[("lamp", 1, None)], web_1);
    let second = log.order("ann", &[("lamp", 1, None)], web_2);
    let hold = log.hold("ann", &[("lamp", 2, None)], 1_000, None);
    let third = log.confirm(hold, Some(&[(0, 1)]), web_1);
    log.cancel(first, None, true, None).unwrap();
    let last = log.sync();
    let projection = begin(&database.config(), log.reader());
    let reader = projection.reader(&database.config()).unwrap();
    until_report(&projection, "all", |report| report.applied == Some(last));

    let ids = |sequences: &[Sequence]| -> Vec<OrderId> {
        sequences.iter().map(|sequence| OrderId(position(*sequence))).collect()
    };
    let all = orders(&*reader, buyer("ann"), None, 3);
    assert_eq!((all.orders, all.next), (ids(&[third, second, first]), None), "newest first");
    assert_eq!(all.complete_to, position(last));
    let page = orders(&*reader, buyer("ann"), None, 2);
    assert_eq!((page.orders, page.next), (ids(&[third, second]), Some(ids(&[second])[0])));
    let page = orders(&*reader, buyer("ann"), page.next, 2);
    assert_eq!((page.orders, page.next), (ids(&[first]), None));
    let reference = || Reference::new("web-1").unwrap();
    let page = orders(&*reader, OrdersOf::Reference(reference()), None, PAGE_ROWS_MAX);
    assert_eq!(page.orders, ids(&[third, bobs, first]));
    let ann = BuyerId::new("ann").unwrap();
    let page = orders(&*reader, OrdersOf::Both(ann, reference()), Some(ids(&[third])[0]), 9);
    assert_eq!((page.orders, page.next), (ids(&[first]), None));
    assert_eq!(orders(&*reader, buyer("zoe"), None, 0).orders, [], "a page has at least one");
    finish(projection, last);
}

pub(crate) fn a_history_tells_each_change_of_a_product(database: &Database) {
    let mut log = TestLog::new(1);
    log.create("lamp", 10, |terms| terms.price = Some(pence(250)));
    let scratched = AdjustReason::Other(Text::new("Kratzer, größer").unwrap());
    log.adjust("lamp", -1, scratched, Some("count-3"));
    let order = log.order("ann", &[("lamp", 3, None)], Some("web-1"));
    log.now_ms += 7;
    let hold = log.hold("bob", &[("lamp", 2, None)], 1_000, None);
    log.release(hold);
    log.cancel(order, Some(&[(0, 2)]), false, None).unwrap();
    log.change("lamp", TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() });
    let last = log.sync();
    project(&database.config(), &log.reader());
    let projection = begin(&database.config(), log.reader());
    let reader = projection.reader(&database.config()).unwrap();
    until_report(&projection, "all", |report| report.applied == Some(last));

    let page = history(&*reader, "lamp", None, 100);
    assert_eq!((page.complete_to, page.next), (position(last), None));
    let deltas = page.movements.iter().map(|m| {
        let figures = (m.stock, m.held, m.sold);
        (m.version.get(), m.kind, (m.stock_delta, m.held_delta, m.sold_delta), figures)
    });
    assert_eq!(
        deltas.collect::<Vec<_>>(),
        [
            (7, Kind::TermsChanged, (0, 0, 0), (7, 0, 1)),
            (6, Kind::OrderCancelled, (-2, 0, -2), (7, 0, 1)),
            (5, Kind::HoldReleased, (0, -2, 0), (9, 0, 3)),
            (4, Kind::HoldPlaced, (0, 2, 0), (9, 2, 3)),
            (3, Kind::OrderPlaced, (0, 0, 3), (9, 0, 3)),
            (2, Kind::StockAdjusted, (-1, 0, 0), (9, 0, 0)),
            (1, Kind::ProductCreated, (10, 0, 0), (10, 0, 0)),
        ]
    );
    let [terms, cancelled, released, _, bought, adjusted, _] = &page.movements[..] else {
        panic!()
    };
    assert_eq!(terms.terms.as_deref(), Some(r#"{"paused":true}"#));
    let (order_id, hold_id) = (OrderId(position(order)), HoldId(position(hold)));
    assert_eq!(cancelled.order_id, Some(order_id));
    let why = (cancelled.reason.as_deref(), cancelled.text.as_deref());
    assert_eq!(why, (Some("written_off"), Some("Changed her mind")));
    assert_eq!((released.hold_id, released.order_id), (Some(hold_id), None));
    assert_eq!((bought.order_id, bought.sequence), (Some(order_id), order));
    assert_eq!((bought.decided_at_ms, cancelled.decided_at_ms), (START_MS, START_MS + 7));
    assert_eq!(bought.reference, Some(Reference::new("web-1").unwrap()));
    assert_eq!(bought.principal.as_str(), "shop");
    let why = (adjusted.reason.as_deref(), adjusted.text.as_deref());
    assert_eq!(why, (Some("other"), Some("Kratzer, größer")));

    let page = history(&*reader, "lamp", Some(Version::new(4)), 2);
    let versions: Vec<_> = page.movements.iter().map(|movement| movement.version.get()).collect();
    assert_eq!((versions, page.next), (vec![3, 2], Some(Version::new(2))));
    assert_eq!(history(&*reader, "sofa", None, 9).movements, [], "no such product");
    finish(projection, last);
}

pub(crate) fn what_is_read_is_whole_while_records_are_written(database: &Database) {
    let mut log = small_log(10);
    let placed = |upto: Sequence| upto.get() - 13;
    let projection = begin(&database.config(), log.reader());
    let reader = projection.reader(&database.config()).unwrap();
    let first = log.reader().durable();
    until_report(&projection, "the start", |report| report.applied == Some(first));
    for _ in 0..60 {
        for _ in 0..20 {
            log.order("ann", &[("lamp", 1, None)], None);
        }
        let last = log.sync();
        let page = orders(&*reader, buyer("ann"), None, PAGE_ROWS_MAX);
        assert!(page.complete_to <= position(last));
        let expected = placed(page.complete_to.sequence).min(u64::from(PAGE_ROWS_MAX));
        assert_eq!(page.orders.len() as u64, expected, "all up to {}", page.complete_to);
        let newest = page.orders.first().map(|OrderId(position)| *position);
        assert!(newest.is_none_or(|newest| newest == page.complete_to));
        let movements = history(&*reader, "lamp", None, 1);
        let moved = movements.movements.first().expect("a movement").sequence;
        assert_eq!(moved.max(first), movements.complete_to.sequence);
    }
    let last = log.sync();
    until_report(&projection, "all", |report| report.applied == Some(last));
    let mut before = None;
    let mut found = 0;
    loop {
        let page = orders(&*reader, buyer("ann"), before, 7);
        found += page.orders.len() as u64;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, placed(last), "page by page");
    finish(projection, last);
}

pub(crate) fn nothing_is_read_of_tables_that_are_not_a_copy_of_the_log(database: &Database) {
    let config = database.config();
    let reason = |asked| wait::<OrderPage>(asked).expect_err("no page").reason;
    let ask = || OrderQuery { of: buyer("b1"), before: None, limit: 9 };
    // Never opened, then opened: the same reader.
    let log = small_log(5);
    let projection = begin_with(Faulty::new(&config, |_, _| Fault::Before), log.reader());
    until_report(&projection, "a retry", |report| report.problem.is_some());
    let reader = projection.reader(&config).unwrap();
    assert!(reason(reader.orders(ask())).contains("nothing was done"));
    projection.stop();

    project(&config, &log.reader());
    let other = TestLog::new(2);
    let projection = begin(&config, other.reader());
    until_stopped(&projection);
    let reader = projection.reader(&config).unwrap();
    assert!(reason(reader.orders(ask())).contains("give this log another"));
    projection.stop();

    // Changed behind the projector's back.
    let projection = begin(&config, log.reader());
    let durable = log.reader().durable();
    until_report(&projection, "all", |report| report.applied == Some(durable));
    let reader = projection.reader(&config).unwrap();
    assert_eq!(wait(reader.orders(ask())).unwrap().orders.len(), 1);
    let ahead = "UPDATE progress SET sequence = sequence + 1";
    database.execute(ahead, ahead);
    assert_eq!(reason(reader.orders(ask())), "the tables are not a copy of this log");
    let another = "UPDATE progress SET sequence = sequence - 1, \
        journal_id = '02020202020202020202020202020202'";
    database.execute(another, another);
    assert_eq!(reason(reader.orders(ask())), "the tables are not a copy of this log");
    drop(reader.orders(ask()));
    drop(projection);
}

/// Every query of the manual runs on both databases, as it stands there.
#[expect(clippy::disallowed_methods, reason = "reads the manual")]
pub(crate) fn the_manuals_queries_run(database: &Database) {
    project(&database.config(), &mixed_log(500).reader());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/analysts.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let blocks = manual.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut run = 0;
    for query in blocks.flat_map(|block| block.split_inclusive(";\n")) {
        let postgres_only = query.contains("date_trunc");
        if postgres_only && matches!(database, Database::Sqlite(_)) {
            continue;
        }
        let rows = database.rows(query.trim().trim_end_matches(';'));
        if query.contains("WHERE p.sold <>") || query.contains("p.held <>") {
            assert_eq!(rows, [""; 0], "{query}");
        }
        run += 1;
    }
    assert!(run > 10, "{run} queries");
}
