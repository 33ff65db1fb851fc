//! Links between documents: each that names a file of the repository must find it.

use crate::source::{Offence, Source};

/// Links whose file is not there, by the paths that `exists` knows.
pub(crate) fn broken(sources: &[Source], exists: &dyn Fn(&str) -> bool) -> Vec<Offence> {
    let mut offences = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".md")) {
        for (line, target) in links(&source.text) {
            let what = match resolve(&source.path, &target) {
                Some(path) if path.is_empty() || exists(&path) => continue,
                Some(path) => format!("links to `{path}`, which is not there"),
                None => format!("links to `{target}`, outside of the repository"),
            };
            offences.push(Offence::new(source, line, what));
        }
    }
    offences
}

/// Targets of the links that name a file, each with its line; code is no link.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        // `[name]: target`
        let defined = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        for target in inline.chain(defined.map(|(_, target)| target)) {
            let target = target.trim_start_matches('<').split([' ', '>', '#']).next();
            let target = target.unwrap_or_default();
            if !(target.is_empty() || target.contains("://") || target.starts_with("mailto:")) {
                found.push((index + 1, target.to_owned()));
            }
        }
    }
    found
}

/// Where a link leads, from the root; `None` where that is not in the repository.
fn resolve(document: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn a_link_that_leads_nowhere_is_caught() {
    let check = |text: &str, expected: &[&str]| {
        let there = ["README.md", "docs/problems.md", "docs"];
        let found: Vec<String> =
            broken(&[Source::new("docs/page.md", text)], &|path| there.contains(&path))
                .iter()
                .map(|offence| offence.to_string().trim().to_owned())
                .collect();
        assert_eq!(found, expected, "{text}");
    };
    check("[a](problems.md) [b](../README.md#top) [c](<problems.md> \"title\") [d](.)", &[]);
    check("[a](https://example.com/none.md) [b](#here) [c](mailto:a@example.com)", &[]);
    check("`[a](none.md)`\n```\n[a](none.md)\n```\n", &[]);
    check(
        "a\n[b](none.md) ![c](../none.svg)",
        &[
            "docs/page.md:2: links to `docs/none.md`, which is not there",
            "docs/page.md:2: links to `none.svg`, which is not there",
        ],
    );
    check("[a]: none.md", &["docs/page.md:1: links to `docs/none.md`, which is not there"]);
    check(
        "[a](../../README.md)\n[b](/etc)",
        &[
            "docs/page.md:1: links to `../../README.md`, outside of the repository",
            "docs/page.md:2: links to `/etc`, outside of the repository",
        ],
    );
}
