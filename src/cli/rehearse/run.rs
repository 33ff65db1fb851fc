//! Runs a rehearsal: finds its place, plays, hears the witnesses, reports.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use super::args::{Prepared, RehearseArgs};
use super::chart;
use super::count::ProductTally;
use super::known::keys;
use super::plan::Step;
use super::play::{Played, Stock, bar, play};
use super::report::{FailedLine, Lines, Orders, Overall, Report, Witness, Witnesses};
use super::words::Shown;
use crate::cli::api_key;
use crate::cli::exit::Exit;
use crate::cli::log::journal_dir;
use crate::cli::output::{can_write, write_file};
use crate::cli::play::caller::{Caller, Target};
use crate::cli::play::check::Check;
use crate::cli::play::database::{Database, check_url};
use crate::cli::play::interrupt::until_interrupted;
use crate::cli::play::log_book::{self, LogBook, OurKeys};
use crate::cli::play::server::OwnServer;
use crate::cli::play::stage::{Stage, Wanted};
use crate::cli::play::stopwatch::Stopwatch;
use crate::cli::play::witness::{Sources, Testimony, hear};
use anyhow::Context;

/// How long a server that is said to run may refuse connections.
const REACH_LIMIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where the rehearsal takes place.
struct Place {
    target: Target,
    /// The server and its place, when they are ours.
    own: Option<(Stage, OwnServer)>,
    sources: Sources,
    /// The log when the play begins, where there is one to read.
    before: Option<LogBook>,
}

impl RehearseArgs {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        self.chart.as_deref().map_or(Ok(()), can_write)?;
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
            let stock = Stock { restock: self.restock, alone: place.own.is_some() };
            let play = play(&place.target, prepared, self.speed, stock, place.before.as_ref());
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
        if let Some(path) = &self.chart {
            let (file, total) = (&*self.file.to_string_lossy(), played.tally.total());
            write_file(path, &chart::draw(file, &played.points, &played.tally.products, &total)?)?;
        }
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
        let keys = keys(&prepared.plan).into_iter().map(|(key, _)| key).collect();
        let mut keys = OurKeys::new(keys);
        if let Some(url) = &self.url {
            let target = Target::new(url, api_key::read(self.api_key_file.as_deref())?);
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
            let before = data_dir.as_deref().map(|dir| log_before(dir, &mut keys)).transpose()?;
            let from = self.from(before.as_ref());
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
        let before = Some(log_before(&data_dir, &mut keys)?);
        let from = self.from(before.as_ref());
        let target = Target::default();
        let mut server = stage.launch.spawn()?;
        server.ready(&target).await?;
        let database = Some(stage.database.clone());
        let sources = Sources { data_dir: Some(data_dir), database, from, keys };
        Ok(Place { target, own: Some((stage, server)), sources, before })
    }

    /// The last record before this run: a run that goes on has records anywhere.
    fn from(&self, before: Option<&LogBook>) -> u64 {
        before.filter(|_| self.run_id.is_none()).map_or(0, |log| log.last_sequence)
    }

    fn report(
        &self,
        prepared: &Prepared,
        facts: Facts,
        played: Played,
        testimony: Testimony,
    ) -> Report {
        let Played { tally, lists, trouble, unexpected, seconds, .. } = played;
        let mut checks = tally.checks(unexpected.as_deref(), facts.alone);
        checks.extend(testimony.checks);
        let products = &tally.products;
        if facts.alone {
            let left = [&testimony.log_left, &testimony.database_left];
            checks.push(left_agrees(products, left.into_iter().flatten()));
        }
        let sums = tally.total();
        let told = |totals: Option<_>, left: Option<&HashMap<String, i128>>| {
            let left = left.filter(|_| facts.alone);
            totals.map(|totals| Witness::new(totals, left, products))
        };
        let witnesses = Witnesses {
            answers: Witness {
                totals: tally.answers.totals(),
                left_units: facts.alone.then_some(sums.left_units.into()),
            },
            log: told(testimony.log, testimony.log_left.as_ref()),
            database: told(testimony.database, testimony.database_left.as_ref()),
        };
        let sheet = &prepared.sheet;
        let failed = tally.failed.into_iter().map(|(line, what)| FailedLine { line, what });
        let is_order = |step: &&Step| matches!(step, Step::Order(_));
        Report {
            passed: !checks.iter().any(Check::failed),
            run_id: prepared.plan.run_id.clone(),
            file: self.file.display().to_string(),
            server: facts.url,
            server_output: None,
            data_dir: facts.data_dir,
            database: facts.database,
            connections: prepared.connections,
            speed: self.speed,
            opening_stock: prepared.rule.words(),
            restocked: self.restock,
            partial: prepared.plan.partial,
            service_codes: prepared.reading.service_codes.clone(),
            currency: prepared.reading.currency.clone(),
            seconds,
            lines: Lines {
                read: sheet.read,
                played: sheet.lines.len() as u64,
                skipped: sheet.skipped_by_reason(),
                not_utf8: sheet.not_utf8,
            },
            orders: Orders {
                asked: prepared.plan.steps.iter().filter(is_order).count() as u64,
                sold_whole: lists.whole_orders,
                sold_in_part: lists.part_orders.len() as u64,
                refused: lists.refused_orders.len() as u64,
            },
            totals: Overall::new(products, sums),
            refused_by_reason: tally.refused_by_reason,
            trouble,
            witnesses,
            checks,
            failed_lines: failed.collect(),
            skipped_lines: sheet.skipped.clone(),
            split_invoices: prepared.plan.split.clone(),
            products: tally.products,
            lists,
        }
    }
}

/// That those who look at the stock itself find left of each product what the answers leave.
fn left_agrees<'a>(
    products: &[ProductTally],
    others: impl Iterator<Item = &'a HashMap<String, i128>>,
) -> Check {
    let mut wrong = BTreeSet::new();
    for left in others {
        for product in products {
            let ours = i128::from(product.sums.left_units);
            if left.get(&product.product_id) != Some(&ours) {
                wrong.insert(product.product_id.clone());
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    Check::none("products of which the witnesses do not leave the same", &wrong)
}

/// The log of a data directory as it is now; an empty one where there is none yet.
fn log_before(data_dir: &Path, keys: &mut OurKeys) -> anyhow::Result<LogBook> {
    match journal_dir(data_dir).is_dir() {
        true => log_book::read(data_dir, keys, 0),
        false => Ok(LogBook::default()),
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
