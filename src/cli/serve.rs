//! `serve`: listens, recovers, sells, drains.
//!
//! ```text
//! settings ─► lock ─► listen (alive, not ready) ─► recover ─► ready ─► SIGTERM ─► drain ─► exit 0
//!                                                              └─ journal failed ─► exit 5
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::advice::{Tried, explained, quoted};
use super::data_dir::DataDir;
use super::exit::{Exit, failure, told};
use super::print::print;
use super::recovery::Recovery;
use super::settings::SettingsArgs;
use super::{files, logging, target};
use crate::config::Config;
use crate::engine::ports::LateProjection;
use crate::engine::{
    ClockError, Engine, PARTITION, Running, Upkeep, UpkeepOptions, UpkeepThread, Witness,
};
use crate::http::auth::may_be_open;
use crate::http::{HttpOptions, Keys, Server, ServerHandle};
use crate::projection::{
    self, DiskRoom, Drained, Projection, ProjectorOptions, StoreConfig, sqlite_progress,
};
use crate::telemetry;

/// How often it is looked whether the journal's directory is still there.
const LOOK_AFTER_FILES: Duration = Duration::from_secs(1);
/// How long answers that say "outcome unknown" have to leave once the journal has failed.
const FAREWELL: Duration = Duration::from_secs(1);

/// `serve`
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Start though the wall clock and the last record are far apart: both times, as the error
    /// named them
    #[arg(long, value_name = "WALL_MS,LAST_MS", value_parser = accepted_clock)]
    accept_clock: Option<ClockError>,
    /// Write the URL into this file once it listens
    #[arg(long, value_name = "FILE", hide = true)]
    announce: Option<PathBuf>,
}

fn accepted_clock(text: &str) -> Result<ClockError, String> {
    let times = text.split_once(',').and_then(|(wall, last)| {
        Some(ClockError { wall_ms: wall.trim().parse().ok()?, last_ms: last.trim().parse().ok()? })
    });
    times.ok_or_else(|| "must be two times in milliseconds, as the error named them".to_owned())
}

/// What asks the process to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ServeArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        // A huge page is in memory whole for the first byte of it, and idle products lie between
        // holes: 58 bytes each (docs/adr/0015). Where the system refuses, it only costs these.
        let _ = disable_transparent_huge_pages(true);
        let config = self.settings.config()?;
        logging::start(&config)?;
        let keys = keys(&config)?;
        let store = target::store(&config, config.data_dir.join(super::SQLITE_FILE))?;
        let data_dir = DataDir::take(&config.data_dir)
            .map_err(|error| explained(error, Tried::Start, &config.data_dir))?;
        let (accept_clock, announce) = (self.accept_clock, self.announce);
        let serving = Serving { config, store, data_dir, accept_clock, announce };
        actix_rt::System::new().block_on(serving.run(keys))
    }
}

/// The API keys of these settings.
///
/// # Errors
/// A keys file that cannot be used, or none where everybody on the network could sell without.
pub(super) fn keys(config: &Config) -> anyhow::Result<Option<Keys>> {
    if config.metrics_listen == Some(config.listen) && config.listen.port() != 0 {
        let message = format!("listen and metrics_listen are both {}", config.listen);
        return Err(failure(Exit::Usage, message));
    }
    if let Some(path) = &config.keys_file {
        return read_keys(path).map(Some);
    }
    if may_be_open(config.listen) {
        return Ok(None);
    }
    let message = format!(
        "listening on {} without API keys would let everybody sell: make a key with \
         `doorbuster keys new NAME --keys-file FILE`, give the file with --keys-file, or listen on 127.0.0.1",
        config.listen
    );
    Err(failure(Exit::Usage, message))
}

fn read_keys(path: &Path) -> anyhow::Result<Keys> {
    let wrong = |error: String| failure(Exit::Usage, format!("{}: {error}", path.display()));
    let make = format!("make one with `doorbuster keys new NAME --keys-file {}`", quoted(path));
    let text = files::read(path).map_err(|error| {
        let next = if path.exists() { String::new() } else { format!("; {make}") };
        failure(Exit::Usage, format!("the keys file: {}{next}", told(&error)))
    })?;
    let keys = Keys::parse(&text).map_err(|error| wrong(error.to_string()))?;
    if keys.is_empty() {
        return Err(wrong(format!("there is no key in it, so nobody could do anything; {make}")));
    }
    Ok(keys)
}

struct Serving {
    config: Config,
    store: StoreConfig,
    data_dir: DataDir,
    accept_clock: Option<ClockError>,
    announce: Option<PathBuf>,
}

