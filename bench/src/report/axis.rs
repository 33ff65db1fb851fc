//! An axis: where figures stand, and which are named.

/// Names on a linear axis, at most.
const NAMES: f64 = 6.0;

/// A stretch of figures, drawn between two places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// Logarithms, where it is by powers.
    first: f64,
    last: f64,
    is_log: bool,
    places: (i32, i32),
}

impl Axis {
    /// Over all these figures: by powers of ten, or from 0 on.
    pub(super) fn over(
        figures: impl Iterator<Item = f64>,
        is_log: bool,
        places: (i32, i32),
    ) -> Self {
        let scaled = figures.filter_map(|figure| match is_log {
            true => (figure > 0.0).then(|| figure.log10()),
            false => Some(figure),
        });
        let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
        for figure in scaled {
            (first, last) = (first.min(figure), last.max(figure));
        }
        if first > last {
            (first, last) = (0.0, 1.0);
        }
        if is_log {
            (first, last) = (first.floor(), last.ceil());
        } else {
            first = first.min(0.0);
            let step = step(last - first);
            last = (last / step).ceil() * step;
        }
        if last <= first {
            last = first + 1.0;
        }
        Self { first, last, is_log, places }
    }

    /// Where a figure stands; what does not fit stands at the end.
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    pub(super) fn place(&self, figure: f64) -> i32 {
        let scaled = if self.is_log { figure.max(f64::MIN_POSITIVE).log10() } else { figure };
        let share = ((scaled - self.first) / (self.last - self.first)).clamp(0.0, 1.0);
        let (from, to) = self.places;
        from + (f64::from(to - from) * share).round() as i32
    }

    /// The figures that are named.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let step = if self.is_log { 1.0 } else { step(self.last - self.first) };
        let mut ticks = Vec::new();
        let mut tick = self.first;
        while tick <= self.last + step / 1e3 {
            ticks.push(if self.is_log { 10f64.powf(tick) } else { tick });
            tick += step;
        }
        ticks
    }
}

/// A round distance between names: 1, 2 or 5 times a power of ten.
fn step(length: f64) -> f64 {
    if length <= 0.0 {
        return 1.0;
    }
    let least = length / NAMES;
    let power = 10f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0].into_iter().find(|round| round * power >= least);
    round.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Vec<f64>, expected: &[f64]) {
        let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6 * b.abs().max(1.0));
        assert!(same && found.len() == expected.len(), "{found:?} instead of {expected:?}");
    }

    #[test]
    fn names_are_round_and_reach_beyond_the_last_figure() {
        let axis = Axis::over([3.0, 87_000.0].into_iter(), false, (0, 100));
        close(axis.ticks(), &[0.0, 20_000.0, 40_000.0, 60_000.0, 80_000.0, 100_000.0]);
        let axis = Axis::over([3.0, 87_000.0].into_iter(), true, (0, 100));
        close(axis.ticks(), &[1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!((axis.place(1.0), axis.place(1e5), axis.place(0.0)), (0, 100, 0));
    }

    #[test]
    fn an_axis_of_nothing_or_of_one_figure_has_a_length() {
        assert!(Axis::over(std::iter::empty(), false, (0, 9)).ticks().len() > 1);
        assert!(Axis::over([0.0].into_iter(), false, (0, 9)).ticks().len() > 1);
        let axis = Axis::over([10.0].into_iter(), true, (0, 9));
        assert_eq!(axis.place(10.0), 0);
    }
}
