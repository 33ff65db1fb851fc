//! How fast a log is copied to SQL: records a second into SQLite and into PostgreSQL.
//!
//! ```text
//! make a log ─► copy it ─► serve on it with an empty database ─► ready ─► complete
//!    once       └────────────── each round and database ──────────────┘
//! ```
//!
//! The clock runs from the moment the server is ready to the moment the database has the log's last
//! record. Nothing is sold meanwhile: the projector has what nobody else wants of the processor.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::task::LocalSet;

use crate::database::Database;
use crate::figures::{Middle, ROUNDS_MAX};
use crate::machine::Machine;
use crate::postgres::Postgres;
use crate::process::Launch;
use crate::recover::made_log::{self, Making};
use crate::rows;

/// A start or a projection that takes longer is a failure.
const LIMIT: Duration = Duration::from_secs(900);

/// What to measure.
#[derive(Debug, Clone)]
pub struct ProjectPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// Where data directories are made; each is removed afterwards.
    pub data_root: PathBuf,
    /// Purchases in the log.
    pub purchases: u64,
    /// Products they are of.
    pub products: u32,
    /// Copies into each database.
    pub rounds: usize,
}

/// One database.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Filled {
    /// Seconds of each round.
    pub seconds: Vec<f64>,
    /// Records a second.
    pub per_second: Middle,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct ProjectReport {
    /// Where it ran.
    pub machine: Machine,
    /// Records of the log: a purchase has rows in four tables.
    pub records: u64,
    /// The file beside the log.
    pub sqlite: Filled,
    /// A server on this machine; `None`: there is no PostgreSQL here.
    pub postgres: Option<Filled>,
    /// Why there is none.
    pub postgres_missing: Option<String>,
}

/// Measures; `watch` hears what begins.
///
/// # Errors
/// The bounds are passed, or a server does not start or copy.
pub fn run(plan: &ProjectPlan, mut watch: impl FnMut(&str)) -> anyhow::Result<ProjectReport> {
    ensure!((1..=ROUNDS_MAX).contains(&plan.rounds), "1 to {ROUNDS_MAX} rounds");
    let machine = Machine::measure(&plan.data_root)?;
    let place = tempfile::tempdir_in(&plan.data_root)?;
    let made = place.path().join("made");
    watch("making the log");
    let making = Making { purchases: plan.purchases, products: plan.products, ..Making::default() };
    made_log::make(&made, making, &mut |_| {})?;
    // The start record comes first.
    let records = 1 + u64::from(plan.products) + plan.purchases;
    let (mut sqlite, mut postgres) = (Filled::default(), Filled::default());
    let missing = crate::postgres::bin_directory().err().map(|error| format!("{error:#}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for round in 1..=plan.rounds {
        watch(&format!("round {round}, SQLite"));
        let copied = fill(plan, &made, place.path(), records, None);
        let seconds = LocalSet::new().block_on(&runtime, copied).context("SQLite")?;
        sqlite.seconds.push(seconds);
        if missing.is_none() {
            watch(&format!("round {round}, PostgreSQL"));
            let copied = async {
                let server = Postgres::start().await?;
                fill(plan, &made, place.path(), records, Some(server.url())).await
            };
            let seconds = LocalSet::new().block_on(&runtime, copied).context("PostgreSQL")?;
            postgres.seconds.push(seconds);
        }
    }
    for filled in [&mut sqlite, &mut postgres] {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = |seconds: &f64| records as f64 / seconds;
        filled.per_second = Middle::of(filled.seconds.iter().map(rate));
    }
    let postgres = missing.is_none().then_some(postgres);
    Ok(ProjectReport { machine, records, sqlite, postgres, postgres_missing: missing })
}

async fn fill(
    plan: &ProjectPlan,
    made: &Path,
    place: &Path,
    upto: u64,
    url: Option<String>,
) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir_in(place)?;
    let data_dir = directory.path().join("data");
    made_log::copy(made, &data_dir.join("journal"))?;
    let mut launch = Launch::engine(&plan.engine, &data_dir, directory.path());
    launch.environment.extend(url.iter().map(|url| ("DATABASE_URL".to_owned(), url.clone())));
    let mut server = launch.spawn()?;
    server.ready(LIMIT).await?;
    let begun = Instant::now();
    let database = Database::of(&data_dir, url.as_deref());
    rows::caught_up(&database, upto, LIMIT)
        .await
        .with_context(|| format!("the server's last lines:\n{}", server.trace()))?;
    let seconds = begun.elapsed().as_secs_f64();
    server.kill()?;
    Ok(seconds)
}
