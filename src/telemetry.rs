//! Names of metrics, in one place: prefix `doorbuster_`, base units, no label per product or
//! buyer.

/// Jumps of the wall clock that the partition's clock did not follow.
pub const CLOCK_JUMPS: &str = "doorbuster_clock_jumps_total";
/// Time of one fdatasync.
pub const SYNC_SECONDS: &str = "doorbuster_journal_sync_duration_seconds";
/// Records written with one sync.
pub const BATCH_RECORDS: &str = "doorbuster_journal_batch_records";
