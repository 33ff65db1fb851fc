//! `backup --follow`: every record is in the backup, synced, soon after the log proves it.
//!
//! ```text
//! every 100 ms: look how far the log has grown ─► copy ─► lag ─► a line and two metrics
//! ```
//!
//! One thread copies; the process's own waits for signals and answers `/metrics`. What the backup's
//! disk refuses for now is tried again; what a person must decide ends it.
#![expect(clippy::disallowed_methods, reason = "measures how long the backup has lagged")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use doorbuster_wal::{Copier, CopyError, CopyStep, DirStorage};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::directory::BackupDir;
use super::refusal::refused;
use super::{copy_snapshots, is_gone, open};
use crate::cli::exit::{Exit, failure};
use crate::cli::output::OutputArgs;
use crate::cli::play::number::grouped;
use crate::cli::print::print;
use crate::http::serve_metrics;
use crate::telemetry;

/// How often it is looked for new records.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often a line tells of new records.
const TELL: Duration = Duration::from_secs(10);
/// How often snapshots are copied, and segments archived that the log has archived.
const TIDY: Duration = Duration::from_secs(30);
/// After what a disk refused.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How far the backup is, for whoever asks.
#[derive(Default)]
struct Lag(Mutex<Figures>);

#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    copied: u64,
    wanted: u64,
    /// Since when it has lacked something.
    since: Option<Instant>,
}

#[derive(Serialize)]
struct LagJson {
    sequence: u64,
    lag_records: u64,
    lag_seconds: f64,
}

/// What the copying thread needs.
struct Follower {
    data_dir: PathBuf,
    to: PathBuf,
    log: Arc<DirStorage>,
    copy: Arc<DirStorage>,
    lag: Arc<Lag>,
    json: bool,
    told: Option<(Instant, u64)>,
    tidied: Option<Instant>,
}

/// Why following pauses or ends.
enum Halt {
    Stopped,
    Copy(CopyError),
    Gone,
    /// What it says cannot be written.
    Unsaid(anyhow::Error),
}

/// Follows the log until a signal.
pub(super) fn run(
    data_dir: &Path,
    log: Arc<DirStorage>,
    to: &Path,
    output: &OutputArgs,
    metrics_listen: Option<SocketAddr>,
) -> anyhow::Result<Exit> {
    actix_rt::System::new().block_on(wait(data_dir, log, to, output.json, metrics_listen))
}

async fn wait(
    data_dir: &Path,
    log: Arc<DirStorage>,
    to: &Path,
    json: bool,
    metrics_listen: Option<SocketAddr>,
) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let (metrics, lag) = (telemetry::install()?, Arc::<Lag>::default());
    // Before the directory is made: where nobody can watch it, none is begun.
    let server = match metrics_listen {
        None => None,
        Some(listen) => {
            let gauges = Arc::clone(&lag);
            let refresh = Arc::new(move || gauges.set_gauges());
            let bound = serve_metrics(listen, metrics, refresh);
            let (addresses, server) =
                bound.with_context(|| format!("cannot listen on {listen} (metrics-listen)"))?;
            for address in addresses {
                eprintln!("metrics at http://{address}/metrics");
            }
            Some(actix_rt::spawn(server))
        }
    };
    let backup = BackupDir::take(to, data_dir)?;
    let journal = backup.journal()?;
    let copy = Arc::clone(&journal.storage);
    let (data_dir, to) = (data_dir.to_owned(), to.to_owned());
    let follower = Follower { data_dir, to, log, copy, lag, json, told: None, tidied: None };
    let (stop, stopped) = channel();
    let (tell, mut ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("follow".to_owned());
    thread.spawn(move || tell.send(follower.run(&stopped))).context("cannot start a thread")?;
    let result = tokio::select! {
        result = &mut ended => result,
        _ = terminate.recv() => end(stop, ended).await,
        _ = interrupt.recv() => end(stop, ended).await,
    };
    if let Some(server) = server {
        server.abort();
    }
    result.context("the copying thread panicked")?
}

/// What was seen is copied; then it ends.
async fn end(
    stop: Sender<()>,
    ended: oneshot::Receiver<anyhow::Result<Exit>>,
) -> Result<anyhow::Result<Exit>, oneshot::error::RecvError> {
    drop(stop);
    ended.await
}

impl Follower {
    fn run(mut self, stop: &Receiver<()>) -> anyhow::Result<Exit> {
        let mut begun = false;
        loop {
            let halt = match open(&self.log, &self.copy) {
                Ok(mut copier) => {
                    if !begun {
                        self.tell_begin(&copier);
                    }
                    begun = true;
                    self.follow(&mut copier, stop)
                }
                Err(error) => Halt::Copy(error),
            };
            match halt {
                Halt::Stopped => return self.ended(),
                Halt::Unsaid(error) => return Err(error),
                Halt::Gone => return Err(self.gone()),
                Halt::Copy(error) if begun && is_gone(&error) && self.log.is_in_place() => {
                    // Archived or pruned between two looks: the log is read anew.
                    if is_stopped(stop, LOOK_AGAIN) {
                        return self.ended();
                    }
                }
                Halt::Copy(_) if begun && !self.log.is_in_place() => return Err(self.gone()),
                Halt::Copy(_) if begun && !self.copy.is_in_place() => {
                    let message = format!("{} was removed or replaced", self.to.display());
                    return Err(failure(Exit::Environment, message));
                }
                Halt::Copy(error) if begun && error.is_io() => {
                    eprintln!(
                        "warning: {error}; what {} has is sound, trying again",
                        self.to.display()
                    );
                    if is_stopped(stop, TRY_AGAIN) {
                        return self.ended();
                    }
                }
                Halt::Copy(error) => return Err(refused(error, &self.data_dir, &self.to)),
            }
        }
    }

