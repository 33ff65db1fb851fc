//! The clients of a history: what they ask, and what they hear of it.

use std::time::Duration;

use super::history::History;
use super::keys::{Said, stamp};
use super::wish::Wish;
use crate::domain::*;
use crate::engine::reply::Reply;
use crate::engine::{Action, Answer, Request};
use crate::journal::*;

/// A wish, and whether it comes under a key.
pub(super) struct Asked {
    pub(super) wish: Wish,
    pub(super) has_key: bool,
}

/// One attempt at a wish.
pub(super) struct Attempt {
    pub(super) action: Action,
    pub(super) key: Option<KeyStamp>,
    pub(super) reference: Option<Reference>,
    pub(super) deadline_ms: u64,
    /// `None`: its client has gone.
    pub(super) reply: Option<Reply>,
    /// Once it had its turn: what is to be heard.
    pub(super) outcome: Option<Outcome>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// This record.
    Decided(u64),
    /// A refusal that rests on so many decisions.
    Refused(Refusal, usize),
    NotDecided,
    DiskLow,
    /// Queued when the disk failed.
    Unknown,
}

impl History {
    /// A client asks, something new or again, now and then something else under the same key.
    pub(super) fn ask(&mut self) {
        let fresh = self.asked.is_empty() || self.dice.roll(4) > 0;
        let now_ms = self.life.engine.now_ms();
        if fresh {
            let wish = Wish::new(&mut self.dice, &self.shown, &self.live, now_ms);
            let has_key = wish.needs_key() || self.dice.roll(2) == 0;
            self.asked.push(Asked { wish, has_key });
        }
        let last = self.asked.len() as u64 - 1;
        let number = if fresh { last } else { self.dice.roll(last + 1) };
        let body = if !fresh && self.dice.roll(8) == 0 { 2 } else { 1 };
        let Asked { wish, has_key } = &self.asked[number as usize];
        let Some(action) = wish.action(&self.life.engine) else { return };
        let kept = wish.action(&self.life.engine).unwrap();
        let key = has_key.then(|| stamp(number, body));
        let reference = (number % 3 == 0).then(|| Reference::new(&format!("r{number}")).unwrap());
        let deadline = Duration::from_millis(20 + self.dice.roll(1_000));
        let principal = Principal::new("shop").unwrap();
        let request = Request { principal, reference: reference.clone(), key, deadline, action };
        let attempt = Attempt {
            action: kept,
            key,
            reference,
            deadline_ms: now_ms + deadline.as_millis() as u64,
            reply: None,
            outcome: None,
        };
        self.submit(request, attempt, now_ms);
    }

    pub(super) fn submit(&mut self, request: Request, mut attempt: Attempt, now_ms: u64) {
        let said = self.keys.ask(attempt.key.as_ref(), now_ms);
        let refusal = self.refused_in_view(&attempt.action, now_ms);
        let failed = self.life.engine.health().is_failed();
        let engine = self.life.engine.clone();
        let client = self.dice.roll(self.life.clients.len() as u64) as usize;
        let answer = match self.life.clients[client].prepare(engine.core().unwrap(), request, || ())
        {
            Ok(prepared) => {
                assert_eq!((said, &refusal, failed), (Said::Nothing, &None, false));
                self.keys.take(attempt.key.as_ref());
                attempt.reply = Some(prepared.reply);
                self.mailbox.push((self.next_attempt, prepared.command));
                self.attempts.insert(self.next_attempt, attempt);
                self.next_attempt += 1;
                return;
            }
            Err(answer) => *answer,
        };
        match (said, &answer) {
            (Said::Made(made), Answer::Decided { sequence, record, replayed: true }) => {
                assert_eq!(sequence.get(), made, "a key tells of its own record");
                let mut durable = self.log[..self.durable].iter();
                assert_eq!(durable.find(|(at, _)| *at == made), Some(&(made, (**record).clone())));
                self.tally.replayed += 1;
            }
            (Said::Reused, Answer::KeyReused) | (Said::InFlight, Answer::KeyInFlight) => {}
            (Said::Nothing, Answer::NotDecided) => assert!(failed),
            (Said::Nothing, Answer::Refused(refused)) => {
                assert_eq!((Some(refused), failed), (refusal.as_ref(), false));
                self.count(&attempt.action, refused);
                self.tally.refused += 1;
            }
            (Said::Nothing, Answer::Overloaded { .. }) => {
                assert_eq!((self.life.core().admission.commands(), &refusal), (20, &None));
            }
            (Said::Nothing, Answer::DiskLow { .. }) => {
                let needed = attempt.action.payload_bytes_bound() as i64;
                assert!(self.room_left() < needed + 64);
                self.tally.without_room += 1;
            }
            _ => panic!("{said:?}, {refusal:?}, failed: {failed}, but {answer:?}"),
        }
    }

