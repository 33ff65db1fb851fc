//! Parts: which units of an order's or a hold's lines are meant.
//!
//! A part names a line, or a product, whose lines are then used first line first. Parts of one
//! request add up.

use hashbrown::HashMap;

use foldhash::fast::RandomState;

pub(super) use crate::domain::command::Part;
use crate::domain::command::PartOf;
use crate::domain::decision::OrderLine;
use crate::domain::place::Handle;
use crate::domain::refusal::Refusal;

/// A line, and what parts may take of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Available {
    /// Whose units.
    pub(super) product: Handle,
    /// Units the line had at first.
    pub(super) units: u64,
    /// Units left of it.
    pub(super) left: u64,
}

impl Available {
    pub(super) fn all_of(line: &OrderLine) -> Self {
        let units = line.quantity.units();
        Self { product: line.product, units, left: units }
    }
}

/// Units taken of each line by all parts together.
///
/// # Errors
/// `NoSuchLine`; `PartTooLarge` for more than the lines ever had; `AlreadyCancelled` for more than
/// is left of them.
///
/// # Panics
/// Without a part: nothing would be recorded that happened.
pub(super) fn take(lines: &[Available], parts: &[Part]) -> Result<Vec<u64>, Refusal> {
    assert!(!parts.is_empty(), "no parts are not all of them");
    let mut places = HashMap::<Handle, Vec<usize>, RandomState>::default();
    for (place, line) in lines.iter().enumerate() {
        places.entry(line.product).or_default().push(place);
    }
    let mut taken = vec![0; lines.len()];
    for (number, part) in parts.iter().enumerate() {
        let one;
        let named = match part.of {
            PartOf::Line(place) if place < lines.len() => {
                one = [place];
                one.as_slice()
            }
            PartOf::Product(handle) => places.get(&handle).map_or(&[][..], Vec::as_slice),
            PartOf::Line(_) => &[],
        };
        take_one(lines, named, number, part, &mut taken)?;
    }
    Ok(taken)
}

/// Takes one part of the lines it names.
fn take_one(
    lines: &[Available],
    named: &[usize],
    number: usize,
    part: &Part,
    taken: &mut [u64],
) -> Result<(), Refusal> {
    if named.is_empty() {
        return Err(Refusal::NoSuchLine { part: number });
    }
    let requested = part.quantity.units();
    let mut rest = requested;
    let (mut units, mut left) = (0, 0);
    for place in named {
        let (Some(line), Some(taken)) = (lines.get(*place), taken.get_mut(*place)) else {
            continue;
        };
        let free = line.left - *taken;
        let takes = free.min(rest);
        *taken += takes;
        rest -= takes;
        // Of what the part names, less what earlier parts of the request took.
        left += free;
        units += line.units - (*taken - takes);
    }
    match rest {
        0 => Ok(()),
        _ if requested > units => Err(Refusal::PartTooLarge { part: number, units }),
        _ => Err(Refusal::AlreadyCancelled { left, requested }),
    }
}
