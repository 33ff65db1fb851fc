//! The checker: the clients' notes against the log.
//!
//! Knows only what was asked and heard ([`Notes`]) and what the log holds ([`Log`]); shares no
//! code with the engine. Proves, beside what [`Model`] does:
//! - every acknowledged request is in the log exactly once, at the place its answer said, with the
//!   same product, buyer, quantity and price;
//! - no record without a request behind it, and none behind two requests;
//! - what was refused is not there; what is unknown is there once or not at all;
//! - refusals counted in the log are no more than were heard or may have gone unheard.
//!
//! Reads on from where it stopped, so that a campaign's check costs what the log has grown.

use crate::faults::{FaultKind, Faults};
use crate::log::{End, Log, LogError};
use crate::model::Model;
use crate::notes::{self, Asked, Fate, Notes, Ware};
use crate::payload::{Decision, Envelope, Line, Money, Payload, Terms};
use crate::segment::Frame;

/// What has been read of a log, against notes.
#[derive(Debug, Default)]
pub struct Checker {
    model: Model,
    /// Sequence of the record behind each request; 0: none.
    places: Vec<u64>,
    /// Refusals the log counts, by ware.
    refusals: Vec<u64>,
}

impl Checker {
    /// Reads what the log has beyond what was read before.
    ///
    /// # Errors
    /// The log is damaged.
    pub fn read(
        &mut self,
        log: &Log,
        notes: &Notes,
        faults: &mut Faults,
    ) -> Result<End, LogError> {
        let from = self.model.last_sequence() + 1;
        self.places.resize(notes.len(), 0);
        self.refusals.resize(notes.wares.len(), 0);
        log.read(from, |frame| self.record(frame, notes, faults))
    }

    /// What the log says by itself.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The sequence of the record behind a request, if there is one.
    #[must_use]
    pub fn place_of(&self, number: u64) -> Option<u64> {
        let place = self.places.get(usize::try_from(number).ok()?)?;
        (*place != 0).then_some(*place)
    }

    /// One record.
    pub fn record(&mut self, frame: &Frame<'_>, notes: &Notes, faults: &mut Faults) {
        let sequence = frame.sequence;
        let payload = match Payload::parse(frame.payload) {
            Ok(payload) => payload,
            Err(error) => {
                faults.add(FaultKind::Broken, || format!("sequence {sequence}: {error}"));
                return;
            }
        };
        self.model.apply(sequence, &payload, faults);
        let Payload::Decision(envelope, decision) = &payload else { return };
        let request = match decision {
            Decision::ProductCreated { product_id, terms, stock } => {
                created(product_id, terms, *stock, notes)
            }
            Decision::RefusalsCounted { rows, .. } => {
                self.count_refusals(rows);
                return;
            }
            Decision::TermsChanged { .. } => Err("terms were changed, nobody asked".to_owned()),
            Decision::StockAdjusted { product, delta, .. } => {
                self.adjusted(*product, *delta, envelope, notes)
            }
            Decision::OrderPlaced { buyer_id, lines } => {
                self.bought(buyer_id, lines, envelope, notes)
            }
        };
        match request {
            Ok(number) => self.placed(number, sequence, faults),
            Err(reason) => {
                faults.add(FaultKind::Invented, || format!("sequence {sequence}: {reason}"));
            }
        }
    }

    fn placed(&mut self, number: u64, sequence: u64, faults: &mut Faults) {
        let place = usize::try_from(number).ok().and_then(|n| self.places.get_mut(n));
        match place {
            Some(place) if *place == 0 => *place = sequence,
            Some(first) => faults.add(FaultKind::Doubled, || {
                format!("request {number} is in the log at {first} and at {sequence}")
            }),
            None => faults.add(FaultKind::Invented, || {
                format!("sequence {sequence}: request {number} was not sent yet")
            }),
        }
    }

    fn ware(&self, handle: u32) -> Option<u16> {
        notes::ware_of(&self.model.products().get(handle as usize)?.product_id)
    }

    fn adjusted(
        &self,
        product: u32,
        delta: i64,
        envelope: &Envelope<'_>,
        notes: &Notes,
    ) -> Result<u64, String> {
        let (number, asked) = request_behind(envelope, notes)?;
        let expected = Asked::Adjust {
            ware: self.ware(product).ok_or_else(|| format!("product {product} is no ware"))?,
            delta: i32::try_from(delta).map_err(|_| format!("a delta of {delta}"))?,
        };
        same(number, asked, expected)
    }

