//! PostgreSQL's sessions seen from one of them: a transaction of somebody else's that has written.
//!
//! The only other client of a campaign's PostgreSQL is the engine, so such a transaction is the
//! projection's. What became of it, the server itself says.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::trigger::{self, Blow, Strike, Struck};

/// Those of this database that have a transaction with changes.
const OPEN: &str = "SELECT backend_xid::text FROM pg_stat_activity \
                    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() \
                    AND datname = current_database()";
/// How long a session may take to see that its client is gone.
const END_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// A session that looks at the others. Blocks its thread.
pub(crate) struct Sessions {
    runtime: Runtime,
    client: Client,
}

impl Sessions {
    /// # Errors
    /// The server cannot be reached.
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (client, connection) = runtime
            .block_on(tokio_postgres::connect(url, NoTls))
            .context("cannot reach PostgreSQL")?;
        // An error of the session is the next statement's.
        runtime.spawn(async { drop(connection.await) });
        Ok(Self { runtime, client })
    }

    /// As [`Trigger::strike`](trigger::Trigger::strike): `event` counts transactions.
    pub(crate) fn strike(
        &self,
        pid: Pid,
        strike: &Strike,
        until: Instant,
    ) -> anyhow::Result<Option<Struck>> {
        let (mut seen, mut last) = (0, None);
        while Instant::now() < until {
            let Some(transaction) = self.open_transaction()? else { continue };
            if last.as_ref() == Some(&transaction) {
                continue;
            }
            (seen, last) = (seen + 1, Some(transaction.clone()));
            if seen < strike.event {
                continue;
            }
            let in_flight = strike.in_flight.load(Ordering::Relaxed);
            let struck = Struck { in_flight, transaction: Some(transaction) };
            if strike.blow == Blow::Kill {
                kill_process(pid, Signal::KILL)?;
                return Ok(Some(struck));
            }
            trigger::stop(pid)?;
            if self.open_transaction()? == struck.transaction {
                return Ok(Some(struck));
            }
            kill_process(pid, Signal::CONT)?;
        }
        Ok(None)
    }

    fn open_transaction(&self) -> anyhow::Result<Option<String>> {
        self.first(OPEN)
    }

    fn first(&self, sql: &str) -> anyhow::Result<Option<String>> {
        let messages = self.runtime.block_on(self.client.simple_query(sql))?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// Whether a transaction of a client that is gone was never committed. Waits until it has ended.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn was_rolled_back(&self, transaction: &str) -> anyhow::Result<bool> {
        let sql = format!("SELECT pg_xact_status('{transaction}'::xid8)");
        let until = Instant::now() + END_LIMIT;
        loop {
            match self.first(&sql)?.as_deref() {
                Some("aborted") => return Ok(true),
                Some("committed") => return Ok(false),
                other if Instant::now() > until => {
                    bail!("transaction {transaction} of a killed client is {other:?}")
                }
                _ => std::thread::sleep(POLL),
            }
        }
    }
}
