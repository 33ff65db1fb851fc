//! The clients' notes: everything that was asked, and what was heard of it.
//!
//! A request is noted before its first byte is sent and known by its number for ever; the number
//! is its idempotency key and its reference, so that a record in the log names the request behind
//! it. 32 bytes a request: a campaign of millions fits in memory.

use std::collections::HashMap;
use std::num::NonZeroU64;

pub use crate::asked::Asked;

/// A product of the campaign, as it is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ware {
    /// Its opening stock.
    pub stock: u64,
    /// Units that may be sold beyond the stock.
    pub oversell_limit: u32,
    /// Units that are not for sale.
    pub safety_stock: u32,
    /// Most units of one buyer, 0: no limit.
    pub per_buyer_limit: u32,
    /// Price of one unit in pence, if it has one.
    pub price: Option<u64>,
}

/// A line of an order or a hold, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Which ware.
    pub ware: u16,
    /// How many units.
    pub quantity: u64,
    /// Price of one in pence: the request's own, or the ware's.
    pub price: Option<u64>,
}

/// What is known of a request's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer, or one that says so: it happened once or not at all.
    Unknown,
    /// An answer said that nothing happened.
    Nothing,
    /// An answer said that it happened, and where, if it says that.
    Done(Option<NonZeroU64>),
}

/// What one attempt's answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It happened, now or at an earlier attempt, and where, if the answer says that.
    Done(Option<NonZeroU64>),
    /// It was refused: no attempt under this key had happened.
    Refused,
    /// This attempt was turned away before deciding; earlier ones may have happened.
    TurnedAway,
    /// No answer, or one that says that the outcome is unknown.
    Silence,
}

/// A request and its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub asked: Asked,
    /// What became of it.
    pub fate: Fate,
    /// An attempt went without an answer.
    pub silent: bool,
}

/// All requests of a campaign.
#[derive(Debug, Default)]
pub struct Notes {
    /// The wares.
    pub wares: Vec<Ware>,
    requests: Vec<Request>,
    /// By ware: refusals heard, and attempts that may have been refused unheard.
    refusals: Vec<u64>,
    /// By the request that placed a hold: the requests to extend it and to give it back.
    extensions: HashMap<u32, u64>,
    releases: HashMap<u32, u64>,
}

impl Notes {
    /// Notes of a campaign that sells `wares`.
    #[must_use]
    pub fn new(wares: Vec<Ware>) -> Self {
        let refusals = vec![0; wares.len()];
        Self { wares, refusals, ..Self::default() }
    }

    /// Notes a request that is about to be sent; gives its number.
    pub fn begin(&mut self, asked: Asked) -> u64 {
        self.requests.push(Request { asked, fate: Fate::Unknown, silent: false });
        let number = self.requests.len() as u64 - 1;
        let first = match asked {
            Asked::Extend { hold, .. } => self.extensions.insert(hold, number),
            Asked::Release { hold, .. } => self.releases.insert(hold, number),
            _ => None,
        };
        assert_eq!(first, None, "once for each hold");
        number
    }

    /// Notes what was heard of a request, after one more attempt; gives its fate.
    ///
    /// # Errors
    /// It contradicts what was heard before.
    pub fn hear(&mut self, number: u64, heard: Heard) -> Result<Fate, String> {
        let request = usize::try_from(number).ok().and_then(|n| self.requests.get_mut(n));
        let request = request.ok_or_else(|| format!("request {number} was never sent"))?;
        let wares = std::iter::once(request.asked.ware()).chain(request.asked.other_ware());
        for ware in wares.filter(|_| !matches!(heard, Heard::Done(_))) {
            if let Some(refusals) = self.refusals.get_mut(usize::from(ware)) {
                *refusals += 1;
            }
        }
        request.silent |= heard == Heard::Silence;
        request.fate = match (request.fate, heard) {
            // A further attempt that is not decided takes nothing back.
            (fate, Heard::Silence) => fate,
            (Fate::Unknown, Heard::TurnedAway) if !request.silent => Fate::Nothing,
            (fate, Heard::TurnedAway) => fate,
            (Fate::Done(first), Heard::Done(again)) if first == again => Fate::Done(first),
            (Fate::Done(first), heard) => {
                return Err(format!("request {number} was done at {first:?}, and now {heard:?}"));
            }
            (Fate::Unknown | Fate::Nothing, Heard::Done(place)) => Fate::Done(place),
            (Fate::Unknown | Fate::Nothing, Heard::Refused) => Fate::Nothing,
        };
        Ok(request.fate)
    }

