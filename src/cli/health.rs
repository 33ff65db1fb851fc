//! `health`: whether a running server is ready, for containers and scripts.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;

use super::exit::Exit;
use super::print::print;
use super::server_url::ServerArgs;

/// `health`
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// How long to wait for its answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    timeout_ms: u64,
}

impl HealthArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let url = format!("{}/readyz", self.server.base_url()?);
        let timeout = Duration::from_millis(self.timeout_ms);
        let (status, body) = actix_rt::System::new()
            .block_on(async {
                let client = awc::Client::builder().timeout(timeout).finish();
                let asked = client.get(&url).send().await;
                let mut answer = asked.map_err(|error| anyhow!("{error}"))?;
                let body = answer.body().await.map_err(|error| anyhow!("{error}"))?;
                anyhow::Ok((answer.status(), String::from_utf8_lossy(&body).into_owned()))
            })
            .with_context(|| format!("{url} does not answer"))?;
        print(format_args!("{}\n", body.trim_end()))?;
        Ok(if status.is_success() { Exit::Done } else { Exit::CheckFailed })
    }
}
