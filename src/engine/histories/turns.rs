//! The partition's turns in a history, each beside the naive model's.

use super::clients::{Attempt, Outcome};
use super::compare::compare_inventory;
use super::history::History;
use super::life::RULES;
use crate::domain::*;
use crate::engine::partition::MINUTE_MS;
use crate::engine::{Action, Expired};
use crate::journal::*;

/// With less room than this a record may find none.
const LITTLE_ROOM: i64 = 4 << 10;

impl History {
    /// The partition decides one of the commands that wait.
    pub(super) fn turn(&mut self) {
        if self.mailbox.is_empty() {
            return;
        }
        let number = self.dice.roll(self.mailbox.len().min(4) as u64) as usize;
        let (number, command) = self.mailbox.remove(number);
        let now_ms = self.life.engine.now_ms();
        let first = self.life.upcoming();
        self.life.partition.turn(command, now_ms);
        let appended = self.life.upcoming() - first;
        let mut attempt = self.attempts.remove(&number).unwrap();
        if self.life.engine.health().is_failed() {
            self.keys.give_back(attempt.key.as_ref());
            // Whichever: nothing is decided any more.
            attempt.outcome = Some(Outcome::NotDecided);
        } else {
            attempt.outcome = Some(self.decided(&attempt, first, appended, now_ms));
        }
        self.attempts.insert(number, attempt);
        if self.dice.roll(4) == 0 && !self.life.engine.health().is_failed() {
            compare_inventory(&self.life, &self.live);
        }
    }

    /// What comes of a turn that appended so many records from `first` on.
    pub(super) fn decided(
        &mut self,
        attempt: &Attempt,
        first: u64,
        appended: u64,
        now_ms: u64,
    ) -> Outcome {
        if attempt.deadline_ms < now_ms {
            assert_eq!(appended, 0, "nothing is decided too late");
            self.keys.give_back(attempt.key.as_ref());
            return Outcome::NotDecided;
        }
        let expired = self.follow_expiries(first, appended, now_ms);
        if self.live.due(now_ms).is_some() {
            // It gave its own room back.
            self.assert_little_room(attempt.action.payload_bytes_bound() as i64);
            self.keys.give_back(attempt.key.as_ref());
            return Outcome::DiskLow;
        }
        match self.live.expected(&attempt.action, &RULES, now_ms) {
            Ok((decision, products)) => {
                assert_eq!(appended, expired + 1, "{decision:?} is decided");
                let mut record = self.record(decision, &products, now_ms);
                record.envelope.principal = Principal::new("shop").unwrap();
                (record.envelope.key, record.envelope.reference) =
                    (attempt.key, attempt.reference.clone());
                self.push(first + expired, record);
                Outcome::Decided(first + expired)
            }
            Err(refusal) => {
                assert_eq!(appended, expired, "{refusal:?} is refused");
                self.count(&attempt.action, &refusal);
                if self.durable == self.log.len() && !self.writing {
                    self.keys.give_back(attempt.key.as_ref());
                } else {
                    self.refused_keys.push(attempt.key);
                }
                Outcome::Refused(refusal, self.log.len())
            }
        }
    }

    /// Holds that are over end, first things first; gives how many.
    pub(super) fn follow_expiries(&mut self, first: u64, count_max: u64, now_ms: u64) -> u64 {
        for number in 0..count_max {
            let Some(hold) = self.live.due(now_ms) else { return number };
            let (decision, products) = self.live.expiry(hold);
            let record = self.record(decision, &products, now_ms);
            self.push(first + number, record);
        }
        count_max
    }

    /// A record of the engine's own.
    pub(super) fn record(
        &self,
        decision: Decision,
        products: &[u32],
        decided_at_ms: u64,
    ) -> Record {
        let change = |product: &u32| {
            let before = self.live.items.get(*product as usize).map_or(0, |item| item.version);
            Change { handle: Handle::new(*product), version: Version::new(before + 1) }
        };
        let envelope = Envelope {
            decided_at_ms,
            principal: Principal::new("doorbuster").unwrap(),
            reference: None,
            key: None,
            changes: products.iter().map(change).collect(),
        };
        Record { envelope, decision }
    }

