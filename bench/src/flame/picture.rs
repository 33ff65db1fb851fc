//! A flame graph: each call a box as wide as its share of the samples, over the one that called it.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::stacks::Call;
use crate::paper::{self, Area};

const WIDTH: i32 = 1_400;
const MARGIN: i32 = 10;
const TOP: i32 = 50;
const ROW: i32 = 17;
/// Deepest calls that are drawn: a runtime's own frames alone are dozens.
const DEPTH_MAX: usize = 90;
/// Narrower boxes are left out, and narrower ones have no name.
const BOX_MIN: f64 = 0.5;
const NAME_MIN: f64 = 30.0;
/// About the width of a letter.
const LETTER: f64 = 6.2;

const INK: RGBColor = RGBColor(30, 30, 30);
const COLOURS: [RGBColor; 5] = [
    RGBColor(250, 196, 110),
    RGBColor(246, 164, 92),
    RGBColor(252, 214, 140),
    RGBColor(240, 144, 84),
    RGBColor(248, 180, 120),
];

/// Draws it.
///
/// # Errors
/// An element cannot be written; into memory, none should fail.
pub fn draw(title: &str, root: &Call) -> anyhow::Result<String> {
    let depth = i32::try_from(root.depth().min(DEPTH_MAX)).unwrap_or(0);
    let height = TOP + depth * ROW + 2 * MARGIN;
    paper::drawn((WIDTH, height), |area| {
        text(area, title, (MARGIN, 22), 18)?;
        let field = f64::from(WIDTH - 2 * MARGIN);
        let boxes = Boxes { area, floor: height - MARGIN };
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let scale = field / root.samples.max(1) as f64;
        boxes.draw(root, f64::from(MARGIN), 0, scale)
    })
}

struct Boxes<'a, 'b> {
    area: &'a Area<'b>,
    floor: i32,
}

impl Boxes<'_, '_> {
    /// Draws what a call called, from `left` on, in row `depth` from below.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "pixels of samples"
    )]
    fn draw(&self, call: &Call, left: f64, depth: usize, scale: f64) -> anyhow::Result<()> {
        if depth >= DEPTH_MAX {
            return Ok(());
        }
        let mut left = left;
        for (name, inner) in &call.calls {
            let width = inner.samples as f64 * scale;
            if width >= BOX_MIN {
                let bottom = self.floor - ROW * i32::try_from(depth).unwrap_or(0);
                let corners = [
                    (left.round() as i32, bottom - ROW + 1),
                    ((left + width).round() as i32, bottom),
                ];
                self.area.draw(&Rectangle::new(corners, colour(name).filled()))?;
                if width >= NAME_MIN {
                    let name = shortened(name, ((width - 6.0) / LETTER) as usize);
                    let place = (left.round() as i32 + 3, bottom - ROW / 2);
                    text(self.area, &name, place, 11)?;
                }
                self.draw(inner, left, depth + 1, scale)?;
            }
            left += width;
        }
        Ok(())
    }
}

/// The same name has the same colour in every picture.
fn colour(name: &str) -> RGBColor {
    let sum: usize = name.bytes().map(usize::from).sum();
    COLOURS.get(sum % COLOURS.len()).copied().unwrap_or(INK)
}

/// The end of a path says the most; without room for some letters there is no name.
fn shortened(name: &str, letters: usize) -> String {
    let count = name.chars().count();
    if count <= letters {
        return name.to_owned();
    }
    if letters < 4 {
        return String::new();
    }
    let end: String = name.chars().skip(count - (letters - 1)).collect();
    format!("…{end}")
}

fn text(area: &Area<'_>, words: &str, place: (i32, i32), size: i32) -> anyhow::Result<()> {
    paper::text(area, words, place, ("monospace", size), (INK, HPos::Left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flame::stacks;

    #[test]
    fn calls_are_named_as_far_as_there_is_room() {
        let script = "writer\n\t1 commit<u8> (/a/x)\n\t2 main (/a/x)\n\nother\n\t2 main (/a/x)\n";
        let svg = draw("Purchase", &stacks::of(script)).expect("a picture");
        for words in ["Purchase", "writer", "commit&lt;u8&gt;", "other"] {
            assert!(svg.contains(words), "{words} is not in {svg}");
        }
        assert_eq!(shortened("a::b::commit", 8), "…:commit");
        assert_eq!(shortened("a::b::commit", 3), "");
        assert!(draw("Nothing", &Call::default()).expect("a picture").starts_with("<svg"));
    }
}
