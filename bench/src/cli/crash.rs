//! `crash`: the campaign of kills, told.

use std::process::ExitCode;

use anyhow::Context;

use super::campaigns::{Common, passed};
use super::{progress, write_json};
use crate::crash::{self, CrashPlan, CrashReport, IN_FLIGHT_MIN, StoreChoice};
use crate::moment::KINDS;
use crate::postgres::Postgres;

/// Rounds of a campaign that has to fall into everything an engine does.
const FULL_ROUNDS: u64 = 100;

/// `crash`
#[derive(Debug, clap::Args)]
pub(super) struct CrashArgs {
    /// How many processes are killed with 32 or more requests in flight; others come on top.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rounds: u64,
    /// After so many rounds a new log is begun: a start reads what keys there are, so lives grow longer.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    rounds_per_log: u64,
    /// What everything random comes from; each log has the next [default: drawn, and printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    in_flight: u16,
    /// Where the projection goes: with both, lives take them in turn.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Stores,
    /// A PostgreSQL without a schema `doorbuster`; all rounds are in one log then [default: one is
    /// started for each log, and stopped at its end].
    #[arg(long, value_name = "URL", conflicts_with = "rounds_per_log")]
    database_url: Option<String>,
    /// Bytes of a journal segment.
    #[arg(long, default_value_t = 1 << 20)]
    segment_bytes: u64,
    /// A further setting of the engine, as in its file of settings.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// How often the database is compared, beside the end.
    #[arg(long, default_value_t = 4)]
    database_checks: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stores {
    Sqlite,
    Postgres,
    Both,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    split.filter(|(name, _)| !name.is_empty()).ok_or_else(|| "must be NAME=VALUE".to_owned())
}

impl CrashArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let seed = self.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ clock_seed());
        println!("seed {seed}");
        let logs = match self.database_url {
            Some(_) => 1,
            None => self.rounds.div_ceil(self.rounds_per_log),
        };
        let bar = progress(self.rounds);
        let mut report = CrashReport { seed, ..CrashReport::default() };
        for log in 0..logs {
            // As many in each as can be, the rest in the first ones.
            let rounds = self.rounds / logs + u64::from(log < self.rounds % logs);
            let found = self.one_log(rounds, seed.wrapping_add(log), |of_log| {
                bar.set_position(report.rounds + of_log.rounds);
                bar.set_message(format!(
                    "log {} of {logs}; {} acknowledged, {} unknown resolved",
                    log + 1,
                    report.counts.done + of_log.counts.done,
                    resolved(&report) + resolved(of_log),
                ));
            })?;
            report.add(found);
            if !report.faults.is_empty() {
                break;
            }
        }
        bar.finish_and_clear();
        show(&report);
        write_json(self.common.json.as_deref(), &report)?;
        let never_hit = report.never_hit();
        if !never_hit.is_empty() {
            println!("no kill fell into: {}", never_hit.join(", "));
        }
        let passed = passed(&report.faults);
        if report.rounds >= FULL_ROUNDS && !never_hit.is_empty() {
            println!("a campaign of {FULL_ROUNDS} rounds or more has to, so this one has failed");
            return Ok(ExitCode::FAILURE);
        }
        Ok(passed)
    }

    /// A campaign in a log of its own, and with a PostgreSQL of its own where none is given.
    fn one_log(
        &self,
        rounds: u64,
        seed: u64,
        watch: impl FnMut(&CrashReport),
    ) -> anyhow::Result<CrashReport> {
        let mut stores = Vec::new();
        if self.store != Stores::Postgres {
            stores.push(StoreChoice::Sqlite);
        }
        let start = self.store != Stores::Sqlite && self.database_url.is_none();
        let server = start.then(Postgres::start_blocking).transpose()?;
        if self.store != Stores::Sqlite {
            let url = server.as_ref().map(Postgres::url).or_else(|| self.database_url.clone());
            stores.push(StoreChoice::Postgres(url.context("a PostgreSQL")?));
        }
        let plan = CrashPlan {
            engine: self.common.engine()?,
            data_root: self.common.data_root(),
            rounds,
            seed,
            in_flight: usize::from(self.in_flight),
            stores,
            segment_bytes: self.segment_bytes,
            settings: self.settings.clone(),
            database_checks: self.database_checks,
        };
        crash::run(&plan, watch)
    }
}

fn clock_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::from(since.subsec_nanos()) << 20)
}

fn resolved(report: &CrashReport) -> u64 {
    let counts = &report.counts;
    counts.unknown_had_happened + counts.unknown_happened_then + counts.unknown_refused_then
}

fn show(report: &CrashReport) {
    show_kills(report);
    show_clients(report);
    show_log(report);
    if let Some(kept) = &report.kept {
        println!("seed {}, data kept in {}", report.seed, kept.display());
    }
}

fn show_kills(report: &CrashReport) {
    let moments = KINDS.iter().zip(report.moments);
    let moments: Vec<String> =
        moments.map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    println!(
        "{} killed: {}; {} of them with {IN_FLIGHT_MIN} or more requests in flight, {} in all",
        report.killed,
        moments.join(", "),
        report.rounds,
        report.in_flight,
    );
    let shown: Vec<String> = report
        .under_way
        .iter()
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
        .collect();
    println!(
        "under way at a kill, by what it left on disk: {}; {} times the act did not come in time; \
         {} kills of a stopped process that clients had given up",
        shown.join(", "),
        report.missed,
        report.given_up
    );
}

fn show_clients(report: &CrashReport) {
    let counts = &report.counts;
    println!(
        "{} requests: {} acknowledged, {} refused; {} attempts turned away, {} without an answer, \
         {} of these given up",
        counts.requests,
        counts.done,
        counts.refused,
        counts.turned_away,
        counts.silent,
        report.timed_out
    );
    println!(
        "{} unknown outcomes resolved with the same key: {} had happened, {} happened then, \
         {} were refused then; {} acknowledged requests repeated: the same answer",
        resolved(report),
        counts.unknown_had_happened,
        counts.unknown_happened_then,
        counts.unknown_refused_then,
        counts.same_again
    );
}

fn show_log(report: &CrashReport) {
    println!(
        "{} logs: {} records in {} segments, {} of them archived, {} kills left a torn write; \
         slowest start {} ms",
        report.logs,
        report.records,
        report.segments,
        report.archived,
        report.torn,
        report.start_ms_max
    );
    let kinds: Vec<String> =
        report.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("of these: {}", kinds.join(", "));
    println!(
        "{} views compared after a start; a database compared {} times",
        report.views, report.database_checks
    );
    for (store, compared) in &report.databases {
        println!(
            "{store}: {} orders, {} holds, {} products, {} movements",
            compared.orders, compared.holds, compared.products, compared.movements
        );
    }
}
