//! Each record against the request behind it: it says what was asked, no more and no less.

use super::Witness;
use super::notes::Made;
use super::wish::{Wish, WishLine, buyer_name, product_name};
use crate::faults::FaultKind;
use crate::payload::{Decision, Envelope, Line};

/// Who writes the engine's own records.
const ITSELF: &str = "doorbuster";

impl Witness {
    /// Finds the request behind a durable record and compares.
    pub(super) fn behind(
        &mut self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
    ) {
        if matches!(decision, Decision::HoldExpired(_) | Decision::RefusalsCounted { .. }) {
            if envelope.principal != ITSELF || envelope.reference.is_some() {
                self.fault(FaultKind::Invented, || {
                    format!("sequence {sequence}: the engine's own record names a client")
                });
            }
            return;
        }
        let reference = envelope.reference.unwrap_or_default();
        let number = reference.strip_prefix('c').and_then(|digits| digits.parse().ok());
        let Some((number, call)) = number.and_then(|n| Some((n, self.notes.call(n)?))) else {
            return self.fault(FaultKind::Invented, || {
                format!("sequence {sequence}: nobody asked for {reference:?}")
            });
        };
        let keyed = envelope.key.is_some() == call.has_key;
        if !keyed || envelope.principal == ITSELF || !self.says(&call.wish, envelope, decision) {
            let wish = call.wish.clone();
            self.fault(FaultKind::Invented, || {
                format!("sequence {sequence}: {wish:?} was asked, the log has {decision:?}")
            });
        }
        let other_body = envelope.key.is_some_and(|(_, fingerprint)| fingerprint == [2; 8]);
        let made = Made { sequence, at_ms: envelope.at_ms, other_body };
        self.notes.place(number, made, &mut self.faults);
    }

    fn says(&self, wish: &Wish, envelope: &Envelope<'_>, decision: &Decision<'_>) -> bool {
        match (wish, decision) {
            (
                Wish::Create { product, stock, .. },
                Decision::ProductCreated { product_id, stock: found, .. },
            ) => product_name(*product) == **product_id && stock == found,
            (Wish::Terms { product, .. }, Decision::TermsChanged { sale_id: None, .. }) => {
                envelope.changes.iter().map(|(handle, _)| *handle).eq(self.handle(*product))
            }
            (Wish::Sale(_), Decision::TermsChanged { sale_id, .. }) => sale_id.is_some(),
            (Wish::PauseAll(asked), Decision::SellingPaused { paused }) => asked == paused,
            (
                Wish::Adjust { product, delta },
                Decision::StockAdjusted { product: of, delta: found, .. },
            ) => self.handle(*product) == Some(*of) && delta == found,
            (
                Wish::SetUnsold { product, unsold, expected },
                Decision::StockAdjusted { product: of, delta, unsold: found, .. },
            ) => {
                let before = found - delta;
                self.handle(*product) == Some(*of)
                    && i64::try_from(*unsold) == Ok(*found)
                    && expected.is_none_or(|expected| expected == before)
            }
            (Wish::Order { buyer, lines }, Decision::OrderPlaced { buyer_id, lines: found }) => {
                buyer_name(*buyer) == **buyer_id && self.same_lines(lines, found)
            }
            (
                Wish::Hold { buyer, lines, ttl_ms },
                Decision::HoldPlaced { buyer_id, lines: found, expires_at_ms },
            ) => {
                let until = envelope.at_ms + ttl_ms;
                buyer_name(*buyer) == **buyer_id
                    && self.same_lines(lines, found)
                    && *expires_at_ms == until
            }
            // How far it reaches is bounded by its longest life; the model sees that it is never shorter.
            (Wish::Extend { hold, .. }, Decision::HoldExtended { hold: found, .. }) => {
                hold == found
            }
            (
                Wish::Confirm { hold, parts },
                Decision::HoldConfirmed { hold: found, lines, released, .. },
            ) => hold == found && parts.is_some() | released.is_empty() && parts_fit(parts, lines),
            (Wish::Release { hold }, Decision::HoldReleased(ended)) => *hold == ended.hold,
            (
                Wish::Cancel { order, parts, restock },
                Decision::OrderCancelled { order: found, lines, restocked, .. },
            ) => {
                let lines: Vec<Line> = lines.iter().map(|returned| returned.line).collect();
                order == found && restock == restocked && parts_fit(parts, &lines)
            }
            _ => false,
        }
    }

    fn handle(&self, product: u16) -> Option<u32> {
        let name = product_name(product);
        let place = self.model.products().iter().position(|shelf| *shelf.product_id == *name)?;
        u32::try_from(place).ok()
    }

    fn same_lines(&self, wanted: &[WishLine], found: &[Line]) -> bool {
        wanted.len() == found.len()
            && wanted.iter().zip(found).all(|(wanted, found)| {
                let own = wanted.price.is_none_or(|price| {
                    found.unit_price.is_some_and(|found| found.amount_minor == price)
                });
                self.handle(wanted.product) == Some(found.product)
                    && wanted.quantity == u64::from(found.quantity)
                    && own
            })
    }
}

/// As many units in all as the parts name.
fn parts_fit(parts: &Option<Vec<(u16, u64)>>, lines: &[Line]) -> bool {
    let Some(parts) = parts else { return true };
    let asked: u64 = parts.iter().map(|(_, units)| units).sum();
    let found: u64 = lines.iter().map(|line| u64::from(line.quantity)).sum();
    asked == found
}
