//! What came of the sale, checked, and where to look next.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::sale::{Crash, Heard, Sale};
use crate::cli::play::ask::TroubleReport;
use crate::cli::play::check::Check;
use crate::cli::play::database::Database;
use crate::cli::play::number::{counted, grouped, per_second, short_time};
use crate::cli::play::stage::Stage;
use crate::cli::play::table::table;
use crate::cli::play::witness::Testimony;

/// A finished sale.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Whether no check failed.
    pub(super) passed: bool,
    units: u64,
    buyers: u64,
    connections: usize,
    units_sold: u64,
    refused: u64,
    orders_in_log: u64,
    rows_in_database: Option<u64>,
    answers_lost: u64,
    oversold: u64,
    seconds: f64,
    answers_per_second: u64,
    waited_us: Waited,
    crash: Option<Crash>,
    trouble: TroubleReport,
    checks: Vec<Check>,
    data_dir: Option<String>,
    #[serde(skip)]
    next: Vec<String>,
}

/// How long buyers waited for their answer, retries included.
#[derive(Debug, Serialize)]
struct Waited {
    p50: u128,
    p99: u128,
    max: u128,
}

impl Summary {
    /// The summary of a sale.
    pub(super) fn new(
        sale: &Sale,
        heard: Heard,
        stock: (u64, u64),
        crash: Option<Crash>,
        trouble: TroubleReport,
        testimony: Testimony,
        time: Duration,
    ) -> Self {
        let log_units = testimony.log.as_ref().map_or(0, |totals| totals.units);
        let mut checks = checks(sale, &heard, stock, crash);
        checks.extend(testimony.checks);
        let waited = |share| heard.waited(share).as_micros();
        Self {
            passed: !checks.iter().any(Check::failed),
            units: sale.units,
            buyers: sale.buyers,
            connections: sale.connections,
            units_sold: heard.sold,
            refused: heard.refused,
            orders_in_log: testimony.log.as_ref().map_or(0, |totals| totals.orders),
            rows_in_database: testimony.database.as_ref().map(|totals| totals.orders),
            answers_lost: testimony.lost,
            oversold: log_units.saturating_sub(sale.units),
            seconds: time.as_secs_f64(),
            answers_per_second: per_second(heard.sold + heard.refused, time),
            waited_us: Waited { p50: waited(0.5), p99: waited(0.99), max: waited(1.0) },
            crash,
            trouble,
            checks,
            data_dir: None,
            next: Vec::new(),
        }
    }

    /// Adds what the sale leaves behind.
    pub(super) fn leaves(mut self, stage: &Stage) -> Self {
        let Some(data_dir) = stage.kept_data_dir() else {
            let more = match self.crash {
                None => "doorbuster demo --crash    the same, with a kill -9 in its middle",
                Some(_) => "doorbuster rehearse FILE   your own orders: docs/rehearse.md",
            };
            self.next = [
                more,
                "doorbuster demo --keep     leaves the log and the database to look at",
                "doorbuster serve           a server to sell with: docs/operations/README.md",
            ]
            .map(str::to_owned)
            .to_vec();
            return self;
        };
        let shown = data_dir.display();
        self.data_dir = Some(shown.to_string());
        self.next = vec![
            format!("doorbuster wal inspect --data-dir {shown}"),
            format!("doorbuster wal dump --data-dir {shown} | head"),
            format!("doorbuster serve --data-dir {shown}"),
        ];
        if let Database::Sqlite(path) = &stage.database {
            let select = "SELECT status, count(*) FROM orders GROUP BY 1";
            self.next.push(format!("sqlite3 {} '{select}'", path.display()));
        } else {
            self.next.push(format!("orders and their lines: {}", stage.database));
        }
        if let Some(output) = stage.kept_output() {
            self.next.push(format!("what the server said: {}", output.display()));
        }
        self
    }

    /// Writes it for a person.
    pub(super) fn write(&self, out: &mut String) {
        let time = Duration::from_secs_f64(self.seconds);
        let short =
            |micros: u128| short_time(Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{} over {} had their answers in {}: {} a second, half of them \
             within {}, 99 of 100 within {}",
            counted(self.buyers, "buyer"),
            counted(self.connections as u64, "connection"),
            short_time(time),
            grouped(self.answers_per_second),
            short(self.waited_us.p50),
            short(self.waited_us.p99),
        );
        if let Some(crash) = &self.crash {
            let _ = writeln!(
                out,
                "kill -9, connections cut, with {} sold and {} in flight; a new server was ready \
                 in {} ms\n(in flight: asked, the answer not heard yet)",
                counted(crash.sold_before, "unit"),
                counted(crash.in_flight, "purchase"),
                grouped(crash.ready_again_ms),
            );
        }
        let _ = writeln!(out, "\n{}\n", table(&["", ""], self.rows(), 1).trim_start_matches('\n'));
        for check in &self.checks {
            let _ = writeln!(out, "{check}");
        }
        let word = if self.passed { "passed" } else { "FAILED: the data was kept" };
        let _ = writeln!(out, "\n{word}\n\nwhere to look next");
        for line in &self.next {
            let _ = writeln!(out, "  {line}");
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |word: &str, count: u64| vec![word.to_owned(), grouped(count)];
        let mut rows = vec![
            row("units for sale", self.units),
            row("units sold", self.units_sold),
            row("buyers refused", self.refused),
            row("distinct orders in the log", self.orders_in_log),
            row("orders in the database", self.rows_in_database.unwrap_or(0)),
            row("answers lost", self.answers_lost),
            row("units oversold", self.oversold),
        ];
        if self.crash.is_some() || self.trouble.unknown_outcomes > 0 {
            rows.push(row("outcomes nobody heard of", self.trouble.unknown_outcomes));
            rows.push(row("  had happened, told by retry", self.trouble.had_happened));
            rows.push(row("  had not, decided by retry", self.trouble.had_not_happened));
        }
        rows
    }
}

/// What the answers and the server's own figures must show.
fn checks(sale: &Sale, heard: &Heard, stock: (u64, u64), crash: Option<Crash>) -> Vec<Check> {
    let wanted = sale.units.min(sale.buyers);
    let (sold, available) = stock;
    let found = format!("{} of {}", grouped(heard.sold), grouped(wanted));
    let mut checks = vec![
        Check::none("buyers without an answer", &heard.failed),
        Check::none("refusals for another reason than want of stock", &heard.other_refusals),
        Check::new("every unit that was wanted is sold", heard.sold == wanted, found),
        Check::new(
            "the server's own figures agree",
            sold == heard.sold && available == sale.units - sold.min(sale.units),
            format!("{} sold, {} left", grouped(sold), grouped(available)),
        ),
    ];
    if sale.crash {
        let found = crash.map_or("the sale was over before".to_owned(), |crash| {
            format!("{} in flight", counted(crash.in_flight, "purchase"))
        });
        checks.push(Check::new("the server was killed in the middle", crash.is_some(), found));
    }
    checks
}
