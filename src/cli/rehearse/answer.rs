//! What an answer says that sells nothing: a refusal and its figures, or the place of a record.

use serde_json::Value;

use super::line::Line;
use super::outcome::{Refused, Short};
use crate::cli::play::caller::{Reply, problem_of};
use crate::journal::Position;

/// The refusal of an order of these lines.
pub(super) fn refused(reply: &Reply, lines: &[&Line]) -> Refused {
    let each = reply.body.get("lines").and_then(Value::as_array);
    let short = match each {
        // An order of one line has the figures themselves.
        None => lines.first().and_then(|line| short(&reply.body, line)).into_iter().collect(),
        Some(each) => each.iter().filter_map(|refusal| named(refusal, lines)).collect(),
    };
    Refused { reason: reply.problem().to_owned(), short }
}

fn named(refusal: &Value, lines: &[&Line]) -> Option<Short> {
    let line_no = refusal.pointer("/line_nos/0").and_then(Value::as_u64)?;
    let place = usize::try_from(line_no.checked_sub(1)?).ok()?;
    short(refusal, lines.get(place)?)
}

/// What could be had of the product of that line: what is there, or what a limit leaves.
fn short(refusal: &Value, line: &Line) -> Option<Short> {
    let figure = |name: &str| refusal.get(name).and_then(Value::as_u64);
    let left = figure("limit").zip(figure("bought"));
    let left = left.map(|(limit, bought)| limit.saturating_sub(bought));
    let available = figure("available").or(left).unwrap_or(0);
    let requested = figure("requested").unwrap_or(line.quantity);
    let sold_out = problem_of(refusal) == "sold-out";
    Some(Short { product: line.product, requested, available, sold_out })
}

/// The reason of a refusal; any other answer is an error.
pub(super) fn refusal(reply: &Reply) -> Result<String, String> {
    match reply.status {
        409 if !reply.problem().is_empty() => Ok(reply.problem().to_owned()),
        _ => Err(reply.words()),
    }
}

pub(super) fn not_asked(reply: &Reply) -> String {
    format!("the answer is not what was asked: {}", reply.body)
}

/// The place of the record that an answer tells of.
pub(super) fn sequence_of(body: &Value) -> Option<u64> {
    let position: Position = body.get("position")?.as_str()?.parse().ok()?;
    Some(position.sequence.get())
}
