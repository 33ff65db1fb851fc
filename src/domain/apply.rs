//! Applying: the one place that changes an [`Inventory`].
//!
//! Total for decided records: a record is a fact, so applying cannot refuse. Replay, whose
//! records come from a disk, asks [`super::check_applicable`] first and reports corruption instead
//! of panicking.

use std::sync::Arc;

use super::buyers::BuyerCounts;
use super::decision::{
    Decision, HoldConfirmed, HoldPlaced, OrderCancelled, OrderLine, OrderPlaced, ProductCreated,
    StockAdjusted, TermsChanged,
};
use super::holds::{Hold, HoldEnd};
use super::inventory::Inventory;
use super::place::{Change, RecordAt, Sequence, Version};
use super::product::{Figures, Product};
use super::sums::Sums;
use super::terms::StandingTerms;

/// Changes the state by a decided record that stands at `at`.
///
/// # Panics
/// When the record does not follow the state: that is our own mistake.
pub fn apply(inventory: &mut Inventory, decision: &Decision, changes: &[Change], at: RecordAt) {
    match decision {
        Decision::ProductCreated(created) => create(inventory, created, changes, at.at_ms),
        Decision::TermsChanged(changed) => {
            for change in changes {
                change_terms(inventory, changed, *change, at.at_ms);
            }
        }
        Decision::StockAdjusted(adjusted) => adjust(inventory, adjusted, changes),
        Decision::OrderPlaced(order) => place_order(inventory, order, changes),
        Decision::HoldPlaced(placed) => place_hold(inventory, placed, changes, at),
        Decision::HoldExtended(extended) => {
            inventory.holds.extend(extended.hold, extended.expires_at_ms);
        }
        Decision::HoldConfirmed(confirmed) => confirm_hold(inventory, confirmed, changes, at),
        Decision::HoldReleased(ended) => {
            let end = End { hold: ended.hold, end: HoldEnd::Released, by: at };
            end_hold(inventory, end, &ended.lines, &[], changes);
        }
        Decision::HoldExpired(ended) => {
            let end = End { hold: ended.hold, end: HoldEnd::Expired, by: at };
            end_hold(inventory, end, &ended.lines, &[], changes);
        }
        Decision::OrderCancelled(cancelled) => cancel_order(inventory, cancelled, changes),
        Decision::SellingPaused(selling) => inventory.selling_paused = selling.paused,
        Decision::RefusalsCounted(_) => assert!(changes.is_empty(), "counting changes nothing"),
    }
}

fn create(inventory: &mut Inventory, created: &ProductCreated, changes: &[Change], at_ms: u64) {
    let [change] = changes else { panic!("a creation is one change, has {}", changes.len()) };
    assert_eq!(change.handle, inventory.next_handle(), "handles have no gaps");
    assert_eq!(change.version, Version::NONE.next(), "a history starts at 1");
    let mut terms = created.terms.clone();
    terms.sale_id = terms.sale_id.map(|sale_id| inventory.shared_sale_id(sale_id));
    let terms = Arc::new(StandingTerms::first(terms, at_ms));
    let counts = terms.buyer_limit().map(|_| Box::new(BuyerCounts::since(change.version)));
    let figures = Figures { stock: created.stock, held: 0, sold: 0 };
    let product = Product { terms, figures, version: change.version, counts };
    product.assert_consistent();
    inventory.push(product);
}

fn change_terms(inventory: &mut Inventory, changed: &TermsChanged, change: Change, at_ms: u64) {
    let (product, buyers) =
        inventory.product_and_buyers(change.handle).expect("a decided record names products");
    next_version(product, change.version);
    let old = Arc::clone(&product.terms);
    let terms = Arc::new(old.changed(&changed.patch, at_ms));
    match (terms.buyer_limit(), product.counts.take()) {
        (Some(_), counts) => {
            let counts = counts.unwrap_or_else(|| Box::new(BuyerCounts::since(change.version)));
            product.counts = Some(counts);
        }
        (None, Some(counts)) => buyers.drop_counts(*counts),
        (None, None) => {}
    }
    product.terms = Arc::clone(&terms);
    product.assert_consistent();
    if old.sale_id != terms.sale_id {
        if let Some(sale_id) = &old.sale_id {
            inventory.leave_sale(sale_id, change.handle);
        }
        if let Some(sale_id) = terms.sale_id.clone() {
            inventory.join_sale(sale_id, change.handle);
        }
    }
}

