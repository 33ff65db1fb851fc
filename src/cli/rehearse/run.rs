//! Runs a rehearsal: server, products, purchases, witnesses, report.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{Prepared, RehearseArgs};
use super::products::{Opening, put_in};
use super::report::{FailedLine, Lines, Report, Shown, Sums, Witnesses};
use super::tally::{ProductTally, Tally};
use crate::cli::exit::Exit;
use crate::cli::play::caller::{Caller, Target};
use crate::cli::play::check::Check;
use crate::cli::play::database::{Database, check_url};
use crate::cli::play::interrupt::until_interrupted;
use crate::cli::play::log_book::{OurKeys, last_sequence};
use crate::cli::play::pool::buy_all;
use crate::cli::play::purchase::{Trouble, TroubleReport};
use crate::cli::play::server::OwnServer;
use crate::cli::play::stage::{Stage, Wanted};
use crate::cli::play::stopwatch::Stopwatch;
use crate::cli::play::witness::{Sources, Testimony, hear};

/// How long a server that is said to run may refuse connections.
const REACH_LIMIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the purchases came to.
struct Played {
    tally: Tally,
    trouble: TroubleReport,
    expected_known: bool,
    seconds: f64,
}

/// Where the rehearsal takes place.
struct Place {
    target: Target,
    /// The server and its place, when they are ours.
    own: Option<(Stage, OwnServer)>,
    sources: Sources,
    /// The log's last record when the play begins, where there is a log to read.
    before: Option<u64>,
}

impl RehearseArgs {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        if let Some(url) = &self.database_url {
            check_url(url)?;
        }
        let prepared = self.prepare()?;
        let runtime = actix_rt::Runtime::new().context("cannot start a runtime")?;
        let left = self.left_when_interrupted(&prepared.plan.run_id);
        let report = runtime.block_on(until_interrupted(self.rehearse(&prepared), left))?;
        let shown = Shown { rows: prepared.rows, skipped: self.list_skipped };
        self.output.write(&report, |out| report.write(shown, out))?;
        Ok(if report.passed { Exit::Done } else { Exit::CheckFailed })
    }

    /// What an interrupted run leaves, and how it goes on.
    fn left_when_interrupted(&self, run_id: &str) -> String {
        match (&self.url, &self.data_dir) {
            (Some(url), _) => {
                format!("the server at {url} runs on and --run-id {run_id} goes on with it")
            }
            (None, Some(_)) => {
                format!("the server was stopped and --run-id {run_id} goes on with its data")
            }
            (None, None) => "the server was stopped".to_owned(),
        }
    }

    async fn rehearse(&self, prepared: &Prepared) -> anyhow::Result<Report> {
        let mut place = self.place(prepared).await?;
        let played = {
            let alone = place.own.is_some();
            let play = play(&place.target, prepared, self.restock, alone, place.before);
            match place.own.as_mut() {
                Some((_, server)) => tokio::select! {
                    played = play => played?,
                    ended = server.until_ended("during the rehearsal") => return Err(ended),
                },
                None => play.await?,
            }
        };
        let facts = Facts::of(&place);
        let (stage, server) =
            place.own.map_or((None, None), |(stage, server)| (Some(stage), Some(server)));
        let bar = bar("{msg} {bar:30} record {human_pos} of {human_len}", 0);
        let testimony = hear(place.sources, &played.tally.answers, server, &bar).await?;
        let mut report = self.report(prepared, facts, played, testimony);
        if let Some(mut stage) = stage {
            if !report.passed {
                stage.keep();
            }
            report.data_dir = stage.kept_data_dir().map(|path| path.display().to_string());
            report.server_output = stage.kept_output().map(|path| path.display().to_string());
            report.database = Some(stage.database_words());
            stage.clear().await?;
        }
        Ok(report)
    }

    /// Starts a server, or finds the one that runs.
    async fn place(&self, prepared: &Prepared) -> anyhow::Result<Place> {
        let keys = prepared.plan.wishes.iter().map(|wish| wish.key.clone()).collect();
        let keys = OurKeys::new(keys);
        if let Some(url) = &self.url {
            let target = Target::new(url, self.api_key()?);
            reached(&target).await?;
            let data_dir = self.data_dir.clone();
            let schema = self.database_schema.clone().unwrap_or_else(|| "doorbuster".to_owned());
            let database = match (&self.database_url, &data_dir) {
                (Some(url), _) => Some(Database::Postgres(url.clone(), schema)),
                (None, Some(data_dir)) => {
                    let embedded = Database::embedded(data_dir);
                    embedded.exists().then_some(embedded)
                }
                (None, None) => None,
            };
            if let Some(database) = &database {
                database.in_use().await?;
            }
            let before = data_dir.as_deref().map(last_sequence).transpose()?;
            let from = self.from(before);
            let sources = Sources { data_dir, database, from, keys };
            return Ok(Place { target, own: None, sources, before });
        }
        let stage = Stage::new(&Wanted {
            word: "rehearse",
            data_dir: self.data_dir.as_deref(),
            database_url: self.database_url.as_deref(),
            schema: self.database_schema.as_deref(),
            keep: self.keep,
        })?;
        stage.database.reached().await?;
        let data_dir = stage.data_dir();
        let before = Some(last_sequence(&data_dir)?);
        let from = self.from(before);
        let target = Target::default();
        let mut server = stage.launch.spawn()?;
        server.ready(&target).await?;
        let database = Some(stage.database.clone());
        let sources = Sources { data_dir: Some(data_dir), database, from, keys };
        Ok(Place { target, own: Some((stage, server)), sources, before })
    }

    /// The last record before this run: a run that goes on has records anywhere.
    fn from(&self, before: Option<u64>) -> u64 {
        before.filter(|_| self.run_id.is_none()).unwrap_or(0)
    }

    fn report(
        &self,
        prepared: &Prepared,
        facts: Facts,
        played: Played,
        testimony: Testimony,
    ) -> Report {
        let Played { tally, trouble, expected_known, seconds } = played;
        let mut checks = tally.checks(expected_known, facts.alone);
        checks.extend(testimony.checks);
        let products = tally.products.iter();
        let count = |which: fn(&ProductTally) -> bool| {
            products.clone().filter(|product| which(product)).count() as u64
        };
        let totals = Sums {
            products: count(|_| true),
            products_reused: count(|product| product.reused),
            products_sold_out: count(|product| product.sold_out_at.is_some()),
            products_that_refused: count(|product| product.first_refused_at.is_some()),
            demand: tally.total(|product| product.demand),
            sold: tally.total(|product| product.sold),
            refused: tally.total(|product| product.refused),
        };
        let witnesses = Witnesses {
            answers: tally.answers.totals(),
            log: testimony.log,
            database: testimony.database,
        };
        let sheet = &prepared.sheet;
        let failed = tally.failed.into_iter().map(|(line, what)| FailedLine { line, what });
        Report {
            passed: !checks.iter().any(Check::failed),
            run_id: prepared.plan.run_id.clone(),
            file: self.file.display().to_string(),
            server: facts.url,
            server_output: None,
            data_dir: facts.data_dir,
            database: facts.database,
            connections: prepared.connections,
            opening_stock: prepared.rule.words(),
            restocked: self.restock,
            service_codes: prepared.reading.service_codes.clone(),
            currency: prepared.reading.currency.clone(),
            seconds,
            lines: Lines {
                read: sheet.read,
                played: sheet.lines.len() as u64,
                skipped: sheet.skipped_by_reason(),
                not_utf8: sheet.not_utf8,
            },
            totals,
            refused_by_reason: tally.refused_by_reason,
            trouble,
            witnesses,
            checks,
            failed_lines: failed.collect(),
            skipped_lines: sheet.skipped.clone(),
            products: tally.products,
        }
    }
}

