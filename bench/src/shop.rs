//! What the buyers of a campaign share: what to ask next, and what was heard.
//!
//! A seeded mix over a few wares with different terms: purchases (some with a price of their own,
//! some over a buyer's limit, more units than there are), adjustments both ways, new products; one
//! in twelve asks a second time for something that was acknowledged long ago. What went unheard is
//! asked again, with the same key, before anything new.
//! No IO: [`Crowd`](crate::crowd::Crowd) carries the bytes.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::answer::{Sent, heard_of};
use crate::connection::Head;
use crate::faults::{FaultKind, Faults};
use crate::notes::{self, Asked, Fate, Heard, Notes, Ware};
use crate::request;
use crate::seeded::Seeded;

/// Buyers there are: few enough that limits are reached.
const BUYERS: u64 = 300;
/// The newest wares get most of the traffic.
const FRESH: usize = 5;

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

    fn any_ware(&mut self) -> Ware {
        let draws = &mut self.draws;
        let some = |draws: &mut Seeded, max| {
            if draws.once_in(2) { 0 } else { u32::try_from(draws.between(1, max)).unwrap_or(0) }
        };
        Ware {
            stock: draws.spread(1, 4_000),
            oversell_limit: some(draws, 40),
            safety_stock: some(draws, 20),
            per_buyer_limit: some(draws, 8),
            price: (!draws.once_in(3)).then(|| draws.between(0, 20_000)),
        }
    }

    fn begin(&mut self, asked: Asked) -> u64 {
        self.counts.requests += 1;
        self.notes.begin(asked)
    }

    /// The next request to send, or `None`: nothing is for sale.
    pub fn next_request(&mut self) -> Option<u64> {
        if let Some(number) = self.next_unknown() {
            return Some(number);
        }
        let Mix::Everything { wares_max } = self.mix else {
            return self.purchase();
        };
        if self.notes.wares.len() < usize::from(wares_max) && self.draws.once_in(600) {
            return Some(self.new_ware());
        }
        if self.draws.once_in(12)
            && let Some(number) = self.acknowledged()
        {
            return Some(number);
        }
        if self.draws.once_in(12) { self.adjustment() } else { self.purchase() }
    }

    /// A request whose outcome is unknown and nobody is asking for.
    pub fn next_unknown(&mut self) -> Option<u64> {
        self.unknown.pop_front()
    }

    /// Some request that was acknowledged, if a few looks find one.
    fn acknowledged(&mut self) -> Option<u64> {
        let sent = self.notes.len() as u64;
        let look = |_| {
            let number = self.draws.below(sent.max(1));
            let request = self.notes.get(number)?;
            matches!(request.fate, Fate::Done(_)).then_some(number)
        };
        (0..4).find_map(look)
    }

    fn ware(&mut self) -> Option<u16> {
        if self.mix == Mix::Purchases {
            return self.open.last().copied();
        }
        let fresh = self.open.len().saturating_sub(FRESH);
        let from = if self.draws.once_in(8) { 0 } else { fresh };
        let wares = self.open.get(from..).filter(|wares| !wares.is_empty())?;
        let place = usize::try_from(self.draws.below(wares.len() as u64)).ok()?;
        wares.get(place).copied()
    }

    fn adjustment(&mut self) -> Option<u64> {
        let ware = self.ware()?;
        let units = i32::try_from(self.draws.spread(1, 800)).unwrap_or(1);
        let delta = if self.draws.once_in(3) { -units } else { units };
        Some(self.begin(Asked::Adjust { ware, delta }))
    }

    fn purchase(&mut self) -> Option<u64> {
        let ware = self.ware()?;
        let quantity = u16::try_from(self.draws.spread(1, 6)).unwrap_or(1);
        let buyer = u32::try_from(self.draws.below(BUYERS)).unwrap_or(0);
        Some(self.begin(Asked::Buy { ware, quantity, buyer }))
    }

    /// The bytes of a request, into `out`.
    pub fn write(&self, number: u64, out: &mut String) {
        let Some(request) = self.notes.get(number) else { return };
        let asked = request.asked;
        let product_id = notes::product_id(asked.ware());
        let key = notes::key(number);
        let money = |pence: u64| json!({ "amount_minor": pence, "currency": "GBP" });
        match asked {
            Asked::Create { ware } => {
                let Some(ware) = self.notes.wares.get(usize::from(ware)) else { return };
                let body = creation(&product_id, ware, money);
                request::post_into(out, "/v1/products", &key, &body.to_string());
            }
            Asked::Adjust { delta, .. } => {
                let reason = if delta > 0 { "received" } else { "damaged" };
                let body = json!({ "delta": delta, "reason": reason, "reference": key });
                let path = format!("/v1/products/{product_id}/adjustments");
                request::post_into(out, &path, &key, &body.to_string());
            }
            Asked::Buy { quantity, buyer, .. } => {
                let mut body = json!({
                    "product_id": product_id,
                    "buyer_id": notes::buyer_id(buyer),
                    "quantity": quantity,
                    "reference": key,
                });
                if let (Some(pence), Some(body)) = (notes::own_price(number), body.as_object_mut())
                {
                    body.insert("unit_price".to_owned(), money(pence));
                }
                request::post_into(out, "/v1/purchases", &key, &body.to_string());
            }
        }
    }

    /// Takes an attempt's answer, or `None`: there was none.
    pub fn hear(&mut self, number: u64, answer: Option<(Head, &[u8])>) {
        let Some(before) = self.notes.get(number).copied() else { return };
        let heard = match answer {
            None => Heard::Silence,
            Some((head, body)) => {
                let heard = self.heard(number, before.asked, head.status, body);
                self.check_replay(number, before, head, heard);
                heard
            }
        };
        match heard {
            Heard::Silence => self.counts.silent += 1,
            Heard::TurnedAway => self.counts.turned_away += 1,
            Heard::Done(_) | Heard::Refused => {}
        }
        match self.notes.hear(number, heard) {
            Ok(after) => self.settled(number, before, after, answer.is_some_and(|a| a.0.replayed)),
            Err(reason) => self.faults.add(FaultKind::Contradicted, || reason),
        }
    }

    fn heard(&mut self, number: u64, asked: Asked, status: u16, body: &[u8]) -> Heard {
        let ware = self.notes.wares.get(usize::from(asked.ware()));
        match heard_of(Sent { number, asked, ware }, status, body) {
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
                if let Asked::Create { ware } = before.asked {
                    self.open.push(ware);
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

fn creation(product_id: &str, ware: &Ware, money: impl Fn(u64) -> Value) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for part in ["POST /v1/purchases ", "/adjustments ", "POST /v1/products ", "unit_price"] {
            assert!(sent.iter().any(|text| text.contains(part)), "{part} was never asked");
        }
    }
}
