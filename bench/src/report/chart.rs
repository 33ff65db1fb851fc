//! Charts: lines over an axis, and bars.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use crate::figures::Middle;
use crate::paper::{self, Area};

const WIDTH: i32 = 900;
const HEIGHT: i32 = 440;
/// The curves' field.
const LEFT: i32 = 90;
const RIGHT: i32 = 860;
const TOP: i32 = 84;
const BOTTOM: i32 = 380;
/// Where bars begin and the longest ends.
const BARS: (i32, i32) = (200, 680);
const ROW: i32 = 34;

const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(222, 225, 230);
const COLOURS: [RGBColor; 6] = [
    RGBColor(22, 104, 172),
    RGBColor(226, 122, 32),
    RGBColor(120, 174, 220),
    RGBColor(240, 186, 130),
    RGBColor(84, 150, 84),
    RGBColor(150, 156, 168),
];

/// Bars: the first is what the others are compared with.
const FIRST: RGBColor = RGBColor(22, 104, 172);
const OTHERS: RGBColor = RGBColor(150, 156, 168);

/// A point of a curve, with how far its rounds lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: Middle,
}

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// What an axis shows, and whether by powers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) label: &'static str,
    pub(super) is_log: bool,
}

/// Curves over an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lines {
    pub(super) title: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) series: Vec<Series>,
}

/// A figure for each of some names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bars {
    pub(super) title: String,
    pub(super) unit: &'static str,
    pub(super) bars: Vec<(String, Middle)>,
}

impl Lines {
    /// Draws it.
    ///
    /// # Errors
    /// An element cannot be written; into memory, none should fail.
    pub(super) fn draw(&self) -> anyhow::Result<String> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Axis::over(points().map(|point| point.x), self.x.is_log, (LEFT, RIGHT));
        let ends = points().flat_map(|point| [point.y.min, point.y.max]);
        let y = Axis::over(ends, self.y.is_log, (BOTTOM, TOP));
        paper::drawn((WIDTH, HEIGHT), |area| {
            text(area, &self.title, (LEFT, 24), 20, HPos::Left)?;
            self.draw_axes(area, &x, &y)?;
            let mut left = LEFT;
            for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
                draw_series(area, series, *colour, (&x, &y))?;
                line(area, &[(left, 56), (left + 22, 56)], *colour, 4)?;
                text(area, &series.name, (left + 28, 56), 14, HPos::Left)?;
                left += 60 + 8 * i32::try_from(series.name.chars().count()).unwrap_or(20);
            }
            Ok(())
        })
    }

    fn draw_axes(&self, area: &Area<'_>, x: &Axis, y: &Axis) -> anyhow::Result<()> {
        for tick in y.ticks() {
            let place = y.place(tick);
            line(area, &[(LEFT, place), (RIGHT, place)], FAINT, 1)?;
            text(area, &shown(tick), (LEFT - 8, place), 13, HPos::Right)?;
        }
        for tick in x.ticks() {
            let place = x.place(tick);
            line(area, &[(place, TOP), (place, BOTTOM + 4)], FAINT, 1)?;
            text(area, &shown(tick), (place, BOTTOM + 16), 13, HPos::Center)?;
        }
        text(area, self.y.label, (LEFT, TOP - 10), 13, HPos::Left)?;
        text(area, self.x.label, (RIGHT, BOTTOM + 38), 13, HPos::Right)
    }
}

fn draw_series(
    area: &Area<'_>,
    series: &Series,
    colour: RGBColor,
    (x, y): (&Axis, &Axis),
) -> anyhow::Result<()> {
    let path: Vec<(i32, i32)> =
        series.points.iter().map(|point| (x.place(point.x), y.place(point.y.median))).collect();
    line(area, &path, colour, 2)?;
    for (point, place) in series.points.iter().zip(path) {
        let (lowest, highest) = (y.place(point.y.min), y.place(point.y.max));
        line(area, &[(place.0, lowest), (place.0, highest)], colour, 1)?;
        area.draw(&Circle::new(place, 3, colour.filled()))?;
    }
    Ok(())
}

