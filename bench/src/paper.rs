//! A picture as SVG: what charts and flame graphs draw on. plotters writes the elements.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Where is drawn, by places in pixels.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws on a white sheet of so many pixels.
///
/// # Errors
/// An element cannot be written; into memory, none should fail.
pub fn drawn(
    (width, height): (i32, i32),
    draw: impl FnOnce(&Area<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let size = (width.unsigned_abs(), height.unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        area.present()?;
    }
    Ok(svg)
}

/// Writes words; `font` has its family and its size, `place` is in the middle of their height.
///
/// # Errors
/// As [`drawn`].
pub fn text(
    area: &Area<'_>,
    words: &str,
    place: (i32, i32),
    font: (&str, i32),
    (colour, side): (RGBColor, HPos),
) -> anyhow::Result<()> {
    let style = font.into_font().color(&colour).pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(words.to_owned(), place, style))?)
}
