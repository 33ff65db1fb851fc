//! A record as a line of JSON, for `wal dump`. Words are those of `DESIGN` and the HTTP answers.

use serde::Serialize;

use crate::domain::{Decision, Handle, Money, Patch, Sequence, Terms, TermsPatch, rfc3339};
use crate::journal::{JournalIdentity, OrderId, Payload, Position, Record};

/// Names of a log's places and products, as far as it was read.
pub(super) struct Names {
    identity: JournalIdentity,
    /// By handle.
    products: Vec<String>,
}

impl Names {
    /// Of a journal nothing is read of yet.
    pub(super) fn of_journal(identity: JournalIdentity) -> Self {
        Self { identity, products: Vec::new() }
    }

    fn position(&self, sequence: u64) -> Position {
        let JournalIdentity { partition, epoch, .. } = self.identity;
        Position { partition, epoch, sequence: Sequence::new(sequence) }
    }

    /// Learns the name of a product that a record creates.
    pub(super) fn learn(&mut self, payload: &Payload) {
        if let Payload::Record(record) = payload
            && let Decision::ProductCreated(created) = &record.decision
        {
            self.products.push(created.product_id.to_string());
        }
    }

    fn of(&self, handle: Handle) -> String {
        self.products.get(handle.index()).cloned().unwrap_or_else(|| format!("(handle {handle})"))
    }
}

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
}

#[derive(Serialize)]
struct TermsJson<'a> {
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
    line_no: usize,
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
                let Record { envelope, decision } = &**record;
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
            lines: (1..)
                .zip(&order.lines)
                .map(|(line_no, line)| LineJson {
                    line_no,
                    product_id: names.of(line.product),
                    quantity: line.quantity.units(),
                    unit_price: line.unit_price.map(money),
                })
                .collect(),
        },
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

fn terms(terms: &Terms) -> TermsJson<'_> {
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
