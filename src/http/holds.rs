//! `/v1/holds`: lines set aside for a buyer; placed, read, extended, confirmed, released.

use super::auth::Scope;
use super::decide::{Decided, decide, unless_known, unreadable};
use super::fields::{Errors, Members, string, whole};
use super::idempotency::Fingerprint;
use super::json::{self, Value};
use super::lines::{self, NamedPart, Wish};
use super::orders;
use super::problem::{Problem, ProblemType};
use super::render::{Fields, Json};
use super::reply::Reply;
use super::worker::{Call, Keyed};
use crate::domain::{
    BuyerId, ConfirmHold, Decision, ExtendHold, HoldEnd, HoldPlaced, PlaceHold, Reference,
    ReleaseHold, Sequence,
};
use crate::engine::{Action, Engine, HoldState, Request};
use crate::journal::{HoldId, KeyStamp, OrderId, Record};

/// Longest that any setting allows, 31 days: what this server allows the partition says, behind the
/// key, so that a retry under an old key is answered whatever was set since.
const TTL_MS_MAX: u64 = 31 * 24 * 3_600_000;

/// `POST /v1/holds`.
///
/// # Errors
/// Not valid, products that do not exist, or any problem of a command.
pub(super) async fn create(call: &Call<'_>) -> Result<Reply, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Sell)?;
    let body = call.cart_body().await?;
    let value = json::parse(&body)?;
    let (worker, engine) = (call.worker, call.worker.engine());
    let NewHold { buyer_id, wishes, ttl_ms, reference } = read_hold(&value)?;
    let stamp = Fingerprint::of_json(&["holds"], &value).stamp(&principal, key);
    let lines = lines::resolve(engine, &wishes);
    let lines = lines.map_err(|problem| unless_known(worker, &stamp, problem))?;
    let action = Action::PlaceHold(Box::new(PlaceHold { buyer_id, lines, ttl_ms }));
    let request = Request { principal, reference, key: Some(stamp), deadline, action };
    let decided = decide(worker, request).await?;
    let Decision::HoldPlaced(placed) = &decided.record.decision else {
        return Err(Problem::key_reused());
    };
    let hold = Shown { sequence: decided.sequence, record: &decided.record, placed };
    let body = hold.render(engine, |fields| {
        fields.plain("status", "held");
        fields.time("expires_at", placed.expires_at_ms);
        fields.display("position", engine.position(decided.sequence));
    });
    Ok(Reply::created(body, decided.replayed))
}

/// `GET /v1/holds/{id}`.
///
/// # Errors
/// No such hold, or it ended more than 24 hours ago.
pub(super) fn show(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    call.admit_plain(Scope::Read)?;
    let engine = call.worker.engine();
    let hold = find(engine, id).ok_or_else(|| unknown(id))?;
    let now_ms = engine.now_ms();
    let entry = engine.board().and_then(|board| board.hold(hold, now_ms));
    let entry = entry.ok_or_else(|| unknown(id))?;
    with_placed(engine, id, hold, |shown| {
        shown.render(engine, |fields| match entry.state {
            HoldState::Held { expires_at_ms } => {
                fields.plain("status", "held");
                fields.time("expires_at", expires_at_ms);
                fields.display("position", engine.position(hold));
            }
            HoldState::Ended(ended) => {
                fields.plain("status", ended.end.as_str());
                fields.time("resolved_at", ended.by.at_ms);
                let position = engine.position(ended.by.sequence);
                if ended.end == HoldEnd::Confirmed {
                    fields.display("order_id", OrderId(position));
                }
                fields.display("position", position);
            }
        })
    })
    .map(Reply::ok)
}

/// `POST /v1/holds/{id}/extend`.
///
/// # Errors
/// Not valid, no such hold, it has ended, or any problem of a command.
pub(super) async fn extend(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Sell)?;
    let body = call.json_body().await?;
    let value = json::parse(&body)?;
    let engine = call.worker.engine();
    let ttl_ms = read_ttl(&value)?;
    let fingerprint = Fingerprint::of_json(&["holds", id, "extend"], &value);
    let stamp = fingerprint.stamp(&principal, key);
    let hold = known(call, id, &stamp)?;
    let action = Action::ExtendHold(ExtendHold { hold, ttl_ms });
    let request = Request { principal, reference: None, key: Some(stamp), deadline, action };
    let decided = decide(call.worker, request).await?;
    let Decision::HoldExtended(extended) = &decided.record.decision else {
        return Err(Problem::key_reused());
    };
    let body = with_placed(engine, id, extended.hold, |shown| {
        shown.render(engine, |fields| {
            fields.plain("status", "held");
            fields.time("expires_at", extended.expires_at_ms);
            fields.display("position", engine.position(decided.sequence));
        })
    })?;
    Ok(Reply { replayed: decided.replayed, ..Reply::ok(body) })
}

/// `POST /v1/holds/{id}/confirm`: the answer is the order.
///
/// # Errors
/// Not valid, no such hold, it has ended, or any problem of a command.
pub(super) async fn confirm(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Sell)?;
    let body = call.cart_body_or_none().await?;
    let value = json::parse(&body)?;
    let (parts, reference) = read_confirmation(&value)?;
    let fingerprint = Fingerprint::of_json(&["holds", id, "confirm"], &value);
    let stamp = fingerprint.stamp(&principal, key);
    let hold = known(call, id, &stamp)?;
    let engine = call.worker.engine();
    let parts = parts.map(|parts| lines::resolve_parts(engine, &parts)).transpose()?;
    let confirm = ConfirmHold { hold, parts };
    let action = Action::ConfirmHold { confirm, lines: lines_of(engine, hold) };
    let request = Request { principal, reference, key: Some(stamp), deadline, action };
    let decided = decide(call.worker, request).await?;
    let body = orders::render_placed(engine, decided.sequence, &decided.record, None);
    let body = body.ok_or_else(Problem::key_reused)?;
    Ok(Reply::created(body, decided.replayed))
}

