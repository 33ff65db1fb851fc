//! A disk that is really full: what is answered then, and that a sale goes on when there is space.
//!
//! ```text
//! sell ─► disk-low ─► others make room ─► it sells by itself ─► disk-low ─► SIGKILL
//!                                                                             │
//! sell, everything resolved ◄─ start ◄─ room ◄─ a start with the disk full: exit 5, with the bytes
//! ```
//!
//! Runs on a small file system (see [`mount`](crate::mount)), with the embedded database on it too.
//! Proves: every sale that hears `disk-low` did not happen, and nothing that was acknowledged before,
//! meanwhile or after is lost; the product is still read; a start without room says how much it
//! needs and changes nothing.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::checker::Checker;
use crate::client::Client;
use crate::crash::IN_FLIGHT_MIN;
use crate::crowd::{self, Crowd, Manners, SharedShop};
use crate::database::Database;
use crate::faults::{FaultKind, Faults};
use crate::log::{End, Log};
use crate::mount::free_bytes;
use crate::process::{Launch, Process};
use crate::rows::{self, Compared};
use crate::seeded::Seeded;
use crate::shop::{Counts, Mix, Shop};

/// Bytes of the file system.
pub const DISK_BYTES: u64 = 48 << 20;
const SEGMENT_BYTES: u64 = 1 << 20;
/// Under this the embedded database waits: sales first.
const RESERVE_BYTES: u64 = 3 << 19;
/// Free when the sale begins.
const FREE_FIRST: u64 = 5 << 20;
/// What others give back once it is full.
const GIVEN_BACK: u64 = 3 << 19;
const WARES: usize = 4;
const WARES_MAX: u16 = 12;
const START_LIMIT: Duration = Duration::from_secs(60);
const FILL_LIMIT: Duration = Duration::from_secs(180);
const HEAL_LIMIT: Duration = Duration::from_secs(30);
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);
/// Without a sale for so long, while buyers ask, it is full.
const QUIET: Duration = Duration::from_millis(400);
const POLL: Duration = Duration::from_millis(5);

/// What to fill.
#[derive(Debug, Clone)]
pub struct FullDiskPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// On the small file system.
    pub place: PathBuf,
    /// On another one: for the server's output.
    pub directory: PathBuf,
    /// What everything random comes from.
    pub seed: u64,
    /// Connections, each with one request in flight.
    pub connections: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FullDiskReport {
    /// What the clients heard.
    pub counts: Counts,
    /// Acknowledged when the first `disk-low` was heard, after it sold again by itself, at the end.
    pub acknowledged: [u64; 3],
    /// Bytes free when it sold nothing more, twice.
    pub free_bytes: [u64; 2],
    /// From the room made by others until the next sale, in milliseconds.
    pub healed_ms: u64,
    /// Requests in flight at the kill.
    pub in_flight: usize,
    /// What the start without room said.
    pub refused: String,
    /// Records in the log.
    pub records: u64,
    /// The embedded database against the log.
    pub database: Compared,
    /// What was wrong.
    pub faults: Faults,
}

struct Sale<'a> {
    plan: &'a FullDiskPlan,
    launch: Launch,
    data_dir: PathBuf,
    shop: SharedShop,
    checker: Checker,
    report: FullDiskReport,
}

/// Fills the disk; `watch` hears what begins.
///
/// # Errors
/// It could not be run: that a check failed is in the report.
pub fn run(plan: &FullDiskPlan, mut watch: impl FnMut(&str)) -> anyhow::Result<FullDiskReport> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut sale = Sale::new(plan);
    LocalSet::new().block_on(&runtime, sale.run(&mut watch))?;
    Ok(sale.report)
}

impl<'a> Sale<'a> {
    fn new(plan: &'a FullDiskPlan) -> Self {
        let data_dir = plan.place.join("data");
        let mut launch = Launch::engine(&plan.engine, &data_dir, &plan.directory);
        let settings = [
            ("JOURNAL_SEGMENT_BYTES", SEGMENT_BYTES),
            ("JOURNAL_SPARE_SEGMENTS", 1),
            ("DISK_RESERVE_BYTES", RESERVE_BYTES),
        ];
        let settings =
            settings.map(|(name, value)| (format!("DOORBUSTER_{name}"), value.to_string()));
        launch.environment.extend(settings);
        let shop = Shop::new(Mix::Everything { wares_max: WARES_MAX }, Seeded::new(plan.seed));
        Self {
            plan,
            launch,
            data_dir,
            shop: Rc::new(RefCell::new(shop)),
            checker: Checker::default(),
            report: FullDiskReport::default(),
        }
    }

