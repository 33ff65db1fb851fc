//! Orders: rendered from their records, the moment they are answered and ever after.

use super::auth::Scope;
use super::decide::unreadable;
use super::problem::{Problem, ProblemType};
use super::render::{Fields, Json};
use super::reply::Reply;
use super::worker::Call;
use crate::domain::{Decision, OrderLine, Sequence};
use crate::engine::{Engine, ProductEntry};
use crate::journal::{OrderId, Record};

/// `GET /v1/orders/{id}`.
///
/// # Errors
/// No such order, or its record cannot be read now.
pub(super) fn show(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    call.admit_plain(Scope::Read)?;
    let unknown = || Problem::unknown(ProblemType::UnknownOrder, "order", id);
    let order_id: OrderId = id.parse().map_err(|_| unknown())?;
    let engine = call.worker.engine();
    let order = engine.order(order_id).map_err(|error| unreadable(&error))?;
    let order = order.ok_or_else(unknown)?;
    render(engine, order.sequence, &order.record, None).map(Reply::ok).ok_or_else(unknown)
}

/// An order as its record says it; `None` for a record of another kind. `known` spares looking
/// its product up.
pub(super) fn render(
    engine: &Engine,
    sequence: Sequence,
    record: &Record,
    known: Option<&ProductEntry>,
) -> Option<Vec<u8>> {
    let Decision::OrderPlaced(order) = &record.decision else { return None };
    let position = engine.position(sequence);
    Some(Json::whole(384 + 128 * order.lines.len(), |fields| {
        fields.display("order_id", OrderId(position));
        fields.plain("status", "placed");
        fields.plain("buyer_id", order.buyer_id.as_str());
        fields.or_null("reference", record.envelope.reference.as_ref(), |fields, name, value| {
            fields.plain(name, value.as_str());
        });
        fields.array("lines", (1..).zip(&order.lines), |(line_no, line), item| {
            item.object(|fields| render_line(engine, line_no, line, known, fields));
        });
        fields.time("placed_at", record.envelope.decided_at_ms);
        fields.display("position", position);
    }))
}

fn render_line(
    engine: &Engine,
    line_no: u64,
    line: &OrderLine,
    known: Option<&ProductEntry>,
    fields: &mut Fields<'_>,
) {
    fields.number("line_no", line_no);
    match known.filter(|entry| entry.handle() == line.product) {
        Some(entry) => fields.plain("product_id", entry.id().as_str()),
        None => fields.plain("product_id", product_id(engine, line.product).as_str()),
    }
    fields.number("quantity", line.quantity.units());
    fields.or_null("unit_price", line.unit_price, Fields::money);
}

/// The id of a product that a record names.
pub(super) fn product_id(
    engine: &Engine,
    handle: crate::domain::Handle,
) -> crate::domain::ProductId {
    let entry = engine.product_by_handle(handle);
    entry.expect("a durable record names durable products").id().clone()
}
