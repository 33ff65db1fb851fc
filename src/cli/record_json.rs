//! A record as a line of JSON, for `wal dump`. Words are those of `DESIGN` and the HTTP answers.

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::names::Names;
use crate::domain::{
    CancelledLine, Decision, HoldEnded, Money, OrderLine, Patch, Sequence, Terms, TermsPatch,
    rfc3339,
};
use crate::journal::{HoldId, OrderId, Payload, Record};

/// A record.
#[derive(Serialize)]
pub(super) struct RecordJson<'a> {
    sequence: u64,
    position: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hash: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ChangeJson>,
    #[serde(flatten)]
    body: BodyJson<'a>,
}

#[derive(Serialize)]
struct ChangeJson {
    product_id: String,
    version: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum BodyJson<'a> {
    Started {
        binary: &'a str,
    },
    Watermark {},
    ProductCreated {
        product_id: &'a str,
        stock: u64,
        terms: TermsJson<'a>,
    },
    TermsChanged {
        sale_id: Option<&'a str>,
        patch: serde_json::Map<String, serde_json::Value>,
        counting_starts: bool,
    },
    StockAdjusted {
        delta: i64,
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        stock: u64,
        unsold: i64,
    },
    OrderPlaced {
        order_id: String,
        buyer_id: &'a str,
        lines: Vec<LineJson>,
    },
    RefusalsCounted {
        minute: String,
        rows: Vec<RowJson>,
    },
    HoldPlaced {
        hold_id: String,
        buyer_id: &'a str,
        lines: Vec<LineJson>,
        expires_at: String,
    },
    HoldExtended {
        hold_id: String,
        expires_at: String,
    },
    HoldConfirmed {
        hold_id: String,
        order_id: String,
        buyer_id: &'a str,
        lines: Vec<LineJson>,
        released: Vec<LineJson>,
    },
    HoldReleased {
        #[serde(flatten)]
        ended: HoldEndedJson<'a>,
    },
    HoldExpired {
        #[serde(flatten)]
        ended: HoldEndedJson<'a>,
    },
    OrderCancelled {
        order_id: String,
        buyer_id: &'a str,
        lines: Vec<CancelledLineJson>,
        reason: &'a str,
        restocked: bool,
        whole: bool,
    },
    SellingPaused {
        paused: bool,
    },
}

#[derive(Serialize)]
struct HoldEndedJson<'a> {
    hold_id: String,
    buyer_id: &'a str,
    lines: Vec<LineJson>,
}

#[derive(Serialize)]
struct CancelledLineJson {
    #[serde(flatten)]
    line: LineJson,
    frees_limit: bool,
}

#[derive(Serialize)]
pub(super) struct TermsJson<'a> {
    name: &'a str,
    price: Option<MoneyJson>,
    sale_id: Option<&'a str>,
    opens_at: Option<String>,
    closes_at: Option<String>,
    oversell_limit: u32,
    safety_stock: u32,
    per_buyer_limit: Option<u32>,
    low_stock_threshold: Option<u32>,
    paused: bool,
    returns_free_limit: bool,
}

#[derive(Serialize)]
struct MoneyJson {
    amount_minor: u64,
    currency: String,
}

#[derive(Serialize)]
struct LineJson {
    line_no: u64,
    product_id: String,
    quantity: u64,
    unit_price: Option<MoneyJson>,
}

#[derive(Serialize)]
struct RowJson {
    product_id: String,
    reason: &'static str,
    count: u64,
}

impl<'a> RecordJson<'a> {
    /// The record at `sequence`.
    pub(super) fn new(sequence: u64, payload: &'a Payload, names: &Names) -> Self {
        let (kind, at) = (payload.kind().as_str(), payload.at_ms().map(rfc3339));
        let plain = |body| Self {
            sequence,
            position: names.position(sequence).to_string(),
            kind,
            at: at.clone(),
            principal: None,
            reference: None,
            key_hash: None,
            changes: Vec::new(),
            body,
        };
        match payload {
            Payload::Started(started) => plain(BodyJson::Started { binary: &started.binary }),
            Payload::Watermark => plain(BodyJson::Watermark {}),
            Payload::Record(record) => {
                let Record { envelope, decision } = record;
                let hash = envelope.key.map(|key| super::hex(&key.hash));
                let change = |change: &crate::domain::Change| ChangeJson {
                    product_id: names.of(change.handle),
                    version: change.version.get(),
                };
                Self {
                    principal: Some(envelope.principal.as_str()),
                    reference: envelope.reference.as_ref().map(|reference| reference.as_str()),
                    key_hash: hash,
                    changes: envelope.changes.iter().map(change).collect(),
                    ..plain(body(sequence, decision, names))
                }
            }
        }
    }
}

