//! The partition's own actor: commands of no single product, first commands of resting products,
//! and time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use tokio::sync::Notify;

use super::answer::Action;
use super::clock::{PartitionClock, Slewed};
use super::command::Command;
use super::completion::Effect;
use super::directory::{Directory, ProductEntry};
use super::fatal::FatalPanic;
use super::partition::{MINUTE_MS, Partition};
use super::product_actor::ProductActor;
use crate::domain::{Handle, Targets};
use crate::journal::LocalJournal;

type LocalPartition = Partition<LocalJournal<Effect>>;

/// The partition as its actors share it: all on one thread.
#[derive(Clone)]
pub(super) struct SharedPartition {
    partition: Rc<RefCell<LocalPartition>>,
    /// A hold is over before the one the timer waits for.
    due_sooner: Rc<Notify>,
    /// There was a turn since the journal was last looked at.
    turned: Rc<Notify>,
    /// Nothing is decided any more.
    closed: Rc<Cell<bool>>,
}

const SECOND: Duration = Duration::from_secs(1);
/// Turns an actor takes before others on the thread get theirs.
pub(super) const TURNS_IN_A_ROW: u64 = 256;

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
    /// Start of the minute whose refusals are being counted.
    pub(super) minute_ms: u64,
    /// Commands decided so far.
    pub(super) decided: u64,
}

/// Journals the refusals counted so far and stops the partition's actor.
pub(super) struct Close;

impl Message for Close {
    type Result = ();
}

impl Actor for PartitionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SECOND, |actor, _| actor.second());
    }
}

impl SharedPartition {
    pub(super) fn new(partition: LocalPartition) -> Self {
        let partition = Rc::new(RefCell::new(partition));
        let (due_sooner, turned, closed) = <_>::default();
        Self { partition, due_sooner, turned, closed }
    }

    /// When the first hold is over.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.partition.borrow().next_due_ms()
    }

    /// Time of the last record.
    fn last_ms(&self) -> u64 {
        self.partition.borrow().last_ms()
    }

    /// Waits until a turn leaves a hold that is over before all others.
    pub(super) async fn due_sooner(&self) {
        self.due_sooner.notified().await;
    }

    /// One turn. A panic in it ends the process: the state is half changed.
    pub(super) fn turn(&self, then: impl FnOnce(&mut LocalPartition)) {
        let _fatal = FatalPanic;
        let mut partition = self.partition.borrow_mut();
        let before = partition.next_due_ms();
        then(&mut partition);
        let after = partition.next_due_ms();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.due_sooner.notify_one();
        }
        self.turned.notify_one();
    }

    /// Waits for a turn. Whoever waits has the thread once the actor's mailbox is empty, or the actor
    /// gives way ([`TURNS_IN_A_ROW`]).
    pub(super) async fn turned(&self) {
        self.turned.notified().await;
    }

    /// Whether the last turn was had.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    fn close(&self) {
        self.closed.set(true);
        self.turned.notify_one();
    }
}

/// Starts an actor whose mailbox holds `capacity` from the first message on. At least 1: to actix 0
/// is no bound at all.
pub(super) fn start_with_mailbox<A: Actor<Context = Context<A>>>(
    capacity: usize,
    actor: impl FnOnce() -> A,
) -> actix::Addr<A> {
    A::create(|context| {
        context.set_mailbox_capacity(capacity.max(1));
        actor()
    })
}

/// Lets the other actors of the thread have their turn: an actor's loop ends only with its queue.
pub(super) fn yield_after<A: Actor<Context = Context<A>>>(turns: u64, context: &mut Context<A>) {
    if turns.is_multiple_of(TURNS_IN_A_ROW) {
        context.wait(actix::fut::wrap_future(tokio::task::yield_now()));
    }
}

impl PartitionActor {
    fn second(&mut self) {
        if let Slewed::Jumped(away_ms) = self.clock.slew() {
            metrics::counter!(crate::telemetry::CLOCK_JUMPS).increment(1);
            tracing::warn!(away_ms, "the wall clock jumped; the partition's clock does not follow");
        }
        let now_ms = self.clock.now_ms();
        let minute_ms = now_ms / MINUTE_MS * MINUTE_MS;
        if minute_ms > self.minute_ms {
            self.partition.turn(|partition| partition.count_refusals(self.minute_ms, now_ms));
            self.minute_ms = minute_ms;
        }
    }

    /// Makes sure that a product with traffic has an actor: its next commands go there. A command now
    /// and then is no traffic: to start an actor costs more than to decide. Seconds are those of
    /// records, which traffic makes, so that nobody has to ask the clock for them.
    fn awaken(&self, entry: &ProductEntry) {
        if entry.has_actor() || !entry.note_asked(self.partition.last_ms()) {
            return;
        }
        let actor = || {
            let (partition, clock) = (self.partition.clone(), Arc::clone(&self.clock));
            let directory = Arc::clone(&self.directory);
            ProductActor::new(partition, directory, entry.handle(), clock, self.limits)
        };
        entry.set_actor(Some(start_with_mailbox(self.limits.product_mailbox, actor)));
    }
}

impl Handler<Command> for PartitionActor {
    type Result = ();

    fn handle(&mut self, command: Command, context: &mut Self::Context) {
        let product = command.action().and_then(single_product);
        if let Some(entry) = product.and_then(|handle| self.directory.entry_by_handle(handle)) {
            self.awaken(entry);
        }
        self.partition.turn(|partition| partition.turn(command, self.clock.now_ms()));
        self.decided += 1;
        yield_after(self.decided, context);
    }
}

impl Handler<Close> for PartitionActor {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Self::Context) {
        let now_ms = self.clock.now_ms();
        self.partition.turn(|partition| partition.count_refusals(self.minute_ms, now_ms));
        self.partition.close();
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
        Action::PlaceHold(hold) => match hold.lines.as_slice() {
            [line] => Some(line.product),
            _ => None,
        },
        // Of holds and orders; which products those are, the partition knows.
        Action::ExtendHold(_)
        | Action::ConfirmHold { .. }
        | Action::ReleaseHold { .. }
        | Action::Cancel(_)
        | Action::PauseSelling(_) => None,
    }
}
