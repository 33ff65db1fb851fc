//! What a report is made of: commands of this program, each with what it adds in the short and in the
//! full form. To add one: a line here, and what shows it in `targets`, `sections` or `plots`.

use serde::{Deserialize, Serialize};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Under 25 minutes on two cores.
    Short,
    /// Hours: more rounds, longer turns.
    Full,
}

/// What a step leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Figures, as `--json FILE`.
    Json,
    /// A picture, as `--svg FILE`.
    Svg,
}

/// A command to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Names its file in `raw/`.
    pub(super) name: &'static str,
    /// The command with what is the same in both forms.
    pub(super) words: &'static str,
    /// What the short form adds.
    pub(super) short: &'static str,
    /// What the full form adds.
    pub(super) full: &'static str,
    /// `--rate`, in percent of the engine's median in [`SATURATED`]; 0: none.
    pub(super) rate_percent: u32,
    /// What it leaves.
    pub(super) leaves: Leaves,
}

/// The step whose rate is the whole of `rate_percent`.
pub(super) const SATURATED: &str = "purchase";

const fn step(
    name: &'static str,
    words: &'static str,
    short: &'static str,
    full: &'static str,
) -> Step {
    Step { name, words, short, full, rate_percent: 0, leaves: Leaves::Json }
}

const fn flame(name: &'static str, words: &'static str) -> Step {
    let full = "--seconds 20";
    Step { leaves: Leaves::Svg, ..step(name, words, "--seconds 8", full) }
}

const BY_CONNECTIONS: (&str, &str) = ("--rounds 2 --seconds 2", "--rounds 5 --seconds 5");

const fn by_connections(name: &'static str, words: &'static str) -> Step {
    step(name, words, BY_CONNECTIONS.0, BY_CONNECTIONS.1)
}

const fn at_rate(name: &'static str, rate_percent: u32, short: &'static str) -> Step {
    let words = "compare --work purchase --connections 256";
    Step { rate_percent, ..step(name, words, short, "--rounds 7 --seconds 10") }
}

const RECOVERY: (&str, &str) = ("--rounds 2", "--rounds 5");
const SCENARIO: (&str, &str) = ("--seconds 8", "--seconds 60");

const fn scenario(name: &'static str, words: &'static str) -> Step {
    step(name, words, SCENARIO.0, SCENARIO.1)
}

