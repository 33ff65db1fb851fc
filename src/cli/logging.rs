//! Messages to standard error: which, and in what form.

use anyhow::Context;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

use super::exit::{Exit, failure};
use crate::config::{Config, LogFormat};

/// Which messages are logged.
///
/// # Errors
/// The filter cannot be read.
pub(super) fn filter(config: &Config) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(&config.log)
        .map_err(|error| failure(Exit::Usage, format!("log: {error}: {:?}", config.log)))
}

/// Begins to log as the settings say.
///
/// # Errors
/// The filter cannot be read.
pub(super) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = filter(config)?;
    let stderr = std::io::stderr();
    let colours = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => builder.with_ansi(colours).with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("{error}")).context("cannot log")
}
