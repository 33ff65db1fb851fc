//! Units of lines by product. Linear in the lines; a purchase's single line allocates nothing.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::decision::{CancelledLine, OrderLine};
use super::place::Handle;

/// Units by product.
pub(super) enum Sums {
    None,
    One(Handle, u64),
    Several(HashMap<Handle, u64, RandomState>),
}

impl Sums {
    pub(super) fn of(lines: &[OrderLine]) -> Self {
        Self::of_pairs(lines.iter().map(|line| (line.product, line.quantity.units())))
    }

    fn of_pairs(mut pairs: impl Iterator<Item = (Handle, u64)>) -> Self {
        let Some((handle, units)) = pairs.next() else { return Self::None };
        let Some(second) = pairs.next() else { return Self::One(handle, units) };
        let mut sums = HashMap::default();
        for (handle, units) in [(handle, units), second].into_iter().chain(pairs) {
            *sums.entry(handle).or_default() += units;
        }
        Self::Several(sums)
    }

    pub(super) fn of_cancelled<'a>(lines: impl IntoIterator<Item = &'a CancelledLine>) -> Self {
        Self::of_pairs(lines.into_iter().map(|line| (line.product, line.quantity.units())))
    }

    /// How many products there are.
    pub(super) fn products(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(..) => 1,
            Self::Several(sums) => sums.len(),
        }
    }

    /// Units of a product; 0 for one that is not among the lines.
    pub(super) fn units(&self, handle: Handle) -> u64 {
        match self {
            Self::One(one, units) if *one == handle => *units,
            Self::None | Self::One(..) => 0,
            Self::Several(sums) => sums.get(&handle).copied().unwrap_or(0),
        }
    }
}
