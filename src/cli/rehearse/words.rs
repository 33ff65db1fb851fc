//! What a rehearsal tells, for a person.

use std::fmt::Write;

use jiff::civil::DateTime;

use super::count::{Count, ProductTally, Units};
use super::line::Reason;
use super::plan::Partial;
use super::report::{FailedLine, Report, Witness};
use super::sheet::Skipped;
use crate::cli::play::ask::TroubleReport;
use crate::cli::play::number::{counted, exponent_of, grouped, money, per_second, short_time};
use crate::cli::play::table::table;

const BAD_SHOWN: usize = 20;
const FAILED_SHOWN: usize = 20;
const NAME_SHOWN: usize = 24;

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
            self.listing(),
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
            "  opening stock  {}\n  refused order  {}\n  connections    {}{}{}\n  no goods       {}",
            self.opening_stock,
            match self.partial {
                Partial::Refuse => "stays refused",
                Partial::Fill => "asked for once more, with what can be had",
            },
            self.connections,
            if self.connections == 1 { ", in the file's order" } else { "" },
            self.speed
                .map_or(String::new(), |speed| format!(", {speed} times as fast as the file")),
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
        products.sort_by_key(|product| std::cmp::Reverse(product.sums.refused.units));
        let most = shown.rows.unwrap_or(usize::MAX);
        let exponent = exponent_of(&self.currency);
        let rows = products.iter().take(most).map(|product| {
            let sums = &product.sums;
            vec![
                product.product_id.clone(),
                product.name.chars().take(NAME_SHOWN).collect(),
                signed(sums.opening_units),
                grouped(sums.demand.units),
                signed(sums.sold_units),
                grouped(sums.refused.units),
                grouped(sums.cancelled.units),
                grouped(sums.written_off.units),
                signed(sums.left_units),
                money(minor(sums.sold_money_minor), exponent),
                money(minor(sums.refused.money_minor), exponent),
                moment(product.sold_out_at),
            ]
        });
        let header = [
            "product",
            "name",
            "stock",
            "demand",
            "sold",
            "refused",
            "cancelled",
            "written off",
            "left",
            "value sold",
            "value missed",
            "sold out",
        ];
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
        let sums = &self.totals.sums;
        let row = |word: &str, lines: Option<u64>, units: String, amount: Option<u64>| {
            let lines = lines.map_or(String::new(), grouped);
            let amount = amount.map_or(String::new(), |amount| money(amount, exponent));
            vec![word.to_owned(), lines, units, amount]
        };
        let count = |word, count: &Count| {
            let amount = Some(minor(count.money_minor));
            row(word, Some(count.lines), grouped(count.units), amount)
        };
        let units = |word, units: &Units| row(word, Some(units.lines), grouped(units.units), None);
        let rows = vec![
            row("opening stock", None, signed(sums.opening_units), None),
            count("demand", &sums.demand),
            count("refused: missed", &sums.refused),
            count("ordered", &sums.ordered),
            count("cancelled", &sums.cancelled),
            row(
                "sold: ordered, not cancelled",
                None,
                signed(sums.sold_units),
                Some(minor(sums.sold_money_minor)),
            ),
            units("written off", &sums.written_off),
            units("write-offs refused", &sums.write_off_refused),
            units("returned, of no order here", &sums.returned),
            row("left", None, signed(sums.left_units), None),
        ];
        let currency = format!("money {}", self.currency);
        let mut text = table(&["total", "lines", "units", &currency], rows, 1);
        let sums = &self.totals;
        let _ = write!(
            text,
            "\n{}: {} sold out, {} turned an order away",
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
        let orders = &self.orders;
        let _ = write!(
            text,
            "\n{}: {} sold whole, {} sold in part, {} refused",
            counted(orders.asked, "order"),
            grouped(orders.sold_whole),
            grouped(orders.sold_in_part),
            grouped(orders.refused)
        );
        for (reason, count) in &self.refused_by_reason {
            let _ = write!(text, "\n  {:<22}{:>8}", reason, grouped(*count));
        }
        if !self.split_invoices.is_empty() {
            let _ = write!(
                text,
                "\ntoo long for one order, so split: {}",
                self.split_invoices.join(", ")
            );
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
        let row = |word: &str, witness: Option<&Witness>| {
            let figures = match witness {
                None => vec!["not checked".to_owned()],
                Some(Witness { totals, left_units }) => {
                    let amount = totals.money_minor.get(&self.currency).copied().unwrap_or(0);
                    let cancelled = totals.cancelled_money_minor.get(&self.currency);
                    vec![
                        grouped(totals.orders),
                        grouped(totals.units),
                        money(minor(amount), exponent),
                        grouped(totals.cancelled_units),
                        money(minor(cancelled.copied().unwrap_or(0)), exponent),
                        grouped(totals.written_off_units),
                        grouped(totals.returned_units),
                        left_units
                            .map_or("-".to_owned(), |left| signed(left.try_into().unwrap_or(0))),
                    ]
                }
            };
            std::iter::once(word.to_owned()).chain(figures).collect()
        };
        let witnesses = &self.witnesses;
        let rows = vec![
            row("the answers", Some(&witnesses.answers)),
            row("the log", witnesses.log.as_ref()),
            row("the database", witnesses.database.as_ref()),
        ];
        let currency = format!("money {}", self.currency);
        let header = [
            "told by",
            "orders",
            "units",
            &currency,
            "cancelled",
            "money",
            "written off",
            "returned",
            "left",
        ];
        table(&header, rows, 1)
    }

    fn verdict(&self) -> String {
        let checks: Vec<String> = self.checks.iter().map(ToString::to_string).collect();
        let time = std::time::Duration::from_secs_f64(self.seconds);
        let rate = per_second(self.lines.played, time);
        let word = if self.passed { "passed" } else { "FAILED" };
        let (played, time) = (grouped(self.lines.played), short_time(time));
        format!(
            "{}\n\n{word}: {played} lines in {time}, {} a second",
            checks.join("\n"),
            grouped(rate)
        )
    }
}

/// Units with a sign.
fn signed(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(units.unsigned_abs()))
}

/// Minor units as far as they can be written.
fn minor(amount: impl TryInto<u64>) -> u64 {
    amount.try_into().unwrap_or(u64::MAX)
}
