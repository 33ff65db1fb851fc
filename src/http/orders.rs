//! Orders: rendered from their records, the moment they are answered and ever after.

use super::auth::Scope;
use super::decide::{unavailable, unreadable};
use super::fields::Errors;
use super::problem::{Problem, ProblemType};
use super::render::{Fields, Json};
use super::reply::Reply;
use super::worker::Call;
use super::{lines, query};
use crate::domain::{
    BuyerId, Decision, ORDER_LINES_MAX, OrderLine, OrderPlaced, OrderStatus, Reference, Returned,
    Sequence,
};
use crate::engine::ports::{OrderQuery, OrdersOf};
use crate::engine::{Engine, ProductEntry, Stored};
use crate::journal::{HoldId, OrderId, Record};

/// At most: a page also ends once it has as many lines as one order may.
const ORDERS_MAX: u16 = 100;
const ORDERS_DEFAULT: u16 = 20;

/// `GET /v1/orders/{id}`.
///
/// # Errors
/// No such order, or its record cannot be read now.
pub(super) fn show(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    call.admit_plain(Scope::Read)?;
    let unknown = || Problem::unknown(ProblemType::UnknownOrder, "order", id);
    let order_id: OrderId = id.parse().map_err(|_| unknown())?;
    let engine = call.worker.engine();
    let stored = engine.order(order_id).map_err(|error| unreadable(&error))?;
    let Stored { sequence, record } = stored.ok_or_else(unknown)?;
    let order = Shown::of(sequence, &record).ok_or_else(unknown)?;
    let returned = engine.board().and_then(|board| board.returned(sequence));
    let room = order.room();
    let body = Json::whole(room, |fields| order.render(engine, returned.as_ref(), None, fields));
    Ok(Reply::ok(body))
}

/// `GET /v1/orders`: a buyer's, or those of a reference, newest first. Which there are the
/// projection says; each is read from its record.
///
/// # Errors
/// A parameter that is missing or wrong, or the database is not there.
pub(super) async fn list(call: &Call<'_>) -> Result<Reply, Problem> {
    call.admit_started(Scope::Read)?;
    let query = read_query(call.query())?;
    let page = call.worker.shared.surroundings.projection.orders(query).await;
    let page = page.map_err(|error| unavailable(&error))?;
    let engine = call.worker.engine();
    let (mut orders, mut lines) = (Vec::with_capacity(page.orders.len()), 0);
    let (mut next, asked_for) = (page.next, page.orders.len());
    for (place, order_id) in page.orders.into_iter().enumerate() {
        // One that the journal does not have was never this log's.
        let stored = engine.order(order_id).map_err(|error| unreadable(&error))?;
        lines += stored.as_ref().map_or(0, lines_of);
        orders.extend(stored);
        if lines >= ORDER_LINES_MAX && place + 1 < asked_for {
            next = Some(order_id);
            break;
        }
        // This thread sells, too.
        tokio::task::yield_now().await;
    }
    let shown = orders.iter().filter_map(|stored| Shown::of(stored.sequence, &stored.record));
    let body = Json::whole(128 + 512 * orders.len(), |fields| {
        fields.array("orders", shown, |order, item| {
            let returned = engine.board().and_then(|board| board.returned(order.sequence));
            item.object(|fields| order.render(engine, returned.as_ref(), None, fields));
        });
        fields.or_null("next_cursor", next, |fields, name, next| fields.display(name, next));
        fields.display("complete_to", page.complete_to);
    });
    Ok(Reply::ok(body))
}

/// Lines that showing it writes.
fn lines_of(stored: &Stored) -> usize {
    match &stored.record.decision {
        Decision::HoldConfirmed(confirmed) => {
            confirmed.order.lines.len() + confirmed.released.len()
        }
        Decision::OrderPlaced(order) => order.lines.len(),
        _ => 0,
    }
}

