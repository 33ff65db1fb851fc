//! The actor of one product with traffic: a bounded mailbox and the loop. The state it decides on
//! lies in the partition's table.
//!
//! Started when a second brings more than one command, stops when idle. What a stopping actor
//! leaves in its mailbox is dropped undecided, and so goes on to a fresh actor (`command`).

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};

use super::clock::PartitionClock;
use super::command::Command;
use super::directory::Directory;
use super::partition_actor::{ActorLimits, SharedPartition, yield_after};
use crate::domain::Handle;

/// A shorter look for idleness would be all the thread does.
const IDLE_MIN: Duration = Duration::from_millis(1);

/// Shell of one product.
pub(super) struct ProductActor {
    partition: SharedPartition,
    directory: Arc<Directory>,
    product: Handle,
    clock: Arc<PartitionClock>,
    limits: ActorLimits,
    /// Commands decided since the last look.
    decided: u64,
}

impl ProductActor {
    pub(super) fn new(
        partition: SharedPartition,
        directory: Arc<Directory>,
        product: Handle,
        clock: Arc<PartitionClock>,
        limits: ActorLimits,
    ) -> Self {
        Self { partition, directory, product, clock, limits, decided: 0 }
    }
}

impl Actor for ProductActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(self.limits.idle.max(IDLE_MIN), |actor, context| {
            if std::mem::take(&mut actor.decided) == 0 {
                // From here on commands go to the partition's actor, which starts another.
                if let Some(entry) = actor.directory.entry_by_handle(actor.product) {
                    entry.set_actor(None);
                }
                context.stop();
            }
        });
    }
}

impl Handler<Command> for ProductActor {
    type Result = ();

    fn handle(&mut self, command: Command, context: &mut Self::Context) {
        self.decided += 1;
        self.partition.turn(|partition| partition.turn(command, self.clock.now_ms()));
        yield_after(self.decided, context);
    }
}
