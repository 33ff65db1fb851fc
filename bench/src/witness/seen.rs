//! What reads show: never ahead of the durable log, never behind what a client has heard.

use super::Witness;
use crate::faults::FaultKind;

/// A product as a read shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenProduct {
    /// Its version.
    pub version: u64,
    /// Units put in.
    pub stock: u64,
    /// Units in holds.
    pub held: u64,
    /// Units sold.
    pub sold: u64,
    /// Units that may be sold.
    pub available: u64,
    /// How often its terms were set.
    pub terms_version: u32,
}

/// A hold as a read shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenHold {
    /// It lives until then.
    Live {
        /// First moment it is over.
        expires_at_ms: u64,
    },
    /// It ended so.
    Ended(&'static str),
}

impl Witness {
    /// A read of a product.
    pub fn see_product(&mut self, product: u16, seen: Option<SeenProduct>) {
        let (floor, durable) = (self.floor, self.durable());
        let states = self.history.between(product, floor, durable);
        let fits = match seen {
            None => states.first().is_none_or(|state| state.sequence > floor),
            Some(seen) => states.iter().any(|state| {
                let shown = SeenProduct {
                    version: state.version,
                    stock: state.stock,
                    held: state.held,
                    sold: state.sold,
                    available: state.available,
                    terms_version: state.terms_version,
                };
                shown == seen
            }),
        };
        if !fits {
            let last = states.last().copied();
            self.fault(FaultKind::Early, || {
                format!(
                    "product {product} is shown as {seen:?}; {floor} was heard of, {durable} is \
                     durable with {last:?}"
                )
            });
        }
    }

    /// With nothing under way: a product is shown exactly as the log has it.
    pub fn see_product_at_rest(&mut self, product: u16, seen: Option<SeenProduct>) {
        self.floor = self.durable();
        self.see_product(product, seen);
    }

    /// A read of a hold.
    pub fn see_hold(&mut self, hold: u64, seen: Option<SeenHold>, now_ms: u64) {
        let (floor, durable) = (self.floor, self.durable());
        let kept = self.model.holds().get(hold).filter(|_| hold <= durable);
        let end = kept.and_then(|held| held.end);
        let fits = match (seen, kept) {
            (None, None) => true,
            // Not shown yet, or over for a day.
            (None, Some(_)) => {
                hold > floor || end.is_some_and(|end| end.at_ms + 86_400_000 <= now_ms)
            }
            (Some(_), None) => false,
            (Some(SeenHold::Live { expires_at_ms }), Some(held)) => {
                // An extension may not be shown yet.
                expires_at_ms <= held.expires_at_ms && end.is_none_or(|end| end.sequence > floor)
            }
            (Some(SeenHold::Ended(status)), Some(_)) => end.is_some_and(|end| end.status == status),
        };
        if !fits {
            self.fault(FaultKind::Early, || {
                format!(
                    "hold {hold} is shown as {seen:?} at {now_ms} ms; {floor} was heard of, \
                     {durable} is durable with {end:?}"
                )
            });
        }
    }

    /// A read of a record by its place: its checksum, or nothing there.
    pub fn see_order(&mut self, sequence: u64, seen: Option<u32>) {
        let (floor, durable) = (self.floor, self.durable());
        let fits = match seen {
            Some(checksum) => self.checksum(sequence) == Some(checksum),
            None => self.model.orders().get(sequence).is_none() || sequence > floor,
        };
        if !fits {
            self.fault(FaultKind::Early, || {
                format!(
                    "the order {sequence} is shown as {seen:?}; {floor} was heard of, {durable} \
                     is durable"
                )
            });
        }
    }
}