/// Every step, in the order in which they run: a step at a rate comes after [`SATURATED`].
pub(super) const SUITE: &[Step] = &[
    step("decide", "decide", "--rounds 7 --purchases 500000", "--rounds 30 --purchases 5000000"),
    step("syncs", "syncs --busy 2", "--rounds 3 --seconds 1", "--rounds 9 --seconds 10"),
    step("client", "calibrate --work purchase --connections 256", "--seconds 2", "--seconds 10"),
    step(
        SATURATED,
        "compare --work purchase --connections 256",
        "--rounds 5 --seconds 4",
        "--rounds 15 --seconds 10",
    ),
    step(
        "peers",
        "compare --sides all --work purchase --connections 256",
        "--rounds 3 --seconds 3",
        "--rounds 9 --seconds 10",
    ),
    step(
        "sold-out",
        "compare --work sold-out --connections 256",
        "--rounds 5 --seconds 3",
        "--rounds 15 --seconds 10",
    ),
    step(
        "stock",
        "compare --work stock --connections 256",
        "--rounds 5 --seconds 3",
        "--rounds 15 --seconds 10",
    ),
    step(
        "list",
        "compare --work list --connections 256",
        "--rounds 5 --seconds 3",
        "--rounds 15 --seconds 10",
    ),
    by_connections("connections-1", "compare --work purchase --connections 1"),
    by_connections("connections-8", "compare --work purchase --connections 8"),
    by_connections("connections-32", "compare --work purchase --connections 32"),
    by_connections("connections-128", "compare --work purchase --connections 128"),
    by_connections("connections-512", "compare --work purchase --connections 512"),
    by_connections("connections-2048", "compare --work purchase --connections 2048"),
    by_connections("connections-6000", "compare --work purchase --connections 6000"),
    at_rate("rate-10", 10, "--rounds 2 --seconds 3"),
    at_rate("rate-25", 25, "--rounds 2 --seconds 3"),
    Step {
        words: "compare --sides doorbuster,bare,synced --work purchase --connections 256",
        ..at_rate("rate-50", 50, "--rounds 5 --seconds 4")
    },
    at_rate("rate-75", 75, "--rounds 2 --seconds 3"),
    at_rate("rate-90", 90, "--rounds 2 --seconds 3"),
    step(
        "products",
        "products --connections 256 --products 1,10,1000,100000,1000000",
        "--rounds 3 --seconds 3",
        "--rounds 9 --seconds 10",
    ),
    step("memory", "memory --products 10,1000,100000,1000000", "--rounds 2", "--rounds 5"),
    step("recover-100000", "recover --purchases 100000", RECOVERY.0, RECOVERY.1),
    step("recover-300000", "recover --purchases 300000", RECOVERY.0, RECOVERY.1),
    step("recover-1000000", "recover --purchases 1000000", RECOVERY.0, RECOVERY.1),
    step("recover-3000000", "recover --purchases 3000000", RECOVERY.0, RECOVERY.1),
    step("project", "project", "--purchases 200000 --rounds 2", "--purchases 1000000 --rounds 5"),
    step("idle", "idle", "--seconds 10 --rounds 2", "--seconds 60 --rounds 5"),
    step("soak", "soak --connections 256", "--minutes 2", "--minutes 30"),
    scenario("six-thousand", "scenario six-thousand"),
    scenario("small-shop", "scenario small-shop"),
    scenario("order-desk", "scenario order-desk"),
    scenario("retail", "scenario retail"),
    scenario("read-heavy", "scenario read-heavy"),
    scenario("small-shop-nginx", "scenario small-shop --through nginx"),
    scenario("order-desk-nginx", "scenario order-desk --through nginx"),
    scenario("retail-nginx", "scenario retail --through nginx"),
    scenario("read-heavy-nginx", "scenario read-heavy --through nginx"),
    Step {
        short: "--rounds 1 --seconds 5",
        ..scenario("six-thousand-nginx", "scenario six-thousand --through nginx")
    },
    Step { short: "--seconds 3", ..scenario("rates-nginx", "scenario rates") },
    flame("flame-purchase", "flame --work purchase --connections 256"),
    flame("flame-sold-out", "flame --work sold-out --connections 256"),
];

impl Step {
    /// Its words in a form; `None`: it needs a rate and there is none.
    pub(super) fn arguments(&self, form: Form, saturated: Option<f64>) -> Option<Vec<String>> {
        let more = match form {
            Form::Short => self.short,
            Form::Full => self.full,
        };
        let words = self.words.split_whitespace().chain(more.split_whitespace());
        let mut arguments: Vec<String> = words.map(str::to_owned).collect();
        if self.rate_percent > 0 {
            let rate = saturated? * f64::from(self.rate_percent) / 100.0;
            arguments.extend(["--rate".to_owned(), format!("{rate:.0}")]);
        }
        Some(arguments)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_of_the_suite_is_one_of_this_program() {
        for step in SUITE {
            for form in [Form::Short, Form::Full] {
                let mut words = vec!["doorbuster-bench".to_owned()];
                words.extend(step.arguments(form, Some(1e5)).expect("there is a rate"));
                let flag = if step.leaves == Leaves::Json { "--json" } else { "--svg" };
                words.extend([flag.to_owned(), "FILE".to_owned()]);
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{words:?}: {}", parsed.expect_err("it is none"));
            }
        }
    }

    #[test]
    fn names_are_all_different_and_rates_come_after_what_they_are_part_of() {
        let names: BTreeSet<&str> = SUITE.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), SUITE.len());
        let place = |name| SUITE.iter().position(|step| step.name == name);
        let first = SUITE.iter().position(|step| step.rate_percent > 0);
        assert!(place(SATURATED) < first);
        let half = SUITE.iter().find(|step| step.rate_percent == 50).expect("there is one");
        assert_eq!(half.arguments(Form::Short, None), None, "without a rate there is no half");
        let words = half.arguments(Form::Short, Some(70_001.0)).expect("there is a rate");
        assert!(words.join(" ").ends_with("--rate 35000"), "{words:?}");
    }
}
