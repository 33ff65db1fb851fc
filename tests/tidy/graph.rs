//! Who uses whom, against the tables of `tests/tidy.rs`.

use crate::paths::{lines_naming, named_paths};
use crate::source::{Offence, Source};

/// Rows of a name and what goes with it.
type Table<'a> = &'a [(&'a str, &'a [&'a str])];

/// The arrows that may be between the parts of `src/`, and the crates only some may name.
pub(crate) struct Graph<'a> {
    /// Part, and the paths it may use.
    pub(crate) allowed: Table<'a>,
    /// Crate, and the parts that may name it.
    pub(crate) fenced: Table<'a>,
}

impl Graph<'_> {
    /// Every arrow of the tree, forbidden or not, from part to part.
    pub(crate) fn arrows(&self, sources: &[Source]) -> Vec<(String, String)> {
        let mut arrows = Vec::new();
        for (part, source) in parts(sources) {
            for named in named_paths(&module_of(&source.path), "doorbuster", &source.code()) {
                let to = named.path.first().cloned().unwrap_or_default();
                if to != part {
                    arrows.push((part.clone(), to));
                }
            }
        }
        arrows.sort();
        arrows.dedup();
        arrows
    }

    /// Arrows and crates that the tables do not have.
    pub(crate) fn offences(&self, sources: &[Source]) -> Vec<Offence> {
        parts(sources).flat_map(|(part, source)| self.of_file(&part, source)).collect()
    }

    fn of_file(&self, part: &str, source: &Source) -> Vec<Offence> {
        let Some((_, allowed)) = self.allowed.iter().find(|(name, _)| *name == part) else {
            return vec![Offence::new(source, 1, format!("`{part}` has no row in ALLOWED"))];
        };
        let code = source.code();
        let mut offences = Vec::new();
        for named in named_paths(&module_of(&source.path), "doorbuster", &code) {
            let path = named.path.join("::");
            let mut problem = None;
            match named.path.first().map(String::as_str) {
                None | Some("*") => {
                    problem = Some("names the root of the crate, which hides what is used".into());
                }
                Some(to) if to == part || allowed.iter().any(|prefix| is_within(&path, prefix)) => {
                }
                Some(_) => problem = Some(format!("`{part}` may not use `{path}`")),
            }
            offences.extend(problem.map(|what: String| Offence::new(source, named.line, what)));
        }
        for (name, users) in self.fenced.iter().filter(|(_, users)| !users.contains(&part)) {
            for line in lines_naming(name, &code) {
                let what = format!("`{name}` is for {} alone", users.join(", "));
                offences.push(Offence::new(source, line, what));
            }
        }
        offences
    }
}

/// Packages that a folder must not know.
pub(crate) struct Strangers<'a> {
    pub(crate) folder: &'a str,
    pub(crate) packages: &'a [&'a str],
    /// Folders in it that may know them; with one its manifest may, too.
    pub(crate) but_for: &'a [&'a str],
}

/// Packages that a folder names, in its code or its manifest, though it must not know them.
pub(crate) fn strangers(table: &[Strangers<'_>], sources: &[Source]) -> Vec<Offence> {
    let mut offences = Vec::new();
    for Strangers { folder, packages, but_for } in table {
        let concerned = |source: &&Source| source.is_under(&[*folder]) && !source.is_under(but_for);
        for source in sources.iter().filter(concerned) {
            for package in *packages {
                let lines = if source.is_rust() {
                    lines_naming(&package.replace('-', "_"), &source.code())
                } else if source.path.ends_with("/Cargo.toml") && but_for.is_empty() {
                    depends_on(package, &source.text).into_iter().collect()
                } else {
                    continue;
                };
                let what = format!("`{folder}` must not know `{package}`");
                offences.extend(lines.iter().map(|line| Offence::new(source, *line, &*what)));
            }
        }
    }
    offences
}

/// The line on which a manifest depends on a package, under its own name or another.
fn depends_on(package: &str, manifest: &str) -> Option<usize> {
    let table: toml::Table = manifest.parse().expect("cargo reads this manifest too");
    let mut waiting: Vec<&toml::Table> = vec![&table];
    while let Some(table) = waiting.pop() {
        for (key, value) in table {
            let Some(inner) = value.as_table() else { continue };
            waiting.push(inner);
            if !key.ends_with("dependencies") {
                continue;
            }
            for (name, wish) in inner {
                let real = wish.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                if real == package {
                    return Some(line_of(name, manifest));
                }
            }
        }
    }
    None
}

/// The line of a key or a table's heading; the first where it is written otherwise.
fn line_of(name: &str, manifest: &str) -> usize {
    let found = manifest.lines().position(|line| {
        let heading = line.trim_end().strip_suffix(']').and_then(|line| line.strip_suffix(name));
        let key = line.trim_start().strip_prefix(name);
        heading.is_some_and(|line| line.ends_with('.'))
            || key.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    });
    found.unwrap_or(0) + 1
}

/// The files of `src/`, each with its part; `lib.rs` only lists them.
fn parts(sources: &[Source]) -> impl Iterator<Item = (String, &Source)> {
    sources
        .iter()
        .filter(|source| {
            source.is_rust() && source.is_under(&["src"]) && source.path != "src/lib.rs"
        })
        .filter_map(|source| Some((module_of(&source.path).into_iter().next()?, source)))
}

/// `src/engine/clock.rs` is `engine::clock`, `src/engine/mod.rs` is `engine`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").split('/').map(str::to_owned).collect()
}

fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::{Graph, Strangers, strangers};
    use crate::source::{Offence, Source};

    const GRAPH: Graph<'static> = Graph {
        allowed: &[
            ("domain", &[]),
            ("engine", &["domain"]),
            ("http", &["engine"]),
            ("projection", &["engine::ports"]),
        ],
        fenced: &[("anyhow", &["http"])],
    };

    fn check(path: &str, text: &str, expected: &[&str]) {
        let sources = [Source::new(path, text)];
        let found: Vec<String> = GRAPH.offences(&sources).iter().map(Offence::to_string).collect();
        let found: Vec<&str> = found.iter().map(|line| line.trim()).collect();
        assert_eq!(found, expected, "{path}: {text}");
    }

    #[test]
    fn an_arrow_against_the_table_is_caught() {
        check("src/engine/clock.rs", "use crate::domain::Sequence;", &[]);
        check(
            "src/domain/decide.rs",
            "//! use crate::engine;\n\nuse crate::{\n    engine::Clock,\n};",
            &["src/domain/decide.rs:4: `domain` may not use `engine::Clock`"],
        );
        check(
            "src/engine/clock.rs",
            "fn f() { super::super::http::g() }",
            &["src/engine/clock.rs:1: `engine` may not use `http::g`"],
        );
    }

    #[test]
    fn an_arrow_to_a_part_of_a_module_allows_no_more() {
        check("src/projection/sqlite.rs", "use crate::engine::ports::OrderReader;", &[]);
        check("src/projection/sqlite.rs", "use crate::engine::ports;", &[]);
        check(
            "src/projection/sqlite.rs",
            "use crate::engine::{self, ports};\nuse crate::engine::ports_of_call;",
            &[
                "src/projection/sqlite.rs:1: `projection` may not use `engine`",
                "src/projection/sqlite.rs:2: `projection` may not use `engine::ports_of_call`",
            ],
        );
    }

    #[test]
    fn what_has_no_row_is_caught() {
        check("src/misplaced.rs", "", &["src/misplaced.rs:1: `misplaced` has no row in ALLOWED"]);
        check(
            "src/engine/mod.rs",
            "use crate::Reexported;\nuse crate::*;",
            &[
                "src/engine/mod.rs:1: `engine` may not use `Reexported`",
                "src/engine/mod.rs:2: names the root of the crate, which hides what is used",
            ],
        );
    }

    #[test]
    fn a_fenced_crate_is_caught() {
        check("src/http/body.rs", "use anyhow::Context;", &[]);
        check(
            "src/engine/mod.rs",
            "// anyhow::Result\nfn f() -> anyhow::Result<()> { }",
            &["src/engine/mod.rs:2: `anyhow` is for http alone"],
        );
    }

    #[test]
    fn a_stranger_is_caught_in_code_and_manifest() {
        // The line it is found on; 0 for none.
        let check = |path: &str, text: &str, line: usize| {
            let but_for = &["wal/src/known"];
            let of_wal = Strangers { folder: "wal", packages: &["doorbuster"], but_for: &[] };
            let found = strangers(&[of_wal], &[Source::new(path, text)]);
            let excepted = Strangers { folder: "wal", packages: &["doorbuster"], but_for };
            let file = path.replace("wal/src/", "wal/src/known/");
            let excepted = strangers(&[excepted], &[Source::new(&file, text)]);
            assert!(file == path || excepted.is_empty(), "{text}");
            let found: Vec<String> = found.iter().map(Offence::to_string).collect();
            let expected = format!("  {path}:{line}: `wal` must not know `doorbuster`");
            assert_eq!(found, vec![expected; usize::from(line > 0)], "{text}");
        };
        check("wal/src/lib.rs", "use doorbuster::domain;", 1);
        check("wal/tests/log.rs", "// doorbuster::x\ndoorbuster::domain::f();", 2);
        check("wal/src/lib.rs", "use doorbuster_wal::Log;", 0);
        check("bench/src/lib.rs", "use doorbuster::domain;", 0);
        let manifest = |lines: &str| format!("[package]\nname = \"doorbuster-wal\"\n{lines}");
        let check = |lines: &str, line: usize| check("wal/Cargo.toml", &manifest(lines), line);
        check("[dependencies]\nsha2 = \"1\"", 0);
        check("[dependencies]\ndoorbuster.workspace = true", 4);
        check("[dependencies.doorbuster]\npath = \"..\"", 3);
        check("[dev-dependencies.it]\npackage = \"doorbuster\"\npath = \"..\"", 3);
        check("[target.'cfg(unix)'.dependencies]\ndoorbuster = \"1\"", 4);
    }
}
