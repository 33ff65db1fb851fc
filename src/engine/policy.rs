//! How the system schedules the partition's thread.
//!
//! As a batch thread: it takes a free core at once, but where none is free it does not push a worker
//! off its core for every command; it runs when the worker has handed over all it has, and finds
//! many commands instead of one. Measured on 2 cores with 256 connections: 1.17 to 1.24 times the
//! purchases, and shorter latencies, median and p99 (docs/adr/0003).

use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityOsValue};

/// Gives the calling thread the batch policy; where the system refuses, it stays as it was.
pub(super) fn decide_in_batches() {
    let batch = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    // Niceness 0: it has its whole share, it only does not push.
    let share = ThreadPriority::Os(ThreadPriorityOsValue::default());
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), share, batch) {
        tracing::debug!(?error, "the partition's thread keeps its usual policy");
    }
}