fn adjust(inventory: &mut Inventory, adjusted: &StockAdjusted, changes: &[Change]) {
    let [change] = changes else { panic!("an adjustment is one change, has {}", changes.len()) };
    let product = inventory.product_mut(change.handle).expect("a decided record names products");
    next_version(product, change.version);
    product.figures.stock = product
        .figures
        .stock
        .checked_add_signed(adjusted.delta)
        .expect("a decided adjustment leaves a stock");
    assert_eq!(product.figures.stock, adjusted.stock, "the record says what it leaves");
    product.assert_consistent();
}

fn place_order(inventory: &mut Inventory, order: &OrderPlaced, changes: &[Change]) {
    let sums = Sums::of(&order.lines);
    for change in changes {
        let (product, buyers) =
            inventory.product_and_buyers(change.handle).expect("a decided record names products");
        next_version(product, change.version);
        let units = sums.units(change.handle);
        product.figures.sold += units;
        if let Some(counts) = &mut product.counts {
            buyers.add(counts, &order.buyer_id, units);
        }
        product.assert_consistent();
    }
}

fn place_hold(inventory: &mut Inventory, placed: &HoldPlaced, changes: &[Change], at: RecordAt) {
    let sums = Sums::of(&placed.lines);
    for change in changes {
        let (product, buyers) =
            inventory.product_and_buyers(change.handle).expect("a decided record names products");
        next_version(product, change.version);
        let units = sums.units(change.handle);
        product.figures.held += units;
        if let Some(counts) = &mut product.counts {
            buyers.add(counts, &placed.buyer_id, units);
        }
        product.assert_consistent();
    }
    let HoldPlaced { buyer_id, lines, expires_at_ms } = placed.clone();
    let (placed_at_ms, changes) = (at.at_ms, changes.into());
    let hold = Hold { buyer_id, lines, placed_at_ms, expires_at_ms, changes };
    inventory.holds.place(at.sequence, hold);
}

fn confirm_hold(
    inventory: &mut Inventory,
    confirmed: &HoldConfirmed,
    changes: &[Change],
    at: RecordAt,
) {
    let end = End { hold: confirmed.hold, end: HoldEnd::Confirmed, by: at };
    end_hold(inventory, end, &confirmed.released, &confirmed.order.lines, changes);
}

/// Which hold ends, how and by which record.
struct End {
    hold: Sequence,
    end: HoldEnd,
    by: RecordAt,
}

/// Gives `released` back and sells `sold`: together all that was held.
fn end_hold(
    inventory: &mut Inventory,
    end: End,
    released: &[OrderLine],
    sold: &[OrderLine],
    changes: &[Change],
) {
    let hold = inventory.holds.end(end.hold, end.end, end.by);
    let (released, sold) = (Sums::of(released), Sums::of(sold));
    for change in changes {
        let (product, buyers) =
            inventory.product_and_buyers(change.handle).expect("a decided record names products");
        next_version(product, change.version);
        let (released, sold) = (released.units(change.handle), sold.units(change.handle));
        let held = product.figures.held.checked_sub(released + sold);
        product.figures.held = held.expect("a hold's units are held");
        product.figures.sold += sold;
        if let Some(counts) = &mut product.counts {
            // A hold counts like an order from its placing on; one that was placed before
            // counting started counts from its order on.
            if hold.is_counted(change.handle, counts) {
                buyers.subtract(counts, &hold.buyer_id, released);
            } else {
                buyers.add(counts, &hold.buyer_id, sold);
            }
        }
        product.assert_consistent();
    }
}

fn cancel_order(inventory: &mut Inventory, cancelled: &OrderCancelled, changes: &[Change]) {
    let sums = Sums::of_cancelled(&cancelled.lines);
    let freed = Sums::of_cancelled(cancelled.lines.iter().filter(|line| line.frees_limit));
    for change in changes {
        let (product, buyers) =
            inventory.product_and_buyers(change.handle).expect("a decided record names products");
        next_version(product, change.version);
        let units = sums.units(change.handle);
        let sold = product.figures.sold.checked_sub(units);
        product.figures.sold = sold.expect("what comes back was sold");
        if !cancelled.restocked {
            let stock = product.figures.stock.checked_sub(units);
            product.figures.stock = stock.expect("what is written off was in stock");
        }
        if let Some(counts) = &mut product.counts {
            buyers.subtract(counts, &cancelled.buyer_id, freed.units(change.handle));
        }
        product.assert_consistent();
    }
    inventory.returns.add(cancelled.order, &cancelled.lines);
}

fn next_version(product: &mut Product, version: Version) {
    assert_eq!(version, product.version.next(), "each change once, in order");
    product.version = version;
}