impl Serving {
    async fn run(self, keys: Option<Keys>) -> anyhow::Result<Exit> {
        let connections_max = connections_within_files(self.config.connections_max)?;
        let metrics = telemetry::install()?;
        let mut signals = StopSignals::listen()?;
        let mut hangup = listen_for(SignalKind::hangup())?;
        let engine = Engine::new();
        let (failed, mut journal_failed) = oneshot::channel();
        engine.health().on_failure(move |reason| {
            // Nobody hears it only when the process ends already.
            let _ = failed.send(reason);
        });
        let projection = Arc::new(LateProjection::default());
        let server = Server::bind(
            HttpOptions { connections_max, ..self.http_options(keys.clone()) },
            engine.clone(),
            Arc::clone(&projection) as _,
            Arc::new(self.data_dir.free_bytes()),
            metrics,
        );
        let server = server.map_err(|error| not_listening(&error, &self.config))?;
        self.announce(&server)?;
        let handle = server.handle();
        let mut serving = actix_rt::spawn(server.run());

        let journal = self.data_dir.journal();
        let journal =
            journal.map_err(|error| explained(error, Tried::Start, &self.config.data_dir))?;
        let witness = self.witness();
        let files = Arc::clone(&journal.storage);
        let recovery = Recovery::start(&engine, &self.config, files, self.accept_clock, witness)?;
        let running = tokio::select! {
            recovered = recovery.finish() => recovered?,
            () = signals.stop() => return Ok(Exit::Done),
        };
        let started = self.start_projection(&engine)?;
        let upkeep = self.start_upkeep(&engine, &started)?;
        projection.set(started.status());
        projection.set_orders(started.reader(&self.store)?);
        let mut look = tokio::time::interval(LOOK_AFTER_FILES);
        loop {
            tokio::select! {
                () = signals.stop() => break,
                _ = look.tick() => if !journal.storage.is_in_place() {
                    return Err(removed(&handle, &self.config.data_dir).await);
                },
                _ = hangup.recv() => self.reload(keys.as_ref()),
                reason = &mut journal_failed => return Err(farewell(&handle, reason.ok()).await),
                ended = &mut serving => {
                    ended.context("the HTTP server panicked")?.context("the HTTP server ended")?;
                    anyhow::bail!("the HTTP server ended by itself");
                }
            }
        }
        // What it has begun, the next start does without.
        actix_rt::task::spawn_blocking(move || upkeep.stop()).await?;
        tokio::select! {
            exit = self.drain(&engine, &handle, running, started) => exit,
            () = signals.stop() => anyhow::bail!("stopped a second time: left without draining"),
        }
    }

    /// The tables beside the log, which hold durable records only. A server of a database is not waited
    /// for: its tables are looked at once it sells.
    fn witness(&self) -> Option<Witness> {
        let StoreConfig::Sqlite { path } = &self.store else { return None };
        let progress = sqlite_progress(path, PARTITION)?;
        let (identity, sequence) = (progress.identity, progress.sequence);
        Some(Witness { place: path.display().to_string(), identity, sequence })
    }

    fn http_options(&self, keys: Option<Keys>) -> HttpOptions {
        let config = &self.config;
        HttpOptions {
            listen: config.listen,
            metrics_listen: config.metrics_listen,
            workers: config.workers,
            connections_max: config.connections_max,
            backlog: config.backlog,
            head_timeout: config.head_timeout,
            body_timeout: config.body_timeout,
            keep_alive: config.keep_alive,
            shutdown_timeout: config.drain_timeout,
            keys,
            disk_reserve_bytes: config.disk_reserve_bytes,
            ..HttpOptions::default()
        }
    }

    /// Tells where it is to be found.
    fn announce(&self, server: &Server) -> anyhow::Result<()> {
        let url = server.addresses().first().map(|address| format!("http://{address}"));
        let url = url.context("the server listens nowhere")?;
        if let Some(path) = &self.announce {
            files::write(path, &url)?;
        }
        let config = &self.config;
        let database = target::shown(&self.store);
        let keys = match &config.keys_file {
            Some(path) => path.display().to_string(),
            None => "none: everything is open, on this machine alone".to_owned(),
        };
        print(format_args!(
            "doorbuster {} at {url}\n  data      {}\n  database  {database}\n  API keys  {keys}\n",
            env!("CARGO_PKG_VERSION"),
            config.data_dir.display(),
        ))
    }

    fn start_projection(&self, engine: &Engine) -> anyhow::Result<Projection> {
        let reader = engine.journal().cloned().context("the engine has started")?;
        let (free_bytes, clock) = (self.data_dir.free_bytes(), engine.clone());
        let reserve_bytes = self.config.disk_reserve_bytes;
        let room = move || DiskRoom {
            // A file system that does not say is not one to wait for.
            free_bytes: free_bytes().unwrap_or(u64::MAX),
            reserve_bytes,
        };
        let options = ProjectorOptions::new(Arc::new(move || clock.now_ms()), Arc::new(room));
        Ok(projection::start(&self.store, reader, options)?)
    }