impl Bars {
    /// Draws it.
    ///
    /// # Errors
    /// As [`Lines::draw`].
    pub(super) fn draw(&self) -> anyhow::Result<String> {
        let rows = i32::try_from(self.bars.len()).unwrap_or(0);
        let from_nothing = std::iter::once(0.0);
        let ends = self.bars.iter().map(|(_, figure)| figure.max);
        let axis = Axis::over(from_nothing.chain(ends), false, BARS);
        paper::drawn((WIDTH, TOP + rows * ROW + 20), |area| {
            text(area, &self.title, (20, 24), 20, HPos::Left)?;
            text(area, self.unit, (BARS.0, 58), 13, HPos::Left)?;
            for (row, (name, figure)) in (0..).zip(&self.bars) {
                let top = TOP - 10 + row * ROW;
                let colour = if row == 0 { FIRST } else { OTHERS };
                let end = axis.place(figure.median).max(BARS.0 + 1);
                let corners = [(BARS.0, top), (end, top + ROW - 12)];
                area.draw(&Rectangle::new(corners, colour.filled()))?;
                let middle = top + (ROW - 12) / 2;
                text(area, name, (BARS.0 - 10, middle), 14, HPos::Right)?;
                let Middle { median, min, max } = *figure;
                let words = format!("{} ({} to {})", shown(median), shown(min), shown(max));
                text(area, &words, (end + 8, middle), 13, HPos::Left)?;
            }
            Ok(())
        })
    }
}

fn line(area: &Area<'_>, path: &[(i32, i32)], colour: RGBColor, width: u32) -> anyhow::Result<()> {
    Ok(area.draw(&PathElement::new(path.to_vec(), colour.stroke_width(width)))?)
}

fn text(
    area: &Area<'_>,
    words: &str,
    place: (i32, i32),
    size: i32,
    side: HPos,
) -> anyhow::Result<()> {
    paper::text(area, words, place, ("sans-serif", size), (INK, side))
}

/// A figure in few signs: 1,200,000 is 1.2M.
pub(super) fn shown(figure: f64) -> String {
    let (scaled, unit) = match figure.abs() {
        size if size >= 1e6 => (figure / 1e6, "M"),
        size if size >= 1e4 => (figure / 1e3, "k"),
        _ => (figure, ""),
    };
    let places = match scaled.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{scaled:.places$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(figure: f64) -> Middle {
        Middle::of([figure])
    }

    #[test]
    fn figures_are_short() {
        let cases = [
            (0.0, "0"),
            (0.05, "0.05"),
            (1.0, "1"),
            (9_999.0, "9999"),
            (120_000.0, "120k"),
            (1_250_000.0, "1.25M"),
            (12.34, "12.3"),
        ];
        for (figure, text) in cases {
            assert_eq!(shown(figure), text);
        }
    }

    #[test]
    fn a_chart_names_what_it_shows_and_stays_on_its_paper() {
        let points = [1.0, 100.0, 6_000.0].map(|x| Point { x, y: Middle::of([x * 9.0, x * 10.0]) });
        let series = vec![Series { name: "a & b".to_owned(), points: points.to_vec() }];
        let scale = |label| Scale { label, is_log: true };
        let title = "Throughput".to_owned();
        let lines = Lines { title, x: scale("connections"), y: scale("answers a second"), series };
        let svg = lines.draw().expect("a chart");
        for words in ["Throughput", "a &amp; b", "connections", "answers a second", "1000"] {
            assert!(svg.contains(words), "{words} is not in {svg}");
        }
        assert!(!svg.contains("\"-") && !svg.contains(",-"), "nothing outside: {svg}");
    }

    #[test]
    fn nothing_is_drawn_too() {
        let scale = Scale { label: "x", is_log: false };
        let lines = Lines { title: "t".to_owned(), x: scale, y: scale, series: Vec::new() };
        assert!(lines.draw().expect("a chart").starts_with("<svg"));
        let bars = vec![("doorbuster".to_owned(), one(60_000.0)), ("x".to_owned(), one(0.0))];
        let bars = Bars { title: "Peers".to_owned(), unit: "purchases a second", bars };
        let svg = bars.draw().expect("a chart");
        assert!(svg.contains("60k (60k to 60k)") && !svg.contains("\"-"), "{svg}");
    }
}
