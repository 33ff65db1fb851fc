//! Reading PostgreSQL: a connection of its own, each page in a read-only transaction that sets its
//! own limits, so that a pooler may stand between.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::pages::{HISTORY, OrdersSql, RawMovement, history_bounds};
use super::{Rows, Tables};
use crate::engine::ports::{HistoryQuery, OrderQuery};
use crate::projection::options::{SchemaName, SecretUrl};
use crate::projection::postgres::{READ_PROGRESS, Server, limited, progress_columns, unavailable};
use crate::projection::store::StoreError;
use crate::projection::time::ms_of_system_time;

/// The schema as one thread reads it.
pub(super) struct PostgresTables {
    server: Server,
    limit: Duration,
    runtime: Runtime,
    client: Option<Client>,
}

type Params<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

impl PostgresTables {
    pub(super) fn new(
        url: &SecretUrl,
        schema: &SchemaName,
        limit: Duration,
    ) -> std::io::Result<Self> {
        let server = Server::new(url, schema, limit);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { server, limit, runtime, client: None })
    }

    /// Reads in one transaction. What fails on a kept connection is tried on a new one, unless it
    /// took too long; what fails there, the next reading tries again.
    fn read<R>(
        &mut self,
        partition: u16,
        sql: &str,
        params: Params<'_>,
        row: fn(&Row) -> Result<R, Error>,
    ) -> Result<Rows<R>, StoreError> {
        let (server, limit) = (&self.server, self.limit);
        let kept = self.client.take();
        let (client, rows) = self.runtime.block_on(limited(limit, async {
            let query = Query { partition: i32::from(partition), sql, params, row };
            if let Some(client) = kept {
                match query.read(server, &client).await {
                    Err(error) if error.code() != Some(&SqlState::QUERY_CANCELED) => {}
                    read => return Ok((client, read.map_err(unavailable)?)),
                }
            }
            let client = server.connect().await?;
            let rows = query.read(server, &client).await.map_err(unavailable)?;
            Ok((client, rows))
        }))?;
        self.client = Some(client);
        Ok(rows)
    }
}

struct Query<'a, R> {
    partition: i32,
    sql: &'a str,
    params: Params<'a>,
    row: fn(&Row) -> Result<R, Error>,
}

impl<R> Query<'_, R> {
    async fn read(&self, server: &Server, client: &Client) -> Result<Rows<R>, Error> {
        server.begin_reading(client).await?;
        let partition: Params<'_> = &[(&self.partition, Type::INT4)];
        let progress = client.query_typed_opt(READ_PROGRESS, partition).await?;
        let progress = progress.map(|row| progress_columns(&row)).transpose()?;
        let rows = client.query_typed(self.sql, self.params).await?;
        client.batch_execute("COMMIT").await?;
        let rows = rows.iter().map(self.row).collect::<Result<_, _>>()?;
        Ok(Rows { progress: progress.and_then(|row| row.try_into().ok()), rows })
    }
}

impl Tables for PostgresTables {
    fn orders(&mut self, partition: u16, query: &OrderQuery) -> Result<Rows<String>, StoreError> {
        let OrdersSql { sql, before, limit, words } = OrdersSql::of(query);
        let at = i32::from(partition);
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&at, Type::INT4), (&before, Type::INT8), (&limit, Type::INT8)];
        params.extend(words.iter().map(|word| (word as &(dyn ToSql + Sync), Type::TEXT)));
        self.read(partition, sql, &params, |row| row.try_get(0))
    }

    fn history(
        &mut self,
        partition: u16,
        query: &HistoryQuery,
    ) -> Result<Rows<RawMovement>, StoreError> {
        let (before, limit) = history_bounds(query);
        let product_id = query.product_id.as_str();
        let params: Params<'_> =
            &[(&product_id, Type::TEXT), (&before, Type::INT8), (&limit, Type::INT8)];
        self.read(partition, HISTORY, params, movement)
    }
}

fn movement(row: &Row) -> Result<RawMovement, Error> {
    Ok(RawMovement {
        version: row.try_get(0)?,
        sequence: row.try_get(1)?,
        kind: row.try_get(2)?,
        decided_at_ms: ms_of_system_time(row.try_get(3)?),
        deltas: [row.try_get(4)?, row.try_get(5)?, row.try_get(6)?],
        figures: [row.try_get(7)?, row.try_get(8)?, row.try_get(9)?],
        reason: row.try_get(10)?,
        text: row.try_get(11)?,
        terms: row.try_get(12)?,
        order_id: row.try_get(13)?,
        hold_id: row.try_get(14)?,
        reference: row.try_get(15)?,
        principal: row.try_get(16)?,
    })
}