    /// Adds a ware; gives its number.
    pub fn add_ware(&mut self, ware: Ware) -> u16 {
        self.wares.push(ware);
        self.refusals.push(0);
        u16::try_from(self.wares.len() - 1).unwrap_or(u16::MAX)
    }

    /// The request of a number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Request> {
        self.requests.get(usize::try_from(number).ok()?)
    }

    /// Where a request's record is, as far as an answer said so.
    #[must_use]
    pub fn place_of(&self, number: u64) -> Option<u64> {
        match self.get(number)?.fate {
            Fate::Done(place) => place.map(NonZeroU64::get),
            Fate::Unknown | Fate::Nothing => None,
        }
    }

    /// The request to extend the hold that a request placed.
    #[must_use]
    pub fn extension_of(&self, hold: u32) -> Option<u64> {
        self.extensions.get(&hold).copied()
    }

    /// The request to give the hold back that a request placed.
    #[must_use]
    pub fn release_of(&self, hold: u32) -> Option<u64> {
        self.releases.get(&hold).copied()
    }

    /// The lines of the order or the hold that a request is about.
    #[must_use]
    pub fn lines(&self, number: u64) -> Vec<Wanted> {
        let price = |ware: u16| self.wares.get(usize::from(ware)).and_then(|ware| ware.price);
        let line =
            |ware, quantity: u16, price| Wanted { ware, quantity: u64::from(quantity), price };
        match self.get(number).map(|request| request.asked) {
            Some(Asked::Buy { ware, quantity, .. }) => {
                vec![line(ware, quantity, own_price(number).or(price(ware)))]
            }
            Some(Asked::Cart { ware, other, quantity, .. }) => {
                vec![line(ware, quantity, price(ware)), line(other, quantity, price(other))]
            }
            Some(Asked::Hold { ware, quantity, .. }) => vec![line(ware, quantity, price(ware))],
            Some(
                Asked::Extend { hold: placed, .. }
                | Asked::Confirm { hold: placed, .. }
                | Asked::Release { hold: placed, .. }
                | Asked::Cancel { order: placed, .. },
            ) => self.lines(u64::from(placed)),
            Some(Asked::Create { .. } | Asked::Adjust { .. }) | None => Vec::new(),
        }
    }

    /// Who buys or holds by a request.
    #[must_use]
    pub fn buyer(&self, number: u64) -> Option<u32> {
        match self.get(number)?.asked {
            Asked::Buy { buyer, .. } | Asked::Cart { buyer, .. } | Asked::Hold { buyer, .. } => {
                Some(buyer)
            }
            Asked::Extend { hold: placed, .. }
            | Asked::Confirm { hold: placed, .. }
            | Asked::Release { hold: placed, .. }
            | Asked::Cancel { order: placed, .. } => self.buyer(u64::from(placed)),
            Asked::Create { .. } | Asked::Adjust { .. } => None,
        }
    }

    /// Every request with its number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Request)> {
        (0..).zip(&self.requests)
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Most refusals of a ware that can have been counted.
    #[must_use]
    pub fn refusals_max(&self, ware: usize) -> u64 {
        self.refusals.get(ware).copied().unwrap_or(0)
    }
}

/// Idempotency key and reference of a request.
#[must_use]
pub fn key(number: u64) -> String {
    format!("c{number}")
}

/// The number of a key, if it is one.
#[must_use]
pub fn number_of(key: &str) -> Option<u64> {
    canonical(key, 'c')
}

/// The id of a ware.
#[must_use]
pub fn product_id(ware: u16) -> String {
    format!("ware-{ware}")
}

/// The ware of an id, if it is one.
#[must_use]
pub fn ware_of(product_id: &str) -> Option<u16> {
    canonical(product_id.strip_prefix("ware")?, '-')?.try_into().ok()
}

