//! What the buyers of a campaign share: what to ask next, and what was heard.
//!
//! A seeded mix over a few wares with different terms: purchases (some with a price of their own,
//! some over a buyer's limit, more units than there are), carts, holds with short lives and all that
//! becomes of them, cancellations, adjustments both ways, new products; one in twelve asks a second
//! time for something that was acknowledged long ago. What went unheard is asked again, with the
//! same key, before anything new.
//! No IO: [`Crowd`](crate::crowd::Crowd) carries the bytes.

mod bodies;
mod picks;

use std::collections::VecDeque;

use serde::Serialize;

use crate::answer::{Sent, heard_of, is_disk_low};
use crate::connection::Head;
use crate::faults::{FaultKind, Faults};
use crate::notes::{self, Asked, Fate, Heard, Notes, Ware};
use crate::seeded::Seeded;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Everything a campaign asks for, with at most so many wares.
    Everything {
        /// Most wares.
        wares_max: u16,
    },
    /// Purchases of the newest ware, whose stock always allows them.
    Purchases,
}

/// What was heard, by what it meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests sent, each once, however often it was repeated.
    pub requests: u64,
    /// Of these: acknowledged.
    pub done: u64,
    /// Of these: refused.
    pub refused: u64,
    /// Attempts that were turned away before deciding.
    pub turned_away: u64,
    /// Of these: because the disk is full.
    pub disk_low: u64,
    /// Attempts without an answer.
    pub silent: u64,
    /// Requests whose outcome was unknown, and known after a repetition: it had happened.
    pub unknown_had_happened: u64,
    /// The same: it had not, and happened then.
    pub unknown_happened_then: u64,
    /// The same: it had not, and was refused then.
    pub unknown_refused_then: u64,
    /// Acknowledged requests asked again that got the same answer.
    pub same_again: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self {
            requests,
            done,
            refused,
            turned_away,
            disk_low,
            silent,
            unknown_had_happened,
            unknown_happened_then,
            unknown_refused_then,
            same_again,
        } = other;
        self.requests += requests;
        self.done += done;
        self.refused += refused;
        self.turned_away += turned_away;
        self.disk_low += disk_low;
        self.silent += silent;
        self.unknown_had_happened += unknown_had_happened;
        self.unknown_happened_then += unknown_happened_then;
        self.unknown_refused_then += unknown_refused_then;
        self.same_again += same_again;
    }
}

/// The shared state of a campaign's buyers.
#[derive(Debug)]
pub struct Shop {
    /// What was asked and heard.
    pub notes: Notes,
    /// What was wrong with answers.
    pub faults: Faults,
    /// What was heard, in figures.
    pub counts: Counts,
    mix: Mix,
    draws: Seeded,
    /// Requests whose outcome is unknown and nobody is asking for.
    unknown: VecDeque<u64>,
    /// Wares whose creation was acknowledged.
    open: Vec<u16>,
    /// Requests whose holds may live.
    held: Vec<u32>,
    /// Requests whose orders may stand.
    orders: Vec<u32>,
    /// The journal that positions name.
    journal: Option<(u16, u32)>,
}

impl Shop {
    /// A shop without wares.
    #[must_use]
    pub fn new(mix: Mix, draws: Seeded) -> Self {
        Self {
            notes: Notes::new(Vec::new()),
            faults: Faults::default(),
            counts: Counts::default(),
            mix,
            draws,
            unknown: VecDeque::new(),
            open: Vec::new(),
            held: Vec::new(),
            orders: Vec::new(),
            journal: None,
        }
    }

    /// Asks for something else from now on.
    pub fn set_mix(&mut self, mix: Mix) {
        self.mix = mix;
    }

    /// Notes the creation of a new ware; gives the request's number.
    pub fn new_ware(&mut self) -> u64 {
        let ware = match self.mix {
            Mix::Purchases => Ware {
                stock: 1_000_000_000,
                oversell_limit: 0,
                safety_stock: 0,
                per_buyer_limit: 0,
                price: Some(1_250),
            },
            Mix::Everything { .. } => self.any_ware(),
        };
        let ware = self.notes.add_ware(ware);
        self.begin(Asked::Create { ware })
    }

    fn begin(&mut self, asked: Asked) -> u64 {
        self.counts.requests += 1;
        self.notes.begin(asked)
    }

    /// The bytes of a request, into `out`.
    pub fn write(&self, number: u64, out: &mut String) {
        bodies::write(&self.notes, self.journal, number, out);
    }

