//! Holds and what comes back of orders: their rows, and what becomes of records that do not fit.

use crate::databases::Database;
use crate::log::{TestLog, pence};
use crate::projecting::project;
use crate::tables::{assert_equal, hold_id, more_orders, order_id, read, small_log};

fn holds_of(database: &Database) -> Vec<String> {
    database.rows(&format!(
        "SELECT hold_id, partition, sequence, buyer_id, reference, principal, status, {}, {}, {}, \
         order_id FROM holds ORDER BY sequence",
        database.time("placed_at"),
        database.time("expires_at"),
        database.time("resolved_at")
    ))
}

fn movements_of(database: &Database, kinds: &str) -> Vec<String> {
    database.rows(&format!(
        "SELECT product_id, version, sequence, kind, stock_delta, held_delta, sold_delta, \
         stock, held, sold, reason, text, order_id, hold_id, reference FROM movements \
         WHERE kind LIKE '{kinds}' ORDER BY sequence, product_id"
    ))
}

pub(crate) fn every_end_of_a_hold_leaves_its_rows(database: &Database) {
    let mut log = TestLog::new(1);
    log.create("lamp", 20, |terms| terms.price = Some(pence(250)));
    log.create("sofa", 20, |_| ());
    let kept = log.hold("ann", &[("lamp", 1, None)], 60_000, Some("cart-1"));
    let over = log.hold("bob", &[("lamp", 2, None)], 10, None);
    let longer = log.extend(kept, 90_000);
    log.now_ms += 5;
    let lines = [("lamp", 2, Some(199)), ("sofa", 3, None), ("lamp", 1, None)];
    let part = log.hold("cleo", &lines, 1_000, None);
    let back = log.hold("dora", &[("sofa", 4, None)], 1_000, None);
    let paused = log.pause_everything(true);
    let order = log.confirm(part, Some(&[(0, 1), (1, 2)]), Some("web-7"));
    let released = log.release(back);
    log.now_ms += 5;
    assert_eq!(log.expire(), 1);
    let expired = log.sync();
    project(&database.config(), &log.reader());
    assert_equal(database, &log);

    let id = hold_id;
    let (at, later) = ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.005Z");
    let end = "2023-11-14T22:13:20.010Z";
    assert_eq!(
        holds_of(database),
        [
            format!("{}|1|{kept}|ann|cart-1|shop|held|{at}|2023-11-14T22:14:50.000Z|-|-", id(kept)),
            format!("{}|1|{over}|bob|-|shop|expired|{at}|{end}|{end}|-", id(over)),
            format!(
                "{}|1|{part}|cleo|-|shop|confirmed|{later}|2023-11-14T22:13:21.005Z|{later}|{}",
                id(part),
                order_id(order)
            ),
            format!(
                "{}|1|{back}|dora|-|shop|released|{later}|2023-11-14T22:13:21.005Z|{later}|-",
                id(back)
            ),
        ]
    );
    let (order_id, part_id) = (order_id(order), id(part));
    assert_eq!(
        movements_of(database, "hold%"),
        [
            format!("lamp|2|{kept}|hold_placed|0|1|0|20|1|0|-|-|-|{}|cart-1", id(kept)),
            format!("lamp|3|{over}|hold_placed|0|2|0|20|3|0|-|-|-|{}|-", id(over)),
            format!("lamp|4|{part}|hold_placed|0|3|0|20|6|0|-|-|-|{part_id}|-"),
            format!("sofa|2|{part}|hold_placed|0|3|0|20|3|0|-|-|-|{part_id}|-"),
            format!("sofa|3|{back}|hold_placed|0|4|0|20|7|0|-|-|-|{}|-", id(back)),
            format!("lamp|5|{order}|hold_confirmed|0|-3|1|20|3|1|-|-|{order_id}|{part_id}|web-7"),
            format!("sofa|4|{order}|hold_confirmed|0|-3|2|20|4|2|-|-|{order_id}|{part_id}|web-7"),
            format!("sofa|5|{released}|hold_released|0|-4|0|20|0|2|-|-|-|{}|-", id(back)),
            format!("lamp|6|{expired}|hold_expired|0|-2|0|20|1|1|-|-|-|{}|-", id(over)),
        ]
    );
    let orders = "SELECT order_id, buyer_id, reference, status, hold_id FROM orders";
    assert_eq!(database.rows(orders), [format!("{order_id}|cleo|web-7|placed|{part_id}")]);
    let lines = "SELECT line_no, product_id, quantity, unit_price_minor, currency, cancelled \
        FROM order_lines ORDER BY line_no";
    assert_eq!(database.rows(lines), ["1|lamp|1|199|GBP|0", "2|sofa|2|-|-|0"]);
    let silent = [longer, paused].map(|sequence| {
        let of = format!("SELECT count(*) FROM movements WHERE sequence = {sequence}");
        database.number(&of)
    });
    assert_eq!(silent, [0, 0], "what moves nothing leaves no movement");
}

