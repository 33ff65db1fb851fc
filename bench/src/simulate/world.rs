//! What the threads of a simulation share: the disk, the clocks, the clients and their witness.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use doorbuster::engine::stepped::Command;
use doorbuster::engine::{Answer, Client, Engine, Reply, Upkeep};
use doorbuster::projection::stepped::SteppedProjector;
use doorbuster_wal::MemStorage;
use parking_lot::Mutex;

use super::clock::SimClock;
use super::counts::Counts;
use super::disk::{Moment, Stable, meanwhile};
use super::tables::Tables;
use super::words;
use crate::seeded::Seeded;
use crate::witness::{Heard, Witness};

/// Steps that a trace keeps.
const TRACE_STEPS: usize = 40;

/// How a seed's simulation is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    pub(super) segment_bytes: u64,
    /// Orders of so many lines now and then: segments fill.
    pub(super) bulky: bool,
    pub(super) keys_max: usize,
    /// One step in so many ends a life.
    pub(super) ends_every: u64,
    /// The writer rarely has its turn.
    pub(super) slow_disk: bool,
    /// Closed segments are snapshotted and archived.
    pub(super) is_kept_up: bool,
}

/// A worker: it asks, and its answers arrive when it looks.
pub(super) struct Worker {
    pub(super) client: Client,
    delivering: Pin<Box<dyn Future<Output = ()>>>,
}

/// Everything but what decides and what writes.
pub(super) struct World {
    pub(super) dice: Seeded,
    pub(super) profile: Profile,
    pub(super) witness: Witness,
    pub(super) storage: MemStorage,
    pub(super) clock: Arc<SimClock>,
    pub(super) engine: Option<Engine>,
    pub(super) workers: Vec<Worker>,
    pub(super) mailbox: Vec<Command>,
    pub(super) waiting: BTreeMap<u64, Reply>,
    pub(super) projectors: Vec<SteppedProjector>,
    pub(super) upkeep: Option<Upkeep>,
    /// A fault of the disk lies ahead, or may have happened.
    pub(super) disk_breaks: bool,
    pub(super) tables: Arc<Mutex<Tables>>,
    pub(super) counts: Counts,
    pub(super) trace: Option<VecDeque<String>>,
    /// Time of this life's start record, and the monotonic time then.
    pub(super) began: (u64, u64),
    /// Seconds in which the clock was slewed.
    pub(super) slewed: u64,
    /// Room that others have taken.
    pub(super) taken_bytes: u64,
    /// Zeroed segments made in this life, and the segment it began with.
    pub(super) spares_made: u64,
    pub(super) first_segment: u64,
    /// Changing operations of the disk when the log was last followed.
    pub(super) followed_at: u64,
}

/// Wakes nobody: lets the world go on at the moment at which a worker is woken.
struct Told;

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        meanwhile(Moment::Told);
    }
}

impl Worker {
    pub(super) fn new(engine: &Engine) -> Self {
        let client = Client::new(engine.clone());
        let delivering = Box::pin(client.replies().deliver());
        Self { client, delivering }
    }

    /// As its thread when it is woken: answers reach those who wait, and the next word wakes it.
    pub(super) fn look(&mut self) {
        let waker = Waker::from(Arc::new(Told));
        let polled = self.delivering.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "a worker delivers for as long as it lives");
    }
}

impl World {
    /// Notes a step in the trace.
    pub(super) fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        self.counts.steps += 1;
        if self.trace.is_none() {
            return;
        }
        let now_ms = self.engine.as_ref().map_or(0, Engine::now_ms);
        let line = format!("{now_ms} ms, {} durable: {}", self.witness.durable(), what(self));
        if let Some(trace) = &mut self.trace {
            if trace.len() == TRACE_STEPS {
                trace.pop_front();
            }
            trace.push_back(line);
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("a life has an engine")
    }

    /// Whether the journal failed or the machine is dead: nothing is decided any more.
    pub(super) fn is_over(&self) -> bool {
        self.storage.is_dead() || self.engine().health().is_failed()
    }

    /// Takes in what has become durable.
    pub(super) fn follow(&mut self) {
        use doorbuster::engine::Clock as _;
        let operations = self.storage.operations();
        if std::mem::replace(&mut self.followed_at, operations) == operations {
            return;
        }
        let (began_ms, monotonic_ms) = self.began;
        let passed_ms = self.clock.monotonic_ms() - monotonic_ms;
        self.witness.set_latest_ms(began_ms + passed_ms + self.slewed);
        self.witness.follow(&Stable(&self.storage));
    }

    /// Clients hear what there is to hear. On a dead machine nobody hears anything.
    pub(super) fn hear(&mut self) {
        if self.storage.is_dead() {
            return;
        }
        for worker in &mut self.workers {
            worker.look();
        }
        let mut told = Vec::new();
        self.waiting.retain(|attempt, reply| match reply.take() {
            Some(answer) => {
                told.push((*attempt, answer));
                false
            }
            None => true,
        });
        for (attempt, answer) in told {
            self.told(attempt, &answer);
        }
    }

    /// One client hears one answer.
    pub(super) fn told(&mut self, attempt: u64, answer: &Answer) -> Heard {
        self.follow();
        let heard = words::heard(answer);
        let counts = &mut self.counts;
        match &heard {
            Heard::Done { replayed: true, .. } => counts.replayed += 1,
            Heard::Done { .. } => counts.decided += 1,
            Heard::Refused(_) => counts.refused += 1,
            Heard::KeyInFlight => counts.in_flight += 1,
            Heard::TurnedAway => counts.turned_away += 1,
            Heard::Unknown => counts.unknown += 1,
            Heard::KeyReused => {}
        }
        let now_ms = self.engine().now_ms();
        self.say(|world| {
            let call = world.witness.notes.attempt(attempt).map(|attempt| attempt.call);
            format!("  request {call:?} hears {heard:?}")
        });
        let files = Stable(&self.storage);
        self.witness.hear(attempt, &heard, now_ms, &files);
        heard
    }
}
