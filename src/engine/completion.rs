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
use super::idempotency::Slot;
use super::reply::{ReplyHandle, ReplyQueue};
use crate::domain::{Handle, Refusal, Sequence};
use crate::journal::{Completion, JournalError, Queued, Record};

/// What is left to do once a record, or what a refusal rests on, is durable.
pub enum Effect {
    /// A decision somebody waits for.
    Decided(Box<DecidedEffect>),
    /// A refusal.
    Refused(Box<RefusedEffect>),
    /// A record nobody waits for.
    Nothing,
}

/// A decision's effects.
pub struct DecidedEffect {
    /// What happened; taken by the reply.
    pub(super) record: Option<Box<Record>>,
    /// The views it leaves, captured as it was applied.
    pub(super) views: SmallVec<[(Handle, ViewChange); 1]>,
    pub(super) slot: Option<Slot>,
    pub(super) reply: Option<ReplyHandle>,
    /// Held until it is answered; `None`: the engine decided by itself.
    pub(super) permit: Option<Permit>,
}

/// A refusal's effects.
pub struct RefusedEffect {
    pub(super) refusal: Refusal,
    pub(super) slot: Option<Slot>,
    pub(super) reply: ReplyHandle,
    pub(super) permit: Permit,
}

/// Completes batches on the journal's thread.
pub struct AfterSync {
    health: Arc<Health>,
    directory: Arc<Directory>,
    board: Arc<Board>,
    /// Workers to wake when the batch is done.
    touched: Vec<Arc<ReplyQueue>>,
}

impl AfterSync {
    pub(super) fn new(health: Arc<Health>, directory: Arc<Directory>, board: Arc<Board>) -> Self {
        Self { health, directory, board, touched: Vec::new() }
    }

    fn touch(&mut self, queue: Arc<ReplyQueue>) {
        if !self.touched.iter().any(|touched| Arc::ptr_eq(touched, &queue)) {
            self.touched.push(queue);
        }
    }

    fn reply(&mut self, item: Queued<Effect>) {
        match item {
            Queued::Record(sequence, Effect::Decided(mut effect)) => {
                let (record, reply) = (effect.record.take(), effect.reply.take());
                let (Some(record), Some(reply)) = (record, reply) else { return };
                let answer = Answer::Decided { sequence, record, replayed: false };
                self.touch(reply.put(answer));
            }
            Queued::Barrier(Effect::Refused(effect)) => self.touch(effect.put()),
            Queued::Record(_, Effect::Nothing) => {}
            Queued::Record(_, Effect::Refused(_))
            | Queued::Barrier(Effect::Decided(_) | Effect::Nothing) => {
                unreachable!("records are decided, barriers are refused")
            }
        }
    }
}

impl RefusedEffect {
    /// Frees the key, then tells; the caller wakes.
    fn put(self) -> Arc<ReplyQueue> {
        drop((self.slot, self.permit));
        self.reply.put(Answer::Refused(self.refusal))
    }

    /// Frees the key, then tells and wakes: nothing it rests on is pending.
    pub(super) fn complete(self) {
        self.put().wake();
    }
}

impl Completion<Effect> for AfterSync {
    fn complete(&mut self, _durable: Sequence, items: &mut Vec<Queued<Effect>>) {
        for item in items.iter_mut() {
            if let Queued::Record(sequence, Effect::Decided(effect)) = item {
                for (handle, change) in effect.views.drain(..) {
                    let entry = self.directory.entry_by_handle(handle);
                    entry.expect("it was entered before it was changed").publish(change);
                }
                if let Some(record) = &effect.record {
                    self.board.publish(*sequence, record);
                }
            }
        }
        for item in items.iter_mut() {
            if let Queued::Record(sequence, Effect::Decided(effect)) = item
                && let (Some(slot), Some(record)) = (effect.slot.take(), &effect.record)
            {
                slot.complete(*sequence, record.envelope.decided_at_ms);
            }
        }
        for item in items.drain(..) {
            self.reply(item);
        }
        self.touched.drain(..).for_each(|queue| queue.wake());
    }

    fn fail(&mut self, error: &JournalError, items: Vec<Queued<Effect>>) {
        self.health.set_failed(error);
        for item in items {
            let (slot, reply) = match item {
                Queued::Record(_, Effect::Decided(mut effect)) => {
                    (effect.slot.take(), effect.reply.take())
                }
                // What a refusal rests on may be gone after a restart: it is not told either.
                Queued::Barrier(Effect::Refused(effect)) => (effect.slot, Some(effect.reply)),
                _ => (None, None),
            };
            if let Some(slot) = slot {
                slot.keep();
            }
            if let Some(reply) = reply {
                reply.answer(Answer::OutcomeUnknown);
            }
        }
        // Last: it may end the process, and whoever waits should hear of it before.
        self.health.tell_failed();
    }
}
