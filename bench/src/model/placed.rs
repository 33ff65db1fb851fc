//! The orders of the log, and what came back of each: no unit twice.

use crate::faults::{FaultKind, Faults};
use crate::payload::{Line, Money, Returned};

/// A line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlacedLine {
    line: Line,
    /// Version that its order gave the product.
    version: u64,
    /// Units that came back.
    cancelled: u32,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    buyer_id: Box<str>,
    lines: Box<[PlacedLine]>,
}

/// Every order, by the sequence of its record.
#[derive(Debug, Default)]
pub struct Orders(Vec<(u64, Placed)>);

/// A cancellation, as its record has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cancelling<'a> {
    pub(super) order: u64,
    pub(super) buyer_id: &'a str,
    pub(super) lines: &'a [Returned],
    pub(super) whole: bool,
}

impl Placed {
    /// Units of a line that came back.
    #[must_use]
    pub fn cancelled(&self, place: usize) -> u32 {
        self.lines.get(place).map_or(0, |line| line.cancelled)
    }

    /// `placed`, `partly_cancelled` or `cancelled`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        let left = self.lines.iter().any(|line| line.cancelled < line.line.quantity);
        match (left, self.lines.iter().any(|line| line.cancelled > 0)) {
            (true, false) => "placed",
            (true, true) => "partly_cancelled",
            (false, _) => "cancelled",
        }
    }
}

impl Orders {
    /// The order of a record.
    #[must_use]
    pub fn get(&self, sequence: u64) -> Option<&Placed> {
        let place = self.0.binary_search_by_key(&sequence, |(placed, _)| *placed).ok()?;
        self.0.get(place).map(|(_, placed)| placed)
    }

    /// The sequence of one of them, by any number.
    #[must_use]
    pub fn some(&self, number: u64) -> Option<u64> {
        let place = usize::try_from(number % (self.0.len().max(1) as u64)).ok()?;
        self.0.get(place).map(|(placed, _)| *placed)
    }

    pub(super) fn place(
        &mut self,
        sequence: u64,
        buyer_id: &str,
        lines: &[Line],
        changes: &[(u32, u64)],
    ) {
        let version = |handle| changes.iter().find(|(changed, _)| *changed == handle);
        let placed = |line: &Line| PlacedLine {
            line: *line,
            version: version(line.product).map_or(0, |(_, version)| *version),
            cancelled: 0,
        };
        let lines = lines.iter().map(placed).collect();
        self.0.push((sequence, Placed { buyer_id: buyer_id.into(), lines }));
    }

    /// Takes units back; `frees` says whether that frees a limit, of a product whose order gave it
    /// that version.
    pub(super) fn cancel(
        &mut self,
        sequence: u64,
        cancelling: Cancelling<'_>,
        frees: impl Fn(u32, u64) -> bool,
        faults: &mut Faults,
    ) {
        let Cancelling { order, buyer_id, lines, whole } = cancelling;
        let mut broken = |what: String| {
            faults.add(FaultKind::Broken, || format!("sequence {sequence}: {what}"));
        };
        let place = self.0.binary_search_by_key(&order, |(placed, _)| *placed).ok();
        let Some((_, placed)) = place.and_then(|place| self.0.get_mut(place)) else {
            return broken(format!("no order was placed at {order}"));
        };
        if *placed.buyer_id != *buyer_id {
            broken(format!("order {order} is of {}, not {buyer_id}", placed.buyer_id));
        }
        if !lines.is_sorted_by(|first, second| first.place < second.place) {
            broken("lines are not in their order's".to_owned());
        }
        for Returned { place, line, frees_limit } in lines {
            let own = usize::try_from(*place).ok().and_then(|place| placed.lines.get_mut(place));
            let same = |own: &PlacedLine| {
                let (product, price): (u32, Option<Money>) =
                    (own.line.product, own.line.unit_price);
                product == line.product && price == line.unit_price
            };
            let Some(own) = own.filter(|own| same(own)) else {
                broken(format!("order {order} has no such line {place}"));
                continue;
            };
            let (had, before) = (own.line.quantity, own.cancelled);
            own.cancelled = before.saturating_add(line.quantity);
            if own.cancelled > had || line.quantity == 0 {
                let back = line.quantity;
                broken(format!(
                    "line {place} of order {order} had {had}, of which {before} were \
                                cancelled, and {back} more are"
                ));
            }
            if *frees_limit != frees(line.product, own.version) {
                broken(format!("line {place} of order {order} frees a limit: {frees_limit}?"));
            }
        }
        if whole != (placed.status() == "cancelled") {
            broken(format!("order {order} is {}, whole: {whole}?", placed.status()));
        }
    }
}
