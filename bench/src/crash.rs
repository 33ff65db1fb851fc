//! The SIGKILL campaign: one data directory, many lives, killed at random moments under load.
//!
//! ```text
//! start ─► the views are the log's? ─► load, unknown outcomes first ─► SIGKILL ─► the log against
//!   ▲                                                                             the notes ──┐
//!   └─────────────────────────────────────────────────────────────────────────────────────────┘
//! at some rounds, and at the end: every unknown outcome resolved, the database against the log
//! ```
//!
//! A round is a life that ends with at least 32 requests in flight; lives that end while starting or
//! draining come on top. Requests are real, over real connections, each with one in flight. Everything random comes from
//! the seed but the machine's own timing. The first fault ends the campaign, and its data stays.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::checker::Checker;
use crate::client::Client;
use crate::crowd::{self, Crowd, Manners, SharedShop};
use crate::database::Database;
use crate::faults::{FaultKind, Faults};
use crate::log::{End, Log, LogError};
use crate::moment::{KINDS, Moment};
use crate::notes;
use crate::payload::KINDS as KINDS_OF_RECORDS;
use crate::process::{Launch, Process};
use crate::rows::{self, Compared};
use crate::seeded::Seeded;
use crate::shop::{Counts, Mix, Shop};

/// In flight at the kill, at least, in a round that counts as loaded.
pub const IN_FLIGHT_MIN: usize = 32;
const START_LIMIT: Duration = Duration::from_secs(120);
const RESOLVE_LIMIT: Duration = Duration::from_secs(30);
const PROJECTION_LIMIT: Duration = Duration::from_secs(300);
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// How long a view may take to be what the log makes: far more than one turn of the timer of holds.
const VIEW_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
/// Lives for a round, at most on average.
const LIVES_MAX: u64 = 20;
/// Wares there are before the first load, and at most.
const WARES_FIRST: usize = 4;
const WARES_MAX: u16 = 300;
/// Products whose views are compared at each start.
const VIEWS: usize = 8;

/// A campaign.
#[derive(Debug, Clone)]
pub struct CrashPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where the data directory is made.
    pub data_root: PathBuf,
    /// How many processes are killed under load, with [`IN_FLIGHT_MIN`] requests in flight; those
    /// killed at other moments come on top.
    pub rounds: u64,
    /// What everything random comes from.
    pub seed: u64,
    /// Connections, each with one request in flight.
    pub in_flight: usize,
    /// Of a PostgreSQL whose schema is not there yet; none: the embedded SQLite.
    pub database_url: Option<String>,
    /// Size of a segment: small ones change often.
    pub segment_bytes: u64,
    /// How often the database is compared before the end.
    pub database_checks: u64,
}

/// What a campaign found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CrashReport {
    /// Its seed.
    pub seed: u64,
    /// Processes killed.
    pub killed: u64,
    /// The same, by moment.
    pub moments: [u64; KINDS.len()],
    /// Processes killed with at least [`IN_FLIGHT_MIN`] requests in flight: the rounds.
    pub rounds: u64,
    /// Requests in flight at all kills.
    pub in_flight: u64,
    /// Fewest in flight at a kill of a process that was ready.
    pub in_flight_least: Option<usize>,
    /// What the clients heard.
    pub counts: Counts,
    /// Records in the log.
    pub records: u64,
    /// Of these, by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Segments of the log.
    pub segments: usize,
    /// Kills that left a torn write.
    pub torn: u64,
    /// Products whose figures were the log's after a start.
    pub views: u64,
    /// Slowest start, in milliseconds.
    pub start_ms_max: u64,
    /// Comparisons with the database, each with no difference.
    pub database_checks: u64,
    /// The last one.
    pub database: Compared,
    /// What was wrong.
    pub faults: Faults,
    /// Where the data is, when something was wrong.
    pub kept: Option<PathBuf>,
}

struct Campaign<'a> {
    plan: &'a CrashPlan,
    launch: Launch,
    data_dir: PathBuf,
    database: Database,
    shop: SharedShop,
    checker: Checker,
    draws: Seeded,
    /// How long a start took lately.
    start: Duration,
    report: CrashReport,
}

