//! After the sync: the order in which the world learns of a batch.
//!
//! The watermark first (the log moves it), then views, then idempotency entries, then replies.
//! So whoever hears of a sale finds it in the view, a retry finds its key, and a key that was just
//! used is never mistaken for new by a worker that has seen the stock it took.

use std::sync::Arc;

use smallvec::SmallVec;

use super::admission::Permit;
use super::answer::Answer;
use super::board::Board;
use super::directory::{Directory, ViewChange};
use super::health::Health;
use super::link::{Link, Stake};
use super::reply::Ticket;
use crate::domain::{Handle, Refusal, Sequence};
use crate::journal::{Completion, JournalError, Planted, Queued, Record, planted};

/// What is left to do once a record, or what a refusal rests on, is durable.
pub enum Effect {
    /// A decision somebody waits for.
    Decided(DecidedEffect),
    /// A refusal.
    Refused(RefusedEffect),
    /// A record nobody waits for.
    Nothing,
}

/// A decision's effects.
pub struct DecidedEffect {
    /// What happened.
    pub(super) record: Box<Record>,
    /// What it leaves to be shown, captured as it was applied.
    pub(super) views: SmallVec<[(Handle, ViewChange); 1]>,
    /// Held until it is answered; `None`: the engine decided by itself.
    pub(super) stake: Option<Stake>,
}

/// A refusal's effects.
pub struct RefusedEffect {
    pub(super) refusal: Refusal,
    pub(super) stake: Stake,
}

/// Completes batches once they are durable.
pub struct AfterSync {
    health: Arc<Health>,
    directory: Arc<Directory>,
    board: Arc<Board>,
    /// The answers of a batch, by the worker who waits for them.
    outboxes: Vec<Outbox>,
    /// Used again: neither side allocates once warm.
    emptied: Vec<Vec<(Ticket, Answer)>>,
}

struct Outbox {
    link: Arc<Link>,
    answers: Vec<(Ticket, Answer)>,
}

impl AfterSync {
    pub(super) fn new(health: Arc<Health>, directory: Arc<Directory>, board: Arc<Board>) -> Self {
        Self { health, directory, board, outboxes: Vec::new(), emptied: Vec::new() }
    }

    /// Puts an answer where it waits for the end of its batch, and the permit with the batch's.
    fn collect(&mut self, item: Queued<Effect>, permits: &mut Permit) {
        let (mut stake, answer) = match item {
            Queued::Record(sequence, Effect::Decided(DecidedEffect { record, stake, .. })) => {
                let Some(stake) = stake else { return };
                (stake, Answer::Decided { sequence, record, replayed: false })
            }
            Queued::Barrier(Effect::Refused(RefusedEffect { refusal, mut stake })) => {
                // Before the word: a retry must not find it taken.
                if planted(Planted::KeepKeyOnRefusal) {
                    stake.keep_key();
                }
                stake.free_key();
                (stake, Answer::Refused(refusal))
            }
            Queued::Record(_, Effect::Nothing) => return,
            Queued::Record(_, Effect::Refused(_))
            | Queued::Barrier(Effect::Decided(_) | Effect::Nothing) => {
                unreachable!("records are decided, barriers are refused")
            }
        };
        let Some((ticket, permit)) = stake.hand_over() else { return };
        if !(planted(Planted::LeakPermitOnRefusal) && matches!(answer, Answer::Refused(_))) {
            permits.absorb(permit);
        }
        let link = stake.link();
        if let Some(outbox) =
            self.outboxes.iter_mut().find(|outbox| Arc::ptr_eq(&outbox.link, link))
        {
            return outbox.answers.push((ticket, answer));
        }
        let mut answers = self.emptied.pop().unwrap_or_default();
        answers.push((ticket, answer));
        self.outboxes.push(Outbox { link: Arc::clone(link), answers });
    }

    /// Gives the permits back, then tells each worker all of its answers at once.
    fn tell(&mut self, permits: Permit) {
        if let Some(outbox) = self.outboxes.first() {
            outbox.link.core().admission.give_back(permits);
        }
        for Outbox { link, mut answers } in self.outboxes.drain(..) {
            link.queue.put_all(&mut answers);
            link.queue.wake();
            self.emptied.push(answers);
        }
    }
}

impl Completion<Effect> for AfterSync {
    fn complete(&mut self, _durable: Sequence, items: &mut Vec<Queued<Effect>>) {
        let mut late = Vec::new();
        for item in items.iter_mut() {
            if let Queued::Record(sequence, Effect::Decided(effect)) = item {
                if planted(Planted::AnswerBeforeView) {
                    late.extend(effect.views.drain(..));
                }
                self.directory.publish(effect.views.drain(..));
                self.board.publish(*sequence, &effect.record);
            }
        }
        for item in items.iter_mut() {
            if let Queued::Record(sequence, Effect::Decided(effect)) = item
                && let Some(stake) = &mut effect.stake
            {
                stake.complete_key(*sequence, effect.record.envelope.decided_at_ms);
            }
        }
        let mut permits = Permit::default();
        for item in items.drain(..) {
            self.collect(item, &mut permits);
        }
        self.tell(permits);
        self.directory.publish(late.into_iter());
    }

    fn fail(&mut self, error: &JournalError, items: Vec<Queued<Effect>>) {
        self.health.set_failed(error);
        for item in items {
            // What a refusal rests on may be gone after a restart: it is not told either.
            let (Queued::Record(_, effect) | Queued::Barrier(effect)) = item;
            let stake = match effect {
                Effect::Decided(effect) => effect.stake,
                Effect::Refused(effect) => Some(effect.stake),
                Effect::Nothing => None,
            };
            let Some(mut stake) = stake else { continue };
            stake.keep_key();
            stake.answer(Answer::OutcomeUnknown);
        }
        // Last: it may end the process, and whoever waits should hear of it before.
        self.health.tell_failed();
    }
}
