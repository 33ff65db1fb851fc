//! One life of the process, its parts in a test's hands instead of threads'.

use std::sync::Arc;

use crate::domain::*;
use crate::engine::admission::{Admission, AdmissionLimits};
use crate::engine::clock::tests::FakeClock;
use crate::engine::completion::{AfterSync, Effect};
use crate::engine::partition::{Partition, PartitionParts};
use crate::engine::router::Router;
use crate::engine::{Board, Client, Core, Engine, PartitionClock, Recovered};
use crate::journal::*;

/// Small enough to be reached.
pub(super) const RULES: HoldRules =
    HoldRules { ttl_max_ms: 500, live_per_buyer_max: 4, live_lines_max: 80 };
/// A change of a sale's terms takes room for ten thousand products.
const SEGMENT_BYTES: u64 = 256 << 10;

/// What a start builds.
pub(super) struct Life {
    pub(super) engine: Engine,
    pub(super) partition: Partition<LocalJournal<Effect>>,
    pub(super) writer: Writer<Effect, AfterSync>,
    pub(super) clients: Vec<Client>,
    tail: JournalTail,
}

impl Life {
    /// Recovers and starts; with the operator's word when the wall clock cannot be believed.
    pub(super) fn begin(storage: &MemStorage, clock: &Arc<FakeClock>) -> Self {
        let options = LogOptions {
            segment_bytes: SEGMENT_BYTES,
            payload_bytes_max: 8 << 10,
            spare_segments: 1,
        };
        let mut opening = Opening::new(Arc::new(storage.clone()), options).unwrap();
        let mut recovered = Recovered::new(10_000);
        let mut visit =
            |entry: &LogEntry<'_>| recovered.replay(Sequence::new(entry.sequence), entry.payload);
        opening.replay(&mut visit, &mut |_| {}).unwrap();
        let start = |word| PartitionClock::start(Arc::clone(clock) as _, recovered.last_ms, word);
        let clock = Arc::new(start(None).or_else(|error| start(Some(error))).unwrap());
        let started_at_ms = clock.now_ms();
        let started = Payload::Started(Started { started_at_ms, binary: "test".into() });
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        let log = opening.start(identity, &started).unwrap();
        while log.prepare_spare().unwrap() {}
        recovered.publish();
        clock.decided(started_at_ms);
        Self::assemble(recovered, log, clock, started_at_ms)
    }

    fn assemble(
        recovered: Recovered,
        log: OpenLog,
        clock: Arc<PartitionClock>,
        started_at_ms: u64,
    ) -> Self {
        let engine = Engine::new();
        let board = Arc::new(Board::default());
        board.publish_all(&recovered.inventory, started_at_ms);
        let (health, directory) = (Arc::clone(engine.health()), Arc::clone(&recovered.directory));
        let completion = AfterSync::new(health, directory, Arc::clone(&board));
        let (journal, writer) = local_journal(log, completion);
        let reader = writer.reader();
        let partition = Partition::new(PartitionParts {
            inventory: recovered.inventory,
            directory: Arc::clone(&recovered.directory),
            journal,
            clock: Arc::clone(&clock),
            room: reader.room(),
            refusals: Arc::clone(engine.refusals()),
            hold_rules: RULES,
            last_ms: started_at_ms,
        });
        let limits = AdmissionLimits { commands_max: 20, queued_bytes_max: 1 << 20 };
        let tail = reader.tail(Sequence::new(1));
        let core = Core {
            directory: recovered.directory,
            board,
            idempotency: recovered.idempotency,
            admission: Arc::new(Admission::new(limits, reader.room())),
            router: Arc::new(Router::new(Arc::clone(&clock))),
            clock,
            reader,
        };
        assert!(engine.core.set(core).is_ok());
        let clients = (0..3).map(|_| Client::new(engine.clone())).collect();
        Self { engine, partition, writer, clients, tail }
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
                records.push((tailed.sequence.get(), *record));
            }
        }
        records
    }

    /// Place of the next record, whatever it will be.
    pub(super) fn upcoming(&self) -> u64 {
        self.partition.journal.upcoming().get()
    }
}
