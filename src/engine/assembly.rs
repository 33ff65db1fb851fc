//! What a start puts together before anything of it runs: recovery, then the parts.
//!
//! Called by: `start`, which gives the parts their threads, and `stepped`, which gives them into
//! the hands of a caller.

use std::sync::Arc;

use super::admission::Admission;
use super::board::Board;
use super::clock::PartitionClock;
use super::completion::{AfterSync, Effect};
use super::idempotency::KEY_AGE_MS;
use super::partition::PartitionParts;
use super::recovery::Recovered;
use super::router::Router;
use super::snapshot::{self, FromSnapshot};
use super::start::{EngineConfig, StartError, StartOptions, StartSummary, Witness};
use super::{Core, Engine};
use crate::domain::Sequence;
use crate::journal::{
    JournalIdentity, LocalJournal, OpenLog, Opening, Payload, Replayed, Started, Writer,
    local_journal,
};

/// A log that was read and takes records, and the state it makes.
pub(super) struct Recovery {
    pub(super) log: OpenLog,
    recovered: Recovered,
    clock: Arc<PartitionClock>,
    started_at_ms: u64,
    torn: Option<String>,
    snapshot: Option<String>,
}

/// The parts of an engine, none of which runs.
pub(super) struct Assembly {
    pub(super) parts: PartitionParts<LocalJournal<Effect>>,
    pub(super) writer: Writer<Effect, AfterSync>,
    pub(super) core: Core,
    pub(super) summary: StartSummary,
}

/// Reads the log and begins its fresh segment. `new` is whose it is when there is none yet.
///
/// # Errors
/// Nothing was changed in the log.
pub(super) fn recover(
    engine: &Engine,
    mut opening: Opening,
    options: StartOptions,
    new: JournalIdentity,
) -> Result<Recovery, StartError> {
    let StartOptions { config, clock, accept_clock, binary, witness } = options;
    let health = engine.health();
    let mut progress = |bytes, of_bytes| health.recovered(bytes, of_bytes);
    let state = recover_state(&mut opening, config.keys_max, &mut progress)?;
    let RecoveredState { recovered, snapshot, torn } = state;
    if let Some(witness) = witness {
        check_has_seen(&witness, opening.identity(), recovered.last_sequence)?;
    }
    let clock = Arc::new(PartitionClock::start(clock, recovered.last_ms, accept_clock)?);
    let started_at_ms = clock.now_ms();
    warn_of_aged_keys(recovered.last_ms, started_at_ms);
    let started = Payload::Started(Started { started_at_ms, binary: binary.into() });
    let log = opening.start(new, &started)?;
    Ok(Recovery { log, recovered, clock, started_at_ms, torn, snapshot })
}

/// Reads an opened log whole, with all checks, and makes its state: from the first record, or in a log
/// that was pruned from a snapshot on. Changes nothing.
///
/// # Errors
/// The log is damaged, or needs a snapshot that is not there.
pub fn read_whole(
    opening: &mut Opening,
    progress: &mut dyn FnMut(u64),
) -> Result<(Recovered, Replayed), StartError> {
    let mut recovered = Recovered::new(usize::MAX);
    if opening.first_sequence() == Sequence::new(1) {
        let replayed =
            recovered.replaying(|follow| opening.replay_records(None, follow, progress))?;
        return Ok((recovered, replayed));
    }
    opening.replay(&mut |_| Ok(()), progress)?;
    let found = snapshot::newest_of(opening, usize::MAX, &mut |_| {})?;
    let FromSnapshot { mut recovered, head, .. } = found.expect("a pruned log needs one");
    let from = Some(&head.checkpoint);
    let replayed =
        recovered.replaying(|follow| opening.replay_records(from, follow, &mut |_| {}))?;
    Ok((recovered, replayed))
}

/// The state that a log makes, and what was found on the way.
pub struct RecoveredState {
    /// The state after the last record.
    pub recovered: Recovered,
    /// The snapshot that was begun with, from the log's directory on; `None`: the first record was.
    pub snapshot: Option<String>,
    /// What a start cuts from the end of the log and where it keeps that, in words.
    pub torn: Option<String>,
}

