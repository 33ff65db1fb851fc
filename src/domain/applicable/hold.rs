//! Records of holds: placed within stock and limits, and each ended once, as what it was.

use super::{NotApplicable, check_same_products, check_taken, check_versions};
use crate::domain::ORDER_LINES_MAX;
use crate::domain::decision::{Decision, HoldConfirmed, HoldEnded, HoldExtended, OrderLine};
use crate::domain::holds::Hold;
use crate::domain::inventory::Inventory;
use crate::domain::place::{Change, RecordAt, Sequence};
use crate::domain::sums::Sums;

/// Whether a record about a hold can follow.
///
/// # Panics
/// For a record about something else.
pub(super) fn check(
    inventory: &Inventory,
    decision: &Decision,
    changes: &[Change],
    at: RecordAt,
) -> Result<(), NotApplicable> {
    if !matches!(decision, Decision::HoldExtended(_)) {
        check_versions(inventory, changes, ORDER_LINES_MAX)?;
    }
    match decision {
        Decision::HoldPlaced(placed) => {
            if placed.expires_at_ms <= at.at_ms {
                return Err(NotApplicable::Promise("a hold that is over as it is placed"));
            }
            check_taken(inventory, &placed.buyer_id, &placed.lines, changes)
        }
        Decision::HoldExtended(extended) => check_extended(inventory, extended, changes),
        Decision::HoldConfirmed(confirmed) => check_confirmed(inventory, confirmed, changes),
        Decision::HoldReleased(ended) => check_ended(inventory, ended, changes).map(drop),
        Decision::HoldExpired(ended) => {
            let hold = check_ended(inventory, ended, changes)?;
            if at.at_ms < hold.expires_at_ms {
                return Err(NotApplicable::Promise("a hold expired before its time"));
            }
            Ok(())
        }
        _ => unreachable!("only records of holds come here"),
    }
}

fn live(inventory: &Inventory, hold: Sequence) -> Result<&Hold, NotApplicable> {
    inventory.holds().live(hold).ok_or(NotApplicable::NoSuchHold(hold.get()))
}

fn check_extended(
    inventory: &Inventory,
    extended: &HoldExtended,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let hold = live(inventory, extended.hold)?;
    if !changes.is_empty() {
        return Err(NotApplicable::Changes("an extension moves nothing"));
    }
    if extended.expires_at_ms < hold.expires_at_ms {
        return Err(NotApplicable::Promise("a hold made shorter"));
    }
    Ok(())
}

fn check_ended<'a>(
    inventory: &'a Inventory,
    ended: &HoldEnded,
    changes: &[Change],
) -> Result<&'a Hold, NotApplicable> {
    let hold = live(inventory, ended.hold)?;
    check_products(hold, changes)?;
    match hold.buyer_id == ended.buyer_id && hold.lines == ended.lines {
        true => Ok(hold),
        false => Err(NotApplicable::Changes("another hold than was placed")),
    }
}

fn check_confirmed(
    inventory: &Inventory,
    confirmed: &HoldConfirmed,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let HoldConfirmed { hold, order, released } = confirmed;
    let hold = live(inventory, *hold)?;
    check_products(hold, changes)?;
    let sums = |lines: &[OrderLine]| Sums::of(lines);
    let (held, sold, back) = (sums(&hold.lines), sums(&order.lines), sums(released));
    let whole = |change: &Change| {
        let handle = change.handle;
        held.units(handle) == sold.units(handle) + back.units(handle)
    };
    if order.lines.is_empty()
        || order.lines.len() > ORDER_LINES_MAX
        || hold.buyer_id != order.buyer_id
        || !changes.iter().all(whole)
    {
        return Err(NotApplicable::Changes("another hold than was placed"));
    }
    for change in changes {
        let Some(product) = inventory.product(change.handle) else { continue };
        let Some(counts) = &product.counts else { continue };
        let counted = hold.version_of(change.handle).is_some_and(|v| counts.count_from(v));
        let bought = inventory.buyers().units(counts, &hold.buyer_id);
        if !counted && bought + sold.units(change.handle) > u64::from(u32::MAX) {
            return Err(NotApplicable::Promise("a buyer's count over its maximum"));
        }
    }
    Ok(())
}

/// Every product of the hold changes, and no other.
fn check_products(hold: &Hold, changes: &[Change]) -> Result<(), NotApplicable> {
    check_same_products(&Sums::of(&hold.lines), changes)
}
