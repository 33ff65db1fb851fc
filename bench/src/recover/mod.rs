//! How fast a log is recovered, beside only reading and checking the same files.
//!
//! ```text
//! round 1: check, recover    round 2: recover, check    round 3: check, recover  …
//! ```
//!
//! *Check* is `doorbuster_wal::Scan::replay` with nothing done to a record: every file read, every
//! frame's checksum and place, the digest of every segment. *Recover* is what a start does with the
//! same log: the same, each record decoded, checked against the state before it and applied, its key
//! entered. Each turn is a process of its own, so that its peak memory is its own too.
//!
//! Links the engine, as only measuring it from inside can; never the checker's.

pub mod drill;
pub mod made_log;
pub(crate) mod maker;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use doorbuster::engine::Recovered;
use doorbuster::journal::JournalScan;
use doorbuster_wal::{DirStorage, Scan};
use serde::{Deserialize, Serialize};

use crate::figures::Middle;
use crate::machine::Machine;
use crate::resident::peak_bytes;

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Only reading and checking.
    Check,
    /// A start's recovery.
    Recover,
}

/// One turn.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Turn {
    /// From opening the log to its last record.
    pub seconds: f64,
    /// Processor time meanwhile.
    pub cpu_seconds: f64,
    /// Records read.
    pub records: u64,
    /// Most memory the process had.
    pub peak_bytes: u64,
    /// Idempotency keys that are remembered; 0 where none are.
    pub keys: u64,
}

/// One round.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    /// Which side went first.
    pub first: Side,
    /// Only reading and checking.
    pub check: Turn,
    /// Recovery.
    pub recover: Turn,
    /// Speed of recovery against only checking.
    pub ratio: f64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// The rounds.
    pub rounds: Vec<Round>,
    /// Median of the rounds' ratios.
    pub ratio_median: f64,
    /// Lowest of them.
    pub ratio_min: f64,
    /// Highest of them.
    pub ratio_max: f64,
}

/// Compares both sides on the log in `directory`; `watch` hears of each round.
///
/// # Errors
/// The log cannot be read, or the sides do not agree on what it holds.
pub fn run(
    directory: &Path,
    rounds: usize,
    mut watch: impl FnMut(usize, &Round),
) -> anyhow::Result<Report> {
    ensure!(rounds > 0, "at least one round");
    let machine = Machine::measure(directory)?;
    let log_bytes = Scan::open(Arc::new(DirStorage::open_existing(directory)?))?.bytes_total();
    // Once unmeasured: afterwards both sides find the files in the page cache.
    turn(directory, Side::Check)?;
    let mut done: Vec<Round> = Vec::with_capacity(rounds);
    for round in 1..=rounds {
        let first = if round % 2 == 1 { Side::Check } else { Side::Recover };
        let (check, recover) = match first {
            Side::Check => {
                let check = turn(directory, Side::Check)?;
                (check, turn(directory, Side::Recover)?)
            }
            Side::Recover => {
                let recover = turn(directory, Side::Recover)?;
                (turn(directory, Side::Check)?, recover)
            }
        };
        ensure!(check.records == recover.records, "{check:?} and {recover:?} read other logs");
        let ratio = check.seconds / recover.seconds;
        let last = Round { first, check, recover, ratio };
        watch(round, &last);
        done.push(last);
    }
    let ratio = Middle::of(done.iter().map(|round| round.ratio));
    Ok(Report {
        machine,
        log_bytes,
        ratio_median: ratio.median,
        ratio_min: ratio.min,
        ratio_max: ratio.max,
        rounds: done,
    })
}

/// One turn, in a process of its own.
fn turn(directory: &Path, side: Side) -> anyhow::Result<Turn> {
    let side = match side {
        Side::Check => "check",
        Side::Recover => "recover",
    };
    let executable: PathBuf = std::env::current_exe()?;
    let output = Command::new(executable)
        .args(["recover", "--turn", side, "--log"])
        .arg(directory)
        .output()
        .context("cannot run a turn")?;
    if !output.status.success() {
        bail!("a turn failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("a turn printed something else")
}

/// What the process of a turn does.
///
/// # Errors
/// The log cannot be read.
pub fn take_turn(directory: &Path, side: Side) -> anyhow::Result<Turn> {
    let storage = Arc::new(DirStorage::open_existing(directory)?);
    let (begun, mut records) = (Instant::now(), 0);
    let keys = match side {
        Side::Check => {
            let mut count = |_: &doorbuster_wal::Entry<'_>| {
                records += 1;
                Ok(())
            };
            Scan::open(storage)?.replay(&mut count, &mut |_| {})?;
            0
        }
        Side::Recover => {
            let mut recovered = Recovered::new(usize::MAX);
            let scan = JournalScan::open(storage)?;
            recovered.replaying(|follow| scan.replay_records(None, follow, &mut |_| {}))?;
            recovered.publish();
            records = recovered.records;
            recovered.idempotency.len() as u64
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = crate::cost::own_cpu_seconds();
    Ok(Turn { seconds, cpu_seconds, records, peak_bytes: peak_bytes("self")?, keys })
}
