//! Orders: placed, and coming back line by line.

use std::sync::Arc;

use super::moves::{About, Moves};
use super::touched::line_no;
use super::{At, Plan};
use crate::domain::{CancelledLine, Change, OrderCancelled, OrderLine, OrderPlaced, OrderStatus};
use crate::projection::fields::{Misfit, figure, price};
use crate::projection::rows::{Deltas, LineRow, OrderRow};

impl<'a> Plan<'a> {
    pub(super) fn place_order(
        &mut self,
        at: &At<'a>,
        order: &'a OrderPlaced,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        self.check_follow(changes)?;
        let order_id = self.order_id(at.place);
        let mut moves = Moves::of(changes);
        moves.add_lines(&order.lines, |units| Deltas { sold: units, ..Deltas::default() })?;
        let lines = self.lines_of(&order_id, order)?;
        let about = About { order_id: Some(Arc::clone(&order_id)), ..About::default() };
        self.make(at, changes, &moves, &about);
        self.add_order(at, order_id, order, lines, None);
        Ok(())
    }

    /// The rows of an order's lines.
    pub(super) fn lines_of(
        &self,
        order_id: &Arc<str>,
        order: &OrderPlaced,
    ) -> Result<Vec<LineRow>, Misfit> {
        let row = |(line, line_no): (&OrderLine, i32)| {
            let (unit_price_minor, currency) = price(line.unit_price)?;
            Ok(LineRow {
                order_id: Arc::clone(order_id),
                line_no,
                product_id: Arc::clone(&self.tracked(line.product)?.row.product_id),
                quantity: figure("quantity", line.quantity.units())?,
                unit_price_minor,
                currency,
                cancelled: 0,
            })
        };
        order.lines.iter().zip(1..).map(row).collect()
    }

    pub(super) fn add_order(
        &mut self,
        at: &At<'a>,
        order_id: Arc<str>,
        order: &'a OrderPlaced,
        mut lines: Vec<LineRow>,
        hold_id: Option<Arc<str>>,
    ) {
        self.rows.lines.append(&mut lines);
        self.rows.orders.push(OrderRow {
            order_id,
            sequence: at.sequence,
            buyer_id: order.buyer_id.as_str(),
            reference: at.reference(),
            principal: at.principal(),
            status: OrderStatus::Placed.as_str(),
            placed_at_ms: at.decided_at_ms,
            hold_id,
        });
    }

    pub(super) fn cancel_order(
        &mut self,
        at: &At<'a>,
        cancelled: &'a OrderCancelled,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        self.check_follow(changes)?;
        let order_id = self.order_id(cancelled.order);
        if self.order_status(&order_id)? == OrderStatus::Cancelled.as_str() {
            return Err(Misfit::Cancelled(order_id));
        }
        let mut moves = Moves::of(changes);
        for line in &cancelled.lines {
            let units = self.check_left(&order_id, line)?;
            let written_off = if cancelled.restocked { 0 } else { units };
            moves.add(line.product, Deltas { stock: -written_off, held: 0, sold: -units })?;
        }
        let reason = if cancelled.restocked { "restocked" } else { "written_off" };
        let about = About {
            order_id: Some(Arc::clone(&order_id)),
            reason: Some(reason),
            text: Some(cancelled.reason.as_str()),
            ..About::default()
        };
        self.make(at, changes, &moves, &about);
        for line in &cancelled.lines {
            // Checked to fit, unless the record names a line twice: the table refuses that.
            *self.line(&order_id, line_no(line.place))?.cancelled += units_of(line)?;
        }
        self.set_order_status(&order_id, cancelled.status().as_str());
        Ok(())
    }

    /// The units of a line that come back, if so many are left of it.
    fn check_left(&mut self, order_id: &Arc<str>, line: &CancelledLine) -> Result<i64, Misfit> {
        let (units, line_no) = (units_of(line)?, line_no(line.place));
        let product_id = Arc::clone(&self.tracked(line.product)?.row.product_id);
        let row = self.line(order_id, line_no)?;
        let left = row.quantity - *row.cancelled;
        if *row.product_id != product_id {
            return Err(Misfit::Body("a line of the order is of another product"));
        }
        if units > left {
            let order_id = Arc::clone(order_id);
            return Err(Misfit::Line { order_id, line_no, left, record: units });
        }
        Ok(units)
    }
}

fn units_of(line: &CancelledLine) -> Result<i64, Misfit> {
    figure("quantity", line.quantity.units())
}
