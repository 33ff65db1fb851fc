//! Bugs that are planted into the engine, one at a time: each must be found.

use std::sync::atomic::{AtomicU64, Ordering};

use doorbuster_wal::Planted;
use parking_lot::Mutex;
use serde::Serialize;

use super::campaign::{Failure, run_seed};

/// What became of one bug.
#[derive(Debug, Clone, Serialize)]
pub struct Hunt {
    /// Its name.
    pub bug: &'static str,
    /// What it breaks.
    pub about: &'static str,
    /// Seeds that were run until it was found, or in all.
    pub seeds: u64,
    /// What found it; `None`: nothing did.
    pub failure: Option<Failure>,
    /// What the same seed finds without the bug: nothing, or the seed has found something else.
    pub without: Option<Failure>,
}

impl Hunt {
    /// Whether the bug was found, and nothing but the bug.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.failure.is_some() && self.without.is_none()
    }
}

/// The names of the bugs to hunt; `all` is all of them.
///
/// # Errors
/// No bug has this name.
pub fn bugs(name: &str) -> Result<Vec<Planted>, String> {
    if name == "all" {
        return Ok(Planted::ALL.to_vec());
    }
    let names = || Planted::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
    let bug = Planted::ALL.iter().find(|bug| bug.name() == name);
    bug.map(|bug| vec![*bug]).ok_or_else(|| format!("no bug is called {name}: {}", names()))
}

/// Runs seeds from `from` on with the bug planted until one fails, at most `most` of them.
#[must_use]
pub fn hunt(bug: Planted, from: u64, most: u64, threads: usize) -> Hunt {
    let (next, found) = (AtomicU64::new(0), Mutex::new(None::<Failure>));
    let work = || {
        // What it touches runs on the thread that planted it.
        let _plant = bug.plant();
        while found.lock().is_none() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= most {
                return;
            }
            let (_, failure) = run_seed(from.wrapping_add(number));
            if let Some(failure) = failure {
                let mut found = found.lock();
                if found.as_ref().is_none_or(|other| failure.seed < other.seed) {
                    *found = Some(failure);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let failure = found.into_inner();
    let seeds = failure.as_ref().map_or(most, |failure| failure.seed.wrapping_sub(from) + 1);
    let without = failure.as_ref().and_then(|failure| run_seed(failure.seed).1);
    Hunt { bug: bug.name(), about: bug.about(), seeds, failure, without }
}
