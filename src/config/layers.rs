//! The layers of settings, put over each other: flag, environment, file, default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::settings::{SETTINGS, Setting};
use super::value::ValueError;

/// What each layer says; nothing is read from the process here.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// By key.
    pub flags: Vec<(String, String)>,
    /// By the variable's name; others than ours are passed over.
    pub environment: Vec<(String, String)>,
    /// Path and text of a file.
    pub file: Option<(PathBuf, String)>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// This variable.
    Environment(String),
    /// This file.
    File(PathBuf),
    /// The binary.
    Default,
}

/// Every setting that has a value, with its origin.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    values: BTreeMap<&'static str, (String, Origin)>,
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Put the value right.
    #[error("{}: {error}", .origin.name_of(.key))]
    Value {
        /// Which setting.
        key: String,
        /// Who said so.
        origin: Origin,
        /// What is wrong.
        error: ValueError,
    },
    /// Remove it, or use the name meant.
    #[error("{name} is no setting{}", .like.as_ref().map(|like| format!("; did you mean {like}?")).unwrap_or_default())]
    Unknown {
        /// As it was written, with its layer.
        name: String,
        /// A setting with a name like it.
        like: Option<String>,
    },
    /// The file is no TOML of plain values.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Origin {
    /// How a person finds the value of `key` there.
    #[must_use]
    pub fn name_of(&self, key: &str) -> String {
        match self {
            Self::Flag => format!("--{}", key.replace('_', "-")),
            Self::Environment(name) => name.clone(),
            Self::File(path) => format!("{key} in {}", path.display()),
            Self::Default => format!("the default of {key}"),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Layers {
    /// Puts the layers over each other; with every setting that does not exist and everything in
    /// the file that is none.
    #[must_use]
    pub fn resolve(&self) -> (Resolved, Vec<ConfigError>) {
        let (mut resolved, mut errors) = (Resolved::default(), Vec::new());
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                resolved.set(setting, default.to_owned(), Origin::Default);
            }
        }
        if let Some((path, text)) = &self.file {
            match text.parse::<toml::Table>() {
                Ok(table) => resolved.take_file(path, table, &mut errors),
                Err(error) => {
                    let (path, reason) = (path.clone(), error.to_string());
                    errors.push(ConfigError::File { path, reason });
                }
            }
        }
        // By name, so that our own variable is put over `DATABASE_URL`, everybody's.
        let environment: BTreeMap<_, _> = self.environment.iter().cloned().collect();
        for (name, value) in &environment {
            let setting = SETTINGS.iter().find(|setting| setting.is_variable(name));
            match setting {
                Some(setting) => {
                    resolved.set(setting, value.clone(), Origin::Environment(name.clone()));
                }
                None if is_ours(name) => {
                    let like = nearest(name, SETTINGS.iter().map(Setting::variable));
                    errors.push(ConfigError::Unknown { name: name.clone(), like });
                }
                None => {}
            }
        }
        for (key, value) in &self.flags {
            match SETTINGS.iter().find(|setting| setting.key == key) {
                Some(setting) => resolved.set(setting, value.clone(), Origin::Flag),
                None => errors.push(ConfigError::Unknown { name: format!("--{key}"), like: None }),
            }
        }
        (resolved, errors)
    }
}

impl Resolved {
    fn set(&mut self, setting: &Setting, value: String, origin: Origin) {
        self.values.insert(setting.key, (value, origin));
    }

    fn take_file(
        &mut self,
        path: &std::path::Path,
        table: toml::Table,
        errors: &mut Vec<ConfigError>,
    ) {
        let origin = Origin::File(path.to_owned());
        for (key, value) in table {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
                let like = nearest(&key, SETTINGS.iter().map(|s| s.key.to_owned()));
                errors.push(ConfigError::Unknown { name: origin.name_of(&key), like });
                continue;
            };
            match plain_text(&value) {
                Ok(text) => self.set(setting, text, origin.clone()),
                Err(error) => {
                    errors.push(ConfigError::Value { key, origin: origin.clone(), error });
                }
            }
        }
    }

    /// The text of a setting and where it came from; `None`: not set, and no default.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<(&str, &Origin)> {
        self.values.get(key).map(|(value, origin)| (value.as_str(), origin))
    }

    /// The text of a setting as it may be shown: a secret is not.
    #[must_use]
    pub fn shown(&self, key: &str) -> String {
        let secret = SETTINGS.iter().any(|setting| setting.key == key && setting.secret);
        match self.get(key) {
            None => String::new(),
            Some(_) if secret => "***".to_owned(),
            Some((text, _)) => text.to_owned(),
        }
    }
}

/// `DOORBUSTER_TEST_…` is the tests', `DOORBUSTER_CONFIG` names the file itself, and
/// `DOORBUSTER_API_KEY` and `DOORBUSTER_URL` are the client commands'.
fn is_ours(name: &str) -> bool {
    let others = ["DOORBUSTER_CONFIG", "DOORBUSTER_API_KEY", "DOORBUSTER_URL"];
    name.starts_with("DOORBUSTER_")
        && !name.starts_with("DOORBUSTER_TEST_")
        && !others.contains(&name)
}

/// A plain value of a TOML file as text.
fn plain_text(value: &toml::Value) -> Result<String, ValueError> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        other => Err(ValueError::form(other.type_str())),
    }
}

/// The name that shares the most with `name`, if it is close.
fn nearest(name: &str, names: impl Iterator<Item = String>) -> Option<String> {
    names
        .map(|other| (distance(name, &other), other))
        .filter(|(d, _)| *d <= 3)
        .min()
        .map(|(_, o)| o)
}

/// Edits from one word to another.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(to.chars()) {
            let best = (diagonal + usize::from(a != b)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
