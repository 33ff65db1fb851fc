//! The checker: the clients' notes against the log.
//!
//! Knows only what was asked and heard ([`Notes`]) and what the log holds ([`Log`]); shares no
//! code with the engine. Proves, beside what [`Model`] does:
//! - every acknowledged request is in the log exactly once, at the place its answer said, with the
//!   same product, buyer, quantity and price;
//! - no record without a request behind it, and none behind two requests; what ends a hold or takes
//!   an order back is about the hold or the order that its request named;
//! - what was refused is not there; what is unknown is there once or not at all;
//! - refusals counted in the log are no more than were heard or may have gone unheard.
//!
//! Reads on from where it stopped, so that a campaign's check costs what the log has grown.

mod held;

use std::collections::HashMap;

use crate::faults::{FaultKind, Faults};
use crate::log::{End, Log, LogError};
use crate::model::Model;
use crate::notes::{self, Asked, Fate, Notes, Wanted, Ware};
use crate::payload::{Decision, Envelope, KINDS, Line, Payload, Terms};
use crate::segment::Frame;

/// What has been read of a log, against notes.
#[derive(Debug, Default)]
pub struct Checker {
    model: Model,
    /// Sequence of the record behind each request; 0: none.
    places: Vec<u64>,
    /// Refusals the log counts, by ware.
    refusals: Vec<u64>,
    /// By the sequence of the record that placed a hold: the request behind it.
    holds: HashMap<u64, u32>,
}

impl Checker {
    /// Reads what the log has beyond what was read before.
    ///
    /// # Errors
    /// The log is damaged.
    pub fn read(&mut self, log: &Log, notes: &Notes, faults: &mut Faults) -> Result<End, LogError> {
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
            // The engine's own.
            Decision::HoldExpired(_) => return,
            Decision::TermsChanged { .. } => Err("terms were changed, nobody asked".to_owned()),
            Decision::SellingPaused { .. } => {
                let kind = KINDS.get(payload.kind()).copied().unwrap_or_default();
                Err(format!("{kind}, nobody asked"))
            }
            Decision::HoldPlaced { .. }
            | Decision::HoldExtended { .. }
            | Decision::HoldConfirmed { .. }
            | Decision::HoldReleased(_)
            | Decision::OrderCancelled { .. } => {
                self.held_or_back(sequence, envelope, decision, notes)
            }
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
        if !matches!(asked, Asked::Buy { .. } | Asked::Cart { .. }) {
            return Err(format!("request {number} asked for {asked:?}, the log has an order"));
        }
        self.same_lines(number, buyer_id, lines, notes)
    }

