//! Random histories of a partition that is stepped by hand: no threads, every interleaving of
//! asking, deciding, expiring, syncing, crashing and reopening that a seed can think of.
//!
//! A naive model that shares no rules with the domain says beforehand what every command comes to:
//! the record word for word, or the refusal with its figures. What clients hear, what is shown,
//! what the log holds and what memory holds are compared with it, live and after each reopening.
//!
//! `DOORBUSTER_HISTORIES` says how many, over all cores, `DOORBUSTER_SEED` the first one's seed; a
//! failure prints its seed.

mod clients;
mod compare;
mod expected;
mod history;
mod keys;
mod life;
mod naive;
#[cfg(feature = "planted")]
mod planted;
mod tally;
mod turns;
mod upkeep;
mod wish;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use self::history::History;
use self::tally::Tally;

const HISTORIES: u64 = 60;
const STEPS: u64 = 200;
/// Histories between two words on how far it is.
const TOLD_EVERY: u64 = 5_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// One history; a failure says which.
fn run(seed: u64) -> Option<Tally> {
    let history = || {
        let mut history = History::new(seed);
        history.run(STEPS);
        history.tally
    };
    let tally = catch_unwind(AssertUnwindSafe(history));
    if tally.is_err() {
        println!("again: DOORBUSTER_HISTORIES=1 DOORBUSTER_SEED={seed}");
    }
    tally.ok()
}

#[test]
fn whatever_happens_the_log_and_the_clients_agree() {
    let histories = number("DOORBUSTER_HISTORIES").unwrap_or(HISTORIES);
    let first = number("DOORBUSTER_SEED").unwrap_or_else(|| getrandom::u64().unwrap() >> 1);
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let all = Mutex::new(Tally::default());
    let worker = || {
        while failed.load(Ordering::Relaxed) == 0 {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= histories {
                return;
            }
            match run(first + number) {
                Some(tally) => all.lock().unwrap().add(&tally),
                None => failed.store(1, Ordering::Relaxed),
            }
            if (number + 1).is_multiple_of(TOLD_EVERY) {
                eprintln!("{} of {histories} histories", number + 1);
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = available_parallelism().map_or(2, usize::from);
        (0..cores).for_each(|_| drop(scope.spawn(worker)));
    });
    assert_eq!(failed.into_inner(), 0, "the seed is printed above");
    let all = all.into_inner().unwrap();
    println!("{histories} histories from seed {first}: {all:?}");
    if histories >= HISTORIES {
        all.assert_not_tame();
    }
}
