//! Requests as bytes.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::notes::{self, Asked, Notes, Ware};
use crate::place::Place;
use crate::request::post_into;

fn money(pence: u64) -> Value {
    json!({ "amount_minor": pence, "currency": "GBP" })
}

/// The bytes of a request, into `out`; `journal` is the one that ids name.
pub(super) fn write(notes: &Notes, journal: Option<(u16, u32)>, number: u64, out: &mut String) {
    let Some(request) = notes.get(number) else { return };
    let asked = request.asked;
    let key = notes::key(number);
    let id = |letter, placed: u32| {
        let (partition, epoch) = journal.unwrap_or_default();
        let sequence = notes.place_of(placed.into()).unwrap_or_default();
        Place { partition, epoch, sequence }.word(letter)
    };
    let (path, body) = match asked {
        Asked::Create { ware } => {
            let Some(noted) = notes.wares.get(usize::from(ware)) else { return };
            ("/v1/products".to_owned(), creation(&notes::product_id(ware), noted))
        }
        Asked::Adjust { ware, delta } => {
            let reason = if delta > 0 { "received" } else { "damaged" };
            let path = format!("/v1/products/{}/adjustments", notes::product_id(ware));
            (path, json!({ "delta": delta, "reason": reason, "reference": key }))
        }
        Asked::Buy { ware, quantity, buyer } => {
            ("/v1/purchases".to_owned(), purchase(number, ware, quantity, buyer))
        }
        Asked::Cart { buyer, .. } => {
            let mut body = together(notes, number);
            body.insert("buyer_id".to_owned(), json!(notes::buyer_id(buyer)));
            ("/v1/orders".to_owned(), Value::Object(body))
        }
        Asked::Hold { buyer, ttl_ms, .. } => {
            let mut body = together(notes, number);
            body.insert("buyer_id".to_owned(), json!(notes::buyer_id(buyer)));
            body.insert("ttl_ms".to_owned(), json!(ttl_ms));
            ("/v1/holds".to_owned(), Value::Object(body))
        }
        Asked::Extend { ttl_ms, hold, .. } => {
            (format!("/v1/holds/{}/extend", id(b'h', hold)), json!({ "ttl_ms": ttl_ms }))
        }
        Asked::Confirm { hold, .. } => {
            (format!("/v1/holds/{}/confirm", id(b'h', hold)), json!({ "reference": key }))
        }
        Asked::Cancel { restock, order, .. } => {
            let body = json!({ "reason": key, "restock": restock });
            (format!("/v1/orders/{}/cancel", id(b'o', order)), body)
        }
        Asked::Release { hold, .. } => {
            out.clear();
            let hold = id(b'h', hold);
            // Writing to a string does not fail.
            let _ = write!(out, "DELETE /v1/holds/{hold} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            return;
        }
    };
    post_into(out, &path, &key, &body.to_string());
}

fn purchase(number: u64, ware: u16, quantity: u16, buyer: u32) -> Value {
    let mut body = json!({
        "product_id": notes::product_id(ware),
        "buyer_id": notes::buyer_id(buyer),
        "quantity": quantity,
        "reference": notes::key(number),
    });
    if let (Some(pence), Some(body)) = (notes::own_price(number), body.as_object_mut()) {
        body.insert("unit_price".to_owned(), money(pence));
    }
    body
}

/// Lines at the wares' own prices, and the reference.
fn together(notes: &Notes, number: u64) -> Map<String, Value> {
    let line = |line: notes::Wanted| json!({ "product_id": notes::product_id(line.ware), "quantity": line.quantity });
    let lines: Vec<Value> = notes.lines(number).into_iter().map(line).collect();
    let mut body = Map::new();
    body.insert("lines".to_owned(), json!(lines));
    body.insert("reference".to_owned(), json!(notes::key(number)));
    body
}

fn creation(product_id: &str, ware: &Ware) -> Value {
    let mut body = Map::new();
    body.insert("product_id".to_owned(), json!(product_id));
    body.insert("name".to_owned(), json!(format!("A thing called {product_id}")));
    body.insert("stock".to_owned(), json!(ware.stock));
    if let Some(pence) = ware.price {
        body.insert("price".to_owned(), money(pence));
    }
    let limits = [
        ("oversell_limit", ware.oversell_limit),
        ("safety_stock", ware.safety_stock),
        ("per_buyer_limit", ware.per_buyer_limit),
    ];
    for (name, units) in limits {
        if units > 0 {
            body.insert(name.to_owned(), json!(units));
        }
    }
    Value::Object(body)
}
