//! `wal prune`: deletes archived segments at the beginning of a log. Nothing else deletes records.
//!
//! Without `--yes` it only says what it would do, beside a running engine too. With it the engine
//! must be stopped: the lock of the data directory is held meanwhile.

use clap::Args;
use doorbuster_wal::{Deleted, Header};
use serde::Serialize;

use super::LogArgs;
use super::keep::{Need, needs};
use crate::cli::advice::quoted;
use crate::cli::bar;
use crate::cli::data_dir::{DataDir, JournalDir};
use crate::cli::exit::{Exit, failure};
use crate::cli::log::{Log, open_log};
use crate::cli::output::OutputArgs;
use crate::cli::place::{self, Place};
use crate::cli::play::number::counted;
use crate::domain::{Sequence, rfc3339};
use crate::journal::{JournalRecords, Kind, peek, undecoded};

/// `wal prune`
#[derive(Debug, Args)]
pub(in crate::cli) struct PruneArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Delete archived segments whose records all lie before this sequence, position or time
    #[arg(long, value_name = "SEQUENCE|TIME")]
    before: Place,
    /// Delete: without it, it is only told what would be deleted
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is deleted, or would be.
#[derive(Serialize)]
struct PruneJson {
    /// Whether it was done.
    deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<GoneJson>,
    /// What a pruning that was interrupted had left, and is deleted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<LeftJson>,
    /// Why nothing, or not more, is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
}

/// Segments before the one that the log begins with.
#[derive(Serialize)]
struct LeftJson {
    segments: u64,
    stored_bytes: u64,
}

/// Records that cannot be brought back.
#[derive(Serialize)]
struct GoneJson {
    first_sequence: u64,
    last_sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<String>,
    segments: usize,
    stored_bytes: u64,
    orders: u64,
    holds: u64,
    products_created: u64,
    /// The record that the log begins with afterwards.
    log_begins_with: u64,
}

