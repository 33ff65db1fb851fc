//! Tidiness that no compiler holds: who may use whom, how a file opens, how long it may be.
//!
//! Reads the sources as text, so it needs no build of them and sees every platform's code. The
//! tables are below; what reads the sources, and the proof that it catches what it should, is in
//! `tests/tidy/`. A new arrow or exception is a visible line in review.
#![expect(clippy::disallowed_methods, reason = "what checks the sources reads them")]

#[path = "tidy/graph.rs"]
mod graph;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;

use self::graph::{Graph, Strangers};
use self::source::{Offence, Source, read_tree};

/// Who may use whom in `src/`; an absent pair is forbidden, each folder and file has a row.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["config", "domain", "engine", "http", "journal", "projection", "proof", "telemetry"]),
    ("http", &["domain", "engine", "journal", "telemetry"]),
    ("projection", &["background", "domain", "journal", "engine::ports", "telemetry"]),
    ("engine", &["background", "domain", "journal", "telemetry"]),
    ("proof", &["domain", "journal"]),
    ("journal", &["domain", "telemetry"]),
    ("domain", &[]),
    ("config", &["telemetry"]),
    ("background", &[]),
    ("telemetry", &[]),
];

/// Crates that only some may name.
const FENCED: &[(&str, &[&str])] = &[
    ("doorbuster_wal", &["journal", "cli"]),
    // Unmaintained: its bytes stay behind the codec (deny.toml).
    ("bincode", &["journal"]),
    // Errors are enums that callers can match; only a person reads the last one.
    ("anyhow", &["cli", "main"]),
];

/// Packages that must not know others: the log never heard of products, and what checks the
/// engine shares no code with it.
const STRANGERS: &[Strangers] = &[
    Strangers { folder: "wal", packages: &["doorbuster", "doorbuster-bench"], but_for: &[] },
    // The checker shares no code with what it checks; what runs the engine from inside does.
    Strangers {
        folder: "bench",
        packages: &["doorbuster", "doorbuster-wal"],
        but_for: &[
            "bench/benches",
            "bench/src/damage",
            "bench/src/micro",
            "bench/src/recover",
            "bench/src/simulate",
        ],
    },
];

fn tree() -> Vec<Source> {
    let sources = read_tree(Path::new(env!("CARGO_MANIFEST_DIR")));
    for path in ["src/domain/mod.rs", "wal/src/lib.rs", "bench/src/lib.rs", "tests/tidy.rs"] {
        assert!(sources.iter().any(|source| source.path == path), "{path} was not read");
    }
    sources
}

fn assert_none(offences: &[Offence]) {
    let lines: Vec<String> = offences.iter().map(Offence::to_string).collect();
    assert!(lines.is_empty(), "{} offences:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let graph = Graph { allowed: ALLOWED, fenced: FENCED };
    let sources = tree();
    let arrows = graph.arrows(&sources);
    assert!(
        arrows.iter().any(|(from, to)| from == "engine" && to == "journal"),
        "the scanner no longer sees that the engine uses the journal: {arrows:?}",
    );
    assert_none(&graph.offences(&sources));
}

#[test]
fn packages_do_not_know_those_they_must_not() {
    assert_none(&graph::strangers(STRANGERS, &tree()));
}

#[test]
fn no_build_plants_a_bug_unless_it_is_asked_to() {
    let of = |features: Option<&toml::Value>| {
        let names = features.and_then(toml::Value::as_array).cloned().unwrap_or_default();
        names.iter().any(|name| name.as_str().is_some_and(|name| name.contains("planted")))
    };
    let mut known = 0;
    for Source { path, text } in tree().iter().filter(|source| source.path.ends_with("Cargo.toml"))
    {
        let manifest: toml::Table = text.parse().expect("cargo reads this manifest too");
        let mut waiting = vec![&manifest];
        while let Some(table) = waiting.pop() {
            known += usize::from(table.contains_key("planted"));
            // Of a package by default, and of a dependency.
            assert!(!of(table.get("default")) && !of(table.get("features")), "{path}");
            waiting.extend(table.values().filter_map(toml::Value::as_table));
        }
    }
    assert_eq!(known, 3, "the packages that know of planted bugs");
}

#[test]
fn every_file_opens_with_its_contract() {
    assert_none(&shape::headers(&tree()));
}

#[test]
fn files_are_named_by_what_they_hold() {
    assert_none(&shape::names(&tree()));
}

#[test]
fn files_are_walkable() {
    assert_none(&shape::lengths(&tree()));
}

#[test]
fn nothing_is_left_to_fix() {
    assert_none(&shape::markers(&tree()));
}

#[test]
fn links_between_documents_resolve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_none(&links::broken(&tree(), &|path| root.join(path).exists()));
}
