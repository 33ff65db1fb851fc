//! Records and terms as JSON text: what `quarantine.record` and `movements.terms` hold.

use serde_json::{Map, Value, json};

use super::time::rfc3339;
use crate::domain::{Decision, Money, Patch, Terms, TermsPatch};
use crate::journal::Payload;

/// Longest error text kept.
const ERROR_CHARS_MAX: usize = 2_000;

/// A payload as JSON in ASCII: a database whose encoding lacks a character can still hold it.
pub(super) fn payload_json(payload: &Payload) -> String {
    let value = match payload {
        Payload::Started(started) => json!({ "started": started }),
        Payload::Watermark => json!({}),
        Payload::Record(record) => json!({
            "envelope": record.envelope,
            "decision": match &record.decision {
                Decision::ProductCreated(body) => json!(body),
                Decision::TermsChanged(body) => json!(body),
                Decision::StockAdjusted(body) => json!(body),
                Decision::OrderPlaced(body) => json!(body),
                Decision::RefusalsCounted(body) => json!(body),
                Decision::HoldPlaced(body) => json!(body),
                Decision::HoldExtended(body) => json!(body),
                Decision::HoldConfirmed(body) => json!(body),
                Decision::HoldReleased(body) | Decision::HoldExpired(body) => json!(body),
                Decision::OrderCancelled(body) => json!(body),
                Decision::SellingPaused(body) => json!(body),
            },
        }),
    };
    ascii(&value.to_string())
}

/// Text with everything outside ASCII written as JSON writes it.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && c != '\0' {
            out.push(c);
            continue;
        }
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// An error for `quarantine.error`.
pub(super) fn error_text(error: &str) -> String {
    ascii(&error.chars().take(ERROR_CHARS_MAX).collect::<String>())
}

/// What a change of terms sets, by the names of the HTTP contract.
pub(super) fn patch_json(patch: &TermsPatch) -> String {
    let mut set = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            set.insert(name.to_owned(), value);
        }
    };
    put("name", given(&patch.name, |name| json!(name)));
    put("price", given(&patch.price, |price| price_json(price.as_ref())));
    put("sale_id", given(&patch.sale_id, |sale_id| json!(sale_id)));
    put("opens_at", given(&patch.opens_at_ms, |at| time_json(*at)));
    put("closes_at", given(&patch.closes_at_ms, |at| time_json(*at)));
    put("oversell_limit", given(&patch.oversell_limit, |units| json!(units)));
    put("safety_stock", given(&patch.safety_stock, |units| json!(units)));
    put("per_buyer_limit", given(&patch.per_buyer_limit, |units| json!(units)));
    put("low_stock_threshold", given(&patch.low_stock_threshold, |units| json!(units)));
    put("paused", given(&patch.paused, |paused| json!(paused)));
    put("returns_free_limit", given(&patch.returns_free_limit, |free| json!(free)));
    Value::Object(set).to_string()
}

/// A product's first terms, by the same names.
pub(super) fn terms_json(terms: &Terms) -> String {
    json!({
        "name": terms.name,
        "price": price_json(terms.price.as_ref()),
        "sale_id": terms.sale_id,
        "opens_at": time_json(terms.opens_at()),
        "closes_at": time_json(terms.closes_at()),
        "oversell_limit": terms.oversell_limit,
        "safety_stock": terms.safety_stock,
        "per_buyer_limit": terms.buyer_limit(),
        "low_stock_threshold": terms.low_stock_threshold,
        "paused": terms.paused,
        "returns_free_limit": terms.returns_free_limit,
    })
    .to_string()
}

fn given<T>(patch: &Patch<T>, value: impl FnOnce(&T) -> Value) -> Option<Value> {
    match patch {
        Patch::Keep => None,
        Patch::Set(new) => Some(value(new)),
    }
}

fn price_json(price: Option<&Money>) -> Value {
    price.map_or(Value::Null, |price| {
        let currency = price.currency();
        json!({ "amount_minor": price.amount_minor(), "currency": currency.as_str() })
    })
}

fn time_json(at_ms: Option<u64>) -> Value {
    at_ms.and_then(|ms| i64::try_from(ms).ok()).map_or(Value::Null, |ms| json!(rfc3339(ms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Name;

    #[test]
    fn text_in_quarantine_is_ascii_and_still_json() {
        let text = json!({ "name": "Käse 🧀" }).to_string();
        let written = ascii(&text);
        assert_eq!(written, r#"{"name":"K\u00e4se \ud83e\uddc0"}"#);
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), json!({ "name": "Käse 🧀" }));
    }

    #[test]
    fn patch_shows_what_it_sets_and_nothing_else() {
        let patch = TermsPatch {
            name: Patch::Set(Name::new("Lamp").unwrap()),
            closes_at_ms: Patch::Set(None),
            opens_at_ms: Patch::Set(Some(0)),
            paused: Patch::Set(true),
            ..TermsPatch::default()
        };
        let expected = r#"{"closes_at":null,"name":"Lamp","opens_at":"1970-01-01T00:00:00.000Z","paused":true}"#;
        assert_eq!(patch_json(&patch), expected);
    }
}
