//! Units that a record moves, by product: checked whole, then made.

use std::sync::Arc;

use super::{At, ByHandle, Plan};
use crate::domain::{Change, Handle, OrderLine};
use crate::projection::fields::{Misfit, figure};
use crate::projection::rows::{Deltas, MovementRow};

/// What moves of each product that a record changes.
pub(super) struct Moves(ByHandle<Deltas>);

/// What the movements of a record belong to.
#[derive(Default)]
pub(super) struct About<'a> {
    pub(super) order_id: Option<Arc<str>>,
    pub(super) hold_id: Option<Arc<str>>,
    pub(super) reason: Option<&'static str>,
    pub(super) text: Option<&'a str>,
}

impl Moves {
    /// Nothing yet, of the products that change.
    pub(super) fn of(changes: &[Change]) -> Self {
        Self(changes.iter().map(|change| (change.handle, Deltas::default())).collect())
    }

    /// Moves `deltas` too.
    pub(super) fn add(&mut self, product: Handle, deltas: Deltas) -> Result<(), Misfit> {
        let sum = self.0.get_mut(&product);
        let sum = sum.ok_or(Misfit::Body("a line's product is not changed"))?;
        sum.stock += deltas.stock;
        sum.held += deltas.held;
        sum.sold += deltas.sold;
        Ok(())
    }

    /// Moves the units of lines, each as `deltas` says.
    pub(super) fn add_lines(
        &mut self,
        lines: &[OrderLine],
        deltas: impl Fn(i64) -> Deltas,
    ) -> Result<(), Misfit> {
        for line in lines {
            self.add(line.product, deltas(figure("quantity", line.quantity.units())?))?;
        }
        Ok(())
    }
}

impl<'a> Plan<'a> {
    /// Makes the changes of a record that was checked, and leaves a movement of each.
    pub(super) fn make(
        &mut self,
        at: &At<'a>,
        changes: &[Change],
        moves: &Moves,
        about: &About<'a>,
    ) {
        for change in changes {
            let deltas = moves.0.get(&change.handle).copied().unwrap_or_default();
            let row = self.next(at, *change);
            row.stock += deltas.stock;
            row.held += deltas.held;
            row.sold += deltas.sold;
            let movement = MovementRow {
                order_id: about.order_id.clone(),
                hold_id: about.hold_id.clone(),
                reason: about.reason,
                text: about.text,
                ..at.movement(row, deltas)
            };
            self.rows.movements.push(movement);
        }
    }
}
