//! One purchase, asked for until its outcome is known: the same key every time.
//!
//! What was not heard of is asked again after a pause, `Retry-After` respected up to 5 s, until
//! the patience ends. A purchase that was acted on although nobody heard of it is told apart from
//! one that was not: its answer comes as replayed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::book::{Line, Order, Price};
use super::caller::{CallError, Caller, Reply};
use super::stopwatch::Stopwatch;

/// How long one purchase is asked for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// Answers that say that nothing was decided, or not yet heard: the same key asks again.
const ASK_AGAIN: &[&str] = &["key-in-flight", "request-timeout"];

/// What a buyer wants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    /// Its idempotency key.
    pub(crate) key: String,
    /// Which product.
    pub(crate) product_id: String,
    /// Who buys.
    pub(crate) buyer_id: String,
    /// How many units.
    pub(crate) quantity: u64,
    /// The price of one, instead of the product's.
    pub(crate) unit_price: Option<Price>,
    /// The shop's number for it.
    pub(crate) reference: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It was sold.
    Sold {
        /// The order's id.
        order_id: String,
        /// The order, as the answer tells it.
        order: Order,
        /// An earlier run under the same id sold it: its first attempt of this run was told so.
        earlier: bool,
    },
    /// It was refused.
    Refused {
        /// Why, such as `sold-out`.
        reason: String,
    },
    /// No answer that can be used.
    Failed {
        /// Status and words.
        what: String,
    },
}

/// What stood between the wishes and their outcomes.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    retries: RefCell<BTreeMap<String, u64>>,
    unknown: Cell<u64>,
    had_happened: Cell<u64>,
    had_not: Cell<u64>,
    in_flight: Cell<u64>,
}

/// [`Trouble`] as figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TroubleReport {
    /// Attempts that had to be made again, by what they met.
    pub(crate) retries: BTreeMap<String, u64>,
    /// Purchases whose outcome was unknown at least once.
    pub(crate) unknown_outcomes: u64,
    /// Of these: it had happened, and the retry told so.
    pub(crate) had_happened: u64,
    /// Of these: it had not happened, and the retry decided it.
    pub(crate) had_not_happened: u64,
}

impl Trouble {
    /// Purchases that wait for an answer at this moment.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    /// The figures.
    pub(crate) fn report(&self) -> TroubleReport {
        TroubleReport {
            retries: self.retries.borrow().clone(),
            unknown_outcomes: self.unknown.get(),
            had_happened: self.had_happened.get(),
            had_not_happened: self.had_not.get(),
        }
    }

    fn again(&self, why: &str) {
        *self.retries.borrow_mut().entry(why.to_owned()).or_default() += 1;
    }
}

