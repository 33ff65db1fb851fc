//! The partition's own actor: commands of no single product, first commands of resting products,
//! and time.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};

use super::answer::Action;
use super::clock::{PartitionClock, Slewed};
use super::command::Command;
use super::completion::Effect;
use super::directory::{Directory, ProductEntry};
use super::partition::Partition;
use super::product_actor::ProductActor;
use crate::domain::{Handle, Targets};
use crate::journal::LocalJournal;

/// The partition as its actors share it: all on one thread.
pub(super) type SharedPartition = Rc<RefCell<Partition<LocalJournal<Effect>>>>;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE_MS: u64 = 60_000;

/// How actors are kept.
#[derive(Debug, Clone, Copy)]
pub struct ActorLimits {
    /// Commands that may wait for one product.
    pub product_mailbox: usize,
    /// Commands that may wait for the partition.
    pub partition_mailbox: usize,
    /// A product without traffic for this long loses its actor.
    pub idle: Duration,
}

/// Shell around the partition.
pub(super) struct PartitionActor {
    pub(super) partition: SharedPartition,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<PartitionClock>,
    pub(super) limits: ActorLimits,
    /// The minute whose refusals are being counted.
    pub(super) minute: u64,
}

/// Journals the refusals counted so far and stops the partition's actor.
pub(super) struct Close;

impl Message for Close {
    type Result = ();
}

impl Actor for PartitionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.limits.partition_mailbox);
        context.run_interval(SECOND, |actor, _| actor.second());
    }
}

impl PartitionActor {
    fn second(&mut self) {
        if let Slewed::Jumped(away_ms) = self.clock.slew() {
            metrics::counter!(crate::telemetry::CLOCK_JUMPS).increment(1);
            tracing::warn!(away_ms, "the wall clock jumped; the partition's clock does not follow");
        }
        let now_ms = self.clock.now_ms();
        if now_ms / MINUTE_MS != self.minute {
            self.partition.borrow_mut().count_refusals(now_ms / MINUTE_MS * MINUTE_MS);
            self.minute = now_ms / MINUTE_MS;
        }
    }

    /// Makes sure that the product has an actor: its next commands go there.
    fn awaken(&self, entry: &Arc<ProductEntry>) {
        entry.with_mailbox(|mailbox| {
            if mailbox.as_ref().is_none_or(|actor| !actor.connected()) {
                let actor = ProductActor::new(
                    Rc::clone(&self.partition),
                    Arc::clone(entry),
                    Arc::clone(&self.clock),
                    self.limits,
                );
                *mailbox = Some(actor.start());
            }
        });
    }
}

impl Handler<Command> for PartitionActor {
    type Result = ();

    fn handle(&mut self, command: Command, _: &mut Self::Context) {
        let product = command.action().and_then(single_product);
        if let Some(entry) = product.and_then(|handle| self.directory.entry_by_handle(handle)) {
            self.awaken(&entry);
        }
        self.partition.borrow_mut().turn(command, self.clock.now_ms());
    }
}

impl Handler<Close> for PartitionActor {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Self::Context) {
        let now_ms = self.clock.now_ms();
        self.partition.borrow_mut().count_refusals(now_ms + 1);
        context.stop();
    }
}

/// The product whose actor decides this, if it is one product's.
pub(super) fn single_product(action: &Action) -> Option<Handle> {
    match action {
        Action::Create(_) => None,
        Action::ChangeTerms(change) => match change.targets {
            Targets::Product { handle, .. } => Some(handle),
            Targets::Sale(_) => None,
        },
        Action::Adjust(adjust) => Some(adjust.product),
        Action::Order(order) => match order.lines.as_slice() {
            [line] => Some(line.product),
            _ => None,
        },
    }
}
