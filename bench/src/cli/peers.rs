//! `peer` and `set-up`: the servers to compare with, by hand, and what they need.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{exit_code, workers};
use crate::peers::front::Serving;
use crate::peers::{self, Peer, PeerPlan, debian};

#[derive(Debug, clap::Args)]
pub(super) struct PeerArgs {
    /// What decides.
    #[arg(value_enum)]
    peer: Peer,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7374")]
    listen: SocketAddr,
    /// Worker threads [default: one per core].
    #[arg(long)]
    workers: Option<usize>,
    /// Its store: a URL of Redis or PostgreSQL with the peer's tables, or SQLite's directory.
    #[arg(long, default_value = "")]
    store: String,
    /// Connections to PostgreSQL, of all workers together [default: with which it sold most].
    #[arg(long)]
    pool: Option<usize>,
    /// Writes the bound URL into a file once it listens.
    #[arg(long, value_name = "FILE")]
    announce: Option<PathBuf>,
}

impl PeerArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        peers::serve(&PeerPlan {
            peer: self.peer,
            serving: Serving {
                listen: self.listen,
                workers: workers(self.workers),
                announce: self.announce.clone(),
            },
            store: self.store.clone(),
            pool: self.pool.unwrap_or_else(|| self.peer.pool()),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct SetUpArgs {
    /// Says what is missing and installs nothing.
    #[arg(long)]
    check: bool,
}

impl SetUpArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let missing = debian::missing();
        if missing.is_empty() {
            println!("nothing is missing");
            return Ok(ExitCode::SUCCESS);
        }
        for (package, why) in &missing {
            println!("missing: {package} ({why})");
        }
        let packages: Vec<&str> = missing.iter().map(|(package, _)| *package).collect();
        if self.check {
            println!("apt-get install {}", packages.join(" "));
            return Ok(exit_code(false));
        }
        debian::install(&packages, |line| println!("{line}"))?;
        let left = debian::missing();
        for (package, why) in &left {
            println!("still missing: {package} ({why})");
        }
        Ok(exit_code(left.is_empty()))
    }
}
