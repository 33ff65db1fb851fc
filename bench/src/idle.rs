//! What a started server costs while nobody asks it anything: its processor time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::figures::{Middle, ROUNDS_MAX};
use crate::load::SECONDS_MAX;
use crate::machine::Machine;
use crate::process::Launch;
use crate::recover::made_log::{self, Making};

const START_LIMIT: Duration = Duration::from_secs(900);

/// What to measure.
#[derive(Debug, Clone)]
pub struct IdlePlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where the data directory is made; it is removed afterwards.
    pub data_root: PathBuf,
    /// Products in it.
    pub products: u32,
    /// Time between ready and the first measurement: what a start leaves to do is done.
    pub settle: Duration,
    /// Time of each measurement.
    pub measured: Duration,
    /// Measurements, one after another on the same server.
    pub rounds: usize,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct IdleReport {
    /// Where it ran.
    pub machine: Machine,
    /// Products.
    pub products: u32,
    /// Seconds of each measurement.
    pub seconds: f64,
    /// Processor time by measurement, in percent of a core.
    pub rounds: Vec<f64>,
    /// Over the rounds.
    pub percent_of_a_core: Middle,
}

/// Measures.
///
/// # Errors
/// The bounds are passed, or the server does not start or ends.
pub fn run(plan: &IdlePlan) -> anyhow::Result<IdleReport> {
    ensure!((1..=ROUNDS_MAX).contains(&plan.rounds), "1 to {ROUNDS_MAX} rounds");
    let seconds = (1..=SECONDS_MAX).contains(&plan.measured.as_secs());
    ensure!(seconds, "1 to {SECONDS_MAX} seconds");
    let machine = Machine::measure(&plan.data_root)?;
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let data_dir = directory.path().join("data");
    let making = Making { products: plan.products, ..Making::default() };
    made_log::make(&data_dir.join("journal"), making, &mut |_| {})?;
    let mut server = Launch::engine(&plan.engine, &data_dir, directory.path()).spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server.ready(START_LIMIT))?;
    std::thread::sleep(plan.settle);
    let mut rounds = Vec::with_capacity(plan.rounds);
    for _ in 0..plan.rounds {
        let (begun, before) = (Instant::now(), server.cpu_seconds());
        std::thread::sleep(plan.measured);
        let used = server.cpu_seconds() - before;
        rounds.push(100.0 * used / begun.elapsed().as_secs_f64());
    }
    server.kill()?;
    Ok(IdleReport {
        machine,
        products: plan.products,
        seconds: plan.measured.as_secs_f64(),
        percent_of_a_core: Middle::of(rounds.iter().copied()),
        rounds,
    })
}
