//! Every way to damage a log that can be counted, and what a start makes of each.
//!
//! For a reference log with every kind of record, several segments, archive and snapshots: every
//! bit of every file flipped, every length each can be cut to, every file missing, doubled, swapped
//! with another, every page zeroed, foreign files, files of another journal, of a clone. A start
//! must then *recover exactly* what was there, or *refuse* with its reason, or, only within the last
//! batch that nothing proves, *cut* the tail and say so. Whatever it does not read at a start must,
//! when it is read, be what it was or be refused. Never another state, never a panic.
//!
//! Runs the engine from inside, over files in memory.

mod cases;
mod reference;
mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use self::cases::Case;
use self::verdict::{Expected, Verdict};

/// What came of damaging.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Cases tried.
    pub cases: u64,
    /// The state was recovered exactly.
    pub exact: u64,
    /// Of these: what a start had not read was refused when it was read.
    pub refused_later: u64,
    /// A tail was cut inside the last unproven batch, and said so.
    pub cut: u64,
    /// The start was refused with a reason.
    pub refused: u64,
}

/// What was found, by the kind of damage.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// By kind.
    pub kinds: Vec<(String, Counts)>,
    /// What went wrong: nothing, or the log's code is.
    pub faults: Vec<String>,
}

/// Most faults that are told.
const FAULTS_TOLD: usize = 20;

/// Tries every `every`th case of each kind, on all cores. `progress` hears how many are done of how
/// many.
///
/// # Errors
/// The reference log cannot be made.
pub fn run(every: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> anyhow::Result<Report> {
    let files = reference::make(reference::Variant::Reference)?;
    let expected = Expected::of(&files)?;
    let mut report = Report { kinds: Vec::new(), faults: Vec::new() };
    let kinds = cases::all(&files)?;
    let total: usize = kinds.iter().map(|(_, cases)| cases.len().div_ceil(every)).sum();
    let done = AtomicUsize::new(0);
    for (name, cases) in &kinds {
        let (next, found) = (AtomicUsize::new(0), Mutex::new((Counts::default(), Vec::new())));
        let work = || {
            let mut counts = Counts::default();
            let mut faults = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed) * every;
                let Some(case) = cases.get(place) else { break };
                counts.cases += 1;
                if let Err(fault) = try_case(&files, &expected, case, &mut counts) {
                    faults.push(format!("{name}: {case}: {fault}"));
                }
                let done = done.fetch_add(1, Ordering::Relaxed);
                if done.is_multiple_of(64) {
                    progress(done as u64, total as u64);
                }
            }
            let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            found.0.add(&counts);
            found.1.append(&mut faults);
        };
        std::thread::scope(|scope| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (0..cores).for_each(|_| drop(scope.spawn(work)));
        });
        let (counts, mut faults) =
            found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        report.kinds.push(((*name).to_owned(), counts));
        report.faults.append(&mut faults);
    }
    report.faults.truncate(FAULTS_TOLD);
    Ok(report)
}

fn try_case(
    files: &reference::Files,
    expected: &Expected,
    case: &Case,
    counts: &mut Counts,
) -> Result<(), String> {
    let damaged = case.apply(files);
    let judged = catch_unwind(AssertUnwindSafe(|| verdict::judge(&damaged, expected)));
    match judged.map_err(|_| "it panicked".to_owned())?? {
        Verdict::Exact { refused_later } => {
            counts.exact += 1;
            counts.refused_later += u64::from(refused_later);
        }
        Verdict::Cut => counts.cut += 1,
        Verdict::Refused => counts.refused += 1,
    }
    Ok(())
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.exact += other.exact;
        self.refused_later += other.refused_later;
        self.cut += other.cut;
        self.refused += other.refused;
    }
}