fn read_query(text: &str) -> Result<OrderQuery, Problem> {
    let mut errors = Errors::default();
    let known = ["buyer_id", "reference", "cursor", "limit"];
    let [buyer_id, reference, cursor, limit] = query::read(text, known, &mut errors);
    let buyer_id = buyer_id.and_then(|text| match BuyerId::new(text) {
        Ok(buyer_id) => Some(buyer_id),
        Err(error) => errors.none("?buyer_id", error.to_string()),
    });
    let reference = reference.and_then(|text| match Reference::new(text) {
        Ok(reference) => Some(reference),
        Err(error) => errors.none("?reference", error.to_string()),
    });
    let of = match (buyer_id, reference) {
        (Some(buyer_id), Some(reference)) => Some(OrdersOf::Both(buyer_id, reference)),
        (Some(buyer_id), None) => Some(OrdersOf::Buyer(buyer_id)),
        (None, Some(reference)) => Some(OrdersOf::Reference(reference)),
        (None, None) if errors.is_empty() => {
            errors.none("?buyer_id", "buyer_id or reference is required")
        }
        (None, None) => None,
    };
    let before = cursor.and_then(|word| match word.parse::<OrderId>() {
        Ok(before) => Some(before),
        Err(_) => errors.none("?cursor", query::NO_CURSOR),
    });
    let limit = query::limit(limit, ORDERS_DEFAULT, ORDERS_MAX, &mut errors);
    let query = of.zip(limit);
    errors.unless_any(query.map(|(of, limit)| OrderQuery { of, before, limit: limit.into() }))
}

/// An order as its record placed it; `None` for a record of another kind. `known` spares looking
/// its product up.
pub(super) fn render_placed(
    engine: &Engine,
    sequence: Sequence,
    record: &Record,
    known: Option<&ProductEntry>,
) -> Option<Vec<u8>> {
    let order = Shown::of(sequence, record)?;
    Some(Json::whole(order.room(), |fields| order.render(engine, None, known, fields)))
}

/// An order in its record.
pub(super) struct Shown<'a> {
    sequence: Sequence,
    record: &'a Record,
    order: &'a OrderPlaced,
}

impl<'a> Shown<'a> {
    /// `None` for a record of another kind.
    pub(super) fn of(sequence: Sequence, record: &'a Record) -> Option<Self> {
        record.order().map(|order| Self { sequence, record, order })
    }

    /// Bytes it takes, about.
    pub(super) fn room(&self) -> usize {
        384 + 128 * self.order.lines.len()
    }

    /// Writes it, less what has come back of it.
    pub(super) fn render(
        &self,
        engine: &Engine,
        returned: Option<&Returned>,
        known: Option<&ProductEntry>,
        fields: &mut Fields<'_>,
    ) {
        let Self { sequence, record, order } = self;
        let position = engine.position(*sequence);
        fields.display("order_id", OrderId(position));
        fields.plain("status", self.status(returned).as_str());
        fields.plain("buyer_id", order.buyer_id.as_str());
        fields.or_null("reference", record.envelope.reference.as_ref(), |fields, name, value| {
            fields.plain(name, value.as_str());
        });
        fields.array("lines", (0..).zip(&order.lines), |(place, line), item| {
            item.object(|fields| {
                lines::write_one(engine, place, line, known, fields);
                if let Some(returned) = returned {
                    fields.number("cancelled", returned.units(place));
                }
            });
        });
        if let Decision::HoldConfirmed(confirmed) = &record.decision {
            fields.display("hold_id", HoldId(engine.position(confirmed.hold)));
            if !confirmed.released.is_empty() {
                lines::write(engine, "released", &confirmed.released, fields);
            }
        }
        fields.time("placed_at", record.envelope.decided_at_ms);
        fields.display("position", position);
    }

    fn status(&self, returned: Option<&Returned>) -> OrderStatus {
        let Some(returned) = returned else { return OrderStatus::Placed };
        let back =
            |(place, line): (usize, &OrderLine)| returned.units(place) == line.quantity.units();
        match self.order.lines.iter().enumerate().all(back) {
            true => OrderStatus::Cancelled,
            false => OrderStatus::PartlyCancelled,
        }
    }
}

/// The id of a product that a record names.
pub(super) fn product_id(
    engine: &Engine,
    handle: crate::domain::Handle,
) -> crate::domain::ProductId {
    let entry = engine.product_by_handle(handle);
    entry.expect("a durable record names durable products").id().clone()
}