pub(crate) fn what_comes_back_of_an_order_leaves_its_rows(database: &Database) {
    let mut log = TestLog::new(1);
    log.create("lamp", 20, |_| ());
    log.create("sofa", 20, |_| ());
    let order =
        log.order("ann", &[("lamp", 3, Some(250)), ("sofa", 2, None), ("lamp", 1, None)], None);
    log.sync();
    project(&database.config(), &log.reader());
    let part = log.cancel(order, Some(&[(0, 1), (2, 1)]), true, Some("rma-1")).unwrap();
    log.sync();
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
    let status = "SELECT status FROM orders";
    assert_eq!(database.rows(status), ["partly_cancelled"]);
    let rest = log.cancel(order, None, false, None).unwrap();
    log.sync();
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
    assert_eq!(database.rows(status), ["cancelled"]);
    let lines = "SELECT line_no, quantity, cancelled FROM order_lines ORDER BY line_no";
    assert_eq!(database.rows(lines), ["1|3|3", "2|2|2", "3|1|1"]);
    let (id, text) = (order_id(order), "Changed her mind");
    assert_eq!(
        movements_of(database, "order_cancelled"),
        [
            format!("lamp|3|{part}|order_cancelled|0|0|-2|20|0|2|restocked|{text}|{id}|-|rma-1"),
            format!("lamp|4|{rest}|order_cancelled|-2|0|-2|18|0|0|written_off|{text}|{id}|-|-"),
            format!("sofa|3|{rest}|order_cancelled|-2|0|-2|18|0|0|written_off|{text}|{id}|-|-"),
        ]
    );
    let ledger = read(&database.config());
    assert_eq!((ledger.order_lines, ledger.units()), (3, 0));
    assert_eq!(ledger.products["lamp"].money_minor["GBP"], 0);
}

pub(crate) fn what_a_batch_makes_it_may_end(database: &Database) {
    let mut log = TestLog::new(1);
    log.create("lamp", 1_000, |_| ());
    for number in 0..50 {
        let order = log.order("ann", &[("lamp", 2, None)], None);
        let hold = log.hold("bob", &[("lamp", 3, None)], 100, None);
        log.cancel(order, Some(&[(0, 1)]), true, None).unwrap();
        log.extend(hold, 200);
        match number % 3 {
            0 => drop(log.release(hold)),
            1 => {
                let order = log.confirm(hold, Some(&[(0, 2)]), None);
                log.cancel(order, None, number % 2 == 0, None).unwrap();
            }
            _ => {
                log.now_ms += 200;
                assert_eq!(log.expire(), 1);
            }
        }
        log.cancel(order, None, true, None).unwrap();
    }
    log.sync();
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
    assert_eq!(database.number("SELECT sold + held FROM products"), 0);
}

