//! Going on with a log as it grows, until somebody says that it is enough: a signal, or a reader who
//! closed the pipe.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};

/// How often it is looked whether the log has grown.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Who waits for more.
pub(super) struct Following {
    told: Arc<AtomicBool>,
}

impl Following {
    /// Begins to listen for SIGINT and SIGTERM: the first one ends the following, the second one the
    /// process.
    ///
    /// # Errors
    /// The system has no thread left, or no signals.
    pub(super) fn begin() -> anyhow::Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&told);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.context("cannot listen for signals")?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let listen = async move {
            let mut either = async || {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            };
            either().await;
            theirs.store(true, Ordering::Relaxed);
            either().await;
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(listen);
            // Whoever reads does not take what is written: there is nothing to wait for.
            std::process::exit(i32::from(super::super::exit::Exit::CheckFailed as u8));
        });
        thread.context("cannot start a thread")?;
        Ok(Self { told })
    }

    /// Whether it is enough.
    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Waits a moment; false when it is enough, or when nobody reads `out` any more.
    pub(super) fn wait(&self, out: &impl AsFd) -> io::Result<bool> {
        if self.is_told() {
            return Ok(false);
        }
        // Nothing is asked for: a closed pipe is told in any case.
        let mut descriptors = [PollFd::new(out, PollFlags::empty())];
        let wait = Timespec::try_from(LOOK_AGAIN).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
        match poll(&mut descriptors, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(!self.is_told()),
            Ok(_) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
