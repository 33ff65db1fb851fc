//! The rows a batch touches, as PostgreSQL has them: one statement a table.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use crate::projection::plan::Touched;
use crate::projection::rows::{Found, FoundHold, FoundLine, FoundOrder, ProductRow};
use crate::projection::time::ms_of_system_time;

const PRODUCTS: &str = "SELECT product_id, handle, name, price_minor, currency, sale_id, \
     opens_at, closes_at, oversell_limit, safety_stock, per_buyer_limit, low_stock_threshold, \
     paused, returns_free_limit, stock, held, sold, version, terms_version, created_at, updated_at \
     FROM products WHERE partition = $1 AND handle = ANY($2)";

const ORDERS: &str = "SELECT order_id, status FROM orders WHERE order_id = ANY($1)";

const LINES: &str = "SELECT l.order_id, l.line_no, l.product_id, l.quantity, l.cancelled \
     FROM unnest($1, $2) AS u (order_id, line_no) JOIN order_lines l USING (order_id, line_no)";

const HOLDS: &str = "SELECT hold_id, status, expires_at FROM holds WHERE hold_id = ANY($1)";

type Params<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// Reads them.
pub(super) async fn read(
    client: &Client,
    partition: i32,
    touched: &Touched,
) -> Result<Found, Error> {
    let Touched { products, orders, lines, holds } = touched;
    let mut found = Found::default();
    if !products.is_empty() {
        let params: Params<'_> = &[(&partition, Type::INT4), (products, Type::INT8_ARRAY)];
        found.products = rows(client, PRODUCTS, params, product_row).await?;
    }
    if !orders.is_empty() {
        found.orders = rows(client, ORDERS, &[(orders, Type::TEXT_ARRAY)], order_row).await?;
        let (ids, numbers): (Vec<&str>, Vec<i32>) =
            lines.iter().map(|(id, number)| (id.as_str(), *number)).unzip();
        let params: Params<'_> = &[(&ids, Type::TEXT_ARRAY), (&numbers, Type::INT4_ARRAY)];
        found.lines = rows(client, LINES, params, line_row).await?;
    }
    if !holds.is_empty() {
        found.holds = rows(client, HOLDS, &[(holds, Type::TEXT_ARRAY)], hold_row).await?;
    }
    Ok(found)
}

async fn rows<T>(
    client: &Client,
    sql: &str,
    params: Params<'_>,
    row: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    client.query_typed(sql, params).await?.iter().map(row).collect()
}

fn order_row(row: &Row) -> Result<FoundOrder, Error> {
    Ok(FoundOrder { order_id: row.try_get::<_, &str>(0)?.into(), status: row.try_get(1)? })
}

fn line_row(row: &Row) -> Result<FoundLine, Error> {
    Ok(FoundLine {
        order_id: row.try_get::<_, &str>(0)?.into(),
        line_no: row.try_get(1)?,
        product_id: row.try_get::<_, &str>(2)?.into(),
        quantity: row.try_get(3)?,
        cancelled: row.try_get(4)?,
    })
}

fn hold_row(row: &Row) -> Result<FoundHold, Error> {
    Ok(FoundHold {
        hold_id: row.try_get::<_, &str>(0)?.into(),
        status: row.try_get(1)?,
        expires_at_ms: ms_of_system_time(row.try_get(2)?),
    })
}

fn product_row(row: &Row) -> Result<ProductRow, Error> {
    let time = |column: usize| -> Result<Option<i64>, Error> {
        Ok(row.try_get::<_, Option<_>>(column)?.map(ms_of_system_time))
    };
    Ok(ProductRow {
        product_id: row.try_get::<_, &str>(0)?.into(),
        handle: row.try_get(1)?,
        name: row.try_get(2)?,
        price_minor: row.try_get(3)?,
        currency: row.try_get(4)?,
        sale_id: row.try_get(5)?,
        opens_at_ms: time(6)?,
        closes_at_ms: time(7)?,
        oversell_limit: row.try_get(8)?,
        safety_stock: row.try_get(9)?,
        per_buyer_limit: row.try_get(10)?,
        low_stock_threshold: row.try_get(11)?,
        paused: row.try_get(12)?,
        returns_free_limit: row.try_get(13)?,
        stock: row.try_get(14)?,
        held: row.try_get(15)?,
        sold: row.try_get(16)?,
        version: row.try_get(17)?,
        terms_version: row.try_get(18)?,
        created_at_ms: time(19)?.unwrap_or(0),
        updated_at_ms: time(20)?.unwrap_or(0),
    })
}
