//! What the command line refuses, before anything is started.

use std::path::Path;
use std::process::{Command, Output};

fn bench(words: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_doorbuster-bench");
    Command::new(binary).args(words).output().expect("the program")
}

fn refuses(exit: i32, words: &[&str], because: &str) {
    let output = bench(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{words:?}: {said}");
    assert!(said.contains(because), "{words:?}: {said}");
    assert!(output.stdout.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_number_out_of_range_is_a_usage_error() {
    refuses(2, &["compare", "--rounds", "0"], "0 is not in 1..=100");
    refuses(2, &["compare", "--connections", "20001"], "20001 is not in 1..=20000");
    refuses(2, &["scenario", "retail", "--seconds", "0"], "0 is not in 1..=3600");
    refuses(2, &["load", "--url", "http://127.0.0.1:1", "--threads", "65"], "65 is not in 1..=64");
}

#[test]
fn a_measurement_has_the_bounds_of_its_own() {
    refuses(2, &["decide", "--rounds", "1001"], "1001 is not in 1..=1000");
    refuses(2, &["flame", "--seconds", "61"], "61 is not in 1..=60");
    refuses(2, &["syncs", "--seconds", "61"], "61 is not in 1..=60");
}

#[test]
fn a_step_that_there_is_none_of_is_a_usage_error() {
    refuses(2, &["report", "--only", "purchase,nothing"], "invalid value 'nothing'");
}

#[test]
fn options_that_exclude_each_other_are_a_usage_error() {
    let cart = ["compare", "--work", "cart", "--binary", env!("CARGO_BIN_EXE_doorbuster-bench")];
    refuses(2, &cart, "the peers have no carts and no holds: --sides doorbuster");
}

#[test]
fn another_machine_is_not_loaded_unless_it_is_named() {
    refuses(2, &["load", "--url", "http://192.0.2.1:80"], "say --allow-host 192.0.2.1");
}

#[test]
fn an_engine_that_is_not_there_is_told_of_at_once() {
    let words = ["crash", "--seed", "1", "--rounds", "1", "--binary", "no/such/file"];
    let output = bench(&words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert_eq!(said, "error: no file is at no/such/file, which --binary names\n");
}

#[test]
fn a_page_of_no_figures_is_refused_and_makes_no_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let name = out.to_str().expect("a name");
    refuses(5, &["report", "--from-raw", "--out", name], "measure first");
    assert!(!Path::new(&out).exists(), "a directory of nothing");
}
