//! A server in this process: real sockets, a real engine, a disk in memory.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use doorbuster::domain::HoldRules;
use doorbuster::engine::ports::{
    Asked, HistoryPage, HistoryQuery, OrderPage, OrderQuery, OrderReader, ProjectionReport,
    ProjectionStatus, ProjectionUnavailable,
};
use doorbuster::engine::{
    ActorLimits, AdmissionLimits, Clock, Engine, EngineConfig, StartOptions, SystemClock, start,
};
use doorbuster::http::{HttpOptions, Server};
use doorbuster::journal::Opening;
use doorbuster::telemetry;
use doorbuster_wal::{MemStorage, Options};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::gated::{Gate, GatedStorage};
use crate::wire::Ask;

/// What a test may want otherwise.
pub(crate) struct Plan {
    pub(crate) http: HttpOptions,
    pub(crate) commands_max: usize,
    pub(crate) waits_for_recovery: bool,
    /// What the projection reports.
    pub(crate) report: ProjectionReport,
    /// Bytes free where the data lies.
    pub(crate) free_bytes: u64,
    /// Where the engine's time comes from.
    pub(crate) clock: Arc<dyn Clock>,
    /// Bounds of holds.
    pub(crate) holds: HoldRules,
}

/// A projection that always reports the same.
struct Reports(ProjectionReport);

impl ProjectionStatus for Reports {
    fn report(&self) -> ProjectionReport {
        self.0.clone()
    }
}

impl OrderReader for Reports {
    fn orders(&self, _: OrderQuery) -> Asked<OrderPage> {
        away()
    }

    fn history(&self, _: HistoryQuery) -> Asked<HistoryPage> {
        away()
    }
}

fn away<T: Send + 'static>() -> Asked<T> {
    let reason = "no database here".to_owned();
    Box::pin(std::future::ready(Err(ProjectionUnavailable { reason })))
}

impl Default for Plan {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let http = HttpOptions { listen, workers: 2, ..HttpOptions::default() };
        Self {
            http,
            commands_max: 10_000,
            waits_for_recovery: false,
            report: ProjectionReport::default(),
            free_bytes: 1 << 40,
            clock: Arc::new(SystemClock::new()),
            holds: HoldRules::default(),
        }
    }
}

/// A running server; stops when dropped.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: Option<SocketAddr>,
    pub(crate) engine: Engine,
    /// Closed, no sync of the log returns.
    pub(crate) gate: Arc<Gate>,
    pub(crate) storage: MemStorage,
    recover: Option<oneshot::Sender<()>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Listening {
    addresses: Vec<SocketAddr>,
    engine: Engine,
}

impl House {
    /// Opens with what the plan says.
    pub(crate) fn open(plan: Plan) -> Self {
        let (tell, hear) = mpsc::channel();
        let (recover, may_recover) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (gate, storage) = (Arc::<Gate>::default(), MemStorage::new());
        let waits = plan.waits_for_recovery;
        let inside = GatedStorage { files: storage.clone(), syncs: Arc::clone(&gate) };
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(serve(plan, inside, tell, may_recover, stopped));
        });
        let Listening { addresses, engine } = hear.recv().expect("the server listens");
        let mut house = Self {
            address: addresses[0],
            metrics_address: addresses.get(1).copied(),
            engine,
            gate,
            storage,
            recover: Some(recover),
            stop: Some(stop),
            thread: Some(thread),
        };
        if !waits {
            house.recover();
        }
        house
    }

    /// Lets the engine start, and waits until it has.
    pub(crate) fn recover(&mut self) {
        if let Some(recover) = self.recover.take() {
            recover.send(()).expect("the server waits for it");
        }
        wait_until(|| Ask::get("/readyz").to(self.address).status == 200);
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        Ask::get(path).to(self.address).ok(200)
    }

    /// Creates a product with these terms besides its name.
    #[track_caller]
    pub(crate) fn product(&self, id: &str, stock: u64, terms: Value) -> Value {
        let mut body = json!({"product_id": id, "name": format!("product {id}"), "stock": stock});
        let fields = body.as_object_mut().expect("an object");
        fields.extend(terms.as_object().cloned().unwrap_or_default());
        let ask = Ask::post("/v1/products", &format!("create-{id}"), body.to_string());
        ask.to(self.address).ok(201)
    }

    /// Everything of every product that a request could have changed.
    #[track_caller]
    pub(crate) fn state(&self) -> Vec<Value> {
        let list = self.get("/v1/products?limit=500");
        let ids = list["products"].as_array().cloned().unwrap_or_default();
        let of = |row: &Value| {
            let id = row["product_id"].as_str().expect("an id");
            [self.get(&format!("/v1/products/{id}")), self.get(&format!("/v1/products/{id}/stock"))]
        };
        ids.iter().flat_map(of).chain([list.clone()]).collect()
    }

    /// Units a product has sold, and the place of its last change.
    #[track_caller]
    pub(crate) fn sold(&self, id: &str) -> (u64, u64) {
        let stock = self.get(&format!("/v1/products/{id}/stock"));
        let figure = |name: &str| stock[name].as_u64().expect("a figure");
        (figure("sold"), figure("version"))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.gate.open();
        // A server that has stopped already hears nothing.
        let _ = self.recover.take().map(|recover| recover.send(()));
        let _ = self.stop.take().map(|stop| stop.send(()));
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(ended.is_none_or(|ended| ended.is_ok()), "the server panicked");
        }
    }
}

async fn serve(
    plan: Plan,
    storage: GatedStorage,
    tell: mpsc::Sender<Listening>,
    may_recover: oneshot::Receiver<()>,
    stopped: oneshot::Receiver<()>,
) {
    static RECORDER: OnceLock<metrics_exporter_prometheus::PrometheusHandle> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| telemetry::install().expect("one recorder"));
    let engine = Engine::new();
    let projection = Arc::new(Reports(plan.report));
    let free_bytes = Arc::new(move || Some(plan.free_bytes));
    let server = Server::bind(plan.http, engine.clone(), projection, free_bytes, recorder.clone());
    let server = server.expect("a free port");
    let handle = server.handle();
    let addresses = server.addresses().to_vec();
    let _ = tell.send(Listening { addresses, engine: engine.clone() });
    let serving = actix_rt::spawn(server.run());
    may_recover.await.expect("the house says when");
    let layout = Options { segment_bytes: 1 << 20, ..Options::default() };
    let opening = Opening::new(Arc::new(storage), layout).expect("an empty disk");
    let limits = ActorLimits {
        product_mailbox: 1_000,
        partition_mailbox: 1_000,
        idle: Duration::from_secs(1),
    };
    let admission = AdmissionLimits { commands_max: plan.commands_max, queued_bytes_max: 64 << 20 };
    let options = StartOptions {
        config: EngineConfig { admission, actors: limits, keys_max: 100_000, holds: plan.holds },
        clock: plan.clock,
        accept_clock: None,
        binary: "contract".to_owned(),
        witness: None,
    };
    let running = start(&engine, opening, options).expect("a start");
    let _ = stopped.await;
    handle.stop(true).await;
    serving.await.expect("the server does not panic").expect("it serves to its end");
    running.stop().await;
}

/// Waits for something, with a limit.
#[track_caller]
pub(crate) fn wait_until(mut is: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not happen within 10 seconds");
}
