//! `GET /v1/products/{id}/history`: how a product came to its figures, from the projection.

use super::auth::Scope;
use super::cursor::List;
use super::decide::unavailable;
use super::fields::Errors;
use super::problem::Problem;
use super::query;
use super::render::{Fields, Json};
use super::reply::Reply;
use super::worker::Call;
use crate::domain::Version;
use crate::engine::Engine;
use crate::engine::ports::{HistoryQuery, Movement};

const MOVEMENTS_DEFAULT: u16 = 50;
const MOVEMENTS_MAX: u16 = 500;

/// Movements, newest first.
///
/// # Errors
/// No such product, a parameter that is wrong, or the database is not there.
pub(super) async fn list(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    call.admit_started(Scope::Read)?;
    let (before, limit) = read_page(call.query())?;
    let engine = call.worker.engine();
    let entry = engine.product(id).ok_or_else(|| Problem::unknown_product(id))?;
    let query = HistoryQuery { product_id: entry.id().clone(), before, limit: limit.into() };
    let asked = call.worker.shared.surroundings.projection.history(query);
    let page = asked.await.map_err(|error| unavailable(&error))?;
    let next = page.next.map(|version| List::History.at(version.get()));
    let body = Json::whole(128 + 384 * page.movements.len(), |fields| {
        fields.plain("product_id", entry.id().as_str());
        fields.array("movements", &page.movements, |movement, item| {
            item.object(|fields| write(engine, movement, fields));
        });
        fields.or_null("next_cursor", next, |fields, name, next| fields.display(name, next));
        fields.display("complete_to", page.complete_to);
    });
    Ok(Reply::ok(body))
}

fn write(engine: &Engine, movement: &Movement, fields: &mut Fields<'_>) {
    fields.number("version", movement.version.get());
    fields.plain("kind", movement.kind.as_str());
    fields.time("decided_at", movement.decided_at_ms);
    fields.signed("stock_delta", movement.stock_delta);
    fields.signed("held_delta", movement.held_delta);
    fields.signed("sold_delta", movement.sold_delta);
    fields.number("stock", movement.stock);
    fields.number("held", movement.held);
    fields.number("sold", movement.sold);
    let text = |fields: &mut Fields<'_>, name, text: &String| fields.text(name, text);
    fields.or_null("reason", movement.reason.as_ref(), text);
    fields.or_null("text", movement.text.as_ref(), text);
    // JSON already, by the names of this contract.
    fields
        .or_null("terms", movement.terms.as_ref(), |fields, name, terms| fields.json(name, terms));
    fields.or_null("order_id", movement.order_id, |fields, name, id| fields.display(name, id));
    fields.or_null("hold_id", movement.hold_id, |fields, name, id| fields.display(name, id));
    fields.or_null("reference", movement.reference.as_ref(), |fields, name, reference| {
        fields.plain(name, reference.as_str());
    });
    fields.plain("principal", movement.principal.as_str());
    fields.display("position", engine.position(movement.sequence));
}

fn read_page(text: &str) -> Result<(Option<Version>, u16), Problem> {
    let mut errors = Errors::default();
    let [cursor, limit] = query::read(text, ["cursor", "limit"], &mut errors);
    let before = cursor.and_then(|word| match List::History.read(word) {
        Some(version) => Some(Version::new(version)),
        None => errors.none("?cursor", query::NO_CURSOR),
    });
    let limit = query::limit(limit, MOVEMENTS_DEFAULT, MOVEMENTS_MAX, &mut errors);
    errors.unless_any(limit.map(|limit| (before, limit)))
}