/// Whether a server answers there at all; a purchase would be asked for with more patience.
async fn reached(target: &Target) -> anyhow::Result<()> {
    let tried = Stopwatch::start();
    loop {
        match Caller::new(target).get("/livez").await {
            Ok(_) => return Ok(()),
            Err(error) if tried.elapsed() > REACH_LIMIT => {
                return Err(error).with_context(|| format!("no server at {}", target.base_url()));
            }
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Where it took place, for the report.
struct Facts {
    url: String,
    data_dir: Option<String>,
    database: Option<String>,
    alone: bool,
}

impl Facts {
    fn of(place: &Place) -> Self {
        let own = place.own.is_some();
        let url = if own { "its own, ended since".to_owned() } else { place.target.base_url() };
        let sources = &place.sources;
        let data_dir = sources.data_dir.as_ref().map(|path| path.display().to_string());
        let database = sources.database.as_ref().map(ToString::to_string);
        Self { url, data_dir, database, alone: own }
    }
}

fn bar(template: &str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Puts the products in and buys every line.
async fn play(
    target: &Target,
    prepared: &Prepared,
    restock: bool,
    alone: bool,
    before: Option<u64>,
) -> anyhow::Result<Played> {
    let plan = &prepared.plan;
    let putting =
        bar("putting products in {bar:30} {human_pos} of {human_len}", plan.products.len() as u64);
    let openings = put_in(target, plan, restock, &|| putting.inc(1)).await?;
    putting.finish_and_clear();
    let fresh = openings.iter().all(|opening: &Opening| !opening.reused);
    let expected_known = prepared.connections == 1 && fresh && alone;
    let expected = plan.expected();
    let buying = bar(
        "buying {bar:30} {human_pos} of {human_len} {per_sec} {eta} left",
        plan.lines.len() as u64,
    );
    let tally = RefCell::new(Tally::new(plan, &openings, before));
    let trouble = Trouble::default();
    let since = Stopwatch::start();
    let mut told = |number: usize, outcome, _| {
        let expected = expected.get(number).copied().filter(|_| expected_known);
        if let Some(line) = plan.lines.get(number) {
            tally.borrow_mut().enter(line, outcome, expected);
        }
        buying.inc(1);
    };
    buy_all(target, prepared.connections, &plan.wishes, &trouble, &mut told).await;
    buying.finish_and_clear();
    let seconds = since.elapsed().as_secs_f64();
    Ok(Played { tally: tally.into_inner(), trouble: trouble.report(), expected_known, seconds })
}
