//! What customers bought earlier, so that a cancellation finds it: newest first.

use std::collections::HashMap;

/// Units bought earlier and not come back yet, by customer and product, the newest last.
#[derive(Debug, Default)]
pub(super) struct Earlier(HashMap<(String, usize), Vec<Units>>);

/// Units of one line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    /// The step that bought them.
    pub(super) step: usize,
    /// Their line in the order, from 0.
    pub(super) place: usize,
    /// How many.
    pub(super) units: u64,
}

impl Earlier {
    /// A customer has bought units of a product.
    pub(super) fn bought(&mut self, buyer_id: &str, product: usize, units: Units) {
        self.0.entry((buyer_id.to_owned(), product)).or_default().push(units);
    }

    /// Takes units back, newest first; gives those it found, and how many it did not find.
    pub(super) fn take(&mut self, buyer_id: &str, product: usize, units: u64) -> (Vec<Units>, u64) {
        let (mut taken, mut rest) = (Vec::new(), units);
        let Some(bought) = self.0.get_mut(&(buyer_id.to_owned(), product)) else {
            return (taken, rest);
        };
        while rest > 0
            && let Some(last) = bought.last_mut()
        {
            let units = last.units.min(rest);
            taken.push(Units { units, ..*last });
            (last.units, rest) = (last.units - units, rest - units);
            if last.units == 0 {
                bought.pop();
            }
        }
        (taken, rest)
    }
}

/// What was found, order by order: one cancellation for each.
pub(super) fn by_order(taken: &[Units]) -> impl Iterator<Item = &[Units]> {
    taken.chunk_by(|one, next| one.step == next.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_units_come_back_first_and_each_once() {
        let mut earlier = Earlier::default();
        for (step, place, units) in [(1, 0, 5), (2, 0, 3), (2, 4, 2)] {
            earlier.bought("b", 7, Units { step, place, units });
        }
        earlier.bought("c", 7, Units { step: 3, place: 0, units: 9 });
        let (taken, rest) = earlier.take("b", 7, 6);
        let units = |step, place, units| Units { step, place, units };
        assert_eq!((&*taken, rest), (&[units(2, 4, 2), units(2, 0, 3), units(1, 0, 1)][..], 0));
        assert_eq!(by_order(&taken).map(<[Units]>::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(earlier.take("b", 7, 6), (vec![units(1, 0, 4)], 2));
        assert_eq!(earlier.take("b", 8, 1), (vec![], 1));
    }
}
