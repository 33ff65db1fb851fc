//! `simulate --planted`: every bug that can be planted is found, or the campaign has failed.

use std::process::ExitCode;

use super::simulate::SimulateArgs;

#[cfg(not(feature = "planted"))]
pub(super) fn run(_: &SimulateArgs, _: &str, _: u64) -> anyhow::Result<ExitCode> {
    eprintln!(
        "error: this build has no bugs planted: cargo run --release -p doorbuster-bench --features \
         planted -- simulate --planted all"
    );
    Ok(ExitCode::from(2))
}

#[cfg(feature = "planted")]
pub(super) fn run(args: &SimulateArgs, name: &str, from: u64) -> anyhow::Result<ExitCode> {
    use crate::simulate::{bugs, hunt};

    let bugs = match bugs(name) {
        Ok(bugs) => bugs,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    let bar = super::progress(bugs.len() as u64);
    let mut hunts = Vec::new();
    for bug in bugs {
        bar.set_message(bug.name());
        let hunt = hunt(bug, from, args.seeds_of_a_hunt(), args.threads());
        let found = match &hunt.failure {
            Some(failure) if hunt.without.is_some() => {
                format!("NOT SHOWN: seed {} fails without it, too", failure.seed)
            }
            Some(failure) => {
                let first = failure.found.lines().next().unwrap_or_default().trim();
                let first: String = first.chars().take(160).collect();
                format!("found by seed {}, the {}th: {first}", failure.seed, hunt.seeds)
            }
            None => format!("NOT FOUND in {} seeds", hunt.seeds),
        };
        bar.suspend(|| println!("{:<26} {found}", hunt.bug));
        bar.inc(1);
        hunts.push(hunt);
    }
    bar.finish_and_clear();
    let missed = hunts.iter().filter(|hunt| !hunt.is_found()).count();
    println!("{} of {} planted bugs were found", hunts.len() - missed, hunts.len());
    args.write(&hunts)?;
    Ok(super::exit_code(missed == 0))
}
