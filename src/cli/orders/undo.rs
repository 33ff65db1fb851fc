//! Taking back one order or hold of a list: what is there now is asked first, so that what was
//! taken back before, by this list or by anybody, is not taken back again.
//!
//! Where the list says what stays, the order itself shows what is still to be done. Where it does
//! not, only the key tells whether this list did it: so the request is the same each time, however
//! the order stands.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::list::{Id, Undo, Wanted};
use crate::cli::hex;
use crate::cli::play::ask::{Trouble, ask_for};
use crate::cli::play::caller::{CallError, Caller, Reply};
use crate::cli::play::stopwatch::Stopwatch;

/// How long one request is asked for: a server that starts again is not always back by then, and the
/// list can be run again.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// What became of one, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// So many units, worth so much by currency.
    Undone { units: u64, money_minor: BTreeMap<String, u128> },
    /// An earlier run of the same list did it: so many units.
    Before { units: u64 },
    /// Of a rehearsal: so many units, unless an earlier run of the same list took them back.
    Unsure { units: u64 },
    /// Nothing was left to do.
    Already,
    /// It cannot be done; the next ones may.
    Failed(String),
    /// It was not done, and the next ones cannot be either.
    Stopped(String),
    /// As `Stopped`, but for this one: it may have been done.
    Unknown(String),
    /// One before it has stopped all.
    NotAsked,
}

/// A word of 32 letters for these texts, the same for the same ones.
pub(super) fn word_of(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hex(hasher.finalize().as_slice()).chars().take(32).collect()
}

