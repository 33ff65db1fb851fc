//! Rows as columns: PostgreSQL takes many rows in one statement as one array a column.
//!
//! Statements are unnamed and their types are given, so one round trip does it and nothing stays
//! behind in the session: a pooler may hand each transaction to another server process.

use std::fmt::Write as _;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::rows::{
    HoldChange, HoldRow, HoldState, LineChange, LineRow, MovementRow, OrderChange, OrderRow,
    ProductChange, ProductRow, QuarantineRow, RefusalCountRow, Rows,
};
use super::time::system_time;

/// A column: its name, its values, the type of their array.
struct Column<'a> {
    name: &'static str,
    values: Box<dyn ToSql + Sync + 'a>,
    array: Type,
}

/// Rows being turned into columns.
struct Columns<'a, R> {
    rows: &'a [R],
    columns: Vec<Column<'a>>,
}

impl<'a, R> Columns<'a, R> {
    fn of(rows: &'a [R]) -> Self {
        Self { rows, columns: Vec::new() }
    }

    fn with<T: ToSql + Sync + 'a>(
        mut self,
        name: &'static str,
        array: Type,
        value: impl Fn(&'a R) -> T,
    ) -> Self {
        let values: Vec<T> = self.rows.iter().map(value).collect();
        self.columns.push(Column { name, values: Box::new(values), array });
        self
    }

    fn text(self, name: &'static str, value: impl Fn(&'a R) -> &'a str) -> Self {
        self.with(name, Type::TEXT_ARRAY, value)
    }

    fn maybe_text(self, name: &'static str, value: impl Fn(&'a R) -> Option<&'a str>) -> Self {
        self.with(name, Type::TEXT_ARRAY, value)
    }

    fn number(self, name: &'static str, value: impl Fn(&'a R) -> i64) -> Self {
        self.with(name, Type::INT8_ARRAY, value)
    }

    fn maybe_number(self, name: &'static str, value: impl Fn(&'a R) -> Option<i64>) -> Self {
        self.with(name, Type::INT8_ARRAY, value)
    }

    fn flag(self, name: &'static str, value: impl Fn(&'a R) -> bool) -> Self {
        self.with(name, Type::BOOL_ARRAY, value)
    }

    fn time(self, name: &'static str, ms: impl Fn(&'a R) -> i64) -> Self {
        self.with(name, Type::TIMESTAMPTZ_ARRAY, move |row| system_time(ms(row)))
    }

    fn maybe_time(self, name: &'static str, ms: impl Fn(&'a R) -> Option<i64>) -> Self {
        self.with(name, Type::TIMESTAMPTZ_ARRAY, move |row| ms(row).map(system_time))
    }

    /// Inserts the rows, each with `fixed` as its partition where the table has one.
    async fn insert(self, client: &Client, table: &str, fixed: Option<i32>) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let (mut names, mut places) = (String::new(), String::new());
        for (column, place) in self.columns.iter().zip(1..) {
            let comma = if place > 1 { ", " } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(names, "{comma}{}", column.name);
            let _ = write!(places, "{comma}${place}");
        }
        let last = self.columns.len() + 1;
        let sql = match fixed {
            Some(_) => format!(
                "INSERT INTO {table} ({names}, partition) \
                 SELECT u.*, ${last} FROM unnest({places}) AS u"
            ),
            None => format!("INSERT INTO {table} ({names}) SELECT u.* FROM unnest({places}) AS u"),
        };
        self.execute(client, &sql, fixed).await.map(|_| ())
    }

    /// Updates the rows of `t` that `guard` finds for a row of `u`; all but the columns `keys` are
    /// set. `false`: not every row was found.
    async fn update(
        self,
        client: &Client,
        table: &str,
        keys: &[&str],
        guard: &str,
        fixed: Option<i32>,
    ) -> Result<bool, Error> {
        let rows = self.rows.len();
        if rows == 0 {
            return Ok(true);
        }
        let (mut set, mut names, mut places) = (String::new(), String::new(), String::new());
        for (column, place) in self.columns.iter().zip(1..) {
            let (name, comma) = (column.name, if place > 1 { ", " } else { "" });
            let _ = write!(names, "{comma}{name}");
            let _ = write!(places, "{comma}${place}");
            if !keys.contains(&name) {
                let comma = if set.is_empty() { "" } else { ", " };
                let _ = write!(set, "{comma}{name} = u.{name}");
            }
        }
        let last = self.columns.len() + 1;
        let at = fixed.map(|_| format!("t.partition = ${last} AND ")).unwrap_or_default();
        let sql = format!(
            "UPDATE {table} AS t SET {set} FROM unnest({places}) AS u ({names}) WHERE {at}{guard}"
        );
        Ok(self.execute(client, &sql, fixed).await? == rows as u64)
    }

    async fn execute(self, client: &Client, sql: &str, fixed: Option<i32>) -> Result<u64, Error> {
        let values = self.columns.iter();
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> =
            values.map(|column| (&*column.values, column.array.clone())).collect();
        if let Some(fixed) = &fixed {
            params.push((fixed, Type::INT4));
        }
        client.execute_typed(sql, &params).await
    }
}

