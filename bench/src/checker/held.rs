//! The records of holds and of what came back, against the requests behind them.
//!
//! Two of them name no request: an extension and a release are found by their hold, of which nobody
//! asks for either twice. A cancellation is found by its reason.

use super::{Checker, request_behind};
use crate::notes::{self, Asked, Notes};
use crate::payload::{Decision, Envelope, Line};

impl Checker {
    /// The request behind one of these records.
    pub(super) fn held_or_back(
        &mut self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        notes: &Notes,
    ) -> Result<u64, String> {
        match decision {
            Decision::HoldPlaced { buyer_id, lines, expires_at_ms } => {
                let (number, asked) = request_behind(envelope, notes)?;
                let lives_ms = expires_at_ms.checked_sub(envelope.at_ms);
                match asked {
                    Asked::Hold { ttl_ms, .. } if lives_ms == Some(u64::from(ttl_ms)) => {}
                    _ => return Err(format!("request {number} asked for {asked:?}, no such hold")),
                }
                self.holds.insert(sequence, u32::try_from(number).unwrap_or(u32::MAX));
                self.same_lines(number, buyer_id, lines, notes)
            }
            Decision::HoldExtended { hold, .. } => {
                let extension = notes.extension_of(self.hold_behind(*hold)?);
                extension.ok_or_else(|| format!("nobody asked to extend the hold at {hold}"))
            }
            Decision::HoldReleased(ended) => {
                let number = notes.release_of(self.hold_behind(ended.hold)?);
                let number = number
                    .ok_or_else(|| format!("nobody asked to release the hold at {}", ended.hold))?;
                self.same_lines(number, ended.buyer_id, &ended.lines, notes)
            }
            Decision::HoldConfirmed { hold, buyer_id, lines, released } => {
                let (number, asked) = request_behind(envelope, notes)?;
                match asked {
                    Asked::Confirm { hold: placed, .. }
                        if self.place_of(placed.into()) == Some(*hold) && released.is_empty() => {}
                    _ => return Err(format!("request {number} asked for {asked:?}, not {hold}")),
                }
                self.same_lines(number, buyer_id, lines, notes)
            }
            Decision::OrderCancelled { order, buyer_id, lines, reason, restocked, whole } => {
                let number = notes::number_of(reason).ok_or_else(|| format!("for {reason:?}"))?;
                let asked = notes.get(number).map(|request| request.asked);
                match asked {
                    Some(Asked::Cancel { order: placed, restock, .. })
                        if self.place_of(placed.into()) == Some(*order)
                            && restock == *restocked
                            && *whole => {}
                    _ => return Err(format!("request {number} asked for {asked:?}, not {order}")),
                }
                let lines: Vec<Line> = lines.iter().map(|returned| returned.line).collect();
                self.same_lines(number, buyer_id, &lines, notes)
            }
            _ => Err("no hold and nothing that came back".to_owned()),
        }
    }

