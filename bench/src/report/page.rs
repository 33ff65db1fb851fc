//! The page: what was measured where, the targets, the figures with their pictures, and the commands.

use std::fmt::Write;

use super::plots::PLOTS;
use super::raw::Raw;
use super::suite::{Form, Leaves, SATURATED, SUITE, Step};
use super::{sections, targets};

/// The page in Markdown; `pictures` are the files there are beside it, in `report/`,
/// and `reasons` what a person wrote about the targets that were missed.
pub(super) fn of(raw: &Raw, pictures: &[String], reasons: &str) -> String {
    let mut page = String::from("# What doorbuster does, measured\n\n");
    page.push_str(&origin(raw));
    page.push_str(&machine(raw));
    page.push_str("## Targets\n\nMedian (lowest to highest of the rounds).\n\n");
    page.push_str("| work | target | seen | |\n|---|---|---|---|\n");
    for row in targets::rows(raw) {
        let targets::Row { work, target, seen, verdict } = row;
        // Writing into memory does not fail.
        let _ = writeln!(page, "| {work} | {target} | {seen} | {} |", verdict.word());
    }
    page.push('\n');
    page.push_str(NOTES);
    page.push_str(reasons);
    for plot in PLOTS {
        let table = sections::below(plot.file, raw);
        let has_picture = pictures.iter().any(|file| file == plot.file);
        if table.is_empty() && !has_picture {
            continue;
        }
        let name = plot.file.trim_end_matches(".svg");
        let _ = writeln!(page, "## {}\n\n{}\n", titled(name), plot.caption);
        if has_picture {
            let _ = writeln!(page, "![{}](report/{})\n", plot.caption, plot.file);
        }
        page.push_str(&table);
        page.push('\n');
    }
    for (title, table) in sections::others(raw) {
        if !table.is_empty() {
            let _ = writeln!(page, "## {title}\n\n{table}");
        }
    }
    page.push_str(&flames(pictures));
    page.push_str(&steps(raw));
    page
}

const NOTES: &str = "\
Client and server share the cores, so the client's own cost is part of every figure with load; what it
costs alone is in `report/raw/client.json`, and each comparison measures it beside its sides. A closed loop
compares sides; only an open loop tells what arrivals feel. A ratio is of two turns in the same round. Cores stolen are
what a machine below this one withheld meanwhile, as its kernel counts it: while it does, everything here stands still.

";

fn origin(raw: &Raw) -> String {
    let Some(about) = &raw.about else { return String::new() };
    let (form, flag) = match about.form {
        Form::Short => ("short", ""),
        Form::Full => ("full", " --full"),
    };
    format!(
        "The {form} form, of commit `{}`, in {:.0} minutes. To repeat it, from the root of a clone:\n\n\
         ```sh\n\
         cargo build --release -p doorbuster -p doorbuster-bench\n\
         target/release/doorbuster-bench report{flag}\n\
         ```\n\n\
         Every figure is from [report/raw](report/raw), a file for each command.{}\n\n",
        about.commit,
        about.seconds / 60.0,
        apart(raw, &about.commit)
    )
}

/// Steps of other commits than the run's.
fn apart(raw: &Raw, commit: &str) -> String {
    let is_other =
        |step: &&Step| raw.steps.get(step.name).is_some_and(|kept| kept.commit != commit);
    let names: Vec<_> = SUITE.iter().filter(is_other).map(|step| step.name).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        " Measured apart, of other commits: {}. The [last table](#what-was-run) has the commit and the \
         command of each step; `report --only STEP` measures one again, with `--full` in its long form.",
        names.join(", ")
    )
}

fn machine(raw: &Raw) -> String {
    let text = |place: &str| raw.at::<String>(SATURATED, place).unwrap_or_default();
    let number = |place: &str| raw.number(SATURATED, place);
    let Some(cores) = number("/machine/cores") else { return String::new() };
    let [half, most] = ["p50", "p99"]
        .map(|share| number(&format!("/machine/fdatasync_{share}_us")).unwrap_or(0.0));
    let memory = match raw.at(SATURATED, "/machine/data_in_memory") {
        Some(true) => " The data lay in memory: durability cost nothing here.",
        _ => "",
    };
    format!(
        "{cores:.0} cores, {}, Linux {}; fdatasync of 4 KiB: median {half:.0} µs, p99 {most:.0} µs.{memory}\n\n",
        text("/machine/cpu"),
        text("/machine/kernel")
    )
}

/// A name as a heading.
fn titled(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn flames(pictures: &[String]) -> String {
    let flames = SUITE.iter().filter(|step| step.leaves == Leaves::Svg);
    let files = flames.map(|step| format!("{}.svg", step.name));
    let mut text = String::new();
    for file in files.filter(|file| pictures.contains(file)) {
        if text.is_empty() {
            text.push_str("## Where the time goes\n\nSamples of the server's process under load, by `perf`.\n\n");
        }
        let _ = writeln!(text, "![{file}](report/{file})\n");
    }
    text
}

/// Every step of the suite, run or not.
fn steps(raw: &Raw) -> String {
    let mut text = String::from(
        "## What was run\n\n| step | commit | command | seconds | |\n|---|---|---|---|---|\n",
    );
    for step in SUITE {
        let Some(kept) = raw.steps.get(step.name) else {
            let _ = writeln!(text, "| {} | | | | not run |", step.name);
            continue;
        };
        let outcome = kept.failed.as_deref().map_or_else(String::new, |why| {
            why.lines().next().unwrap_or("failed").replace('|', "\\|")
        });
        let _ = writeln!(
            text,
            "| {} | `{}` | `{}` | {:.0} | {outcome} |",
            step.name, kept.commit, kept.command, kept.seconds
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_page_says_where_it_comes_from_what_failed_and_what_was_not_run() {
        let pictures = ["peers.svg", "flame-purchase.svg"].map(str::to_owned);
        let page = of(&sample::raw(), &pictures, "## What was missed, and why\n\nA reason.\n\n");
        for words in [
            "of commit `0123abc`, in 2 minutes",
            "2 cores, A processor, Linux 6.1; fdatasync of 4 KiB: median 135 µs",
            "| 0.85 or more | 0.600 (0.540 to 0.660) | **missed** |",
            "## What was missed, and why\n\nA reason.",
            "](report/peers.svg)",
            "![flame-purchase.svg](report/flame-purchase.svg)",
            "| idle | `0123abc` | `doorbuster-bench idle` | 3 | error: the server was not ready in time |",
            "| decide | | | | not run |",
        ] {
            assert!(page.contains(words), "{words} is not in:\n{page}");
        }
        assert!(!page.contains("report/soak.svg"), "a picture that is not there");
    }

    #[test]
    fn the_page_names_the_steps_that_were_measured_at_another_commit() {
        let mut raw = sample::raw();
        assert!(!of(&raw, &[], "").contains("Measured apart"));
        for name in ["peers", "idle"] {
            raw.steps.get_mut(name).expect("a step").commit = "4567def".to_owned();
        }
        let page = of(&raw, &[], "");
        assert!(page.contains("Measured apart, of other commits: peers, idle."), "{page}");
    }

    #[test]
    fn a_page_of_nothing_is_a_page() {
        let page = of(&Raw::default(), &[], "");
        assert!(page.contains("not measured") && page.contains("not run"), "{page}");
    }
}
