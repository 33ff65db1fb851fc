//! Which rows a batch needs to know before it can be planned.

use crate::domain::{Decision, Sequence};
use crate::journal::Payload;
use crate::projection::store::Batch;

/// Keys of the rows a batch touches, each once. Those that it makes itself are among them too.
#[derive(Debug, Default)]
pub(in crate::projection) struct Touched {
    /// Handles of products.
    pub(in crate::projection) products: Vec<i64>,
    /// Ids of orders.
    pub(in crate::projection) orders: Vec<String>,
    /// Lines of orders, by id and number.
    pub(in crate::projection) lines: Vec<(String, i32)>,
    /// Ids of holds.
    pub(in crate::projection) holds: Vec<String>,
}

/// What a batch touches.
pub(in crate::projection) fn touched(batch: &Batch<'_>) -> Touched {
    let places = batch.places;
    let mut touched = Touched::default();
    let mut hold = |sequence: Sequence| touched.holds.push(places.hold_id(sequence).to_string());
    for tailed in batch.records {
        let Payload::Record(record) = &tailed.payload else { continue };
        let changed = record.envelope.changes.iter().map(|change| i64::from(change.handle.get()));
        touched.products.extend(changed);
        match &record.decision {
            Decision::RefusalsCounted(counted) => {
                let counted = counted.rows.iter().map(|row| i64::from(row.product.get()));
                touched.products.extend(counted);
            }
            Decision::HoldExtended(extended) => hold(extended.hold),
            Decision::HoldConfirmed(confirmed) => hold(confirmed.hold),
            Decision::HoldReleased(ended) | Decision::HoldExpired(ended) => hold(ended.hold),
            Decision::OrderCancelled(cancelled) => {
                let id = places.order_id(cancelled.order).to_string();
                let numbers = cancelled.lines.iter().map(|line| line_no(line.place));
                touched.lines.extend(numbers.map(|number| (id.clone(), number)));
                touched.orders.push(id);
            }
            Decision::ProductCreated(_)
            | Decision::TermsChanged(_)
            | Decision::StockAdjusted(_)
            | Decision::OrderPlaced(_)
            | Decision::HoldPlaced(_)
            | Decision::SellingPaused(_) => {}
        }
    }
    once(&mut touched.products);
    once(&mut touched.orders);
    once(&mut touched.lines);
    once(&mut touched.holds);
    touched
}

/// Number of a line by its place in the order.
pub(super) fn line_no(place: u32) -> i32 {
    // An order has at most 1,000 lines; one of another place is not found.
    i32::try_from(place).unwrap_or(i32::MAX).saturating_add(1)
}

fn once<T: Ord>(keys: &mut Vec<T>) {
    keys.sort_unstable();
    keys.dedup();
}
