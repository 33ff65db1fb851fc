//! Whether a record that comes from a disk can follow the state before it: all that `apply`
//! asserts, as errors. Whoever replays reports corruption instead of panicking.

mod hold;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::decide::starts_counting;
use super::decision::{
    CancelledLine, Decision, OrderCancelled, OrderLine, OrderPlaced, ProductCreated, StockAdjusted,
    TermsChanged,
};
use super::ids::{BuyerId, SaleId};
use super::inventory::Inventory;
use super::place::{Change, RecordAt, Version};
use super::product::Figures;
use super::quantity::{FIGURE_MAX, Quantity};
use super::sums::Sums;
use super::terms::Patch;
use super::{ORDER_LINES_MAX, SALE_PRODUCTS_MAX};

/// Why a record from a disk cannot follow the state before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplicable {
    /// The record names a product that does not exist.
    #[error("no product has handle {0}")]
    UnknownHandle(u32),
    /// A change that is not the next of its product.
    #[error("product {handle} is at version {version}, the record says {found}")]
    Version {
        /// Which product.
        handle: u32,
        /// Version before the record.
        version: u64,
        /// Version the record gives.
        found: u64,
    },
    /// The products a record changes are not the ones its body names.
    #[error("the changes do not match the body: {0}")]
    Changes(&'static str),
    /// The record names a hold that is not live.
    #[error("no live hold was placed at {0}")]
    NoSuchHold(u64),
    /// P1 or a bound would break.
    #[error("the record breaks a promise: {0}")]
    Promise(&'static str),
}

/// Whether a record read from a disk can follow the state: everything `apply` asserts, as errors.
///
/// # Errors
/// What does not fit; the caller reports corruption.
pub fn check_applicable(
    inventory: &Inventory,
    decision: &Decision,
    changes: &[Change],
    at: RecordAt,
) -> Result<(), NotApplicable> {
    check_due(inventory, decision, at)?;
    match decision {
        Decision::ProductCreated(created) => check_created(inventory, created, changes),
        Decision::TermsChanged(changed) => {
            let changes_max = if changed.sale_id.is_some() { SALE_PRODUCTS_MAX } else { 1 };
            check_versions(inventory, changes, changes_max)?;
            check_changed(inventory, changed, changes)
        }
        Decision::StockAdjusted(adjusted) => {
            check_versions(inventory, changes, 1)?;
            check_adjusted(inventory, adjusted, changes)
        }
        Decision::OrderPlaced(order) => {
            check_versions(inventory, changes, ORDER_LINES_MAX)?;
            check_order(inventory, order, changes)
        }
        Decision::RefusalsCounted(counted) => {
            let unknown = counted.rows.iter().find(|row| inventory.product(row.product).is_none());
            match unknown {
                Some(row) => Err(NotApplicable::UnknownHandle(row.product.get())),
                None if changes.is_empty() => Ok(()),
                None => Err(NotApplicable::Changes("counting changes nothing")),
            }
        }
        Decision::HoldPlaced(_)
        | Decision::HoldExtended(_)
        | Decision::HoldConfirmed(_)
        | Decision::HoldReleased(_)
        | Decision::HoldExpired(_) => hold::check(inventory, decision, changes, at),
        Decision::OrderCancelled(cancelled) => {
            check_versions(inventory, changes, ORDER_LINES_MAX)?;
            check_cancelled(inventory, cancelled, changes, at)
        }
        Decision::SellingPaused(_) if changes.is_empty() => Ok(()),
        Decision::SellingPaused(_) => Err(NotApplicable::Changes("a pause of all changes nothing")),
    }
}

/// Holds that are over end before anything else is decided; only counting decides nothing.
fn check_due(
    inventory: &Inventory,
    decision: &Decision,
    at: RecordAt,
) -> Result<(), NotApplicable> {
    match (decision, inventory.holds().next_due()) {
        (Decision::HoldExpired(_) | Decision::RefusalsCounted(_), _) | (_, None) => Ok(()),
        (_, Some((expires_at_ms, _))) if at.at_ms < expires_at_ms => Ok(()),
        _ => Err(NotApplicable::Promise("decided before a hold that was over had ended")),
    }
}

fn check_created(
    inventory: &Inventory,
    created: &ProductCreated,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let [change] = changes else {
        return Err(NotApplicable::Changes("not one change"));
    };
    if change.handle != inventory.next_handle() {
        return Err(NotApplicable::Changes("handle is not the next"));
    }
    if change.version != Version::NONE.next() {
        return Err(NotApplicable::Changes("a history starts at version 1"));
    }
    if created.stock > FIGURE_MAX {
        return Err(NotApplicable::Promise("stock over the maximum"));
    }
    created.terms.check().map_err(|_| NotApplicable::Promise("terms that cannot stand"))?;
    check_sale(inventory, created.terms.sale_id.as_ref(), 1)
}

fn check_sale(
    inventory: &Inventory,
    sale_id: Option<&SaleId>,
    joining: usize,
) -> Result<(), NotApplicable> {
    match sale_id {
        Some(sale_id) if inventory.sale_len(sale_id) + joining > SALE_PRODUCTS_MAX => {
            Err(NotApplicable::Promise("a sale of too many products"))
        }
        _ => Ok(()),
    }
}

fn check_versions(
    inventory: &Inventory,
    changes: &[Change],
    changes_max: usize,
) -> Result<(), NotApplicable> {
    if changes.is_empty() || changes.len() > changes_max {
        return Err(NotApplicable::Changes("too few or too many changes"));
    }
    // A purchase's single change needs none.
    let mut seen = (changes.len() > 1).then(HashSet::<u32, RandomState>::default);
    for change in changes {
        let handle = change.handle.get();
        let product =
            inventory.product(change.handle).ok_or(NotApplicable::UnknownHandle(handle))?;
        if change.version != product.version.next() {
            let (version, found) = (product.version.get(), change.version.get());
            return Err(NotApplicable::Version { handle, version, found });
        }
        if seen.as_mut().is_some_and(|seen| !seen.insert(handle)) {
            return Err(NotApplicable::Changes("a product twice"));
        }
    }
    Ok(())
}

fn check_changed(
    inventory: &Inventory,
    changed: &TermsChanged,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let handles = || changes.iter().map(|change| change.handle);
    let of_sale = |sale_id: &SaleId| handles().eq(inventory.sale(sale_id));
    if !changed.sale_id.as_ref().is_none_or(of_sale) {
        return Err(NotApplicable::Changes("not the products of the sale"));
    }
    let mut joining = 0;
    for product in changes.iter().filter_map(|change| inventory.product(change.handle)) {
        let terms = product.terms.patched(&changed.patch);
        terms.check().map_err(|_| NotApplicable::Promise("terms that cannot stand"))?;
        if !product.figures.within(terms.oversell_limit) {
            return Err(NotApplicable::Promise("held and sold over stock and oversell_limit"));
        }
        joining += usize::from(product.terms.sale_id != terms.sale_id);
    }
    let starts = changed.sale_id.is_none() && starts_counting(inventory, changes, &changed.patch);
    if changed.counting_starts != starts {
        return Err(NotApplicable::Changes("not when counting starts"));
    }
    match &changed.patch.sale_id {
        Patch::Set(sale_id) => check_sale(inventory, sale_id.as_ref(), joining),
        Patch::Keep => Ok(()),
    }
}

fn check_adjusted(
    inventory: &Inventory,
    adjusted: &StockAdjusted,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let product = inventory.product(adjusted.product);
    let product = product.ok_or(NotApplicable::UnknownHandle(adjusted.product.get()))?;
    if changes.iter().any(|change| change.handle != adjusted.product) {
        return Err(NotApplicable::Changes("another product than the body's"));
    }
    if product.figures.stock.checked_add_signed(adjusted.delta) != Some(adjusted.stock) {
        return Err(NotApplicable::Promise("stock before and delta do not make stock after"));
    }
    let figures = Figures { stock: adjusted.stock, ..product.figures };
    if adjusted.stock > FIGURE_MAX || !figures.within(product.terms.oversell_limit) {
        return Err(NotApplicable::Promise("held and sold over stock and oversell_limit"));
    }
    if adjusted.unsold != figures.unsold() {
        return Err(NotApplicable::Promise("stock and sold do not make unsold"));
    }
    Ok(())
}

fn check_order(
    inventory: &Inventory,
    order: &OrderPlaced,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    check_taken(inventory, &order.buyer_id, &order.lines, changes)
}

/// Whether a buyer may have lines, as an order or as a hold.
fn check_taken(
    inventory: &Inventory,
    buyer_id: &BuyerId,
    lines: &[OrderLine],
    changes: &[Change],
) -> Result<(), NotApplicable> {
    if lines.is_empty() || lines.len() > ORDER_LINES_MAX {
        return Err(NotApplicable::Changes("too few or too many lines"));
    }
    let sums = Sums::of(lines);
    check_same_products(&sums, changes)?;
    for change in changes {
        let Some(product) = inventory.product(change.handle) else {
            continue;
        };
        let units = sums.units(change.handle);
        let figures = Figures { sold: product.figures.sold + units, ..product.figures };
        let taken = figures.held + figures.sold;
        if taken > FIGURE_MAX || !figures.within(product.terms.oversell_limit) {
            return Err(NotApplicable::Promise("held and sold over stock and oversell_limit"));
        }
        if let Some(counts) = &product.counts {
            let bought = inventory.buyers().units(counts, buyer_id);
            if bought + units > u64::from(product.terms.per_buyer_limit) {
                return Err(NotApplicable::Promise("a buyer over the limit"));
            }
        }
    }
    Ok(())
}

fn check_same_products(sums: &Sums, changes: &[Change]) -> Result<(), NotApplicable> {
    if sums.products() != changes.len() {
        return Err(NotApplicable::Changes("the lines name other products"));
    }
    match changes.iter().any(|change| sums.units(change.handle) == 0) {
        true => Err(NotApplicable::Changes("a changed product has no line")),
        false => Ok(()),
    }
}

fn check_cancelled(
    inventory: &Inventory,
    cancelled: &OrderCancelled,
    changes: &[Change],
    at: RecordAt,
) -> Result<(), NotApplicable> {
    check_returned(inventory, cancelled, at)?;
    let sums = Sums::of_cancelled(&cancelled.lines);
    check_same_products(&sums, changes)?;
    let freed = Sums::of_cancelled(cancelled.lines.iter().filter(|line| line.frees_limit));
    for change in changes {
        let Some(product) = inventory.product(change.handle) else {
            continue;
        };
        let (units, freed) = (sums.units(change.handle), freed.units(change.handle));
        if product.figures.sold < units {
            return Err(NotApplicable::Promise("more comes back than was sold"));
        }
        if !cancelled.restocked && product.figures.stock < units {
            return Err(NotApplicable::Promise("more is written off than was in stock"));
        }
        let counts = product.counts.as_ref();
        let counted =
            counts.map_or(0, |counts| inventory.buyers().units(counts, &cancelled.buyer_id));
        if freed > counted {
            return Err(NotApplicable::Promise("a limit is freed that was not used"));
        }
    }
    Ok(())
}

/// Lines that an order can have, none of which came back more often than any line can. What the
/// order's lines had stands in its own record, which is not at hand.
fn check_returned(
    inventory: &Inventory,
    cancelled: &OrderCancelled,
    at: RecordAt,
) -> Result<(), NotApplicable> {
    if cancelled.order >= at.sequence {
        return Err(NotApplicable::Changes("an order that is not placed yet"));
    }
    let ascending = cancelled.lines.is_sorted_by(|first, second| first.place < second.place);
    let place_max = cancelled.lines.last().map_or(0, |line| line.place as usize);
    if !ascending || place_max >= ORDER_LINES_MAX {
        return Err(NotApplicable::Changes("lines that are not an order's"));
    }
    let returned = inventory.returns().of(cancelled.order);
    let back = |line: &CancelledLine| {
        let before = returned.map_or(0, |returned| returned.units(line.place as usize));
        before + line.quantity.units()
    };
    match cancelled.lines.iter().any(|line| back(line) > u64::from(Quantity::MAX)) {
        true => Err(NotApplicable::Promise("more comes back than was sold")),
        false => Ok(()),
    }
}
