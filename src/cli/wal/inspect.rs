//! `wal inspect`: what a log holds, from its headers, its last segment and its snapshots. It does not
//! read the whole log and proves nothing of closed segments: `wal verify` does.

use super::InspectArgs;
use super::report::{report, settled_outline};
use super::snapshots;
use crate::cli::exit::Exit;
use crate::cli::log::open_log;

/// Shows a log.
pub(super) fn run(args: &InspectArgs) -> anyhow::Result<Exit> {
    args.output.prepare()?;
    let log = open_log(&args.log.data_dir)?;
    let outline = settled_outline(&log)?;
    let report = report(&log, &outline, snapshots::look_at(&log)?)?;
    args.output.write(&report, |out| report.show(out))?;
    Ok(Exit::Done)
}
