//! Ports: what a neighbour of the engine implements, so that `http` can ask it without knowing it.
//!
//! `projection` implements them, `cli` hands them to `http`. What is asked here may lag behind the
//! engine or be unreachable; it never decides anything.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use crate::domain::{BuyerId, Principal, ProductId, Reference, Sequence, Version};
use crate::journal::{HoldId, Kind, OrderId, Position};

/// Most rows of one page, whatever is asked for.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// How the projection is; `/readyz` and `/metrics` show it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProjectionReport {
    /// Last record up to which the tables have every row, committed. Lags behind the durable watermark.
    pub applied: Option<Sequence>,
    /// Durable records that are not in the tables yet.
    pub lag_records: u64,
    /// Age of the oldest of them by the time of its record, in milliseconds; 0 without one.
    pub lag_ms: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Why nothing moves, in words an operator can act on; `None` while all is well.
    pub problem: Option<ProjectionProblem>,
}

/// Why the projection does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectionProblem {
    /// It tries again by itself: the database is away, the disk is at its reserve.
    Retrying(String),
    /// A person has to act: another journal's database, one ahead of this log, a collision.
    Stopped(String),
}

/// Tells how the projection is.
pub trait ProjectionStatus: Send + Sync {
    /// A report of this moment. Cost: no IO.
    fn report(&self) -> ProjectionReport;
}

/// Rows that were asked for; they come from another thread. Dropping it gives the question up.
pub type Asked<T> = Pin<Box<dyn Future<Output = Result<T, ProjectionUnavailable>> + Send>>;

/// The tables cannot be read now, or not in time: answer 503, ask again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ProjectionUnavailable {
    /// Why, in words an operator can act on. Never with a password.
    pub reason: String,
}

/// Whose orders are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrdersOf {
    /// A buyer's.
    Buyer(BuyerId),
    /// Those of one number of the shop's.
    Reference(Reference),
    /// Those of a buyer that have this number.
    Both(BuyerId, Reference),
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderQuery {
    /// Whose.
    pub of: OrdersOf,
    /// Only orders placed before this one: [`OrderPage::next`] of the page before.
    pub before: Option<OrderId>,
    /// Most orders, 1 to [`PAGE_ROWS_MAX`].
    pub limit: u32,
}

/// Orders, newest first. An order itself is read from its record, by its id, and what came back
/// of it from what the engine publishes: only which orders there are may lag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPage {
    /// Which orders.
    pub orders: Vec<OrderId>,
    /// What the next page asks for as `before`; `None`: there is none.
    pub next: Option<OrderId>,
    /// Last record that is in the tables.
    pub complete_to: Position,
}

/// A page of a product's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose. One that the tables do not have has no movements.
    pub product_id: ProductId,
    /// Only versions before this one: [`HistoryPage::next`] of the page before.
    pub before: Option<Version>,
    /// Most movements, 1 to [`PAGE_ROWS_MAX`].
    pub limit: u32,
}

/// A product's movements, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// What changed it.
    pub movements: Vec<Movement>,
    /// What the next page asks for as `before`; `None`: there is none.
    pub next: Option<Version>,
    /// Last record that is in the tables.
    pub complete_to: Position,
}

/// One change of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Its place in the product's history.
    pub version: Version,
    /// Place of its record.
    pub sequence: Sequence,
    /// Kind of its record.
    pub kind: Kind,
    /// When it was decided.
    pub decided_at_ms: u64,
    /// Units put in or written off.
    pub stock_delta: i64,
    /// Units set aside or no longer.
    pub held_delta: i64,
    /// Units sold or returned.
    pub sold_delta: i64,
    /// Stock after it.
    pub stock: u64,
    /// Units in live holds after it.
    pub held: u64,
    /// Units sold after it.
    pub sold: u64,
    /// Why: an adjustment's reason; a cancellation's `restocked` or `written_off`.
    pub reason: Option<String>,
    /// Why, in somebody's words.
    pub text: Option<String>,
    /// What was set, as JSON by the names of the HTTP contract: creations and changes of terms.
    pub terms: Option<String>,
    /// The order it belongs to.
    pub order_id: Option<OrderId>,
    /// The hold it belongs to.
    pub hold_id: Option<HoldId>,
    /// The shop's own number for it.
    pub reference: Option<Reference>,
    /// Who asked.
    pub principal: Principal,
}

/// Reads what only the projection can list. Asking costs the caller no IO and never waits; how
/// long an answer may take is bounded by the implementation.
pub trait OrderReader: Send + Sync {
    /// Orders of a buyer, of a reference, or of both.
    fn orders(&self, query: OrderQuery) -> Asked<OrderPage>;

    /// How a product came to its figures.
    fn history(&self, query: HistoryQuery) -> Asked<HistoryPage>;
}

/// All that is asked of a projection.
pub trait Projection: ProjectionStatus + OrderReader {}

impl<T: ProjectionStatus + OrderReader> Projection for T {}

/// A projection that starts once the engine has recovered; before, it reports nothing and reads
/// nothing.
#[derive(Default)]
pub struct LateProjection {
    status: OnceLock<Arc<dyn ProjectionStatus>>,
    orders: OnceLock<Arc<dyn OrderReader>>,
}

impl LateProjection {
    /// The projection has started.
    ///
    /// # Panics
    /// When it had started before.
    pub fn set(&self, status: Arc<dyn ProjectionStatus>) {
        assert!(self.status.set(status).is_ok(), "a projection starts once");
    }

    /// Its tables can be read.
    ///
    /// # Panics
    /// When they could before.
    pub fn set_orders(&self, orders: Arc<dyn OrderReader>) {
        assert!(self.orders.set(orders).is_ok(), "a projection starts once");
    }
}

impl ProjectionStatus for LateProjection {
    fn report(&self) -> ProjectionReport {
        self.status.get().map_or_else(ProjectionReport::default, |status| status.report())
    }
}

impl OrderReader for LateProjection {
    fn orders(&self, query: OrderQuery) -> Asked<OrderPage> {
        self.orders.get().map_or_else(not_started, |orders| orders.orders(query))
    }

    fn history(&self, query: HistoryQuery) -> Asked<HistoryPage> {
        self.orders.get().map_or_else(not_started, |orders| orders.history(query))
    }
}

fn not_started<T: Send + 'static>() -> Asked<T> {
    let reason = "the projection has not started".to_owned();
    Box::pin(std::future::ready(Err(ProjectionUnavailable { reason })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_before_the_projection_has_started() {
        let late = LateProjection::default();
        let of = OrdersOf::Reference(Reference::new("web-1").unwrap());
        let mut orders = late.orders(OrderQuery { of, before: None, limit: 10 });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let reason = "the projection has not started".to_owned();
        let answer = std::task::Poll::Ready(Err(ProjectionUnavailable { reason }));
        assert_eq!(orders.as_mut().poll(&mut context), answer);
    }
}
