//! Asks the log and the database what happened, and compares them with the answers.

use std::collections::HashMap;
use std::path::PathBuf;

use indicatif::ProgressBar;

use super::book::{Book, Totals};
use super::check::Check;
use super::database::Database;
use super::database_book::DatabaseBook;
use super::log_book::{self, LogBook, OurKeys};
use super::server::OwnServer;
use crate::journal::OrderId;

/// Where to look, as far as it can be looked at.
pub(crate) struct Sources {
    /// The data directory whose log is read.
    pub(crate) data_dir: Option<PathBuf>,
    /// The database.
    pub(crate) database: Option<Database>,
    /// Last record before the play.
    pub(crate) from: u64,
    /// The keys of the play.
    pub(crate) keys: OurKeys,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Testimony {
    /// What the log counts.
    pub(crate) log: Option<Totals>,
    /// What the database counts of the same orders.
    pub(crate) database: Option<Totals>,
    /// Units left of each product by the log, and by the database; both of every record there is
    /// only where the server was our own.
    pub(crate) log_left: Option<HashMap<String, i128>>,
    /// See `log_left`.
    pub(crate) database_left: Option<HashMap<String, i128>>,
    /// Acknowledged orders that the log does not have.
    pub(crate) lost: u64,
    /// Products the log shows oversold.
    pub(crate) oversold: u64,
    /// All comparisons.
    pub(crate) checks: Vec<Check>,
}

const NO_LOG: &str = "give --data-dir, the server's data directory, to read its log";
const NO_DATABASE: &str = "give --database-url, the server's database";
const LOG: &str = "answers and log agree, order by order";
const ORDERS: &str = "answers and database agree, order by order";

/// Reads log and database, and compares. A server of our own is ended on the way, in good order.
///
/// # Errors
/// The log cannot be read. A database that cannot is a failed check.
pub(crate) async fn hear(
    mut sources: Sources,
    answers: &Book,
    mut own: Option<OwnServer>,
    bar: &ProgressBar,
) -> anyhow::Result<Testimony> {
    let mut testimony = Testimony::default();
    testimony.checks.push(Check::none("answers that share an order", answers.twice()));
    let foreign = own.is_none();
    let Some(data_dir) = sources.data_dir.take() else {
        testimony.checks.push(Check::not_checked("answers and log agree", NO_LOG));
        match &sources.database {
            None => testimony.checks.push(Check::not_checked(ORDERS, NO_DATABASE)),
            Some(database) => testimony.of_database_alone(database, answers, bar).await,
        }
        return Ok(testimony);
    };
    let mut log = log_book::read(&data_dir, &mut sources.keys, sources.from)?;
    let caught_up = match &sources.database {
        None => Ok(()),
        Some(database) => wait(database, Some(&log.journal_id), log.last_decision, bar).await,
    };
    if let Some(server) = own.take() {
        let ended = server.terminate().await;
        let found = ended.as_ref().map_or_else(ToString::to_string, |()| "exit 0".to_owned());
        testimony.checks.push(Check::new("the server ended in good order", ended.is_ok(), found));
        log = log_book::read(&data_dir, &mut sources.keys, sources.from)?;
    }
    // Without an order, nothing shows that the log is that of the server that answered.
    if foreign && answers.is_empty() && log.ours.is_empty() {
        testimony.log = Some(log.ours.totals());
        testimony.checks.push(Check::not_checked(LOG, "nothing was sold"));
        return Ok(testimony);
    }
    testimony.of_log(&log, answers);
    match &sources.database {
        None => {
            testimony.checks.push(Check::not_checked("log and database agree", NO_DATABASE));
        }
        Some(database) => {
            let read = match caught_up {
                Ok(()) => database.read(sources.from, log.last_sequence).await,
                Err(error) => Err(error),
            };
            testimony.of_database(log, read);
        }
    }
    Ok(testimony)
}

/// Waits for the database, and shows how far it is.
async fn wait(
    database: &Database,
    journal_id: Option<&str>,
    sequence: u64,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    bar.set_length(sequence);
    bar.set_message("waiting for the database");
    let moved = |at: u64| bar.set_position(at.min(sequence));
    let caught_up = database.caught_up(journal_id, sequence, &moved).await;
    bar.finish_and_clear();
    caught_up
}

impl Testimony {
    /// Without the log, an order's id still tells the place of its record.
    async fn of_database_alone(&mut self, database: &Database, answers: &Book, bar: &ProgressBar) {
        let ids = answers.ids().filter_map(|id| id.parse::<OrderId>().ok());
        let places = ids.map(|OrderId(position)| position.sequence.get());
        let places: Vec<u64> = places.chain(answers.adjusted_at()).collect();
        let (Some(first), Some(last)) = (places.iter().min(), places.iter().max()) else {
            return self.checks.push(Check::not_checked(ORDERS, "nothing was sold"));
        };
        let read = match wait(database, None, *last, bar).await {
            Ok(()) => database.read(first - 1, *last).await,
            Err(error) => Err(error),
        };
        match read {
            Err(error) => self.checks.push(Check::new(ORDERS, false, format!("{error:#}"))),
            Ok(found) => {
                let ours = found.orders.only(answers);
                self.checks.push(Check::same(ORDERS, answers, &answers.compare(&ours)));
                self.database = Some(ours.totals());
            }
        }
    }

    fn of_log(&mut self, log: &LogBook, answers: &Book) {
        let difference = answers.compare(&log.ours);
        self.lost = difference.missing.len() as u64;
        self.oversold = log.oversold.len() as u64;
        self.log = Some(log.ours.totals());
        self.log_left = Some(log.left.clone());
        let checks = [
            Check::same(LOG, answers, &difference),
            Check::none("keys that decided twice", &log.keys_twice),
            Check::none("products oversold at any record of the log", &log.oversold),
        ];
        self.checks.extend(checks);
    }

    fn of_database(&mut self, log: LogBook, read: anyhow::Result<DatabaseBook>) {
        let what = "log and database agree, order by order";
        let database = match read {
            Ok(database) => database,
            Err(error) => {
                return self.checks.push(Check::new(what, false, format!("{error:#}")));
            }
        };
        self.database = Some(database.orders.only(&log.ours).totals());
        self.database_left = Some(database.left);
        let all = log.ours.with(log.others);
        let difference = all.compare(&database.orders);
        self.checks.push(Check::same(what, &all, &difference));
        let twice = database.orders.twice();
        self.checks.push(Check::none("what stands twice in the database", twice));
        let none = database.quarantined == 0;
        let found = if none { "none".to_owned() } else { database.quarantined.to_string() };
        self.checks.push(Check::new("records in quarantine", none, found));
    }
}
