//! Query strings: every parameter is known, and there once.

use super::fields::Errors;
use super::problem::Problem;

/// Longest value that is shown in an error.
const SHOWN_CHARS_MAX: usize = 64;

/// The parameters of a request, by name. Values are opaque words and numbers, so nothing is
/// decoded: what needs an escape is none of ours.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The values of `known` parameters.
pub(super) fn read<'a, const N: usize>(
    query: &'a str,
    known: [&str; N],
    errors: &mut Errors,
) -> [Option<&'a str>; N] {
    let mut values = [None; N];
    for (name, value) in pairs(query) {
        let pointer = || format!("?{}", name.chars().take(SHOWN_CHARS_MAX).collect::<String>());
        let place = known.iter().position(|known| *known == name);
        match place.and_then(|place| values.get_mut(place)) {
            None => errors.add(pointer(), "unknown parameter"),
            Some(Some(_)) => errors.add(pointer(), "duplicate parameter"),
            Some(slot) => *slot = Some(value),
        }
    }
    values
}

/// What is said of a cursor that is none.
pub(super) const NO_CURSOR: &str = "must be the next_cursor of an earlier answer";

/// Rows of a page, from 1 to `max`.
pub(super) fn limit(
    text: Option<&str>,
    default: u16,
    max: u16,
    errors: &mut Errors,
) -> Option<u16> {
    match text.map(|text| text.parse::<u16>().map(|limit| (text, limit))) {
        None => Some(default),
        // As a number is written: no sign.
        Some(Ok((text, limit))) if (1..=max).contains(&limit) && !text.starts_with('+') => {
            Some(limit)
        }
        Some(_) => errors.none("?limit", format!("must be 1 to {max}")),
    }
}

/// A path that has no parameters.
///
/// # Errors
/// There is one.
pub(super) fn none(query: &str) -> Result<(), Problem> {
    if query.is_empty() {
        return Ok(());
    }
    let mut errors = Errors::default();
    let [] = read(query, [], &mut errors);
    errors.unless_any(Some(()))
}