/// Reads a log as a start does: from the newest sound snapshot on, or from its first record.
/// `progress` hears how many bytes are read of how many.
///
/// # Errors
/// The log is damaged or of the future, or cannot be read.
pub fn recover_state(
    opening: &mut Opening,
    keys_max: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<RecoveredState, StartError> {
    let found = snapshot::newest_of(opening, keys_max, &mut |_| {})?;
    let (mut recovered, from, snapshot) = match found {
        Some(FromSnapshot { recovered, head, file, .. }) => {
            (recovered, Some(head.checkpoint), Some(file))
        }
        None => (Recovered::new(keys_max), None, None),
    };
    let of_bytes = from.as_ref().map_or(opening.bytes_total(), |from| opening.bytes_after(from));
    progress(0, of_bytes);
    let replayed = recovered.replaying(|follow| {
        opening.replay_records(from.as_ref(), follow, &mut |bytes| progress(bytes, of_bytes))
    })?;
    let torn = replayed.torn.map(|torn| format!("{torn}, kept in {}", torn.copy_name()));
    Ok(RecoveredState { recovered, snapshot, torn })
}

/// Whether the log has all that a copy of it has seen. A copy of another log says nothing of this one,
/// nor does one of before the log was restored.
fn check_has_seen(
    witness: &Witness,
    ours: Option<JournalIdentity>,
    last: Sequence,
) -> Result<(), StartError> {
    let Witness { place, identity, sequence: seen } = witness;
    let of_this = ours.is_none_or(|ours| {
        (ours.journal_id, ours.partition) == (identity.journal_id, identity.partition)
            && ours.epoch <= identity.epoch
    });
    match of_this && last < *seen {
        true => Err(StartError::Lost { place: place.clone(), seen: *seen, last: last.get() }),
        false => Ok(()),
    }
}

/// A wrong clock at start ages keys that are in use: a retry would sell again.
fn warn_of_aged_keys(last_ms: Option<u64>, now_ms: u64) {
    let resting_ms = last_ms.map_or(0, |last_ms| now_ms.saturating_sub(last_ms));
    if resting_ms >= KEY_AGE_MS {
        let hours = resting_ms / 3_600_000;
        tracing::warn!(
            hours,
            "the last record is older than idempotency keys are kept: if that is not so, stop and \
             put the clock right, because a retry would be decided anew"
        );
    }
}

impl Recovery {
    /// Joins the log and the state with what all threads see of `engine`.
    pub(super) fn assemble(self, engine: &Engine, config: &EngineConfig) -> Assembly {
        let Self { log, recovered, clock, started_at_ms, torn, snapshot } = self;
        recovered.publish();
        clock.decided(started_at_ms);
        let board = Arc::new(Board::default());
        board.publish_all(&recovered.inventory, started_at_ms);
        let (health, directory) = (Arc::clone(engine.health()), Arc::clone(&recovered.directory));
        let completion = AfterSync::new(health, directory, Arc::clone(&board));
        let (journal, writer) = local_journal(log, completion);
        let reader = writer.reader();
        let room = reader.room();
        let products = recovered.inventory.len();
        let records = recovered.records;
        let summary = StartSummary { snapshot, records, products, torn };
        let parts = PartitionParts {
            inventory: recovered.inventory,
            directory: Arc::clone(&recovered.directory),
            journal,
            clock: Arc::clone(&clock),
            room: room.clone(),
            refusals: Arc::clone(engine.refusals()),
            hold_rules: config.holds,
            last_ms: started_at_ms,
        };
        let core = Core {
            directory: recovered.directory,
            board,
            idempotency: Arc::new(recovered.idempotency),
            admission: Arc::new(Admission::new(config.admission, room)),
            router: Arc::new(Router::new(Arc::clone(&clock))),
            clock,
            reader,
        };
        Assembly { parts, writer, core, summary }
    }
}
