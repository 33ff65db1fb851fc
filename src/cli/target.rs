//! Which database the projection writes, as the settings name it.

use std::path::PathBuf;

use super::exit::{Exit, failure};
use crate::config::Config;
use crate::projection::{SchemaName, StoreConfig, TargetError};

/// The store of these settings; `sqlite` is the embedded one's file.
///
/// # Errors
/// A URL or schema that cannot be used. Never shows the URL.
pub(super) fn store(config: &Config, sqlite: PathBuf) -> anyhow::Result<StoreConfig> {
    let usage = |error: TargetError| failure(Exit::Usage, error.to_string());
    let schema = SchemaName::new(&config.database_schema).map_err(usage)?;
    let Some(url) = &config.database_url else {
        return Ok(StoreConfig::Sqlite { path: sqlite });
    };
    let url = url.reveal().parse().map_err(usage)?;
    Ok(StoreConfig::Postgres { url, schema })
}

/// How a person knows it.
pub(super) fn shown(store: &StoreConfig) -> String {
    match store {
        StoreConfig::Sqlite { path } => format!("SQLite {}", path.display()),
        StoreConfig::Postgres { url, schema } => format!("{url}, schema {}", schema.as_str()),
    }
}
