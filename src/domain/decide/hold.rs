//! Holds: placing, extending, and the one way in which each ends.
//!
//! A live hold confirms whatever became of window, pause, limits or price since: its units are set
//! aside, so confirming only moves them from held to sold. Holds whose time was over were expired
//! by records of their own before any of this is called.

use super::order::take_lines;
use super::part::{self, Available};
use super::{Decided, Decision};
use crate::domain::command::{ConfirmHold, ExtendHold, HoldRules, PlaceHold, ReleaseHold};
use crate::domain::decision::{
    HoldConfirmed, HoldEnded, HoldExtended, HoldPlaced, OrderLine, OrderLines, OrderPlaced,
};
use crate::domain::holds::Hold;
use crate::domain::inventory::Inventory;
use crate::domain::place::{Change, Changes, Sequence};
use crate::domain::quantity::Quantity;
use crate::domain::refusal::Refusal;
use crate::domain::sums::Sums;

/// Sets lines aside, all or nothing.
///
/// What the published view refuses comes before the bounds of holds, as it comes before a limit.
///
/// # Errors
/// `HoldTooLong`, as [`super::decide_order`], then `HoldsReached`, `HoldsFull`.
///
/// # Panics
/// As [`super::decide_order`]; for no time at all.
pub fn decide_hold(
    inventory: &Inventory,
    place: PlaceHold,
    rules: &HoldRules,
    now_ms: u64,
) -> Result<Decided, Refusal> {
    let PlaceHold { buyer_id, lines, ttl_ms } = place;
    assert!(ttl_ms > 0, "a hold for no time");
    // The rules come from the settings and may have changed since a key was first used: a matter of
    // deciding, not of form.
    if ttl_ms > rules.ttl_max_ms {
        return Err(Refusal::HoldTooLong { max_ms: rules.ttl_max_ms });
    }
    let (lines, changes) = take_lines(inventory, &buyer_id, &lines, now_ms)?;
    let holds = inventory.holds();
    if holds.of_buyer(&buyer_id) >= rules.live_per_buyer_max {
        return Err(Refusal::HoldsReached { limit: rules.live_per_buyer_max });
    }
    if holds.lines() + lines.len() > rules.live_lines_max {
        return Err(Refusal::HoldsFull { max: rules.live_lines_max as u64 });
    }
    let placed = HoldPlaced { buyer_id, lines, expires_at_ms: now_ms.saturating_add(ttl_ms) };
    Ok(Decided { decision: Decision::HoldPlaced(placed), changes })
}

/// Keeps a hold until now and its time to live: never shorter than it was, never past the longest.
///
/// # Errors
/// `UnknownHold`, `HoldEnded`.
pub fn decide_extend(
    inventory: &Inventory,
    extend: ExtendHold,
    rules: &HoldRules,
    now_ms: u64,
) -> Result<Decided, Refusal> {
    let ExtendHold { hold: sequence, ttl_ms } = extend;
    let hold = live(inventory, sequence, now_ms)?;
    let longest_ms = hold.placed_at_ms.saturating_add(rules.ttl_max_ms);
    let wanted_ms = now_ms.saturating_add(ttl_ms).min(longest_ms);
    let expires_at_ms = wanted_ms.max(hold.expires_at_ms);
    let extended = HoldExtended { hold: sequence, expires_at_ms };
    Ok(Decided { decision: Decision::HoldExtended(extended), changes: Changes::new() })
}

/// Makes an order of a hold, or of parts of it; the rest is released.
///
/// # Errors
/// `UnknownHold`, `HoldEnded`, `NoSuchLine`, `PartTooLarge`; `CountOverMaximum` for a buyer's count
/// that would pass 2^32.
///
/// # Panics
/// With parts that name nothing: a form that is checked where it enters.
pub fn decide_confirm(
    inventory: &Inventory,
    confirm: ConfirmHold,
    now_ms: u64,
) -> Result<Decided, Refusal> {
    let ConfirmHold { hold: sequence, parts } = confirm;
    let hold = live(inventory, sequence, now_ms)?;
    let (lines, released) = match parts {
        None => (hold.lines.clone(), OrderLines::new()),
        Some(parts) => split(&hold.lines, &parts)?,
    };
    let changes = changes_of(inventory, hold);
    check_counts(inventory, hold, &lines, &changes)?;
    let order = OrderPlaced { buyer_id: hold.buyer_id.clone(), lines };
    let confirmed = HoldConfirmed { hold: sequence, order, released };
    Ok(Decided { decision: Decision::HoldConfirmed(Box::new(confirmed)), changes })
}