    pub(super) fn push(&mut self, sequence: u64, record: Record) {
        self.live.follow(sequence, &record);
        self.tally.expired += u64::from(matches!(record.decision, Decision::HoldExpired(_)));
        self.tally.confirmed += u64::from(matches!(record.decision, Decision::HoldConfirmed(_)));
        self.tally.cancelled += u64::from(matches!(record.decision, Decision::OrderCancelled(_)));
        self.log.push((sequence, record));
    }

    /// The timer's turn.
    pub(super) fn expire(&mut self) {
        let (now_ms, first) = (self.life.engine.now_ms(), self.life.upcoming());
        let count = 1 + self.dice.roll(3);
        let expired = self.life.partition.expire(now_ms, count as usize);
        let appended = self.life.upcoming() - first;
        assert_eq!(self.follow_expiries(first, appended, now_ms), appended);
        match expired {
            Expired::All => assert!(appended < count && self.live.due(now_ms).is_none()),
            Expired::Some => assert_eq!(appended, count),
            Expired::WithoutRoom => self.assert_little_room(0),
        }
    }

    pub(super) fn room_left(&self) -> i64 {
        self.life.core().admission.room().bytes_left()
    }

    pub(super) fn assert_little_room(&mut self, given_back: i64) {
        assert!(self.room_left() < LITTLE_ROOM + given_back);
        self.tally.without_room += 1;
    }

    /// A refusal is counted for the product it is about.
    pub(super) fn count(&mut self, action: &Action, refusal: &Refusal) {
        let products: Vec<Handle> = match action {
            Action::Order(order) => order.lines.iter().map(|line| line.product).collect(),
            Action::PlaceHold(hold) => hold.lines.iter().map(|line| line.product).collect(),
            Action::ChangeTerms(change) => match change.targets {
                Targets::Product { handle, .. } => vec![handle],
                Targets::Sale(_) => Vec::new(),
            },
            Action::Adjust(adjust) => vec![adjust.product],
            Action::Cancel(cancel) => cancel.order.lines.iter().map(|line| line.product).collect(),
            _ => Vec::new(),
        };
        let one = [RefusedLine { lines: vec![0], refusal: refusal.clone() }];
        let refused = if let Refusal::Lines(lines) = refusal { &lines[..] } else { &one };
        for RefusedLine { lines, refusal } in refused {
            if let (Some(product), Some(reason)) = (products.get(lines[0]), reason(refusal)) {
                *self.refusals.entry((*product, reason)).or_default() += 1;
            }
        }
    }

    pub(super) fn count_refusals(&mut self) {
        let (now_ms, first) = (self.life.engine.now_ms(), self.life.upcoming());
        self.life.partition.count_refusals(MINUTE_MS, now_ms);
        if self.life.upcoming() == first {
            if !self.refusals.is_empty() {
                self.assert_little_room(0);
            }
            return;
        }
        let rows = std::mem::take(&mut self.refusals).into_iter();
        let rows = rows.map(|((product, reason), count)| RefusalRow { product, reason, count });
        let counted = RefusalsCounted { minute_ms: MINUTE_MS, rows: rows.collect() };
        let record = self.record(Decision::RefusalsCounted(counted), &[], now_ms);
        self.push(first, record);
    }
}

/// What a refusal is counted as.
fn reason(refusal: &Refusal) -> Option<RefusalReason> {
    Some(match refusal {
        Refusal::SoldOut { .. } => RefusalReason::SoldOut,
        Refusal::LimitReached { .. } => RefusalReason::LimitReached,
        Refusal::NotOpen { .. } => RefusalReason::NotOpen,
        Refusal::Closed { .. } => RefusalReason::Closed,
        Refusal::Paused => RefusalReason::Paused,
        Refusal::StockChanged { .. } => RefusalReason::StockChanged,
        Refusal::WouldOversell { .. } => RefusalReason::WouldOversell,
        Refusal::PreconditionFailed { .. } => RefusalReason::PreconditionFailed,
        Refusal::HoldsReached { .. } => RefusalReason::HoldsReached,
        Refusal::HoldEnded { .. } => RefusalReason::HoldEnded,
        Refusal::AlreadyCancelled { .. } => RefusalReason::AlreadyCancelled,
        _ => return None,
    })
}
