//! The database stopped in the middle of a sale, and started again.
//!
//! ```text
//! sale ── before ──┬── outage: PostgreSQL is stopped ──┬── after ──► all sold units once in SQL
//!                  SIGQUIT                             start
//! ```
//!
//! Proves that reporting never delays a sale: every purchase of the whole time is answered with 201
//! within its deadline, and afterwards the database has every order exactly once. Latency is told
//! for each part. Purchases begin at a fixed pace, so that a slow server is not asked less.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::checker::Checker;
use crate::crowd::{self, Crowd, SharedShop};
use crate::database::Database;
use crate::faults::Faults;
use crate::log::Log;
use crate::parts::{self, Parts};
use crate::postgres::Postgres;
use crate::process::Launch;
use crate::rows::{self, Compared};
use crate::seeded::Seeded;
use crate::shop::{Mix, Shop};

const START_LIMIT: Duration = Duration::from_secs(60);
const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);

/// A sale with an outage in it.
#[derive(Debug, Clone)]
pub struct OutagePlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where the data directory is made.
    pub data_root: PathBuf,
    /// Sale before the outage, and after it.
    pub around: Duration,
    /// How long the database is away.
    pub outage: Duration,
    /// Connections.
    pub connections: usize,
    /// Each begins a purchase this often.
    pub every: Duration,
}

/// What a sale with an outage found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OutageReport {
    /// Around the time the database was away.
    pub parts: Parts,
    /// How long the database was away.
    pub outage_seconds: f64,
    /// From its start until it had every order, in seconds.
    pub caught_up_seconds: f64,
    /// The database against the log.
    pub database: Compared,
    /// What was wrong.
    pub faults: Faults,
}

/// Runs the sale; `watch` hears which part begins.
///
/// # Errors
/// It could not be run: that a check failed is in the report.
pub fn run(plan: &OutagePlan, watch: impl FnMut(&str)) -> anyhow::Result<OutageReport> {
    let directory = tempfile::tempdir_in(&plan.data_root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, sale(plan, directory.path().to_owned(), watch))
}

async fn sale(
    plan: &OutagePlan,
    directory: PathBuf,
    mut watch: impl FnMut(&str),
) -> anyhow::Result<OutageReport> {
    watch("starting PostgreSQL");
    let mut postgres = Postgres::start().await?;
    let data_dir = directory.join("data");
    let mut launch = Launch::engine(&plan.engine, &data_dir, &directory);
    launch.environment.push(("DATABASE_URL".to_owned(), postgres.url()));
    let mut process = launch.spawn()?;
    let address = process.ready(START_LIMIT).await?;
    let shop: SharedShop = Rc::new(RefCell::new(Shop::new(Mix::Purchases, Seeded::new(1))));
    crowd::stock_up(address, &shop, START_LIMIT).await?;
    let (heard, manners) = parts::paced(plan.every);
    let crowd = Crowd::open(address, plan.connections, &shop, &manners);
    watch("selling");
    sleep(plan.around).await;
    watch("PostgreSQL is stopped");
    let stopped = Instant::now();
    heard.borrow_mut().begins(stopped);
    postgres.stop()?;
    sleep(plan.outage.saturating_sub(stopped.elapsed())).await;
    let outage_seconds = stopped.elapsed().as_secs_f64();
    postgres.start_again().await?;
    let back = Instant::now();
    watch("PostgreSQL is back");
    heard.borrow_mut().ends(back);
    sleep(plan.around).await;
    crowd.leave().await?;
    watch("the projection catches up");
    let (parts, faults) = (heard.borrow().parts(), heard.borrow().faults().clone());
    let mut report = OutageReport { parts, outage_seconds, faults, ..OutageReport::default() };
    let database = Database::Postgres(postgres.url());
    let upto = check_log(&mut report, &shop.borrow(), &data_dir)?;
    let compared = check_database(&mut report, &database, upto, &data_dir).await;
    compared.with_context(|| format!("the server's last lines:\n{}", process.trace()))?;
    report.caught_up_seconds = back.elapsed().as_secs_f64();
    process.terminate(START_LIMIT).await?;
    Ok(report)
}

/// The log against the notes; gives the last sequence that the database is to have.
fn check_log(report: &mut OutageReport, shop: &Shop, data_dir: &Path) -> anyhow::Result<u64> {
    let mut checker = Checker::default();
    checker.read(&Log::open(data_dir)?, &shop.notes, &mut report.faults)?;
    checker.settle_finally(&shop.notes, &mut report.faults);
    for fault in shop.faults.first() {
        report.faults.add(fault.kind, || fault.detail.clone());
    }
    Ok(checker.model().last_decision())
}

async fn check_database(
    report: &mut OutageReport,
    database: &Database,
    upto: u64,
    data_dir: &Path,
) -> anyhow::Result<()> {
    ensure!(upto > 0, "nothing was sold");
    let reader = rows::caught_up(database, upto, CATCH_UP_LIMIT).await?;
    report.database = rows::compare(data_dir, &reader, &mut report.faults).await?;
    Ok(())
}
