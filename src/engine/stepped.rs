//! An engine stepped by hand: the parts of [`super::start`] without their threads.
//!
//! For tests and simulation: whoever holds it says when the partition has a turn, when the writer
//! writes, when answers arrive. Nothing runs by itself, so a seed decides every interleaving.
//!
//! Called by: `histories`, and the simulator beside the engine. Never by what serves.

use std::sync::Arc;

use super::Engine;
use super::assembly::{Assembly, recover};
use super::client::{Client, Prepared};
use super::clock::PartitionClock;
use super::partition::Partition;
use super::start::{StartError, StartOptions, StartSummary};
use crate::journal::{JournalIdentity, LocalJournal, Opening, Writer};

use super::answer::{Answer, Request};
use super::reply::Reply;

pub use super::command::Command;
pub use super::completion::{AfterSync, Effect};
pub use super::partition::MINUTE_MS;

/// A partition over a local journal.
pub type SteppedPartition = Partition<LocalJournal<Effect>>;

/// The writer of its journal.
pub type SteppedWriter = Writer<Effect, AfterSync>;

/// What a start builds, in the hands of its caller.
pub struct Stepped {
    /// What all threads see.
    pub engine: Engine,
    /// What decides.
    pub partition: SteppedPartition,
    /// What writes, syncs and tells.
    pub writer: SteppedWriter,
    /// What recovery found.
    pub summary: StartSummary,
}

impl Stepped {
    /// As [`super::start`], up to where threads would begin. `new` is whose log it is when there is
    /// none yet.
    ///
    /// # Errors
    /// Nothing is sold.
    pub fn begin(
        opening: Opening,
        options: StartOptions,
        new: JournalIdentity,
    ) -> Result<Self, StartError> {
        let engine = Engine::new();
        let config = options.config;
        let recovery = recover(&engine, opening, options, new)?;
        let Assembly { parts, writer, core, summary } = recovery.assemble(&engine, &config);
        assert!(engine.core.set(core).is_ok(), "an engine starts once");
        engine.health().set_ready();
        Ok(Self { engine, partition: Partition::new(parts), writer, summary })
    }
}

/// Asks as [`Client::submit`] does, up to the mailbox: the command is the caller's to carry to the
/// partition. `meanwhile` is what other threads do between the look at the view and the look at the
/// key.
///
/// # Errors
/// The answer that needs no partition.
///
/// # Panics
/// Before the engine has started.
pub fn ask(
    client: &Client,
    request: Request,
    meanwhile: impl FnOnce(),
) -> Result<(Command, Reply), Box<Answer>> {
    let core = client.engine().core().expect("a stepped engine has started");
    let Prepared { command, reply, .. } = client.prepare(core, request, meanwhile)?;
    Ok((command, reply))
}

/// One second of the partition's clock has passed: it moves toward wall time.
///
/// # Panics
/// Before the engine has started.
pub fn slew(engine: &Engine) {
    let clock: &Arc<PartitionClock> = &engine.core().expect("it has started").clock;
    clock.slew();
}
