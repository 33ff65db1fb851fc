//! `wal verify`: whether a log is whole: every frame, every version, the chain, that each record can
//! follow, and that snapshots are the state of the records before them.
//!
//! Stops at the proven watermark, so it works beside a running engine. Memory: the state that the
//! records make. A damaged log is looked at to its end, so that all of its damage is known.

use std::path::Path;
use std::sync::Arc;

use doorbuster_wal::{Storage, survey};
use serde::Serialize;

use super::InspectArgs;
use super::report::{LogJson, StateJson, report, settled_outline};
use super::snapshots::{self, SnapshotJson, Verdict};
use crate::cli::advice;
use crate::cli::bar;
use crate::cli::exit::{Exit, failure};
use crate::cli::log::{Log, journal_dir, open_log, storage};
use crate::cli::play::number::counted;
use crate::domain::Sequence;
use crate::engine::Recovered;
use crate::journal::{JournalError, Payload};

/// A log that is damaged.
#[derive(Serialize)]
struct DamageJson {
    sound: bool,
    damage: Vec<PlaceJson>,
    segments: usize,
    next: String,
}

/// One place that is damaged: of each segment the first.
#[derive(Serialize)]
struct PlaceJson {
    segment: u64,
    file: String,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    reason: String,
}

/// Checks a log.
pub(super) fn run(args: &InspectArgs) -> anyhow::Result<Exit> {
    args.output.prepare()?;
    let checked = open_log(&args.log.data_dir).and_then(|log| check(&log));
    match checked {
        Ok(report) => told(args, &report),
        Err(error) => match error.downcast::<JournalError>() {
            Ok(first @ JournalError::Corrupt { .. }) => damaged(args, first),
            Ok(error) => Err(error.into()),
            Err(error) => Err(error),
        },
    }
}

fn check(log: &Log) -> anyhow::Result<LogJson> {
    let outline = settled_outline(log)?;
    let mut snapshots = snapshots::look_at(log)?;
    let first = log.journal().segments().first_sequence();
    let (mut recovered, base) = beginning(log, first, &snapshots)?;
    let proven = outline.proven_sequence;
    let bar = bar::over_bytes(log.journal().bytes_total(), "verifying");
    let mut visit = |sequence: Sequence, payload: &Payload| {
        // What is not proven may be cut; what the base has, its snapshot tells.
        if sequence <= base || sequence.get() > proven {
            return Ok(());
        }
        recovered.follow(sequence, payload)?;
        for snapshot in snapshots.iter_mut().filter(|it| it.sequence == sequence.get()) {
            snapshot.check_state(&recovered.state_hash());
        }
        Ok(())
    };
    log.journal().replay_records(None, &mut visit, &mut |bytes| bar.set_position(bytes))?;
    bar.finish_and_clear();
    let mut report = report(log, &outline, snapshots)?;
    report.state = Some(StateJson::new(&recovered, base.get().max(first - 1) + 1));
    Ok(report)
}

/// The state that the first record follows: none, or in a pruned log that of the oldest snapshot.
fn beginning(
    log: &Log,
    first: u64,
    snapshots: &[SnapshotJson],
) -> anyhow::Result<(Recovered, Sequence)> {
    if first == 1 {
        return Ok((Recovered::new(usize::MAX), Sequence::new(0)));
    }
    let files = log.journal().snapshots();
    // The newest stands first.
    if let Some(snapshot) = snapshots.iter().rev().find(|snapshot| snapshot.is_usable()) {
        let sequence = Sequence::new(snapshot.sequence);
        let reader = files.open(sequence)?;
        let found = Recovered::from_snapshot(reader, usize::MAX, &mut |_| {})?;
        return Ok((found.recovered, sequence));
    }
    let message = format!(
        "the log was pruned up to record {first}, and no snapshot is sound: there is nothing a start \
         could go on from; {}",
        advice::restore(log.data_dir())
    );
    Err(failure(Exit::Damaged, message))
}

fn told(args: &InspectArgs, report: &LogJson) -> anyhow::Result<Exit> {
    let followed_from = report.state.as_ref().map_or(1, |state| state.followed_from);
    args.output.write(report, |out| {
        report.show(out);
        if followed_from > report.first_sequence {
            out.push_str(&format!(
                "records {} to {} lie before the oldest snapshot: their frames and digests were \
                 checked, not that each can follow\n",
                report.first_sequence,
                followed_from - 1
            ));
        }
        out.push_str(&format!(
            "sound: {} records, every frame, version and digest\n",
            report.proven_records()
        ));
    })?;
    let is = |verdict| report.snapshots.iter().find(move |it| it.verdict == verdict);
    if let Some(snapshot) = is(Verdict::ForeignState) {
        return Err(failure(Exit::Damaged, foreign(snapshot, &args.log.data_dir)));
    }
    let Some(snapshot) = is(Verdict::Damaged) else { return Ok(Exit::Done) };
    let message = format!(
        "{}: the log itself is sound; a start passes the snapshot over, or remove it: `rm {}`",
        snapshot.reason.as_deref().unwrap_or_default(),
        advice::quoted(&journal_dir(&args.log.data_dir).join(&snapshot.file)),
    );
    Err(failure(Exit::CheckFailed, message))
}

