//! `demo`: a flash sale in one command, with a kill -9 in its middle if you like.
//!
//! A server of its own sells some units of one product to many more buyers over real connections.
//! At the end the log and the database are read and compared with what the buyers were told.
//! Decides nothing: it buys as a shop would, and counts.

mod sale;
mod summary;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use self::sale::Sale;
use self::summary::Summary;
use super::exit::Exit;
use super::output::OutputArgs;
use super::play::database::check_url;
use super::play::interrupt::until_interrupted;
use super::play::stage::{Stage, Wanted};

/// `demo`
#[derive(Debug, Clone, Args)]
pub(super) struct DemoArgs {
    /// Kill the server with SIGKILL in the middle of the sale, and start it again
    #[arg(long)]
    crash: bool,
    /// Units for sale
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    units: u64,
    /// Buyers; each wants one unit
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    buyers: u64,
    /// Connections that buy at once
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    connections: u64,
    /// Data directory, kept afterwards; must be new or a play's own [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep the temporary data directory
    #[arg(long)]
    keep: bool,
    /// PostgreSQL for the orders, in a temporary schema, or with --data-dir in the schema doorbuster
    /// [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl DemoArgs {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        if let Some(url) = &self.database_url {
            check_url(url)?;
        }
        let runtime = actix_rt::Runtime::new().context("cannot start a runtime")?;
        let left = "the server was stopped".to_owned();
        let summary = runtime.block_on(until_interrupted(self.demo(), left))?;
        self.output.write(&summary, |out| summary.write(out))?;
        Ok(if summary.passed { Exit::Done } else { Exit::CheckFailed })
    }

    async fn demo(&self) -> anyhow::Result<Summary> {
        let mut stage = Stage::new(&Wanted {
            word: "demo",
            data_dir: self.data_dir.as_deref(),
            database_url: self.database_url.as_deref(),
            schema: None,
            keep: self.keep,
        })?;
        stage.database.reached().await?;
        let sale = Sale {
            units: self.units,
            buyers: self.buyers,
            connections: usize::try_from(self.connections).unwrap_or(1),
            crash: self.crash,
        };
        let summary = sale.run(&stage).await?;
        if !summary.passed {
            stage.keep();
        }
        let summary = summary.leaves(&stage);
        stage.clear().await?;
        Ok(summary)
    }
}
