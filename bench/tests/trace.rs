//! The system calls of a real server: no answer's bytes leave before its batch's fdatasync returns.
//!
//! The story: a kill cannot show a missing sync, because what was written survives the process; only
//! a power cut shows it, to the buyer. So the calls themselves are judged. That the judgement fails
//! when the sync is taken out is shown by the doctored traces in `bench/src/proof.rs`.

mod support;

use std::process::{Command, Stdio};

use doorbuster_bench::traced::{self, TracePlan};

#[test]
fn no_answer_leaves_before_its_sync_in_the_trace() {
    let quiet = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    if quiet.is_err() {
        return support::skipped("no strace: apt-get install strace");
    }
    let plan = TracePlan {
        engine: support::engine(),
        data_root: std::env::temp_dir(),
        requests: 1_000,
        purchases: 7_500,
        connections: 16,
        segment_bytes: 1 << 20,
        keep: None,
    };
    let report = traced::run(&plan).expect("a traced run");
    assert!(report.faults.is_empty(), "{}", report.faults);
    let proven = report.proven;
    assert!(proven.answers > 1_000 && proven.syncs > 100, "{proven:?}");
    assert!(proven.segments > 1, "no segment was filled: {proven:?}");
    println!("{report:?}");
}
