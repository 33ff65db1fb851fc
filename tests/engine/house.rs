//! A house to test an engine in: a storage whose syncs can be held, a clock that a test sets and
//! that can hold the partition's thread, workers on threads of their own.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is how they fail")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorbuster::domain::*;
use doorbuster::engine::*;
use doorbuster::journal::{KeyStamp, Opening, Record};
use doorbuster_wal::{MemStorage, Options};

use crate::gated::PATIENCE;
pub(crate) use crate::gated::{Gate, GatedStorage, until};

const SEGMENT_BYTES: u64 = 4 << 20;
/// When the tests' clock begins.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// A clock that stands until it is set; it can hold the partition's thread, which asks it in every
/// turn.
pub(crate) struct HandClock {
    pub(crate) wall_ms: AtomicU64,
    pub(crate) monotonic_ms: AtomicU64,
    pub(crate) turns: Gate,
}

impl HandClock {
    pub(crate) fn at(wall_ms: u64) -> Arc<Self> {
        let (wall_ms, monotonic_ms) = (AtomicU64::new(wall_ms), AtomicU64::new(0));
        Arc::new(Self { wall_ms, monotonic_ms, turns: Gate::default() })
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| name.contains("arbiter")) {
            self.turns.pass();
        }
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

/// Limits that are not in the way.
pub(crate) fn roomy() -> EngineConfig {
    EngineConfig {
        admission: AdmissionLimits { commands_max: 10_000, queued_bytes_max: 64 << 20 },
        actors: ActorLimits {
            product_mailbox: 10_000,
            partition_mailbox: 10_000,
            idle: Duration::from_secs(10),
        },
        keys_max: 1_000_000,
        holds: HoldRules::default(),
    }
}

/// An engine with what a test holds of it.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) storage: GatedStorage,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) client: Client,
    config: EngineConfig,
    running: Option<Running>,
}

/// Runs a test on a thread with an executor.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new()
        .block_on(async { actix_rt::time::timeout(PATIENCE, test).await.expect("a test ends") })
}

pub(crate) fn open(storage: &GatedStorage) -> Opening {
    let options =
        Options { segment_bytes: SEGMENT_BYTES, payload_bytes_max: 256 << 10, spare_segments: 2 };
    Opening::new(Arc::new(storage.clone()), options).unwrap()
}

impl House {
    pub(crate) fn new(config: EngineConfig) -> Self {
        let storage = GatedStorage { files: MemStorage::new(), syncs: Arc::default() };
        Self::open(config, storage, HandClock::at(START_MS))
    }

    fn open(config: EngineConfig, storage: GatedStorage, clock: Arc<HandClock>) -> Self {
        let engine = Engine::new();
        let options = StartOptions {
            config,
            clock: Arc::clone(&clock) as _,
            accept_clock: None,
            binary: "test".to_owned(),
            witness: None,
        };
        let running = Some(start(&engine, open(&storage), options).unwrap());
        // Both spares are there: what a test makes fail is then the log, not the zeroing ahead.
        let zeroed = i64::try_from(3 * (SEGMENT_BYTES - (512 << 10))).unwrap();
        until(|| engine.gauges().unwrap().room_bytes > zeroed);
        let client = client(&engine);
        Self { engine, storage, clock, client, config, running }
    }

    /// Stops and starts again, as an operator does.
    pub(crate) async fn restart(mut self) -> Self {
        self.stop().await;
        Self::open(self.config, self.storage.clone(), Arc::clone(&self.clock))
    }

    /// Starts again from what a killed process leaves behind.
    pub(crate) async fn kill(mut self) -> Self {
        let left = GatedStorage { files: self.storage.files.kill(), syncs: Arc::default() };
        self.stop().await;
        Self::open(self.config, left, Arc::clone(&self.clock))
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    pub(crate) async fn create(&self, id: &str, stock: u64, terms: TermsPatch) -> Handle {
        let answer = self.client.ask(create(id, stock, terms)).await;
        assert!(matches!(answer, Answer::Decided { .. }), "{answer:?}");
        self.handle(id)
    }

    pub(crate) fn handle(&self, id: &str) -> Handle {
        self.engine.product(id).unwrap().handle()
    }

    pub(crate) fn view(&self, id: &str) -> View {
        self.engine.product(id).unwrap().view()
    }

    /// Every record that is durable.
    pub(crate) fn records(&self) -> Vec<(Sequence, Record, usize)> {
        let mut tail = self.engine.journal().unwrap().tail(Sequence::new(1));
        let mut records = Vec::new();
        while let Some(tailed) = tail.next().unwrap() {
            if let doorbuster::journal::Payload::Record(record) = tailed.payload {
                records.push((tailed.sequence, record, tailed.bytes));
            }
        }
        records
    }
}

/// A client of this thread, with its answers delivered.
pub(crate) fn client(engine: &Engine) -> Client {
    let client = Client::new(engine.clone());
    actix_rt::spawn(client.replies().deliver());
    client
}

/// A worker on a thread of its own.
pub(crate) fn worker<T, F>(
    engine: &Engine,
    work: impl FnOnce(Client) -> F + Send + 'static,
) -> impl Future<Output = T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let engine = engine.clone();
    let (tell, hear) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let done = run(async { work(client(&engine)).await });
        let _ = tell.send(done);
    });
    async { hear.await.expect("a worker ends well") }
}