fn body<'a>(sequence: u64, decision: &'a Decision, names: &Names) -> BodyJson<'a> {
    match decision {
        Decision::ProductCreated(created) => BodyJson::ProductCreated {
            product_id: created.product_id.as_str(),
            stock: created.stock,
            terms: terms(&created.terms),
        },
        Decision::TermsChanged(changed) => BodyJson::TermsChanged {
            sale_id: changed.sale_id.as_ref().map(|sale| sale.as_str()),
            patch: patch(&changed.patch),
            counting_starts: changed.counting_starts,
        },
        Decision::StockAdjusted(adjusted) => BodyJson::StockAdjusted {
            delta: adjusted.delta,
            reason: adjusted.reason.as_str(),
            text: adjusted.reason.text(),
            stock: adjusted.stock,
            unsold: adjusted.unsold,
        },
        Decision::OrderPlaced(order) => BodyJson::OrderPlaced {
            order_id: OrderId(names.position(sequence)).to_string(),
            buyer_id: order.buyer_id.as_str(),
            lines: lines(&order.lines, names),
        },
        Decision::HoldPlaced(placed) => BodyJson::HoldPlaced {
            hold_id: HoldId(names.position(sequence)).to_string(),
            buyer_id: placed.buyer_id.as_str(),
            lines: lines(&placed.lines, names),
            expires_at: rfc3339(placed.expires_at_ms),
        },
        Decision::HoldExtended(extended) => BodyJson::HoldExtended {
            hold_id: hold_id(extended.hold, names),
            expires_at: rfc3339(extended.expires_at_ms),
        },
        Decision::HoldConfirmed(confirmed) => BodyJson::HoldConfirmed {
            hold_id: hold_id(confirmed.hold, names),
            order_id: OrderId(names.position(sequence)).to_string(),
            buyer_id: confirmed.order.buyer_id.as_str(),
            lines: lines(&confirmed.order.lines, names),
            released: lines(&confirmed.released, names),
        },
        Decision::HoldReleased(ended) => BodyJson::HoldReleased { ended: ended_json(ended, names) },
        Decision::HoldExpired(ended) => BodyJson::HoldExpired { ended: ended_json(ended, names) },
        Decision::OrderCancelled(cancelled) => BodyJson::OrderCancelled {
            order_id: OrderId(names.position(cancelled.order.get())).to_string(),
            buyer_id: cancelled.buyer_id.as_str(),
            lines: cancelled.lines.iter().map(|line| cancelled_json(line, names)).collect(),
            reason: cancelled.reason.as_str(),
            restocked: cancelled.restocked,
            whole: cancelled.whole,
        },
        Decision::SellingPaused(selling) => BodyJson::SellingPaused { paused: selling.paused },
        Decision::RefusalsCounted(counted) => BodyJson::RefusalsCounted {
            minute: rfc3339(counted.minute_ms),
            rows: counted
                .rows
                .iter()
                .map(|row| RowJson {
                    product_id: names.of(row.product),
                    reason: row.reason.as_str(),
                    count: row.count,
                })
                .collect(),
        },
    }
}

fn lines(lines: &[OrderLine], names: &Names) -> Vec<LineJson> {
    let line = |(line_no, line): (u64, &OrderLine)| LineJson {
        line_no,
        product_id: names.of(line.product),
        quantity: line.quantity.units(),
        unit_price: line.unit_price.map(money),
    };
    (1..).zip(lines).map(line).collect()
}

fn cancelled_json(line: &CancelledLine, names: &Names) -> CancelledLineJson {
    let CancelledLine { place, product, quantity, unit_price, frees_limit } = *line;
    let line = LineJson {
        line_no: u64::from(place) + 1,
        product_id: names.of(product),
        quantity: quantity.units(),
        unit_price: unit_price.map(money),
    };
    CancelledLineJson { line, frees_limit }
}

fn hold_id(hold: Sequence, names: &Names) -> String {
    HoldId(names.position(hold.get())).to_string()
}

fn ended_json<'a>(ended: &'a HoldEnded, names: &Names) -> HoldEndedJson<'a> {
    HoldEndedJson {
        hold_id: hold_id(ended.hold, names),
        buyer_id: ended.buyer_id.as_str(),
        lines: lines(&ended.lines, names),
    }
}

pub(super) fn terms(terms: &Terms) -> TermsJson<'_> {
    TermsJson {
        name: terms.name.as_str(),
        price: terms.price.map(money),
        sale_id: terms.sale_id.as_ref().map(|sale| sale.as_str()),
        opens_at: terms.opens_at().map(rfc3339),
        closes_at: terms.closes_at().map(rfc3339),
        oversell_limit: terms.oversell_limit,
        safety_stock: terms.safety_stock,
        per_buyer_limit: terms.buyer_limit(),
        low_stock_threshold: terms.low_stock_threshold,
        paused: terms.paused,
        returns_free_limit: terms.returns_free_limit,
    }
}

/// What a patch sets, by the names of the HTTP contract.
fn patch(patch: &TermsPatch) -> serde_json::Map<String, serde_json::Value> {
    let mut set = serde_json::Map::new();
    let mut put = |name: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            set.insert(name.to_owned(), value);
        }
    };
    fn given<T: Clone>(patch: &Patch<T>) -> Option<T> {
        match patch {
            Patch::Keep => None,
            Patch::Set(value) => Some(value.clone()),
        }
    }
    let text = |value: &str| serde_json::Value::from(value);
    put("name", given(&patch.name).map(|name| text(name.as_str())));
    put("price", given(&patch.price).map(|price| serde_json::json!(price.map(money))));
    put(
        "sale_id",
        given(&patch.sale_id).map(|sale| serde_json::json!(sale.map(|sale| sale.to_string()))),
    );
    put("opens_at", given(&patch.opens_at_ms).map(|at| serde_json::json!(at.map(rfc3339))));
    put("closes_at", given(&patch.closes_at_ms).map(|at| serde_json::json!(at.map(rfc3339))));
    put("oversell_limit", given(&patch.oversell_limit).map(Into::into));
    put("safety_stock", given(&patch.safety_stock).map(Into::into));
    put("per_buyer_limit", given(&patch.per_buyer_limit).map(|limit| serde_json::json!(limit)));
    put("low_stock_threshold", given(&patch.low_stock_threshold).map(|at| serde_json::json!(at)));
    put("paused", given(&patch.paused).map(Into::into));
    put("returns_free_limit", given(&patch.returns_free_limit).map(Into::into));
    set
}

fn money(money: Money) -> MoneyJson {
    let currency = money.currency();
    MoneyJson { amount_minor: money.amount_minor(), currency: currency.as_str().to_owned() }
}
