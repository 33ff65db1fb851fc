//! What ties a command to the worker it came from and to the engine's tables.
//!
//! Each worker has one [`Link`], so that a command counts one reference, on a line of memory that no
//! other worker writes. A [`Stake`] is what one command has until it is answered: its key, its
//! permit, its promise of an answer. Dropped, it frees the key and the permit, and then says "not
//! decided".

use std::sync::Arc;

use super::admission::{AdmissionError, Permit};
use super::answer::Answer;
use super::reply::{ReplyQueue, Ticket};
use super::{Core, Engine};
use crate::domain::Sequence;
use crate::journal::KeyStamp;

/// The engine, as one worker's commands know it, and the way back to that worker.
#[derive(Default)]
pub(super) struct Link {
    engine: Engine,
    pub(super) queue: ReplyQueue,
}

/// What a command has of the engine until it is answered.
pub(super) struct Stake {
    link: Arc<Link>,
    /// Reserved for it.
    key: Option<KeyStamp>,
    permit: Permit,
    /// Who waits; `None`: nobody yet, or it is answered.
    ticket: Option<Ticket>,
}

impl Link {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, queue: ReplyQueue::default() }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine's tables, which every command has seen.
    pub(super) fn core(&self) -> &Core {
        self.engine.core().expect("commands are of an engine that has started")
    }
}

impl Stake {
    /// Nothing yet but the key, which was reserved for it.
    pub(super) fn new(link: &Arc<Link>, key: Option<KeyStamp>) -> Self {
        Self { link: Arc::clone(link), key, permit: Permit::default(), ticket: None }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Takes a permit for a command whose payload has at most `payload_bytes`.
    ///
    /// # Errors
    /// A limit is reached: nothing may be decided.
    pub(super) fn admit(&mut self, payload_bytes: usize) -> Result<(), AdmissionError> {
        self.permit = self.link.core().admission.admit(payload_bytes)?;
        Ok(())
    }

    /// From now on somebody waits for its answer.
    pub(super) fn promise(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
    }

    /// The record was made: `payload` is its.
    pub(super) fn spend(&mut self, payload: &[u8]) {
        self.permit.spend(payload);
    }

    /// Its key made this record, which is durable now: from here on it is found.
    pub(super) fn complete_key(&mut self, sequence: Sequence, decided_at_ms: u64) {
        if let Some(stamp) = self.key.take() {
            self.link.core().idempotency.complete(&stamp, sequence, decided_at_ms);
        }
    }

    /// The outcome is unknown: the key stays taken until the process ends.
    pub(super) fn keep_key(&mut self) {
        self.key = None;
    }

    /// Nothing was decided under its key.
    pub(super) fn free_key(&mut self) {
        if let Some(stamp) = self.key.take() {
            self.link.core().idempotency.free(&stamp);
        }
    }

    /// What is to be answered elsewhere: who waits, and the permit to give back before.
    pub(super) fn hand_over(&mut self) -> Option<(Ticket, Permit)> {
        Some((self.ticket.take()?, std::mem::take(&mut self.permit)))
    }

    /// Answers and wakes the worker: first the key, then the word, since a retry must not find it
    /// taken.
    pub(super) fn answer(mut self, answer: Answer) {
        self.free_and_tell(answer);
    }

    fn free_and_tell(&mut self, answer: Answer) {
        self.free_key();
        if !self.permit.is_none() {
            self.link.core().admission.give_back(std::mem::take(&mut self.permit));
        }
        if let Some(ticket) = self.ticket.take() {
            self.link.queue.put(ticket, answer);
            self.link.queue.wake();
        }
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        self.free_and_tell(Answer::NotDecided);
    }
}
