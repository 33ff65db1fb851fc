//! Starting and stopping: recovery, then threads, then the world.
//!
//! ```text
//! lock ─► headers ─► replay ─► clock ─► fresh segment ─► views ─► actors ─► ready
//! ```

use std::io;
use std::sync::Arc;
use std::sync::mpsc;

use actix::Arbiter;
use tokio::sync::oneshot;

use super::Engine;
use super::admission::AdmissionLimits;
use super::assembly::{self, Assembly};
use super::clock::{Clock, ClockError};
use super::commit::{PartitionWriter, commit_turns};
use super::completion::Effect;
use super::expiry::expire_in_time;
use super::partition::{MINUTE_MS, Partition, PartitionParts};
use super::partition_actor::{
    ActorLimits, Close, PartitionActor, SharedPartition, start_with_mailbox,
};
use super::policy::decide_in_batches;
use super::snapshot::NoSnapshot;
use crate::domain::{HoldRules, Sequence};
use crate::journal::{JournalError, JournalIdentity, LocalJournal, Opening, Preallocator};

/// The partition of an engine: there is one.
pub const PARTITION: u16 = 1;

/// Limits of an engine.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// What may be in flight.
    pub admission: AdmissionLimits,
    /// How actors are kept.
    pub actors: ActorLimits,
    /// Idempotency keys at most.
    pub keys_max: usize,
    /// Bounds of holds.
    pub holds: HoldRules,
}

/// What a start needs beside the engine.
pub struct StartOptions {
    /// Limits.
    pub config: EngineConfig,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The operator's word on clocks that are far apart.
    pub accept_clock: Option<ClockError>,
    /// Version of the binary, for the start record.
    pub binary: String,
    /// What else is known of how far the log was durable.
    pub witness: Option<Witness>,
}

/// A copy of a log that has durable records only, such as the tables beside it: what it has seen the
/// log must have. Where the log has less, something of it is gone, and going on would give keys, units
/// and ids a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Where it is, for people.
    pub place: String,
    /// Whose log it is a copy of, with the epoch of the last record.
    pub identity: JournalIdentity,
    /// Last record that it has.
    pub sequence: Sequence,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log is damaged, of the future, or there is no room.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No snapshot can be used, and the log needs one.
    #[error(transparent)]
    Snapshot(#[from] NoSnapshot),
    /// The wall clock cannot be believed.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The system has no thread left.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Something else has seen durable records that the log does not have.
    #[error(
        "{place} has seen record {seen}, {}: durable records are gone",
        match .last {
            0 => "and there is no log".to_owned(),
            last => format!("the log ends with record {last}"),
        }
    )]
    Lost {
        /// What has seen them.
        place: String,
        /// The last one that it has seen.
        seen: Sequence,
        /// The log's last one, 0 without one.
        last: u64,
    },
    /// No randomness for a new journal's id.
    #[error("no randomness for the journal's id: {0}")]
    Random(String),
}

/// A started engine; keep it until [`Running::stop`].
pub struct Running {
    engine: Engine,
    arbiter: Arbiter,
    partition: actix::Addr<PartitionActor>,
    /// What comes back once the partition is closed.
    writer: oneshot::Receiver<PartitionWriter>,
    preallocator: Preallocator,
    /// What recovery found.
    pub summary: StartSummary,
}

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartSummary {
    /// The snapshot that was begun with, from the log's directory on; `None`: the first record was.
    pub snapshot: Option<String>,
    /// Records replayed.
    pub records: u64,
    /// Products there are.
    pub products: usize,
    /// What was cut from the end of the log and where it is kept, in words.
    pub torn: Option<String>,
}

/// Recovers from the opened log and starts deciding.
///
/// Blocks for as long as recovery takes; call it from a thread that may. `engine` answers
/// readiness meanwhile.
///
/// # Errors
/// Nothing was changed in the log, and nothing is sold.
pub fn start(
    engine: &Engine,
    opening: Opening,
    options: StartOptions,
) -> Result<Running, StartError> {
    let config = options.config;
    let recovery = assembly::recover(engine, opening, options, new_identity()?)?;
    let preallocator = recovery.log.preallocate().map_err(StartError::Thread)?;
    let Assembly { parts, writer, core, summary } = recovery.assemble(engine, &config);
    let (give_back, given_back) = oneshot::channel();
    let committing = move |partition: SharedPartition| async move {
        if let Some(writer) = commit_turns(writer, partition).await {
            // Nobody takes it only when the process ends already.
            let _ = give_back.send(writer);
        }
    };
    let (arbiter, partition) =
        start_actors(parts, config.actors, committing).map_err(StartError::Thread)?;
    core.router.set_partition(partition.clone());
    assert!(engine.core.set(core).is_ok(), "an engine starts once");
    engine.health().set_ready();
    let (engine, writer) = (engine.clone(), given_back);
    Ok(Running { engine, arbiter, partition, writer, preallocator, summary })
}

fn new_identity() -> Result<JournalIdentity, StartError> {
    let mut journal_id = [0; 16];
    getrandom::fill(&mut journal_id).map_err(|error| StartError::Random(error.to_string()))?;
    Ok(JournalIdentity { journal_id, partition: PARTITION, epoch: 1 })
}

type Parts = PartitionParts<LocalJournal<Effect>>;

/// The partition's thread, with its own actor and what commits its turns.
///
/// # Errors
/// The system has no thread left.
fn start_actors<F: Future<Output = ()> + 'static>(
    parts: Parts,
    limits: ActorLimits,
    committing: impl FnOnce(SharedPartition) -> F + Send + 'static,
) -> io::Result<(Arbiter, actix::Addr<PartitionActor>)> {
    // It waits for commands and for time, never for sockets: so a worker that sends wakes it only
    // where it sleeps, where one with sockets is written to for every message it did not expect.
    let waits = || tokio::runtime::Builder::new_current_thread().enable_time().build();
    let arbiter = Arbiter::try_with_tokio_rt(waits)?;
    let (tell, hear) = mpsc::channel();
    let spawned = arbiter.spawn_fn(move || {
        // What operators see of it; where the system refuses, it keeps the arbiter's name.
        let _ = rustix::thread::set_name(c"partition");
        decide_in_batches();
        let directory = Arc::clone(&parts.directory);
        let clock = Arc::clone(&parts.clock);
        let minute_ms = clock.now_ms() / MINUTE_MS * MINUTE_MS;
        let partition = SharedPartition::new(Partition::new(parts));
        actix_rt::spawn(expire_in_time(partition.clone(), Arc::clone(&clock)));
        actix_rt::spawn(committing(partition.clone()));
        let decided = 0;
        let actor = || PartitionActor { partition, directory, clock, limits, minute_ms, decided };
        // The other end waits right below.
        let _ = tell.send(start_with_mailbox(limits.partition_mailbox, actor));
    });
    assert!(spawned, "a new arbiter takes work");
    let partition = hear.recv().expect("the arbiter's first work sends an address");
    Ok((arbiter, partition))
}

impl Running {
    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops deciding, writes what is left and the watermark. Call it when nobody asks any more.
    pub async fn stop(self) {
        // The mailbox is in order: what was asked before is decided before.
        let _ = self.partition.send(Close).await;
        let writer = self.writer.await.ok();
        self.arbiter.stop();
        let join = move || {
            let _ = self.arbiter.join();
            if let Some(writer) = writer {
                writer.close();
            }
            self.preallocator.stop();
        };
        let _ = actix_rt::task::spawn_blocking(join).await;
    }
}
