//! Where the time of a loaded server goes: a flame graph of its process.
//!
//! ```text
//! serve ◄── load ──► warm-up ──► perf record (by the processor's time, 499 times a second)
//!                                └─► perf script ──► stacks ──► picture
//! ```
//!
//! Samples come from `perf` (Debian's linux-perf) by the clock of the processor, which a virtual machine
//! without counters has too. Stacks are unwound by what the compiler left for debuggers, so that nothing
//! has to be built otherwise; calls that were inlined stand under the call they became part of.

pub mod picture;
pub mod stacks;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use self::stacks::Call;
use crate::load::work::{Products, Spread, Work};
use crate::load::{self, LoadPlan, LoadReport, Pace};
use crate::process::{Launch, Process};

const START_LIMIT: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(1);
pub(crate) const SECONDS_MAX: u64 = 60;
const PLENTY: u64 = 1_000_000_000;
/// Not a divisor of the timers' rates, so that samples do not march with them.
const SAMPLES_PER_SECOND: &str = "499";
/// Bytes of the stack that are kept with each sample.
const STACK: &str = "dwarf,16384";

/// What to draw.
#[derive(Debug, Clone)]
pub struct FlamePlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where data directories are made; each is removed afterwards.
    pub data_root: PathBuf,
    /// What is asked for.
    pub work: Work,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Seconds sampled.
    pub seconds: u64,
}

/// What was sampled.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// What the client saw, beside the sampling.
    pub load: LoadReport,
    /// The samples.
    pub calls: Call,
}

/// Samples a server under load. Blocks; to be called outside of any runtime.
///
/// # Errors
/// There is no perf, or it may not sample; the server does not start or answers otherwise.
pub fn run(plan: &FlamePlan) -> anyhow::Result<Sampled> {
    ensure!((1..=SECONDS_MAX).contains(&plan.seconds), "1 to {SECONDS_MAX} seconds");
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let data_dir = directory.path().join("data");
    let mut server = Launch::engine(&plan.engine, &data_dir, directory.path()).spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = runtime.block_on(server.ready(START_LIMIT))?;
    let sold_out = plan.work == Work::SoldOut;
    let count = if plan.work == Work::List { 20 } else { 1 };
    let products = Products::Numbered { count, spread: Spread::Uniform, sold_out };
    let stock = if sold_out { 0 } else { PLENTY };
    runtime.block_on(load::put_in(address, &products, stock))?;
    let load = LoadPlan {
        address,
        server_pids: vec![server.pid()],
        mix: plan.work.mix(),
        products,
        key_prefix: "k".to_owned(),
        pace: Pace::Closed,
        connections: plan.connections,
        threads: 1,
        warm_up: WARM_UP,
        // Beyond the sampling on both sides.
        measured: Duration::from_secs(plan.seconds) + 2 * WARM_UP,
        requests_max: u64::MAX,
        seed: 1,
    };
    let samples = directory.path().join("samples");
    let (loaded, recorded) = std::thread::scope(|scope| {
        let loading = scope.spawn(|| load::run(&load));
        std::thread::sleep(2 * WARM_UP);
        let recorded = record(&server, plan.seconds, &samples);
        (loading.join(), recorded)
    });
    recorded?;
    let loaded = loaded.map_err(|_| anyhow::anyhow!("the load broke"))??;
    ensure!(loaded.failures() == 0, "{:?}, {:?}", loaded.answers, loaded.first_error);
    server.kill()?;
    let calls = read(&samples)?;
    ensure!(calls.samples > 0, "perf has no samples");
    Ok(Sampled { load: loaded, calls })
}

fn record(server: &Process, seconds: u64, samples: &Path) -> anyhow::Result<()> {
    let mut perf = Command::new("perf");
    perf.args(["record", "-q", "-e", "cpu-clock", "-F", SAMPLES_PER_SECOND, "--call-graph", STACK]);
    perf.arg("-o").arg(samples).arg("-p").arg(server.pid().to_string());
    perf.args(["--", "sleep", &seconds.to_string()]);
    told(&mut perf).map(drop)
}

fn read(samples: &Path) -> anyhow::Result<Call> {
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-inline", "--no-demangle", "-F", "comm,ip,sym,dso", "-i"])
        .arg(samples);
    Ok(stacks::of(&told(&mut perf)?))
}

/// Runs it to its end and gives what it printed.
fn told(perf: &mut Command) -> anyhow::Result<String> {
    let output = perf.stdin(Stdio::null()).output();
    let output = output.context("no perf: apt-get install linux-perf")?;
    if !output.status.success() {
        bail!("perf: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
