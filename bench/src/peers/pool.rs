//! A worker's own connections to PostgreSQL: taken for one statement, then given back.
//!
//! Statements are prepared once on each connection. A pool is not shared between threads, so that
//! taking a connection wakes nobody on another one.

use std::cell::RefCell;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

/// Some connections with the same prepared statements.
#[derive(Debug)]
pub(super) struct Pool {
    free: RefCell<Vec<Session>>,
    permits: Semaphore,
}

#[derive(Debug)]
struct Session {
    client: Client,
    statements: Vec<Statement>,
}

impl Pool {
    /// Connects `size` times and prepares `statements`.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn connect(
        url: &str,
        size: usize,
        statements: &[&str],
    ) -> anyhow::Result<Self> {
        let mut free = Vec::with_capacity(size);
        for _ in 0..size {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::task::spawn_local(async move {
                if let Err(error) = connection.await {
                    eprintln!("error: a connection to the database: {error}");
                }
            });
            let mut prepared = Vec::with_capacity(statements.len());
            for statement in statements {
                prepared.push(client.prepare(statement).await?);
            }
            free.push(Session { client, statements: prepared });
        }
        Ok(Self { free: RefCell::new(free), permits: Semaphore::new(size) })
    }

    /// Runs the prepared statement of that place; it gives one row or none.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn row(
        &self,
        statement: usize,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> anyhow::Result<Option<Row>> {
        let _permit = self.permits.acquire().await?;
        let session = self.free.borrow_mut().pop().context("a permit has a connection")?;
        let prepared = session.statements.get(statement).context("a prepared statement")?;
        let row = session.client.query_opt(prepared, parameters).await;
        self.free.borrow_mut().push(session);
        Ok(row?)
    }
}
