//! A table whose rows are compared with what the log says of them, both in the order of their key.

use std::cmp::Ordering;

use super::report::{Difference, Kind, Report};
use crate::projection::{Moment, Sorted, SortedBy, TextRow};

/// What a table is called, what is read of it, and by which key.
pub(super) struct TableKind {
    pub(super) name: &'static str,
    /// Names of the columns that are read, in their order.
    pub(super) columns: &'static [&'static str],
    pub(super) key: &'static [SortedBy],
    /// Columns that name a row for a person.
    pub(super) id: &'static [usize],
}

/// A table being compared.
pub(super) struct Table {
    kind: &'static TableKind,
    rows: Sorted,
    head: Option<TextRow>,
    /// Rows that the log says there are.
    pub(super) expected: u64,
}

impl Table {
    /// The rows of `select`, which reads the kind's columns.
    pub(super) fn new(
        moment: &mut Moment,
        kind: &'static TableKind,
        select: String,
    ) -> anyhow::Result<Self> {
        let mut rows = moment.sorted(select, kind.key);
        let head = rows.next(moment)?;
        Ok(Self { kind, rows, head, expected: 0 })
    }

    /// Compares the next row the log says there is; gives the row there is. What `expected` leaves
    /// out at its end is not compared.
    pub(super) fn expect(
        &mut self,
        moment: &mut Moment,
        report: &mut Report,
        expected: &TextRow,
    ) -> anyhow::Result<Option<TextRow>> {
        self.expected += 1;
        loop {
            let ordering = self.head.as_ref().map(|head| self.kind.compare(head, expected));
            match ordering {
                Some(Ordering::Less) => self.unknown(moment, report)?,
                Some(Ordering::Equal) => {
                    let found = self.head.take().unwrap_or_default();
                    self.head = self.rows.next(moment)?;
                    self.kind.differ(report, expected, &found)?;
                    return Ok(Some(found));
                }
                Some(Ordering::Greater) | None => {
                    self.kind.missing(report, expected)?;
                    return Ok(None);
                }
            }
        }
    }

    /// Names the rows that are left: the log has none any more.
    pub(super) fn end(&mut self, moment: &mut Moment, report: &mut Report) -> anyhow::Result<()> {
        while self.head.is_some() {
            self.unknown(moment, report)?;
        }
        Ok(())
    }

    fn unknown(&mut self, moment: &mut Moment, report: &mut Report) -> anyhow::Result<()> {
        if let Some(row) = self.head.take() {
            self.kind.unknown(report, &row)?;
            self.head = self.rows.next(moment)?;
        }
        Ok(())
    }
}

impl TableKind {
    fn compare(&self, left: &TextRow, right: &TextRow) -> Ordering {
        self.key.iter().map(|by| by.compare(left, right)).fold(Ordering::Equal, Ordering::then)
    }

    /// Names each column in which two rows of one key differ.
    pub(super) fn differ(
        &self,
        report: &mut Report,
        expected: &TextRow,
        found: &TextRow,
    ) -> anyhow::Result<()> {
        let sides = expected.iter().zip(found).zip(self.columns);
        for ((log, database), column) in sides.filter(|((log, database), _)| log != database) {
            let difference = Difference {
                kind: Kind::Different,
                table: self.name,
                id: &self.id_of(expected),
                column: Some(column),
                log: log.as_deref(),
                database: database.as_deref(),
            };
            report.add(&difference)?;
        }
        Ok(())
    }

    /// Names a row that is not there.
    pub(super) fn missing(&self, report: &mut Report, row: &TextRow) -> anyhow::Result<()> {
        let (id, all) = (self.id_of(row), self.all_of(row));
        let (kind, table) = (Kind::Missing, self.name);
        let (log, database, column) = (Some(&*all), None, None);
        report.add(&Difference { kind, table, id: &id, column, log, database })
    }

    /// Names a row that should not be there.
    pub(super) fn unknown(&self, report: &mut Report, row: &TextRow) -> anyhow::Result<()> {
        let (id, all) = (self.id_of(row), self.all_of(row));
        let (kind, table) = (Kind::Unknown, self.name);
        let (log, database, column) = (None, Some(&*all), None);
        report.add(&Difference { kind, table, id: &id, column, log, database })
    }

    fn id_of(&self, row: &TextRow) -> String {
        let part = |place: &usize| row.get(*place).cloned().flatten().unwrap_or_default();
        self.id.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    /// Every column that has a value.
    fn all_of(&self, row: &TextRow) -> String {
        let columns = row.iter().zip(self.columns);
        let columns =
            columns.filter_map(|(value, name)| Some(format!("{name} {}", value.as_ref()?)));
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// A value as both sides write it.
pub(super) fn some(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}
