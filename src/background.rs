//! Threads that run only where nothing else wants to.

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
