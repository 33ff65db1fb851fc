//! What an answer says about a request's fate, and whether it says it rightly.
//!
//! | answer | heard |
//! |---|---|
//! | 200, 201 | done, at the place that `order_id`, `hold_id` or `position` names |
//! | 409 refusals | refused: nothing happened |
//! | 409 hold-released, to the one who lost the answer to giving it back | done, somewhere |
//! | 503 overloaded, starting, disk-low, not-decided | turned away: nothing happened this time |
//! | 409 key-in-flight, 503 outcome-unknown, any other 5xx, no answer | silence |
//! | anything else | a mistake: the campaign sends nothing that deserves it |

use std::num::NonZeroU64;

use serde::Deserialize;

use crate::notes::{self, Asked, Heard, Notes, Wanted};
use crate::place::Place;

/// Prefix of every problem's type.
const PROBLEM: &str = "urn:doorbuster:problem:";

/// Problems of a 409 that say that nothing happened under this key.
const REFUSED: [&str; 8] = [
    "sold-out",
    "limit-reached",
    "would-oversell",
    "stock-changed",
    "hold-expired",
    "hold-confirmed",
    "hold-released",
    "already-cancelled",
];
/// Problems of a 503 that say that this attempt changed nothing.
const TURNED_AWAY: [&str; 4] = ["overloaded", "starting", "disk-low", "not-decided"];

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(rename = "type", borrow)]
    name: &'a str,
}

/// An order, a hold, or what became of one.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    order_id: Option<&'a str>,
    #[serde(borrow)]
    hold_id: Option<&'a str>,
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
    /// An earlier attempt went without an answer.
    pub silent: bool,
    /// All that was asked before.
    pub notes: &'a Notes,
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
        (201, Asked::Create { .. } | Asked::Adjust { .. }) => {
            let positioned = serde_json::from_slice::<Positioned<'_>>(body).ok();
            let position = positioned.and_then(|positioned| positioned.position);
            let place = position.and_then(|word| Place::parse(b'p', word));
            Ok((place.map_or(Heard::Done(None), done), None))
        }
        (200 | 201, _) if status == status_of(sent.asked) => {
            let answer = serde_json::from_slice::<Told<'_>>(body)
                .map_err(|error| format!("{error} in {}", told()))?;
            let place = check(sent, &answer).map_err(|what| format!("{what}: {}", told()))?;
            Ok((done(place), Some((place.partition, place.epoch))))
        }
        (409 | 503, _) => {
            let problem = serde_json::from_slice::<Problem<'_>>(body).map(|problem| problem.name);
            let name = problem.ok().and_then(|name| name.strip_prefix(PROBLEM));
            let heard = name.and_then(|name| heard_of_problem(sent, status, name));
            heard.map(|heard| (heard, None)).ok_or_else(|| format!("{status} {}", told()))
        }
        (500.., _) => Ok((Heard::Silence, None)),
        _ => Err(format!("{status} {}", told())),
    }
}

/// `None`: nothing that was sent deserves it.
fn heard_of_problem(sent: Sent<'_>, status: u16, name: &str) -> Option<Heard> {
    match (status, name) {
        // Without a key, a second attempt hears of what the first one did: nobody else did it.
        (409, "hold-released") if matches!(sent.asked, Asked::Release { .. }) => {
            sent.silent.then_some(Heard::Done(None))
        }
        (409, name) if REFUSED.contains(&name) => Some(Heard::Refused),
        (503, name) if TURNED_AWAY.contains(&name) => Some(Heard::TurnedAway),
        (_, "key-in-flight" | "outcome-unknown") => Some(Heard::Silence),
        _ => None,
    }
}

/// Whether a problem says that the disk is full.
pub fn is_disk_low(body: &[u8]) -> bool {
    let problem: Option<Problem<'_>> = serde_json::from_slice(body).ok();
    problem.is_some_and(|problem| problem.name.strip_prefix(PROBLEM) == Some("disk-low"))
}

fn done(place: Place) -> Heard {
    Heard::Done(NonZeroU64::new(place.sequence))
}

/// What a success is answered with.
fn status_of(asked: Asked) -> u16 {
    match asked {
        Asked::Extend { .. } | Asked::Release { .. } | Asked::Cancel { .. } => 200,
        _ => 201,
    }
}

/// It tells of what was asked for; gives the place of the record.
fn check(sent: Sent<'_>, told: &Told<'_>) -> Result<Place, String> {
    let place = Place::parse(b'p', told.position).ok_or("no position")?;
    let known = |number: u32| {
        let sequence = sent.notes.place_of(u64::from(number))?;
        Some(Place { sequence, ..place })
    };
    let (status, order, hold) = match sent.asked {
        Asked::Hold { .. } => ("held", None, Some(place)),
        Asked::Extend { hold, .. } => ("held", None, known(hold)),
        Asked::Release { hold, .. } => ("released", None, known(hold)),
        Asked::Cancel { order, .. } => ("cancelled", known(order), None),
        Asked::Confirm { hold, .. } => ("placed", Some(place), known(hold)),
        _ => ("placed", Some(place), None),
    };
    // What an extension or a cancellation shows is the reference of what was placed.
    let reference = match sent.asked {
        Asked::Extend { hold, .. } | Asked::Release { hold, .. } => Some(u64::from(hold)),
        Asked::Cancel { .. } => None,
        _ => Some(sent.number),
    };
    let ids = (
        told.order_id.and_then(|word| Place::parse(b'o', word)),
        told.hold_id.and_then(|word| Place::parse(b'h', word)),
    );
    if ids != (order, hold) {
        return Err("its ids and its position name different places".to_owned());
    }
    let buyer = notes::buyer_of(told.buyer_id);
    let same = told.status == status
        && buyer.is_some()
        && buyer == sent.notes.buyer(sent.number)
        && told.reference.and_then(notes::number_of) == reference
        && same_lines(&told.lines, &sent.notes.lines(sent.number));
    if same { Ok(place) } else { Err("not what was asked for".to_owned()) }
}