    /// The lines are those of the order or the hold that a request is about.
    fn same_lines(
        &self,
        number: u64,
        buyer_id: &str,
        lines: &[Line],
        notes: &Notes,
    ) -> Result<u64, String> {
        let line = |line: &Line| {
            let ware = self.ware(line.product)?;
            let gbp = line.unit_price.is_none_or(|price| price.currency == *b"GBP");
            let price = line.unit_price.map(|price| price.amount_minor);
            gbp.then_some(Wanted { ware, quantity: u64::from(line.quantity), price })
        };
        let found: Option<Vec<Wanted>> = lines.iter().map(line).collect();
        let (wanted, buyer) = (notes.lines(number), notes.buyer(number));
        if found.as_ref() == Some(&wanted) && buyer == notes::buyer_of(buyer_id) {
            return Ok(number);
        }
        Err(format!(
            "request {number} asked for {wanted:?} for {buyer:?}, \
             the log has {lines:?} for {buyer_id}"
        ))
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
                (Fate::Done(Some(said)), Some(found)) => faults
                    .add(FaultKind::Contradicted, || {
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

fn created(product_id: &str, terms: &Terms<'_>, stock: u64, notes: &Notes) -> Result<u64, String> {
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::made::{About, Bytes};
    use crate::notes::Heard;

    const WARE: Ware =
        Ware { stock: 10, oversell_limit: 1, safety_stock: 0, per_buyer_limit: 4, price: None };

    /// What a test may lie about.
    struct Story {
        notes: Notes,
        /// Sequence and payload.
        records: Vec<(u64, Vec<u8>)>,
    }

    fn about<'a>(sequence: u64, reference: &'a str, changes: &'a [(u32, u64)]) -> About<'a> {
        let key = u8::try_from(sequence).ok();
        About { at_ms: sequence, reference: Some(reference), key, changes }
    }

    fn buy(sequence: u64, request: &str, version: u64, buyer: &str, quantity: u32) -> Vec<u8> {
        Bytes::ordered(about(sequence, request, &[(0, version)]), buyer, quantity)
    }

    /// Ten units: c1 buys 2, c2 puts 5 in, c3 is refused, c4 and c5 are unknown, c4 is there.
    fn honest() -> Story {
        let mut notes = Notes::new(vec![WARE]);
        let done = |sequence| Heard::Done(NonZeroU64::new(sequence));
        let buy_of = |buyer, quantity| Asked::Buy { ware: 0, quantity, buyer };
        let asked = [
            (Asked::Create { ware: 0 }, Heard::Done(None)),
            (buy_of(7, 2), done(3)),
            (Asked::Adjust { ware: 0, delta: 5 }, done(4)),
            (buy_of(7, 3), Heard::Refused),
            (buy_of(8, 1), Heard::Silence),
            (buy_of(9, 1), Heard::Silence),
        ];
        for (asked, heard) in asked {
            let number = notes.begin(asked);
            notes.hear(number, heard).expect("heard once");
        }
        let creation = About { reference: None, ..about(2, "", &[(0, 1)]) };
        let records = vec![
            (1, Bytes::started(1)),
            (2, Bytes::created(creation, "ware-0", 10, (1, 4))),
            (3, buy(3, "c1", 2, "b7", 2)),
            (4, Bytes::adjusted(about(4, "c2", &[(0, 3)]), 5, 15, 13)),
            (5, buy(5, "c4", 4, "b8", 1)),
        ];
        Story { notes, records }
    }

    fn faults_of(story: &Story) -> Faults {
        let (mut checker, mut faults) = (Checker::default(), Faults::default());
        checker.places.resize(story.notes.len(), 0);
        checker.refusals.resize(1, 0);
        for (sequence, payload) in &story.records {
            let (sequence, durable_upto) = (*sequence, sequence - 1);
            let frame = Frame { sequence, durable_upto, payload, bytes: 0 };
            checker.record(&frame, &story.notes, &mut faults);
        }
        checker.settle(&story.notes, &mut faults);
        faults
    }

    /// The lie is found, and named as what it is.
    fn check(kind: FaultKind, part: &str, lie: impl FnOnce(&mut Story)) {
        let mut story = honest();
        lie(&mut story);
        let faults = faults_of(&story);
        assert!(faults.of(kind) > 0, "{kind:?} expected: {faults}");
        let told = faults.first().iter().any(|f| f.kind == kind && f.detail.contains(part));
        assert!(told, "{part:?} expected: {faults}");
    }

    #[test]
    fn an_honest_story_has_no_fault() {
        let mut story = honest();
        let faults = faults_of(&story);
        assert!(faults.is_empty(), "{faults}");
        // As many refusals counted as can have happened: one heard, two that may be unheard.
        story.records.push((6, Bytes::refused(9, 3)));
        let faults = faults_of(&story);
        assert!(faults.is_empty(), "{faults}");
    }

    #[test]
    fn a_lost_order_is_found() {
        check(FaultKind::Lost, "request 1", |story| {
            story.records[2].1 = Bytes::default().u16(2).u16(1).0;
        });
        check(FaultKind::Lost, "request 2", |story| story.records.truncate(3));
    }

    #[test]
    fn a_doubled_order_is_found() {
        check(FaultKind::Doubled, "at 3 and at 6", |story| {
            story.records.push((6, buy(6, "c1", 5, "b7", 2)));
        });
        check(FaultKind::Doubled, "under one key", |story| {
            let twin = About { key: Some(3), ..about(6, "c5", &[(0, 5)]) };
            story.records.push((6, Bytes::ordered(twin, "b9", 1)));
        });
        check(FaultKind::Doubled, "created again", |story| {
            let again = about(6, "", &[(1, 1)]);
            story.records.push((6, Bytes::created(again, "ware-0", 10, (1, 4))));
        });
    }

    #[test]
    fn an_invented_record_is_found() {
        check(FaultKind::Invented, "request 99 was never sent", |story| {
            story.records.push((6, buy(6, "c99", 5, "b7", 1)));
        });
        check(FaultKind::Invented, "reference \"\"", |story| {
            let nobodys = About { reference: None, ..about(6, "", &[(0, 5)]) };
            story.records.push((6, Bytes::ordered(nobodys, "b7", 1)));
        });
        check(FaultKind::Invented, "request 3", |story| {
            story.records.push((6, buy(6, "c3", 5, "b7", 3)));
        });
        check(FaultKind::Invented, "terms", |story| {
            let change = Bytes::decision(4, about(6, "c5", &[(0, 5)])).u8(0);
            story.records.push((6, (0..11).fold(change, |bytes, _| bytes.u32(0)).u8(0).0));
        });
        check(FaultKind::Invented, "ware-0 was created as", |story| {
            let other = About { reference: None, ..about(2, "", &[(0, 1)]) };
            story.records[1].1 = Bytes::created(other, "ware-0", 11, (1, 4));
        });
        check(FaultKind::Invented, "4 refusals", |story| {
            story.records.push((6, Bytes::refused(9, 4)));
        });
    }

    #[test]
    fn another_buyer_quantity_or_place_is_found() {
        let other = "asked for";
        check(FaultKind::Invented, other, |story| story.records[2].1 = buy(3, "c1", 2, "b6", 2));
        check(FaultKind::Invented, other, |story| story.records[2].1 = buy(3, "c1", 2, "b7", 1));
        check(FaultKind::Contradicted, "answered with place 3, it is at 5", |story| {
            story.records[2].1 = buy(3, "c4", 2, "b8", 1);
            story.records[4].1 = buy(5, "c1", 4, "b7", 2);
        });
    }

    #[test]
    fn an_oversold_product_is_found() {
        check(FaultKind::Oversold, "17 sold, 15 stock, 1 oversell", |story| {
            story.records.push((6, buy(6, "c5", 5, "b9", 14)));
        });
        check(FaultKind::Broken, "b8 has 5 of ware-0, the limit is 4", |story| {
            story.records.push((6, buy(6, "c5", 5, "b8", 4)));
        });
        check(FaultKind::Oversold, "3 sold, 1 stock", |story| {
            let written_off = Bytes::adjusted(about(6, "c5", &[(0, 5)]), -14, 1, -2);
            story.records.push((6, written_off));
        });
    }

    #[test]
    fn a_gap_is_found() {
        check(FaultKind::Broken, "sequence 6 follows 4", |story| story.records[4].0 = 6);
        check(FaultKind::Broken, "version 6 of ware-0 follows 4", |story| {
            story.records.push((6, buy(6, "c5", 6, "b9", 1)));
        });
        check(FaultKind::Broken, "no product 1", |story| {
            let elsewhere = about(6, "c5", &[(1, 1)]);
            story.records.push((6, Bytes::ordered(elsewhere, "b9", 1)));
        });
        check(FaultKind::Broken, "decided at 4 ms, after one at 5 ms", |story| {
            let early = About { at_ms: 4, ..about(6, "c5", &[(0, 5)]) };
            story.records.push((6, Bytes::ordered(early, "b9", 1)));
        });
        check(FaultKind::Broken, "leaves 15 with 12 unsold", |story| {
            story.records[3].1 = Bytes::adjusted(about(4, "c2", &[(0, 3)]), 5, 15, 12);
        });
        check(FaultKind::Broken, "has no key", |story| {
            let keyless = About { key: None, ..about(6, "c5", &[(0, 5)]) };
            story.records.push((6, Bytes::ordered(keyless, "b9", 1)));
        });
        check(FaultKind::Broken, "ends inside", |story| story.records[4].1.truncate(40));
    }

    #[test]
    fn what_stays_unknown_is_a_fault_only_at_the_end() {
        let story = honest();
        let (checker, mut faults) = (Checker::default(), Faults::default());
        checker.settle_finally(&story.notes, &mut faults);
        assert_eq!(faults.of(FaultKind::Contradicted), 2, "{faults}");
    }
}
