//! What a load costs its client alone: the same requests against the null server.
//!
//! On a machine that client and server share, this is the part of the processor that no server of the
//! run could have had.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::work::{Kind, Mix, Products, Spread};
use super::{LoadPlan, Pace};
use crate::process::Launch;

const START_LIMIT: Duration = Duration::from_secs(30);
const WARM_UP: Duration = Duration::from_millis(200);

/// How a client is measured.
#[derive(Debug, Clone)]
pub struct CalibrationPlan {
    /// This program's binary, which serves.
    pub bench: PathBuf,
    /// What is asked for; all that is posted is of one expected status.
    pub mix: Mix,
    /// When.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Time measured.
    pub measured: Duration,
}

/// What a client costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What was asked for.
    pub mix: Mix,
    /// When.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Requests a second.
    pub per_second: f64,
    /// The client's processor time for each, in microseconds.
    pub client_cpu_us: f64,
    /// Latency at the 99th percentile, in microseconds: what the client and the machine add.
    pub p99_us: f64,
}

/// Starts a null server, loads it and ends it.
///
/// # Errors
/// It cannot be started, or does not answer everything.
pub fn run(plan: &CalibrationPlan, directory: &Path) -> anyhow::Result<Calibration> {
    let directory = tempfile::tempdir_in(directory).context("cannot make a directory")?;
    let posted = plan.mix.0.iter().map(|(kind, _)| *kind).find(|kind| kind.is_posted());
    let status = posted.map_or(201, Kind::expected_status).to_string();
    let words = ["null", "--listen", "127.0.0.1:0", "--status", &status];
    let launch = Launch {
        program: plan.bench.clone(),
        arguments: words.map(OsString::from).to_vec(),
        environment: Vec::new(),
        directory: directory.path().to_owned(),
    };
    let mut process = launch.spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = runtime.block_on(process.ready(START_LIMIT))?;
    let load = LoadPlan {
        address,
        server_pids: vec![process.pid()],
        mix: plan.mix.clone(),
        products: Products::Numbered { count: 1, spread: Spread::Hot, sold_out: false },
        key_prefix: "k".to_owned(),
        pace: plan.pace,
        connections: plan.connections,
        threads: plan.threads,
        warm_up: WARM_UP,
        measured: plan.measured,
        requests_max: u64::MAX,
        seed: 1,
    };
    let report = super::run(&load)?;
    ensure!(report.failures() == 0, "the null server did not answer: {:?}", report.first_error);
    process.kill()?;
    Ok(Calibration {
        mix: plan.mix.clone(),
        pace: plan.pace,
        connections: plan.connections,
        threads: plan.threads,
        per_second: report.per_second,
        client_cpu_us: report.client_cpu_us,
        p99_us: report.latency_us.p99,
    })
}
