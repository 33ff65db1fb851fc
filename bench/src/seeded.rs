//! Seeded choices: the same seed draws the same numbers on every machine.
//!
//! `SplitMix64`, after Steele, Lea and Flood (2014): eight bytes of state, no dependency whose next
//! version might draw differently.

/// A stream of numbers that its seed decides.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, independent of this one's further draws.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number under `end`, which is above 0.
    pub fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "a range with something in it");
        // The bias of the remainder is under 2^-40 for the ranges drawn here.
        self.draw() % end
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True once in `times` on average.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A number from `from` to `to` whose logarithm is uniform: as many short as long.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a draw, not a figure"
    )]
    pub fn spread(&mut self, from: u64, to: u64) -> u64 {
        let share = self.below(1 << 32) as f64 / (1u64 << 32) as f64;
        let (low, high) = ((from.max(1) as f64).ln(), (to.max(1) as f64).ln());
        ((low + share * (high - low)).exp() as u64).clamp(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        // The reference values of SplitMix64 for seed 1234567.
        let mut draws = Seeded::new(1_234_567);
        assert_eq!(draws.draw(), 6_457_827_717_110_365_317);
        assert_eq!(draws.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut draws = Seeded::new(7);
        for _ in 0..10_000 {
            assert!((5..=400).contains(&draws.spread(5, 400)));
            assert!((3..=4).contains(&draws.between(3, 4)));
            assert!(draws.below(1) == 0);
        }
    }
}
