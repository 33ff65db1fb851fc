//! A short campaign of the simulator with a seed of its own, which it prints, and one seed twice.

use doorbuster_bench::simulate::{Campaign, End, run, run_traced};

const SEEDS: u64 = 40;

#[test]
fn whatever_a_seed_breaks_the_promises_hold() {
    let from = std::env::var("DOORBUSTER_SEED").ok().map(|text| text.parse().expect("a seed"));
    let from = from.unwrap_or_else(|| getrandom::u64().expect("randomness") >> 16);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    println!("from seed {from}");
    let report = run(&Campaign { from, end: End::Seeds(SEEDS), threads }, &|_| {});
    if let Some(failure) = &report.failure {
        let (found, trace) = (&failure.found, failure.trace.join("\n"));
        panic!("seed {} fails:\n{found}\nits last steps:\n{trace}", failure.seed);
    }
    // Simulations in which everything happens.
    for (name, count) in report.counts.named() {
        let rare = ["snapshots", "archived", "full disks", "quarantined"].contains(&name);
        assert!(count > 0 || rare, "{name} never happen: {:?}", report.counts);
    }
}

#[test]
fn a_seed_decides_every_step() {
    for seed in [7, 1_234] {
        let (first, again) = (run_traced(seed), run_traced(seed));
        assert_eq!(first.0, again.0, "seed {seed}");
        assert_eq!(first.2, again.2, "seed {seed}");
        assert!(!first.2.is_empty());
    }
}
