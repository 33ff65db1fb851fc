//! What a start makes of damaged files, against what was there.

use std::collections::BTreeMap;
use std::sync::Arc;

use doorbuster::domain::Sequence;
use doorbuster::engine::stepped::Stepped;
use doorbuster::engine::{Recovered, recover_state};
use doorbuster::journal::{JournalIdentity, JournalScan, Opening, StateHash};

use super::reference::{Files, OPTIONS, start_options, storage_of};

const KEYS_MAX: usize = 100_000;

/// What is right.
pub(super) struct Expected {
    /// Payloads by sequence, from 1.
    payloads: Vec<Vec<u8>>,
    /// Up to here the log proves itself.
    proven: u64,
    /// The state after each record from there on.
    states: BTreeMap<u64, StateHash>,
}

/// What a start did with damage, all of it allowed.
pub(super) enum Verdict {
    /// The state is what it was.
    Exact {
        /// Something that a start does not read was refused when it was read.
        refused_later: bool,
    },
    /// Records of the last batch were cut, and it was said.
    Cut,
    /// It did not start, and said why.
    Refused,
}

impl Expected {
    /// Of the files that are not damaged.
    pub(super) fn of(files: &Files) -> anyhow::Result<Self> {
        let scan = JournalScan::open(Arc::new(storage_of(files)))?;
        let (mut payloads, mut hashes) = (Vec::new(), Vec::new());
        let mut recovered = Recovered::new(KEYS_MAX);
        let mut visit = |entry: &doorbuster_wal::Entry<'_>| {
            payloads.push(entry.payload.to_vec());
            recovered.replay(Sequence::new(entry.sequence), entry.payload)?;
            hashes.push(recovered.state_hash());
            Ok(())
        };
        let replayed = scan.replay(&mut visit, &mut |_| {})?;
        let proven = replayed.proven_sequence;
        anyhow::ensure!(proven + 1 < payloads.len() as u64, "the last batch has several records");
        let states = (1..).zip(hashes).filter(|(sequence, _)| *sequence >= proven).collect();
        Ok(Self { payloads, proven, states })
    }
}

/// Starts over damaged files.
///
/// # Errors
/// What must never be.
pub(super) fn judge(files: &Files, expected: &Expected) -> Result<Verdict, String> {
    let last = expected.payloads.len() as u64;
    let mut opening = match Opening::new(Arc::new(storage_of(files)), OPTIONS) {
        Ok(opening) => opening,
        Err(error) => return refused(&error.to_string()),
    };
    let state = match recover_state(&mut opening, KEYS_MAX, &mut |_, _| {}) {
        Ok(state) => state,
        Err(error) => return refused(&error.to_string()),
    };
    let found = state.recovered.last_sequence.get();
    if expected.states.get(&found) != Some(&state.recovered.state_hash()) {
        return Err(format!("another state after record {found} of {last}"));
    }
    if found < last && (state.torn.is_none() || found < expected.proven) {
        return Err(format!("ends with record {found} of {last}, torn: {:?}", state.torn));
    }
    let refused_later = read_all(files, expected, found)?;
    start(files)?;
    match found == last {
        true => Ok(Verdict::Exact { refused_later }),
        false => Ok(Verdict::Cut),
    }
}

fn refused(reason: &str) -> Result<Verdict, String> {
    match reason.len() > 10 {
        true => Ok(Verdict::Refused),
        false => Err(format!("refused without a reason: {reason:?}")),
    }
}

/// Reads every record by itself: what it was, or refused. Gives whether any was refused.
fn read_all(files: &Files, expected: &Expected, last: u64) -> Result<bool, String> {
    let scan = JournalScan::open(Arc::new(storage_of(files))).map_err(|error| error.to_string())?;
    let Ok(records) = scan.into_segments().records_from(1) else { return Ok(true) };
    let mut any_refused = false;
    for (sequence, payload) in (1..=last).zip(&expected.payloads) {
        match records.read(sequence) {
            Ok(Some(found)) if found == *payload => {}
            // What proved it may be what is damaged.
            Ok(None) if sequence > records.proven_sequence() => {}
            Err(_) => any_refused = true,
            Ok(found) => {
                let bytes = found.map(|found| found.len());
                return Err(format!("record {sequence} reads as something else: {bytes:?} bytes"));
            }
        }
    }
    Ok(any_refused)
}

/// The whole start, with the fresh segment that it writes, and another after it.
fn start(files: &Files) -> Result<(), String> {
    let storage = storage_of(files);
    for again in 0..2 {
        let opening = Opening::new(Arc::new(storage.clone()), OPTIONS);
        let opening = opening.map_err(|error| format!("start {again}: {error}"))?;
        let identity = JournalIdentity { journal_id: [0; 16], partition: 1, epoch: 1 };
        Stepped::begin(opening, start_options(), identity)
            .map_err(|error| format!("start {again}: {error}"))?;
    }
    Ok(())
}