/// Writes all rows of a batch; `false`: a row was not as it was read.
pub(super) async fn write(client: &Client, partition: i32, rows: &Rows<'_>) -> Result<bool, Error> {
    let at = Some(partition);
    created(&rows.created).insert(client, "products", at).await?;
    if !change(client, at, rows).await? {
        return Ok(false);
    }
    orders(&rows.orders).insert(client, "orders", at).await?;
    lines(&rows.lines).insert(client, "order_lines", None).await?;
    holds(&rows.holds).insert(client, "holds", at).await?;
    movements(&rows.movements).insert(client, "movements", at).await?;
    refusals(&rows.refusals).insert(client, "refusal_counts", at).await?;
    quarantined(&rows.quarantined).insert(client, "quarantine", at).await?;
    Ok(true)
}

async fn change(client: &Client, at: Option<i32>, rows: &Rows<'_>) -> Result<bool, Error> {
    let products = product(Columns::of(&rows.changed), |change: &ProductChange| &change.row)
        .number("expected", |change| change.expected)
        .update(
            client,
            "products",
            &["handle", "expected"],
            "t.handle = u.handle AND t.version = u.expected",
            at,
        );
    let orders = Columns::of(&rows.orders_changed)
        .text("order_id", |change: &OrderChange| &change.order_id)
        .text("expected", |change| &change.expected)
        .text("status", |change| change.status)
        .update(
            client,
            "orders",
            &["order_id", "expected"],
            "t.order_id = u.order_id AND t.status = u.expected",
            None,
        );
    let lines = Columns::of(&rows.lines_changed)
        .text("order_id", |change: &LineChange| &change.order_id)
        .with("line_no", Type::INT4_ARRAY, |change| change.line_no)
        .number("expected", |change| change.expected)
        .number("cancelled", |change| change.cancelled)
        .update(
            client,
            "order_lines",
            &["order_id", "line_no", "expected"],
            "t.order_id = u.order_id AND t.line_no = u.line_no AND t.cancelled = u.expected",
            None,
        );
    let holds = hold_state(Columns::of(&rows.holds_changed), |change: &HoldChange| &change.state)
        .text("hold_id", |change| &change.hold_id)
        .update(client, "holds", &["hold_id"], "t.hold_id = u.hold_id AND t.status = 'held'", None);
    Ok(products.await? && orders.await? && lines.await? && holds.await?)
}

fn created(rows: &[ProductRow]) -> Columns<'_, ProductRow> {
    product(Columns::of(rows), |row| row)
        .text("product_id", |row| &row.product_id)
        .time("created_at", |row| row.created_at_ms)
}

/// The columns of a product that may change, and its handle.
fn product<'a, R>(
    columns: Columns<'a, R>,
    row: impl Fn(&'a R) -> &'a ProductRow + Copy,
) -> Columns<'a, R> {
    columns
        .number("handle", move |r| row(r).handle)
        .text("name", move |r| &row(r).name)
        .maybe_number("price_minor", move |r| row(r).price_minor)
        .maybe_text("currency", move |r| row(r).currency.as_deref())
        .maybe_text("sale_id", move |r| row(r).sale_id.as_deref())
        .maybe_time("opens_at", move |r| row(r).opens_at_ms)
        .maybe_time("closes_at", move |r| row(r).closes_at_ms)
        .number("oversell_limit", move |r| row(r).oversell_limit)
        .number("safety_stock", move |r| row(r).safety_stock)
        .maybe_number("per_buyer_limit", move |r| row(r).per_buyer_limit)
        .maybe_number("low_stock_threshold", move |r| row(r).low_stock_threshold)
        .flag("paused", move |r| row(r).paused)
        .flag("returns_free_limit", move |r| row(r).returns_free_limit)
        .number("stock", move |r| row(r).stock)
        .number("held", move |r| row(r).held)
        .number("sold", move |r| row(r).sold)
        .number("version", move |r| row(r).version)
        .number("terms_version", move |r| row(r).terms_version)
        .time("updated_at", move |r| row(r).updated_at_ms)
}

