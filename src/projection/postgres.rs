//! PostgreSQL: one connection, opened again whenever anything about it is in doubt.
//!
//! Every statement, reading too, runs in a transaction that first sets its own limits and search
//! path (`SET LOCAL`), with unnamed statements of given types: nothing lives in the session, so a
//! pooler in transaction mode may stand between. A transaction that takes longer than its limit
//! is given up with its connection; whether it committed, `progress` tells. Should the server
//! still work on it, the next guard waits for its row.

mod found;

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, NoTls, Row};

use super::columns::write;
use super::migrations::{HISTORY, InPostgres, POSTGRES, runner};
use super::options::{SchemaName, SecretUrl};
use super::plan::{plan, touched};
use super::store::{
    Applied, Batch, ContentError, Opened, ProgressColumns, Store, StoreError, journal_id_text,
};
use super::time::system_time;
use crate::journal::JournalIdentity;

/// Longest wait for a connection to be there.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Longest time for bringing the tables up to date: a later migration may rewrite one.
const MIGRATION_LIMIT: Duration = Duration::from_secs(3600);

/// How long a waiting lock, or a transaction whose client has vanished, may last.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

const BEGIN_PROGRESS: &str = "INSERT INTO progress (partition, journal_id, epoch, sequence, checksum) \
     VALUES ($1, $2, $3, 0, 0) ON CONFLICT DO NOTHING";

pub(super) const READ_PROGRESS: &str = "SELECT journal_id, partition, epoch, sequence, checksum FROM progress \
     WHERE partition = $1";

const GUARD: &str = "UPDATE progress SET sequence = $1, checksum = $2, epoch = $9, \
     decided_at = coalesce($3, decided_at), written_at = now() \
     WHERE partition = $4 AND journal_id = $5 AND epoch = $6 AND sequence = $7 AND checksum = $8";

/// The projection in a schema of PostgreSQL.
pub struct PostgresStore {
    server: Server,
    runtime: Runtime,
    client: Option<Client>,
    place: String,
}

/// Which server and schema, under which limits.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    schema: SchemaName,
    transaction_limit: Duration,
}

/// Why a transaction was not committed, or may not be.
enum Fault {
    /// Before or at the guard, or about the connection.
    Sql(Error),
    /// After the guard: may be about what the records hold.
    Guarded(Error),
    Raced,
}

impl PostgresStore {
    /// A store in this schema, made when it is first opened.
    ///
    /// # Errors
    /// The system has no file left to wait with.
    pub fn new(
        url: &SecretUrl,
        schema: &SchemaName,
        transaction_limit: Duration,
    ) -> std::io::Result<Self> {
        let place = format!("the schema {} of {url}", schema.as_str());
        let server = Server::new(url, schema, transaction_limit);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { server, runtime, client: None, place })
    }
}

impl Store for PostgresStore {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn kind(&self) -> &'static str {
        "schema"
    }

    fn is_on_data_disk(&self) -> bool {
        false
    }

    fn open(&mut self, identity: &JournalIdentity) -> Result<Opened, StoreError> {
        let kept = self.client.take().filter(|client| !client.is_closed());
        let server = &self.server;
        let (client, opened) = self.runtime.block_on(async {
            let mut client = kept;
            if client.is_none() {
                let new = server.connect().await?;
                limited(MIGRATION_LIMIT, server.migrate(&new)).await?;
                client = Some(new);
            }
            let client = client.ok_or_else(not_connected)?;
            let opened = limited(server.transaction_limit, server.open(&client, identity)).await?;
            Ok::<_, StoreError>((client, opened))
        })?;
        self.client = Some(client);
        Ok(opened)
    }

    fn apply(&mut self, batch: &Batch<'_>) -> Result<Applied, StoreError> {
        // Taken out: whatever is not known to have ended well is not used again.
        let client = self.client.take().ok_or_else(not_connected)?;
        let server = &self.server;
        let result = self.runtime.block_on(async {
            let end = limited(server.transaction_limit, async {
                match server.apply(&client, batch).await {
                    Ok(applied) => Ok(Ok(applied)),
                    // The server is alive and has answered: end the transaction and go on with it.
                    Err(fault) if !client.is_closed() => {
                        client.batch_execute("ROLLBACK").await.map_err(unavailable)?;
                        Ok(Err(fault.into()))
                    }
                    Err(fault) => Err(fault.into()),
                }
            });
            end.await
        });
        let result = result?;
        self.client = Some(client);
        result
    }
}