    /// Takes an attempt's answer, or `None`: there was none.
    pub fn hear(&mut self, number: u64, answer: Option<(Head, &[u8])>) {
        let Some(before) = self.notes.get(number).copied() else { return };
        let heard = match answer {
            None => Heard::Silence,
            Some((head, body)) => {
                let heard = self.heard(number, before, head.status, body);
                self.check_replay(number, before, head, heard);
                heard
            }
        };
        match heard {
            Heard::Silence => self.counts.silent += 1,
            Heard::TurnedAway => {
                self.counts.turned_away += 1;
                let body = answer.map_or(&b""[..], |(_, body)| body);
                self.counts.disk_low += u64::from(is_disk_low(body));
            }
            Heard::Done(_) | Heard::Refused => {}
        }
        match self.notes.hear(number, heard) {
            Ok(after) => self.settled(number, before, after, answer.is_some_and(|a| a.0.replayed)),
            Err(reason) => self.faults.add(FaultKind::Contradicted, || reason),
        }
    }

    fn heard(&mut self, number: u64, before: notes::Request, status: u16, body: &[u8]) -> Heard {
        let notes::Request { asked, silent, .. } = before;
        match heard_of(Sent { number, asked, silent, notes: &self.notes }, status, body) {
            Ok((heard, None)) => heard,
            Ok((heard, Some(journal))) => {
                let first = *self.journal.get_or_insert(journal);
                if first != journal {
                    self.faults.add(FaultKind::Contradicted, || {
                        format!("request {number} is in journal {journal:?}, others in {first:?}")
                    });
                }
                heard
            }
            Err(reason) => {
                self.faults.add(FaultKind::Contradicted, || format!("request {number}: {reason}"));
                Heard::Silence
            }
        }
    }

    /// `Idempotent-Replayed` stands in every answer but the first.
    fn check_replay(&mut self, number: u64, before: notes::Request, head: Head, heard: Heard) {
        let told = match (before.fate, heard) {
            (Fate::Done(_), Heard::Done(_)) if !head.replayed => "a repetition without saying so",
            (Fate::Unknown, Heard::Done(_)) if !before.silent && head.replayed => {
                "a first answer that says it was repeated"
            }
            _ => return,
        };
        self.faults.add(FaultKind::Contradicted, || format!("request {number}: {told}"));
    }

    fn settled(&mut self, number: u64, before: notes::Request, after: Fate, replayed: bool) {
        let counts = &mut self.counts;
        match (before.fate, after) {
            (Fate::Unknown, Fate::Unknown) => self.unknown.push_back(number),
            (Fate::Done(_), Fate::Done(_)) => counts.same_again += u64::from(replayed),
            (_, Fate::Done(_)) => {
                counts.done += 1;
                counts.unknown_had_happened += u64::from(before.silent && replayed);
                counts.unknown_happened_then += u64::from(before.silent && !replayed);
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                match before.asked {
                    Asked::Create { ware } => self.open.push(ware),
                    Asked::Hold { .. } => self.held.push(number),
                    asked if asked.is_order() => self.orders.push(number),
                    _ => {}
                }
            }
            (_, Fate::Nothing) => {
                counts.refused += 1;
                counts.unknown_refused_then += u64::from(before.silent);
            }
            (_, Fate::Unknown) => {}
        }
    }

