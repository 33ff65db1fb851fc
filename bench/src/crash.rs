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
//! draining come on top. Requests are real, over real connections, each with one in flight. Lives take
//! the stores in turn, and each store is compared. Everything random comes from the seed but the
//! machine's own timing. The first fault ends the campaign, and its data stays.

mod life;
mod report;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tokio::task::LocalSet;
use tokio::time::sleep;

use self::report::name_of;
pub use self::report::{CrashPlan, CrashReport, StoreChoice};

use crate::checker::Checker;
use crate::client::Client;
use crate::crowd::{self, SharedShop};
use crate::database::Database;
use crate::faults::FaultKind;
use crate::log::{End, Log, LogError};
use crate::moment::Deck;
use crate::notes;
use crate::payload::KINDS as KINDS_OF_RECORDS;
use crate::process::{Launch, Process};
use crate::rows;
use crate::seeded::Seeded;
use crate::shop::{Mix, Shop};
use crate::under_way::Act;

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

struct Campaign<'a> {
    plan: &'a CrashPlan,
    launch: Launch,
    data_dir: PathBuf,
    /// The one that this life projects into.
    store: &'a StoreChoice,
    shop: SharedShop,
    checker: Checker,
    draws: Seeded,
    deck: Deck,
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
    let first = plan.stores.first().context("at least one store")?;
    let directory = tempfile::Builder::new()
        .prefix("doorbuster-crash-")
        .tempdir_in(&plan.data_root)
        .context("cannot make a data directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut campaign = Campaign::new(plan, first, directory.path());
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
    fn new(plan: &'a CrashPlan, store: &'a StoreChoice, directory: &Path) -> Self {
        let data_dir = directory.join("data");
        let mut launch = Launch::engine(&plan.engine, &data_dir, directory);
        let bytes = plan.segment_bytes.to_string();
        // A snapshot, and a way into the archive, for each segment.
        let settings = [("journal_segment_bytes", bytes), ("snapshot_segments", "1".to_owned())];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        for (name, value) in settings.iter().chain(&plan.settings) {
            let name = format!("DOORBUSTER_{}", name.to_uppercase());
            launch.environment.push((name, value.clone()));
        }
        let mut draws = Seeded::new(plan.seed);
        let shop = Shop::new(Mix::Everything { wares_max: WARES_MAX }, draws.fork());
        Self {
            plan,
            launch,
            data_dir,
            store,
            shop: Rc::new(RefCell::new(shop)),
            checker: Checker::default(),
            draws,
            deck: Deck::default(),
            start: Duration::from_millis(50),
            report: CrashReport { seed: plan.seed, logs: 1, ..CrashReport::default() },
        }
    }

    async fn run(&mut self, mut watch: impl FnMut(&CrashReport)) -> anyhow::Result<()> {
        let every = self.plan.rounds / (self.plan.database_checks + 1) + 1;
        let mut next_look = every;
        let mut stores = self.plan.stores.iter().cycle();
        while self.report.rounds < self.plan.rounds {
            self.store = stores.next().unwrap_or(self.store);
            let possible = |act: Act| act.is_done_in(&self.data_dir);
            let moment = self.deck.draw(&mut self.draws, self.start, possible);
            let look = self.report.rounds >= next_look;
            next_look += if look { every } else { 0 };
            let life = self.report.killed + 1;
            ensure!(life <= LIVES_MAX * self.plan.rounds, "few lives got under load");
            self.life(moment, look)
                .await
                .with_context(|| format!("life {life}, to be killed: {}", moment.name()))?;
            watch(&self.report);
            if !self.report.faults.is_empty() {
                return Ok(());
            }
        }
        for store in &self.plan.stores {
            self.store = store;
            let last = || format!("after the last round, with {}", store.name());
            self.finish().await.with_context(last)?;
        }
        for act in Act::ALL.into_iter().filter(|act| act.is_done_in(&self.data_dir)) {
            let names = self.plan.stores.iter().map(|store| name_of(act, store));
            self.report.wanted.extend(names);
        }
        self.report.wanted.dedup();
        Ok(())
    }

    /// Starts a life with its store.
    fn spawn(&self) -> anyhow::Result<Process> {
        let mut launch = self.launch.clone();
        if let Some(url) = self.store.url() {
            launch.environment.push(("DATABASE_URL".to_owned(), url.to_owned()));
        }
        launch.spawn()
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
        let database = Database::of(&self.data_dir, self.store.url());
        let reader = rows::caught_up(&database, upto, PROJECTION_LIMIT).await?;
        let compared = rows::compare(&self.data_dir, &reader, &mut self.report.faults).await?;
        self.report.databases.insert(self.store.name(), compared);
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
        (self.report.segments, self.report.archived) = (end.segments, end.archived);
        Ok(end.torn)
    }

    /// The last life: everything resolved, everything in the database, an orderly end.
    async fn finish(&mut self) -> anyhow::Result<()> {
        let mut process = self.spawn()?;
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
