//! Starting, watching and ending a projection: its thread as others hold it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::control::Control;
use super::options::{ProjectorOptions, StoreConfig};
use super::postgres::PostgresStore;
use super::projector::Projector;
use super::reader;
use super::source::LogSource;
use super::sqlite::SqliteStore;
use super::status::Status;
use super::store::Store;
use crate::background::run_when_idle;
use crate::domain::Sequence;
use crate::engine::ports::{OrderReader, ProjectionStatus};
use crate::journal::JournalReader;

/// A running projection. Dropping it ends the thread without waiting for what is left.
pub struct Projection {
    control: Arc<Control>,
    status: Arc<Status>,
    thread: Option<JoinHandle<Option<Projector>>>,
}

/// What a drain has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything asked for is in the tables.
    Done,
    /// It is not; the next start writes what is left.
    Left {
        /// Records that are not.
        records: u64,
    },
}

/// Why a projection does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system has no thread left.
    #[error("cannot start the projection's thread: {0}")]
    Thread(std::io::Error),
}

/// Starts copying the journal into a database. The database need not be there yet.
///
/// # Errors
/// The system's; the database's show in [`Projection::status`].
pub fn start(
    config: &StoreConfig,
    reader: JournalReader,
    options: ProjectorOptions,
) -> Result<Projection, StartError> {
    start_from(store_of(config, &options)?, Arc::new(reader), options)
}

/// As [`start`], from another source than the running log: its files.
///
/// # Errors
/// As [`start`].
pub fn start_copy(
    config: &StoreConfig,
    source: Arc<dyn LogSource>,
    options: ProjectorOptions,
) -> Result<Projection, StartError> {
    start_from(store_of(config, &options)?, source, options)
}

fn store_of(
    config: &StoreConfig,
    options: &ProjectorOptions,
) -> Result<Box<dyn Store>, StartError> {
    Ok(match config {
        StoreConfig::Sqlite { path } => Box::new(SqliteStore::new(path)),
        StoreConfig::Postgres { url, schema } => {
            let store = PostgresStore::new(url, schema, options.transaction_limit);
            Box::new(store.map_err(StartError::Thread)?)
        }
    })
}

/// As [`start`], with a store of the caller's: where faults enter.
///
/// # Errors
/// The system's.
pub fn start_with(
    store: Box<dyn Store>,
    reader: JournalReader,
    options: ProjectorOptions,
) -> Result<Projection, StartError> {
    start_from(store, Arc::new(reader), options)
}

fn start_from(
    store: Box<dyn Store>,
    source: Arc<dyn LogSource>,
    options: ProjectorOptions,
) -> Result<Projection, StartError> {
    let control = Arc::new(Control::default());
    let status = Status::new(Arc::clone(&source), Arc::clone(&options.now_ms));
    let projector =
        Projector::new(store, source, options, Arc::clone(&status), Arc::clone(&control));
    let mut projection = Projection { control, status, thread: None };
    projection.spawn("projection", || {
        run_when_idle();
        projector.run()
    })?;
    Ok(projection)
}

/// Says that the thread has ended, also when it panics.
struct Ended {
    control: Arc<Control>,
    status: Arc<Status>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.status.stopped("the projection's thread panicked: start again".to_owned());
        }
        self.control.end();
    }
}

impl Projection {
    fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() -> Option<Projector> + Send + 'static,
    ) -> Result<(), StartError> {
        let (control, status) = (Arc::clone(&self.control), Arc::clone(&self.status));
        let run = move || {
            let _ended = Ended { control, status };
            run()
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.thread = Some(thread.map_err(StartError::Thread)?);
        Ok(())
    }

    /// How it is, for as long as somebody asks.
    #[must_use]
    pub fn status(&self) -> Arc<dyn ProjectionStatus> {
        Arc::clone(&self.status) as Arc<dyn ProjectionStatus>
    }

    /// Reads the tables for others, in threads of its own that end with it. `config` is what the
    /// projection was started with.
    ///
    /// # Errors
    /// The system's; the database's come as answers.
    pub fn reader(&self, config: &StoreConfig) -> Result<Arc<dyn OrderReader>, StartError> {
        let reader = reader::start(config, &self.status).map_err(StartError::Thread)?;
        Ok(Arc::new(reader))
    }

    /// Writes everything up to `upto`, the last durable record, then ends. Takes at most about
    /// `limit`; a transaction that is under way then ends with the process, whole or not at all.
    ///
    /// Nothing is sold any more, so a thread of this one's priority takes over: one of the idle
    /// policy might not run at all on a busy machine. It cannot be given another policy, which
    /// Linux allows to the privileged alone.
    #[must_use]
    pub fn drain(mut self, upto: Sequence, limit: Duration) -> Drained {
        self.control.abandon();
        if let Some(left) = self.control.wait_for_end(limit)
            && let Some(projector) = self.join()
        {
            self.control.drain(upto);
            match self.spawn("projection-drain", || projector.run()) {
                Ok(()) if self.control.wait_for_end(left).is_some() => drop(self.join()),
                Ok(()) => {}
                Err(error) => tracing::error!(%error, "the database is not brought up to date"),
            }
        }
        let applied = self.status.applied().map_or(0, Sequence::get);
        match upto.get().saturating_sub(applied) {
            0 => Drained::Done,
            records => Drained::Left { records },
        }
    }

    /// Ends after the transaction that is under way, if there is one.
    pub fn stop(mut self) {
        self.control.abandon();
        drop(self.join());
    }

    fn join(&mut self) -> Option<Projector> {
        self.thread.take()?.join().unwrap_or_else(|_| {
            tracing::error!("the projection's thread panicked");
            None
        })
    }
}

impl Drop for Projection {
    fn drop(&mut self) {
        self.control.abandon();
    }
}
