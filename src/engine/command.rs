//! A command on its way to be decided: with its key's slot, its permit, its deadline and whom to
//! answer.
//!
//! Its fate is the engine's. A stopping actor drops what is left in its mailbox; a command that
//! is dropped undecided goes to a fresh actor, keeping its slot, until its deadline. Only then it
//! is "not decided".

use std::sync::Arc;

use super::admission::Permit;
use super::answer::{Action, Answer};
use super::idempotency::Slot;
use super::reply::ReplyHandle;
use super::router::Router;
use crate::domain::{Principal, Reference};
use crate::journal::KeyStamp;

/// A command nobody has decided yet.
pub struct Command {
    undecided: Option<Box<Undecided>>,
    router: Arc<Router>,
}

/// What a command carries.
pub(super) struct Undecided {
    pub(super) principal: Principal,
    pub(super) reference: Option<Reference>,
    pub(super) key: Option<KeyStamp>,
    pub(super) action: Action,
    /// By the partition's clock: later, it is answered "not decided".
    pub(super) deadline_ms: u64,
    pub(super) slot: Option<Slot>,
    pub(super) permit: Permit,
    pub(super) reply: ReplyHandle,
}

impl Command {
    pub(super) fn new(undecided: Box<Undecided>, router: Arc<Router>) -> Self {
        Self { undecided: Some(undecided), router }
    }

    /// Takes it to decide it: from now on it has an answer.
    pub(super) fn take(mut self) -> Box<Undecided> {
        self.undecided.take().expect("a command is taken once")
    }

    /// Turns it away: nothing was decided, its key is free again.
    pub(super) fn turn_away(self, answer: Answer) {
        let undecided = self.take();
        // First the key, then the word: a retry must not find it taken.
        drop((undecided.slot, undecided.permit));
        undecided.reply.answer(answer);
    }

    /// Whether its deadline has passed.
    pub(super) fn is_late(&self, now_ms: u64) -> bool {
        self.undecided.as_ref().is_some_and(|undecided| undecided.deadline_ms < now_ms)
    }

    pub(super) fn action(&self) -> Option<&Action> {
        self.undecided.as_ref().map(|undecided| &undecided.action)
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if let Some(undecided) = self.undecided.take() {
            let router = Arc::clone(&self.router);
            router.dispatch_again(Command {
                undecided: Some(undecided),
                router: Arc::clone(&router),
            });
        }
    }
}

impl actix::Message for Command {
    type Result = ();
}