    async fn run(&mut self, watch: &mut impl FnMut(&str)) -> anyhow::Result<()> {
        let others = self.others("back", GIVEN_BACK)?;
        let left = free_bytes(&self.plan.place)?.saturating_sub(FREE_FIRST);
        let more_others = self.others("more", left)?;
        watch("selling until the disk is full");
        self.fill_and_heal(&others, watch).await?;
        watch("killed, and started with the disk full");
        self.check_log()?;
        let rest = self.others("rest", u64::MAX)?;
        self.start_without_room().await?;
        watch("room is made, and it is started");
        std::fs::remove_file(rest)?;
        std::fs::remove_file(more_others)?;
        self.sell_again().await
    }

    /// A file of others: of so many bytes, or of all that are left.
    fn others(&self, name: &str, bytes: u64) -> anyhow::Result<PathBuf> {
        let path = self.plan.place.join(name);
        let mut file = std::fs::File::create(&path)?;
        let mut left = bytes;
        let mut step = 1 << 16;
        while left > 0 && step > 0 {
            let some = vec![7; usize::try_from(left.min(step))?];
            match file.write_all(&some) {
                Ok(()) => left = left.saturating_sub(step),
                // The last bytes are taken in ever smaller pieces.
                Err(error) if error.kind() == io::ErrorKind::StorageFull && bytes == u64::MAX => {
                    step /= 2;
                }
                Err(error) => return Err(error).context("cannot fill the disk"),
            }
        }
        file.sync_all()?;
        Ok(path)
    }

    /// Sells until it is full, lets it heal, sells until it is full again, and is killed; under load
    /// all the time.
    async fn fill_and_heal(
        &mut self,
        others: &Path,
        watch: &mut impl FnMut(&str),
    ) -> anyhow::Result<()> {
        let mut process = self.launch.spawn()?;
        let address = process.ready(START_LIMIT).await?;
        for _ in 0..WARES {
            crowd::stock_up(address, &self.shop, START_LIMIT).await?;
        }
        let crowd = Crowd::open(address, self.plan.connections, &self.shop, &Manners::default());
        self.until_full(&mut process).await?;
        self.report.free_bytes[0] = free_bytes(&self.plan.place)?;
        self.report.acknowledged[0] = self.done();
        self.still_reads(Client { address }).await?;
        watch("others make room, and it sells by itself");
        let began = Instant::now();
        std::fs::remove_file(others)?;
        let before = self.done();
        while self.done() == before {
            ensure!(began.elapsed() < HEAL_LIMIT, "it does not sell again\n{}", process.trace());
            sleep(POLL).await;
        }
        self.report.healed_ms = u64::try_from(began.elapsed().as_millis())?;
        self.until_full(&mut process).await?;
        self.report.free_bytes[1] = free_bytes(&self.plan.place)?;
        self.report.acknowledged[1] = self.done();
        let until = Instant::now() + HEAL_LIMIT;
        while crowd.in_flight() < IN_FLIGHT_MIN.min(self.plan.connections) {
            ensure!(Instant::now() < until, "{} requests in flight", crowd.in_flight());
            sleep(Duration::from_micros(200)).await;
        }
        self.report.in_flight = crowd.in_flight();
        process.kill()?;
        crowd.leave().await?;
        Ok(())
    }

    /// Waits until buyers hear `disk-low` and nothing else is sold.
    async fn until_full(&mut self, process: &mut Process) -> anyhow::Result<()> {
        let until = Instant::now() + FILL_LIMIT;
        let low = self.shop.borrow().counts.disk_low;
        let (mut done, mut since) = (self.done(), Instant::now());
        loop {
            sleep(POLL).await;
            let counts = self.shop.borrow().counts;
            if counts.done != done {
                (done, since) = (counts.done, Instant::now());
            }
            if counts.disk_low > low && since.elapsed() > QUIET {
                return Ok(());
            }
            if Instant::now() > until {
                let free = free_bytes(&self.plan.place)?;
                bail!("{free} bytes are still free, {done} sold\n{}", process.trace());
            }
        }
    }