    /// The request that placed the hold at a sequence.
    fn hold_behind(&self, hold: u64) -> Result<u32, String> {
        self.holds.get(&hold).copied().ok_or_else(|| format!("nobody placed a hold at {hold}"))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::faults::{FaultKind, Faults};
    use crate::made::{About, Bytes};
    use crate::notes::{Heard, Ware};
    use crate::segment::Frame;

    const WARE: Ware =
        Ware { stock: 10, oversell_limit: 1, safety_stock: 0, per_buyer_limit: 4, price: None };

    fn about<'a>(
        sequence: u64,
        reference: Option<&'a str>,
        changes: &'a [(u32, u64)],
    ) -> About<'a> {
        About { at_ms: sequence, reference, key: u8::try_from(sequence).ok(), changes }
    }

    fn cancelled(reason: &str, restocked: bool) -> Vec<u8> {
        let flags = [true, restocked, true];
        Bytes::cancelled_for(reason, about(8, None, &[(0, 6)]), 5, "b7", &[(0, 0, 2)], flags)
    }

    fn confirmed(hold: u64) -> Vec<u8> {
        Bytes::confirmed(about(5, Some("c3"), &[(0, 3)]), hold, "b7", [&[(0, 2)], &[]])
    }

    /// c1 holds two, c2 extends, c3 confirms; c4 holds one, c5 gives it back unheard; c6 cancels.
    fn notes(with_release: bool) -> Notes {
        let mut notes = Notes::new(vec![WARE]);
        let done = |sequence| Heard::Done(NonZeroU64::new(sequence));
        let release = Asked::Release { ware: 0, hold: 4 };
        let asked = [
            (Asked::Create { ware: 0 }, done(2)),
            (Asked::Hold { ware: 0, quantity: 2, ttl_ms: 100, buyer: 7 }, done(3)),
            (Asked::Extend { ware: 0, ttl_ms: 146, hold: 1 }, done(4)),
            (Asked::Confirm { ware: 0, hold: 1 }, done(5)),
            (Asked::Hold { ware: 0, quantity: 1, ttl_ms: 50, buyer: 8 }, done(6)),
            (if with_release { release } else { Asked::Create { ware: 0 } }, Heard::Silence),
            (Asked::Cancel { ware: 0, restock: true, order: 3 }, done(8)),
        ];
        for (asked, heard) in asked {
            let number = notes.begin(asked);
            notes.hear(number, heard).expect("heard once");
        }
        notes
    }

    fn records() -> Vec<Vec<u8>> {
        let created = about(2, None, &[(0, 1)]);
        let released = About { key: None, ..about(7, None, &[(0, 5)]) };
        vec![
            Bytes::started(1),
            Bytes::created(created, "ware-0", 10, (1, 4)),
            Bytes::held(about(3, Some("c1"), &[(0, 2)]), "b7", &[(0, 2)], 103),
            Bytes::extended(about(4, None, &[]), 3, 150),
            confirmed(3),
            Bytes::held(about(6, Some("c4"), &[(0, 4)]), "b8", &[(0, 1)], 56),
            Bytes::ended(11, released, 6, "b8", &[(0, 1)]),
            cancelled("c6", true),
        ]
    }

    fn faults_of(notes: &Notes, records: &[Vec<u8>]) -> Faults {
        let (mut checker, mut faults) = (Checker::default(), Faults::default());
        checker.places.resize(notes.len(), 0);
        checker.refusals.resize(1, 0);
        for (sequence, payload) in (1..).zip(records) {
            let frame = Frame { sequence, durable_upto: sequence - 1, payload, bytes: 0 };
            checker.record(&frame, notes, &mut faults);
        }
        checker.settle(notes, &mut faults);
        faults
    }

    fn check(kind: FaultKind, part: &str, lie: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let mut records = records();
        lie(&mut records);
        let faults = faults_of(&notes(true), &records);
        let told = faults.first().iter().any(|f| f.kind == kind && f.detail.contains(part));
        assert!(told, "{kind:?} {part:?} expected: {faults}");
    }

    #[test]
    fn an_honest_story_of_holds_has_no_fault() {
        let faults = faults_of(&notes(true), &records());
        assert!(faults.is_empty(), "{faults}");
    }

    #[test]
    fn a_lost_hold_confirmation_or_cancellation_is_found() {
        check(FaultKind::Lost, "request 6", |records| records.truncate(7));
        check(FaultKind::Lost, "request 4", |records| records.truncate(5));
        check(FaultKind::Lost, "request 3", |records| records.truncate(4));
        check(FaultKind::Lost, "request 2", |records| records.truncate(3));
    }

    #[test]
    fn what_happens_twice_to_a_hold_or_an_order_is_found() {
        let again = |sequence, changes| {
            Bytes::ended(
                11,
                About { key: None, ..about(sequence, None, changes) },
                6,
                "b8",
                &[(0, 1)],
            )
        };
        check(FaultKind::Doubled, "request 5", |records| records.push(again(9, &[(0, 7)])));
        check(FaultKind::Doubled, "request 2", |records| {
            records[4] = Bytes::extended(about(5, None, &[]), 3, 160);
        });
    }

    #[test]
    fn records_of_holds_that_nobody_asked_for_are_found() {
        check(FaultKind::Invented, "no such hold", |records| {
            records[2] = Bytes::held(about(3, Some("c1"), &[(0, 2)]), "b7", &[(0, 2)], 104);
        });
        check(FaultKind::Invented, "for Some(7)", |records| {
            records[2] = Bytes::held(about(3, Some("c1"), &[(0, 2)]), "b6", &[(0, 2)], 103);
        });
        check(FaultKind::Invented, "request 3 asked for", |records| records[4] = confirmed(9));
        check(FaultKind::Invented, "for \"why\"", |records| records[7] = cancelled("why", true));
        check(FaultKind::Invented, "request 6 asked for", |records| {
            records[7] = cancelled("c6", false);
        });
        let faults = faults_of(&notes(false), &records());
        assert!(faults.to_string().contains("nobody asked to release"), "{faults}");
    }
}
