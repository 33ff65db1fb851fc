//! `reconcile`: the log against its copy in SQL, or against the orders a shop was paid for.
//!
//! Reads beside a running server and changes nothing. Memory is bounded by the state that the log
//! makes (products, live holds, what came back of orders), by the file that is given, and by pages.

mod compare;
mod movements;
mod paid;
mod products;
mod report;
mod returns;
mod shop;
mod table;
mod walk;

use std::path::PathBuf;

use clap::Args;

pub(super) use self::compare::compare;
pub(super) use self::report::Report;
use super::advice::reading;
use super::copy::{self, CopyArgs};
use super::exit::Exit;
use super::output::OutputArgs;
use crate::config::Config;
use crate::projection::StoreConfig;

/// `reconcile`
#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    #[command(flatten)]
    copy: CopyArgs,
    /// SQLite file that holds the copy, whatever the settings say: that of a backup, or a new one
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["database_url", "database_schema", "orders"]
    )]
    sqlite: Option<PathBuf>,
    /// Compare the log with the orders in this CSV instead: columns reference, product, quantity
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    #[command(flatten)]
    window: paid::Window,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReconcileArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = self.copy.settings()?;
        self.output.prepare()?;
        reading(&config.data_dir, || self.compared(&config))
    }

    fn compared(&self, config: &Config) -> anyhow::Result<Exit> {
        if let Some(file) = &self.orders {
            return paid::run(&config.data_dir, file, &self.window, &self.output);
        }
        let mut report = Report::new(&self.output)?;
        let store = match &self.sqlite {
            Some(path) => StoreConfig::Sqlite { path: path.clone() },
            None => copy::of(config)?,
        };
        let compared = compare(&config.data_dir, &store, &mut report)?;
        let differences = report.end(&compared, |differences| compared.words(differences))?;
        Ok(if differences == 0 { Exit::Done } else { Exit::CheckFailed })
    }
}