    fn done(&self) -> u64 {
        self.shop.borrow().counts.done
    }

    /// Products are read, and the server says what it lacks without calling itself unready.
    async fn still_reads(&mut self, client: Client) -> anyhow::Result<()> {
        let ready = client.get("/readyz").await?;
        let stock = client.get("/v1/products/ware-0/stock").await?;
        let says = ready.body.to_string().contains("disk-low");
        if ready.status != 200 || !says || stock.status != 200 {
            let told = (ready.status, ready.body.to_string(), stock.status);
            self.report
                .faults
                .add(FaultKind::Contradicted, || format!("with a full disk: {told:?}"));
        }
        Ok(())
    }

    /// It ends with 5 and the bytes, and the log is as it was.
    async fn start_without_room(&mut self) -> anyhow::Result<()> {
        let before = self.check_log()?;
        let mut process = self.launch.spawn()?;
        let status = process.ended(START_LIMIT).await?;
        let told = process.trace();
        let line = told.lines().rev().find(|line| line.contains("bytes"));
        self.report.refused = line.unwrap_or(&told).trim().to_owned();
        let needed = SEGMENT_BYTES.to_string();
        if status.code() != Some(5) || !self.report.refused.contains(&needed) {
            self.report.faults.add(FaultKind::Contradicted, || {
                format!("a start with the disk full ended with {status}\n{told}")
            });
        }
        let after = self.check_log()?;
        if before != after {
            self.report.faults.add(FaultKind::Broken, || {
                format!("a start without room changed the log: {before:?}, then {after:?}")
            });
        }
        Ok(())
    }

    async fn sell_again(&mut self) -> anyhow::Result<()> {
        let mut process = self.launch.spawn()?;
        let address = process.ready(START_LIMIT).await?;
        crowd::resolve(address, &self.shop, START_LIMIT).await?;
        let (before, low) = (self.done(), self.shop.borrow().counts.disk_low);
        let crowd = Crowd::open(address, self.plan.connections, &self.shop, &Manners::default());
        sleep(QUIET).await;
        crowd.leave().await?;
        ensure!(self.done() > before, "nothing was sold again\n{}", process.trace());
        if self.shop.borrow().counts.disk_low > low {
            let told = || "disk-low with room again".to_owned();
            self.report.faults.add(FaultKind::Contradicted, told);
        }
        crowd::resolve(address, &self.shop, START_LIMIT).await?;
        self.rest().await?;
        let database = Database::of(&self.data_dir, None);
        let upto = self.checker.model().last_decision();
        let reader = rows::caught_up(&database, upto, CATCH_UP_LIMIT).await?;
        self.report.database =
            rows::compare(&self.data_dir, &reader, &mut self.report.faults).await?;
        let status = process.terminate(START_LIMIT).await?;
        ensure!(status.success(), "SIGTERM ended it with {status}");
        self.check_log()?;
        self.report.acknowledged[2] = self.done();
        let shop = self.shop.borrow();
        self.checker.settle_finally(&shop.notes, &mut self.report.faults);
        Ok(())
    }

    /// Waits until no hold is left that would end by itself.
    async fn rest(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + CATCH_UP_LIMIT;
        self.check_log()?;
        while self.checker.model().holds().next_due().is_some() {
            ensure!(Instant::now() < until, "holds do not end by themselves");
            sleep(Duration::from_millis(50)).await;
            self.check_log()?;
        }
        Ok(())
    }

    /// The log against the notes, when no request is under way.
    fn check_log(&mut self) -> anyhow::Result<End> {
        let mut shop = self.shop.borrow_mut();
        let faults = &mut self.report.faults;
        for fault in std::mem::take(&mut shop.faults).first() {
            faults.add(fault.kind, || fault.detail.clone());
        }
        let end = self.checker.read(&Log::open(&self.data_dir)?, &shop.notes, faults)?;
        self.checker.settle(&shop.notes, faults);
        self.report.counts = shop.counts;
        self.report.records = end.next_sequence - 1;
        Ok(end)
    }
}
