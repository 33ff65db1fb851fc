//! Committing: the partition's thread writes, syncs and tells what its turns have queued.
//!
//! ```text
//! turns of who has commands ─► one write, one sync ─► views, keys, answers ─┐
//!   ▲                                                                       │
//!   └───────────── what came meanwhile waits in the mailboxes ◄─────────────┘
//! ```
//!
//! On the same thread as the turns (docs/adr/0016): a command that comes during a sync wakes nobody,
//! and what was decided is still in the core's cache when it is told. It costs no time: no record is
//! durable before the sync under way has ended, whoever decided it.

use std::time::Duration;

use super::completion::{AfterSync, Effect};
use super::fatal::FatalPanic;
use super::partition_actor::SharedPartition;
use crate::journal::{Stepped, Writer};

/// How long nothing may be queued before the durable watermark is written into the log itself.
const WATERMARK_AFTER: Duration = Duration::from_millis(100);

/// The writer of a partition's journal.
pub(super) type PartitionWriter = Writer<Effect, AfterSync>;

/// Commits what turns queue until the partition closes, then gives the writer back; `None`: the
/// journal failed, and everybody has been told.
///
/// Spawn it once, on the partition's thread. A panic in it ends the process: nobody would be answered
/// any more.
pub(super) async fn commit_turns(
    mut writer: PartitionWriter,
    partition: SharedPartition,
) -> Option<PartitionWriter> {
    let _fatal = FatalPanic;
    loop {
        match writer.step() {
            Ok(Stepped::Completed { records, sync_ns, .. }) => {
                if records > 0 {
                    observe_batch(records, sync_ns);
                }
                // What came during the sync is decided before the next begins.
                tokio::task::yield_now().await;
            }
            Ok(Stepped::Idle) if partition.is_closed() => return Some(writer),
            Ok(Stepped::Idle) => {
                if tokio::time::timeout(WATERMARK_AFTER, partition.turned()).await.is_err() {
                    writer.queue_watermark();
                }
            }
            Err(_) => return None,
        }
    }
}

fn observe_batch(records: usize, sync_ns: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a measurement")]
    {
        metrics::histogram!(crate::telemetry::SYNC_SECONDS).record(sync_ns as f64 / 1e9);
        metrics::histogram!(crate::telemetry::BATCH_RECORDS).record(records as f64);
    }
}
