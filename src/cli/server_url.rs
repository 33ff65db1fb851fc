//! Which running server a command asks.

use clap::Args;

use super::exit::{Exit, failure};

/// `--url`, with the server of this machine unless given.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The server
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:7373",
        env = "DOORBUSTER_URL"
    )]
    url: String,
}

impl ServerArgs {
    /// Its URL, without a slash at the end.
    ///
    /// # Errors
    /// It is none that can be asked: TLS is a proxy's.
    pub(super) fn base_url(&self) -> anyhow::Result<&str> {
        let host = self.url.strip_prefix("http://");
        if host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':'])) {
            let message = format!("{:?} is not of the form http://HOST:PORT", self.url);
            return Err(failure(Exit::Usage, message));
        }
        Ok(self.url.trim_end_matches('/'))
    }
}
