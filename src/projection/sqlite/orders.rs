//! Orders, their lines and holds in SQLite: read, added and changed row by row.

use rusqlite::{Connection, OptionalExtension, params};

use crate::projection::plan::Touched;
use crate::projection::rows::{Found, FoundHold, FoundLine, FoundOrder, Rows};
use crate::projection::time::{ms_of_rfc3339, rfc3339};

const READ_ORDER: &str = "SELECT status FROM orders WHERE order_id = ?1";

const READ_LINE: &str = "SELECT product_id, quantity, cancelled FROM order_lines \
     WHERE order_id = ?1 AND line_no = ?2";

const READ_HOLD: &str = "SELECT status, expires_at FROM holds WHERE hold_id = ?1";

const ADD_ORDER: &str = "INSERT INTO orders (partition, order_id, sequence, buyer_id, reference, \
     principal, status, placed_at, hold_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const ADD_LINE: &str = "INSERT INTO order_lines (order_id, line_no, product_id, quantity, \
     unit_price_minor, currency, cancelled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

const ADD_HOLD: &str = "INSERT INTO holds (partition, hold_id, sequence, buyer_id, reference, \
     principal, placed_at, expires_at, status, resolved_at, order_id) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

const CHANGE_ORDER: &str = "UPDATE orders SET status = ?2 WHERE order_id = ?1 AND status = ?3";

const CHANGE_LINE: &str = "UPDATE order_lines SET cancelled = ?3 \
     WHERE order_id = ?1 AND line_no = ?2 AND cancelled = ?4";

const CHANGE_HOLD: &str = "UPDATE holds SET expires_at = ?2, status = ?3, resolved_at = ?4, \
     order_id = ?5 WHERE hold_id = ?1 AND status = 'held'";

/// Reads those that a batch touches.
pub(super) fn read(
    connection: &Connection,
    touched: &Touched,
    found: &mut Found,
) -> rusqlite::Result<()> {
    let mut read = connection.prepare_cached(READ_ORDER)?;
    for id in &touched.orders {
        let order = |status| FoundOrder { order_id: id.as_str().into(), status };
        found.orders.extend(read.query_row([id], |row| row.get(0)).optional()?.map(order));
    }
    let mut read = connection.prepare_cached(READ_LINE)?;
    for (id, line_no) in &touched.lines {
        let line = read.query_row(params![id, line_no], |row| {
            Ok(FoundLine {
                order_id: id.as_str().into(),
                line_no: *line_no,
                product_id: row.get::<_, String>(0)?.into(),
                quantity: row.get(1)?,
                cancelled: row.get(2)?,
            })
        });
        found.lines.extend(line.optional()?);
    }
    let mut read = connection.prepare_cached(READ_HOLD)?;
    for id in &touched.holds {
        let hold = read.query_row([id], |row| {
            let expires_at: String = row.get(1)?;
            Ok(FoundHold {
                hold_id: id.as_str().into(),
                status: row.get(0)?,
                expires_at_ms: ms_of_rfc3339(&expires_at).unwrap_or(0),
            })
        });
        found.holds.extend(hold.optional()?);
    }
    Ok(())
}

/// Changes rows that were there; `false`: one was not as it was read.
pub(super) fn change(connection: &Connection, rows: &Rows<'_>) -> rusqlite::Result<bool> {
    let mut change = connection.prepare_cached(CHANGE_ORDER)?;
    let mut changed = 0;
    for order in &rows.orders_changed {
        changed += change.execute(params![&*order.order_id, order.status, order.expected])?;
    }
    let mut change = connection.prepare_cached(CHANGE_LINE)?;
    for line in &rows.lines_changed {
        let (id, cancelled) = (&*line.order_id, line.cancelled);
        changed += change.execute(params![id, line.line_no, cancelled, line.expected])?;
    }
    let mut change = connection.prepare_cached(CHANGE_HOLD)?;
    for hold in &rows.holds_changed {
        let state = &hold.state;
        changed += change.execute(params![
            &*hold.hold_id,
            rfc3339(state.expires_at_ms),
            state.status(),
            state.resolved_at_ms().map(rfc3339),
            state.order_id(),
        ])?;
    }
    let all = rows.orders_changed.len() + rows.lines_changed.len() + rows.holds_changed.len();
    Ok(changed == all)
}

/// Adds new rows.
pub(super) fn insert(
    connection: &Connection,
    partition: u16,
    rows: &Rows<'_>,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(ADD_ORDER)?;
    for row in &rows.orders {
        add.execute(params![
            partition,
            &*row.order_id,
            row.sequence,
            row.buyer_id,
            row.reference,
            row.principal,
            row.status,
            rfc3339(row.placed_at_ms),
            row.hold_id.as_deref(),
        ])?;
    }
    let mut add = connection.prepare_cached(ADD_LINE)?;
    for row in &rows.lines {
        add.execute(params![
            &*row.order_id,
            row.line_no,
            &*row.product_id,
            row.quantity,
            row.unit_price_minor,
            row.currency.as_ref().map(|currency| currency.as_str()),
            row.cancelled,
        ])?;
    }
    let mut add = connection.prepare_cached(ADD_HOLD)?;
    for row in &rows.holds {
        add.execute(params![
            partition,
            &*row.hold_id,
            row.sequence,
            row.buyer_id,
            row.reference,
            row.principal,
            rfc3339(row.placed_at_ms),
            rfc3339(row.state.expires_at_ms),
            row.state.status(),
            row.state.resolved_at_ms().map(rfc3339),
            row.state.order_id(),
        ])?;
    }
    Ok(())
}
