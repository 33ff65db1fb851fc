//! Buying lines together, all or nothing.
//!
//! One product on several lines is summed for stock and limits, while each line keeps its price. A
//! hold takes its lines by the same rules.

use crate::domain::ORDER_LINES_MAX;
use crate::domain::command::{LineWish, PlaceOrder};
use crate::domain::decision::{Decision, OrderLine, OrderLines, OrderPlaced};
use crate::domain::ids::BuyerId;
use crate::domain::inventory::Inventory;
use crate::domain::place::{Change, Changes, Handle};
use crate::domain::product::Product;
use crate::domain::quantity::FIGURE_MAX;
use crate::domain::refusal::{Refusal, RefusedLine};

use super::{Decided, refusal_in_view};

/// Sells all lines together, or none.
///
/// # Errors
/// An order of one line: that line's refusal. Of several: `Lines`, naming every product that
/// fails. `UnknownProduct` for a handle that does not exist.
///
/// # Panics
/// Without a line or with more than `ORDER_LINES_MAX`: a form that is checked where it enters.
pub fn decide_order(
    inventory: &Inventory,
    order: PlaceOrder,
    now_ms: u64,
) -> Result<Decided, Refusal> {
    let PlaceOrder { buyer_id, lines } = order;
    let (lines, changes) = take_lines(inventory, &buyer_id, &lines, now_ms)?;
    Ok(Decided { decision: Decision::OrderPlaced(OrderPlaced { buyer_id, lines }), changes })
}

/// Whether a buyer may have all lines, each with its price, and the changes that would make.
pub(super) fn take_lines(
    inventory: &Inventory,
    buyer_id: &BuyerId,
    lines: &[LineWish],
    now_ms: u64,
) -> Result<(OrderLines, Changes), Refusal> {
    assert!((1..=ORDER_LINES_MAX).contains(&lines.len()), "an order of {} lines", lines.len());
    let mut changes = Changes::new();
    let mut refused = Vec::new();
    if let [line] = lines {
        let product = inventory.product(line.product).ok_or(Refusal::UnknownProduct)?;
        check_sale(inventory, product, buyer_id, line.quantity.units(), now_ms)?;
        changes.push(Change { handle: line.product, version: product.version.next() });
    } else {
        for (handle, places, requested) in sums(lines) {
            let product = inventory.product(handle).ok_or(Refusal::UnknownProduct)?;
            match check_sale(inventory, product, buyer_id, requested, now_ms) {
                Ok(()) => changes.push(Change { handle, version: product.version.next() }),
                Err(refusal) => refused.push(RefusedLine { lines: places, refusal }),
            }
        }
    }
    if !refused.is_empty() {
        return Err(Refusal::Lines(refused));
    }
    Ok((lines.iter().map(|line| priced(inventory, line)).collect(), changes))
}

/// Units asked for by product, with the places of its lines, in order of first mention.
fn sums(lines: &[LineWish]) -> Vec<(Handle, Vec<usize>, u64)> {
    let mut sums: Vec<(Handle, Vec<usize>, u64)> = Vec::new();
    let mut places = hashbrown::HashMap::<Handle, usize, foldhash::fast::RandomState>::default();
    for (place, line) in lines.iter().enumerate() {
        let at = *places.entry(line.product).or_insert_with(|| {
            sums.push((line.product, Vec::new(), 0));
            sums.len() - 1
        });
        if let Some((_, lines, requested)) = sums.get_mut(at) {
            lines.push(place);
            *requested += line.quantity.units();
        }
    }
    sums
}

fn check_sale(
    inventory: &Inventory,
    product: &Product,
    buyer_id: &BuyerId,
    requested: u64,
    now_ms: u64,
) -> Result<(), Refusal> {
    if inventory.selling_paused() {
        return Err(Refusal::Paused);
    }
    refusal_in_view(&product.terms, &product.figures, requested, now_ms)?;
    let figures = product.figures;
    if figures.held + figures.sold + requested > FIGURE_MAX {
        return Err(Refusal::OverMaximum { max: FIGURE_MAX });
    }
    let Some(counts) = &product.counts else {
        return Ok(());
    };
    let limit = product.terms.per_buyer_limit;
    let bought = inventory.buyers().units(counts, buyer_id);
    if bought + requested > u64::from(limit) {
        return Err(Refusal::LimitReached { limit, bought, requested });
    }
    Ok(())
}

fn priced(inventory: &Inventory, line: &LineWish) -> OrderLine {
    let own = || inventory.product(line.product).and_then(|product| product.terms.price);
    OrderLine {
        product: line.product,
        quantity: line.quantity,
        unit_price: line.unit_price.or_else(own),
    }
}
