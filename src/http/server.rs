//! The server: listens, starts workers, stops in good order.
//!
//! It listens before the engine has recovered: probes answer at once, everything else is
//! `starting` until then. No signal handling here; whoever runs it says when to stop.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request};
use actix_service::{ServiceFactory, ServiceFactoryExt as _, fn_service};
use actix_web::dev::ServerHandle;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpStream;

use super::auth::Keys;
use super::metrics::Tallies;
use super::stream::{Progress, Stream};
use super::worker::{Limits, Listener, Shared, Worker};
use crate::engine::Engine;
use crate::engine::ports::Projection;

/// How often measurements are put into buckets, so that they do not pile up unread.
const UPKEEP: Duration = Duration::from_secs(2);

/// How long a closed connection may take to end.
const DISCONNECT: Duration = Duration::from_secs(1);

/// What limits that are kept elsewhere have as a lead on those of [`Progress`].
const GRACE: Duration = Duration::from_secs(1);

/// How a server listens and how patient it is.
#[derive(Debug)]
pub struct HttpOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where `/metrics` is served, open, beside the probes; `None`: on `listen`, with the scope
    /// `read` where there are keys.
    pub metrics_listen: Option<SocketAddr>,
    /// Threads that answer.
    pub workers: usize,
    /// Connections the system keeps waiting to be accepted.
    pub backlog: u32,
    /// Open connections at most, over all workers; more wait to be accepted.
    pub connections_max: usize,
    /// The keys in force; `None`: everything is open to everybody (see [`super::auth::may_be_open`]).
    pub keys: Option<Keys>,
    /// A connection's first request has its head within this. A later one's head, as a body that
    /// goes on after its answer, has the longer of `head_timeout + body_timeout` and
    /// `request_timeout_max`, and a second: 31 s as it comes.
    pub head_timeout: Duration,
    /// A body is whole within this after its head; a client that takes nothing of an answer for
    /// this long is given up.
    pub body_timeout: Duration,
    /// A connection without requests is closed after this.
    pub keep_alive: Duration,
    /// What `Request-Timeout-Ms` is when it is not sent, counted from the request's last byte.
    pub request_timeout: Duration,
    /// Most that `Request-Timeout-Ms` may ask for.
    pub request_timeout_max: Duration,
    /// What is in flight at a stop has this long to be answered.
    pub shutdown_timeout: Duration,
    /// `/readyz` says `disk-low` with less than this free.
    pub disk_reserve_bytes: u64,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7373)),
            metrics_listen: None,
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            backlog: 4096,
            connections_max: 20_000,
            keys: None,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_secs(2),
            request_timeout_max: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(10),
            disk_reserve_bytes: 256 << 20,
        }
    }
}

/// Tells how many bytes are free where the data lies; `None` when it cannot be told.
pub type FreeBytes = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// What a server serves and shows.
pub(super) struct Surroundings {
    /// What decides; may not have started yet.
    pub(super) engine: Engine,
    /// How the copy in SQL is.
    pub(super) projection: Arc<dyn Projection>,
    /// Bytes free where the data lies.
    pub(super) data_free_bytes: FreeBytes,
    /// Renders `/metrics`.
    pub(super) metrics: PrometheusHandle,
    /// What workers measured.
    pub(super) tallies: Tallies,
    /// `/readyz` says `disk-low` with less than this free.
    pub(super) disk_reserve_bytes: u64,
}