fn orders<'a>(rows: &'a [OrderRow<'a>]) -> Columns<'a, OrderRow<'a>> {
    Columns::of(rows)
        .text("order_id", |row| &row.order_id)
        .number("sequence", |row| row.sequence)
        .text("buyer_id", |row| row.buyer_id)
        .maybe_text("reference", |row| row.reference)
        .text("principal", |row| row.principal)
        .text("status", |row| row.status)
        .time("placed_at", |row| row.placed_at_ms)
        .maybe_text("hold_id", |row| row.hold_id.as_deref())
}

fn holds<'a>(rows: &'a [HoldRow<'a>]) -> Columns<'a, HoldRow<'a>> {
    hold_state(Columns::of(rows), |row| &row.state)
        .text("hold_id", |row| &row.hold_id)
        .number("sequence", |row| row.sequence)
        .text("buyer_id", |row| row.buyer_id)
        .maybe_text("reference", |row| row.reference)
        .text("principal", |row| row.principal)
        .time("placed_at", |row| row.placed_at_ms)
}

/// The columns of a hold that may change.
fn hold_state<'a, R>(
    columns: Columns<'a, R>,
    state: impl Fn(&'a R) -> &'a HoldState + Copy,
) -> Columns<'a, R> {
    columns
        .time("expires_at", move |r| state(r).expires_at_ms)
        .text("status", move |r| state(r).status())
        .maybe_time("resolved_at", move |r| state(r).resolved_at_ms())
        .maybe_text("order_id", move |r| state(r).order_id())
}

fn lines(rows: &[LineRow]) -> Columns<'_, LineRow> {
    Columns::of(rows)
        .text("order_id", |row| &row.order_id)
        .with("line_no", Type::INT4_ARRAY, |row| row.line_no)
        .text("product_id", |row| &row.product_id)
        .number("quantity", |row| row.quantity)
        .maybe_number("unit_price_minor", |row| row.unit_price_minor)
        .maybe_text("currency", |row| row.currency.as_ref().map(|currency| currency.as_str()))
        .number("cancelled", |row| row.cancelled)
}

fn movements<'a>(rows: &'a [MovementRow<'a>]) -> Columns<'a, MovementRow<'a>> {
    Columns::of(rows)
        .text("product_id", |row| &row.product_id)
        .number("version", |row| row.version)
        .number("sequence", |row| row.sequence)
        .text("kind", |row| row.kind)
        .time("decided_at", |row| row.decided_at_ms)
        .number("stock_delta", |row| row.deltas.stock)
        .number("held_delta", |row| row.deltas.held)
        .number("sold_delta", |row| row.deltas.sold)
        .number("stock", |row| row.stock)
        .number("held", |row| row.held)
        .number("sold", |row| row.sold)
        .maybe_text("reason", |row| row.reason)
        .maybe_text("text", |row| row.text)
        .maybe_text("terms", |row| row.terms.as_deref())
        .maybe_text("order_id", |row| row.order_id.as_deref())
        .maybe_text("hold_id", |row| row.hold_id.as_deref())
        .maybe_text("reference", |row| row.reference)
        .text("principal", |row| row.principal)
}

fn refusals(rows: &[RefusalCountRow]) -> Columns<'_, RefusalCountRow> {
    Columns::of(rows)
        .number("sequence", |row| row.sequence)
        .text("product_id", |row| &row.product_id)
        .text("reason", |row| row.reason)
        .time("minute", |row| row.minute_ms)
        .number("refusals", |row| row.refusals)
}

fn quarantined(rows: &[QuarantineRow]) -> Columns<'_, QuarantineRow> {
    Columns::of(rows)
        .number("sequence", |row| row.sequence)
        .text("kind", |row| row.kind)
        .maybe_time("decided_at", |row| row.decided_at_ms)
        .text("code", |row| &row.code)
        .text("error", |row| &row.error)
        .text("record", |row| &row.record)
}
