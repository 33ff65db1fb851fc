//! One purchase of one product, and what its answer means.

use serde_json::{Value, json};

use super::ask::{Trouble, ask};
use super::caller::{Caller, Reply};
use super::order::{Line, Order, Price};

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
    match ask(caller, "/v1/purchases", &wish.key, &wish.body(), trouble).await {
        Ok(heard) => judge(&heard.reply, wish),
        Err(error) => Outcome::Failed { what: error.to_string() },
    }
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
    match Order::from_json(&reply.body) {
        Some((order_id, order))
            if order.buyer_id == wish.buyer_id
                && order.reference == wish.reference
                && matches!(order.lines.as_slice(), [line] if line.answers(wish)) =>
        {
            Outcome::Sold { order_id, order }
        }
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
    use crate::cli::play::ask::asks_again;

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
        json!({"order_id": "o1", "buyer_id": "b", "reference": "536365", "status": "placed",
            "lines": [
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