pub(crate) fn many_holds_that_are_over_at_once_end_together(database: &Database) {
    const HOLDS: u64 = 20_000;
    let mut log = TestLog::new(1);
    log.create("lamp", HOLDS, |_| ());
    log.create("sofa", HOLDS, |_| ());
    for number in 0..HOLDS {
        let id = ["lamp", "sofa"][number as usize % 2];
        log.hold(&format!("b{number}"), &[(id, 2, None)], 1_000, None);
        if number % 1_000 == 0 {
            log.sync();
        }
    }
    log.sync();
    project(&database.config(), &log.reader());
    assert_eq!(database.number("SELECT count(*) FROM holds WHERE status = 'held'"), HOLDS);
    log.now_ms += 1_000;
    assert_eq!(log.expire(), HOLDS);
    log.sync();
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
    assert_eq!(database.number("SELECT count(*) FROM holds WHERE status = 'expired'"), HOLDS);
}

pub(crate) fn a_record_whose_hold_or_order_is_not_as_it_was_goes_to_quarantine(
    database: &Database,
) {
    let mut log = small_log(0);
    // Each record that does not fit has a product of its own, so only it is behind.
    let ids: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    for id in &ids {
        log.create(id, 100, |_| ());
    }
    let orders: Vec<_> = ids[..4]
        .iter()
        .map(|id| log.order("ann", &[(id.as_str(), 2, None), ("sofa", 1, None)], None))
        .collect();
    let holds: Vec<_> = ids[4..]
        .iter()
        .map(|id| log.hold("bob", &[(id.as_str(), 2, None)], 60_000, None))
        .collect();
    log.sync();
    project(&database.config(), &log.reader());
    let [no_order, no_line, over, none_left] = [0, 1, 2, 3].map(|at| order_id(orders[at]));
    let [no_hold, ended, expired, late] = [0, 1, 2, 3].map(|at| hold_id(holds[at]));
    let meddle = format!(
        "DELETE FROM orders WHERE order_id = '{no_order}'; \
         DELETE FROM order_lines WHERE order_id = '{no_line}' AND line_no = 1; \
         UPDATE orders SET status = 'cancelled' WHERE order_id = '{over}'; \
         UPDATE order_lines SET cancelled = 1 WHERE order_id = '{none_left}' AND line_no = 1; \
         DELETE FROM holds WHERE hold_id = '{no_hold}'; \
         UPDATE holds SET status = 'released', resolved_at = placed_at \
         WHERE hold_id IN ('{ended}', '{expired}', '{late}')"
    );
    database.execute(&meddle, &meddle);
    let cancelled: Vec<_> = orders
        .iter()
        .map(|order| log.cancel(*order, Some(&[(0, 2)]), true, None).unwrap())
        .collect();
    let confirmed = log.confirm(holds[0], None, None);
    let released = log.release(holds[1]);
    let extended = log.extend(holds[3], 90_000);
    log.now_ms += 60_000;
    assert_eq!(log.expire(), 1);
    let over_at = log.sync();
    more_orders(&mut log, 10);
    project(&database.config(), &log.reader());

    let rows = database.rows("SELECT sequence, code, error FROM quarantine ORDER BY sequence");
    let of = |at: usize| cancelled[at];
    assert_eq!(
        rows,
        [
            format!("{}|missing_order|the order {no_order} has no row", of(0)),
            format!("{}|missing_order|line 1 of the order {no_line} has no row", of(1)),
            format!("{}|order|the order {over} is cancelled in its row", of(2)),
            format!(
                "{}|order|line 1 of the order {none_left} has 1 units left in its row, the record \
                 cancels 2",
                of(3)
            ),
            format!("{confirmed}|missing_hold|the hold {no_hold} has no row"),
            format!("{released}|hold|the hold {ended} is released in its row"),
            format!("{extended}|hold|the hold {late} is released in its row"),
            format!("{over_at}|hold|the hold {expired} is released in its row"),
        ]
    );
    assert_eq!(read(&database.config()).orders, 3 + 10, "the rest went on, none was half done");
    let moved = "SELECT count(*) FROM movements WHERE kind IN ('order_cancelled', 'hold_released', \
        'hold_confirmed', 'hold_expired')";
    assert_eq!(database.number(moved), 0);
}
