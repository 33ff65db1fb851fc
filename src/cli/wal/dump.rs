//! `wal dump`: records as lines of JSON, all or those that are wanted, to the end or as they come.
//!
//! Begins at its place without reading what lies before it, but for the names of products
//! (`names`). Gives only what the log proves to be durable: what is printed stays true.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::LogArgs;
use super::filter::{Filter, FilterArgs, Verdict};
use super::follow::Following;
use crate::cli::bar;
use crate::cli::exit::{Exit, failure};
use crate::cli::log::{Log, open_log};
use crate::cli::names::Names;
use crate::cli::output::{self, is_closed_pipe};
use crate::cli::place::{self, RecordPlace};
use crate::cli::record_json::RecordJson;
use crate::domain::Sequence;
use crate::journal::{JournalRecords, Kind, Payload, decode, peek, undecoded};

/// `wal dump`
#[derive(Debug, Args)]
pub(in crate::cli) struct DumpArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// First record, by sequence or position [default: the log's first]
    #[arg(long, value_name = "SEQUENCE|POSITION")]
    from: Option<RecordPlace>,
    /// Begin after this record: the position of the last line that was read goes on with the next
    #[arg(long, value_name = "SEQUENCE|POSITION", conflicts_with = "from")]
    after: Option<RecordPlace>,
    /// Last record, by sequence or position [default: the log's last]
    #[arg(long, value_name = "SEQUENCE|POSITION")]
    to: Option<RecordPlace>,
    #[command(flatten)]
    filter: FilterArgs,
    /// End after so many lines
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Go on as the log grows, until SIGINT, SIGTERM, or until nobody reads any more
    #[arg(long)]
    follow: bool,
    /// Lines are JSON with or without it
    #[arg(long)]
    json: bool,
    /// Write the lines into this file instead of standard output
    #[arg(long, value_name = "FILE", conflicts_with = "follow")]
    output: Option<PathBuf>,
}

/// What a pass goes over.
struct Range {
    from: u64,
    to: u64,
    until_ms: Option<u64>,
    lines_max: u64,
}

/// How a pass over what there is ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// There is no more yet.
    AtEnd,
    /// Nothing that comes later can be wanted.
    Done,
}

/// A pass over a log.
struct Pass<'a> {
    log: &'a Log,
    records: JournalRecords,
    names: Names,
    filter: Filter,
    range: Range,
    /// Reads what placed a hold; opened when it is first asked for.
    holds: Option<JournalRecords>,
    lines: u64,
    bar: indicatif::ProgressBar,
}

impl DumpArgs {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if let Some(path) = &self.output {
            output::can_write(path)?;
        }
        place::check_window(self.filter.since, self.filter.until)?;
        let log = open_log(&self.log.data_dir)?;
        let mut names = Names::of_journal(log.places());
        let mut records = log.records_from(Sequence::new(1))?;
        let range = self.range(&names, &mut records)?;
        names.learn_before(&log, Sequence::new(range.from))?;
        records.seek(Sequence::new(range.from));
        let filter = self.filter.compiled(&names);
        let left = (records.proven().get() + 1).saturating_sub(range.from);
        let bar = match self.output.is_some() || !io::IsTerminal::is_terminal(&io::stdout()) {
            true => bar::over_records(left, "reading the log"),
            // Lines and a bar on one screen are neither.
            false => bar::hidden(),
        };
        let (holds, lines) = (None, 0);
        let pass = Pass { log: &log, records, names, filter, range, holds, lines, bar };
        match &self.output {
            Some(path) => {
                let file = output::create_file(path)?;
                self.end(pass, file).with_context(|| format!("cannot write {}", path.display()))
            }
            None => match self.end(pass, io::BufWriter::with_capacity(1 << 16, io::stdout())) {
                // Whoever reads has seen enough.
                Err(error) if is_closed_pipe(&error) => Ok(Exit::Done),
                ended => ended,
            },
        }
    }

    /// Runs the pass to its end.
    fn end<W: Write + Drain>(&self, mut pass: Pass<'_>, mut out: W) -> anyhow::Result<Exit> {
        let following = self.follow.then(Following::begin).transpose()?;
        let mut ended = pass.run(&mut out, following.as_ref())?;
        while let (Some(following), Ended::AtEnd) = (&following, &ended) {
            out.flush()?;
            if !out.wait(following)? {
                break;
            }
            pass.records.look_again()?;
            // A start may have given the log another owner.
            pass.names.set_places(pass.records.places());
            ended = pass.run(&mut out, Some(following))?;
        }
        out.flush()?;
        pass.bar.finish_and_clear();
        match self.follow {
            true => Ok(Exit::Done),
            false => self.told(&pass),
        }
    }

    /// Says on standard error why there is nothing, where there is nothing.
    fn told(&self, pass: &Pass<'_>) -> anyhow::Result<Exit> {
        let last = pass.records.proven();
        let unknown: Vec<&str> = pass.filter.unknown_products().collect();
        if !unknown.is_empty() && pass.range.to > last.get() {
            let message =
                format!("the log has no product {} up to record {last}", unknown.join(", "));
            return Err(failure(Exit::Usage, message));
        }
        if pass.lines == 0 && !self.filter.is_empty() {
            let (from, to) = (pass.range.from, pass.range.to.min(last.get()));
            eprintln!("no record of {from} to {to} is what was asked for");
        }
        Ok(Exit::Done)
    }

    /// What to go over.
    fn range(&self, names: &Names, records: &mut JournalRecords) -> anyhow::Result<Range> {
        let places = names.places();
        let asked = match (self.from, self.after) {
            (Some(from), _) => Some(from.sequence(places)?.get()),
            (None, Some(after)) => Some(after.sequence(places)?.get() + 1),
            (None, None) => None,
        };
        let to = self.to.map(|to| to.sequence(places)).transpose()?.map_or(u64::MAX, Sequence::get);
        let (first, last) = (records.first_sequence().get(), records.proven().get());
        let mut from = asked.unwrap_or(first);
        if from > to {
            let message = format!("--from {from} lies behind --to {to}");
            return Err(failure(Exit::Usage, message));
        }
        // After the last one there may be more one day.
        if from > last + u64::from(self.after.is_some()) && !self.follow {
            let message =
                format!("the log ends with record {last}: there is nothing from {from} on");
            return Err(failure(Exit::Usage, message));
        }
        if asked.is_some_and(|asked| asked.max(1) < first) || to < first {
            eprintln!("records before {first} were pruned: the log begins there");
        }
        if let Some(subject) = self.filter.first(names)? {
            if subject.get() < first || subject.get() > last {
                let message =
                    format!("record {subject} is not there: the log holds {first} to {last}");
                return Err(failure(Exit::Usage, message));
            }
            from = from.max(subject.get());
        }
        if let Some(since) = self.filter.since {
            let place = records.place_from(since)?.get();
            if place > last && !self.follow {
                let ends = records.time_upto(Sequence::new(last))?.map(place::shown);
                let ends = ends.unwrap_or_else(|| "no record".to_owned());
                let message = format!("the log ends with {ends}: nothing is of --since or later");
                return Err(failure(Exit::Usage, message));
            }
            from = from.max(place);
        }
        let lines_max = self.limit.unwrap_or(u64::MAX);
        Ok(Range { from: from.max(first), to, until_ms: self.filter.until, lines_max })
    }
}

