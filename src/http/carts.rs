//! `POST /v1/orders`: lines bought together, all or nothing.

use super::auth::Scope;
use super::decide::{decide, unless_known};
use super::fields::{Errors, Members, string};
use super::idempotency::Fingerprint;
use super::json::{self, Value};
use super::lines::{self, Wish};
use super::orders;
use super::problem::Problem;
use super::reply::Reply;
use super::worker::{Call, Keyed};
use crate::domain::{BuyerId, PlaceOrder, Reference};
use crate::engine::{Action, Request};

/// Sells all lines, or says which fail and why.
///
/// # Errors
/// Not valid, products that do not exist, or any problem of a command.
pub(super) async fn create(call: &Call<'_>) -> Result<Reply, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Sell)?;
    let body = call.cart_body().await?;
    let value = json::parse(&body)?;
    let (buyer_id, wishes, reference) = read(&value)?;
    let stamp = Fingerprint::of_json(&["orders"], &value).stamp(&principal, key);
    let (worker, engine) = (call.worker, call.worker.engine());
    let lines = lines::resolve(engine, &wishes);
    let lines = lines.map_err(|problem| unless_known(worker, &stamp, problem))?;
    let action = Action::Order(PlaceOrder { buyer_id, lines });
    let request = Request { principal, reference, key: Some(stamp), deadline, action };
    let decided = decide(worker, request).await?;
    let body = orders::render_placed(engine, decided.sequence, &decided.record, None);
    let body = body.ok_or_else(Problem::key_reused)?;
    Ok(Reply::created(body, decided.replayed))
}

fn read(value: &Value<'_>) -> Result<(BuyerId, Vec<Wish>, Option<Reference>), Problem> {
    let mut errors = Errors::default();
    let known = ["buyer_id", "lines", "reference"];
    let cart = Members::of(value, "", &known, &mut errors).and_then(|members| {
        let errors = &mut errors;
        let buyer_id = members.required("buyer_id", errors, string(BuyerId::new));
        let lines = members.required("lines", errors, lines::wishes);
        let reference = members.optional("reference", errors, string(Reference::new));
        Some((buyer_id?, lines?, reference))
    });
    errors.unless_any(cart)
}