    /// What a worker refuses by what is shown: orders of one line. Sold out is for the partition to
    /// say when a hold may be over.
    pub(super) fn refused_in_view(&self, action: &Action, now_ms: u64) -> Option<Refusal> {
        let Action::Order(order) = action else { return None };
        let [line] = order.lines.as_slice() else { return None };
        let (product, units) = (line.product.get(), line.quantity.units());
        let refusal = self.shown.not_for_sale(product, units, now_ms);
        let over = self.shown.items[product as usize].shown_expiry_ms <= now_ms;
        refusal.filter(|refusal| !(over && matches!(refusal, Refusal::SoldOut { .. })))
    }

    /// What was answered at once, before the disk failed, may be heard after it.
    pub(super) fn hear_what_is_certain(&mut self) {
        self.life.deliver();
        let durable = self.durable;
        self.attempts.retain(|_, attempt| {
            let certain = match &attempt.outcome {
                Some(Outcome::NotDecided | Outcome::DiskLow) => true,
                Some(Outcome::Decided(_) | Outcome::Unknown) | None => false,
                Some(Outcome::Refused(_, rests_on)) => *rests_on <= durable,
            };
            let Some(answer) = attempt.reply.as_ref().filter(|_| certain).map(Reply::take) else {
                return true;
            };
            match answer {
                // It was queued behind what was told in the meantime.
                Some(Answer::OutcomeUnknown) | None => {}
                Some(answer) => told(attempt.outcome.as_ref(), &answer, durable, &self.log),
            }
            false
        });
    }

    /// Clients hear what there is to hear.
    pub(super) fn hear(&mut self) {
        self.life.deliver();
        let (durable, log, tally) = (self.durable, &self.log, &mut self.tally);
        self.attempts.retain(|_, attempt| {
            let Some(reply) = &attempt.reply else { return attempt.outcome.is_none() };
            let Some(answer) = reply.take() else { return true };
            told(attempt.outcome.as_ref(), &answer, durable, log);
            tally.refused += u64::from(matches!(answer, Answer::Refused(_)));
            false
        });
    }

    /// A client goes away; its command does not.
    pub(super) fn forget_somebody(&mut self) {
        if let Some(attempt) = self.attempts.values_mut().next() {
            attempt.reply = None;
        }
    }
}

/// An answer is what was decided, and nobody hears of what is not durable.
fn told(outcome: Option<&Outcome>, answer: &Answer, durable: usize, log: &[(u64, Record)]) {
    match (outcome, answer) {
        (Some(Outcome::Decided(at)), Answer::Decided { sequence, record, replayed: false }) => {
            assert_eq!(*at, sequence.get());
            let mut durable = log[..durable].iter();
            assert_eq!(
                durable.find(|(found, _)| found == at).map(|(_, record)| record),
                Some(&**record)
            );
        }
        (Some(Outcome::Refused(refusal, rests_on)), Answer::Refused(refused)) => {
            assert_eq!(refusal, refused);
            assert!(*rests_on <= durable, "{refusal:?} rests on what is not durable");
        }
        (Some(Outcome::NotDecided), Answer::NotDecided)
        | (Some(Outcome::DiskLow), Answer::DiskLow { .. })
        | (Some(Outcome::Unknown), Answer::OutcomeUnknown) => {}
        _ => panic!("{outcome:?} was told as {answer:?}"),
    }
}
