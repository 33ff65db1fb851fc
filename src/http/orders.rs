//! Orders: rendered from their records, the moment they are answered and ever after.

use super::auth::Scope;
use super::decide::unreadable;
use super::lines;
use super::problem::{Problem, ProblemType};
use super::render::{Fields, Json};
use super::reply::Reply;
use super::worker::Call;
use crate::domain::{Decision, OrderLine, OrderPlaced, Returned, Sequence};
use crate::engine::{Engine, ProductEntry, Stored};
use crate::journal::{HoldId, OrderId, Record};

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
        fields.plain("status", self.status(returned));
        fields.plain("buyer_id", order.buyer_id.as_str());
        fields.or_null("reference", record.envelope.reference.as_ref(), |fields, name, value| {
            fields.plain(name, value.as_str());
        });
        fields.array("lines", (0..).zip(&order.lines), |(place, line), item| {
            item.object(|fields| {
                render_line(engine, place, line, known, fields);
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

    fn status(&self, returned: Option<&Returned>) -> &'static str {
        let Some(returned) = returned else { return "placed" };
        let back =
            |(place, line): (usize, &OrderLine)| returned.units(place) == line.quantity.units();
        match self.order.lines.iter().enumerate().all(back) {
            true => "cancelled",
            false => "partly_cancelled",
        }
    }
}

fn render_line(
    engine: &Engine,
    place: usize,
    line: &OrderLine,
    known: Option<&ProductEntry>,
    fields: &mut Fields<'_>,
) {
    fields.number("line_no", place as u64 + 1);
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
