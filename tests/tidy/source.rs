//! The files under test: read once, and seen without their comments and literals.

use std::fmt;
use std::path::Path;

/// A text file of the repository.
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What a check found, where a person can jump to it.
pub(crate) struct Offence {
    path: String,
    line: usize,
    what: String,
}

impl Offence {
    /// `line` counts from 1.
    pub(crate) fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}:{}: {}", self.path, self.line, self.what)
    }
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_under(&self, folders: &[&str]) -> bool {
        folders
            .iter()
            .any(|folder| self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The text with comments, strings and characters blanked; every line stays where it is.
    pub(crate) fn code(&self) -> String {
        blank(&self.text)
    }
}

/// Reads every text file under `root` but what is built, measured or git's own.
pub(crate) fn read_tree(root: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry of a folder").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
            if path.is_dir() {
                let is_ours = !(name.starts_with("target") || name == ".git" || name == "data");
                if is_ours || folder != root {
                    folders.push(path);
                }
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let path = path.strip_prefix(root).expect("under the root").to_str();
                sources.push(Source::new(path.expect("a plain name"), text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let skipped = skip_length(&chars, at);
        let end = chars.len().min(at + skipped.max(1));
        for &c in chars.get(at..end).unwrap_or_default() {
            code.push(if skipped == 0 || c == '\n' { c } else { ' ' });
        }
        at = end;
    }
    code
}

/// How many characters from `at` on are a comment or a literal; 0 where code stands.
fn skip_length(chars: &[char], at: usize) -> usize {
    let peek = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
    let rest = chars.get(at..).unwrap_or_default();
    match (peek(0), peek(1)) {
        ('/', '/') => rest.iter().take_while(|c| **c != '\n').count(),
        ('/', '*') => block_comment_length(rest),
        ('"', _) => quoted_length(rest, '"'),
        // A lifetime has no closing quote: 'a, but 'a' and '\n' do.
        ('\'', '\\') => quoted_length(rest, '\''),
        ('\'', _) if peek(2) == '\'' => 3,
        ('r', '"' | '#') if begins_word(chars, at) => raw_string_length(rest),
        _ => 0,
    }
}

/// Whether an `r` at `at` begins a word, or ends the `br` or `cr` of a literal.
fn begins_word(chars: &[char], at: usize) -> bool {
    let before = |at: usize| at.checked_sub(1).and_then(|before| chars.get(before)).copied();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    match before(at) {
        Some('b' | 'c') => !before(at - 1).is_some_and(is_word),
        before => !before.is_some_and(is_word),
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match (rest.get(at), rest.get(at + 1)) {
            (Some('/'), Some('*')) => depth += 1,
            (Some('*'), Some('/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while let Some(c) = rest.get(at) {
        match c {
            '\\' => at += 2,
            c if *c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"` with any number of hashes; 0 for a raw identifier such as `r#type`.
fn raw_string_length(rest: &[char]) -> usize {
    let hashes = rest.iter().skip(1).take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let body = 2 + hashes;
    for at in body..rest.len() {
        let closing = rest.iter().skip(at + 1).take(hashes).filter(|c| **c == '#').count();
        if rest.get(at) == Some(&'"') && closing == hashes {
            return at + 1 + hashes;
        }
    }
    rest.len()
}

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    let check = |text: &str, code: &str| {
        let seen = blank(text);
        assert_eq!(seen.lines().count(), text.lines().count(), "{text}");
        let words: Vec<&str> = seen.split_whitespace().collect();
        assert_eq!(words.join(" "), code, "{text}");
    };
    check("a // b\nc", "a c");
    check("a /* b /* c */ d */ e", "a e");
    check("a /* open", "a");
    check(r#"a "b \" // c" d"#, "a d");
    check("a \"b\nc\" d", "a d");
    check(r##"a r#"b " c"# d"##, "a d");
    check(r#"a br"\" d"#, "a b d");
    check("r#type a", "r#type a");
    check("for\"b\" a", "for a");
    check("fn f<'a>(c: &'a str) { '\"' }", "fn f<'a>(c: &'a str) { }");
    check(r"a '\'' b '\u{1F600}' c", "a b c");
}
