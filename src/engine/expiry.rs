//! The timer of holds: a turn of its own for each moment at which one is over.
//!
//! Every command first expires what is due, so nothing depends on this for being right; it makes
//! units sellable, and products that rest seen as such, without waiting for a command.

use std::sync::Arc;
use std::time::Duration;

use super::clock::PartitionClock;
use super::partition::Expired;
use super::partition_actor::SharedPartition;

/// Holds one turn of the timer ends before others on the thread get theirs.
const HOLDS_A_TURN: usize = 256;
/// Without room for a record the disk has to heal first.
const WITHOUT_ROOM: Duration = Duration::from_millis(100);
/// The partition's clock is slewed, so a long wait is looked at again.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Expires holds for as long as the partition's thread lives: spawn it once.
pub(super) async fn expire_in_time(partition: SharedPartition, clock: Arc<PartitionClock>) {
    loop {
        let now_ms = clock.now_ms();
        let mut wait = WAIT_MAX;
        if let Some(due_ms) = partition.next_due_ms() {
            if due_ms <= now_ms {
                let mut expired = Expired::All;
                partition.turn(|partition| expired = partition.expire(now_ms, HOLDS_A_TURN));
                match expired {
                    Expired::WithoutRoom => tokio::time::sleep(WITHOUT_ROOM).await,
                    Expired::All | Expired::Some => tokio::task::yield_now().await,
                }
                continue;
            }
            wait = wait.min(Duration::from_millis(due_ms - now_ms));
        }
        // Whichever comes first: time, or a hold that is over before the one waited for.
        let _ = tokio::time::timeout(wait, partition.due_sooner()).await;
    }
}