/// A server that listens.
pub struct Server {
    server: actix_web::dev::Server,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens; answers from [`Server::run`] on.
    ///
    /// `engine` and `projection` may not have started yet. `metrics` is kept up while it serves.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub fn bind(
        options: HttpOptions,
        engine: Engine,
        projection: Arc<dyn Projection>,
        data_free_bytes: FreeBytes,
        metrics: PrometheusHandle,
    ) -> io::Result<Self> {
        let surroundings = Surroundings {
            engine,
            projection,
            data_free_bytes,
            metrics,
            tallies: Tallies::default(),
            disk_reserve_bytes: options.disk_reserve_bytes,
        };
        let shared = Arc::new(Shared {
            surroundings,
            keys: options.keys.clone(),
            limits: Limits {
                body: options.body_timeout,
                request_default: options.request_timeout.min(options.request_timeout_max),
                request_max: options.request_timeout_max,
            },
            metrics_apart: options.metrics_listen.is_some(),
        });
        let workers = options.workers.max(1);
        let mut builder = actix_web::dev::Server::build()
            .workers(workers)
            .backlog(options.backlog)
            .max_concurrent_connections(options.connections_max.div_ceil(workers))
            .shutdown_timeout(options.shutdown_timeout.as_secs().max(1))
            .disable_signals();
        let mut addresses = Vec::new();
        let main = Some((options.listen, Listener::Main));
        let metrics_too = options.metrics_listen.map(|address| (address, Listener::Metrics));
        for (address, listener) in main.into_iter().chain(metrics_too) {
            let socket = TcpListener::bind(address)?;
            // Again, for a backlog of our own.
            rustix::net::listen(&socket, i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
            let address = socket.local_addr()?;
            addresses.push(address);
            let (shared, stopping) = (Arc::clone(&shared), builder.graceful_shutdown_signal());
            let connections = Connections::of(&options, address);
            builder = builder.listen(format!("http-{address}"), socket, move || {
                let stopping = stopping.clone();
                let stops = move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                };
                connections.serve(Worker::start(Arc::clone(&shared), listener), stops)
            })?;
        }
        Ok(Self { server: builder.run(), addresses, shared })
    }

    /// Where it listens: the main address, then that of metrics.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What stops it: `stop(true)` accepts nothing more and answers what is in flight, within
    /// [`HttpOptions::shutdown_timeout`].
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// A worker cannot be started.
    pub async fn run(self) -> io::Result<()> {
        let shared = self.shared;
        let upkeep = actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                shared.surroundings.tallies.collect();
                shared.surroundings.metrics.run_upkeep();
            }
        });
        let served = self.server.await;
        upkeep.abort();
        served
    }
}

/// How connections of one listener are kept.
#[derive(Clone, Copy)]
struct Connections {
    address: SocketAddr,
    head_timeout: Duration,
    keep_alive: Duration,
    progress: Progress,
}

impl Connections {
    fn of(options: &HttpOptions, address: SocketAddr) -> Self {
        let sent = options.head_timeout + options.body_timeout;
        // An answer that takes its time ends no connection.
        let answered = sent.max(options.request_timeout_max) + GRACE;
        let quiet = options.keep_alive.max(answered) + GRACE;
        let progress = Progress { answered, quiet, written: options.body_timeout };
        let (head_timeout, keep_alive) = (options.head_timeout, options.keep_alive);
        Self { address, head_timeout, keep_alive, progress }
    }

    /// As `actix_web::HttpServer` does, with our [`Stream`] around the socket.
    fn serve<F: Future<Output = ()> + 'static>(
        self,
        worker: Rc<Worker>,
        stops: impl Fn() -> F + 'static,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
    {
        // Without its `App`: the worker finds the route itself (docs/adr/0004).
        let answers = fn_service(move |request: Request| Rc::clone(&worker).answer(request));
        let http = HttpService::build()
            .graceful_shutdown_signal(stops)
            .keep_alive(self.keep_alive)
            .client_request_timeout(self.head_timeout)
            .client_disconnect_timeout(DISCONNECT)
            .local_addr(self.address)
            .finish(answers);
        fn_service(move |socket: TcpStream| async move {
            // Without it answers are only slower.
            let _ = socket.set_nodelay(true);
            let peer = socket.peer_addr().ok();
            Ok((Stream::new(socket, self.progress), Protocol::Http1, peer))
        })
        .and_then(http)
    }
}
