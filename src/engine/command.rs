//! A command on its way to be decided: what is wanted, until when, and its stake in the engine.
//!
//! Its fate is the engine's. A stopping actor drops what is left in its mailbox; a command that
//! is dropped undecided goes to a fresh actor, keeping its key, until its deadline. Only then it
//! is "not decided".

use std::mem::MaybeUninit;
use std::sync::Arc;

use super::answer::{Action, Answer};
use super::link::Stake;
use crate::domain::{Principal, Reference};
use crate::journal::{KeyStamp, Record};

/// A command nobody has decided yet. Without a box of its own: a mailbox puts it into one.
pub struct Command {
    undecided: Option<Undecided>,
}

/// What a command carries.
pub(super) struct Undecided {
    pub(super) principal: Principal,
    pub(super) reference: Option<Reference>,
    pub(super) key: Option<KeyStamp>,
    pub(super) action: Action,
    /// By the partition's clock: later, it is answered "not decided".
    pub(super) deadline_ms: u64,
    /// Where its record goes: from the worker, who frees it, so that no other thread has to ask an
    /// allocator for it.
    pub(super) record: Box<MaybeUninit<Record>>,
    pub(super) stake: Stake,
}

impl Command {
    pub(super) fn new(undecided: Undecided) -> Self {
        Self { undecided: Some(undecided) }
    }

    /// Takes it to decide it: from now on it has an answer.
    pub(super) fn take(mut self) -> Undecided {
        self.undecided.take().expect("a command is taken once")
    }

    /// Turns it away: nothing was decided, its key is free again.
    pub(super) fn turn_away(self, answer: Answer) {
        self.take().stake.answer(answer);
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
            let link = Arc::clone(undecided.stake.link());
            link.core().router.dispatch_again(Self::new(undecided));
        }
    }
}

impl actix::Message for Command {
    type Result = ();
}