/// `DELETE /v1/holds/{id}`.
///
/// # Errors
/// No such hold, it has ended, or any problem of a command.
pub(super) async fn release(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    let principal = call.admit_plain(Scope::Sell)?;
    let deadline = call.time_to_decide()?;
    let engine = call.worker.engine();
    let hold = find(engine, id).ok_or_else(|| unknown(id))?;
    let release = ReleaseHold { hold };
    let action = Action::ReleaseHold { release, lines: lines_of(engine, hold) };
    let request = Request { principal, reference: None, key: None, deadline, action };
    let Decided { sequence, record, .. } = decide(call.worker, request).await?;
    let Decision::HoldReleased(ended) = &record.decision else {
        unreachable!("a release makes a release")
    };
    let body = with_placed(engine, id, ended.hold, |shown| {
        shown.render(engine, |fields| {
            fields.plain("status", HoldEnd::Released.as_str());
            fields.time("resolved_at", record.envelope.decided_at_ms);
            fields.display("position", engine.position(sequence));
        })
    })?;
    Ok(Reply::ok(body))
}

/// A hold as its record placed it; what came of it is the caller's to add.
struct Shown<'a> {
    sequence: Sequence,
    record: &'a Record,
    placed: &'a HoldPlaced,
}

impl Shown<'_> {
    fn render(&self, engine: &Engine, state: impl FnOnce(&mut Fields<'_>)) -> Vec<u8> {
        let Self { sequence, record, placed } = self;
        Json::whole(448 + 128 * placed.lines.len(), |fields| {
            fields.display("hold_id", HoldId(engine.position(*sequence)));
            fields.plain("buyer_id", placed.buyer_id.as_str());
            fields.or_null("reference", record.envelope.reference.as_ref(), |fields, name, of| {
                fields.plain(name, of.as_str());
            });
            lines::write(engine, "lines", &placed.lines, fields);
            fields.time("placed_at", record.envelope.decided_at_ms);
            state(fields);
        })
    }
}

fn with_placed(
    engine: &Engine,
    id: &str,
    hold: Sequence,
    render: impl FnOnce(Shown<'_>) -> Vec<u8>,
) -> Result<Vec<u8>, Problem> {
    let stored = engine.placed_hold(HoldId(engine.position(hold)));
    let stored = stored.map_err(|error| unreadable(&error))?.ok_or_else(|| unknown(id))?;
    let Decision::HoldPlaced(placed) = &stored.record.decision else { return Err(unknown(id)) };
    Ok(render(Shown { sequence: hold, record: &stored.record, placed }))
}

fn unknown(id: &str) -> Problem {
    Problem::unknown(ProblemType::UnknownHold, "hold", id)
}

fn find(engine: &Engine, id: &str) -> Option<Sequence> {
    let HoldId(position) = id.parse().ok()?;
    engine.is_here(position).then_some(position.sequence)
}

/// The hold that an id names, unless the key was used for something else: that wins.
fn known(call: &Call<'_>, id: &str, stamp: &KeyStamp) -> Result<Sequence, Problem> {
    let found = find(call.worker.engine(), id);
    found.ok_or_else(|| unless_known(call.worker, stamp, unknown(id)))
}

/// Lines a hold was placed with; one for a hold that is none or not durable yet: both are refused.
fn lines_of(engine: &Engine, hold: Sequence) -> u16 {
    let entry = engine.board().and_then(|board| board.hold(hold, engine.now_ms()));
    entry.map_or(1, |entry| entry.lines.max(1))
}

struct NewHold {
    buyer_id: BuyerId,
    wishes: Vec<Wish>,
    ttl_ms: u64,
    reference: Option<Reference>,
}

fn read_hold(value: &Value<'_>) -> Result<NewHold, Problem> {
    let mut errors = Errors::default();
    let known = ["buyer_id", "lines", "ttl_ms", "reference"];
    let hold = Members::of(value, "", &known, &mut errors).and_then(|members| {
        let errors = &mut errors;
        let buyer_id = members.required("buyer_id", errors, string(BuyerId::new));
        let wishes = members.required("lines", errors, lines::wishes);
        let ttl_ms = members.required("ttl_ms", errors, whole(1, TTL_MS_MAX));
        let reference = members.optional("reference", errors, string(Reference::new));
        Some(NewHold { buyer_id: buyer_id?, wishes: wishes?, ttl_ms: ttl_ms?, reference })
    });
    errors.unless_any(hold)
}

fn read_ttl(value: &Value<'_>) -> Result<u64, Problem> {
    let mut errors = Errors::default();
    let ttl_ms = Members::of(value, "", &["ttl_ms"], &mut errors)
        .and_then(|members| members.required("ttl_ms", &mut errors, whole(1, TTL_MS_MAX)));
    errors.unless_any(ttl_ms)
}

type Confirmation = (Option<Vec<NamedPart>>, Option<Reference>);

fn read_confirmation(value: &Value<'_>) -> Result<Confirmation, Problem> {
    let mut errors = Errors::default();
    let read = Members::of(value, "", &["lines", "reference"], &mut errors).map(|members| {
        let parts = members.optional("lines", &mut errors, lines::parts);
        let reference = members.optional("reference", &mut errors, string(Reference::new));
        (parts, reference)
    });
    errors.unless_any(read)
}
