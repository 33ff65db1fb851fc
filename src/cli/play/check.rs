//! Checks: what was expected, what was found, and whether that is well.

use std::fmt;

use serde::Serialize;

use super::book::{Book, Difference};
use super::number::{counted, grouped};

/// Ids that a failed check names; the rest is counted.
const NAMED_MAX: usize = 5;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it must be.
    Ok,
    /// Not as it must be.
    Failed,
    /// There was nothing to look at.
    NotChecked,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What must be true.
    pub(crate) what: String,
    /// Whether it is.
    pub(crate) state: State,
    /// The figures, or what is missing.
    pub(crate) found: String,
}

impl Check {
    /// A check that holds or does not.
    pub(crate) fn new(what: impl Into<String>, holds: bool, found: impl Into<String>) -> Self {
        let state = if holds { State::Ok } else { State::Failed };
        Self { what: what.into(), state, found: found.into() }
    }

    /// A check that had nothing to look at; `why` says what it takes.
    pub(crate) fn not_checked(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::NotChecked, found: why.into() }
    }

    /// That there are none of these; the first of those there are, are named.
    pub(crate) fn none(what: impl Into<String>, ids: &[String]) -> Self {
        Self::new(what, ids.is_empty(), named(ids))
    }

    /// That two witnesses tell the same; `book` is what one of them tells.
    pub(crate) fn same(what: impl Into<String>, book: &Book, difference: &Difference) -> Self {
        if difference.is_none() {
            let orders = counted(book.len() as u64, "order");
            let found = match book.adjustments() {
                0 => orders,
                count => format!("{orders}, {}", counted(count as u64, "adjustment")),
            };
            return Self::new(what, true, found);
        }
        let parts = [
            ("missing", &difference.missing),
            ("extra", &difference.extra),
            ("different", &difference.changed),
        ];
        let parts = parts.iter().filter(|(_, ids)| !ids.is_empty());
        let parts: Vec<String> =
            parts.map(|(word, ids)| format!("{word}: {}", named(ids))).collect();
        Self::new(what, false, parts.join("; "))
    }

    /// Whether it failed.
    pub(crate) fn failed(&self) -> bool {
        self.state == State::Failed
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.state {
            State::Ok => "ok",
            State::Failed => "FAILED",
            State::NotChecked => "not checked",
        };
        write!(f, "{word:<12}{}: {}", self.what, self.found)
    }
}

/// How many, and the first by name.
fn named(ids: &[String]) -> String {
    let first: Vec<&str> = ids.iter().take(NAMED_MAX).map(String::as_str).collect();
    match ids.len() {
        0 => "none".to_owned(),
        count if count <= NAMED_MAX => format!("{count} ({})", first.join(", ")),
        count => format!("{} ({}, …)", grouped(count as u64), first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_checks_name_the_first_and_count_the_rest() {
        let ids: Vec<String> = (1..=7).map(|n| format!("o{n}")).collect();
        assert_eq!(Check::none("lost", &[]).to_string(), "ok          lost: none");
        let check = Check::none("lost", &ids);
        assert!(check.failed());
        assert_eq!(check.found, "7 (o1, o2, o3, o4, o5, …)");
        let difference = Difference { missing: ids[..2].to_vec(), ..Difference::default() };
        let check = Check::same("answers and log agree", &Book::default(), &difference);
        assert_eq!(check.found, "missing: 2 (o1, o2)");
        assert!(!Check::not_checked("x", "give --data-dir").failed());
    }
}
