//! How a file is named, how it opens, how long it is, and what it must not have left in it.

use std::path::Path;

use crate::source::{Offence, Source};

/// No file is longer, and nine in ten are shorter than the second.
const LINES_MAX: usize = 700;
const LINES_USUAL: usize = 450;

/// Shortest first line of a contract that can say anything.
const CONTRACT_BYTES_MIN: usize = 10;

/// Names that say where code was put, not what it is.
const NAMELESS: &[&str] = &["util", "utils", "helper", "helpers", "misc"];

/// Notes that must be settled before a commit; in halves, or this file would be found.
const MARKERS: &[&str] = &[concat!("FIX", "ME"), concat!("X", "XX")];

fn rust(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.is_rust())
}

/// Files that do not open with `//!` and a sentence.
pub(crate) fn headers(sources: &[Source]) -> Vec<Offence> {
    rust(sources)
        .filter(|source| {
            let first = source.text.lines().next().and_then(|line| line.strip_prefix("//! "));
            first.is_none_or(|text| text.trim().len() < CONTRACT_BYTES_MIN)
        })
        .map(|source| Offence::new(source, 1, "does not open with its contract: `//! …`"))
        .collect()
}

/// Files and folders named after nothing in particular.
pub(crate) fn names(sources: &[Source]) -> Vec<Offence> {
    rust(sources)
        .filter(|source| {
            Path::new(&source.path)
                .with_extension("")
                .components()
                .any(|part| NAMELESS.iter().any(|name| part.as_os_str() == *name))
        })
        .map(|source| Offence::new(source, 1, "is not named by what it holds"))
        .collect()
}

/// Files that are too long, and those that are long when too many are.
pub(crate) fn lengths(sources: &[Source]) -> Vec<Offence> {
    let measured: Vec<(&Source, usize)> = rust(sources)
        .filter(|source| source.is_under(&["src", "wal/src", "bench/src"]))
        .map(|source| (source, source.text.lines().count()))
        .collect();
    let long = measured.iter().filter(|(_, lines)| *lines >= LINES_USUAL).count();
    let too_many = long * 10 > measured.len();
    let mut offences = Vec::new();
    for (source, lines) in measured {
        if lines > LINES_MAX {
            let what = format!("{lines} lines, {LINES_MAX} may be");
            offences.push(Offence::new(source, lines, what));
        } else if too_many && lines >= LINES_USUAL {
            let what = format!("{lines} lines; more than one file in ten has {LINES_USUAL}");
            offences.push(Offence::new(source, lines, what));
        }
    }
    offences
}

/// Notes that say the work is not done.
pub(crate) fn markers(sources: &[Source]) -> Vec<Offence> {
    let mut offences = Vec::new();
    for source in sources.iter().filter(|source| is_source(&source.path)) {
        for (index, line) in source.text.lines().enumerate() {
            for marker in MARKERS.iter().filter(|marker| has_word(line, marker)) {
                offences.push(Offence::new(source, index + 1, format!("{marker} in the sources")));
            }
        }
    }
    offences
}

fn is_source(path: &str) -> bool {
    let known = ["rs", "toml", "sql", "sh", "yml", "yaml", "py"];
    match Path::new(path).extension() {
        Some(extension) => known.iter().any(|known| extension == *known),
        // Scripts such as `tests/run`.
        None => path.ends_with("/run"),
    }
}

/// Whether `word` stands in `line` by itself; between quotes it is a value, such as the code of
/// ISO 4217 for no currency.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || "_\"'".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::{MARKERS, headers, lengths, markers, names};
    use crate::source::Source;

    fn lines(path: impl Into<String>, count: usize) -> Source {
        Source::new(path, "x\n".repeat(count))
    }

    #[test]
    fn a_file_without_its_contract_is_caught() {
        let check = |text: &str, offences: usize| {
            assert_eq!(headers(&[Source::new("src/a.rs", text)]).len(), offences, "{text}");
        };
        check("//! Stock of one product: deciding what may happen.\n", 0);
        check("// Stock of one product: deciding what may happen.\n", 1);
        check("\n//! Stock of one product: deciding what may happen.\n", 1);
        check("use std::fmt;\n", 1);
        check("//! To do.\n", 1);
        check("//!\n", 1);
        check("", 1);
    }

    #[test]
    fn a_file_named_after_nothing_is_caught() {
        let check = |path: &str, offences: usize| {
            assert_eq!(names(&[Source::new(path, "")]).len(), offences, "{path}");
        };
        check("src/engine/utils.rs", 1);
        check("tests/helpers/mod.rs", 1);
        check("wal/src/misc.rs", 1);
        check("src/engine/utilization.rs", 0);
        check("docs/misc/page.md", 0);
    }

    #[test]
    fn a_file_too_long_to_walk_is_caught() {
        assert_eq!(lengths(&[lines("src/a.rs", 700), lines("src/b.rs", 701)]).len(), 2);
        let mut tree: Vec<Source> = (0..9).map(|n| lines(format!("src/a{n}.rs"), 449)).collect();
        tree.push(lines("src/long.rs", 450));
        assert!(lengths(&tree).is_empty(), "one in ten may be long");
        tree.push(lines("wal/src/long.rs", 450));
        assert_eq!(lengths(&tree).len(), 2, "two in eleven may not");
        assert!(lengths(&[lines("tests/a.rs", 900)]).is_empty(), "tests may");
    }

    #[test]
    fn a_note_left_behind_is_caught() {
        for marker in MARKERS {
            let found = |path: &str, text: String| markers(&[Source::new(path, text)]).len();
            assert_eq!(found("src/a.rs", format!("a\n// {marker}: b\n")), 1);
            assert_eq!(found("schema/sqlite/V1__a.sql", format!("-- {marker}\n")), 1);
            assert_eq!(found("tests/run", format!("# {marker}\n")), 1);
            assert_eq!(found("src/a.rs", format!("{marker}X a_{marker} \"{marker}\"\n")), 0);
            assert_eq!(found("CONTRIBUTING.md", format!("{marker} never reaches main\n")), 0);
        }
    }
}
