//! Differences as they are found, each with both sides: lines for people, one JSON document for
//! programs. None is kept: there may be as many as there are rows.

use std::fmt::Display;
use std::io::Write;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::cli::output::{OutputArgs, create_file};
use crate::cli::print::{print, printed};

/// How the document begins, with the first difference or the end.
const BEGIN: &str = "{\n  \"differences\": [";

/// How the two sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The log has it, the database has not.
    Missing,
    /// The database has it, the log has not.
    Unknown,
    /// Both have it, and not the same.
    Different,
    /// The database has set the record aside.
    Quarantined,
}

/// One difference.
#[derive(Debug, Serialize)]
pub(crate) struct Difference<'a> {
    /// How.
    pub(crate) kind: Kind,
    /// In which table.
    pub(crate) table: &'a str,
    /// Of which row.
    pub(crate) id: &'a str,
    /// In which column; none where a whole row is meant.
    pub(crate) column: Option<&'a str>,
    /// What the log says.
    pub(crate) log: Option<&'a str>,
    /// What the database says.
    pub(crate) database: Option<&'a str>,
}

/// Where differences go.
pub(crate) struct Report {
    json: Vec<Box<dyn Write>>,
    shows_lines: bool,
    /// Differences so far.
    found: u64,
    /// Stands above the first line.
    pub(crate) header: &'static str,
    /// How far the work is.
    pub(crate) bar: ProgressBar,
}

impl Report {
    /// Nothing found yet.
    ///
    /// # Errors
    /// The file that was named cannot be written.
    pub(crate) fn new(output: &OutputArgs) -> anyhow::Result<Self> {
        let mut json: Vec<Box<dyn Write>> = Vec::new();
        if let Some(path) = &output.output {
            json.push(Box::new(create_file(path)?));
        }
        if output.json {
            json.push(Box::new(std::io::BufWriter::new(printed())));
        }
        let (shows_lines, bar) = (!output.json, ProgressBar::hidden());
        Ok(Self { json, shows_lines, found: 0, header: "", bar })
    }

    /// Takes a difference down.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn add<T: Serialize + Display>(&mut self, difference: &T) -> anyhow::Result<()> {
        let line = serde_json::to_string(difference)?;
        let before = if self.found == 0 { BEGIN } else { "," };
        self.write(&format!("{before}\n    {line}"))?;
        self.found += 1;
        if self.shows_lines {
            if self.found == 1 && !self.header.is_empty() {
                self.bar.suspend(|| print(format_args!("{}\n", self.header)))?;
            }
            self.bar.suspend(|| print(format_args!("{difference}\n")))?;
        }
        Ok(())
    }

    /// Ends with a summary; gives how many differences there were.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn end<T: Serialize>(
        mut self,
        summary: &T,
        words: impl FnOnce(u64) -> String,
    ) -> anyhow::Result<u64> {
        let end = if self.found == 0 { format!("{BEGIN}]") } else { "\n  ]".to_owned() };
        let summary = serde_json::to_string_pretty(summary)?;
        // The summary's members follow in the same object.
        let members = summary.strip_prefix('{').unwrap_or(&summary);
        let found = self.found;
        self.write(&format!("{end},\n  \"difference_count\": {found},{members}\n"))?;
        for out in &mut self.json {
            out.flush().context("cannot write")?;
        }
        self.bar.finish_and_clear();
        if self.shows_lines {
            print(words(found))?;
        }
        Ok(found)
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.json
            .iter_mut()
            .try_for_each(|out| out.write_all(text.as_bytes()))
            .context("cannot write")
    }
}

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, id, column, .. } = self;
        let (log, database) = (shown(self.log), shown(self.database));
        match self.kind {
            Kind::Missing => write!(f, "missing      {table} {id}: the log has {log}"),
            Kind::Unknown => write!(f, "unknown      {table} {id}: the database has {database}"),
            Kind::Different => {
                let column = column.unwrap_or_default();
                write!(
                    f,
                    "different    {table} {id}: {column} is {log} in the log, {database} in the database"
                )
            }
            Kind::Quarantined => write!(f, "quarantined  {id}, {log} in the log: {database}"),
        }
    }
}

fn shown(side: Option<&str>) -> &str {
    side.unwrap_or("nothing")
}
