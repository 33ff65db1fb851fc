//! Ctrl-C and SIGTERM end a play; what it started ends with it.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

/// Somebody ended the play.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {left}, nothing was checked")]
pub(crate) struct Interrupted {
    /// What became of the server.
    left: String,
}

/// Runs `play` until it ends or somebody ends it; then it is dropped with all it owns, and `left`
/// says what became of the server.
///
/// # Errors
/// Those of `play`, or [`Interrupted`].
pub(crate) async fn until_interrupted<T>(
    play: impl Future<Output = anyhow::Result<T>>,
    left: String,
) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = play => ended,
        _ = terminate.recv() => Err(Interrupted { left }.into()),
        _ = interrupt.recv() => Err(Interrupted { left }.into()),
    }
}