impl PruneArgs {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        // It must be there before anything is made in it.
        open_log(&self.log.data_dir)?;
        let _held = self.yes.then(|| self.hold()).transpose()?;
        let log = open_log(&self.log.data_dir)?;
        let mut records = log.records_from(Sequence::new(1))?;
        let before = self.sequence(&log, &mut records)?;
        let scan = log.journal().segments();
        let Some(first) = scan.prunable(before)? else {
            let left = match self.yes {
                true => scan.finish_pruning()?,
                false => Deleted::default(),
            };
            return self.nothing(&log, before, left);
        };
        let needs = needs(&log, records.proven())?;
        let broken: Vec<&Need> =
            needs.iter().filter(|need| need.begin_max < first.first_sequence).collect();
        if !broken.is_empty() {
            return Err(self.refused(&log, &first, &broken)?);
        }
        let gone = Some(gone(&log, &first, &mut records)?);
        let mut json = PruneJson { deleted: false, gone, left: None, kept: None };
        if self.yes {
            log.into_journal().into_segments().prune(&first)?;
            json.deleted = true;
        }
        self.output.write(&json, |out| self.show(&json, out))?;
        Ok(Exit::Done)
    }

    /// Takes the directories as a server does.
    fn hold(&self) -> anyhow::Result<(DataDir, JournalDir)> {
        let data_dir = DataDir::take(&self.log.data_dir)?;
        let journal = data_dir.journal()?;
        Ok((data_dir, journal))
    }

    /// The first record that is to be kept.
    fn sequence(&self, log: &Log, records: &mut JournalRecords) -> anyhow::Result<u64> {
        Ok(match self.before {
            Place::Sequence(sequence) => sequence.get(),
            Place::Position(position) => {
                place::here(position, &log.places(), &position.to_string())?.get()
            }
            Place::Time(at_ms) => {
                // Watermarks before it have no time, and nobody misses them.
                let place = records.place_from(at_ms)?;
                records.timed(place)?.map_or(place, |(sequence, _)| sequence).get()
            }
            Place::Now => records.proven().get() + 1,
        })
    }

    fn nothing(&self, log: &Log, before: u64, left: Deleted) -> anyhow::Result<Exit> {
        let scan = log.journal().segments();
        let first = scan.first_sequence();
        let second = scan.headers().get(1).map(|header| header.first_sequence);
        let kept = match second {
            _ if before <= first => {
                format!("the log begins with record {first}: nothing lies before {before}")
            }
            Some(second) if second > before => format!(
                "whole segments are deleted, and the first one holds records {first} to {}",
                second - 1
            ),
            _ => {
                "segments are deleted once they are archived, and the first one is not: a running \
                  server archives what is snapshotted and projected"
                    .to_owned()
            }
        };
        let left = LeftJson { segments: left.segments, stored_bytes: left.bytes };
        let left = (left.segments > 0).then_some(left);
        let json = PruneJson { deleted: left.is_some(), gone: None, left, kept: Some(kept) };
        self.output.write(&json, |out| self.show(&json, out))?;
        Ok(Exit::Done)
    }

    /// Why it is not done, and what could be.
    fn refused(
        &self,
        log: &Log,
        first: &Header,
        broken: &[&Need],
    ) -> anyhow::Result<anyhow::Error> {
        let why: Vec<&str> = broken.iter().map(|need| need.why.as_str()).collect();
        let most = broken.first().map_or(1, |need| need.begin_max);
        let less = match log.journal().segments().prunable(most)? {
            Some(less) => format!(
                "less can be: `doorbuster wal prune --data-dir {} --before {}`",
                quoted(&self.log.data_dir),
                less.first_sequence
            ),
            None => "nothing can be deleted now".to_owned(),
        };
        let message = format!(
            "nothing was deleted: the log would begin with record {}, but {}; {less}",
            first.first_sequence,
            why.join(", and "),
        );
        Ok(failure(Exit::CheckFailed, message))
    }

    fn show(&self, json: &PruneJson, out: &mut String) {
        if let Some(LeftJson { segments, stored_bytes }) = &json.left {
            out.push_str(&format!(
                "deleted {} of {} that an interrupted pruning had left\n",
                counted(*segments, "segment"),
                counted(*stored_bytes, "byte")
            ));
        }
        if let Some(kept) = &json.kept {
            out.push_str(&format!("nothing to delete: {kept}\n"));
        }
        let Some(gone) = &json.gone else { return };
        let GoneJson { first_sequence, last_sequence, segments, stored_bytes, .. } = gone;
        let (verb, can, begins) = match json.deleted {
            true => ("deleted", "can no longer", "begins"),
            false => ("would delete", "could no longer", "would begin"),
        };
        let span = match (&gone.first_at, &gone.last_at) {
            (Some(first), Some(last)) => format!(", {first} to {last}"),
            _ => String::new(),
        };
        out.push_str(&format!(
            "{verb} records {first_sequence} to {last_sequence}{span}: {segments} archived \
             segments, {stored_bytes} bytes\n"
        ));
        out.push_str(&format!(
            "{} orders, {} holds and {} creations of products among them {can} be read, cancelled \
             or proven\n",
            gone.orders, gone.holds, gone.products_created
        ));
        let begin = gone.log_begins_with;
        out.push_str(&format!(
            "the log {begins} with record {begin}: `project --rebuild`, `reconcile` and `proof` need \
             all of it and can be done from a backup alone; `state --as-of` reaches back to the \
             oldest snapshot\n"
        ));
        if !json.deleted {
            out.push_str(
                "nothing was deleted: stop the server and say --yes; it cannot be undone\n",
            );
        }
    }
}

/// Counts what is to be deleted, by reading it.
fn gone(log: &Log, first: &Header, records: &mut JournalRecords) -> anyhow::Result<GoneJson> {
    let begin = first.first_sequence;
    let (from, to) = (records.first_sequence(), Sequence::new(begin - 1));
    let first_at = records.timed(from)?.map(|(_, at_ms)| rfc3339(at_ms));
    let last_at = records.time_upto(to)?.map(rfc3339);
    let outline = log.journal().segments().outline()?;
    let deleted =
        || outline.segments.iter().filter(|segment| segment.header.segment < first.segment);
    let mut gone = GoneJson {
        first_sequence: from.get(),
        last_sequence: to.get(),
        first_at,
        last_at,
        segments: deleted().count(),
        stored_bytes: deleted().map(|segment| segment.stored_bytes).sum(),
        orders: 0,
        holds: 0,
        products_created: 0,
        log_begins_with: begin,
    };
    let bar = bar::over_records(begin - from.get(), "counting what is to be deleted");
    records.seek(from);
    while records.position() <= to
        && let Some(entry) = records.next_entry()?
    {
        let peeked = peek(entry.payload).map_err(|error| undecoded(&entry, &error))?;
        match peeked.kind {
            Kind::OrderPlaced | Kind::HoldConfirmed => gone.orders += 1,
            Kind::HoldPlaced => gone.holds += 1,
            Kind::ProductCreated => gone.products_created += 1,
            _ => {}
        }
        if entry.sequence.is_multiple_of(4096) {
            bar.set_position(entry.sequence - from.get());
        }
    }
    bar.finish_and_clear();
    Ok(gone)
}
