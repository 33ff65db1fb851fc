//! The chart of a rehearsal, as SVG: sell-through over the file's time, and what sold out first.
//!
//! Drawn by places in pixels; plotters writes the elements.

use jiff::civil::DateTime;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::count::{ProductTally, Sums};
use super::curve::Point;
use crate::cli::play::number::{counted, grouped};

const WIDTH: i32 = 1_100;
/// The curves' field.
const FIELD: Field = Field { left: 70, right: 1_060, top: 92, bottom: 392 };
/// Where the bars begin, and where that of the last moment ends; words stand on both sides.
const BARS: (i32, i32) = (340, 870);
const BARS_TOP: i32 = 496;
const ROW: i32 = 22;
/// Products that are drawn.
const SHOWN: usize = 20;
const LABEL_CHARS: usize = 36;
/// Percent beyond which nothing is drawn: what is wanted may be a hundred times the stock.
const PERCENT_MAX: u64 = 200;

const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(222, 225, 230);
const WANTED: RGBColor = RGBColor(150, 156, 168);
const SOLD: RGBColor = RGBColor(22, 104, 172);
const BAR: RGBColor = RGBColor(120, 174, 220);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

#[derive(Clone, Copy)]
struct Field {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

/// A curve: its name, its colour, and which figure of a point it shows.
type Curve = (&'static str, RGBColor, fn(&Point) -> u64);

/// Draws a play of `file`.
///
/// # Errors
/// An element cannot be written; into memory, none should fail.
pub(super) fn draw(
    file: &str,
    points: &[Point],
    products: &[ProductTally],
    total: &Sums,
) -> anyhow::Result<String> {
    let mut first: Vec<(DateTime, &ProductTally)> =
        products.iter().filter_map(|product| product.sold_out_at.map(|at| (at, product))).collect();
    first.sort_by_key(|(at, product)| (*at, product.sold_out_line));
    let sold_out = first.len();
    first.truncate(SHOWN);
    let rows = i32::try_from(first.len().max(1)).unwrap_or(1);
    let size = (WIDTH.unsigned_abs(), (BARS_TOP + rows * ROW + 52).unsigned_abs());
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let name = file.rsplit('/').next().unwrap_or(file);
        let opening = grouped(u64::try_from(total.opening_units).unwrap_or(0));
        let title = format!("Sell-through of {name}, opening stock {opening} units");
        text(&area, &title, (FIELD.left, 30), 22, HPos::Left)?;
        if let Some((begin, end)) = points.first().zip(points.last()) {
            curves(&area, points, total, Axis::new(begin.at, end.at, FIELD.left, FIELD.right))?;
            // As far as the last bar goes: the first to sell out may all have done so on one day.
            let end = first.last().map_or(end.at, |(at, _)| *at);
            bars(&area, &first, sold_out, Axis::new(begin.at, end, BARS.0, BARS.1))?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn curves(area: &Area<'_>, points: &[Point], total: &Sums, axis: Axis) -> anyhow::Result<()> {
    // Without any stock there is only the demand to compare with.
    let (whole, of) = match u64::try_from(total.opening_units) {
        Ok(opening) if opening > 0 => (opening, "the opening stock"),
        _ => (total.demand.units.max(1), "the demand"),
    };
    let percent = |units: u64| u128::from(units) * 100 / u128::from(whole);
    let most = points.iter().map(|point| percent(point.wanted.max(point.sold))).max().unwrap_or(0);
    let top = u64::try_from(most).unwrap_or(u64::MAX).clamp(100, PERCENT_MAX).div_ceil(20) * 20;
    let height = i64::from(FIELD.bottom - FIELD.top);
    let place = |units: u64| {
        let tenths = u128::from(units) * 1_000 / u128::from(whole);
        let tenths = i64::try_from(tenths).unwrap_or(i64::MAX).min(top.cast_signed() * 10);
        FIELD.bottom - i32::try_from(height * tenths / (top.cast_signed() * 10)).unwrap_or(0)
    };
    for percent in (0..=top).step_by(20) {
        let y = place(whole * percent / 100);
        line(area, &[(FIELD.left, y), (FIELD.right, y)], FAINT, 1)?;
        text(area, &format!("{percent} %"), (FIELD.left - 8, y), 14, HPos::Right)?;
    }
    moments(area, axis, FIELD.top, FIELD.bottom)?;
    let curves: [Curve; 2] =
        [("wanted", WANTED, |point| point.wanted), ("sold", SOLD, |point| point.sold)];
    let mut left = FIELD.left;
    for (name, color, of_point) in curves {
        let mut path: Vec<(i32, i32)> = Vec::new();
        for point in points {
            let next = (axis.place(point.at), place(of_point(point)));
            // Units are sold at a moment, not on the way to it.
            let last = path.last().copied().unwrap_or((next.0, FIELD.bottom));
            if last != next {
                path.extend([(next.0, last.1), next]);
            }
        }
        line(area, &path, color, 2)?;
        let units = points.last().map_or(0, of_point);
        let words = format!("{name}: {}, {} % of {of}", counted(units, "unit"), percent(units));
        line(area, &[(left, 62), (left + 24, 62)], color, 4)?;
        text(area, &words, (left + 32, 62), 15, HPos::Left)?;
        left += 420;
    }
    text(area, "time of the file", (FIELD.right, FIELD.bottom + 40), 14, HPos::Right)
}

fn bars(
    area: &Area<'_>,
    first: &[(DateTime, &ProductTally)],
    sold_out: usize,
    axis: Axis,
) -> anyhow::Result<()> {
    let title = match sold_out {
        0 => "No product sold out".to_owned(),
        count if count > SHOWN => {
            format!("The first {SHOWN} of {} that sold out", counted(count as u64, "product"))
        }
        count => format!("{} sold out", counted(count as u64, "product")),
    };
    text(area, &title, (FIELD.left, BARS_TOP - 28), 20, HPos::Left)?;
    if first.is_empty() {
        return Ok(());
    }
    let rows = i32::try_from(first.len()).unwrap_or(0);
    moments(area, axis, BARS_TOP, BARS_TOP + rows * ROW)?;
    for (row, (at, product)) in (0..).zip(first) {
        let (top, right) = (BARS_TOP + row * ROW, axis.place(*at));
        let bar = [(BARS.0, top + 3), (right.max(BARS.0 + 2), top + ROW - 3)];
        area.draw(&Rectangle::new(bar, BAR.filled()))?;
        let middle = top + ROW / 2;
        let label = format!("{}  {}", product.product_id, product.name);
        text(area, &shortened(&label), (BARS.0 - 10, middle), 14, HPos::Right)?;
        let units = u64::try_from(product.sums.sold_units).unwrap_or(0);
        let words = format!("{}, {} sold", at.strftime("%d %b %H:%M"), grouped(units));
        text(area, &words, (right + 8, middle), 14, HPos::Left)?;
    }
    Ok(())
}

/// A label as far as there is room for it.
fn shortened(label: &str) -> String {
    if label.chars().count() <= LABEL_CHARS {
        return label.to_owned();
    }
    let start: String = label.chars().take(LABEL_CHARS - 1).collect();
    format!("{}…", start.trim_end())
}

/// Lines at round moments, with their names below.
fn moments(area: &Area<'_>, axis: Axis, top: i32, bottom: i32) -> anyhow::Result<()> {
    for (at, name) in axis.named() {
        let x = axis.place(at);
        line(area, &[(x, top), (x, bottom + 4)], FAINT, 1)?;
        text(area, &name, (x, bottom + 16), 13, HPos::Center)?;
    }
    Ok(())
}

fn line(area: &Area<'_>, path: &[(i32, i32)], color: RGBColor, width: u32) -> anyhow::Result<()> {
    Ok(area.draw(&PathElement::new(path.to_vec(), color.stroke_width(width)))?)
}

fn text(
    area: &Area<'_>,
    words: &str,
    place: (i32, i32),
    size: i32,
    side: HPos,
) -> anyhow::Result<()> {
    let style = ("sans-serif", size).into_font().color(&INK);
    let style = style.pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(words.to_owned(), place, style))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i8) -> DateTime {
        DateTime::constant(2010, 12, 1, 9, minute, 0, 0)
    }

    fn chart(points: &[Point], sold_out_at: Option<DateTime>, opening_units: i64) -> String {
        let sums = Sums { opening_units, ..Sums::default() };
        let product = ProductTally {
            product_id: "85123A".into(),
            name: "CUP & <SAUCER>".into(),
            sold_out_at,
            sums: sums.clone(),
            ..ProductTally::default()
        };
        draw("some/orders.csv", points, &[product], &sums).unwrap()
    }

    #[test]
    fn chart_tells_what_it_shows_and_stays_on_its_paper() {
        let points = [
            Point { at: at(0), wanted: 40, sold: 40 },
            Point { at: at(30), wanted: 4_000, sold: 100 },
        ];
        let svg = chart(&points, Some(at(30)), 100);
        for words in [
            "Sell-through of orders.csv, opening stock 100 units",
            "wanted: 4,000 units, 4000 % of the opening stock",
            "sold: 100 units, 100 % of the opening stock",
            "1 product sold out",
            "85123A  CUP &amp; &lt;SAUCER&gt;",
            "01 Dec 09:30, 0 sold",
            "time of the file",
        ] {
            assert!(svg.contains(words), "{words} is not in {svg}");
        }
        assert!(!svg.contains("y=\"-") && !svg.contains(",-"), "nothing above the paper: {svg}");
    }

    #[test]
    fn chart_of_little_is_drawn_too() {
        let one = [Point { at: at(0), wanted: 3, sold: 0 }];
        let svg = chart(&one, None, 0);
        assert!(svg.contains("No product sold out") && svg.contains("of the demand"), "{svg}");
        assert!(chart(&[], None, 0).starts_with("<svg"));
    }
}
