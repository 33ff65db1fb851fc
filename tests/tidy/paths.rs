//! Paths that code names: `crate::a::b`, `super::super::a`, and every leaf of a `use` tree.

/// A path of this crate, from its root; the last part may be `*`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    /// Empty where code renames or imports the root itself.
    pub(crate) path: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    /// `::`
    Colons,
    Mark(char),
}

struct Token {
    line: usize,
    piece: Piece,
}

impl Token {
    fn word(&self) -> Option<&str> {
        match &self.piece {
            Piece::Word(word) => Some(word),
            _ => None,
        }
    }

    fn is(&self, mark: char) -> bool {
        self.piece == Piece::Mark(mark)
    }
}

struct Tokens(Vec<Token>);

impl Tokens {
    /// `code` without comments and literals.
    fn of(code: &str) -> Self {
        let mut tokens = Vec::new();
        for (index, text) in code.lines().enumerate() {
            let line = index + 1;
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                let piece = if c.is_alphabetic() || c == '_' {
                    let mut word = String::from(c);
                    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                        word.push(c);
                    }
                    Piece::Word(word)
                } else if c == ':' && chars.next_if_eq(&':').is_some() {
                    Piece::Colons
                } else if c.is_whitespace() {
                    continue;
                } else {
                    Piece::Mark(c)
                };
                tokens.push(Token { line, piece });
            }
        }
        Self(tokens)
    }

    fn get(&self, at: usize) -> Option<&Token> {
        self.0.get(at)
    }

    fn word(&self, at: usize) -> Option<&str> {
        self.get(at)?.word()
    }

    fn is_colons(&self, at: usize) -> bool {
        self.get(at).is_some_and(|token| token.piece == Piece::Colons)
    }

    /// Whether a path begins at `at`: nothing is before it that it goes on from.
    fn begins(&self, at: usize) -> bool {
        !at.checked_sub(1).is_some_and(|before| self.is_colons(before))
    }

    /// Collects the leaves of what follows a `::`, each with `prefix` before it.
    fn leaves(&self, mut at: usize, mut prefix: Vec<String>, found: &mut Vec<Named>) {
        while let Some(token) = self.get(at) {
            let line = token.line;
            match &token.piece {
                Piece::Word(word) => {
                    match word.as_str() {
                        "super" => drop(prefix.pop()),
                        "self" => {}
                        _ => prefix.push(word.clone()),
                    }
                    if !self.is_colons(at + 1) {
                        return found.push(Named { line, path: prefix });
                    }
                    at += 2;
                }
                Piece::Mark('{') => return self.branches(at + 1, &prefix, found),
                Piece::Mark('*') => {
                    prefix.push("*".into());
                    return found.push(Named { line, path: prefix });
                }
                // `::<…>` after a complete path.
                _ => return found.push(Named { line, path: prefix }),
            }
        }
    }

    /// The branches of a `use` tree, from behind its `{` to its `}`.
    fn branches(&self, mut at: usize, prefix: &[String], found: &mut Vec<Named>) {
        let mut depth = 0_usize;
        let mut fresh = true;
        while let Some(token) = self.get(at) {
            if token.is('}') && depth == 0 {
                return;
            }
            if fresh {
                self.leaves(at, prefix.to_vec(), found);
            }
            fresh = depth == 0 && token.is(',');
            depth = depth + usize::from(token.is('{')) - usize::from(token.is('}'));
            at += 1;
        }
    }
}

/// What `code` names of its own crate; `module` is the path of the file's module.
///
/// `crate_name` stands for the root as well: a binary names its library so.
pub(crate) fn named_paths(module: &[String], crate_name: &str, code: &str) -> Vec<Named> {
    let tokens = Tokens::of(code);
    let mut found = Vec::new();
    // Modules written out in the file, each with the depth of its braces.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    // The outermost braces of a tree: what is in them was collected with what is before them.
    let mut tree: Option<usize> = None;
    for (at, token) in tokens.0.iter().enumerate() {
        if token.is('{') {
            depth += 1;
            tree = tree.or_else(|| (!tokens.begins(at)).then_some(depth));
        } else if token.is('}') {
            depth = depth.saturating_sub(1);
            tree = tree.filter(|opened| *opened <= depth);
            inner.retain(|(_, opened)| *opened <= depth);
        }
        let begins = tree.is_none() && tokens.begins(at);
        let Some(word) = token.word().filter(|_| begins) else { continue };
        let here = || module.iter().cloned().chain(inner.iter().map(|(name, _)| name.clone()));
        let base: Vec<String> = match word {
            "mod" if tokens.get(at + 2).is_some_and(|token| token.is('{')) => {
                inner.extend(tokens.word(at + 1).map(|name| (name.to_owned(), depth + 1)));
                continue;
            }
            "crate" => Vec::new(),
            "super" => {
                let mut base: Vec<String> = here().collect();
                base.pop();
                base
            }
            "self" => here().collect(),
            word if word == crate_name => Vec::new(),
            _ => continue,
        };
        if tokens.is_colons(at + 1) {
            tokens.leaves(at + 2, base, &mut found);
        } else if base.is_empty() && word != "self" && tokens.word(at + 1) == Some("as") {
            found.push(Named { line: token.line, path: base });
        }
    }
    found
}

