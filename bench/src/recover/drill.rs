//! A lost directory, measured: from a log of so many orders to the first sale after its restore.
//!
//! ```text
//! make the log ─► serve it ─► backup (live) ─► kill -9, remove ─► restore ─► serve ─► first sale
//! ```
//!
//! Each step is a process of the real binary, with its own time and its own peak memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::made_log::{self, Making};
use crate::client::Client;
use crate::machine::Machine;
use crate::process::{Launch, Process};
use crate::resident::peak_bytes;

/// How often a process's memory is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// A start that takes longer is a failure.
const START_LIMIT: Duration = Duration::from_secs(900);

/// What to measure.
#[derive(Debug, Clone)]
pub struct DrillPlan {
    /// `doorbuster`.
    pub engine: PathBuf,
    /// Where directories are made.
    pub data_root: PathBuf,
    /// Orders in the log.
    pub orders: u64,
    /// Products they are of.
    pub products: u32,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Most memory its process had; 0 for what this process did itself.
    pub peak_bytes: u64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct DrillReport {
    /// Where it ran.
    pub machine: Machine,
    /// Orders in the log.
    pub orders: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// In order.
    pub steps: Vec<Step>,
    /// From the moment the directory is gone to the first sale's answer.
    pub outage_seconds: f64,
}

/// Makes the log and plays the drill; `watch` hears of each step, `progress` of orders written.
///
/// # Errors
/// A step failed, or the restored log is not the one that was lost.
pub async fn run(
    plan: &DrillPlan,
    progress: &mut dyn FnMut(u64),
    mut watch: impl FnMut(&Step),
) -> anyhow::Result<DrillReport> {
    let place = tempfile::tempdir_in(&plan.data_root)?;
    let machine = Machine::measure(place.path())?;
    let [data, backup, new] = ["data", "backup", "new"].map(|name| place.path().join(name));
    let mut steps = Vec::new();
    let mut step = |name, begun: Instant, peak_bytes| {
        let step = Step { name, seconds: begun.elapsed().as_secs_f64(), peak_bytes };
        watch(&step);
        steps.push(step);
    };
    let begun = Instant::now();
    let making = Making { purchases: plan.orders, products: plan.products, ..Making::default() };
    made_log::make(&data.join("journal"), making, progress)?;
    step("make the log", begun, 0);

    let begun = Instant::now();
    let (server, _) = serve(plan, &data, place.path()).await?;
    step("serve it", begun, peak_bytes(&server.pid().to_string())?);
    let arguments = |words: &[&str], paths: [(&str, &Path); 2]| {
        let mut arguments: Vec<std::ffi::OsString> = words.iter().map(Into::into).collect();
        for (flag, path) in paths {
            arguments.extend([flag.into(), path.into()]);
        }
        arguments
    };
    let begun = Instant::now();
    let paths = [("--to", &*backup), ("--data-dir", &*data)];
    let (saved, peak) = play(plan, &arguments(&["backup", "--json"], paths))?;
    step("backup, live, checked", begun, peak);
    server.kill()?;
    std::fs::remove_dir_all(&data)?;

    let lost = Instant::now();
    let paths = [("--from", &*backup), ("--data-dir", &*new)];
    let (restored, peak) = play(plan, &arguments(&["restore", "--json"], paths))?;
    step("restore, checked", lost, peak);
    let same = restored.get("last_sequence") == saved.get("last_sequence");
    let sold = restored.get("sold").and_then(Value::as_u64);
    ensure!(same && sold == Some(plan.orders), "restored {restored}, backed up {saved}");

    let begun = Instant::now();
    let (server, client) = serve(plan, &new, place.path()).await?;
    step("serve, ready", begun, peak_bytes(&server.pid().to_string())?);
    let begun = Instant::now();
    let body = json!({"product_id": "product-0", "buyer_id": "first", "quantity": 1});
    let reply = client.post("/v1/purchases", "first-sale", &body).await?;
    ensure!(reply.status == 201, "the first sale: {} {}", reply.status, reply.body);
    let outage_seconds = lost.elapsed().as_secs_f64();
    step("first sale", begun, peak_bytes(&server.pid().to_string())?);
    server.kill()?;
    let log_bytes = saved.get("new_bytes").and_then(Value::as_u64).unwrap_or(0);
    Ok(DrillReport { machine, orders: plan.orders, log_bytes, steps, outage_seconds })
}

async fn serve(
    plan: &DrillPlan,
    data_dir: &Path,
    place: &Path,
) -> anyhow::Result<(Process, Client)> {
    let mut server = Launch::engine(&plan.engine, data_dir, place).spawn()?;
    let address = server.ready(START_LIMIT).await?;
    Ok((server, Client { address }))
}

/// Runs a command to its end: what it printed, and the most memory it was seen to have.
fn play(plan: &DrillPlan, arguments: &[std::ffi::OsString]) -> anyhow::Result<(Value, u64)> {
    let mut command = Command::new(&plan.engine);
    let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| plan.engine.display().to_string())?;
    let mut peak = 0;
    // What it prints fits the pipe.
    let status = loop {
        peak = peak_bytes(&child.id().to_string()).unwrap_or(peak).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    ensure!(status.success(), "{arguments:?}: {status}");
    let output = child.wait_with_output()?;
    Ok((serde_json::from_slice(&output.stdout)?, peak))
}
