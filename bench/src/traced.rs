//! A server run under `strace`, bought from, and stopped: the trace that [`proof`]
//! judges.
//!
//! `strace -D` is the server's grandchild, so that signals reach the server and its exit is its
//! own. All threads are traced from their start. Segments are small, so that several are taken into
//! use, and answers of all kinds of records leave.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use tokio::task::LocalSet;

use crate::checker::Checker;
use crate::crowd::{self, Crowd, Manners, SharedShop};
use crate::faults::Faults;
use crate::log::Log;
use crate::notes::Fate;
use crate::process::Launch;
use crate::proof::{self, FrameAt, Proven};
use crate::seeded::Seeded;
use crate::shop::{Mix, Shop};
use crate::strace;

/// Calls that write files or sockets, sync, or give a file another name.
const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,sendfile,\
                     fdatasync,fsync,sync_file_range,rename,renameat,renameat2,mmap,io_uring_enter";
/// Bytes of each string that are shown: more than any answer that tells of a record.
const SHOWN: &str = "1024";
const START_LIMIT: Duration = Duration::from_secs(60);
const RUN_LIMIT: Duration = Duration::from_secs(300);
const END_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A traced run.
#[derive(Debug, Clone)]
pub struct TracePlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where the data directory is made.
    pub data_root: PathBuf,
    /// Requests of all kinds, about.
    pub requests: u64,
    /// Purchases after these, about: enough of them fill a segment.
    pub purchases: u64,
    /// Connections.
    pub connections: usize,
    /// Size of a segment.
    pub segment_bytes: u64,
    /// Where the trace is kept; none: nowhere.
    pub keep: Option<PathBuf>,
}

/// What a traced run found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TraceReport {
    /// Lines of the trace.
    pub lines: usize,
    /// Records in the log.
    pub records: u64,
    /// What the trace shows.
    pub proven: Proven,
    /// What was wrong.
    pub faults: Faults,
}

/// Runs a server under `strace` and checks the trace.
///
/// # Errors
/// It could not be run: that a check failed is in the report.
pub fn run(plan: &TracePlan) -> anyhow::Result<TraceReport> {
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let trace = directory.path().join("trace");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let shop = local.block_on(&runtime, sell(plan, directory.path(), &trace))?;
    let text = std::fs::read_to_string(&trace).context("cannot read the trace")?;
    if let Some(keep) = &plan.keep {
        std::fs::write(keep, &text).context("cannot keep the trace")?;
    }
    judge(&shop, &directory.path().join("data"), &text)
}

fn launch(plan: &TracePlan, directory: &Path, trace: &Path) -> Launch {
    let mut launch = Launch::engine(&plan.engine, &directory.join("data"), directory);
    let options = ["-D", "-f", "-ttt", "-yy", "-xx", "-a", "1", "-s", SHOWN, "-e", CALLS, "-o"];
    let options = options.map(OsString::from).into_iter();
    let server = [trace.into(), "--".into(), plan.engine.clone().into()];
    let arguments = std::mem::take(&mut launch.arguments);
    launch.arguments = options.chain(server).chain(arguments).collect();
    launch.program = "strace".into();
    let bytes = plan.segment_bytes.to_string();
    launch.environment.push(("DOORBUSTER_JOURNAL_SEGMENT_BYTES".to_owned(), bytes));
    launch
}

/// Buys from a traced server, then stops it.
async fn sell(plan: &TracePlan, directory: &Path, trace: &Path) -> anyhow::Result<Shop> {
    let mut process = launch(plan, directory, trace).spawn().context("is strace installed?")?;
    let address = process.ready(START_LIMIT).await?;
    let shop = Rc::new(RefCell::new(Shop::new(Mix::Everything { wares_max: 6 }, Seeded::new(7))));
    for _ in 0..4 {
        crowd::stock_up(address, &shop, START_LIMIT).await?;
    }
    let crowd = Crowd::open(address, plan.connections, &shop, &Manners::default());
    asked(&shop, plan.requests).await?;
    crowd.leave().await?;
    shop.borrow_mut().set_mix(Mix::Purchases);
    crowd::stock_up(address, &shop, START_LIMIT).await?;
    let crowd = Crowd::open(address, plan.connections, &shop, &Manners::default());
    asked(&shop, plan.requests + plan.purchases).await?;
    crowd.leave().await?;
    let pid = process.pid();
    let status = process.terminate(END_LIMIT).await?;
    ensure!(status.success(), "SIGTERM ended the traced server with {status}");
    written(trace, pid).await?;
    Rc::into_inner(shop).map(RefCell::into_inner).context("a connection is still there")
}

async fn asked(shop: &SharedShop, requests: u64) -> anyhow::Result<()> {
    let until = Instant::now() + RUN_LIMIT;
    while shop.borrow().counts.requests < requests {
        ensure!(Instant::now() < until, "not {requests} requests in {RUN_LIMIT:?}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Waits until the tracer has written the process's end.
async fn written(trace: &Path, pid: u32) -> anyhow::Result<()> {
    let until = Instant::now() + END_LIMIT;
    loop {
        let text = std::fs::read_to_string(trace).context("no trace")?;
        let end = |line: &str| line.starts_with(&format!("{pid} ")) && line.contains(" +++ ");
        if text.lines().rev().take(3).any(end) {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("the trace does not end with the end of process {pid}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The trace against the log and the notes.
fn judge(shop: &Shop, data_dir: &Path, text: &str) -> anyhow::Result<TraceReport> {
    let mut report = TraceReport { lines: text.lines().count(), ..TraceReport::default() };
    let log = Log::open(data_dir)?;
    let mut checker = Checker::default();
    let end = checker.read(&log, &shop.notes, &mut report.faults)?;
    checker.settle_finally(&shop.notes, &mut report.faults);
    for fault in shop.faults.first() {
        report.faults.add(fault.kind, || fault.detail.clone());
    }
    report.records = end.next_sequence - 1;
    let mut frames: HashMap<u64, FrameAt> = HashMap::new();
    log.read_placed(log.first_sequence(), |file, offset, frame| {
        let at = FrameAt { file: file.to_owned(), offset, bytes: frame.bytes as u64 };
        frames.insert(frame.sequence, at);
    })?;
    let heard: Vec<u64> = shop
        .notes
        .iter()
        .filter_map(|(_, request)| match request.fate {
            Fate::Done(place) => place.map(std::num::NonZeroU64::get),
            Fate::Unknown | Fate::Nothing => None,
        })
        .collect();
    let calls = strace::parse(text)?;
    report.proven = proof::check(&calls, &frames, &heard, &mut report.faults);
    ensure!(report.proven.answers > 0, "the trace shows no answer");
    Ok(report)
}
