//! Load in a closed loop: each of N connections sends its next request when it has the last answer.
//!
//! ```text
//! warm-up ──► measured ──► drain: what is in flight is awaited, nothing new is sent
//! ```
//!
//! One thread carries all connections. Counted exactly: every answer by status, in the measured
//! time and over all. The client's own processor time is part of the report: on a machine it
//! shares with the server, it is part of the figure.
//! Bounds: connections, requests and time; latency is of one request, so that a slow server slows
//! the sending too (coordinated omission: compare sides, do not read these as arrivals).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::LocalSet;

use crate::connection::{Connection, ConnectionError, Head};
use crate::cost;
use crate::request::Template;

/// Most connections of one run.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Longest run.
pub const SECONDS_MAX: u64 = 3_600;
/// How long answers in flight at the end are awaited.
const DRAIN: Duration = Duration::from_secs(10);
/// Slowest latency that is told exactly.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Buy one unit of a product with plenty of stock: 201.
    Purchase,
    /// Buy one unit of a product that has none: 409.
    SoldOut,
    /// Read a product's stock: 200.
    Stock,
}

/// A run.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The server.
    pub address: SocketAddr,
    /// Its process, whose time is reported too.
    pub server_pid: Option<u32>,
    /// What is asked for.
    pub work: Work,
    /// Of which product.
    pub product_id: String,
    /// Sets the keys of this run apart from another's on the same server.
    pub key_prefix: String,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Time before measuring.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
    /// Most requests, warm-up included.
    pub requests_max: u64,
}

/// What a run saw.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// Seconds measured.
    pub seconds: f64,
    /// Answers of the expected status in that time.
    pub requests: u64,
    /// The same, a second.
    pub per_second: f64,
    /// Latency of every answer in that time, in microseconds.
    pub latency_us: Latency,
    /// Every answer of the run by status, warm-up and drain included.
    pub answers: BTreeMap<u16, u64>,
    /// Bytes of the last answer of the expected status, head and body.
    pub answer_bytes: usize,
    /// Exchanges without an answer.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// This client's processor time while measuring, in seconds.
    pub client_cpu_seconds: f64,
    /// The server's, where its process is known.
    pub server_cpu_seconds: Option<f64>,
}

/// Percentiles of latency.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99 in 100 were faster.
    pub p99: f64,
    /// 999 in 1,000 were faster.
    pub p99_9: f64,
    /// The slowest.
    pub max: f64,
}

/// What all connections of a run share.
struct Counts {
    next_number: Cell<u64>,
    measuring: Cell<bool>,
    stopping: Cell<bool>,
    measured: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
    answers: RefCell<BTreeMap<u16, u64>>,
    answer_bytes: Cell<usize>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
}

impl Work {
    /// The status every answer should have.
    #[must_use]
    pub fn expected_status(self) -> u16 {
        match self {
            Self::Purchase => 201,
            Self::SoldOut => 409,
            Self::Stock => 200,
        }
    }
}

impl LoadReport {
    /// How many answers had this status.
    #[must_use]
    pub fn answers_of(&self, status: u16) -> u64 {
        self.answers.get(&status).copied().unwrap_or(0)
    }
}

/// Runs a load on the current thread's runtime.
///
/// # Errors
/// The bounds are passed, no connection can be made, or answers do not end.
pub async fn run(plan: &LoadPlan) -> anyhow::Result<LoadReport> {
    ensure!(
        (1..=CONNECTIONS_MAX).contains(&plan.connections),
        "1 to {CONNECTIONS_MAX} connections"
    );
    let seconds = (plan.warm_up + plan.measured).as_secs();
    ensure!(seconds <= SECONDS_MAX, "{seconds} seconds, at most {SECONDS_MAX}");
    let counts = Rc::new(Counts {
        next_number: Cell::new(0),
        measuring: Cell::new(false),
        stopping: Cell::new(false),
        measured: Cell::new(0),
        latency: RefCell::new(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?),
        answers: RefCell::default(),
        answer_bytes: Cell::new(0),
        errors: Cell::new(0),
        first_error: RefCell::default(),
    });
    LocalSet::new().run_until(drive(plan, counts)).await
}

