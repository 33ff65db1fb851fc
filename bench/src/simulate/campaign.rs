//! Campaigns: many seeds on all cores, and what came of them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use doorbuster_wal::MemStorage;
use parking_lot::Mutex;
use serde::Serialize;

use super::clock::SimClock;
use super::counts::Counts;
use super::disk::{self, set_meanwhile};
use super::stage::Stage;
use super::tables::Tables;
use super::world::{Profile, World};
use crate::seeded::Seeded;
use crate::witness::Witness;

/// Lives of one seed.
const LIVES: u64 = 30;

/// When a campaign is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After so many seeds.
    Seeds(u64),
    /// After so many crash recoveries.
    Recoveries(u64),
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// When it is over.
    pub end: End,
    /// Threads.
    pub threads: usize,
}

/// What a seed found wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// Which seed.
    pub seed: u64,
    /// What was expected and what was found.
    pub found: String,
    /// The last steps.
    pub trace: Vec<String>,
}

/// What a campaign came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What happened.
    pub counts: Counts,
    /// The first failure.
    pub failure: Option<Failure>,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A panic of a simulated engine is a finding with a place, not a word on the terminal.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.with(Cell::get) {
                return others(info);
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let what = info.payload_as_str().unwrap_or("a panic");
            PANIC.with(|slot| *slot.borrow_mut() = Some(format!("{what} ({place})")));
        }));
    });
}

/// Runs one seed, and keeps its last steps.
#[must_use]
pub fn run_traced(seed: u64) -> (Counts, Option<Failure>, Vec<String>) {
    run_one(seed, true)
}

/// Runs one seed.
#[must_use]
pub fn run_seed(seed: u64) -> (Counts, Option<Failure>) {
    let (counts, failure, _) = run_one(seed, false);
    (counts, failure)
}

fn run_one(seed: u64, traced: bool) -> (Counts, Option<Failure>, Vec<String>) {
    keep_panics();
    QUIET.with(|quiet| quiet.set(true));
    let stage = Rc::new(new_stage(seed, traced));
    let played = catch_unwind(AssertUnwindSafe(|| play(&stage)));
    QUIET.with(|quiet| quiet.set(false));
    set_meanwhile(None);
    disk::fail_after(None);
    let (mut counts, found, trace) = if let Ok(mut world) = stage.world.try_borrow_mut() {
        let faults = &world.witness.faults;
        let found = (!faults.is_empty()).then(|| faults.to_string());
        let trace = world.trace.take().unwrap_or_default();
        (world.counts, found, trace)
    } else {
        (Counts::default(), None, VecDeque::new())
    };
    let panicked = played.err().map(|_| {
        let what = PANIC.with(|slot| slot.borrow_mut().take()).unwrap_or_default();
        format!("  the engine's own assertion: {what}\n")
    });
    counts.seeds = 1;
    let trace: Vec<String> = trace.into_iter().collect();
    let found = panicked.or(found);
    let failure = found.map(|found| Failure { seed, found, trace: trace.clone() });
    if failure.is_some() {
        // Whatever is half done is not taken apart by its own rules.
        std::mem::forget(stage);
    }
    (counts, failure, trace)
}

fn new_stage(seed: u64, traced: bool) -> Stage {
    let mut dice = Seeded::new(seed);
    let bulky = dice.once_in(8);
    let profile = Profile {
        segment_bytes: if dice.once_in(12) { 256 << 10 } else { 64 << 10 },
        bulky,
        keys_max: if dice.once_in(10) { 40 } else { 10_000 },
        // Segments fill in long lives alone.
        ends_every: if bulky { dice.spread(80, 400) } else { dice.spread(8, 120) },
        slow_disk: dice.once_in(6),
        is_kept_up: dice.once_in(3),
    };
    let tables = Tables::new(5 + dice.below(60));
    Stage {
        world: RefCell::new(World {
            dice,
            profile,
            witness: Witness::default(),
            storage: MemStorage::new(),
            clock: Arc::new(SimClock::new()),
            engine: None,
            workers: Vec::new(),
            mailbox: Vec::new(),
            waiting: BTreeMap::new(),
            projectors: Vec::new(),
            upkeep: None,
            disk_breaks: false,
            tables: Arc::new(Mutex::new(tables)),
            counts: Counts::default(),
            trace: traced.then(VecDeque::new),
            began: (0, 0),
            slewed: 0,
            taken_bytes: 0,
            spares_made: 0,
            first_segment: 1,
            followed_at: u64::MAX,
        }),
        partition: RefCell::new(None),
        writer: RefCell::new(None),
        depth: Cell::new(0),
    }
}

fn play(stage: &Rc<Stage>) {
    stage.enter();
    if !stage.begin_life() {
        return;
    }
    for _ in 0..LIVES {
        // A life is a few steps or a few hundred.
        for _ in 0..1_000 {
            let ends = stage.step();
            if !stage.world.borrow().witness.faults.is_empty() {
                return;
            }
            if ends {
                break;
            }
        }
        if !stage.crash_and_recover() || !stage.world.borrow().witness.faults.is_empty() {
            return;
        }
    }
    stage.rest();
    let mut world = stage.world.borrow_mut();
    let (commits, quarantined) = {
        let tables = world.tables.lock();
        (tables.commits, tables.quarantine.len() as u64)
    };
    let (records, segments) = (world.witness.durable(), world.witness.place().0);
    let counts = &mut world.counts;
    (counts.records, counts.segments) = (records, segments);
    (counts.commits, counts.quarantined) = (commits, quarantined);
}

/// Runs a campaign; `progress` hears the counts so far after each seed. Ends with the first failure,
/// whose seed is run again to tell its last steps.
pub fn run(campaign: &Campaign, progress: &(dyn Fn(&Counts) + Sync)) -> Report {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let report = Mutex::new(Report::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if matches!(campaign.end, End::Seeds(seeds) if number >= seeds) {
                return;
            }
            let (counts, failure) = run_seed(campaign.from.wrapping_add(number));
            let mut report = report.lock();
            report.counts.add(&counts);
            progress(&report.counts);
            let enough = match campaign.end {
                End::Seeds(_) => false,
                End::Recoveries(most) => report.counts.recoveries >= most,
            };
            if let Some(failure) = failure {
                let earlier = report.failure.as_ref().is_some_and(|f| f.seed < failure.seed);
                if !earlier {
                    report.failure = Some(failure);
                }
                stop.store(true, Ordering::Relaxed);
            }
            if enough {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..campaign.threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut report = report.into_inner();
    if let Some(failure) = &mut report.failure
        && let (_, Some(again), _) = run_traced(failure.seed)
    {
        *failure = again;
    }
    report
}
