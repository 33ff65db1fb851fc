//! One life of the process, its parts in a test's hands instead of threads'.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::*;
use crate::engine::clock::tests::FakeClock;
use crate::engine::stepped::{Stepped, SteppedPartition, SteppedWriter};
use crate::engine::{
    ActorLimits, AdmissionLimits, Client, ClockError, Core, Engine, EngineConfig, StartError,
    StartOptions,
};
use crate::journal::*;

/// Small enough to be reached.
pub(super) const RULES: HoldRules =
    HoldRules { ttl_max_ms: 500, live_per_buyer_max: 4, live_lines_max: 80 };
const CONFIG: EngineConfig = EngineConfig {
    admission: AdmissionLimits { commands_max: 20, queued_bytes_max: 1 << 20 },
    actors: ActorLimits { product_mailbox: 1, partition_mailbox: 1, idle: Duration::ZERO },
    keys_max: 10_000,
    holds: RULES,
};
/// A change of a sale's terms takes room for ten thousand products.
const SEGMENT_BYTES: u64 = 256 << 10;

/// What a start builds.
pub(super) struct Life {
    pub(super) engine: Engine,
    pub(super) partition: SteppedPartition,
    pub(super) writer: SteppedWriter,
    pub(super) clients: Vec<Client>,
    tail: JournalTail,
}

impl Life {
    /// Recovers and starts; with the operator's word when the wall clock cannot be believed.
    pub(super) fn begin(storage: &MemStorage, clock: &Arc<FakeClock>) -> Self {
        let begin = |word| Self::try_begin(storage, clock, word);
        let stepped = match begin(None) {
            Err(StartError::Clock(error)) => begin(Some(error)),
            started => started,
        };
        let Stepped { engine, partition, writer, .. } = stepped.unwrap();
        while writer.prepare_spare().unwrap() {}
        let clients = (0..3).map(|_| Client::new(engine.clone())).collect();
        let tail = writer.reader().tail(Sequence::new(1));
        Self { engine, partition, writer, clients, tail }
    }

    fn try_begin(
        storage: &MemStorage,
        clock: &Arc<FakeClock>,
        accept_clock: Option<ClockError>,
    ) -> Result<Stepped, StartError> {
        let options = LogOptions {
            segment_bytes: SEGMENT_BYTES,
            payload_bytes_max: 8 << 10,
            spare_segments: 1,
        };
        let opening = Opening::new(Arc::new(storage.clone()), options).unwrap();
        let (clock, binary) = (Arc::clone(clock) as _, "test".to_owned());
        let options = StartOptions { config: CONFIG, clock, accept_clock, binary, witness: None };
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        Stepped::begin(opening, options, identity)
    }

    /// What the life was built of.
    pub(super) fn core(&self) -> &Core {
        self.engine.core().unwrap()
    }

    /// Answers that are there reach those who wait.
    pub(super) fn deliver(&self) {
        for client in &self.clients {
            client.replies().drain();
        }
    }

    /// Decisions that have become durable since the last call.
    pub(super) fn news(&mut self) -> Vec<(u64, Record)> {
        let mut records = Vec::new();
        while let Some(tailed) = self.tail.next().unwrap() {
            if let Payload::Record(record) = tailed.payload {
                records.push((tailed.sequence.get(), record));
            }
        }
        records
    }

    /// Place of the next record, whatever it will be.
    pub(super) fn upcoming(&self) -> u64 {
        self.partition.journal.upcoming().get()
    }
}
