//! What the steps found, as it is kept: one file for each step, with the command, the commit and the time.
//!
//! A figure is asked for by its step and its place in the step's JSON; one that is not there is none,
//! so a step that failed, or a file of an older suite, leaves a gap in the report and ends nothing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::suite::Form;
use crate::figures::Middle;

/// Name of the file about the whole run.
const ABOUT: &str = "about";

/// About the whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct About {
    /// How much was measured.
    pub(super) form: Form,
    /// What was measured; `-dirty`: and what was not committed.
    pub(super) commit: String,
    /// Seconds of all steps.
    pub(super) seconds: f64,
}

/// A step that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// What was run.
    pub(super) command: String,
    /// What was measured.
    pub(super) commit: String,
    /// Seconds it took.
    pub(super) seconds: f64,
    /// Why it has no result, or what it said of a check that failed.
    pub(super) failed: Option<String>,
    /// What it found; null where it found nothing, or a picture alone.
    pub(super) result: Value,
}

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Raw {
    pub(super) about: Option<About>,
    pub(super) steps: BTreeMap<String, Kept>,
}

impl Kept {
    /// It found nothing: more than a bound that does not hold.
    pub(super) fn is_empty(&self) -> bool {
        self.failed.is_some() && self.result.is_null()
    }
}

impl Raw {
    /// Reads what a directory has; nothing where there is none.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut raw = Self::default();
        if !directory.is_dir() {
            return Ok(raw);
        }
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            let Some(name) = name.filter(|_| path.extension().is_some_and(|end| end == "json"))
            else {
                continue;
            };
            let bytes = std::fs::read(&path)?;
            let parsed = || format!("cannot read {}", path.display());
            if name == ABOUT {
                raw.about = Some(serde_json::from_slice(&bytes).with_context(parsed)?);
            } else {
                let kept = serde_json::from_slice(&bytes).with_context(parsed)?;
                raw.steps.insert(name.to_owned(), kept);
            }
        }
        Ok(raw)
    }

    /// Keeps a step, in memory and in the directory.
    pub(super) fn keep(&mut self, directory: &Path, name: &str, kept: Kept) -> anyhow::Result<()> {
        write(&directory.join(format!("{name}.json")), &kept)?;
        self.steps.insert(name.to_owned(), kept);
        Ok(())
    }

    /// Keeps what is about the whole run.
    pub(super) fn keep_about(&mut self, directory: &Path, about: About) -> anyhow::Result<()> {
        write(&directory.join(format!("{ABOUT}.json")), &about)?;
        self.about = Some(about);
        Ok(())
    }

    /// What stands at a place in a step's result.
    pub(super) fn at<T: DeserializeOwned>(&self, step: &str, place: &str) -> Option<T> {
        let value = self.steps.get(step)?.result.pointer(place)?;
        T::deserialize(value).ok()
    }

    /// A number there.
    pub(super) fn number(&self, step: &str, place: &str) -> Option<f64> {
        self.at(step, place)
    }

    /// A median with its spread there.
    pub(super) fn spread(&self, step: &str, place: &str) -> Option<Middle> {
        self.at(step, place)
    }

    /// Names of an object's fields there.
    pub(super) fn names(&self, step: &str, place: &str) -> Vec<String> {
        self.at::<BTreeMap<String, Value>>(step, place)
            .map(|fields| fields.into_keys().collect())
            .unwrap_or_default()
    }

    /// How many values a list has there.
    pub(super) fn count(&self, step: &str, place: &str) -> usize {
        self.at::<Vec<Value>>(step, place).map_or(0, |values| values.len())
    }
}

fn write<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_not_there_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let mut raw = Raw::default();
        let result = json!({"sides": {"bare": {"ratio": {"median": 0.9, "min": 0.8, "max": 1}}}});
        let command = "doorbuster-bench compare".to_owned();
        let kept = Kept { command, commit: "c".into(), seconds: 1.5, failed: None, result };
        raw.keep(path, "purchase", kept).expect("it is kept");
        let about = About { form: Form::Short, commit: "c".to_owned(), seconds: 2.0 };
        raw.keep_about(path, about).expect("it is kept");
        std::fs::write(path.join("note.txt"), "not a step").expect("a file");
        assert_eq!(Raw::read(path).expect("readable"), raw);
        assert_eq!(Raw::read(&path.join("none")).expect("nothing"), Raw::default());

        let ratio = raw.spread("purchase", "/sides/bare/ratio").expect("it is there");
        assert_eq!(ratio, Middle { median: 0.9, min: 0.8, max: 1.0 });
        assert_eq!(raw.names("purchase", "/sides"), ["bare"]);
        assert_eq!(raw.number("purchase", "/sides/redis/ratio/median"), None);
        assert_eq!(raw.number("peers", "/sides"), None);
    }
}
