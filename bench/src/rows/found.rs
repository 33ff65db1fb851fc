//! The rows of the database, those of one record in one line of text.

use std::ops::Range;

use anyhow::Context;

use super::{column, words};
use crate::database::Reader;

/// A table whose rows are compared one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// `orders` and `order_lines`.
    Orders,
    /// `holds`.
    Holds,
    /// `movements`.
    Movements,
}

/// What a statement gives: a sequence, an id that rows of one line share, and these columns of it.
struct Columns {
    /// Of the line.
    head: Range<usize>,
    /// Of each row of it.
    item: Range<usize>,
}

/// A line of text: items in an order that no collation changes.
pub(super) fn joined(head: &str, mut items: Vec<String>) -> String {
    items.sort_unstable();
    items.insert(0, head.to_owned());
    items.join(" | ")
}

impl Table {
    pub(super) const ALL: [Self; 3] = [Self::Orders, Self::Holds, Self::Movements];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Holds => "holds",
            Self::Movements => "movements",
        }
    }

    /// What a record makes in it.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Orders => "the order",
            Self::Holds => "the hold",
            Self::Movements => "the movement",
        }
    }

    /// The rows of a range of sequences, by sequence.
    pub(super) async fn texts(
        self,
        reader: &Reader,
        from: u64,
        to: u64,
    ) -> anyhow::Result<Vec<(u64, String)>> {
        let (sql, Columns { head, item }) = self.statement(reader, from, to);
        let mut texts: Vec<(u64, String, Vec<String>)> = Vec::new();
        let mut last = None;
        for row in reader.rows(&sql).await? {
            let sequence: u64 = column(&row, 0).parse().context("a sequence")?;
            let line = (sequence, column(&row, 1).to_owned());
            if last.as_ref() != Some(&line) {
                texts.push((sequence, words(&row, head.clone()), Vec::new()));
                last = Some(line);
            }
            if let Some((_, _, items)) = texts.last_mut().filter(|_| !item.is_empty()) {
                items.push(words(&row, item.clone()));
            }
        }
        let text =
            |(sequence, head, items): (u64, String, Vec<String>)| (sequence, joined(&head, items));
        Ok(texts.into_iter().map(text).collect())
    }

    fn statement(self, reader: &Reader, from: u64, to: u64) -> (String, Columns) {
        let range = format!("sequence >= {from} AND sequence < {to}");
        match self {
            Self::Orders => {
                let sql = format!(
                    "SELECT CAST(o.sequence AS text), o.order_id, CAST(o.partition AS text), \
                     o.buyer_id, o.reference, o.status, o.hold_id, CAST(l.line_no AS text), \
                     l.product_id, CAST(l.quantity AS text), CAST(l.unit_price_minor AS text), \
                     l.currency, CAST(l.cancelled AS text) \
                     FROM orders o LEFT JOIN order_lines l ON l.order_id = o.order_id \
                     WHERE o.sequence >= {from} AND o.sequence < {to} ORDER BY o.sequence, o.order_id"
                );
                (sql, Columns { head: 1..7, item: 7..13 })
            }
            Self::Holds => {
                let times = ["placed_at", "expires_at", "resolved_at"].map(|c| reader.ms(c));
                let sql = format!(
                    "SELECT CAST(sequence AS text), hold_id, CAST(partition AS text), buyer_id, \
                     reference, status, {}, order_id FROM holds WHERE {range} \
                     ORDER BY sequence, hold_id",
                    times.join(", ")
                );
                (sql, Columns { head: 1..10, item: 0..0 })
            }
            Self::Movements => {
                let sql = format!(
                    "SELECT CAST(sequence AS text), '', product_id, CAST(version AS text), kind, \
                     CAST(stock_delta AS text), CAST(held_delta AS text), \
                     CAST(sold_delta AS text), CAST(stock AS text), CAST(held AS text), \
                     CAST(sold AS text), order_id, hold_id FROM movements WHERE {range} \
                     ORDER BY sequence"
                );
                (sql, Columns { head: 0..0, item: 2..13 })
            }
        }
    }
}
