//! Load on one server, in a closed or an open loop, by one or more threads.
//!
//! ```text
//! thread 1..T: connect ──┬─► warm-up ──► measured ──► drain: what is in flight is awaited
//!              connect ──┘   (all begin together)
//! ```
//!
//! - **Closed**: each of N connections sends its next request when it has the last answer. A slow server
//!   slows the sending too, so latencies compare sides and are not what arrivals would feel.
//! - **Open**: requests are due at a constant rate, whatever the server does. Latency counts from the
//!   moment a request was due. When no connection is free it waits, and its waiting counts.
//!
//! Counted exactly: every answer by kind and status. The client's own processor time is part of the
//! report: on a machine it shares with the server, it is part of the figure ([`calibrate`] tells what
//! it costs alone). Bounds: connections, requests, products and time.

pub mod calibrate;
mod closed;
mod maker;
pub mod null;
mod open;
mod put_in;
mod report;
mod shared;
mod tally;
mod ticks;
pub mod work;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Barrier;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::LocalSet;

pub use self::put_in::{put_in, units_sold};
pub use self::report::{KindReport, Lag, Latency, LoadReport, Pace, percentiles};

use self::shared::Shared;
pub(crate) use self::tally::{histogram, nanoseconds};

use self::tally::Tally;
use self::work::{Mix, PRODUCTS_MAX, Products};
use crate::connection::Connection;
use crate::cost;

/// Most connections of one run.
pub const CONNECTIONS_MAX: usize = 20_000;
/// Longest run.
pub const SECONDS_MAX: u64 = 3_600;
/// Most threads of one run.
pub const THREADS_MAX: usize = 64;
/// Highest rate of one run.
pub const RATE_MAX: f64 = 1e6;
/// Connections that are made at once; more would overflow a listener's queue.
const CONNECTING: usize = 512;
const POLL: Duration = Duration::from_millis(5);

/// A run.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The server.
    pub address: SocketAddr,
    /// Its processes, whose time is reported too, with all that they started.
    pub server_pids: Vec<u32>,
    /// What is asked for.
    pub mix: Mix,
    /// Of which products; they exist.
    pub products: Products,
    /// Sets the keys of this run apart from another's on the same server.
    pub key_prefix: String,
    /// When requests are sent.
    pub pace: Pace,
    /// Connections of all threads together, each with one request in flight.
    pub connections: usize,
    /// Threads that send.
    pub threads: usize,
    /// Time before measuring.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
    /// Most requests, warm-up included.
    pub requests_max: u64,
    /// Decides which kinds and products are drawn.
    pub seed: u64,
}

/// Runs a load. Blocks; to be called outside of any runtime.
///
/// # Errors
/// The bounds are passed, no connection can be made, or answers do not end.
pub fn run(plan: &LoadPlan) -> anyhow::Result<LoadReport> {
    check(plan)?;
    raise_file_limit(plan.connections)?;
    let ready = Barrier::new(plan.threads + 1);
    std::thread::scope(|scope| {
        let mut threads = Vec::with_capacity(plan.threads);
        for nth in 0..plan.threads {
            let (builder, ready) = (std::thread::Builder::new(), &ready);
            let builder = builder.name(format!("load-{nth}"));
            threads.push(builder.spawn_scoped(scope, move || thread(plan, nth, ready))?);
        }
        ready.wait();
        let costs = watch(plan, &threads);
        let mut all = Tally::default();
        for thread in threads {
            let tally =
                thread.join().map_err(|_| anyhow::anyhow!("a thread of the load broke"))??;
            all.add(&tally);
        }
        Ok(report::of(plan, &all, costs))
    })
}

