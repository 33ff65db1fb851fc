//! What of a log has to be kept: where nothing but its records could answer.
//!
//! A start needs two sound snapshots at or behind the beginning, so that one may be damaged; answers
//! need the records of live holds, of holds that ended within 24 hours, and of idempotency keys.

use super::snapshots;
use crate::cli::bar;
use crate::cli::log::Log;
use crate::domain::Sequence;
use crate::engine::{Named, recover_past};

/// Snapshots that a pruned log must have: were one damaged, the other is all there is.
const SNAPSHOTS: usize = 2;

/// The log has to begin with this record or an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) begin_max: u64,
    pub(super) why: String,
}

/// What is needed of a log, the strictest first.
///
/// # Errors
/// The log or its snapshots cannot be read.
pub(super) fn needs(log: &Log, proven: Sequence) -> anyhow::Result<Vec<Need>> {
    let mut needs = vec![of_snapshots(log)?];
    let bar = bar::over_records(proven.get(), "finding out what is still named");
    let past = recover_past(log.journal(), proven, usize::MAX, &mut |sequence| {
        bar.set_position(sequence.get());
    })?;
    bar.finish_and_clear();
    let Named { live_hold, ended_hold, key } = past.recovered.named();
    let named = [
        (live_hold, "placed a hold that is live"),
        (ended_hold, "placed a hold that ended within 24 hours"),
        (key, "answers its idempotency key, which is kept for 24 hours"),
    ];
    for (sequence, why) in named {
        let need = |sequence: Sequence| Need {
            begin_max: sequence.get(),
            why: format!("record {sequence} {why}"),
        };
        needs.extend(sequence.map(need));
    }
    needs.sort_by_key(|need| need.begin_max);
    Ok(needs)
}

/// The log must not begin behind the second newest snapshot.
fn of_snapshots(log: &Log) -> anyhow::Result<Need> {
    let found = snapshots::look_at(log)?;
    let sound: Vec<u64> =
        found.iter().filter(|it| it.is_usable()).map(|snapshot| snapshot.sequence).collect();
    Ok(match sound.get(SNAPSHOTS - 1) {
        Some(sequence) => Need {
            begin_max: sequence + 1,
            why: format!("the older of two sound snapshots is of record {sequence}"),
        },
        None => Need {
            begin_max: 1,
            why: format!(
                "a pruned log is recovered from snapshots alone, and of two that it must have there \
                 are {}",
                sound.len()
            ),
        },
    })
}
