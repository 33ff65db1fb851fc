//! Records of holds: placed within stock and limits, and each ended once, as what it was.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{NotApplicable, check_same_products, check_taken, check_versions};
use crate::domain::ORDER_LINES_MAX;
use crate::domain::decision::{Decision, HoldConfirmed, HoldEnded, HoldExtended, OrderLine};
use crate::domain::holds::Hold;
use crate::domain::inventory::Inventory;
use crate::domain::money::Money;
use crate::domain::place::{Change, Handle, RecordAt, Sequence};
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
    if hold.buyer_id != ended.buyer_id || hold.lines != ended.lines {
        return Err(NotApplicable::Changes("another hold than was placed"));
    }
    check_counts(inventory, hold, &[], &ended.lines, changes)?;
    Ok(hold)
}

fn check_confirmed(
    inventory: &Inventory,
    confirmed: &HoldConfirmed,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let HoldConfirmed { hold, order, released } = confirmed;
    let hold = live(inventory, *hold)?;
    check_products(hold, changes)?;
    let lines = order.lines.iter().chain(released);
    if order.lines.is_empty()
        || order.lines.len().max(released.len()) > ORDER_LINES_MAX
        || hold.buyer_id != order.buyer_id
        || by_price(&hold.lines) != by_price(lines)
    {
        return Err(NotApplicable::Changes("another hold than was placed"));
    }
    check_counts(inventory, hold, &order.lines, released, changes)
}

/// Units by product and price: what a confirmation divides, but does not change.
fn by_price<'a>(
    lines: impl IntoIterator<Item = &'a OrderLine>,
) -> HashMap<(Handle, Option<Money>), u64, RandomState> {
    let mut units = HashMap::default();
    for line in lines {
        *units.entry((line.product, line.unit_price)).or_default() += line.quantity.units();
    }
    units
}

/// Whether its buyer's counts can follow the end of a hold: one that counted gives back what is
/// released, one that was placed before counting began adds what is sold.
fn check_counts(
    inventory: &Inventory,
    hold: &Hold,
    sold: &[OrderLine],
    released: &[OrderLine],
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let (sold, released) = (Sums::of(sold), Sums::of(released));
    for change in changes {
        let Some(product) = inventory.product(change.handle) else { continue };
        let Some(counts) = &product.counts else { continue };
        let counted = hold.is_counted(change.handle, counts);
        let bought = inventory.buyers().units(counts, &hold.buyer_id);
        if counted && bought < released.units(change.handle) {
            return Err(NotApplicable::Promise("a limit is freed that was not used"));
        }
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
