//! Counting units.
//!
//! A [`Quantity`] is what one line asks for. Figures (stock, held, sold) are `u64` bounded by
//! [`FIGURE_MAX`], so that every integer stays exact in JSON.

use serde::{Deserialize, Serialize};

/// Largest figure: every integer in JSON stays below 2^53.
pub const FIGURE_MAX: u64 = (1 << 53) - 1;

/// Units one line asks for: at least 1, at most [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Quantity(u32);

/// Why a number is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {max}, is {0}", max = Quantity::MAX)]
pub struct QuantityError(u64);

impl Quantity {
    /// Most units of one line.
    pub const MAX: u32 = 1_000_000_000;

    /// Checks and takes the number.
    ///
    /// # Errors
    /// Zero, or over [`Quantity::MAX`].
    pub fn new(units: u64) -> Result<Self, QuantityError> {
        match u32::try_from(units) {
            Ok(units @ 1..=Self::MAX) => Ok(Self(units)),
            _ => Err(QuantityError(units)),
        }
    }

    /// The number of units.
    #[must_use]
    pub fn units(self) -> u64 {
        u64::from(self.0)
    }
}

impl TryFrom<u32> for Quantity {
    type Error = QuantityError;
    fn try_from(units: u32) -> Result<Self, QuantityError> {
        Self::new(u64::from(units))
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_too_many_are_no_quantity() {
        assert_eq!(Quantity::new(0), Err(QuantityError(0)));
        assert_eq!(Quantity::new(1).map(Quantity::units), Ok(1));
        assert!(Quantity::new(1_000_000_000).is_ok());
        assert!(Quantity::new(1_000_000_001).is_err());
        assert!(Quantity::new(u64::MAX).is_err());
    }
}
