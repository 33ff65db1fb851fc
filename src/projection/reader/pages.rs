//! Pages of rows: the statements, the same for both databases, and what becomes of their rows.

use std::str::FromStr;

use crate::domain::{Principal, Reference, Sequence, Version};
use crate::engine::ports::{
    HistoryPage, HistoryQuery, Movement, OrderPage, OrderQuery, OrdersOf, PAGE_ROWS_MAX,
};
use crate::journal::{Kind, OrderId, Position};

/// A product's movements: its id, before which version, how many.
pub(super) const HISTORY: &str = "SELECT version, sequence, kind, decided_at, stock_delta, held_delta, \
     sold_delta, stock, held, sold, reason, text, terms, order_id, hold_id, reference, principal \
     FROM movements WHERE product_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3";

/// A statement for orders: partition, before which sequence, how many, then the words.
pub(super) struct OrdersSql<'a> {
    pub(super) sql: &'static str,
    pub(super) before: i64,
    pub(super) limit: i64,
    pub(super) words: Vec<&'a str>,
}

macro_rules! orders_where {
    ($filter:literal) => {
        concat!(
            "SELECT order_id FROM orders WHERE partition = $1 AND sequence < $2 AND ",
            $filter,
            " ORDER BY sequence DESC LIMIT $3"
        )
    };
}

/// A row of `movements` as a database gives it.
pub(super) struct RawMovement {
    pub(super) version: i64,
    pub(super) sequence: i64,
    pub(super) kind: String,
    pub(super) decided_at_ms: i64,
    pub(super) deltas: [i64; 3],
    pub(super) figures: [i64; 3],
    pub(super) reason: Option<String>,
    pub(super) text: Option<String>,
    pub(super) terms: Option<String>,
    pub(super) order_id: Option<String>,
    pub(super) hold_id: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) principal: String,
}

impl<'a> OrdersSql<'a> {
    pub(super) fn of(query: &'a OrderQuery) -> Self {
        let (sql, words) = match &query.of {
            OrdersOf::Buyer(buyer_id) => (orders_where!("buyer_id = $4"), vec![buyer_id.as_str()]),
            OrdersOf::Reference(reference) => {
                (orders_where!("reference = $4"), vec![reference.as_str()])
            }
            OrdersOf::Both(buyer_id, reference) => (
                orders_where!("buyer_id = $4 AND reference = $5"),
                vec![buyer_id.as_str(), reference.as_str()],
            ),
        };
        let before = query.before.map(|OrderId(position)| position.sequence.get());
        Self { sql, before: before_of(before), limit: limit_of(query.limit), words }
    }
}

/// Version and number of rows that a history is asked with.
pub(super) fn history_bounds(query: &HistoryQuery) -> (i64, i64) {
    (before_of(query.before.map(Version::get)), limit_of(query.limit))
}

fn before_of(before: Option<u64>) -> i64 {
    before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX)
}

/// One row more than the page has: it tells whether there is a next.
fn limit_of(limit: u32) -> i64 {
    i64::from(rows_of(limit)) + 1
}

fn rows_of(limit: u32) -> u32 {
    limit.clamp(1, PAGE_ROWS_MAX)
}

/// The page of these ids; `None`: one is none.
pub(super) fn order_page(ids: Vec<String>, limit: u32, complete_to: Position) -> Option<OrderPage> {
    let orders = ids.iter().map(|id| OrderId::from_str(id).ok()).collect::<Option<Vec<_>>>()?;
    let (orders, more) = cut(orders, limit);
    let next = orders.last().copied().filter(|_| more);
    Some(OrderPage { orders, next, complete_to })
}

/// The page of these movements; `None`: one holds what no record says.
pub(super) fn history_page(
    movements: Vec<RawMovement>,
    limit: u32,
    complete_to: Position,
) -> Option<HistoryPage> {
    let movements = movements.into_iter().map(movement).collect::<Option<Vec<_>>>()?;
    let (movements, more) = cut(movements, limit);
    let next = movements.last().map(|movement| movement.version).filter(|_| more);
    Some(HistoryPage { movements, next, complete_to })
}

fn cut<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = rows_of(limit) as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}

fn movement(raw: RawMovement) -> Option<Movement> {
    let figure = |value: i64| u64::try_from(value).ok();
    let [stock_delta, held_delta, sold_delta] = raw.deltas;
    let [stock, held, sold] = raw.figures;
    let reference = raw.reference.as_deref().map(Reference::new).transpose().ok()?;
    Some(Movement {
        version: Version::new(figure(raw.version)?),
        sequence: Sequence::new(figure(raw.sequence)?),
        kind: Kind::ALL.into_iter().find(|kind| kind.as_str() == raw.kind)?,
        decided_at_ms: figure(raw.decided_at_ms)?,
        stock_delta,
        held_delta,
        sold_delta,
        stock: figure(stock)?,
        held: figure(held)?,
        sold: figure(sold)?,
        reason: raw.reason,
        text: raw.text,
        terms: raw.terms,
        order_id: raw.order_id.map(|id| id.parse()).transpose().ok()?,
        hold_id: raw.hold_id.map(|id| id.parse()).transpose().ok()?,
        reference,
        principal: Principal::new(&raw.principal).ok()?,
    })
}
