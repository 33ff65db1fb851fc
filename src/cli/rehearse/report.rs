//! What a rehearsal tells: for a person as text, for a program as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::civil::DateTime;
use serde::Serialize;

use super::sheet::{Reason, Skipped};
use super::tally::{Count, ProductTally};
use crate::cli::play::book::Totals;
use crate::cli::play::check::Check;
use crate::cli::play::number::{counted, exponent_of, grouped, money, per_second, short_time};
use crate::cli::play::purchase::TroubleReport;
use crate::cli::play::table::table;

const BAD_SHOWN: usize = 20;
const FAILED_SHOWN: usize = 20;

/// A finished rehearsal.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether no check failed.
    pub(super) passed: bool,
    pub(super) run_id: String,
    pub(super) file: String,
    pub(super) server: String,
    /// The file with what a server of our own said, if that is kept.
    pub(super) server_output: Option<String>,
    pub(super) data_dir: Option<String>,
    pub(super) database: Option<String>,
    pub(super) connections: usize,
    pub(super) opening_stock: String,
    /// Products that were on the server before were set to the opening stock.
    pub(super) restocked: bool,
    pub(super) service_codes: Vec<String>,
    pub(super) currency: String,
    pub(super) seconds: f64,
    pub(super) lines: Lines,
    pub(super) totals: Sums,
    pub(super) refused_by_reason: BTreeMap<String, u64>,
    pub(super) trouble: TroubleReport,
    pub(super) witnesses: Witnesses,
    pub(super) checks: Vec<Check>,
    pub(super) failed_lines: Vec<FailedLine>,
    pub(super) skipped_lines: Vec<Skipped>,
    pub(super) products: Vec<ProductTally>,
}

/// Lines of the file.
#[derive(Debug, Serialize)]
pub(super) struct Lines {
    pub(super) read: u64,
    pub(super) played: u64,
    pub(super) skipped: BTreeMap<Reason, u64>,
    /// Read as Latin-1, because they are no UTF-8.
    pub(super) not_utf8: u64,
}

/// Over all products.
#[derive(Debug, Serialize)]
pub(super) struct Sums {
    pub(super) products: u64,
    pub(super) products_reused: u64,
    pub(super) products_sold_out: u64,
    /// Those that turned a line away for want of stock.
    pub(super) products_that_refused: u64,
    pub(super) demand: Count,
    pub(super) sold: Count,
    pub(super) refused: Count,
}

/// What each witness counts of the same sale.
#[derive(Debug, Serialize)]
pub(super) struct Witnesses {
    pub(super) answers: Totals,
    pub(super) log: Option<Totals>,
    pub(super) database: Option<Totals>,
}

/// A line without an outcome.
#[derive(Debug, Serialize)]
pub(super) struct FailedLine {
    pub(super) line: u64,
    pub(super) what: String,
}

/// How much of it a person wants to see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// Products; `None`: all.
    pub(super) rows: Option<usize>,
    /// Every skipped line, not only the bad ones.
    pub(super) skipped: bool,
}