    /// Snapshots and the archive, behind the sale.
    fn start_upkeep(
        &self,
        engine: &Engine,
        projection: &Projection,
    ) -> anyhow::Result<UpkeepThread> {
        let journal = engine.journal().cloned().context("the engine has started")?;
        let (status, free_bytes) = (projection.status(), self.data_dir.free_bytes());
        let options = UpkeepOptions {
            snapshot_segments: self.config.snapshot_segments,
            reserve_bytes: self.config.disk_reserve_bytes,
            free_bytes: Arc::new(free_bytes),
            projected: Arc::new(move || status.report().applied),
            keys_max: self.config.idempotency_keys_max,
        };
        UpkeepThread::start(Upkeep::new(journal, options)).context("cannot start a thread")
    }

    fn reload(&self, keys: Option<&Keys>) {
        let (Some(keys), Some(path)) = (keys, &self.config.keys_file) else {
            return tracing::warn!("SIGHUP: there is no keys file to read again");
        };
        match read_keys(path) {
            Ok(new) => {
                keys.replace(new);
                tracing::info!(file = %path.display(), "API keys read again");
            }
            Err(error) => tracing::error!("API keys stay as they were: {error:#}"),
        }
    }

    /// Stop accepting, answer what is in flight, sync, project within a time limit.
    async fn drain(
        &self,
        engine: &Engine,
        handle: &ServerHandle,
        running: Running,
        projection: Projection,
    ) -> anyhow::Result<Exit> {
        tracing::info!("draining: answers in flight, then the journal, then the database");
        engine.health().set_draining();
        handle.stop(true).await;
        running.stop().await;
        if engine.health().is_failed() {
            return Err(farewell(handle, None).await);
        }
        let upto = engine.journal().context("the engine has started")?.durable();
        let limit = self.config.projection_drain_timeout;
        let drained = actix_rt::task::spawn_blocking(move || projection.drain(upto, limit)).await?;
        match drained {
            Drained::Done => tracing::info!("stopped; every record is in the database"),
            Drained::Left { records } => {
                tracing::warn!(records, "stopped; the next start projects what is left");
            }
        }
        Ok(Exit::Done)
    }
}

/// Who holds a port that is in use can be asked.
fn not_listening(error: &std::io::Error, config: &Config) -> anyhow::Error {
    let addresses = [Some(config.listen), config.metrics_listen];
    let ports: Vec<String> =
        addresses.iter().flatten().map(|it| format!("sport = :{}", it.port())).collect();
    let next = match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "; `ss -ltnp '{}'` names who listens there; choose another with --listen or \
             --metrics-listen",
            ports.join(" or ")
        ),
        _ => String::new(),
    };
    let listen = config.listen;
    let message = format!("cannot listen on {listen} (listen, or metrics_listen): {error}{next}");
    failure(Exit::Environment, message)
}

/// Stops selling into files that nobody will find again.
async fn removed(handle: &ServerHandle, data_dir: &Path) -> anyhow::Error {
    let _ = tokio::time::timeout(FAREWELL, handle.stop(true)).await;
    let message = format!(
        "the journal in {} was removed or replaced while it was in use: what was answered last is \
         lost with it; restore the directory from a copy",
        data_dir.display()
    );
    failure(Exit::Environment, message)
}

/// Files that the journal, the database, the log and the workers may need beside connections.
const FILES_ASIDE: u64 = 128;

/// Connections that leave files for the journal: one too many, and it could not go on.
///
/// # Errors
/// There are hardly any files.
fn connections_within_files(connections_max: usize) -> anyhow::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if files < 2 * FILES_ASIDE {
        let needed = 2 * FILES_ASIDE;
        let message = format!(
            "{files} files may be open, {needed} at least are needed: `ulimit -Hn` shows the limit; raise \
             it with LimitNOFILE= in the service's unit, or as root with `ulimit -n {needed}`"
        );
        return Err(failure(Exit::Environment, message));
    }
    let allowed = usize::try_from(files - FILES_ASIDE).unwrap_or(usize::MAX);
    if allowed < connections_max {
        tracing::warn!(
            files,
            connections_max,
            allowed,
            "fewer files may be open than connections_max asks for: more connections wait"
        );
    }
    Ok(connections_max.min(allowed))
}

/// Lets the answers in flight leave, then ends: only the next start can tell what became durable.
async fn farewell(handle: &ServerHandle, reason: Option<String>) -> anyhow::Error {
    let _ = tokio::time::timeout(FAREWELL, handle.stop(true)).await;
    let reason = reason.unwrap_or_else(|| "the journal failed".to_owned());
    failure(
        Exit::Environment,
        format!("{reason}; start again: recovery tells which of the open answers happened"),
    )
}

fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        let terminate = listen_for(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: listen_for(SignalKind::interrupt())? })
    }

    /// Waits for either.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