fn add_one(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Wish {
    fn body(&self) -> Value {
        let mut body = json!({
            "product_id": self.product_id,
            "buyer_id": self.buyer_id,
            "quantity": self.quantity,
        });
        if let Some(fields) = body.as_object_mut() {
            if let Some(price) = &self.unit_price {
                fields.insert("unit_price".to_owned(), json!(price));
            }
            if let Some(reference) = &self.reference {
                fields.insert("reference".to_owned(), json!(reference));
            }
        }
        body
    }
}

/// Buys, as long as it takes.
pub(crate) async fn buy(caller: &Caller, wish: &Wish, trouble: &Trouble) -> Outcome {
    let body = wish.body();
    add_one(&trouble.in_flight);
    let asked = ask(caller, "/v1/purchases", &wish.key, &body, trouble).await;
    trouble.in_flight.set(trouble.in_flight.get() - 1);
    match asked {
        Ok(Heard { reply, unknown }) => {
            resolved(judge(&reply, wish), unknown, reply.replayed, trouble)
        }
        Err(NeverHeard { why, unknown }) => {
            let what = format!("no outcome within {} s: {why}", PATIENCE.as_secs());
            resolved(Outcome::Failed { what }, unknown, false, trouble)
        }
    }
}

/// An answer that stands.
pub(crate) struct Heard {
    /// The answer.
    pub(crate) reply: Reply,
    /// Whether an attempt before it may have been acted on without being heard of.
    unknown: bool,
}

/// No answer that stands came in time.
#[derive(Debug, thiserror::Error)]
#[error("no outcome: {why}")]
pub(crate) struct NeverHeard {
    why: String,
    unknown: bool,
}

/// Asks under one key until there is an answer that stands.
///
/// # Errors
/// The patience ended.
pub(crate) async fn ask(
    caller: &Caller,
    path: &str,
    key: &str,
    body: &Value,
    trouble: &Trouble,
) -> Result<Heard, NeverHeard> {
    let (since, mut pause, mut unknown) = (Stopwatch::start(), PAUSE_FIRST, false);
    loop {
        let (why, wait) = match caller.post(path, key, body).await {
            Ok(reply) if !asks_again(&reply) => return Ok(Heard { reply, unknown }),
            Ok(reply) => {
                unknown |= reply.problem() == "outcome-unknown";
                (format!("{} {}", reply.status, reply.problem()), reply.retry_after)
            }
            Err(CallError::NotSent(_)) => ("not connected".to_owned(), None),
            Err(CallError::Unheard(_)) => {
                unknown = true;
                ("connection lost".to_owned(), None)
            }
        };
        trouble.again(why.trim());
        if since.elapsed() > PATIENCE {
            return Err(NeverHeard { why, unknown });
        }
        tokio::time::sleep(wait.unwrap_or(pause).min(RETRY_AFTER_MAX)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn asks_again(reply: &Reply) -> bool {
    reply.status == 503 || ASK_AGAIN.contains(&reply.problem())
}

/// Counts what became of an outcome that was unknown; of one that was not, tells whose sale it is.
fn resolved(mut outcome: Outcome, unknown: bool, replayed: bool, trouble: &Trouble) -> Outcome {
    if !unknown {
        if let Outcome::Sold { earlier, .. } = &mut outcome {
            *earlier = replayed;
        }
        return outcome;
    }
    add_one(&trouble.unknown);
    match &outcome {
        Outcome::Sold { .. } if replayed => add_one(&trouble.had_happened),
        Outcome::Failed { .. } => {}
        _ => add_one(&trouble.had_not),
    }
    outcome
}

/// What an answer that stands means for the wish.
fn judge(reply: &Reply, wish: &Wish) -> Outcome {
    match reply.status {
        201 => sold(reply, wish),
        409 if !reply.problem().is_empty() => {
            Outcome::Refused { reason: reply.problem().to_owned() }
        }
        _ => Outcome::Failed { what: reply.words() },
    }
}

/// The order of a 201, if it is what was asked for.
fn sold(reply: &Reply, wish: &Wish) -> Outcome {
    let text = |field: &str| reply.body.get(field).and_then(Value::as_str).map(str::to_owned);
    let line = reply.body.pointer("/lines/0");
    let field = |field: &str| line.and_then(|line| line.get(field));
    let order = Order {
        buyer_id: text("buyer_id").unwrap_or_default(),
        reference: text("reference"),
        lines: vec![Line {
            product_id: field("product_id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            quantity: field("quantity").and_then(Value::as_u64).unwrap_or_default(),
            unit_price: field("unit_price").and_then(Price::from_json),
        }],
    };
    let lines = reply.body.get("lines").and_then(Value::as_array).map_or(0, Vec::len);
    let wrong = lines != 1
        || order.buyer_id != wish.buyer_id
        || order.reference != wish.reference
        || order.lines.iter().any(|line| !line.answers(wish));
    match text("order_id") {
        Some(order_id) if !wrong => Outcome::Sold { order_id, order, earlier: false },
        _ => Outcome::Failed { what: format!("the answer is not what was asked: {}", reply.body) },
    }
}

impl Line {
    /// Whether it is the line that was asked for; a wish without a price leaves it to the product.
    fn answers(&self, wish: &Wish) -> bool {
        self.product_id == wish.product_id
            && self.quantity == wish.quantity
            && (wish.unit_price.is_none() || self.unit_price == wish.unit_price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish {
            key: "k".into(),
            product_id: "p".into(),
            buyer_id: "b".into(),
            quantity: 2,
            unit_price: Some(Price { amount_minor: 255, currency: "GBP".into() }),
            reference: Some("536365".into()),
        }
    }

    fn answer(quantity: u64) -> Value {
        json!({"order_id": "o1", "buyer_id": "b", "reference": "536365", "lines": [
            {"product_id": "p", "quantity": quantity,
             "unit_price": {"amount_minor": 255, "currency": "GBP"}}]})
    }

    /// What a status and a body mean: `again`, or the outcome.
    fn check(status: u16, body: Value, expected: &str) {
        let reply = Reply { status, replayed: false, retry_after: None, body };
        let said = match judge(&reply, &wish()) {
            _ if asks_again(&reply) => "again".to_owned(),
            Outcome::Sold { order_id, .. } => format!("sold {order_id}"),
            Outcome::Refused { reason } => format!("refused {reason}"),
            Outcome::Failed { what } => format!("failed {what}"),
        };
        assert!(said.starts_with(expected), "{status}: {said}, not {expected}");
    }

    fn problem(name: &str) -> Value {
        json!({"type": format!("urn:doorbuster:problem:{name}"), "detail": "d"})
    }

    #[test]
    fn answers_mean_what_the_contract_says() {
        check(201, answer(2), "sold o1");
        check(201, answer(3), "failed the answer is not what was asked");
        check(201, json!({}), "failed the answer is not");
        check(409, problem("sold-out"), "refused sold-out");
        check(409, problem("limit-reached"), "refused limit-reached");
        check(409, problem("key-in-flight"), "again");
        check(503, problem("outcome-unknown"), "again");
        check(503, problem("not-decided"), "again");
        check(503, Value::Null, "again");
        check(408, problem("request-timeout"), "again");
        check(422, problem("key-reused"), "failed 422 key-reused d");
        check(409, Value::Null, "failed 409");
    }

    #[test]
    fn body_has_only_what_was_wished() {
        let bare = Wish { unit_price: None, reference: None, ..wish() };
        assert_eq!(bare.body(), json!({"product_id": "p", "buyer_id": "b", "quantity": 2}));
        let price = json!({"amount_minor": 255, "currency": "GBP"});
        assert_eq!(wish().body().get("unit_price"), Some(&price));
    }
}
