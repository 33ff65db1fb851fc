//! Running a projection in a test: start, wait for what is asked, with a limit.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;
use std::time::Duration;

use doorbuster::domain::Sequence;
use doorbuster::engine::ports::{ProjectionProblem, ProjectionReport};
use doorbuster::journal::JournalReader;
use doorbuster::projection::{
    DiskRoom, Drained, Projection, ProjectorOptions, Store, StoreConfig, start, start_with,
};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Quick settings, with a disk that has room.
pub(crate) fn options() -> ProjectorOptions {
    let room = DiskRoom { free_bytes: u64::MAX, reserve_bytes: 0 };
    let now_ms = || crate::log::START_MS + 1_000_000;
    let mut options = ProjectorOptions::new(Arc::new(now_ms), Arc::new(move || room));
    options.poll = Duration::from_millis(2);
    options.backoff_min = Duration::from_millis(5);
    options.backoff_max = Duration::from_millis(100);
    options
}

/// Starts copying a log into a database.
pub(crate) fn begin(config: &StoreConfig, reader: JournalReader) -> Projection {
    start(config, reader, options()).expect("a projection")
}

/// As [`begin`], through a store of the caller's.
pub(crate) fn begin_with(store: impl Store + 'static, reader: JournalReader) -> Projection {
    start_with(Box::new(store), reader, options()).expect("a projection")
}

/// Copies everything durable, then ends.
pub(crate) fn project(config: &StoreConfig, reader: &JournalReader) {
    finish(begin(config, reader.clone()), reader.durable());
}

/// Ends once everything up to `upto` is written.
pub(crate) fn finish(projection: Projection, upto: Sequence) {
    let status = projection.status();
    let drained = projection.drain(upto, LIMIT);
    assert_eq!(drained, Drained::Done, "{:?}", status.report());
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let step = Duration::from_millis(5);
    for _ in 0..LIMIT.as_millis() / step.as_millis() {
        if condition() {
            return;
        }
        std::thread::sleep(step);
    }
    panic!("{what} did not happen within {LIMIT:?}");
}

/// Waits until a report is as asked.
pub(crate) fn until_report(
    projection: &Projection,
    what: &str,
    mut condition: impl FnMut(&ProjectionReport) -> bool,
) -> ProjectionReport {
    let status = projection.status();
    let mut report = status.report();
    until(&format!("{what}, last {report:?}"), || {
        report = status.report();
        condition(&report)
    });
    report
}

/// Waits until it has stopped; gives the reason.
pub(crate) fn until_stopped(projection: &Projection) -> String {
    let stopped =
        |report: &ProjectionReport| matches!(report.problem, Some(ProjectionProblem::Stopped(_)));
    match until_report(projection, "a stop", stopped).problem {
        Some(ProjectionProblem::Stopped(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Waits until it is trying again; gives the reason.
pub(crate) fn until_retrying(projection: &Projection) -> String {
    let retrying =
        |report: &ProjectionReport| matches!(report.problem, Some(ProjectionProblem::Retrying(_)));
    match until_report(projection, "a retry", retrying).problem {
        Some(ProjectionProblem::Retrying(reason)) => reason,
        other => panic!("{other:?}"),
    }
}
