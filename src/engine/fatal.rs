//! A panic on a thread that owns state ends the process.
//!
//! An executor catches panics of its tasks and goes on: the partition would decide on a state that
//! is half changed, or nobody would ever be answered. What is durable is in the log; the next
//! start begins from there.

/// Aborts the process when it is dropped by a panic. The panic's message is out by then.
#[derive(Debug)]
pub(super) struct FatalPanic;

impl Drop for FatalPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a panic in the engine: the process ends, the next start recovers");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str = "DOORBUSTER_TEST_FATAL_PANIC";

    /// Runs itself: what aborts takes its process along.
    #[test]
    fn panic_in_an_actors_turn_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            actix_rt::System::new().block_on(async {
                let task = actix_rt::spawn(async {
                    let _fatal = FatalPanic;
                    panic!("our own mistake");
                });
                // Without the guard the executor hands the panic over, and life goes on.
                assert!(task.await.is_err());
            });
            std::process::exit(0);
        }
        let name = "engine::fatal::tests::panic_in_an_actors_turn_ends_the_process";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(!child.status.success(), "it went on");
        assert_eq!(child.status.code(), None, "it ended by a signal");
        assert!(String::from_utf8_lossy(&child.stderr).contains("our own mistake"), "silently");
    }
}