    fn follow(&mut self, copier: &mut Copier, stop: &Receiver<()>) -> Halt {
        loop {
            if !self.log.is_in_place() {
                return Halt::Gone;
            }
            if let Err(error) = self.copy_seen(copier) {
                return Halt::Copy(error);
            }
            if let Err(error) = self.tell() {
                return Halt::Unsaid(error);
            }
            if let Err(error) = self.tidy(copier) {
                return Halt::Copy(error);
            }
            if is_stopped(stop, LOOK_AGAIN) {
                // Once more: what was proven before the signal is in the backup after it.
                return self.copy_seen(copier).map_or_else(Halt::Copy, |()| Halt::Stopped);
            }
        }
    }

    fn copy_seen(&self, copier: &mut Copier) -> Result<(), CopyError> {
        copier.look_again()?;
        self.lag.set(copier.copied(), copier.wanted());
        while let CopyStep::Copied(_) = copier.step()? {
            self.lag.set(copier.copied(), copier.wanted());
        }
        self.lag.set(copier.copied(), copier.wanted());
        Ok(())
    }

    fn tidy(&mut self, copier: &mut Copier) -> Result<(), CopyError> {
        if self.tidied.is_some_and(|last| last.elapsed() < TIDY) {
            return Ok(());
        }
        self.tidied = Some(Instant::now());
        if let Err(error) = copy_snapshots(&self.log, &self.copy, copier.copied()) {
            // Without them a start reads more of the log, no more.
            eprintln!("warning: a snapshot is not copied: {error}");
        }
        copier.archive()
    }

    fn tell_begin(&self, copier: &Copier) {
        eprintln!(
            "following {} into {}: it has records up to {} of {}",
            self.data_dir.display(),
            self.to.display(),
            grouped(copier.found()),
            grouped(copier.wanted()),
        );
    }

    /// A line now and then, when there is something new to tell.
    fn tell(&mut self) -> anyhow::Result<()> {
        let figures = self.lag.get();
        let due = match self.told {
            None => true,
            Some((at, copied)) => at.elapsed() >= TELL && copied != figures.copied,
        };
        if due {
            self.told = Some((Instant::now(), figures.copied));
            self.line(&figures)?;
        }
        Ok(())
    }

    fn line(&self, figures: &Figures) -> anyhow::Result<()> {
        let (records, seconds) = figures.lag();
        let sequence = figures.copied;
        if self.json {
            let line = LagJson { sequence, lag_records: records, lag_seconds: seconds };
            print(serde_json::to_string(&line)? + "\n")
        } else {
            eprintln!(
                "shipped up to record {}, {} records behind ({seconds:.1} s)",
                grouped(sequence),
                grouped(records)
            );
            Ok(())
        }
    }

    fn ended(&self) -> anyhow::Result<Exit> {
        self.line(&self.lag.get())?;
        Ok(Exit::Done)
    }

    fn gone(&self) -> anyhow::Error {
        let (data_dir, to) = (self.data_dir.display(), self.to.display());
        let copied = grouped(self.lag.get().copied);
        let message = format!(
            "the log in {data_dir} was removed or replaced; {to} has it up to record {copied}: \
             `doorbuster restore --from {to} --data-dir NEW`, or start this again for what is there now"
        );
        failure(Exit::Environment, message)
    }
}

/// Waits; whether it was told to stop meanwhile.
fn is_stopped(stop: &Receiver<()>, wait: Duration) -> bool {
    !matches!(stop.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
}

impl Lag {
    fn get(&self) -> Figures {
        *self.0.lock()
    }

    fn set(&self, copied: u64, wanted: u64) {
        let mut figures = self.0.lock();
        let since = (copied < wanted).then(|| figures.since.unwrap_or_else(Instant::now));
        *figures = Figures { copied, wanted, since };
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn set_gauges(&self) {
        let figures = self.get();
        let (records, seconds) = figures.lag();
        metrics::gauge!(telemetry::BACKUP_LAG_RECORDS).set(records as f64);
        metrics::gauge!(telemetry::BACKUP_LAG_SECONDS).set(seconds);
        metrics::gauge!(telemetry::BACKUP_SEQUENCE).set(figures.copied as f64);
    }
}

impl Figures {
    fn lag(&self) -> (u64, f64) {
        let seconds = self.since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        (self.wanted.saturating_sub(self.copied), seconds)
    }
}
