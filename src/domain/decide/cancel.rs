//! Cancelling: units of an order come back, each at most once.
//!
//! The order itself comes with the command, read from its record; what came back of it before is
//! the partition's.

use hashbrown::HashMap;

use foldhash::fast::RandomState;

use super::part::{self, Available};
use super::{Decided, Decision};
use crate::domain::command::{CancelOrder, PlacedOrder};
use crate::domain::decision::{CancelledLine, OrderCancelled};
use crate::domain::inventory::Inventory;
use crate::domain::place::{Change, Changes, Handle};
use crate::domain::quantity::Quantity;
use crate::domain::refusal::Refusal;
use crate::domain::sums::Sums;

/// Takes units back into stock, or writes them off.
///
/// # Errors
/// `AlreadyCancelled` when less is left than asked for, or nothing; `NoSuchLine`, `PartTooLarge`;
/// `WouldOversell` for writing off units that never were in stock.
///
/// # Panics
/// With parts that name nothing: a form that is checked where it enters.
pub fn decide_cancel(inventory: &Inventory, cancel: CancelOrder) -> Result<Decided, Refusal> {
    let CancelOrder { order, parts, reason, restock } = cancel;
    let available = left_of(inventory, &order);
    let left: u64 = available.iter().map(|line| line.left).sum();
    let taken = match parts {
        Some(parts) => part::take(&available, &parts)?,
        None if left == 0 => {
            let requested = available.iter().map(|line| line.units).sum();
            return Err(Refusal::AlreadyCancelled { left, requested });
        }
        None => available.iter().map(|line| line.left).collect(),
    };
    let lines = cancelled_lines(inventory, &order, &taken);
    if !restock {
        check_write_off(inventory, &lines)?;
    }
    let changes = changes_of(inventory, &lines);
    let whole = taken.iter().sum::<u64>() == left;
    let PlacedOrder { sequence, buyer_id, .. } = order;
    let cancelled =
        OrderCancelled { order: sequence, buyer_id, lines, reason, restocked: restock, whole };
    Ok(Decided { decision: Decision::OrderCancelled(Box::new(cancelled)), changes })
}

fn left_of(inventory: &Inventory, order: &PlacedOrder) -> Vec<Available> {
    let returned = inventory.returns().of(order.sequence);
    let left = |(place, line)| {
        let all = Available::all_of(line);
        let back = returned.map_or(0, |returned| returned.units(place));
        // Replay cannot see that a record took more back than the order's had.
        Available { left: all.units.saturating_sub(back), ..all }
    };
    order.lines.iter().enumerate().map(left).collect()
}

fn cancelled_lines(
    inventory: &Inventory,
    order: &PlacedOrder,
    taken: &[u64],
) -> Vec<CancelledLine> {
    let versions: HashMap<Handle, _, RandomState> =
        order.changes.iter().map(|change| (change.handle, change.version)).collect();
    let frees_limit = |handle: Handle| {
        let product = inventory.product(handle).filter(|product| product.terms.returns_free_limit);
        let counts = product.and_then(|product| product.counts.as_ref());
        let version = versions.get(&handle);
        counts.zip(version).is_some_and(|(counts, version)| counts.count_from(*version))
    };
    let lines = (0..).zip(&order.lines).zip(taken);
    let cancelled = lines.filter_map(|((place, line), units)| {
        let quantity = Quantity::new(*units).ok()?;
        let (product, unit_price) = (line.product, line.unit_price);
        let frees_limit = frees_limit(product);
        Some(CancelledLine { place, product, quantity, unit_price, frees_limit })
    });
    cancelled.collect()
}

/// Products in order of first mention, each with its next version.
fn changes_of(inventory: &Inventory, lines: &[CancelledLine]) -> Changes {
    let mut seen = hashbrown::HashSet::<Handle, RandomState>::default();
    let fresh = lines.iter().filter(|line| seen.insert(line.product));
    let change = |line: &CancelledLine| {
        let product = inventory.product(line.product).expect("an order names products");
        Change { handle: line.product, version: product.version.next() }
    };
    fresh.map(change).collect()
}

/// Units that exist nowhere cannot be written off.
fn check_write_off(inventory: &Inventory, lines: &[CancelledLine]) -> Result<(), Refusal> {
    let sums = Sums::of_cancelled(lines);
    for line in lines {
        let units = sums.units(line.product);
        let stock = inventory.product(line.product).map_or(0, |product| product.figures.stock);
        if units > stock {
            return Err(Refusal::WouldOversell { shortfall: units - stock });
        }
    }
    Ok(())
}