/// A cancellation of all that is left names each line; each stands at its number.
fn same_lines(told: &[Line<'_>], wanted: &[Wanted]) -> bool {
    let same = |(number, (told, wanted)): (u32, (&Line<'_>, &Wanted))| {
        let price = told.unit_price.as_ref();
        told.line_no == number
            && notes::ware_of(told.product_id) == Some(wanted.ware)
            && told.quantity == wanted.quantity
            && price.map(|price| price.amount_minor) == wanted.price
            && price.is_none_or(|price| price.currency == "GBP")
    };
    told.len() == wanted.len() && (1..).zip(told.iter().zip(wanted)).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::notes::Ware;

    /// Seven requests, then a purchase of three units of ware 2 for buyer 5.
    fn notes() -> Notes {
        let ware = Ware {
            stock: 1,
            oversell_limit: 0,
            safety_stock: 0,
            per_buyer_limit: 0,
            price: Some(250),
        };
        let mut notes = Notes::new(vec![ware; 3]);
        for _ in 0..8 {
            notes.begin(Asked::Create { ware: 0 });
        }
        notes.begin(Asked::Buy { ware: 2, quantity: 3, buyer: 5 });
        notes
    }

    fn sent(notes: &Notes, number: u64) -> Sent<'_> {
        let request = notes.get(number).expect("a request");
        Sent { number, asked: request.asked, silent: request.silent, notes }
    }

    fn word(letter: u8, sequence: u64) -> String {
        Place { partition: 0, epoch: 1, sequence }.word(letter)
    }

    fn order(buyer: &str, quantity: u32, amount_minor: u32, position: u64) -> String {
        let (order_id, position) = (word(b'o', 77), word(b'p', position));
        format!(
            r#"{{"order_id":"{order_id}","status":"placed","buyer_id":"{buyer}","reference":"c8",
            "lines":[{{"line_no":1,"product_id":"ware-2","quantity":{quantity},
            "unit_price":{{"amount_minor":{amount_minor},"currency":"GBP"}}}}],
            "placed_at":"2026-01-01T00:00:00.000Z","position":"{position}"}}"#
        )
    }

    #[test]
    fn an_order_is_done_at_its_place_and_only_as_asked_for() {
        let notes = notes();
        let heard = |body: &str| heard_of(sent(&notes, 8), 201, body.as_bytes());
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
        let notes = notes();
        let heard = |status, name: &str| {
            let body = format!(r#"{{"type":"urn:doorbuster:problem:{name}","status":{status}}}"#);
            heard_of(sent(&notes, 8), status, body.as_bytes()).map(|(heard, _)| heard)
        };
        assert_eq!(heard(409, "sold-out"), Ok(Heard::Refused));
        assert_eq!(heard(503, "not-decided"), Ok(Heard::TurnedAway));
        assert_eq!(heard(503, "outcome-unknown"), Ok(Heard::Silence));
        assert_eq!(heard(409, "key-in-flight"), Ok(Heard::Silence));
        assert_eq!(heard(500, "anything"), Ok(Heard::Silence));
        assert!(is_disk_low(br#"{"type":"urn:doorbuster:problem:disk-low"}"#));
        assert!(!is_disk_low(br#"{"type":"urn:doorbuster:problem:overloaded"}"#));
        for (status, name) in
            [(409, "paused"), (422, "invalid"), (404, "unknown-product"), (503, "sold-out")]
        {
            assert!(heard(status, name).is_err(), "{name}");
        }
    }
    #[test]
    fn what_became_of_a_hold_names_the_hold_that_was_asked_about() {
        let mut notes = notes();
        let hold = notes.begin(Asked::Hold { ware: 1, quantity: 2, ttl_ms: 5, buyer: 4 });
        notes.hear(hold, Heard::Done(NonZeroU64::new(40))).expect("heard once");
        let release = notes.begin(Asked::Release { ware: 1, hold: 9 });
        let heard = |status, body: &str| {
            heard_of(sent(&notes, release), status, body.as_bytes()).map(|(heard, _)| heard)
        };
        let body = |hold, status| {
            format!(
                r#"{{"hold_id":"{}","buyer_id":"b4","reference":"c9","status":"{status}","lines":[
                {{"line_no":1,"product_id":"ware-1","quantity":2,
                "unit_price":{{"amount_minor":250,"currency":"GBP"}}}}],"position":"{}"}}"#,
                word(b'h', hold),
                word(b'p', 41)
            )
        };
        assert_eq!(heard(200, &body(40, "released")), Ok(Heard::Done(NonZeroU64::new(41))));
        for (status, body) in [(200, body(39, "released")), (200, body(40, "held"))] {
            assert!(heard(status, &body).is_err(), "{body}");
        }
        let released = br#"{"type":"urn:doorbuster:problem:hold-released"}"#;
        let again = |silent| {
            let sent = Sent { silent, ..sent(&notes, release) };
            heard_of(sent, 409, released).map(|(heard, _)| heard)
        };
        assert_eq!(again(true), Ok(Heard::Done(None)));
        assert!(again(false).is_err(), "released by nobody");
    }
}