impl Pass<'_> {
    /// Goes over what is proven and not gone over yet.
    fn run(&mut self, out: &mut impl Write, stop: Option<&Following>) -> anyhow::Result<Ended> {
        loop {
            if self.lines >= self.range.lines_max || self.records.position().get() > self.range.to {
                return Ok(Ended::Done);
            }
            let Some(entry) = self.records.next_entry()? else { return Ok(Ended::AtEnd) };
            let sequence = entry.sequence;
            if sequence.is_multiple_of(4096) {
                self.bar.set_position(sequence.saturating_sub(self.range.from));
                if stop.is_some_and(Following::is_told) {
                    return Ok(Ended::Done);
                }
            }
            let undecoded = |error| undecoded(&entry, &error);
            let peeked = peek(entry.payload).map_err(undecoded)?;
            if peeked.at_ms > self.range.until_ms && self.range.until_ms.is_some() {
                return Ok(Ended::Done);
            }
            let creates = peeked.kind == Kind::ProductCreated;
            if !creates && !self.filter.may_want(sequence, peeked, entry.payload) {
                continue;
            }
            let payload = decode(entry.payload).map_err(undecoded)?;
            if creates {
                self.names.learn(&payload);
                self.filter.learn(&self.names);
            }
            if self.wants(sequence, &payload)? {
                self.lines += 1;
                write_line(out, &RecordJson::new(sequence, &payload, &self.names))?;
            }
        }
    }

    fn wants(&mut self, sequence: u64, payload: &Payload) -> anyhow::Result<bool> {
        match self.filter.wants(sequence, payload, self.range.from) {
            Verdict::Wanted => Ok(true),
            Verdict::Unwanted => Ok(false),
            Verdict::AskHold(hold) => self.is_of_wanted(hold),
        }
    }

    /// Whether a hold that was placed before the pass is of what is wanted.
    fn is_of_wanted(&mut self, hold: Sequence) -> anyhow::Result<bool> {
        let holds = match &self.holds {
            Some(holds) => holds,
            None => self.holds.insert(self.log.records_from(hold)?),
        };
        let placed = holds.read(hold)?;
        let Some(Payload::Record(record)) = &placed else { return Ok(false) };
        Ok(self.filter.names(record))
    }
}

fn write_line(out: &mut impl Write, line: &RecordJson<'_>) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Where lines go: a pipe whose reader may leave, or a file that nobody leaves.
trait Drain {
    fn wait(&self, following: &Following) -> io::Result<bool>;
}

impl Drain for io::BufWriter<io::Stdout> {
    fn wait(&self, following: &Following) -> io::Result<bool> {
        following.wait(self.get_ref())
    }
}

impl Drain for io::BufWriter<std::fs::File> {
    fn wait(&self, following: &Following) -> io::Result<bool> {
        following.wait(self.get_ref())
    }
}