impl Report {
    /// Writes it for a person.
    pub(super) fn write(&self, shown: Shown, out: &mut String) {
        let text = [
            self.head(),
            self.skipped(shown),
            self.product_table(shown),
            self.sums(),
            self.troubles(),
            self.witness_table(),
            self.verdict(),
        ];
        let parts: Vec<String> = text.into_iter().filter(|part| !part.is_empty()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", parts.join("\n\n"));
    }

    fn head(&self) -> String {
        let mut text = format!(
            "rehearsal {} of {}\n  server         {}\n",
            self.run_id, self.file, self.server
        );
        if let Some(output) = &self.server_output {
            let _ = writeln!(text, "  it said        {output}");
        }
        if let Some(data_dir) = &self.data_dir {
            let _ = writeln!(text, "  data           {data_dir}");
        }
        if let Some(database) = &self.database {
            let _ = writeln!(text, "  database       {database}");
        }
        let _ = write!(
            text,
            "  opening stock  {}\n  connections    {}{}\n  no goods       {}",
            self.opening_stock,
            self.connections,
            if self.connections == 1 { ", in the file's order" } else { "" },
            match self.service_codes.is_empty() {
                true => "none".to_owned(),
                false => self.service_codes.join(", "),
            },
        );
        text
    }

    fn skipped(&self, shown: Shown) -> String {
        let lines = &self.lines;
        let skipped: u64 = lines.skipped.values().sum();
        let mut text = format!(
            "{} lines read: {} played, {} skipped",
            grouped(lines.read),
            grouped(lines.played),
            grouped(skipped)
        );
        for (reason, count) in &lines.skipped {
            let _ = write!(text, "\n  {:<22}{:>8}", reason.words(), grouped(*count));
        }
        if lines.not_utf8 > 0 {
            let count = grouped(lines.not_utf8);
            let _ = write!(text, "\n  {count} lines are no UTF-8 and were read as Latin-1");
        }
        let told = self.skipped_lines.iter();
        let told: Vec<&Skipped> =
            told.filter(|line| shown.skipped || line.reason == Reason::Bad).collect();
        let most = if shown.skipped { usize::MAX } else { BAD_SHOWN };
        for Skipped { line, reason, detail } in told.iter().take(most) {
            let _ = write!(text, "\n  line {line}: {}: {detail}", reason.words());
        }
        if told.len() > most {
            let more = told.len() - most;
            let _ = write!(text, "\n  and {more} more: --list-skipped shows all");
        }
        text
    }

    fn product_table(&self, shown: Shown) -> String {
        let moment = |at: Option<DateTime>| {
            at.map_or("-".to_owned(), |at| at.strftime("%F %H:%M").to_string())
        };
        let mut products: Vec<&ProductTally> = self.products.iter().collect();
        // Those that were short of most units first; their order in the file otherwise.
        products.sort_by_key(|product| std::cmp::Reverse(product.refused.units));
        let most = shown.rows.unwrap_or(usize::MAX);
        let rows = products.iter().take(most).map(|product| {
            vec![
                product.product_id.clone(),
                product.name.chars().take(36).collect(),
                grouped(product.opening_units),
                grouped(product.demand.units),
                grouped(product.sold.units),
                grouped(product.refused.units),
                moment(product.first_refused_at),
                moment(product.sold_out_at),
            ]
        });
        let header =
            ["product", "name", "stock", "demand", "sold", "refused", "first refused", "sold out"];
        let mut text = table(&header, rows.collect(), 2);
        if products.len() > most {
            let more = grouped((products.len() - most) as u64);
            let _ = write!(
                text,
                "\nand {more} products more: --rows all shows them, --output FILE writes them"
            );
        }
        text
    }

    fn sums(&self) -> String {
        let exponent = exponent_of(&self.currency);
        let row = |word: &str, count: &Count| {
            let amount = u64::try_from(count.money_minor).unwrap_or(u64::MAX);
            vec![
                word.to_owned(),
                grouped(count.lines),
                grouped(count.units),
                money(amount, exponent),
            ]
        };
        let sums = &self.totals;
        let currency = format!("money {}", self.currency);
        let rows = vec![
            row("demand", &sums.demand),
            row("sold", &sums.sold),
            row("refused", &sums.refused),
        ];
        let mut text = table(&["total", "lines", "units", &currency], rows, 1);
        let _ = write!(
            text,
            "\n{}: {} sold out, {} turned a line away",
            counted(sums.products, "product"),
            grouped(sums.products_sold_out),
            grouped(sums.products_that_refused)
        );
        if sums.products_reused > 0 {
            let reused = grouped(sums.products_reused);
            let how = match self.restocked {
                true => "set to the opening stock",
                false => "sold as they stood there",
            };
            let _ = write!(text, ", {reused} on the server before and {how}");
        }
        for (reason, count) in self.refused_by_reason.iter().filter(|(name, _)| *name != "sold-out")
        {
            let _ = write!(text, "\n{} lines refused: {reason}", grouped(*count));
        }
        text
    }

    fn troubles(&self) -> String {
        let mut parts = Vec::new();
        for (what, count) in &self.trouble.retries {
            parts.push(format!("asked again {} times: {what}", grouped(*count)));
        }
        if self.trouble.unknown_outcomes > 0 {
            let TroubleReport { unknown_outcomes, had_happened, had_not_happened, .. } =
                self.trouble;
            parts.push(format!(
                "{} outcomes unknown, resolved by asking again: {} had happened, {} had not",
                grouped(unknown_outcomes),
                grouped(had_happened),
                grouped(had_not_happened)
            ));
        }
        for FailedLine { line, what } in self.failed_lines.iter().take(FAILED_SHOWN) {
            parts.push(format!("line {line} failed: {what}"));
        }
        parts.join("\n")
    }

    fn witness_table(&self) -> String {
        let exponent = exponent_of(&self.currency);
        let row = |word: &str, totals: &Option<Totals>| match totals {
            None => vec![word.to_owned(), "-".into(), "-".into(), "not checked".into()],
            Some(totals) => {
                let amount = totals.money_minor.get(&self.currency).copied().unwrap_or(0);
                let amount = u64::try_from(amount).unwrap_or(u64::MAX);
                let figures =
                    [grouped(totals.orders), grouped(totals.units), money(amount, exponent)];
                std::iter::once(word.to_owned()).chain(figures).collect()
            }
        };
        let witnesses = &self.witnesses;
        let currency = format!("money {}", self.currency);
        let rows = vec![
            row("the answers", &Some(witnesses.answers.clone())),
            row("the log", &witnesses.log),
            row("the database", &witnesses.database),
        ];
        table(&["told by", "orders", "units", &currency], rows, 1)
    }

    fn verdict(&self) -> String {
        let checks: Vec<String> = self.checks.iter().map(ToString::to_string).collect();
        let time = std::time::Duration::from_secs_f64(self.seconds);
        let rate = per_second(self.lines.played, time);
        let word = if self.passed { "passed" } else { "FAILED" };
        let (played, time) = (grouped(self.lines.played), short_time(time));
        format!(
            "{}\n\n{word}: {played} purchases in {time}, {} a second",
            checks.join("\n"),
            grouped(rate)
        )
    }
}
