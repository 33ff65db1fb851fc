//! Allotting the stock there really is: first come, first served.
//!
//! Each order counts with the units that did not come back, each live hold with all it holds. Their
//! place in the line is the record that set the units aside: an order's own, or that of the hold it
//! was confirmed from. One at the border keeps the units that are left and loses the rest, or, where
//! orders are not cut, loses all and leaves them to whoever is behind.

/// Units that are still to be given.
#[derive(Debug)]
pub(super) struct Allotment {
    left: u64,
    cuts: bool,
}

impl Allotment {
    /// So many units; `cuts`: an order may keep a part.
    pub(super) fn new(units: u64, cuts: bool) -> Self {
        Self { left: units, cuts }
    }

    /// Gives the next in the line what it keeps of `units`.
    pub(super) fn next(&mut self, units: u64) -> u64 {
        let keeps = match units <= self.left {
            true => units,
            false if self.cuts => self.left,
            false => 0,
        };
        self.left -= keeps;
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(units: u64, cuts: bool, wanted: &[u64], kept: &[u64]) {
        let mut allotment = Allotment::new(units, cuts);
        let keeps: Vec<u64> = wanted.iter().map(|units| allotment.next(*units)).collect();
        assert_eq!(keeps, kept, "{units} units, cuts: {cuts}");
    }

    #[test]
    fn first_come_first_served_and_the_one_at_the_border_is_cut_or_passed_over() {
        check(10, true, &[4, 4, 4, 1], &[4, 4, 2, 0]);
        check(10, false, &[4, 4, 4, 1, 2], &[4, 4, 0, 1, 0]);
        check(0, true, &[1], &[0]);
        check(10, true, &[3], &[3]);
    }
}
