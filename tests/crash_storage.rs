//! The whole engine on a storage that forgets what was not synced.
//!
//! SIGKILL cannot show a missing sync: the page cache outlives the process. Here the machine dies
//! at a seeded operation with many purchases, carts, holds, ends of holds and cancellations in
//! flight, keeps of what was not synced nothing or any part, and the engine starts again. Whatever
//! was acknowledged is there exactly once; none oversold; each hold ended once, each order was
//! cancelled once; the figures of every refusal are figures the log had; a retry with the same key
//! hears of the same record; what was "not decided" did not happen.
//!
//! `DOORBUSTER_CRASH_ROUNDS` says how many rounds, `DOORBUSTER_CRASH_SEED` which one alone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "crash_storage/ledger.rs"]
mod ledger;
#[path = "crash_storage/life.rs"]
mod life;
#[path = "crash_storage/tale.rs"]
mod tale;
#[path = "crash_storage/unsynced.rs"]
mod unsynced;

use std::sync::Arc;

use doorbuster_wal::{Crash, MemStorage, Storage};

use self::ledger::{Counts, Ledger};
use self::life::Life;
use self::unsynced::Unsynced;

const ROUNDS: u64 = 300;
/// Rounds at a time.
const WORKERS: usize = 6;
/// Times the machine dies in a round.
const DEATHS: usize = 3;

/// splitmix64: the same numbers for the same seed, everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end
    }
}

/// How the engine sees the storage: as it is, or with something broken in between.
type Seen = fn(&MemStorage) -> Arc<dyn Storage>;

fn as_it_is(storage: &MemStorage) -> Arc<dyn Storage> {
    Arc::new(storage.clone())
}

fn without_commit_syncs(storage: &MemStorage) -> Arc<dyn Storage> {
    Arc::new(Unsynced::new(storage.clone()))
}

/// One round: the machine dies some times, then everything is asked again.
async fn round(seed: u64, seen: Seen) -> Result<Counts, String> {
    let mut dice = Dice(seed);
    let mut ledger = Ledger::default();
    let mut storage = MemStorage::new();
    for death in 0..=DEATHS {
        let dies = death < DEATHS;
        // Now and then already in the start; else somewhere among the commits.
        let after = if dice.below(8) == 0 { dice.below(8) } else { 8 + dice.below(60) };
        if dies {
            storage.die_after(after);
        }
        match Life::start(seen(&storage)) {
            Ok(life) => {
                let result = life.run(&mut ledger, &mut dice, &storage, dies).await;
                life.stop().await;
                result?;
            }
            Err(_) if storage.is_dead() => {}
            Err(error) => return Err(format!("the engine does not start: {error}")),
        }
        let crash =
            if dice.below(2) == 0 { Crash::LoseAll } else { Crash::Some(dice.below(u64::MAX)) };
        storage = storage.crash(crash);
    }
    Ok(ledger.counts)
}

fn run(seed: u64, seen: Seen) -> Result<Counts, String> {
    let result = actix_rt::System::new().block_on(round(seed, seen));
    result.map_err(|error| format!("seed {seed}: {error}"))
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn what_was_acknowledged_survives_a_machine_that_forgets_what_was_not_synced() {
    let seeds = match asked("DOORBUSTER_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("DOORBUSTER_CRASH_ROUNDS").unwrap_or(ROUNDS),
    };
    let rounds = seeds.end - seeds.start;
    // A round mostly waits for threads to start and to end.
    let all = std::thread::scope(|scope| {
        let worker = |first: u64| {
            let mine = seeds.clone().skip(first as usize).step_by(WORKERS);
            move || mine.map(|seed| run(seed, as_it_is)).collect::<Result<Vec<_>, _>>()
        };
        let workers: Vec<_> = (0..WORKERS as u64).map(|first| scope.spawn(worker(first))).collect();
        let mut all = Counts::default();
        for worker in workers {
            match worker.join().unwrap() {
                Ok(counts) => counts.iter().for_each(|counts| all.add(counts)),
                Err(error) => panic!("{error}; run it alone with DOORBUSTER_CRASH_SEED"),
            }
        }
        all
    });
    println!("{rounds} rounds: {all:?}");
    if rounds >= 100 {
        assert!(all.acknowledged > 50 * rounds && all.unknown > rounds, "too tame: {all:?}");
        assert!(all.sold_out > rounds && all.replayed > rounds, "too tame: {all:?}");
        assert!(all.held > 10 * rounds && all.expired > rounds, "too tame: {all:?}");
        assert!(all.too_late > rounds, "too tame: {all:?}");
    }
}

/// The proof's own proof: with the commits' syncs taken away, and nothing else, it fails.
#[test]
fn a_log_that_does_not_sync_is_caught() {
    let caught: Vec<String> =
        (0..20).filter_map(|seed| run(seed, without_commit_syncs).err()).collect();
    for error in &caught {
        println!("{error}");
    }
    assert!(caught.len() >= 15, "{} of 20 rounds caught it", caught.len());
}
