//! `POST /v1/products/{id}/adjustments`: putting stock in and writing it off.

use super::auth::Scope;
use super::decide::{decide, unless_known};
use super::fields::{Errors, Members, integer, string, whole};
use super::idempotency::Fingerprint;
use super::json::{self, Value};
use super::orders::product_id;
use super::problem::Problem;
use super::render::Json;
use super::reply::Reply;
use super::worker::{Call, Keyed};
use crate::domain::{
    AdjustReason, AdjustStock, Decision, FIGURE_MAX, Reference, StockChange, Text,
};
use crate::engine::{Action, Request};

const FIELDS: [&str; 6] = ["delta", "set_unsold", "expected_unsold", "reason", "text", "reference"];
const REASONS: [&str; 7] =
    ["received", "correction", "damaged", "lost", "returned", "transfer", "other"];

/// Adjusts the stock of a product.
///
/// # Errors
/// Not valid, no such product, another figure than expected, or any problem of a command.
pub(super) async fn create(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Manage)?;
    let body = call.json_body().await?;
    let value = json::parse(&body)?;
    let (change, reason, reference) = read(&value)?;
    let fingerprint = Fingerprint::of_json(&["products", id, "adjustments"], &value);
    let stamp = fingerprint.stamp(&principal, key);
    let engine = call.worker.engine();
    let Some(entry) = engine.product(id) else {
        return Err(unless_known(call.worker, &stamp, Problem::unknown_product(id)));
    };
    let action = Action::Adjust(AdjustStock { product: entry.handle(), change, reason });
    let request = Request { principal, reference, key: Some(stamp), deadline, action };
    let decided = decide(call.worker, request).await?;
    let Decision::StockAdjusted(adjusted) = &decided.record.decision else {
        return Err(Problem::key_reused());
    };
    let envelope = &decided.record.envelope;
    let body = Json::whole(384, |fields| {
        fields.plain("product_id", product_id(engine, adjusted.product).as_str());
        fields.signed("delta", adjusted.delta);
        fields.plain("reason", adjusted.reason.as_str());
        if let AdjustReason::Other(text) = &adjusted.reason {
            fields.text("text", text.as_str());
        }
        fields.or_null("reference", envelope.reference.as_ref(), |fields, name, reference| {
            fields.plain(name, reference.as_str());
        });
        fields.number("stock", adjusted.stock);
        fields.signed("unsold", adjusted.unsold);
        if let [change] = envelope.changes.as_slice() {
            fields.number("version", change.version.get());
        }
        fields.time("adjusted_at", envelope.decided_at_ms);
        fields.display("position", engine.position(decided.sequence));
    });
    Ok(Reply::created(body, decided.replayed))
}

type Adjustment = (StockChange, AdjustReason, Option<Reference>);

fn read(value: &Value<'_>) -> Result<Adjustment, Problem> {
    let mut errors = Errors::default();
    let adjustment = Members::of(value, "", &FIELDS, &mut errors).and_then(|members| {
        let errors = &mut errors;
        let change = read_change(&members, errors);
        let reason = read_reason(&members, errors);
        let reference = members.optional("reference", errors, string(Reference::new));
        Some((change?, reason?, reference))
    });
    errors.unless_any(adjustment)
}

fn read_change(members: &Members<'_>, errors: &mut Errors) -> Option<StockChange> {
    const MAX: i64 = FIGURE_MAX.cast_signed();
    match (members.has("delta"), members.has("set_unsold")) {
        (true, true) => errors.none("/set_unsold", "either delta or set_unsold, not both"),
        (false, false) => errors.none("", "delta or set_unsold is required"),
        (true, false) => {
            if members.get("expected_unsold").is_some() {
                errors.add("/expected_unsold", "goes with set_unsold only");
            }
            match members.required("delta", errors, integer(-MAX, MAX))? {
                0 => errors.none("/delta", "must not be 0"),
                delta => Some(StockChange::Delta(delta)),
            }
        }
        (false, true) => {
            let unsold = members.required("set_unsold", errors, whole(0, FIGURE_MAX));
            if members.get("expected_unsold").is_none() {
                let detail = "is required with set_unsold; null opts out of the guard";
                errors.add("/expected_unsold", detail);
            }
            let expected = members.optional("expected_unsold", errors, integer(-MAX, MAX));
            Some(StockChange::SetUnsold { unsold: unsold?, expected })
        }
    }
}

fn read_reason(members: &Members<'_>, errors: &mut Errors) -> Option<AdjustReason> {
    let known = |word: &str| {
        let found = REASONS.into_iter().find(|reason| *reason == word);
        found.ok_or_else(|| format!("must be one of {}", REASONS.join(", ")))
    };
    let word = members.required("reason", errors, string(known));
    if word == Some("other") {
        return members.required("text", errors, string(Text::new)).map(AdjustReason::Other);
    }
    if word.is_some() && members.has("text") {
        errors.add("/text", "goes with the reason other only");
    }
    Some(match word? {
        "received" => AdjustReason::Received,
        "correction" => AdjustReason::Correction,
        "damaged" => AdjustReason::Damaged,
        "lost" => AdjustReason::Lost,
        "returned" => AdjustReason::Returned,
        _ => AdjustReason::Transfer,
    })
}
