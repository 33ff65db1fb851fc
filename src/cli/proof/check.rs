//! `proof check`: what a proof shows alone, and what the log or a published digest shows of it.
#![expect(clippy::disallowed_methods, reason = "reads the file that was named")]

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::{heading, table};
use crate::cli::advice::reading;
use crate::cli::bar;
use crate::cli::exit::{Exit, failure};
use crate::cli::log::{journal_dir, open_log};
use crate::cli::output::OutputArgs;
use crate::proof::{Alone, Closing, Head, Shown, check_against, check_alone};

/// What no proof shows by itself.
const NOT_ALONE: &str = "that these are the log's decisions, and all of them: figures that add up \
                         can be made up. --against DIR or a published --digest shows it";

/// `proof check`
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The proof
    file: PathBuf,
    /// Compare with the log of this data directory, or of a backup
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Compare with a digest that was published: the one that `proof` told when it was written, or
    /// that of a segment as `wal inspect --json` tells it
    #[arg(long, value_name = "HEX", value_parser = digest)]
    digest: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

fn digest(text: &str) -> Result<String, String> {
    match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a digest has 64 digits of base 16".to_owned()),
    }
}

#[derive(Serialize)]
struct CheckJson {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Head>,
    entries: u64,
    products: Vec<Closing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    checks: Vec<Check>,
    /// Whether the log or a published digest shows that the entries are the log's.
    entries_are_the_logs: bool,
}

/// One way to check, and what it found.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    found: String,
}

impl Check {
    fn place_and_found(&self) -> String {
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{line}{}", self.found)
    }
}

impl CheckArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        let alone = self.alone()?;
        let mut checks = vec![told_alone(&alone)];
        let mut are_the_logs = false;
        if let Some(dir) = &self.against {
            let check = reading(dir, || against(&self.file, &alone, dir))?;
            are_the_logs |= check.holds;
            checks.push(check);
        }
        if let Some(digest) = &self.digest {
            let shown = alone.shown_by(digest);
            are_the_logs |= shown == Shown::Proof;
            checks.push(told_digest(shown, are_the_logs));
        }
        let holds = checks.iter().all(|check| check.holds);
        let json = CheckJson {
            file: self.file.display().to_string(),
            proof: alone.head,
            entries: alone.entries,
            products: alone.closings,
            sha256: alone.sha256,
            checks,
            entries_are_the_logs: are_the_logs,
        };
        self.output.write(&json, |out| show(&json, out))?;
        Ok(if holds { Exit::Done } else { Exit::CheckFailed })
    }

    fn alone(&self) -> anyhow::Result<Alone> {
        let (mut file, bytes) = open(&self.file)?;
        let bar = bar::over_bytes(bytes, "reading the proof");
        let alone = check_alone(&mut file, &mut |read| bar.set_position(read));
        bar.finish_and_clear();
        alone.with_context(|| format!("cannot read {}", self.file.display()))
    }
}

fn open(path: &Path) -> anyhow::Result<(BufReader<File>, u64)> {
    let usage = |error: std::io::Error| {
        failure(Exit::Usage, format!("cannot read {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(usage)?;
    let found = file.metadata().map_err(usage)?;
    if !found.is_file() {
        return Err(failure(Exit::Usage, format!("{} is no file", path.display())));
    }
    Ok((BufReader::new(file), found.len()))
}

fn against(path: &Path, alone: &Alone, dir: &Path) -> anyhow::Result<Check> {
    let check = |holds, line, found| Check { check: "against", holds, line, found };
    let Some(head) = &alone.head else {
        let found =
            "its first line does not say what it is a proof of: nothing to compare".to_owned();
        return Ok(check(false, Some(1), found));
    };
    if !journal_dir(dir).is_dir() {
        let dir = dir.display();
        let message =
            format!("there is no journal in {dir}: --against names a data directory or a backup");
        return Err(failure(Exit::Usage, message));
    }
    let log = open_log(dir)?;
    let (mut file, _) = open(path)?;
    let bar = bar::over_bytes(2 * log.journal().bytes_total(), "comparing with the log");
    let compared =
        check_against(log.journal(), head, &mut file, &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    Ok(match compared? {
        None => {
            let found = format!(
                "{}: every entry stands in the log at its place with the same content, none is \
                 missing; products and digests of the segments are the log's",
                dir.display()
            );
            check(true, None, found)
        }
        Some(difference) => check(false, Some(difference.line), difference.what),
    })
}

fn told_alone(alone: &Alone) -> Check {
    let (line, found) = match &alone.wrong {
        Some((line, reason)) => (Some(*line), reason.clone()),
        None => {
            let found = format!(
                "{} entries add up, versions run from 1 without a gap, held + sold <= stock + \
                 oversell_limit after each, totals and the digest of the lines are right",
                alone.entries
            );
            (None, found)
        }
    };
    Check { check: "alone", holds: alone.is_sound(), line, found }
}

/// `compared`: the log that the proof was compared with is the one it is of.
fn told_digest(shown: Shown, compared: bool) -> Check {
    let (holds, found) = match shown {
        Shown::Proof => {
            (true, "it is the digest of this proof: every byte is what was published".to_owned())
        }
        Shown::Segment(segment) if compared => (
            true,
            format!("it is that of segment {segment}: the log compared with is the one published"),
        ),
        Shown::Segment(segment) => (
            true,
            format!(
                "it is that of segment {segment}: the proof names the log that was published. It \
                 does not show that the entries are that log's: --against DIR does"
            ),
        ),
        Shown::Nothing => {
            (false, "neither the proof nor a segment it names has this digest".to_owned())
        }
    };
    Check { check: "digest", holds, line: None, found }
}

fn show(json: &CheckJson, out: &mut String) {
    let Some(head) = &json.proof else {
        // Of what is no proof nothing else can be said.
        let why = json.checks.first().map(Check::place_and_found).unwrap_or_default();
        return out.push_str(&format!("{} is no proof: {why}\n", json.file));
    };
    out.push_str(&heading(head));
    if !json.products.is_empty() {
        out.push_str(&table(&json.products, json.entries));
    }
    if let Some(sha256) = &json.sha256 {
        out.push_str(&format!("sha256 {sha256}\n"));
    }
    out.push('\n');
    for check in &json.checks {
        let state = if check.holds { "ok" } else { "WRONG" };
        out.push_str(&format!("{:<8} {state:<6} {}\n", check.check, check.place_and_found()));
    }
    // What was asked for and is wrong needs no advice to ask for it.
    if !json.entries_are_the_logs && json.checks.iter().skip(1).all(|check| check.holds) {
        out.push_str(&format!("not shown: {NOT_ALONE}\n"));
    }
}
