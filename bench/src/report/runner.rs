//! Runs the steps, each as a process of its own, and keeps what it leaves.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use serde_json::Value;

use super::raw::{Kept, Raw};
use super::suite::{Form, Leaves, SATURATED, Step};

/// Lines of a step's last words that are kept when it fails.
const TRACE_LINES: usize = 4;

/// Where steps run, and what they leave.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// This program.
    pub(super) bench: PathBuf,
    /// The engine, where it is not beside this program.
    pub(super) engine: Option<PathBuf>,
    /// Where steps make their data directories.
    pub(super) data_root: PathBuf,
    /// Where figures go.
    pub(super) raw: PathBuf,
    /// Where pictures go.
    pub(super) pictures: PathBuf,
    /// What is measured.
    pub(super) commit: String,
}

/// Runs a step and keeps what it left, or why it left nothing.
///
/// # Errors
/// It cannot be kept, or this program cannot be started.
pub(super) fn run(step: &Step, form: Form, place: &Place, raw: &mut Raw) -> anyhow::Result<()> {
    let saturated = raw.number(SATURATED, "/sides/doorbuster/per_second/median");
    let kept = match step.arguments(form, saturated) {
        Some(arguments) => play(step, &arguments, place)?,
        None => Kept {
            command: format!("doorbuster-bench {}", step.words),
            commit: place.commit.clone(),
            seconds: 0.0,
            failed: Some(format!("it needs the rate of the step {SATURATED}, which has none")),
            result: Value::Null,
        },
    };
    raw.keep(&place.raw, step.name, kept)
}

fn play(step: &Step, arguments: &[String], place: &Place) -> anyhow::Result<Kept> {
    let found = tempfile::tempdir_in(&place.data_root)?;
    let (flag, left) = match step.leaves {
        Leaves::Json => ("--json", found.path().join("found.json")),
        Leaves::Svg => ("--svg", place.pictures.join(format!("{}.svg", step.name))),
    };
    let mut words: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    if let Some(engine) = place.engine.as_ref().filter(|_| takes_engine(step)) {
        words.extend(["--binary".into(), engine.into()]);
    }
    words.extend([flag.into(), left.clone().into()]);
    let begun = Instant::now();
    let mut command = Command::new(&place.bench);
    // Every command makes its directories in the system's place for temporary files.
    command.args(&words).env("TMPDIR", &place.data_root).stdin(Stdio::null());
    let output = command.output().context("cannot start a step")?;
    let result = match step.leaves {
        Leaves::Json => {
            std::fs::read(&left).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
        }
        Leaves::Svg => left.is_file().then_some(Value::Null),
    };
    let failed = match (output.status.code(), &result) {
        (Some(0), Some(_)) => None,
        // A check that failed is part of what was found.
        (Some(1), Some(_)) => Some("a bound does not hold".to_owned()),
        (_, _) => Some(last_words(&output.stderr, place)),
    };
    Ok(Kept {
        command: format!("doorbuster-bench {}", arguments.join(" ")),
        commit: place.commit.clone(),
        seconds: begun.elapsed().as_secs_f64(),
        failed,
        result: result.unwrap_or(Value::Null),
    })
}

/// What measures parts of the engine from inside needs no server.
fn takes_engine(step: &Step) -> bool {
    let command = step.words.split_whitespace().next().unwrap_or_default();
    !["decide", "calibrate", "recover", "syncs"].contains(&command)
}

/// The error that a step ended with; directories of this machine mean nothing elsewhere.
fn last_words(stderr: &[u8], place: &Place) -> String {
    let text = String::from_utf8_lossy(stderr);
    let error = text.rfind("error: ").and_then(|place| text.get(place..)).unwrap_or(&text);
    let lines: Vec<&str> = error.trim().lines().take(TRACE_LINES).collect();
    let data_root = place.data_root.display().to_string();
    let words = lines.join("\n").replace(&data_root, "DATA");
    if words.is_empty() { "it ended without a word".to_owned() } else { words }
}

/// The commit of a directory, as git says.
pub(super) fn commit(directory: &Path) -> String {
    let git = |words: &[&str]| {
        let output = Command::new("git").arg("-C").arg(directory).args(words).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    // What a report writes itself changes nothing that is measured.
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no", "--", ":!REPORT.md", ":!report"]);
    match changed {
        Some(changed) if changed.is_empty() => commit,
        _ => format!("{commit}-dirty"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(directory: &Path, script: &str) -> Place {
        let bench = directory.join("bench");
        std::fs::write(&bench, format!("#!/bin/sh\n{script}\n")).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&bench, mode).expect("a script");
        let place = directory.to_owned();
        Place {
            bench,
            engine: None,
            data_root: place.clone(),
            raw: place.clone(),
            pictures: place,
            commit: "c".to_owned(),
        }
    }

    fn step() -> Step {
        Step {
            name: "stock",
            words: "compare --work stock",
            short: "--rounds 1",
            full: "",
            rate_percent: 0,
            leaves: Leaves::Json,
        }
    }

    #[test]
    fn what_a_step_finds_is_kept_with_its_command_and_what_it_says_when_it_fails() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let run = |script: &str, step: &Step| {
            let mut raw = Raw::default();
            super::run(step, Form::Short, &place(path, script), &mut raw).expect("it is kept");
            raw.steps.remove(step.name).expect("it is kept")
        };
        let kept = run("exit 0", &step());
        assert_eq!(kept.command, "doorbuster-bench compare --work stock --rounds 1");
        assert_eq!(kept.failed.as_deref(), Some("it ended without a word"), "{kept:?}");
        let kept = run("for file; do :; done; echo '{\"a\": 1}' >\"$file\"", &step());
        assert_eq!((kept.failed, kept.result), (None, json!({"a": 1})));
        let kept = run("for file; do :; done; echo '{}' >\"$file\"; exit 1", &step());
        assert_eq!(kept.failed.as_deref(), Some("a bound does not hold"));
        let kept = run("echo starting >&2; echo error: no disk >&2; exit 5", &step());
        assert_eq!((kept.failed.as_deref(), kept.result), (Some("error: no disk"), Value::Null));
        let kept = run("exit 0", &Step { rate_percent: 50, ..step() });
        assert!(kept.failed.is_some_and(|why| why.contains("the rate of the step")), "no rate");
    }
}