/// Lines on which `code` names another crate.
pub(crate) fn lines_naming(name: &str, code: &str) -> Vec<usize> {
    let tokens = Tokens::of(code);
    let mut lines = Vec::new();
    for (at, token) in tokens.0.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| tokens.word(before));
        // A variable may have the name of a crate; a path or an import tells them apart.
        let is_path = tokens.is_colons(at + 1) || matches!(before, Some("use" | "crate"));
        if token.word() == Some(name) && is_path {
            lines.push(token.line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Named, lines_naming, named_paths};

    /// Each expectation is `line path`.
    fn check(module: &str, code: &str, expected: &[&str]) {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        let found: Vec<String> = named_paths(&module, "doorbuster", code)
            .iter()
            .map(|Named { line, path }| format!("{line} {}", path.join("::")))
            .collect();
        assert_eq!(found, expected, "{code}");
    }

    #[test]
    fn a_use_tree_has_a_path_for_each_leaf() {
        check(
            "http",
            "use crate::{\n  engine::{self, ports::{A, B as C}},\n  journal::*,\n};\nuse std::fmt;",
            &["2 engine", "2 engine::ports::A", "2 engine::ports::B", "3 journal::*"],
        );
        check("http", "pub use crate::engine::Clock as Time;", &["1 engine::Clock"]);
        check("http", "use {crate::a, super::b};", &["1 a", "1 b"]);
    }

    #[test]
    fn a_path_may_stand_in_any_expression() {
        check(
            "engine",
            "fn f(a: crate::domain::A) {\n  let b = crate::journal::B { c, d };\n  crate::x::<u8>();\n}",
            &["1 domain::A", "2 journal::B", "3 x"],
        );
        check("engine", "macro_rules! m { () => { $crate::http::f() } }", &["1 http::f"]);
    }

    #[test]
    fn super_climbs_out_of_the_folder() {
        check("engine::clock", "use super::Partition;", &["1 engine::Partition"]);
        check("engine::clock", "use super::super::http::Body;", &["1 http::Body"]);
        check("engine::clock", "use super::{super::http, fifo};", &["1 http", "1 engine::fifo"]);
        check("engine::clock", "use self::super::super::http;", &["1 http"]);
        check("config", "use super::*;", &["1 *"]);
        check(
            "engine::clock",
            "mod tests {\n  use super::super::fifo;\n  use super::Clock;\n}\nuse super::fifo;",
            &["2 engine::fifo", "3 engine::clock::Clock", "5 engine::fifo"],
        );
    }

    #[test]
    fn the_root_cannot_be_had_under_another_name() {
        check("engine", "use crate as root;", &["1 "]);
        check("engine", "use crate::{self as root};", &["1 "]);
        check("engine", "use crate::*;", &["1 *"]);
        check("engine", "use super as root;", &["1 "]);
        check("main", "doorbuster::cli::main();", &["1 cli::main"]);
    }

    #[test]
    fn what_names_nothing_is_left_alone() {
        check(
            "engine",
            "pub(crate) fn a(&self) -> u8 { self.b(); self as *const Self; a::crate_name::c() }\nmod b;",
            &[],
        );
    }

    #[test]
    fn a_crate_is_named_by_paths_and_imports() {
        let check = |code: &str, lines: &[usize]| {
            assert_eq!(lines_naming("anyhow", code), lines, "{code}");
        };
        check("use anyhow::Context;", &[1]);
        check("\nuse anyhow;", &[2]);
        check("extern crate anyhow;", &[1]);
        check("fn f() -> anyhow::Result<()> {}", &[1]);
        check("::anyhow::bail!()", &[1]);
        check("let anyhow = anyhow_else::x; anyhow.y()", &[]);
    }
}
