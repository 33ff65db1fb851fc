//! Orders, lines and holds as a batch leaves them so far: those the tables have, beside those the
//! batch makes, which are found among its new rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Plan;
use crate::projection::fields::Misfit;
use crate::projection::rows::{
    FoundHold, FoundLine, FoundOrder, HELD, HoldChange, HoldState, LineChange, OrderChange, Rows,
};

type ById<T> = HashMap<Arc<str>, T, RandomState>;

/// Orders and holds that the tables have.
pub(super) struct Standing {
    orders: ById<StandingOrder>,
    holds: ById<StandingHold>,
}

struct StandingOrder {
    found: String,
    now: Option<&'static str>,
    /// Those the batch touches.
    lines: BTreeMap<i32, StandingLine>,
}

struct StandingLine {
    found: FoundLine,
    cancelled: i64,
}

struct StandingHold {
    found: String,
    state: HoldState,
    changed: bool,
}

/// A line of an order, wherever it stands.
pub(super) struct LineAt<'a> {
    pub(super) product_id: &'a Arc<str>,
    pub(super) quantity: i64,
    pub(super) cancelled: &'a mut i64,
}

impl Standing {
    pub(super) fn of(
        orders: Vec<FoundOrder>,
        lines: Vec<FoundLine>,
        holds: Vec<FoundHold>,
    ) -> Self {
        let order = |FoundOrder { order_id, status }| {
            (order_id, StandingOrder { found: status, now: None, lines: BTreeMap::new() })
        };
        let hold = |FoundHold { hold_id, status, expires_at_ms }| {
            let state = HoldState { expires_at_ms, end: None };
            (hold_id, StandingHold { found: status, state, changed: false })
        };
        let mut orders: ById<StandingOrder> = orders.into_iter().map(order).collect();
        for found in lines {
            if let Some(order) = orders.get_mut(&found.order_id) {
                let cancelled = found.cancelled;
                order.lines.insert(found.line_no, StandingLine { found, cancelled });
            }
        }
        Self { orders, holds: holds.into_iter().map(hold).collect() }
    }

    /// Adds what became of them, in the order of their ids: whoever writes locks in this order.
    pub(super) fn changes(self, rows: &mut Rows<'_>) {
        for (order_id, order) in self.orders {
            for line in order.lines.into_values() {
                let (found, cancelled) = (line.found, line.cancelled);
                if cancelled != found.cancelled {
                    rows.lines_changed.push(LineChange {
                        order_id: found.order_id,
                        line_no: found.line_no,
                        expected: found.cancelled,
                        cancelled,
                    });
                }
            }
            if let Some(status) = order.now {
                rows.orders_changed.push(OrderChange { order_id, expected: order.found, status });
            }
        }
        for (hold_id, hold) in self.holds {
            if hold.changed {
                rows.holds_changed.push(HoldChange { hold_id, state: hold.state });
            }
        }
        rows.orders_changed.sort_unstable_by(|a, b| a.order_id.cmp(&b.order_id));
        rows.lines_changed
            .sort_unstable_by(|a, b| (&a.order_id, a.line_no).cmp(&(&b.order_id, b.line_no)));
        rows.holds_changed.sort_unstable_by(|a, b| a.hold_id.cmp(&b.hold_id));
    }
}

/// Ids of one journal sort as its records do, so new rows are found by halves.
impl Plan<'_> {
    pub(super) fn order_status(&self, order_id: &str) -> Result<&str, Misfit> {
        let new = self.rows.orders.binary_search_by(|row| (*row.order_id).cmp(order_id));
        if let Some(row) = new.ok().and_then(|at| self.rows.orders.get(at)) {
            return Ok(row.status);
        }
        let order = self.standing.orders.get(order_id);
        let order = order.ok_or_else(|| Misfit::MissingOrder(order_id.into()))?;
        Ok(order.now.unwrap_or(&order.found))
    }

    /// Of an order that is there.
    pub(super) fn set_order_status(&mut self, order_id: &str, status: &'static str) {
        let new = self.rows.orders.binary_search_by(|row| (*row.order_id).cmp(order_id));
        if let Some(row) = new.ok().and_then(|at| self.rows.orders.get_mut(at)) {
            row.status = status;
        } else if let Some(order) = self.standing.orders.get_mut(order_id) {
            // Also when it stays as it was: its row is then still there when this is written.
            order.now = Some(status);
        }
    }

    pub(super) fn line(&mut self, order_id: &str, line_no: i32) -> Result<LineAt<'_>, Misfit> {
        let key = (order_id, line_no);
        let new = self.rows.lines.binary_search_by(|row| (&*row.order_id, row.line_no).cmp(&key));
        let missing = || Misfit::MissingLine(order_id.into(), line_no);
        match new {
            Ok(at) => {
                let row = self.rows.lines.get_mut(at).ok_or_else(missing)?;
                let (product_id, quantity) = (&row.product_id, row.quantity);
                Ok(LineAt { product_id, quantity, cancelled: &mut row.cancelled })
            }
            Err(_) => {
                let order = self.standing.orders.get_mut(order_id).ok_or_else(missing)?;
                let line = order.lines.get_mut(&line_no).ok_or_else(missing)?;
                let StandingLine { found, cancelled } = line;
                Ok(LineAt { product_id: &found.product_id, quantity: found.quantity, cancelled })
            }
        }
    }

    /// A hold that has not ended, to be changed.
    pub(super) fn live_hold(&mut self, hold_id: &Arc<str>) -> Result<&mut HoldState, Misfit> {
        let ended = |status: &str| Misfit::Ended {
            hold_id: Arc::clone(hold_id),
            status: status.to_owned(),
        };
        let new = self.rows.holds.binary_search_by(|row| (*row.hold_id).cmp(hold_id));
        if let Some(row) = new.ok().and_then(|at| self.rows.holds.get_mut(at)) {
            return match row.state.status() {
                HELD => Ok(&mut row.state),
                status => Err(ended(status)),
            };
        }
        let hold = self.standing.holds.get_mut(hold_id);
        let hold = hold.ok_or_else(|| Misfit::MissingHold(Arc::clone(hold_id)))?;
        match (hold.found.as_str(), hold.state.status()) {
            (HELD, HELD) => {
                hold.changed = true;
                Ok(&mut hold.state)
            }
            (HELD, status) => Err(ended(status)),
            (status, _) => Err(ended(status)),
        }
    }
}
