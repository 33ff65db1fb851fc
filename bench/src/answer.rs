//! What an answer says about a request's fate, and whether it says it rightly.
//!
//! | answer | heard |
//! |---|---|
//! | 201 | done, at the place that `order_id` or `position` names |
//! | 409 refusals | refused: nothing happened |
//! | 503 overloaded, starting, disk-low, not-decided | turned away: nothing happened this time |
//! | 409 key-in-flight, 503 outcome-unknown, any other 5xx, no answer | silence |
//! | anything else | a mistake: the campaign sends nothing that deserves it |

use std::num::NonZeroU64;

use serde::Deserialize;

use crate::checker::price_of;
use crate::notes::{self, Asked, Heard, Ware};
use crate::place::Place;

/// Prefix of every problem's type.
const PROBLEM: &str = "urn:doorbuster:problem:";

/// Problems of a 409 that say that nothing happened under this key.
const REFUSED: [&str; 4] = ["sold-out", "limit-reached", "would-oversell", "stock-changed"];
/// Problems of a 503 that say that this attempt changed nothing.
const TURNED_AWAY: [&str; 4] = ["overloaded", "starting", "disk-low", "not-decided"];

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(rename = "type", borrow)]
    name: &'a str,
}

#[derive(Deserialize)]
struct Order<'a> {
    #[serde(borrow)]
    order_id: &'a str,
    #[serde(borrow)]
    position: &'a str,
    #[serde(borrow)]
    status: &'a str,
    #[serde(borrow)]
    buyer_id: &'a str,
    #[serde(borrow)]
    reference: Option<&'a str>,
    #[serde(borrow)]
    lines: Vec<Line<'a>>,
}

#[derive(Deserialize)]
struct Line<'a> {
    line_no: u32,
    #[serde(borrow)]
    product_id: &'a str,
    quantity: u64,
    #[serde(borrow)]
    unit_price: Option<Price<'a>>,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
struct Price<'a> {
    amount_minor: u64,
    #[serde(borrow)]
    currency: &'a str,
}

#[derive(Deserialize)]
struct Positioned<'a> {
    #[serde(borrow)]
    position: Option<&'a str>,
}

/// A request as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Its number.
    pub number: u64,
    /// What it asks for.
    pub asked: Asked,
    /// The ware it is about.
    pub ware: Option<&'a Ware>,
}

/// What an answer says, and the journal it names.
///
/// # Errors
/// The answer does not fit the request.
pub fn heard_of(
    sent: Sent<'_>,
    status: u16,
    body: &[u8],
) -> Result<(Heard, Option<(u16, u32)>), String> {
    let told = || String::from_utf8_lossy(body.get(..300).unwrap_or(body)).into_owned();
    match (status, sent.asked) {
        (201, Asked::Buy { .. }) => {
            let order = serde_json::from_slice::<Order<'_>>(body)
                .map_err(|error| format!("{error} in {}", told()))?;
            let place = check_order(sent, &order).map_err(|what| format!("{what}: {}", told()))?;
            Ok((done(place), Some((place.partition, place.epoch))))
        }
        (201, _) => {
            let positioned = serde_json::from_slice::<Positioned<'_>>(body).ok();
            let position = positioned.and_then(|positioned| positioned.position);
            let place = position.and_then(|word| Place::parse(b'p', word));
            Ok((place.map_or(Heard::Done(None), done), None))
        }
        (409 | 503, _) => {
            let problem = serde_json::from_slice::<Problem<'_>>(body).map(|problem| problem.name);
            let name = problem.ok().and_then(|name| name.strip_prefix(PROBLEM));
            match name {
                Some(name) if status == 409 && REFUSED.contains(&name) => {
                    Ok((Heard::Refused, None))
                }
                Some(name) if status == 503 && TURNED_AWAY.contains(&name) => {
                    Ok((Heard::TurnedAway, None))
                }
                Some("key-in-flight" | "outcome-unknown") => Ok((Heard::Silence, None)),
                _ => Err(format!("{status} {}", told())),
            }
        }
        (500.., _) => Ok((Heard::Silence, None)),
        _ => Err(format!("{status} {}", told())),
    }
}