    /// Wares whose creation was acknowledged.
    #[must_use]
    pub fn open(&self) -> &[u16] {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::place::Place;

    fn head(status: u16, replayed: bool) -> Head {
        Head { status, replayed, close: false, head_bytes: 0, body_bytes: 0 }
    }

    fn shop() -> Shop {
        let mut shop = Shop::new(Mix::Everything { wares_max: 9 }, Seeded::new(3));
        let number = shop.new_ware();
        shop.hear(number, Some((head(201, false), b"{}")));
        assert_eq!(shop.open(), [0]);
        shop
    }

    #[test]
    fn what_went_unheard_is_asked_before_anything_new() {
        let mut shop = shop();
        let number = shop.purchase().expect("something to ask");
        shop.hear(number, None);
        let other = shop.next_request();
        assert_eq!(other, Some(number), "the same key again");
        assert_eq!((shop.counts.silent, shop.counts.done), (1, 1));
        assert!(shop.faults.is_empty(), "{}", shop.faults);
    }

    #[test]
    fn a_repetition_must_say_that_it_is_one() {
        let mut shop = shop();
        shop.hear(0, Some((head(201, true), b"{}")));
        assert!(shop.faults.is_empty() && shop.counts.same_again == 1, "{}", shop.faults);
        shop.hear(0, Some((head(201, false), b"{}")));
        assert_eq!(shop.faults.of(FaultKind::Contradicted), 1, "{}", shop.faults);
        let first = shop.new_ware();
        shop.hear(first, Some((head(201, true), b"{}")));
        assert_eq!(shop.faults.of(FaultKind::Contradicted), 2, "{}", shop.faults);
    }

    #[test]
    fn an_acknowledged_request_that_is_refused_later_is_a_fault() {
        let mut shop = shop();
        let body = br#"{"type":"urn:doorbuster:problem:sold-out"}"#;
        shop.hear(0, Some((head(409, false), body)));
        assert_eq!(shop.faults.of(FaultKind::Contradicted), 1, "{}", shop.faults);
    }

    #[test]
    fn one_seed_asks_for_the_same_things() {
        let run = || {
            let mut shop = shop();
            let mut text = String::new();
            let mut sent = Vec::new();
            for _ in 0..300 {
                let number = shop.next_request().expect("something to ask");
                shop.write(number, &mut text);
                sent.push(text.clone());
                let refused = br#"{"type":"urn:doorbuster:problem:sold-out"}"#;
                if !matches!(shop.notes.get(number).map(|r| r.fate), Some(Fate::Done(_))) {
                    shop.hear(number, Some((head(409, false), refused)));
                }
            }
            sent
        };
        let sent = run();
        assert_eq!(sent, run());
        let parts = ["POST /v1/purchases ", "/adjustments ", "POST /v1/products ", "unit_price"];
        for part in parts.iter().chain(&["POST /v1/holds "]) {
            assert!(sent.iter().any(|text| text.contains(part)), "{part} was never asked");
        }
    }

    #[test]
    fn holds_and_orders_that_were_acknowledged_are_asked_about() {
        let mut shop = Shop::new(Mix::Everything { wares_max: 9 }, Seeded::new(3));
        for _ in 0..3 {
            let number = shop.new_ware();
            shop.hear(number, Some((head(201, false), b"{}")));
        }
        let word = |letter, sequence| Place { partition: 1, epoch: 1, sequence }.word(letter);
        let mut text = String::new();
        let mut sent = Vec::new();
        for sequence in 3..800 {
            let number = shop.next_request().expect("something to ask");
            shop.write(number, &mut text);
            sent.push(text.clone());
            let asked = shop.notes.get(number).expect("it was sent").asked;
            let position = word(b'p', sequence);
            let body = match asked {
                Asked::Hold { .. } | Asked::Buy { .. } | Asked::Cart { .. } => {
                    shop.told(number, sequence)
                }
                Asked::Create { .. } | Asked::Adjust { .. } => {
                    format!(r#"{{"position":"{position}"}}"#)
                }
                _ => r#"{"type":"urn:doorbuster:problem:hold-expired"}"#.to_owned(),
            };
            let status = if body.contains("problem") { 409 } else { 201 };
            if shop.notes.get(number).is_some_and(|request| request.fate == Fate::Unknown) {
                shop.hear(number, Some((head(status, false), body.as_bytes())));
            }
        }
        assert!(shop.faults.is_empty(), "{}", shop.faults);
        let parts = [
            "POST /v1/orders ",
            "/extend HTTP",
            "/confirm HTTP",
            "DELETE /v1/holds/h",
            "/cancel HTTP",
            "POST /v1/orders/o",
        ];
        for part in parts {
            assert!(sent.iter().any(|text| text.contains(part)), "{part} was never asked");
        }
    }

    impl Shop {
        /// As the engine tells of an order or a hold that it placed.
        fn told(&self, number: u64, sequence: u64) -> String {
            let word = |letter| Place { partition: 1, epoch: 1, sequence }.word(letter);
            let lines: Vec<_> = (1..)
                .zip(self.notes.lines(number))
                .map(|(line_no, line)| {
                    let money = |pence| json!({ "amount_minor": pence, "currency": "GBP" });
                    json!({
                        "line_no": line_no,
                        "product_id": notes::product_id(line.ware),
                        "quantity": line.quantity,
                        "unit_price": line.price.map(money),
                    })
                })
                .collect();
            let is_hold = matches!(
                self.notes.get(number).map(|request| request.asked),
                Some(Asked::Hold { .. })
            );
            let id = if is_hold { "hold_id" } else { "order_id" };
            json!({
                id: word(if is_hold { b'h' } else { b'o' }),
                "status": if is_hold { "held" } else { "placed" },
                "buyer_id": notes::buyer_id(self.notes.buyer(number).unwrap_or(0)),
                "reference": notes::key(number),
                "lines": lines,
                "position": word(b'p'),
            })
            .to_string()
        }
    }
}