async fn drive(plan: &LoadPlan, counts: Rc<Counts>) -> anyhow::Result<LoadReport> {
    let mut tasks = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        let connection = Connection::open(plan.address).await.context("cannot connect")?;
        let (counts, plan) = (Rc::clone(&counts), plan.clone());
        tasks.push(tokio::task::spawn_local(turn(connection, plan, counts)));
    }
    tokio::time::sleep(plan.warm_up).await;
    let server_cpu = || plan.server_pid.and_then(cost::cpu_seconds);
    let (client_before, server_before) = (cost::own_cpu_seconds(), server_cpu());
    let start = Instant::now();
    counts.measuring.set(true);
    sleep_until_end(plan, &counts, start).await;
    counts.measuring.set(false);
    let seconds = start.elapsed().as_secs_f64();
    let (client_after, server_after) = (cost::own_cpu_seconds(), server_cpu());
    counts.stopping.set(true);
    let drain = async {
        for task in tasks {
            task.await??;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(DRAIN, drain).await {
        Ok(drained) => drained?,
        Err(_) => bail!("answers in flight did not come within {} s", DRAIN.as_secs()),
    }
    let requests = counts.measured.get();
    let server_cpu = server_before.zip(server_after);
    Ok(LoadReport {
        seconds,
        requests,
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        per_second: requests as f64 / seconds,
        latency_us: percentiles(&counts.latency.borrow()),
        answers: counts.answers.borrow().clone(),
        answer_bytes: counts.answer_bytes.get(),
        errors: counts.errors.get(),
        first_error: counts.first_error.borrow().clone(),
        client_cpu_seconds: client_after - client_before,
        server_cpu_seconds: server_cpu.map(|(before, after)| after - before),
    })
}

/// Sleeps for the measured time, or less when all requests have been sent.
async fn sleep_until_end(plan: &LoadPlan, counts: &Counts, start: Instant) {
    while start.elapsed() < plan.measured && counts.next_number.get() < plan.requests_max {
        let left = plan.measured.saturating_sub(start.elapsed());
        tokio::time::sleep(left.min(Duration::from_millis(20))).await;
    }
}

/// The life of one connection.
async fn turn(
    mut connection: Connection,
    plan: LoadPlan,
    counts: Rc<Counts>,
) -> anyhow::Result<()> {
    let mut template = match plan.work {
        Work::Purchase | Work::SoldOut => Template::purchase(&plan.product_id, &plan.key_prefix),
        Work::Stock => Template::stock(&plan.product_id),
    };
    let expected = plan.work.expected_status();
    let mut sent = Instant::now();
    while !counts.stopping.get() {
        let number = counts.next_number.get();
        if number >= plan.requests_max {
            break;
        }
        counts.next_number.set(number + 1);
        let answer = connection.exchange(template.numbered(number)).await;
        let now = Instant::now();
        let close = match &answer {
            Ok(answer) => {
                counts.answered(&answer.head, expected, now - sent);
                answer.head.close
            }
            Err(error) => {
                counts.failed(error);
                true
            }
        };
        sent = now;
        if close && !counts.stopping.get() {
            connection = Connection::open(plan.address).await.context("cannot connect again")?;
            sent = Instant::now();
        }
    }
    Ok(())
}

impl Counts {
    fn answered(&self, head: &Head, expected: u16, latency: Duration) {
        let status = head.status;
        *self.answers.borrow_mut().entry(status).or_insert(0) += 1;
        if !self.measuring.get() {
            return;
        }
        let latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(LATENCY_NS_MAX);
        self.latency.borrow_mut().saturating_record(latency_ns.max(1));
        if status == expected {
            self.answer_bytes.set(head.head_bytes + head.body_bytes);
            self.measured.set(self.measured.get() + 1);
        }
    }

    fn failed(&self, error: &ConnectionError) {
        self.errors.set(self.errors.get() + 1);
        self.first_error.borrow_mut().get_or_insert_with(|| error.to_string());
    }
}

/// Percentiles of latencies in nanoseconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "times under a minute")]
pub fn percentiles(latency: &Histogram<u64>) -> Latency {
    let at = |share| latency.value_at_quantile(share) as f64 / 1e3;
    Latency { p50: at(0.5), p99: at(0.99), p99_9: at(0.999), max: latency.max() as f64 / 1e3 }
}
