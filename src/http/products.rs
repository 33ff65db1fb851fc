//! `/v1/products`: creating, reading and changing the terms of products; the list is beside it.

use super::auth::Scope;
use super::conditional::{self, IfMatch};
use super::decide::decide;
use super::fields::{Errors, Members, string, whole};
use super::idempotency::Fingerprint;
use super::problem::Problem;
use super::render::{Fields, Json};
use super::reply::Reply;
use super::worker::{Call, Keyed};
use super::{json, terms};
use crate::domain::{
    ChangeTerms, CreateProduct, Decision, FIGURE_MAX, ProductId, Targets, TermsPatch,
};
use crate::engine::{Action, Request};

/// `POST /v1/products`.
///
/// # Errors
/// Not valid, taken, or any problem of a command.
pub(super) async fn create(call: &Call<'_>) -> Result<Reply, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Manage)?;
    let body = call.json_body().await?;
    let value = json::parse(&body)?;
    let create = read_creation(&value)?;
    let key = Some(Fingerprint::of_json(&["products"], &value).stamp(&principal, key));
    let action = Action::Create(Box::new(create));
    let request = Request { principal, reference: None, key, deadline, action };
    let decided = decide(call.worker, request).await?;
    let Decision::ProductCreated(created) = &decided.record.decision else {
        return Err(Problem::key_reused());
    };
    let body = Json::whole(512, |fields| {
        fields.plain("product_id", created.product_id.as_str());
        terms::write(&created.terms, fields);
        fields.number("stock", created.stock);
        fields.number("terms_version", 1);
        fields.number("version", 1);
        fields.time("created_at", decided.record.envelope.decided_at_ms);
        fields.display("position", call.worker.engine().position(decided.sequence));
    });
    let reply = Reply::created(body, decided.replayed);
    Ok(reply.with_etag(conditional::terms_tag(1)))
}

fn read_creation(value: &json::Value<'_>) -> Result<CreateProduct, Problem> {
    let mut known = vec!["product_id", "name", "stock"];
    known.extend(terms::TERMS);
    let mut errors = Errors::default();
    let create = Members::of(value, "", &known, &mut errors).and_then(|members| {
        let errors = &mut errors;
        let product_id = members.required("product_id", errors, string(ProductId::new));
        let stock = members.required("stock", errors, whole(0, FIGURE_MAX));
        let terms = terms::read(&members, errors);
        Some(CreateProduct { product_id: product_id?, terms: terms?, stock: stock? })
    });
    errors.unless_any(create)
}

/// `GET /v1/products/{id}`.
///
/// # Errors
/// No such product.
pub(super) fn show(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    call.admit_plain(Scope::Read)?;
    let entry = call.worker.engine().product(id).ok_or_else(|| Problem::unknown_product(id))?;
    let view = entry.view();
    let tag = conditional::terms_tag(view.terms_version);
    if conditional::is_known(call.headers(), &tag) {
        return Ok(Reply::not_modified(tag));
    }
    let body = Json::whole(512, |fields| {
        fields.plain("product_id", entry.id().as_str());
        terms::write(&view.terms, fields);
        fields.or_null("counted_since", view.counted_since_ms, Fields::time);
        fields.number("terms_version", view.terms_version.into());
    });
    Ok(Reply::ok(body).with_etag(tag))
}

/// `PATCH /v1/products/{id}`.
///
/// # Errors
/// Not valid, no such product, another version of its terms, or any problem of a command.
pub(super) async fn change(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    let principal = call.admit_plain(Scope::Manage)?;
    let deadline = call.time_to_decide()?;
    let if_match = conditional::if_match(call.headers())?;
    let body = call.patch_body().await?;
    let patch = read_patch(&json::parse(&body)?)?;
    let engine = call.worker.engine();
    let entry = engine.product(id).ok_or_else(|| Problem::unknown_product(id))?;
    let before = entry.view().terms_version;
    let expected = expected_version(&if_match, before);
    let targets = Targets::Product { handle: entry.handle(), terms_version: expected };
    let action = Action::ChangeTerms(Box::new(ChangeTerms { targets, patch }));
    let request = Request { principal, reference: None, key: None, deadline, action };
    let decided = decide(call.worker, request).await?;
    let Decision::TermsChanged(changed) = &decided.record.decision else {
        unreachable!("a change of terms makes a change of terms")
    };
    let made = version_made(expected, before, entry.view().terms_version);
    let envelope = &decided.record.envelope;
    let body = Json::whole(384, |fields| {
        fields.plain("product_id", entry.id().as_str());
        fields.object("changed", |fields| terms::write_patch(&changed.patch, fields));
        if changed.counting_starts {
            fields.time("counted_since", envelope.decided_at_ms);
        }
        fields
            .or_null("terms_version", made, |fields, name, made| fields.number(name, made.into()));
        if let [change] = envelope.changes.as_slice() {
            fields.number("version", change.version.get());
        }
        fields.time("changed_at", envelope.decided_at_ms);
        fields.display("position", engine.position(decided.sequence));
    });
    let reply = Reply::ok(body);
    Ok(match made {
        Some(made) => reply.with_etag(conditional::terms_tag(made)),
        None => reply,
    })
}

fn read_patch(value: &json::Value<'_>) -> Result<TermsPatch, Problem> {
    let mut known = vec!["name"];
    known.extend(terms::TERMS);
    let mut errors = Errors::default();
    let patch = Members::of(value, "", &known, &mut errors).map(|members| TermsPatch {
        name: terms::read_name(&members, &mut errors),
        ..terms::read_patch(&members, &mut errors)
    });
    not_empty(patch.as_ref(), &mut errors);
    errors.unless_any(patch)
}

/// A patch that names nothing is a mistake rather than a record.
pub(super) fn not_empty(patch: Option<&TermsPatch>, errors: &mut Errors) {
    if errors.is_empty() && patch.is_some_and(TermsPatch::is_empty) {
        errors.add("", "must name at least one term to change");
    }
}

/// The version the partition compares with: the client's own that is current by the published
/// view, or else one that is not, so that the partition refuses with the figure of the moment.
fn expected_version(if_match: &IfMatch, current: u32) -> Option<u32> {
    match if_match {
        IfMatch::Any => None,
        IfMatch::Versions(versions) => {
            let found = versions.iter().find(|version| **version == current);
            // Terms are never at version 0.
            Some(found.or(versions.first()).copied().unwrap_or(0))
        }
    }
}

/// The version a change made, if that is certain; its record does not say.
///
/// Each change adds one. What the partition compared with stood right before; without that, the
/// published versions `before` asking and `after` hearing enclose it, and tell when they are
/// neighbours. Otherwise other changes came in between, and the tag of one of those would let the
/// client undo what it has never seen.
fn version_made(expected: Option<u32>, before: u32, after: u32) -> Option<u32> {
    match expected {
        Some(expected) => expected.checked_add(1),
        None => before.checked_add(1).filter(|made| *made == after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_a_change_made_is_told_only_when_it_is_certain() {
        assert_eq!(version_made(Some(3), 3, 4), Some(4));
        assert_eq!(version_made(Some(3), 3, 9), Some(4), "others came after it");
        assert_eq!(version_made(Some(4), 3, 9), Some(5), "one came before it");
        assert_eq!(version_made(None, 3, 4), Some(4));
        assert_eq!(version_made(None, 3, 5), None, "another came, before it or after it");
    }
}
