//! `POST /v1/orders/{id}/cancel`: units of an order come back, each at most once.

use super::auth::Scope;
use super::decide::{decide, unless_known, unreadable};
use super::fields::{Errors, Members, boolean, string};
use super::idempotency::Fingerprint;
use super::json::{self, Value};
use super::lines::{self, NamedPart};
use super::problem::{Problem, ProblemType};
use super::render::Json;
use super::reply::Reply;
use super::worker::{Call, Keyed};
use crate::domain::{CancelOrder, CancelledLine, Decision, OrderLine, PlacedOrder, Text};
use crate::engine::{Action, Request, Stored};
use crate::journal::OrderId;

/// A cancellation as it was asked for.
struct Cancellation {
    reason: Text,
    parts: Option<Vec<NamedPart>>,
    restock: bool,
}

/// Takes units back, or says what is left.
///
/// # Errors
/// Not valid, no such order, nothing left of it, or any problem of a command.
pub(super) async fn create(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Sell)?;
    let body = call.cart_body().await?;
    let value = json::parse(&body)?;
    let Cancellation { reason, parts, restock } = read(&value)?;
    let fingerprint = Fingerprint::of_json(&["orders", id, "cancel"], &value);
    let stamp = fingerprint.stamp(&principal, key);
    let (worker, engine) = (call.worker, call.worker.engine());
    let unknown =
        || unless_known(worker, &stamp, Problem::unknown(ProblemType::UnknownOrder, "order", id));
    let order_id: OrderId = id.parse().map_err(|_| unknown())?;
    let stored = engine.order(order_id).map_err(|error| unreadable(&error))?;
    let order = stored.and_then(placed).ok_or_else(unknown)?;
    let parts = parts.map(|parts| lines::resolve_parts(engine, &parts)).transpose()?;
    let action = Action::Cancel(Box::new(CancelOrder { order, parts, reason, restock }));
    let request = Request { principal, reference: None, key: Some(stamp), deadline, action };
    let decided = decide(worker, request).await?;
    let Decision::OrderCancelled(cancelled) = &decided.record.decision else {
        return Err(Problem::key_reused());
    };
    let body = Json::whole(384 + 128 * cancelled.lines.len(), |fields| {
        let order = engine.position(cancelled.order);
        fields.display("order_id", OrderId(order));
        fields.plain("status", cancelled.status().as_str());
        fields.plain("buyer_id", cancelled.buyer_id.as_str());
        fields.array("lines", &cancelled.lines, |line, item| {
            let CancelledLine { place, product, quantity, unit_price, .. } = *line;
            let line = OrderLine { product, quantity, unit_price };
            item.object(|fields| lines::write_one(engine, place as usize, &line, None, fields));
        });
        fields.text("reason", cancelled.reason.as_str());
        fields.boolean("restock", cancelled.restocked);
        fields.time("cancelled_at", decided.record.envelope.decided_at_ms);
        fields.display("position", engine.position(decided.sequence));
    });
    Ok(Reply { replayed: decided.replayed, ..Reply::ok(body) })
}

fn placed(stored: Stored) -> Option<PlacedOrder> {
    let Stored { sequence, record } = stored;
    let order = record.order()?;
    let (buyer_id, lines) = (order.buyer_id.clone(), order.lines.clone());
    Some(PlacedOrder { sequence, buyer_id, lines, changes: record.envelope.changes })
}

fn read(value: &Value<'_>) -> Result<Cancellation, Problem> {
    let mut errors = Errors::default();
    let known = ["reason", "lines", "restock"];
    let cancellation = Members::of(value, "", &known, &mut errors).and_then(|members| {
        let errors = &mut errors;
        let reason = members.required("reason", errors, string(Text::new));
        let parts = members.optional("lines", errors, lines::parts);
        let restock = members.optional("restock", errors, boolean).unwrap_or(true);
        Some(Cancellation { reason: reason?, parts, restock })
    });
    errors.unless_any(cancellation)
}
