//! Figures of several rounds: their median, and how far apart they lie.

use serde::{Deserialize, Serialize};

/// Rounds of a measurement at most, where it says nothing else: a bound of time.
pub const ROUNDS_MAX: usize = 100;

/// The middle of some figures, the lowest and the highest.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Middle {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Middle {
    /// Of figures in any order; all 0 without one.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(0.0);
        let middle = figures.len() / 2;
        let median = match figures.len() {
            0 => 0.0,
            len if len % 2 == 1 => at(middle),
            _ => f64::midpoint(at(middle - 1), at(middle)),
        };
        Self { median, min: at(0), max: figures.last().copied().unwrap_or(0.0) }
    }

    /// The same in another unit.
    #[must_use]
    pub fn map(self, unit: impl Fn(f64) -> f64) -> Self {
        Self { median: unit(self.median), min: unit(self.min), max: unit(self.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(Middle::of([9.0, 1.0, 2.0]), Middle { median: 2.0, min: 1.0, max: 9.0 });
        assert_eq!(Middle::of([9.0, 1.0, 2.0, 4.0]).median, 3.0);
        assert_eq!(Middle::of([]), Middle::default());
    }
}