/// The id of a buyer.
#[must_use]
pub fn buyer_id(buyer: u32) -> String {
    format!("b{buyer}")
}

/// The buyer of an id, if it is one.
#[must_use]
pub fn buyer_of(buyer_id: &str) -> Option<u32> {
    canonical(buyer_id, 'b')?.try_into().ok()
}

/// The price that a purchase brings itself, in pence: every seventh does.
#[must_use]
pub fn own_price(number: u64) -> Option<u64> {
    number.is_multiple_of(7).then_some(number % 10_000)
}

/// The number behind a letter, written in the one way that this module writes it.
fn canonical(text: &str, letter: char) -> Option<u64> {
    let digits = text.strip_prefix(letter)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain && shortest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_in_one_way_only() {
        assert_eq!(number_of(&key(120)), Some(120));
        assert_eq!(ware_of(&product_id(7)), Some(7));
        assert_eq!(buyer_of(&buyer_id(9)), Some(9));
        for wrong in ["", "c", "c01", "c+1", "d1", "c1 ", "c99999999999999999999999"] {
            assert_eq!(number_of(wrong), None, "{wrong}");
        }
        assert_eq!(ware_of("ware-70000"), None);
    }

    #[test]
    fn what_follows_a_hold_has_its_lines_and_its_buyer() {
        let ware = |price| Ware {
            stock: 9,
            oversell_limit: 0,
            safety_stock: 0,
            per_buyer_limit: 0,
            price,
        };
        let mut notes = Notes::new(vec![ware(Some(250)), ware(None)]);
        let hold = notes.begin(Asked::Hold { ware: 0, quantity: 3, ttl_ms: 9, buyer: 5 });
        let confirm = notes.begin(Asked::Confirm { ware: 0, hold: 0 });
        let cancel = notes.begin(Asked::Cancel { ware: 0, restock: true, order: 1 });
        for number in [hold, confirm, cancel] {
            let line = Wanted { ware: 0, quantity: 3, price: Some(250) };
            assert_eq!((notes.lines(number), notes.buyer(number)), (vec![line], Some(5)));
        }
        let cart = notes.begin(Asked::Cart { ware: 1, other: 0, quantity: 2, buyer: 6 });
        assert_eq!(notes.lines(cart).len(), 2);
        assert_eq!(notes.hear(cart, Heard::Refused), Ok(Fate::Nothing));
        assert_eq!((notes.refusals_max(0), notes.refusals_max(1)), (1, 1), "of each of its wares");
    }

    #[test]
    fn a_retry_may_tell_more_and_never_something_else() {
        let mut notes = Notes::new(Vec::new());
        let number = notes.begin(Asked::Adjust { ware: 0, delta: 1 });
        let (place, other) = (NonZeroU64::new(9), NonZeroU64::new(10));
        assert_eq!(notes.hear(number, Heard::Silence), Ok(Fate::Unknown));
        assert_eq!(notes.hear(number, Heard::Refused), Ok(Fate::Nothing));
        assert_eq!(notes.hear(number, Heard::Done(place)), Ok(Fate::Done(place)));
        assert_eq!(notes.hear(number, Heard::Silence), Ok(Fate::Done(place)));
        assert_eq!(notes.hear(number, Heard::TurnedAway), Ok(Fate::Done(place)));
        assert!(notes.hear(number, Heard::Refused).is_err());
        assert!(notes.hear(number, Heard::Done(other)).is_err());
        assert!(notes.hear(99, Heard::Done(place)).is_err());
    }

    #[test]
    fn being_turned_away_settles_only_what_was_never_silent() {
        let mut notes = Notes::new(Vec::new());
        let first = notes.begin(Asked::Adjust { ware: 0, delta: 1 });
        assert_eq!(notes.hear(first, Heard::TurnedAway), Ok(Fate::Nothing));
        let second = notes.begin(Asked::Adjust { ware: 0, delta: 1 });
        assert_eq!(notes.hear(second, Heard::Silence), Ok(Fate::Unknown));
        assert_eq!(notes.hear(second, Heard::TurnedAway), Ok(Fate::Unknown), "it may be there");
    }
}
