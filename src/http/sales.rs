//! `/v1/sales`: window and pause of all products that are sold together, and a pause of everything.

use super::auth::Scope;
use super::decide::decide;
use super::fields::{Errors, Members, boolean};
use super::problem::{Problem, ProblemType};
use super::render::Json;
use super::reply::Reply;
use super::worker::Call;
use super::{conditional, json, products, terms};
use crate::domain::{ChangeTerms, Decision, SaleId, Targets, TermsPatch};
use crate::engine::{Action, Board, Request};

/// Changes the terms of every product of a sale, in one decision.
///
/// # Errors
/// Not valid, no product belongs to the sale, or any problem of a command.
pub(super) async fn change(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    let principal = call.admit_plain(Scope::Manage)?;
    let deadline = call.time_to_decide()?;
    conditional::no_version_to_match(call.headers(), "a sale")?;
    let body = call.patch_body().await?;
    let patch = read_patch(&json::parse(&body)?)?;
    // What cannot be a sale's id names no sale.
    let unknown = || Problem::unknown(ProblemType::UnknownProduct, "product belongs to sale", id);
    let sale_id = SaleId::new(id).map_err(|_| unknown())?;
    let targets = Targets::Sale(sale_id);
    let action = Action::ChangeTerms(Box::new(ChangeTerms { targets, patch }));
    let request = Request { principal, reference: None, key: None, deadline, action };
    let decided = decide(call.worker, request).await.map_err(|problem| {
        if problem.kind == ProblemType::UnknownProduct { unknown() } else { problem }
    })?;
    let Decision::TermsChanged(changed) = &decided.record.decision else {
        unreachable!("a change of terms makes a change of terms")
    };
    let envelope = &decided.record.envelope;
    let body = Json::whole(384, |fields| {
        fields.or_null("sale_id", changed.sale_id.as_ref(), |fields, name, sale_id| {
            fields.plain(name, sale_id.as_str());
        });
        fields.number("products_changed", envelope.changes.len() as u64);
        fields.object("changed", |fields| terms::write_patch(&changed.patch, fields));
        fields.time("changed_at", envelope.decided_at_ms);
        fields.display("position", call.worker.engine().position(decided.sequence));
    });
    Ok(Reply::ok(body))
}

/// `GET /v1/sales`: whether selling is paused for every product.
///
/// # Errors
/// The caller may not.
pub(super) fn show_all(call: &Call<'_>) -> Result<Reply, Problem> {
    call.admit_plain(Scope::Read)?;
    let paused = call.worker.engine().board().is_some_and(Board::selling_paused);
    Ok(Reply::ok(Json::whole(32, |fields| fields.boolean("paused", paused))))
}

/// `PATCH /v1/sales`: pauses or resumes selling for every product, beside each one's own pause.
///
/// # Errors
/// Not valid, or any problem of a command.
pub(super) async fn change_all(call: &Call<'_>) -> Result<Reply, Problem> {
    let principal = call.admit_plain(Scope::Manage)?;
    let deadline = call.time_to_decide()?;
    conditional::no_version_to_match(call.headers(), "a sale")?;
    let body = call.patch_body().await?;
    let paused = read_pause(&json::parse(&body)?)?;
    let action = Action::PauseSelling(paused);
    let request = Request { principal, reference: None, key: None, deadline, action };
    let decided = decide(call.worker, request).await?;
    let Decision::SellingPaused(selling) = &decided.record.decision else {
        unreachable!("a pause makes a pause")
    };
    let body = Json::whole(128, |fields| {
        fields.boolean("paused", selling.paused);
        fields.time("changed_at", decided.record.envelope.decided_at_ms);
        fields.display("position", call.worker.engine().position(decided.sequence));
    });
    Ok(Reply::ok(body))
}

fn read_pause(value: &json::Value<'_>) -> Result<bool, Problem> {
    let mut errors = Errors::default();
    let paused = Members::of(value, "", &["paused"], &mut errors)
        .and_then(|members| members.required("paused", &mut errors, boolean));
    errors.unless_any(paused)
}

fn read_patch(value: &json::Value<'_>) -> Result<TermsPatch, Problem> {
    let mut errors = Errors::default();
    let members = Members::of(value, "", &terms::SALE_TERMS, &mut errors);
    let patch = members.map(|members| terms::read_patch(&members, &mut errors));
    products::not_empty(patch.as_ref(), &mut errors);
    errors.unless_any(patch)
}
