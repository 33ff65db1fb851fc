//! The command line: one file per command; wires the parts together.
//!
//! Called by: `main`. Results go to standard output, everything else to standard error; the exit
//! code says how it ended (`exit`). The only place, with `main`, that knows all rooms of the house.

// A pipe that nobody reads any more is no reason to panic: `print` says what to do.
#![deny(clippy::print_stdout)]

mod advice;
mod api_key;
mod backup;
mod bar;
mod config;
mod copy;
mod data_dir;
mod demo;
mod exit;
mod files;
mod health;
mod keys;
mod log;
mod logging;
mod names;
mod orders;
mod output;
mod pause;
mod place;
mod play;
mod print;
mod project;
mod proof;
mod reconcile;
mod record_json;
mod recovery;
mod rehearse;
mod replayed;
mod restore;
mod serve;
mod server_url;
mod settings;
mod state;
mod target;
mod wal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The journal's directory inside the data directory.
const JOURNAL_DIR: &str = "journal";
/// The embedded database inside the data directory.
const SQLITE_FILE: &str = "doorbuster.sqlite";

/// An inventory engine for flash sales: never oversold, never lost, exactly once in SQL.
#[derive(Debug, Parser)]
#[command(
    name = "doorbuster",
    version,
    after_help = "Exit codes: 0 done, 1 a check failed, 2 usage, 3 damaged log, 4 in use, 5 environment."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sell: recover the journal, answer HTTP, fill the database behind it
    Serve(serve::ServeArgs),
    /// Hold a flash sale of 1,000 units to 20,000 buyers, and check it
    Demo(demo::DemoArgs),
    /// Play real order lines against chosen stock, and check what came of them
    Rehearse(Box<rehearse::RehearseArgs>),
    /// Pause selling: of a product, of a sale, of everything
    Pause(pause::PauseArgs),
    /// Resume selling
    Resume(pause::PauseArgs),
    /// Look into a log: inspect, verify, dump; prune its archived beginning
    #[command(subcommand)]
    Wal(wal::WalCommand),
    /// Show where every product stood after some record, or at some time
    State(state::StateArgs),
    /// Copy a live log into another directory, once or as it grows
    Backup(backup::BackupArgs),
    /// Make a data directory of a backup, whole or up to a record or a time
    Restore(restore::RestoreArgs),
    /// Prove what was decided about a product or a sale: write a file that others can check, or check one
    Proof(Box<proof::ProofArgs>),
    /// Compare the log with its copy in SQL, or with the orders a shop was paid for
    Reconcile(Box<reconcile::ReconcileArgs>),
    /// Fill a new copy in SQL from the log, beside a running server
    Project(Box<project::ProjectArgs>),
    /// List and cancel orders that should not have been sold
    #[command(subcommand)]
    Orders(orders::OrdersCommand),
    /// Make API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Show and check settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Ask a running server whether it is ready; exit 1 when it is not, 5 when it does not answer
    Health(health::HealthArgs),
}

/// Runs what the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {}", exit::told(&error));
            exit::exit_of(&error).into()
        }
    }
}

impl Command {
    fn run(self) -> anyhow::Result<exit::Exit> {
        match self {
            Self::Serve(args) => args.run(),
            Self::Keys(command) => command.run(),
            Self::Wal(command) => command.run(),
            Self::State(args) => args.run(),
            Self::Backup(args) => args.run(),
            Self::Restore(args) => args.run(),
            Self::Proof(args) => args.run(),
            Self::Config(command) => command.run(),
            Self::Health(args) => args.run(),
            Self::Reconcile(args) => args.run(),
            Self::Orders(command) => command.run(),
            Self::Project(args) => args.run(),
            Self::Demo(args) => args.run(),
            Self::Rehearse(args) => args.run(),
            Self::Pause(args) => args.pause(),
            Self::Resume(args) => args.resume(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
