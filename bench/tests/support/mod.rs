//! What the tests that start real processes share: which binary, and a PostgreSQL if there is one.
#![allow(dead_code, reason = "each test uses its part of it")]

use std::path::PathBuf;

use doorbuster_bench::postgres::{self, Postgres};
use doorbuster_bench::process;

/// Names another binary than the one that was built beside the tests.
const BINARY_VARIABLE: &str = "DOORBUSTER_TEST_BINARY";

/// The engine's binary.
pub(crate) fn engine() -> PathBuf {
    let named = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from);
    named.unwrap_or_else(|| process::beside_this_executable("doorbuster").expect("a binary"))
}

/// Whether what a test needs is missing may be passed over: not under CI.
pub(crate) fn skipped(missing: &str) {
    let ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty() && ci != "false");
    assert!(!ci, "under CI this must not be missing: {missing}");
    println!("skipped: {missing}");
}

/// A server of the test's own; `None`: there are no binaries, and this is not CI.
pub(crate) fn postgres() -> Option<Postgres> {
    match postgres::bin_directory() {
        Ok(_) => Some(Postgres::start_blocking().expect("a PostgreSQL")),
        Err(missing) => {
            skipped(&format!("{missing:#}"));
            None
        }
    }
}