fn done(place: Place) -> Heard {
    Heard::Done(NonZeroU64::new(place.sequence))
}

/// The order is the one that was asked for.
fn check_order(sent: Sent<'_>, order: &Order<'_>) -> Result<Place, String> {
    let place = Place::parse(b'o', order.order_id).ok_or("no order id")?;
    if Place::parse(b'p', order.position) != Some(place) {
        return Err("order_id and position name different places".to_owned());
    }
    let Asked::Buy { ware, quantity, buyer } = sent.asked else {
        return Err("nobody asked for an order".to_owned());
    };
    let [line] = order.lines.as_slice() else {
        return Err(format!("{} lines", order.lines.len()));
    };
    let price = price_of(sent.number, sent.ware);
    let told =
        line.unit_price.as_ref().map(|price| (price.amount_minor, price.currency.as_bytes()));
    let same = order.status == "placed"
        && notes::buyer_of(order.buyer_id) == Some(buyer)
        && order.reference.and_then(notes::number_of) == Some(sent.number)
        && notes::ware_of(line.product_id) == Some(ware)
        && (line.line_no, line.quantity) == (1, u64::from(quantity))
        && told == price.as_ref().map(|p| (p.amount_minor, p.currency.as_slice()));
    if same { Ok(place) } else { Err("not the order that was asked for".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARE: Ware =
        Ware { stock: 1, oversell_limit: 0, safety_stock: 0, per_buyer_limit: 0, price: Some(250) };
    const SENT: Sent<'_> =
        Sent { number: 8, asked: Asked::Buy { ware: 2, quantity: 3, buyer: 5 }, ware: Some(&WARE) };

    fn order(buyer: &str, quantity: u32, amount_minor: u32, position: u64) -> String {
        let place = |sequence| Place { partition: 0, epoch: 1, sequence };
        let (order_id, position) = (place(77).word(b'o'), place(position).word(b'p'));
        format!(
            r#"{{"order_id":"{order_id}","status":"placed","buyer_id":"{buyer}","reference":"c8",
            "lines":[{{"line_no":1,"product_id":"ware-2","quantity":{quantity},
            "unit_price":{{"amount_minor":{amount_minor},"currency":"GBP"}}}}],
            "placed_at":"2026-01-01T00:00:00.000Z","position":"{position}"}}"#
        )
    }

    #[test]
    fn an_order_is_done_at_its_place_and_only_as_asked_for() {
        let heard = |body: &str| heard_of(SENT, 201, body.as_bytes());
        let done = Heard::Done(NonZeroU64::new(77));
        assert_eq!(heard(&order("b5", 3, 250, 77)), Ok((done, Some((0, 1)))));
        for wrong in [
            order("b6", 3, 250, 77),
            order("b5", 2, 250, 77),
            order("b5", 3, 251, 77),
            order("b5", 3, 250, 78),
            "{}".to_owned(),
        ] {
            assert!(heard(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn problems_say_nothing_unknown_or_a_mistake() {
        let heard = |status, name: &str| {
            let body = format!(r#"{{"type":"urn:doorbuster:problem:{name}","status":{status}}}"#);
            heard_of(SENT, status, body.as_bytes()).map(|(heard, _)| heard)
        };
        assert_eq!(heard(409, "sold-out"), Ok(Heard::Refused));
        assert_eq!(heard(503, "not-decided"), Ok(Heard::TurnedAway));
        assert_eq!(heard(503, "outcome-unknown"), Ok(Heard::Silence));
        assert_eq!(heard(409, "key-in-flight"), Ok(Heard::Silence));
        assert_eq!(heard(500, "anything"), Ok(Heard::Silence));
        for (status, name) in
            [(409, "paused"), (422, "invalid"), (404, "unknown-product"), (503, "sold-out")]
        {
            assert!(heard(status, name).is_err(), "{name}");
        }
    }
}
