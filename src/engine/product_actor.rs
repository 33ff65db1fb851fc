//! The actor of one product with traffic: a bounded mailbox and the loop. The state it decides on
//! lies in the partition's table.
//!
//! Started on first use, stops when idle. What a stopping actor leaves in its mailbox is dropped
//! undecided, and so goes on to a fresh actor (`command`).

use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};

use super::clock::PartitionClock;
use super::command::Command;
use super::directory::ProductEntry;
use super::partition_actor::{ActorLimits, SharedPartition};

/// Shell of one product.
pub(super) struct ProductActor {
    partition: SharedPartition,
    entry: Arc<ProductEntry>,
    clock: Arc<PartitionClock>,
    limits: ActorLimits,
    /// Commands decided since the last look.
    decided: u64,
}

impl ProductActor {
    pub(super) fn new(
        partition: SharedPartition,
        entry: Arc<ProductEntry>,
        clock: Arc<PartitionClock>,
        limits: ActorLimits,
    ) -> Self {
        Self { partition, entry, clock, limits, decided: 0 }
    }
}

impl Actor for ProductActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.limits.product_mailbox);
        context.run_interval(self.limits.idle, |actor, context| {
            if std::mem::take(&mut actor.decided) == 0 {
                // From here on commands go to the partition's actor, which starts another.
                actor.entry.with_mailbox(Option::take);
                context.stop();
            }
        });
    }
}

impl Handler<Command> for ProductActor {
    type Result = ();

    fn handle(&mut self, command: Command, _: &mut Self::Context) {
        self.decided += 1;
        self.partition.borrow_mut().turn(command, self.clock.now_ms());
    }
}
