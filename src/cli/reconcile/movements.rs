//! Movements: looked up by product and version in batches, for the log has them in another order.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::report::Report;
use super::table::TableKind;
use crate::projection::{Moment, SortedBy, TextRow, quoted};

/// Movements that are looked up at once.
const BATCH: usize = 1_000;

const COLUMNS: &[&str] = &[
    "product_id",
    "version",
    "sequence",
    "kind",
    "decided_at",
    "stock_delta",
    "held_delta",
    "sold_delta",
    "stock",
    "held",
    "sold",
    "reason",
    "text",
    "order_id",
    "hold_id",
    "reference",
    "principal",
];

static KIND: TableKind = TableKind {
    name: "movements",
    columns: COLUMNS,
    key: &[SortedBy::Text("product_id", 0), SortedBy::Number("version", 1)],
    id: &[0, 1],
};

/// Movements that the log says there are.
#[derive(Default)]
pub(super) struct Movements {
    waiting: Vec<TextRow>,
    /// So many so far.
    pub(super) expected: u64,
}

impl Movements {
    /// Takes one in.
    pub(super) fn expect(
        &mut self,
        moment: &mut Moment,
        report: &mut Report,
        row: TextRow,
    ) -> anyhow::Result<()> {
        self.expected += 1;
        self.waiting.push(row);
        if self.waiting.len() < BATCH { Ok(()) } else { self.look_up(moment, report) }
    }

    fn look_up(&mut self, moment: &mut Moment, report: &mut Report) -> anyhow::Result<()> {
        let mut keys = String::new();
        let key = |row: &TextRow| {
            let part = |place| row.get(place).cloned().flatten().unwrap_or_default();
            (part(0), part(1))
        };
        for row in &self.waiting {
            let comma = if keys.is_empty() { "" } else { ", " };
            let (product_id, version) = key(row);
            // Writing to a string cannot fail.
            let _ = write!(keys, "{comma}({}, {version})", quoted(&product_id));
        }
        if keys.is_empty() {
            return Ok(());
        }
        let select = format!(
            "WITH wanted (p, v) AS (VALUES {keys}) SELECT {} FROM wanted JOIN movements \
             ON product_id = p AND version = v",
            columns(moment)
        );
        let found = moment.rows(&select)?;
        let found: HashMap<_, _> = found.into_iter().map(|row| (key(&row), row)).collect();
        for row in std::mem::take(&mut self.waiting) {
            match found.get(&key(&row)) {
                Some(found) => KIND.differ(report, &row, found)?,
                None => KIND.missing(report, &row)?,
            }
        }
        Ok(())
    }

    /// Looks up what is left, then names those that the log does not know: of a product that is not
    /// there, or behind its last version. `versions` has each product's.
    pub(super) fn end(
        &mut self,
        moment: &mut Moment,
        report: &mut Report,
        versions: &HashMap<&str, u64>,
    ) -> anyhow::Result<()> {
        self.look_up(moment, report)?;
        let last = "SELECT product_id, max(version) FROM movements GROUP BY product_id";
        for row in moment.rows(last)? {
            let [Some(product_id), Some(last)] = &*row else { continue };
            let known = versions.get(product_id.as_str()).copied().unwrap_or(0);
            if last.parse::<i64>().is_ok_and(|last| last <= known.cast_signed()) {
                continue;
            }
            let select = format!(
                "SELECT {} FROM movements WHERE product_id = {} AND version > {known}",
                columns(moment),
                quoted(product_id),
            );
            let mut rows = moment.sorted(select, KIND.key);
            while let Some(row) = rows.next(moment)? {
                KIND.unknown(report, &row)?;
            }
        }
        Ok(())
    }
}

fn columns(moment: &Moment) -> String {
    COLUMNS.join(", ").replace("decided_at", &moment.time("decided_at"))
}
