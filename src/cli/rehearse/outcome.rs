//! What became of a step.

use super::earlier::Units;
use crate::cli::play::order::{Adjustment, Order, Status};

/// Units of a product that could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    /// Its place among the products.
    pub(super) product: usize,
    /// Units the order wanted of it.
    pub(super) requested: u64,
    /// Units it could have had.
    pub(super) available: u64,
    /// For want of stock; otherwise for another reason, such as a limit.
    pub(super) sold_out: bool,
}

/// A refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// Why, such as `sold-out`.
    pub(super) reason: String,
    /// What could not be had, where it was said.
    pub(super) short: Vec<Short>,
}

/// An order that was sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sold {
    /// The order's id.
    pub(super) order_id: String,
    /// The order, as the answer tells it.
    pub(super) order: Order,
    /// Units of each line that was wished for.
    pub(super) got: Vec<u64>,
    /// The refusal of the whole, where a part was sold.
    pub(super) refused: Option<Refused>,
    /// An earlier run under the same id sold it, by the answer.
    pub(super) of_earlier_run: bool,
}

/// Units of an order that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Back {
    /// Of which order.
    pub(super) order_id: String,
    /// What is left of it.
    pub(super) status: Status,
    /// Which.
    pub(super) units: Vec<Units>,
    /// The record.
    pub(super) sequence: u64,
    /// As for [`Sold`].
    pub(super) of_earlier_run: bool,
}

/// An adjustment that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Booked {
    /// What it says.
    pub(super) adjustment: Adjustment,
    /// The record.
    pub(super) sequence: u64,
    /// As for [`Sold`].
    pub(super) of_earlier_run: bool,
}

/// What became of a cancellation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Returned {
    /// What came back, order by order.
    pub(super) back: Vec<Back>,
    /// What matched no earlier units.
    pub(super) booked: Option<Booked>,
    /// Units whose cancellation was refused, and why.
    pub(super) refused: Vec<(u64, String)>,
    /// What had no answer that can be used.
    pub(super) failed: Option<String>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The order was sold, whole or in part.
    Sold(Sold),
    /// The order was refused.
    Refused(Refused),
    /// The cancellation was made, as far as it was.
    Returned(Returned),
    /// The write-off was booked.
    WrittenOff(Booked),
    /// The write-off was refused.
    Kept(Refused),
    /// No answer that can be used.
    Failed(String),
}

/// What becomes of a step when they come one after another; the same of what did become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// So many units of each line are sold, because of these there are no more.
    Sold(Vec<u64>, Vec<Short>),
    /// Nothing is.
    Refused(Vec<Short>),
    /// These come back, and the rest is put in as returned.
    Returned(Vec<Units>, u64),
    /// The units are written off.
    WrittenOff,
    /// They are not.
    Kept,
}

impl Outcome {
    /// Whether it is what was to be expected.
    pub(super) fn is(&self, expected: &Verdict) -> bool {
        match (self, expected) {
            (Self::Sold(sold), Verdict::Sold(got, short)) => {
                let refused = sold.refused.as_ref().map_or(&[][..], |refused| &refused.short);
                sold.got == *got && refused == short
            }
            (Self::Refused(refused), Verdict::Refused(short)) => refused.short == *short,
            (Self::Returned(returned), Verdict::Returned(taken, rest)) => {
                let back = returned.back.iter().flat_map(|back| &back.units);
                let booked = returned.booked.as_ref().map_or(0, |booked| booked.adjustment.delta);
                returned.refused.is_empty()
                    && back.eq(taken)
                    && u64::try_from(booked).is_ok_and(|booked| booked == *rest)
            }
            (Self::WrittenOff(_), Verdict::WrittenOff) | (Self::Kept(_), Verdict::Kept) => true,
            _ => false,
        }
    }
}
