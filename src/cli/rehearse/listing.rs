//! The lists of a rehearsal for a person: the first of each, and how many more there are.

use std::fmt::Write;

use super::lists::{Cancellation, MissedOrder, WriteOff};
use super::report::Report;
use crate::cli::play::number::{exponent_of, grouped, money};

/// Entries of each list that are shown.
const LISTED: usize = 10;
/// Products of a refusal that are shown.
const SHORT_SHOWN: usize = 3;

impl Report {
    /// All lists that have something in them.
    pub(super) fn listing(&self) -> String {
        let exponent = exponent_of(&self.currency);
        let missed = |order: &MissedOrder| order.words(exponent);
        let lists = &self.lists;
        let kept: Vec<&WriteOff> =
            lists.write_offs.iter().filter(|write_off| write_off.refused.is_some()).collect();
        let parts = [
            list("orders refused", &lists.refused_orders, missed),
            list("orders sold in part", &lists.part_orders, missed),
            list("cancellations", &lists.cancellations, Cancellation::words),
            list("write-offs refused", &kept, |write_off| write_off.words()),
        ];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}

/// A list with its title; nothing for one that is empty.
fn list<T>(title: &str, entries: &[T], words: impl Fn(&T) -> String) -> String {
    let mut text = String::new();
    if entries.is_empty() {
        return text;
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "{title}: {}", grouped(entries.len() as u64));
    for entry in entries.iter().take(LISTED) {
        let _ = write!(text, "\n  {}", words(entry));
    }
    if entries.len() > LISTED {
        let more = grouped((entries.len() - LISTED) as u64);
        let _ = write!(text, "\n  and {more} more: --output FILE writes all");
    }
    text
}

impl MissedOrder {
    fn words(&self, exponent: u32) -> String {
        let short = self.short.iter().take(SHORT_SHOWN).map(|short| {
            format!("{} {} of {}", short.product_id, short.available, short.requested)
        });
        let mut short: Vec<String> = short.collect();
        if self.short.len() > SHORT_SHOWN {
            short.push(format!("{} more", self.short.len() - SHORT_SHOWN));
        }
        let amount = u64::try_from(self.missed_money_minor).unwrap_or(u64::MAX);
        format!(
            "line {}: {} by {}, {} of {} units missed, worth {}: {} ({})",
            self.line,
            self.invoice,
            self.buyer_id,
            grouped(self.missed_units),
            grouped(self.units),
            money(amount, exponent),
            self.reason,
            short.join(", ")
        )
    }
}

impl Cancellation {
    fn words(&self) -> String {
        let mut text = format!(
            "line {}: {} {} of {}: {} cancelled",
            self.line,
            self.invoice,
            grouped(self.units),
            self.product_id,
            grouped(self.cancelled_units)
        );
        if !self.orders.is_empty() {
            let _ = write!(text, " in {}", self.orders.join(", "));
        }
        if self.returned_units > 0 {
            let _ = write!(text, ", {} put in as returned", grouped(self.returned_units));
        }
        for reason in &self.refused {
            let _ = write!(text, ", refused: {reason}");
        }
        text
    }
}

impl WriteOff {
    fn words(&self) -> String {
        let refused = self.refused.as_deref().unwrap_or_default();
        let mut text = format!(
            "line {}: {} {} of {}: {refused}",
            self.line,
            self.invoice,
            grouped(self.units),
            self.product_id,
        );
        if !self.description.is_empty() {
            let _ = write!(text, " ({})", self.description);
        }
        text
    }
}
