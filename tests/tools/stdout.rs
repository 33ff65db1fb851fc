//! Standard output that nobody reads, or that takes nothing: no command panics over it.

use std::process::{Command, Stdio};

use crate::house::{House, Said};
use crate::server::doorbuster;

/// What is run on a log: words, and whether they take a data directory.
fn commands(copy: &str) -> Vec<(Vec<&str>, bool)> {
    vec![
        (vec!["wal", "inspect"], true),
        (vec!["wal", "verify", "--json"], true),
        (vec!["reconcile", "--sqlite", copy], true),
        (vec!["orders", "beyond", "hat", "--true-stock", "1"], true),
        (vec!["orders", "beyond", "hat", "--true-stock", "1", "--json"], true),
        (vec!["state", "--as-of", "now"], true),
        (vec!["state", "--as-of", "now", "--json"], true),
        (vec!["proof", "--product", "hat"], true),
        (vec!["config", "example"], false),
        (vec!["config", "check"], false),
    ]
}

fn command(house: &House, words: &[&str], of_a_log: bool) -> Command {
    let mut command = doorbuster(words);
    if of_a_log {
        command.arg("--data-dir").arg(house.data_dir());
    }
    command
}

fn into(mut command: Command, stdout: impl Into<Stdio>) -> Said {
    Said::of(&command.stdout(stdout).stderr(Stdio::piped()).output().unwrap())
}

fn closed() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

fn full() -> std::fs::File {
    std::fs::File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn closed_pipe_changes_no_exit_code_and_full_output_is_told() {
    let house = House::new();
    let copy = house.beside("copy.sqlite");
    let copy = copy.to_str().unwrap();
    house.run(&["project", "--rebuild", "--to", copy]).check(0, &["no difference"]);
    for (words, of_a_log) in commands(copy) {
        let usual = into(command(&house, &words, of_a_log), Stdio::piped());
        assert!(usual.exit == 0 && !usual.out.is_empty(), "{words:?}: {usual:?}");
        let said = into(command(&house, &words, of_a_log), closed());
        assert!(said.exit == 0 && !said.err.contains("panicked"), "{words:?}: {said:?}");
        let said = into(command(&house, &words, of_a_log), full());
        let told = "cannot write to standard output: No space left on device (os error 28)";
        assert!(said.exit == 5 && said.err.contains(told), "{words:?}: {said:?}");
        assert_eq!(said.err.matches("No space left").count(), 1, "{words:?}: {said:?}");
    }
}

#[test]
fn key_that_was_not_shown_is_told_with_its_line() {
    let house = House::new();
    let file = house.beside("my keys");
    let file = file.to_str().unwrap();
    let new = |name: &'static str| doorbuster(&["keys", "new", name, "--keys-file", file]);
    into(new("one"), closed()).check(5, &["the key was not shown", "the line of one is in"]);
    into(new("two"), full()).check(5, &["No space left", "remove the line, and make another one"]);
    let kept = std::fs::read_to_string(file).unwrap();
    assert_eq!(kept.lines().count(), 2, "{kept}");
}