/// Asks how it stands, and takes back what is still to be, unless it is only a rehearsal.
pub(super) async fn undo(
    caller: &Caller,
    undo: &Undo,
    reason: &str,
    dry_run: bool,
    trouble: &Trouble,
) -> Outcome {
    let found = match &undo.id {
        Id::Order(id) => patiently(async || caller.get(&format!("/v1/orders/{id}")).await).await,
        Id::Hold(id) => patiently(async || caller.get(&format!("/v1/holds/{id}")).await).await,
    };
    let found = match found.and_then(accepted) {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    let cannot = not_in_it(&found, &undo.products).or_else(|| too_many(&found, undo));
    if let Some(why) = cannot {
        return Outcome::Failed(why);
    }
    match &undo.id {
        Id::Order(id) => cancel(caller, undo, id, &found, reason, dry_run, trouble).await,
        Id::Hold(id) => release(caller, id, &found, dry_run).await,
    }
}

async fn cancel(
    caller: &Caller,
    undo: &Undo,
    id: &str,
    found: &Value,
    reason: &str,
    dry_run: bool,
    trouble: &Trouble,
) -> Outcome {
    let mut parts = Vec::new();
    let (mut would, mut is_unsure, mut short) = (Sums::default(), false, Vec::new());
    for (product_id, wanted) in &undo.products {
        let units = still_to_take(found, product_id, wanted);
        would.take_first(found, product_id, units);
        is_unsure |= wanted.keep.is_none() && units > 0 && cancelled_of(found, product_id) > 0;
        let asked = match wanted.keep {
            Some(_) => units,
            None => wanted.units,
        };
        if asked > units {
            short.push(format!("line {}: {units} of {asked} {product_id} are left", wanted.line));
        }
        if asked > 0 {
            parts.push(json!({ "product_id": product_id, "quantity": asked }));
        }
    }
    if would.units == 0 {
        return Outcome::Already;
    }
    if dry_run {
        return if is_unsure { Outcome::Unsure { units: would.units } } else { would.undone() };
    }
    let products: Vec<&str> = undo.products.keys().map(String::as_str).collect();
    let key = word_of(&[&undo.origin, id, &products.join(",")]);
    let body = json!({ "reason": reason, "lines": parts });
    let path = format!("/v1/orders/{id}/cancel");
    let key = format!("orders-cancel-{key}");
    let heard = match ask_for(PATIENCE, caller, &path, &key, &body, trouble).await {
        Ok(heard) => heard,
        Err(never) if never.unknown => return Outcome::Unknown(never.to_string()),
        Err(never) => return Outcome::Stopped(never.to_string()),
    };
    let (is_before, reply) = (heard.of_earlier_run(), heard.reply);
    match (reply.status, reply.problem()) {
        // Between the question and this somebody took units back.
        (409, "already-cancelled") if short.is_empty() => {
            Outcome::Failed("it changed meanwhile: run it again".to_owned())
        }
        (409, "already-cancelled") => Outcome::Failed(format!(
            "{}, for somebody took units back: put those that are left into a list of their own",
            short.join(", ")
        )),
        (422, "key-reused") => Outcome::Failed(
            "this list cancelled it before with another --reason, or other units of it: give the \
             --reason of that run to be told what it did; what is still to be taken back needs a new \
             list"
                .to_owned(),
        ),
        _ => match accepted(reply) {
            Ok(answer) => {
                let mut sums = Sums::default();
                lines(&answer).for_each(|line| sums.add(line, units_in(line, "quantity")));
                if is_before { Outcome::Before { units: sums.units } } else { sums.undone() }
            }
            Err(outcome) => outcome,
        },
    }
}

/// The products of a list that an order or hold has no line of, in words.
fn not_in_it(found: &Value, products: &BTreeMap<String, Wanted>) -> Option<String> {
    let missing = products.iter().filter(|(id, _)| lines_of(found, id).next().is_none());
    let missing: Vec<String> = missing
        .map(|(id, wanted)| format!("line {}: it has no line of {id}", wanted.line))
        .collect();
    (!missing.is_empty()).then(|| format!("{}; nothing of it was changed", missing.join(", ")))
}

/// The lines of a list that take back more than an order ever had, in words. A hold goes whole.
fn too_many(found: &Value, undo: &Undo) -> Option<String> {
    let Id::Order(_) = undo.id else { return None };
    let more = undo.products.iter().filter_map(|(id, wanted)| {
        let (line, units, ordered) = (wanted.line, wanted.units, ordered_of(found, id));
        (units > ordered)
            .then(|| format!("line {line}: it takes back {units} {id}, the order has {ordered}"))
    });
    let more: Vec<String> = more.collect();
    (!more.is_empty()).then(|| format!("{}; nothing of it was changed", more.join(", ")))
}

/// A hold cannot be cut: it is released whole.
async fn release(caller: &Caller, id: &str, found: &Value, dry_run: bool) -> Outcome {
    match found.get("status").and_then(Value::as_str) {
        Some("held") => {}
        Some("confirmed") => return became_an_order(found),
        _ => return Outcome::Already,
    }
    let mut sums = Sums::default();
    lines(found).for_each(|line| sums.add(line, units_in(line, "quantity")));
    if dry_run {
        return sums.undone();
    }
    let path = format!("/v1/holds/{id}");
    match patiently(async || caller.delete(&path).await).await {
        Ok(reply) if reply.status == 200 || reply.problem() == "hold-released" => sums.undone(),
        Ok(reply) if reply.problem() == "hold-expired" => Outcome::Already,
        Ok(reply) if reply.problem() == "hold-confirmed" => became_an_order(&reply.body),
        Ok(reply) => Outcome::Failed(reply.words()),
        Err(Outcome::Stopped(why)) => Outcome::Unknown(why),
        Err(outcome) => outcome,
    }
}

fn became_an_order(hold: &Value) -> Outcome {
    let order = hold.get("order_id").and_then(Value::as_str).unwrap_or("an order");
    Outcome::Failed(format!("it became {order} meanwhile: make the list again"))
}

/// Units of a product that are still to be taken back, so that no more than `keep` stay.
fn still_to_take(order: &Value, product_id: &str, wanted: &Wanted) -> u64 {
    let left: u64 = lines_of(order, product_id).map(left_of).sum();
    left.saturating_sub(wanted.keep.unwrap_or(0)).min(wanted.units)
}

fn ordered_of(order: &Value, product_id: &str) -> u64 {
    lines_of(order, product_id).map(|line| units_in(line, "quantity")).sum()
}

fn cancelled_of(order: &Value, product_id: &str) -> u64 {
    lines_of(order, product_id).map(|line| units_in(line, "cancelled")).sum()
}

/// Asks again while there is no answer that says anything.
async fn patiently(asked: impl AsyncFn() -> Result<Reply, CallError>) -> Result<Reply, Outcome> {
    let since = Stopwatch::start();
    loop {
        let why = match asked().await {
            Ok(reply) if reply.status == 503 => reply.words(),
            Ok(reply) => return Ok(reply),
            Err(error) => error.to_string(),
        };
        if since.elapsed() > PATIENCE {
            return Err(Outcome::Stopped(format!(
                "no answer within {} s: {why}",
                PATIENCE.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn accepted(reply: Reply) -> Result<Value, Outcome> {
    match reply.status {
        200 | 201 => Ok(reply.body),
        401 | 403 => Err(Outcome::Stopped(format!(
            "{}: give a key with the scopes read and sell by --api-key-file or DOORBUSTER_API_KEY",
            reply.words()
        ))),
        // No order has such an answer: somebody else listens there, or under another path.
        404 if reply.problem().is_empty() || reply.problem() == "unknown-path" => {
            Err(Outcome::Stopped(format!(
                "no doorbuster answers under this URL ({}): give the one that the server tells at its start",
                reply.status
            )))
        }
        _ => Err(Outcome::Failed(reply.words())),
    }
}

/// Units and money.
#[derive(Default)]
struct Sums {
    units: u64,
    money_minor: BTreeMap<String, u128>,
}

impl Sums {
    /// The units of the first lines of a product, as the server takes them.
    fn take_first(&mut self, order: &Value, product_id: &str, mut units: u64) {
        for line in lines_of(order, product_id) {
            let taken = left_of(line).min(units);
            self.add(line, taken);
            units -= taken;
        }
    }

    fn add(&mut self, line: &Value, units: u64) {
        self.units += units;
        let price = line.get("unit_price");
        let text = price.and_then(|price| price.get("currency")).and_then(Value::as_str);
        let amount = price.and_then(|price| price.get("amount_minor")).and_then(Value::as_u64);
        if let (Some(currency), Some(amount)) = (text, amount)
            && units > 0
        {
            let money = u128::from(amount) * u128::from(units);
            *self.money_minor.entry(currency.to_owned()).or_default() += money;
        }
    }

    fn undone(self) -> Outcome {
        Outcome::Undone { units: self.units, money_minor: self.money_minor }
    }
}

fn lines(order: &Value) -> impl Iterator<Item = &Value> {
    order.get("lines").and_then(Value::as_array).into_iter().flatten()
}

fn lines_of<'a>(order: &'a Value, product_id: &str) -> impl Iterator<Item = &'a Value> {
    lines(order)
        .filter(move |line| line.get("product_id").and_then(Value::as_str) == Some(product_id))
}

fn left_of(line: &Value) -> u64 {
    units_in(line, "quantity").saturating_sub(units_in(line, "cancelled"))
}

fn units_in(line: &Value, field: &str) -> u64 {
    line.get(field).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_leaves_what_stays() {
        let line = |product_id: &str, quantity: u64, cancelled: u64| json!({"product_id": product_id, "quantity": quantity, "cancelled": cancelled, "unit_price": {"amount_minor": 250, "currency": "GBP"}});
        let order = json!({ "lines": [line("hat", 3, 1), line("mug", 9, 0), line("hat", 4, 0)] });
        let check = |units, keep, expected| {
            let wanted = Wanted { line: 2, units, keep };
            assert_eq!(still_to_take(&order, "hat", &wanted), expected, "{wanted:?}");
        };
        check(4, Some(2), 4);
        check(5, Some(2), 4);
        check(4, Some(6), 0);
        check(1, Some(0), 1);
        check(9, None, 6);
        let products = [("hat", 2), ("cap", 3)];
        let products =
            products.map(|(id, line)| (id.to_owned(), Wanted { line, units: 1, keep: None }));
        let told = not_in_it(&order, &products.into());
        assert_eq!(told.unwrap(), "line 3: it has no line of cap; nothing of it was changed");
        let mut sums = Sums::default();
        sums.take_first(&order, "hat", 3);
        assert_eq!((sums.units, sums.money_minor.get("GBP")), (3, Some(&750)));
    }
}