fn foreign(snapshot: &SnapshotJson, data_dir: &Path) -> String {
    let SnapshotJson { file, reason, .. } = snapshot;
    let reason = reason.as_deref().unwrap_or_default();
    format!("{file} does not fit the log: {reason}: {}", advice::restore(data_dir))
}

/// Looks at all of a log that is damaged, and tells it.
fn damaged(args: &InspectArgs, first: JournalError) -> anyhow::Result<Exit> {
    let data_dir = &args.log.data_dir;
    let storage: Arc<dyn Storage> = storage(&journal_dir(data_dir))?;
    let bar = bar::over_bytes(0, "looking at every segment");
    bar.unset_length();
    let found = survey(&storage, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let damage = merged(found.damage.iter().map(place).collect(), place(&first));
    let next = next(&damage, data_dir);
    let json = DamageJson { sound: false, segments: found.segments, damage, next };
    args.output.write(&json, |out| show(&json, out))?;
    let first = json.damage.first().map_or_else(|| first.to_string(), PlaceJson::told);
    Err(failure(Exit::Damaged, format!("the log is damaged: {first}; {}", json.next)))
}

fn place(error: &JournalError) -> PlaceJson {
    let JournalError::Corrupt { segment, file, offset, sequence, reason } = error else {
        let (file, reason) = ("journal".to_owned(), error.to_string());
        return PlaceJson { segment: 0, file, offset: 0, sequence: None, reason };
    };
    let (segment, offset, sequence) = (*segment, *offset, *sequence);
    PlaceJson { segment, file: file.clone(), offset, sequence, reason: reason.clone() }
}

/// The damage of every segment, with what ended the pass over the records: a frame may be sound and
/// its record not one that can follow, which only the pass knows.
fn merged(mut damage: Vec<PlaceJson>, ended: PlaceJson) -> Vec<PlaceJson> {
    let none_is_known = damage.is_empty();
    match damage.iter_mut().find(|known| known.segment == ended.segment) {
        // A digest says that something was changed in the segment, the pass says where.
        Some(known) if ended.sequence.is_some() => {
            if known.sequence.is_none() || ended.offset < known.offset {
                *known = ended;
            }
        }
        None if ended.sequence.is_some() || none_is_known => damage.push(ended),
        // Of a chain that is broken, the segment that was changed is known.
        Some(_) | None => {}
    }
    damage.sort_by_key(|place| (place.segment, place.offset));
    damage
}

/// What to do: what can still be read, and then the way back.
fn next(damage: &[PlaceJson], data_dir: &Path) -> String {
    let restore = advice::restore(data_dir);
    let sequence = damage.first().and_then(|first| first.sequence).filter(|first| *first > 1);
    // Headers and the last segment must be sound for it.
    let opens = open_log(data_dir).is_ok_and(|log| log.records_from(Sequence::new(1)).is_ok());
    let Some(before) = sequence.map(|first| first - 1).filter(|_| opens) else { return restore };
    format!(
        "`doorbuster wal dump --data-dir {} --to {before}` prints what stands before it; {restore}",
        advice::quoted(data_dir)
    )
}

impl PlaceJson {
    fn told(&self) -> String {
        let Self { file, offset, sequence, reason, .. } = self;
        let sequence = sequence.map(|s| format!(", sequence {s}")).unwrap_or_default();
        format!("{file} at offset {offset}{sequence}: {reason}")
    }
}

fn show(json: &DamageJson, out: &mut String) {
    for place in &json.damage {
        out.push_str(&format!("damaged: {}\n", place.told()));
    }
    let mut segments: Vec<u64> = json.damage.iter().map(|place| place.segment).collect();
    segments.dedup();
    let are = if segments.len() == 1 { "is" } else { "are" };
    out.push_str(&format!(
        "{} of {} {are} damaged; of each the first damage is told\n",
        segments.len(),
        counted(json.segments as u64, "segment")
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u64, offset: u64, sequence: Option<u64>) -> PlaceJson {
        let (file, reason) = (segment.to_string(), offset.to_string());
        PlaceJson { segment, file, offset, sequence, reason }
    }

    fn told(damage: Vec<PlaceJson>, ended: PlaceJson) -> Vec<(u64, u64, Option<u64>)> {
        let damage = merged(damage, ended).into_iter();
        damage.map(|place| (place.segment, place.offset, place.sequence)).collect()
    }

    #[test]
    fn record_that_cannot_follow_is_named_before_what_was_found_behind_it() {
        let record = || at(2, 500, Some(7));
        assert_eq!(told(vec![], record()), [(2, 500, Some(7))]);
        assert_eq!(told(vec![at(2, 0, None)], record()), [(2, 500, Some(7))], "a digest");
        assert_eq!(told(vec![at(2, 900, Some(9))], record()), [(2, 500, Some(7))], "a checksum");
        let other = vec![at(1, 40, None), at(3, 60, Some(12))];
        let all = [(1, 40, None), (2, 500, Some(7)), (3, 60, Some(12))];
        assert_eq!(told(other, record()), all);
    }

    #[test]
    fn broken_chain_is_told_of_the_segment_that_was_changed() {
        assert_eq!(told(vec![at(2, 0, None)], at(3, 0, None)), [(2, 0, None)]);
        assert_eq!(told(vec![], at(3, 0, None)), [(3, 0, None)], "unless none is known");
    }
}