fn check(plan: &LoadPlan) -> anyhow::Result<()> {
    let connections = plan.threads..=CONNECTIONS_MAX;
    ensure!((1..=THREADS_MAX).contains(&plan.threads), "1 to {THREADS_MAX} threads");
    ensure!(connections.contains(&plan.connections), "1 a thread to {CONNECTIONS_MAX} connections");
    let seconds = (plan.warm_up + plan.measured).as_secs();
    ensure!(seconds <= SECONDS_MAX, "{seconds} seconds, at most {SECONDS_MAX}");
    if let Pace::Open { rate } = plan.pace {
        ensure!((1.0..=RATE_MAX).contains(&rate), "1 to {RATE_MAX} requests a second");
    }
    if let Products::Numbered { count, .. } = plan.products {
        ensure!((1..=PRODUCTS_MAX).contains(&count), "1 to {PRODUCTS_MAX} products");
    }
    Ok(())
}

/// Lets this process, and those it starts, have as many files as the system permits.
///
/// # Errors
/// They are too few for so many connections.
pub fn raise_file_limit(connections: usize) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    // A system that refuses leaves the limit as it was; whether that is enough is seen below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = connections as u64 + 64;
    ensure!(files >= needed, "{needed} open files are needed, {files} are permitted (ulimit -n)");
    Ok(())
}

/// Processor seconds while measuring: of this process, of the server where it is known, and what the
/// machine below withheld where the kernel tells.
struct Costs {
    client: f64,
    server: Option<f64>,
    stolen: Option<f64>,
}

/// Samples processor time where measuring begins and where it ends.
fn watch<T>(plan: &LoadPlan, threads: &[ScopedJoinHandle<'_, T>]) -> Costs {
    let start = Instant::now();
    let server = || {
        let pids = &plan.server_pids;
        (!pids.is_empty()).then(|| cost::tree_cpu_seconds(pids))
    };
    let sleep_until = |moment: Instant| {
        while Instant::now() < moment && !threads.iter().all(ScopedJoinHandle::is_finished) {
            std::thread::sleep(POLL.min(moment.saturating_duration_since(Instant::now())));
        }
    };
    sleep_until(start + plan.warm_up);
    let so_far = || (cost::own_cpu_seconds(), server(), cost::stolen_seconds());
    let before = so_far();
    sleep_until(start + plan.warm_up + plan.measured);
    let after = so_far();
    let difference = |(before, after): (f64, f64)| after - before;
    Costs {
        client: after.0 - before.0,
        server: before.1.zip(after.1).map(difference),
        stolen: before.2.zip(after.2).map(difference),
    }
}

/// One thread's share of the load.
fn thread(plan: &LoadPlan, nth: usize, ready: &Barrier) -> anyhow::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let connected = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let connections = runtime.block_on(connect(plan, nth))?;
        Ok((runtime, connections))
    });
    // Whoever could not connect must not keep the others waiting.
    ready.wait();
    let (runtime, connections) = connected?;
    let shared = Rc::new(Shared::new(plan, nth, Instant::now())?);
    let set = LocalSet::new();
    match plan.pace {
        Pace::Closed => set.block_on(&runtime, closed::drive(connections, &shared))?,
        Pace::Open { rate } => {
            let rate = rate / plan.threads as f64;
            set.block_on(&runtime, open::drive(connections, &shared, rate))?;
        }
    }
    drop(set);
    Ok(shared.tally.take())
}

async fn connect(plan: &LoadPlan, nth: usize) -> anyhow::Result<Vec<Connection>> {
    let count = share(plan.connections as u64, plan.threads, nth) as usize;
    let mut connections = Vec::with_capacity(count);
    while connections.len() < count {
        let opening = (connections.len()..count).take(CONNECTING);
        let opening: Vec<_> =
            opening.map(|_| tokio::spawn(Connection::open(plan.address))).collect();
        for connection in opening {
            connections.push(connection.await?.context("cannot connect")?);
        }
    }
    Ok(connections)
}

/// The n-th of so many almost equal parts of a whole.
fn share(whole: u64, parts: usize, nth: usize) -> u64 {
    let (parts, nth) = (parts as u64, nth as u64);
    whole / parts + u64::from(nth < whole % parts)
}
