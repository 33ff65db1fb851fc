//! Routing: which actor's mailbox a command goes to.
//!
//! A product with traffic has an actor and a bounded mailbox of its own, so a hot product fills
//! only its own queue. Everything else goes to the partition's own actor, which also starts the
//! actors of products.

use std::sync::{Arc, OnceLock};

use actix::Addr;
use actix::dev::SendError;

use super::answer::Answer;
use super::clock::PartitionClock;
use super::command::Command;
use super::directory::ProductEntry;
use super::partition_actor::PartitionActor;

/// Finds mailboxes.
pub(super) struct Router {
    partition: OnceLock<Addr<PartitionActor>>,
    clock: Arc<PartitionClock>,
}

impl Router {
    pub(super) fn new(clock: Arc<PartitionClock>) -> Self {
        Self { partition: OnceLock::new(), clock }
    }

    pub(super) fn set_partition(&self, partition: Addr<PartitionActor>) {
        assert!(self.partition.set(partition).is_ok(), "a router has one partition");
    }

    /// Sends a command to the product's actor, or to the partition's when it has none.
    pub(super) fn dispatch(&self, command: Command, entry: Option<&ProductEntry>) {
        let Some(entry) = entry else { return self.dispatch_to_partition(command) };
        match entry.try_send(command) {
            Ok(()) => {}
            Err(SendError::Closed(command)) => self.dispatch_to_partition(command),
            Err(SendError::Full(command)) => {
                let detail = format!("too many commands wait for product {}", entry.id());
                command.turn_away(Answer::Overloaded { detail });
            }
        }
    }

    fn dispatch_to_partition(&self, command: Command) {
        let Some(partition) = self.partition.get() else {
            return command.turn_away(Answer::NotDecided);
        };
        match partition.try_send(command) {
            Ok(()) => {}
            Err(SendError::Full(command)) => {
                let detail = "too many commands wait for the partition".to_owned();
                command.turn_away(Answer::Overloaded { detail });
            }
            // The process ends.
            Err(SendError::Closed(command)) => command.turn_away(Answer::NotDecided),
        }
    }

    /// A mailbox closed over a command before anybody decided it: once more, to a fresh actor.
    pub(super) fn dispatch_again(&self, command: Command) {
        if command.is_late(self.clock.now_ms()) {
            command.turn_away(Answer::NotDecided);
        } else {
            self.dispatch_to_partition(command);
        }
    }
}