impl Server {
    pub(super) fn new(url: &SecretUrl, schema: &SchemaName, transaction_limit: Duration) -> Self {
        let mut config = url.config();
        config
            .connect_timeout(CONNECT_LIMIT)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(20));
        if config.get_application_name().is_none() {
            config.application_name("doorbuster");
        }
        Self { config, schema: schema.clone(), transaction_limit }
    }

    pub(super) async fn connect(&self) -> Result<Client, StoreError> {
        let connect = async { self.config.connect(NoTls).await.map_err(unavailable) };
        // The driver's own limit covers reaching the host, this one a server that does not answer.
        let (client, connection) = limited(CONNECT_LIMIT * 2, connect).await?;
        tokio::spawn(async move {
            // Whoever uses the client hears of the failure.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Begins a transaction in the schema, with limits of its own.
    async fn begin(&self, client: &Client, limit: Duration) -> Result<(), Error> {
        let schema = self.schema.as_str();
        let (limit, lock) = (limit.as_millis(), LOCK_LIMIT.min(limit).as_millis());
        client
            .batch_execute(&format!(
                "BEGIN; SET LOCAL search_path TO \"{schema}\"; \
                 SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {lock}; \
                 SET LOCAL idle_in_transaction_session_timeout = {lock}"
            ))
            .await
    }

    /// Begins a transaction that reads one moment's tables and cannot change them.
    pub(super) async fn begin_reading(&self, client: &Client) -> Result<(), Error> {
        self.begin(client, self.transaction_limit).await?;
        client.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await
    }

    /// Brings the tables up to date, one process at a time.
    async fn migrate(&self, client: &Client) -> Result<(), StoreError> {
        let schema = self.schema.as_str();
        self.begin(client, MIGRATION_LIMIT).await.map_err(unavailable)?;
        let name = format!("doorbuster migrations of {schema}");
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        client.query_typed(lock, &[(&name, Type::TEXT)]).await.map_err(unavailable)?;
        // Asked first: making what is there already needs the right to make.
        let has = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1), EXISTS (SELECT FROM \
             pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)";
        let row = client
            .query_typed_one(has, &[(&schema, Type::TEXT), (&HISTORY, Type::TEXT)])
            .await
            .map_err(unavailable)?;
        let has_schema: bool = row.try_get(0).map_err(unavailable)?;
        let has_history: bool = row.try_get(1).map_err(unavailable)?;
        if !has_schema {
            let create = format!("CREATE SCHEMA \"{schema}\"");
            client.batch_execute(&create).await.map_err(unavailable)?;
        }
        let failed = |error: refinery_core::Error| StoreError::Unavailable(with_causes(&error));
        let mut transaction = InPostgres { client, has_history };
        runner(POSTGRES).map_err(failed)?.run_async(&mut transaction).await.map_err(failed)?;
        client.batch_execute("COMMIT").await.map_err(unavailable)
    }

    /// Reads `progress`, beginning it where there is none.
    async fn open(
        &self,
        client: &Client,
        identity: &JournalIdentity,
    ) -> Result<Opened, StoreError> {
        let partition = i32::from(identity.partition);
        self.begin(client, self.transaction_limit).await.map_err(unavailable)?;
        let id = journal_id_text(&identity.journal_id);
        let epoch = i64::from(identity.epoch);
        client
            .execute_typed(
                BEGIN_PROGRESS,
                &[(&partition, Type::INT4), (&id, Type::TEXT), (&epoch, Type::INT8)],
            )
            .await
            .map_err(unavailable)?;
        let row = client
            .query_typed_one(READ_PROGRESS, &[(&partition, Type::INT4)])
            .await
            .map_err(unavailable)?;
        let count = client.query_typed_one("SELECT count(*) FROM quarantine", &[]).await;
        let count: i64 = count.and_then(|row| row.try_get(0)).map_err(unavailable)?;
        client.batch_execute("COMMIT").await.map_err(unavailable)?;
        let progress = progress_columns(&row).map_err(unavailable)?.try_into()?;
        Ok(Opened { progress, quarantined: u64::try_from(count).unwrap_or(0) })
    }

    async fn apply(&self, client: &Client, batch: &Batch<'_>) -> Result<Applied, Fault> {
        let (from, progress) = (batch.from, batch.upto());
        let partition = i32::from(from.identity.partition);
        self.begin(client, self.transaction_limit).await.map_err(Fault::Sql)?;
        if guard(client, batch).await.map_err(Fault::Sql)? != 1 {
            return Err(Fault::Raced);
        }
        let found = found::read(client, partition, &touched(batch)).await.map_err(Fault::Sql)?;
        let rows = plan(batch, found);
        if !write(client, partition, &rows).await.map_err(Fault::Guarded)? {
            return Err(Fault::Raced);
        }
        client.batch_execute("COMMIT").await.map_err(Fault::Guarded)?;
        Ok(Applied { progress, quarantined: rows.quarantined.len() as u64 })
    }
}

async fn guard(client: &Client, batch: &Batch<'_>) -> Result<u64, Error> {
    let (from, upto) = (batch.from, batch.upto());
    let number = |sequence: crate::domain::Sequence| i64::try_from(sequence.get());
    let (old, new) = (number(from.sequence), number(upto.sequence));
    // A sequence has 56 bits.
    let (old, new) = (old.unwrap_or(i64::MAX), new.unwrap_or(i64::MAX));
    let decided_at = batch.decided_at_ms().map(system_time);
    let id = journal_id_text(&from.identity.journal_id);
    client
        .execute_typed(
            GUARD,
            &[
                (&new, Type::INT8),
                (&i64::from(upto.checksum), Type::INT8),
                (&decided_at, Type::TIMESTAMPTZ),
                (&i32::from(from.identity.partition), Type::INT4),
                (&id, Type::TEXT),
                (&i64::from(from.identity.epoch), Type::INT8),
                (&old, Type::INT8),
                (&i64::from(from.checksum), Type::INT8),
                (&i64::from(upto.identity.epoch), Type::INT8),
            ],
        )
        .await
}

pub(super) fn progress_columns(row: &Row) -> Result<ProgressColumns, Error> {
    Ok(ProgressColumns {
        journal_id: row.try_get(0)?,
        partition: i64::from(row.try_get::<_, i32>(1)?),
        epoch: row.try_get(2)?,
        sequence: row.try_get(3)?,
        checksum: row.try_get(4)?,
    })
}

/// Gives up what takes longer than `limit`.
pub(super) async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let too_long = |_| StoreError::TooSlow(format!("no answer within {limit:?}"));
    tokio::time::timeout(limit, work).await.map_err(too_long)?
}

