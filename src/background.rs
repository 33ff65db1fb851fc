//! Threads that run only where nothing else wants to.

use std::time::Duration;

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// Gives this thread the idle policy: any thread that sells takes its core at once. The lowest
/// niceness is not enough: such a thread still has its time slices, and a sale waits for their end.
pub fn run_when_idle() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    if let Err(error) = set {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        tracing::warn!(?error, "the thread {name} keeps its usual priority");
    }
}

/// How long this thread has waited for a core since it began, as the kernel counts it; `None` where
/// it does not tell.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the kernel's figures are no file of ours")]
pub fn waited_for_a_core() -> Option<Duration> {
    run_delay(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The second of `ran waited slices`, in nanoseconds.
fn run_delay(schedstat: &str) -> Option<Duration> {
    let waited_ns = schedstat.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(waited_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_for_a_core_is_the_second_figure() {
        assert_eq!(run_delay("51 7000000 12\n"), Some(Duration::from_millis(7)));
        assert_eq!(run_delay(""), None);
        assert_eq!(run_delay("51 many 12\n"), None);
    }
}
