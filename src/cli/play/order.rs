//! What one witness tells of an order and of an adjustment.

use serde::Serialize;
use serde_json::Value;

/// A price in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Price {
    /// Pence, cents, yen.
    pub(crate) amount_minor: u64,
    /// ISO 4217.
    pub(crate) currency: String,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which product.
    pub(crate) product_id: String,
    /// How many units.
    pub(crate) quantity: u64,
    /// The price of one.
    pub(crate) unit_price: Option<Price>,
    /// Units of it that came back.
    pub(crate) cancelled: u64,
}

/// What is left of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Status {
    /// All of it.
    #[default]
    Placed,
    /// Some of it.
    PartlyCancelled,
    /// Nothing.
    Cancelled,
}

/// One order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Who bought.
    pub(crate) buyer_id: String,
    /// The shop's number for it.
    pub(crate) reference: Option<String>,
    /// What is left of it, as the witness says; its lines say so too.
    pub(crate) status: Status,
    /// What.
    pub(crate) lines: Vec<Line>,
}

/// Units put in or written off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adjustment {
    /// Of which product.
    pub(crate) product_id: String,
    /// How many: put in above 0, written off below.
    pub(crate) delta: i64,
    /// Why, such as `returned`.
    pub(crate) reason: String,
    /// Why, in words.
    pub(crate) text: Option<String>,
    /// The shop's number for it.
    pub(crate) reference: Option<String>,
}

impl Price {
    /// The price in `{amount_minor, currency}`.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let amount_minor = value.get("amount_minor")?.as_u64()?;
        let currency = value.get("currency")?.as_str()?.to_owned();
        Some(Self { amount_minor, currency })
    }
}

impl Status {
    /// The status of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "placed" => Some(Self::Placed),
            "partly_cancelled" => Some(Self::PartlyCancelled),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }
}

impl Line {
    /// A line of which nothing has come back.
    pub(crate) fn new(product_id: String, quantity: u64, unit_price: Option<Price>) -> Self {
        Self { product_id, quantity, unit_price, cancelled: 0 }
    }

    /// The line in an answer.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let product_id = value.get("product_id")?.as_str()?.to_owned();
        let unit_price = value.get("unit_price").and_then(Price::from_json);
        Some(Self::new(product_id, value.get("quantity")?.as_u64()?, unit_price))
    }
}

impl Order {
    /// The order in an answer, with its id; `None`: it is no order.
    pub(crate) fn from_json(body: &Value) -> Option<(String, Self)> {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let lines = body.get("lines")?.as_array()?.iter().map(Line::from_json);
        let order = Self {
            buyer_id: text("buyer_id")?,
            reference: text("reference"),
            status: Status::named(&text("status")?)?,
            lines: lines.collect::<Option<_>>()?,
        };
        Some((text("order_id")?, order))
    }
}

impl Adjustment {
    /// The adjustment in an answer; `None`: it is none.
    pub(crate) fn from_json(body: &Value) -> Option<Self> {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            product_id: text("product_id")?,
            delta: body.get("delta")?.as_i64()?,
            reason: text("reason")?,
            text: text("text"),
            reference: text("reference"),
        })
    }
}
