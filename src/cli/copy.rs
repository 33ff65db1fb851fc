//! Which log, and which copy of it: the settings of a server that commands beside it need.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, failure};
use super::settings::SettingsArgs;
use super::target;
use crate::config::Config;
use crate::projection::StoreConfig;

/// `--data-dir` and the database, from the same layers as `serve` takes them.
#[derive(Debug, Args)]
pub(super) struct CopyArgs {
    /// Data directory [default: ./data, or what the settings of the server say]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// PostgreSQL that holds the copy [default: DATABASE_URL, else the data directory's SQLite]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Its schema [default: doorbuster]
    #[arg(long, value_name = "NAME")]
    database_schema: Option<String>,
    /// Settings file of the server [environment: DOORBUSTER_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl CopyArgs {
    /// The settings, as the server would take them.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) fn settings(&self) -> anyhow::Result<Config> {
        let given = [
            ("data_dir", &self.data_dir),
            ("database_url", &self.database_url),
            ("database_schema", &self.database_schema),
        ];
        let flags = given
            .into_iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| (key.to_owned(), value.clone())));
        let config = SettingsArgs::of(flags.collect(), self.config.clone()).config()?;
        if self.database_schema.is_some() && config.database_url.is_none() {
            let message = "--database-schema is for PostgreSQL, and no --database-url or DATABASE_URL names \
                           one: a SQLite file has none";
            return Err(failure(Exit::Usage, message));
        }
        Ok(config)
    }
}

/// The copy that a server with these settings writes.
///
/// # Errors
/// A URL or schema that cannot be used.
pub(super) fn of(config: &Config) -> anyhow::Result<StoreConfig> {
    target::store(config, config.data_dir.join(super::SQLITE_FILE))
}
