//! The holds of the log: each placed once, extended while it lives, ended at most once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::faults::{FaultKind, Faults};
use crate::payload::{Decision, Ended, Envelope, Line, Money};

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldEnd {
    /// `confirmed`, `released` or `expired`.
    pub status: &'static str,
    /// When.
    pub at_ms: u64,
    /// Sequence of the record that ended it: of a confirmation, its order.
    pub sequence: u64,
}

/// A hold that was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    buyer_id: Box<str>,
    lines: Box<[Line]>,
    changes: Box<[(u32, u64)]>,
    /// First moment it is over, after its extensions.
    pub expires_at_ms: u64,
    /// How it ended, if it did.
    pub end: Option<HoldEnd>,
}

/// Every hold, by the sequence of the record that placed it.
#[derive(Debug, Default)]
pub struct Holds {
    all: HashMap<u64, Held>,
    due: BTreeSet<(u64, u64)>,
}

impl Held {
    /// Whether it has a line of this product.
    #[must_use]
    pub fn has(&self, product: u32) -> bool {
        self.lines.iter().any(|line| line.product == product)
    }

    /// What it holds.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The version that its placing gave a product.
    pub(super) fn version_of(&self, handle: u32) -> Option<u64> {
        self.changes.iter().find(|(changed, _)| *changed == handle).map(|(_, version)| *version)
    }
}

/// Units by product and price.
fn by_price<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeMap<(u32, Option<Money>), u64> {
    let mut sums = BTreeMap::new();
    for line in lines {
        *sums.entry((line.product, line.unit_price)).or_insert(0) += u64::from(line.quantity);
    }
    sums
}

impl Holds {
    /// The hold that a record placed.
    #[must_use]
    pub fn get(&self, hold: u64) -> Option<&Held> {
        self.all.get(&hold)
    }

    /// How many were ever placed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Sequence and time of the live hold that is over first.
    #[must_use]
    pub fn next_due(&self) -> Option<(u64, u64)> {
        self.due.first().map(|(at_ms, hold)| (*hold, *at_ms))
    }

    /// One of the live holds, by any number, and when it is over.
    #[must_use]
    pub fn some_due(&self, number: u64) -> Option<(u64, u64)> {
        let place = usize::try_from(number % (self.due.len().max(1) as u64)).ok()?;
        self.due.iter().nth(place).map(|(at_ms, hold)| (*hold, *at_ms))
    }

    /// Live holds.
    #[must_use]
    pub fn live(&self) -> usize {
        self.due.len()
    }

    /// When the first live hold with a line of this product is over.
    #[must_use]
    pub fn next_due_of(&self, product: u32) -> Option<u64> {
        let of = |(_, hold): &&(u64, u64)| self.all.get(hold).is_some_and(|held| held.has(product));
        self.due.iter().find(of).map(|(at_ms, _)| *at_ms)
    }

    /// Takes the record in; gives the hold that ended by it.
    pub(super) fn apply(
        &mut self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        faults: &mut Faults,
    ) -> Option<&Held> {
        self.check_due(sequence, envelope, decision, faults);
        let mut broken = |what: String| {
            faults.add(FaultKind::Broken, || format!("sequence {sequence}: {what}"));
        };
        let at_ms = envelope.at_ms;
        let end = |status| HoldEnd { status, at_ms, sequence };
        match decision {
            Decision::HoldPlaced { buyer_id, lines, expires_at_ms } => {
                if *expires_at_ms <= at_ms {
                    broken("a hold that is over as it is placed".to_owned());
                }
                self.due.insert((*expires_at_ms, sequence));
                let held = Held {
                    buyer_id: (*buyer_id).into(),
                    lines: lines.as_slice().into(),
                    changes: envelope.changes.as_slice().into(),
                    expires_at_ms: *expires_at_ms,
                    end: None,
                };
                self.all.insert(sequence, held);
                None
            }
            Decision::HoldExtended { hold, expires_at_ms } => {
                let held = live(&mut self.all, *hold, &mut broken)?;
                if *expires_at_ms < held.expires_at_ms {
                    let before = held.expires_at_ms;
                    broken(format!("hold {hold} until {before} is over at {expires_at_ms}"));
                }
                self.due.remove(&(held.expires_at_ms, *hold));
                self.due.insert((*expires_at_ms, *hold));
                held.expires_at_ms = *expires_at_ms;
                None
            }
            Decision::HoldConfirmed { hold, buyer_id, lines, released } => {
                let held = live(&mut self.all, *hold, &mut broken)?;
                let parts = by_price(lines.iter().chain(released));
                if *held.buyer_id != **buyer_id || by_price(&held.lines) != parts {
                    broken(format!("another hold than {hold} is confirmed"));
                }
                self.ended(*hold, end("confirmed"))
            }
            Decision::HoldReleased(Ended { hold, buyer_id, lines })
            | Decision::HoldExpired(Ended { hold, buyer_id, lines }) => {
                let held = live(&mut self.all, *hold, &mut broken)?;
                let expired = matches!(decision, Decision::HoldExpired(_));
                if *held.buyer_id != **buyer_id || *held.lines != **lines {
                    broken(format!("another hold than {hold} has ended"));
                }
                if expired && at_ms < held.expires_at_ms {
                    let until = held.expires_at_ms;
                    broken(format!("hold {hold} until {until} expired at {at_ms}"));
                }
                self.ended(*hold, end(if expired { "expired" } else { "released" }))
            }
            _ => None,
        }
    }

    /// Nothing but expiries and counts stands behind the time of a hold that has not ended.
    fn check_due(
        &self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        faults: &mut Faults,
    ) {
        let exempt =
            matches!(decision, Decision::HoldExpired(_) | Decision::RefusalsCounted { .. });
        let Some((hold, over_ms)) = self.next_due().filter(|_| !exempt) else { return };
        let at_ms = envelope.at_ms;
        if over_ms <= at_ms {
            faults.add(FaultKind::Broken, || {
                format!(
                    "sequence {sequence} was decided at {at_ms} ms, hold {hold} was over at \
                     {over_ms} ms and had not ended"
                )
            });
        }
    }

    fn ended(&mut self, hold: u64, end: HoldEnd) -> Option<&Held> {
        let held = self.all.get_mut(&hold)?;
        held.end = Some(end);
        self.due.remove(&(held.expires_at_ms, hold));
        Some(held)
    }
}

/// The live hold of that sequence; tells when there is none.
fn live<'a>(
    all: &'a mut HashMap<u64, Held>,
    hold: u64,
    broken: &mut impl FnMut(String),
) -> Option<&'a mut Held> {
    let held = all.get_mut(&hold);
    match held.as_ref().map(|held| held.end) {
        Some(None) => held,
        Some(Some(HoldEnd { status, sequence, .. })) => {
            broken(format!("hold {hold} was {status} at {sequence}"));
            None
        }
        None => {
            broken(format!("no hold was placed at {hold}"));
            None
        }
    }
}
