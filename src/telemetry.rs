//! Names of metrics and the recorder behind `/metrics`, in one place: prefix `doorbuster_`, base
//! units, no label per product or buyer.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Jumps of the wall clock that the partition's clock did not follow.
pub const CLOCK_JUMPS: &str = "doorbuster_clock_jumps_total";
/// Time of one fdatasync.
pub const SYNC_SECONDS: &str = "doorbuster_journal_sync_duration_seconds";
/// Records written with one sync.
pub const BATCH_RECORDS: &str = "doorbuster_journal_batch_records";
/// Highest sequence on stable storage.
pub const DURABLE_SEQUENCE: &str = "doorbuster_journal_durable_sequence";
/// Decisions and refusals, by kind and outcome.
pub const DECISIONS: &str = "doorbuster_decisions_total";
/// Time from a request's head to its answer, by route, method and code.
pub const REQUEST_SECONDS: &str = "doorbuster_http_request_duration_seconds";
/// How far recovery is, from 0 to 1.
pub const RECOVERY_PROGRESS: &str = "doorbuster_recovery_progress_ratio";
/// Age of the oldest durable record that is not in SQL.
pub const PROJECTION_LAG_SECONDS: &str = "doorbuster_projection_lag_seconds";
/// Durable records that are not in SQL.
pub const PROJECTION_LAG_RECORDS: &str = "doorbuster_projection_lag_records";
/// Records in quarantine.
pub const QUARANTINED: &str = "doorbuster_quarantined_records";
/// Bytes free where the data lies.
pub const DATA_FREE_BYTES: &str = "doorbuster_data_free_bytes";
/// What waits, by queue.
pub const QUEUE_DEPTH: &str = "doorbuster_queue_depth";
/// Live holds.
pub const LIVE_HOLDS: &str = "doorbuster_live_holds";
/// Idempotency keys kept and reserved.
pub const IDEMPOTENCY_KEYS: &str = "doorbuster_idempotency_keys";
/// Last record that the newest snapshot covers.
pub const SNAPSHOT_SEQUENCE: &str = "doorbuster_snapshot_sequence";
/// Time of making one snapshot.
pub const SNAPSHOT_SECONDS: &str = "doorbuster_snapshot_duration_seconds";
/// Proven records of the log that are not in the backup.
pub const BACKUP_LAG_RECORDS: &str = "doorbuster_backup_lag_records";
/// How long the backup has lacked the oldest of them.
pub const BACKUP_LAG_SECONDS: &str = "doorbuster_backup_lag_seconds";
/// Highest sequence in the backup.
pub const BACKUP_SEQUENCE: &str = "doorbuster_backup_sequence";
/// 1, with the version of the binary.
pub const BUILD_INFO: &str = "doorbuster_build_info";

/// What `/metrics` says of each.
const HELP: &[(&str, &str)] = &[
    (CLOCK_JUMPS, "Jumps of the wall clock that the partition's clock did not follow."),
    (SYNC_SECONDS, "Time of one fdatasync of the journal."),
    (BATCH_RECORDS, "Records written with one sync."),
    (DURABLE_SEQUENCE, "Highest sequence on stable storage."),
    (DECISIONS, "Decisions and refusals, by kind and outcome."),
    (REQUEST_SECONDS, "Time from a request's head to its answer."),
    (RECOVERY_PROGRESS, "How far recovery is, from 0 to 1."),
    (PROJECTION_LAG_SECONDS, "Age of the oldest durable record that is not in SQL."),
    (PROJECTION_LAG_RECORDS, "Durable records that are not in SQL."),
    (QUARANTINED, "Records in quarantine."),
    (DATA_FREE_BYTES, "Bytes free where the data lies."),
    (QUEUE_DEPTH, "What waits, by queue."),
    (LIVE_HOLDS, "Live holds."),
    (IDEMPOTENCY_KEYS, "Idempotency keys kept and reserved."),
    (SNAPSHOT_SEQUENCE, "Last record that the newest snapshot covers."),
    (SNAPSHOT_SECONDS, "Time of making one snapshot."),
    (BACKUP_LAG_RECORDS, "Proven records of the log that are not in the backup."),
    (BACKUP_LAG_SECONDS, "How long the backup has lacked the oldest of them."),
    (BACKUP_SEQUENCE, "Highest sequence in the backup."),
    (BUILD_INFO, "1, with the version of the binary."),
];

/// Installs the process's recorder; what it returns renders `/metrics`.
///
/// # Errors
/// A recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let seconds =
        [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5];
    let records = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 5e3];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)?
        .set_buckets_for_metric(Matcher::Full(BATCH_RECORDS.to_owned()), &records)?
        .install_recorder()?;
    for (name, help) in HELP {
        // One table for all kinds: the kind a metric has is given where it is measured.
        if name.ends_with("_total") {
            metrics::describe_counter!(*name, *help);
        } else if name.ends_with("_duration_seconds") || *name == BATCH_RECORDS {
            metrics::describe_histogram!(*name, *help);
        } else {
            metrics::describe_gauge!(*name, *help);
        }
    }
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}