fn not_connected() -> StoreError {
    StoreError::Unavailable("not connected".to_owned())
}

/// An error with what caused it: the outermost often says only that something failed.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What the server says, or what became of the connection.
pub(super) fn unavailable(error: Error) -> StoreError {
    match error.code() {
        // Canceled by the transaction's own limit.
        Some(code) if *code == SqlState::QUERY_CANCELED => StoreError::TooSlow(error_text(&error)),
        _ => StoreError::Unavailable(error_text(&error)),
    }
}

fn error_text(error: &Error) -> String {
    let Some(said) = error.as_db_error() else {
        // The driver names the layer, its source the reason.
        return match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{}{detail} [SQLSTATE {}]", said.message(), said.code().code())
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let error = match fault {
            Fault::Raced => return Self::Raced,
            Fault::Sql(error) => return unavailable(error),
            Fault::Guarded(error) => error,
        };
        let Some(said) = error.as_db_error() else { return unavailable(error) };
        let code = said.code();
        if *code == SqlState::UNIQUE_VIOLATION {
            return Self::Collision(error_text(&error));
        }
        let is_content = ["22", "23"].iter().any(|class| code.code().starts_with(class))
            || code.code() == "P0001";
        if !is_content {
            return unavailable(error);
        }
        Self::Content(ContentError { code: code.code().to_owned(), message: error_text(&error) })
    }
}