/// Runs a campaign; `watch` hears after each round how far it is.
///
/// # Errors
/// It could not be run: that a check failed is in the report.
pub fn run(plan: &CrashPlan, watch: impl FnMut(&CrashReport)) -> anyhow::Result<CrashReport> {
    ensure!(plan.rounds > 0 && plan.in_flight > 0, "at least one round and one connection");
    let directory = tempfile::Builder::new()
        .prefix("doorbuster-crash-")
        .tempdir_in(&plan.data_root)
        .context("cannot make a data directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut campaign = Campaign::new(plan, directory.path());
    let ran = LocalSet::new().block_on(&runtime, campaign.run(watch));
    let mut report = campaign.report;
    if ran.is_err() || !report.faults.is_empty() {
        let kept = directory.keep();
        report.kept = Some(kept.clone());
        let told = || format!("seed {}, data kept in {}", plan.seed, kept.display());
        ran.with_context(told)?;
    }
    Ok(report)
}

impl<'a> Campaign<'a> {
    fn new(plan: &'a CrashPlan, directory: &Path) -> Self {
        let data_dir = directory.join("data");
        let mut launch = Launch::engine(&plan.engine, &data_dir, directory);
        let bytes = plan.segment_bytes.to_string();
        launch.environment.push(("DOORBUSTER_JOURNAL_SEGMENT_BYTES".to_owned(), bytes));
        if let Some(url) = &plan.database_url {
            launch.environment.push(("DATABASE_URL".to_owned(), url.clone()));
        }
        let mut draws = Seeded::new(plan.seed);
        let shop = Shop::new(Mix::Everything { wares_max: WARES_MAX }, draws.fork());
        Self {
            plan,
            launch,
            database: Database::of(&data_dir, plan.database_url.as_deref()),
            data_dir,
            shop: Rc::new(RefCell::new(shop)),
            checker: Checker::default(),
            draws,
            start: Duration::from_millis(50),
            report: CrashReport { seed: plan.seed, ..CrashReport::default() },
        }
    }

    async fn run(&mut self, mut watch: impl FnMut(&CrashReport)) -> anyhow::Result<()> {
        let every = self.plan.rounds / (self.plan.database_checks + 1) + 1;
        let mut next_look = every;
        while self.report.rounds < self.plan.rounds {
            let moment = Moment::draw(&mut self.draws, self.start);
            let look = self.report.rounds >= next_look;
            next_look += if look { every } else { 0 };
            let life = self.report.killed + 1;
            ensure!(life <= LIVES_MAX * self.plan.rounds, "few lives got under load");
            self.life(moment, look)
                .await
                .with_context(|| format!("life {life}, to be killed {moment:?}"))?;
            watch(&self.report);
            if !self.report.faults.is_empty() {
                return Ok(());
            }
        }
        self.finish().await.context("after the last round")
    }

    /// One life.
    async fn life(&mut self, moment: Moment, look: bool) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut process = self.launch.spawn()?;
        if let (Moment::DuringStart(after), false) = (moment, look) {
            sleep(after.saturating_sub(began.elapsed())).await;
            process.kill()?;
            self.killed(moment, None);
            self.report.torn += u64::from(self.check_log()?);
            return Ok(());
        }
        let client = self.ready(&mut process, began).await?;
        if look {
            self.resolve(client).await.map_err(|error| with_trace(error, &process))?;
            self.look_at_database().await.map_err(|error| with_trace(error, &process))?;
        }
        let crowd =
            Crowd::open(client.address, self.plan.in_flight, &self.shop, &Manners::default());
        if !matches!(moment, Moment::JustStarted(_) | Moment::DuringStart(_)) {
            self.loaded(&crowd).await?;
        }
        sleep(moment.load()).await;
        let in_flight = crowd.in_flight();
        match moment {
            Moment::Frozen { frozen, .. } => {
                process.signal(Signal::STOP)?;
                sleep(frozen).await;
            }
            Moment::Draining { drain, .. } => {
                process.signal(Signal::TERM)?;
                sleep(drain).await;
            }
            _ => {}
        }
        if matches!(moment, Moment::Draining { .. }) {
            // It may have drained and ended by itself before.
            drop(process);
        } else {
            process.kill()?;
        }
        crowd.leave().await?;
        self.killed(moment, Some(in_flight));
        self.report.torn += u64::from(self.check_log()?);
        Ok(())
    }

    /// Waits until enough requests are in flight.
    async fn loaded(&self, crowd: &Crowd) -> anyhow::Result<()> {
        let until = Instant::now() + RESOLVE_LIMIT;
        while crowd.in_flight() < IN_FLIGHT_MIN.min(self.plan.in_flight) {
            ensure!(Instant::now() < until, "{} requests in flight", crowd.in_flight());
            sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    fn killed(&mut self, moment: Moment, in_flight: Option<usize>) {
        self.report.killed += 1;
        if let Some(count) = self.report.moments.get_mut(moment.kind()) {
            *count += 1;
        }
        let Some(in_flight) = in_flight else { return };
        self.report.in_flight += in_flight as u64;
        // What drained before it was killed had nothing in flight any more.
        let under_load = !matches!(moment, Moment::Draining { .. });
        let enough = in_flight >= IN_FLIGHT_MIN.min(self.plan.in_flight);
        self.report.rounds += u64::from(under_load && enough);
        let least = self.report.in_flight_least.map_or(in_flight, |least| least.min(in_flight));
        self.report.in_flight_least = Some(least);
    }

    /// Waits for a start, and checks that it found what the log has.
    async fn ready(&mut self, process: &mut Process, began: Instant) -> anyhow::Result<Client> {
        let address = process.ready(START_LIMIT).await?;
        self.start = began.elapsed();
        let start_ms = u64::try_from(self.start.as_millis()).unwrap_or(u64::MAX);
        self.report.start_ms_max = self.report.start_ms_max.max(start_ms);
        let client = Client { address };
        self.compare_views(client).await?;
        while self.shop.borrow().open().len() < WARES_FIRST {
            crowd::stock_up(address, &self.shop, RESOLVE_LIMIT).await?;
            ensure!(self.shop.borrow().faults.is_empty(), "{}", self.shop.borrow().faults);
        }
        Ok(client)
    }

    /// The newest products' figures, and some older one's, are those the log makes. Holds that are
    /// over end by themselves, so a difference is one when the log, read again, has it too.
    async fn compare_views(&mut self, client: Client) -> anyhow::Result<()> {
        let mut wares = self.shop.borrow().open().to_vec();
        let older = wares.len().saturating_sub(VIEWS);
        let one = self.draws.below(older.max(1) as u64);
        let one = usize::try_from(one).ok().and_then(|one| wares.get(one).copied());
        wares.drain(..older);
        for ware in wares.into_iter().chain(one) {
            self.compare_view(client, &notes::product_id(ware)).await?;
            self.report.views += 1;
        }
        Ok(())
    }

    async fn compare_view(&mut self, client: Client, id: &str) -> anyhow::Result<()> {
        let until = Instant::now() + VIEW_LIMIT;
        loop {
            let reply = client.get(&format!("/v1/products/{id}/stock")).await?;
            let figure = |name: &str| reply.body.get(name).and_then(serde_json::Value::as_u64);
            let found = ["stock", "held", "sold", "version"].map(figure);
            let expected = self.checker.model().product(id);
            let expected =
                expected.map_or([None; 4], |p| [p.stock, p.held, p.sold, p.version()].map(Some));
            if found == expected {
                return Ok(());
            }
            if Instant::now() > until {
                self.report.faults.add(FaultKind::Contradicted, || {
                    format!(
                        "{id} (stock, held, sold, version) is {found:?}, \
                         the log makes {expected:?}"
                    )
                });
                return Ok(());
            }
            sleep(POLL).await;
            self.check_log()?;
        }
    }

    /// Waits until no hold is left that would end by itself.
    async fn rest(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + RESOLVE_LIMIT;
        self.check_log()?;
        while self.checker.model().holds().next_due().is_some() {
            ensure!(Instant::now() < until, "holds do not end by themselves");
            sleep(POLL).await;
            self.check_log()?;
        }
        Ok(())
    }

    async fn resolve(&mut self, client: Client) -> anyhow::Result<()> {
        crowd::resolve(client.address, &self.shop, RESOLVE_LIMIT).await?;
        self.rest().await
    }

    /// Waits for the projection and compares it. The server is at rest.
    async fn look_at_database(&mut self) -> anyhow::Result<()> {
        let upto = self.checker.model().last_decision();
        let reader = rows::caught_up(&self.database, upto, PROJECTION_LIMIT).await?;
        self.report.database =
            rows::compare(&self.data_dir, &reader, &mut self.report.faults).await?;
        self.report.database_checks += 1;
        Ok(())
    }

    /// The log against the notes, when no request is under way; whether its end is torn.
    fn check_log(&mut self) -> anyhow::Result<bool> {
        let mut shop = self.shop.borrow_mut();
        let faults = &mut self.report.faults;
        for fault in std::mem::take(&mut shop.faults).first() {
            faults.add(fault.kind, || fault.detail.clone());
        }
        let log = match Log::open(&self.data_dir) {
            Ok(log) => Some(log),
            // Killed before the first segment had its name.
            Err(LogError::Empty(_) | LogError::Io { .. }) if self.report.records == 0 => None,
            Err(error) => return Err(error.into()),
        };
        let end = match log {
            Some(log) => self.checker.read(&log, &shop.notes, faults)?,
            None => End { next_sequence: 1, ..End::default() },
        };
        self.checker.settle(&shop.notes, faults);
        self.report.counts = shop.counts;
        self.report.records = end.next_sequence - 1;
        let kinds =
            KINDS_OF_RECORDS.iter().copied().zip(self.checker.model().kinds().iter().copied());
        self.report.kinds = kinds.filter(|(_, count)| *count > 0).collect();
        self.report.segments = end.segments;
        Ok(end.torn)
    }

    /// The last life: everything resolved, everything in the database, an orderly end.
    async fn finish(&mut self) -> anyhow::Result<()> {
        let mut process = self.launch.spawn()?;
        let client = self.ready(&mut process, Instant::now()).await?;
        self.resolve(client).await.map_err(|error| with_trace(error, &process))?;
        self.compare_views(client).await?;
        self.look_at_database().await.map_err(|error| with_trace(error, &process))?;
        process.signal(Signal::TERM)?;
        let status = process.ended(DRAIN_LIMIT).await?;
        ensure!(status.success(), "SIGTERM ended it with {status}\n{}", process.trace());
        self.check_log()?;
        let shop = self.shop.borrow();
        self.checker.settle_finally(&shop.notes, &mut self.report.faults);
        Ok(())
    }
}

fn with_trace(error: anyhow::Error, process: &Process) -> anyhow::Error {
    error.context(format!("the server's last lines:\n{}", process.trace()))
}
