//! What came back of orders: the only thing memory keeps of an order, the rest is its record's.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::decision::CancelledLine;
use super::place::Sequence;

/// Units that came back, by order and line.
#[derive(Debug, Default)]
pub struct Returns {
    orders: HashMap<Sequence, Returned, RandomState>,
}

/// Units of one order that came back, by the line's place from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    lines: Vec<(u32, u32)>,
}

impl Returned {
    /// Units of a line that came back.
    #[must_use]
    pub fn units(&self, place: usize) -> u64 {
        let found = self.lines.binary_search_by_key(&place, |(line, _)| *line as usize);
        found.ok().and_then(|at| self.lines.get(at)).map_or(0, |(_, units)| u64::from(*units))
    }

    /// Lines of which something came back, with their units, by place.
    pub fn lines(&self) -> impl Iterator<Item = (usize, u64)> {
        self.lines.iter().map(|(place, units)| (*place as usize, u64::from(*units)))
    }

    /// The same as pairs of place and units.
    pub(super) fn pairs(&self) -> &[(u32, u32)] {
        &self.lines
    }

    /// Of such pairs, which are in order.
    pub(super) fn of_pairs(lines: Vec<(u32, u32)>) -> Self {
        Self { lines }
    }

    /// Adds what came back.
    pub fn add(&mut self, cancelled: &[CancelledLine]) {
        for line in cancelled {
            let units = u32::try_from(line.quantity.units()).expect("a quantity is a u32");
            match self.lines.binary_search_by_key(&line.place, |(place, _)| *place) {
                Ok(at) => {
                    if let Some((_, sum)) = self.lines.get_mut(at) {
                        *sum = sum.checked_add(units).expect("no more than the line had");
                    }
                }
                Err(at) => self.lines.insert(at, (line.place, units)),
            }
        }
    }
}

impl Returns {
    /// What came back of an order; `None`: nothing.
    #[must_use]
    pub fn of(&self, order: Sequence) -> Option<&Returned> {
        self.orders.get(&order)
    }

    /// Every order of which something came back, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Sequence, &Returned)> {
        self.orders.iter().map(|(order, returned)| (*order, returned))
    }

    pub(super) fn restore(&mut self, order: Sequence, returned: Returned) {
        self.orders.insert(order, returned);
    }

    pub(super) fn add(&mut self, order: Sequence, cancelled: &[CancelledLine]) {
        self.orders.entry(order).or_default().add(cancelled);
    }
}
