//! Holds: placed, kept longer, and each ended once.

use std::sync::Arc;

use super::moves::{About, Moves};
use super::{At, Plan};
use crate::domain::{Change, HoldConfirmed, HoldEnd, HoldEnded, HoldExtended, HoldPlaced};
use crate::projection::fields::{Misfit, time};
use crate::projection::rows::{Deltas, HoldEnding, HoldRow, HoldState};

impl<'a> Plan<'a> {
    pub(super) fn place_hold(
        &mut self,
        at: &At<'a>,
        placed: &'a HoldPlaced,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        self.check_follow(changes)?;
        let hold_id = self.hold_id(at.place);
        let expires_at_ms = time("expires_at", placed.expires_at_ms)?;
        let mut moves = Moves::of(changes);
        moves.add_lines(&placed.lines, |units| Deltas { held: units, ..Deltas::default() })?;
        self.make(at, changes, &moves, &about(&hold_id));
        self.rows.holds.push(HoldRow {
            hold_id,
            sequence: at.sequence,
            buyer_id: placed.buyer_id.as_str(),
            reference: at.reference(),
            principal: at.principal(),
            placed_at_ms: at.decided_at_ms,
            state: HoldState { expires_at_ms, end: None },
        });
        Ok(())
    }

    pub(super) fn extend_hold(
        &mut self,
        extended: &HoldExtended,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        if !changes.is_empty() {
            return Err(Misfit::Body("an extension moves nothing"));
        }
        let expires_at_ms = time("expires_at", extended.expires_at_ms)?;
        self.live_hold(&self.hold_id(extended.hold))?.expires_at_ms = expires_at_ms;
        Ok(())
    }

    pub(super) fn confirm_hold(
        &mut self,
        at: &At<'a>,
        confirmed: &'a HoldConfirmed,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        let HoldConfirmed { hold, order, released } = confirmed;
        self.check_follow(changes)?;
        let (hold_id, order_id) = (self.hold_id(*hold), self.order_id(at.place));
        let lines = self.lines_of(&order_id, order)?;
        let mut moves = Moves::of(changes);
        moves.add_lines(&order.lines, |units| Deltas { held: -units, sold: units, stock: 0 })?;
        moves.add_lines(released, |units| Deltas { held: -units, ..Deltas::default() })?;
        self.end(at, &hold_id, HoldEnd::Confirmed, Some(&order_id))?;
        let about = About { order_id: Some(Arc::clone(&order_id)), ..about(&hold_id) };
        self.make(at, changes, &moves, &about);
        self.add_order(at, order_id, order, lines, Some(hold_id));
        Ok(())
    }

    pub(super) fn end_hold(
        &mut self,
        at: &At<'a>,
        ended: &HoldEnded,
        end: HoldEnd,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        self.check_follow(changes)?;
        let hold_id = self.hold_id(ended.hold);
        let mut moves = Moves::of(changes);
        moves.add_lines(&ended.lines, |units| Deltas { held: -units, ..Deltas::default() })?;
        self.end(at, &hold_id, end, None)?;
        self.make(at, changes, &moves, &about(&hold_id));
        Ok(())
    }

    /// Ends a live hold: the last check of its record, and the first change.
    fn end(
        &mut self,
        at: &At<'_>,
        hold_id: &Arc<str>,
        end: HoldEnd,
        order_id: Option<&Arc<str>>,
    ) -> Result<(), Misfit> {
        let state = self.live_hold(hold_id)?;
        state.end = Some(HoldEnding {
            status: end.as_str(),
            resolved_at_ms: at.decided_at_ms,
            order_id: order_id.cloned(),
        });
        Ok(())
    }
}

fn about<'a>(hold_id: &Arc<str>) -> About<'a> {
    About { hold_id: Some(Arc::clone(hold_id)), ..About::default() }
}