pub(crate) fn key(number: u64) -> KeyStamp {
    let mut hash = [0; 16];
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash[..8].copy_from_slice(&spread.to_le_bytes());
    hash[8..].copy_from_slice(&number.to_be_bytes());
    KeyStamp { hash, fingerprint: [1; 8] }
}

pub(crate) fn request(action: Action) -> Request {
    Request {
        principal: Principal::new("shop").unwrap(),
        reference: None,
        key: None,
        deadline: Duration::from_secs(20),
        action,
    }
}

pub(crate) fn create(id: &str, stock: u64, terms: TermsPatch) -> Request {
    let terms = Terms::open(Name::new(id).unwrap()).patched(&terms);
    let product_id = ProductId::new(id).unwrap();
    request(Action::Create(Box::new(CreateProduct { product_id, terms, stock })))
}

pub(crate) fn buy(product: Handle, buyer: &str, quantity: u64) -> Request {
    order(buyer, &[(product, quantity)])
}

pub(crate) fn order(buyer: &str, lines: &[(Handle, u64)]) -> Request {
    let line = |(product, quantity): &(Handle, u64)| LineWish {
        product: *product,
        quantity: Quantity::new(*quantity).unwrap(),
        unit_price: None,
    };
    let lines = lines.iter().map(line).collect();
    request(Action::Order(PlaceOrder { buyer_id: BuyerId::new(buyer).unwrap(), lines }))
}

pub(crate) fn hold(buyer: &str, lines: &[(Handle, u64)], ttl_ms: u64) -> Request {
    let Action::Order(PlaceOrder { buyer_id, lines }) = order(buyer, lines).action else {
        unreachable!()
    };
    request(Action::PlaceHold(Box::new(PlaceHold { buyer_id, lines, ttl_ms })))
}

pub(crate) fn confirm(hold: Sequence, lines: u16) -> Request {
    request(Action::ConfirmHold { confirm: ConfirmHold { hold, parts: None }, lines })
}

pub(crate) fn release(hold: Sequence, lines: u16) -> Request {
    request(Action::ReleaseHold { release: ReleaseHold { hold }, lines })
}

pub(crate) fn extend(hold: Sequence, ttl_ms: u64) -> Request {
    request(Action::ExtendHold(ExtendHold { hold, ttl_ms }))
}

pub(crate) fn adjust(product: Handle, delta: i64) -> Request {
    let (change, reason) = (StockChange::Delta(delta), AdjustReason::Received);
    request(Action::Adjust(AdjustStock { product, change, reason }))
}

pub(crate) fn with_key(number: u64, request: Request) -> Request {
    Request { key: Some(key(number)), ..request }
}

pub(crate) fn patch(targets: Targets, patch: TermsPatch) -> Request {
    request(Action::ChangeTerms(Box::new(ChangeTerms { targets, patch })))
}

pub(crate) fn paused() -> TermsPatch {
    TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() }
}

/// Sequence of a decided answer, and whether it was replayed.
pub(crate) fn decided(answer: Answer) -> (u64, bool) {
    match answer {
        Answer::Decided { sequence, replayed, .. } => (sequence.get(), replayed),
        other => panic!("not decided: {other:?}"),
    }
}

/// Has the commands decided that were asked while turns were held, those of one mailbox together, and
/// holds the sync that follows.
pub(crate) fn decide_up_to_the_sync(house: &House) {
    house.clock.turns.until_held();
    house.storage.syncs.close();
    house.clock.turns.open();
    house.storage.syncs.until_held();
}