    fn bought(
        &self,
        buyer_id: &str,
        lines: &[Line],
        envelope: &Envelope<'_>,
        notes: &Notes,
    ) -> Result<u64, String> {
        let (number, asked) = request_behind(envelope, notes)?;
        let [line] = lines else { return Err(format!("an order of {} lines", lines.len())) };
        let ware = self.ware(line.product).ok_or_else(|| "no ware".to_owned())?;
        let expected = Asked::Buy {
            ware,
            quantity: u16::try_from(line.quantity).map_err(|_| "too many units".to_owned())?,
            buyer: notes::buyer_of(buyer_id).ok_or_else(|| format!("buyer {buyer_id}"))?,
        };
        let price = price_of(number, notes.wares.get(usize::from(ware)));
        if line.unit_price != price {
            return Err(format!("request {number} at {:?}, not {price:?}", line.unit_price));
        }
        same(number, asked, expected)
    }

    fn count_refusals(&mut self, rows: &[(u32, u8, u64)]) {
        for (handle, _, count) in rows {
            let ware = self.ware(*handle).map(usize::from);
            if let Some(refusals) = ware.and_then(|ware| self.refusals.get_mut(ware)) {
                *refusals += count;
            }
        }
    }

    /// Compares every request's fate with the log as far as it was read. Call it when no request
    /// is under way: after a kill or at rest.
    pub fn settle(&self, notes: &Notes, faults: &mut Faults) {
        for (number, request) in notes.iter() {
            let place = self.place_of(number);
            let about = || format!("request {number} ({:?})", request.asked);
            match (request.fate, place) {
                (Fate::Unknown, _) | (Fate::Nothing, None) | (Fate::Done(None), Some(_)) => {}
                (Fate::Done(Some(said)), Some(found)) if said.get() == found => {}
                (Fate::Done(Some(said)), Some(found)) => faults.add(FaultKind::Contradicted, || {
                    format!("{} was answered with place {said}, it is at {found}", about())
                }),
                (Fate::Done(said), None) => faults.add(FaultKind::Lost, || {
                    format!("{} was acknowledged at {said:?} and is not in the log", about())
                }),
                (Fate::Nothing, Some(found)) => faults.add(FaultKind::Invented, || {
                    format!("{} was refused and is in the log at {found}", about())
                }),
            }
        }
        for (ware, counted) in self.refusals.iter().enumerate() {
            let max = notes.refusals_max(ware);
            if *counted > max {
                faults.add(FaultKind::Invented, || {
                    format!("{counted} refusals of ware {ware} counted, at most {max} happened")
                });
            }
        }
    }

    /// As [`Self::settle`], at the end: nothing may be unknown any more.
    pub fn settle_finally(&self, notes: &Notes, faults: &mut Faults) {
        self.settle(notes, faults);
        for (number, request) in notes.iter() {
            if request.fate == Fate::Unknown {
                faults.add(FaultKind::Contradicted, || {
                    format!("request {number} ({:?}) was never resolved", request.asked)
                });
            }
        }
    }
}

/// The price a purchase is to stand at: its own, or the ware's.
#[must_use]
pub fn price_of(number: u64, ware: Option<&Ware>) -> Option<Money> {
    let pence = notes::own_price(number).or_else(|| ware?.price)?;
    Some(Money { amount_minor: pence, currency: *b"GBP" })
}

/// The number and the wish of the request that a record's reference names.
fn request_behind(envelope: &Envelope<'_>, notes: &Notes) -> Result<(u64, Asked), String> {
    let reference = envelope.reference.unwrap_or_default();
    let number = notes::number_of(reference).ok_or_else(|| format!("reference {reference:?}"))?;
    let request = notes.get(number).ok_or_else(|| format!("request {number} was never sent"))?;
    Ok((number, request.asked))
}

fn same(number: u64, asked: Asked, found: Asked) -> Result<u64, String> {
    if asked == found {
        Ok(number)
    } else {
        Err(format!("request {number} asked for {asked:?}, the log has {found:?}"))
    }
}

fn created(
    product_id: &str,
    terms: &Terms<'_>,
    stock: u64,
    notes: &Notes,
) -> Result<u64, String> {
    let ware = notes::ware_of(product_id).ok_or_else(|| format!("product {product_id}"))?;
    let found = Ware {
        stock,
        oversell_limit: terms.oversell_limit,
        safety_stock: terms.safety_stock,
        per_buyer_limit: terms.per_buyer_limit,
        price: terms.price.map(|price| price.amount_minor),
    };
    if notes.wares.get(usize::from(ware)) != Some(&found) {
        return Err(format!("{product_id} was created as {found:?}"));
    }
    let asked = Asked::Create { ware };
    let request = notes.iter().find(|(_, request)| request.asked == asked);
    request.map(|(number, _)| number).ok_or_else(|| format!("nobody asked for {product_id}"))
}
