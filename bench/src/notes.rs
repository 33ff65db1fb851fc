//! The clients' notes: everything that was asked, and what was heard of it.
//!
//! A request is noted before its first byte is sent and known by its number for ever; the number
//! is its idempotency key and its reference, so that a record in the log names the request behind
//! it. 32 bytes a request: a campaign of millions fits in memory.

use std::num::NonZeroU64;

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

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Create the ware of this number.
    Create {
        /// Which.
        ware: u16,
    },
    /// Put units in or write them off.
    Adjust {
        /// Of which ware.
        ware: u16,
        /// How many.
        delta: i32,
    },
    /// Buy.
    Buy {
        /// Which ware.
        ware: u16,
        /// How many units.
        quantity: u16,
        /// Who.
        buyer: u32,
    },
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
}

impl Notes {
    /// Notes of a campaign that sells `wares`.
    #[must_use]
    pub fn new(wares: Vec<Ware>) -> Self {
        let refusals = vec![0; wares.len()];
        Self { wares, requests: Vec::new(), refusals }
    }

    /// Notes a request that is about to be sent; gives its number.
    pub fn begin(&mut self, asked: Asked) -> u64 {
        self.requests.push(Request { asked, fate: Fate::Unknown, silent: false });
        self.requests.len() as u64 - 1
    }

    /// Notes what was heard of a request, after one more attempt; gives its fate.
    ///
    /// # Errors
    /// It contradicts what was heard before.
    pub fn hear(&mut self, number: u64, heard: Heard) -> Result<Fate, String> {
        let request = usize::try_from(number).ok().and_then(|n| self.requests.get_mut(n));
        let request = request.ok_or_else(|| format!("request {number} was never sent"))?;
        let ware = request.asked.ware();
        if !matches!(heard, Heard::Done(_))
            && let Some(refusals) = self.refusals.get_mut(usize::from(ware))
        {
            *refusals += 1;
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

impl Asked {
    /// The ware it is about.
    #[must_use]
    pub fn ware(self) -> u16 {
        match self {
            Self::Create { ware } | Self::Adjust { ware, .. } | Self::Buy { ware, .. } => ware,
        }
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
