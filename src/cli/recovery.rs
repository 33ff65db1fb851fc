//! Starting the engine on a thread of its own, so that HTTP answers meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use doorbuster_wal::{DirStorage, Options};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use super::advice::{Tried, explained};
use crate::config::Config;
use crate::domain::HoldRules;
use crate::engine::{
    ActorLimits, AdmissionLimits, ClockError, Engine, EngineConfig, Running, StartError,
    StartOptions, SystemClock, Witness, start,
};
use crate::journal::{Opening, PAYLOAD_BYTES_MAX};

const LOOK_AGAIN: Duration = Duration::from_millis(100);
const STEPS: u64 = 1_000;

/// A start that is going on.
pub(super) struct Recovery {
    engine: Engine,
    data_dir: PathBuf,
    started: oneshot::Receiver<Result<Running, StartError>>,
}

impl Recovery {
    /// Begins to recover. The thread has this thread's actix system.
    pub(super) fn start(
        engine: &Engine,
        config: &Config,
        journal: Arc<DirStorage>,
        accept_clock: Option<ClockError>,
        witness: Option<Witness>,
    ) -> anyhow::Result<Self> {
        let options = Options {
            segment_bytes: config.journal_segment_bytes,
            payload_bytes_max: u32::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX),
            spare_segments: config.journal_spare_segments,
        };
        let start_options = StartOptions {
            config: engine_config(config),
            clock: Arc::new(SystemClock::new()),
            accept_clock,
            binary: env!("CARGO_PKG_VERSION").to_owned(),
            witness,
        };
        let (tell, started) = oneshot::channel();
        let (system, theirs) = (actix_rt::System::current(), engine.clone());
        let recover = move || {
            actix_rt::System::set_current(system);
            let opened = Opening::new(journal, options).map_err(StartError::Journal);
            // Nobody hears it only when the process ends already.
            let _ = tell.send(opened.and_then(|opening| start(&theirs, opening, start_options)));
        };
        let thread = std::thread::Builder::new().name("recovery".to_owned()).spawn(recover);
        thread.context("cannot start a thread")?;
        Ok(Self { engine: engine.clone(), data_dir: config.data_dir.clone(), started })
    }

    /// Waits for it, showing how far it is.
    ///
    /// # Errors
    /// It does not start; the log is as it was.
    pub(super) async fn finish(mut self) -> anyhow::Result<Running> {
        let bar = ProgressBar::new(STEPS);
        let style = ProgressStyle::with_template("recovering {bar:30} {percent}% {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let mut look = tokio::time::interval(LOOK_AGAIN);
        let started = loop {
            tokio::select! {
                started = &mut self.started => break started,
                _ = look.tick() => bar.set_position(self.position()),
            }
        };
        bar.finish_and_clear();
        let running = started
            .context("recovery panicked")?
            .map_err(|error| explained(error.into(), Tried::Start, &self.data_dir))?;
        let summary = &running.summary;
        if let Some(torn) = &summary.torn {
            tracing::warn!(
                "cut {torn}: nothing says that it was durable, so a crash tore it before it was answered, \
                 unless the end of the file was damaged; a copy is kept beside the segments"
            );
        }
        let (records, products) = (summary.records, summary.products);
        let snapshot = summary.snapshot.as_deref().unwrap_or("none");
        tracing::info!(snapshot, records, products, seconds = bar.elapsed().as_secs_f64(), "ready");
        Ok(running)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a progress bar"
    )]
    fn position(&self) -> u64 {
        (self.engine.health().progress() * STEPS as f64) as u64
    }
}

fn engine_config(config: &Config) -> EngineConfig {
    EngineConfig {
        admission: AdmissionLimits {
            commands_max: config.commands_max,
            queued_bytes_max: config.queued_bytes_max,
        },
        actors: ActorLimits {
            product_mailbox: config.product_queue_max,
            partition_mailbox: config.partition_queue_max,
            idle: config.product_idle,
        },
        keys_max: config.idempotency_keys_max,
        holds: HoldRules {
            ttl_max_ms: u64::try_from(config.hold_ttl_max.as_millis()).unwrap_or(u64::MAX),
            live_per_buyer_max: config.holds_per_buyer_max,
            live_lines_max: config.hold_lines_max,
        },
    }
}
