//! `wal`: looks into a log, and deletes of it only what was asked for and nothing needs.
//!
//! All but `prune` change nothing and work beside a running engine. An error names the exact next
//! command (`advice`).

mod dump;
mod filter;
mod follow;
mod inspect;
mod keep;
mod prune;
mod report;
mod snapshots;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::advice::{Tried, explained};
use super::exit::Exit;
use super::output::OutputArgs;

/// `wal …`
#[derive(Debug, Subcommand)]
pub(super) enum WalCommand {
    /// Show segments, snapshots, watermark, digest and room, without reading the whole log
    Inspect(InspectArgs),
    /// Check every frame, the chain, that each record can follow, and the snapshots; exit 3 names
    /// all that is damaged
    Verify(InspectArgs),
    /// Print records as lines of JSON
    Dump(Box<dump::DumpArgs>),
    /// Delete the archived beginning of a log, where nothing needs it any more
    Prune(prune::PruneArgs),
}

/// Which log.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "./data", env = "DOORBUSTER_DATA_DIR")]
    pub(super) data_dir: PathBuf,
}

/// `wal inspect`, `wal verify`
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl WalCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let (result, tried, log) = match &self {
            Self::Inspect(args) => (inspect::run(args), Tried::Read, &args.log),
            Self::Verify(args) => (verify::run(args), Tried::Verify, &args.log),
            Self::Dump(args) => (args.run(), Tried::Read, &args.log),
            Self::Prune(args) => (args.run(), Tried::Read, &args.log),
        };
        result.map_err(|error| explained(error, tried, &log.data_dir))
    }
}
