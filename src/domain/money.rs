//! Money: an integer in minor units with an ISO 4217 currency. Never a float, never converted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::quantity::FIGURE_MAX;

/// An ISO 4217 currency by its letters, such as `GBP`. Takes one byte, so that a price costs an
/// idle product no more than its amount.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "[u8; 3]", into = "[u8; 3]")]
pub struct Currency(iso_currency::Currency);

/// An amount of one currency: pence, cents, yen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u64, Currency)", into = "(u64, Currency)")]
pub struct Money {
    amount_minor: u64,
    currency: Currency,
}

const _: () = assert!(size_of::<Option<Money>>() == 16);

/// Why something is no money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Over 2^53 - 1.
    #[error("must be 0 to {FIGURE_MAX}, is {0}")]
    Amount(u64),
    /// Three letters that name no currency, or no three letters.
    #[error("must be an ISO 4217 currency such as \"EUR\", is {0:?}")]
    Currency(String),
}

impl Currency {
    /// Checks and takes the letters; capitals only, as the standard writes them.
    ///
    /// # Errors
    /// The letters name no currency.
    pub fn new(letters: &str) -> Result<Self, MoneyError> {
        let unknown = || MoneyError::Currency(letters.chars().take(16).collect());
        let known = iso_currency::Currency::from_code(letters).ok_or_else(unknown)?;
        if known.code() == letters { Ok(Self(known)) } else { Err(unknown()) }
    }

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.0.code()
    }
}

impl TryFrom<[u8; 3]> for Currency {
    type Error = MoneyError;
    fn try_from(bytes: [u8; 3]) -> Result<Self, MoneyError> {
        Self::new(&String::from_utf8_lossy(&bytes))
    }
}

impl From<Currency> for [u8; 3] {
    fn from(currency: Currency) -> Self {
        let letters = currency.as_str().as_bytes();
        letters.try_into().expect("ISO 4217 has three letters")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Money {
    /// Checks and takes the amount.
    ///
    /// # Errors
    /// Over 2^53 - 1.
    pub fn new(amount_minor: u64, currency: Currency) -> Result<Self, MoneyError> {
        if amount_minor > FIGURE_MAX {
            return Err(MoneyError::Amount(amount_minor));
        }
        Ok(Self { amount_minor, currency })
    }

    /// The amount in minor units.
    #[must_use]
    pub fn amount_minor(self) -> u64 {
        self.amount_minor
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl TryFrom<(u64, Currency)> for Money {
    type Error = MoneyError;
    fn try_from((amount_minor, currency): (u64, Currency)) -> Result<Self, MoneyError> {
        Self::new(amount_minor, currency)
    }
}

impl From<Money> for (u64, Currency) {
    fn from(money: Money) -> Self {
        (money.amount_minor, money.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currency_is_iso_4217_in_capitals() {
        assert_eq!(Currency::new("GBP").unwrap().as_str(), "GBP");
        for wrong in ["gbp", "GB", "GBPX", "ZZZ", "", "€"] {
            assert!(Currency::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amount_stays_exact_in_json() {
        let gbp = Currency::new("GBP").unwrap();
        assert!(Money::new(FIGURE_MAX, gbp).is_ok());
        assert_eq!(Money::new(FIGURE_MAX + 1, gbp), Err(MoneyError::Amount(FIGURE_MAX + 1)));
    }
}