/// Gives a hold back.
///
/// # Errors
/// `UnknownHold`, `HoldEnded`.
pub fn decide_release(
    inventory: &Inventory,
    release: ReleaseHold,
    now_ms: u64,
) -> Result<Decided, Refusal> {
    let hold = live(inventory, release.hold, now_ms)?;
    let (ended, changes) = (ended(release.hold, hold), changes_of(inventory, hold));
    Ok(Decided { decision: Decision::HoldReleased(ended), changes })
}

/// Ends the hold that is over first, if one is by `now_ms`.
#[must_use]
pub fn decide_expiry(inventory: &Inventory, now_ms: u64) -> Option<Decided> {
    let (expires_at_ms, sequence) = inventory.holds().next_due()?;
    if now_ms < expires_at_ms {
        return None;
    }
    let hold = inventory.holds().live(sequence)?;
    let (ended, changes) = (ended(sequence, hold), changes_of(inventory, hold));
    Some(Decided { decision: Decision::HoldExpired(ended), changes })
}

fn live(inventory: &Inventory, sequence: Sequence, now_ms: u64) -> Result<&Hold, Refusal> {
    let holds = inventory.holds();
    holds.live(sequence).ok_or_else(|| match holds.end_of(sequence, now_ms) {
        Some(end) => Refusal::HoldEnded { end },
        None => Refusal::UnknownHold,
    })
}

fn ended(sequence: Sequence, hold: &Hold) -> HoldEnded {
    let Hold { buyer_id, lines, .. } = hold;
    HoldEnded { hold: sequence, buyer_id: buyer_id.clone(), lines: lines.clone() }
}

/// Every product of a hold changes when it ends.
fn changes_of(inventory: &Inventory, hold: &Hold) -> Changes {
    let next = |change: &Change| {
        let product = inventory.product(change.handle).expect("a hold names products");
        Change { handle: change.handle, version: product.version.next() }
    };
    hold.changes.iter().map(next).collect()
}

/// What is confirmed of lines, and what is left.
fn split(lines: &[OrderLine], parts: &[part::Part]) -> Result<(OrderLines, OrderLines), Refusal> {
    let all: Vec<Available> = lines.iter().map(Available::all_of).collect();
    let taken = part::take(&all, parts)?;
    let some = |line: &OrderLine, units: u64| {
        Quantity::new(units).ok().map(|quantity| OrderLine { quantity, ..*line })
    };
    let pairs = || lines.iter().zip(&taken);
    let confirmed = pairs().filter_map(|(line, units)| some(line, *units)).collect();
    let rest = pairs().filter_map(|(line, units)| some(line, line.quantity.units() - units));
    Ok((confirmed, rest.collect()))
}

/// A hold that was placed before its buyer was counted counts from its order on.
fn check_counts(
    inventory: &Inventory,
    hold: &Hold,
    lines: &[OrderLine],
    changes: &[Change],
) -> Result<(), Refusal> {
    let sums = Sums::of(lines);
    for change in changes {
        let Some(product) = inventory.product(change.handle) else { continue };
        let Some(counts) = &product.counts else { continue };
        if hold.is_counted(change.handle, counts) {
            continue;
        }
        let bought = inventory.buyers().units(counts, &hold.buyer_id);
        if bought + sums.units(change.handle) > u64::from(u32::MAX) {
            return Err(Refusal::CountOverMaximum { max: u64::from(u32::MAX) });
        }
    }
    Ok(())
}
