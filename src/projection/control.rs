//! What others tell the projector's thread, and how it sleeps.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::domain::Sequence;

/// Orders to the projector, and its last word.
#[derive(Default)]
pub(super) struct Control {
    orders: Mutex<Orders>,
    wake: Condvar,
}

#[derive(Default)]
struct Orders {
    /// End once everything up to here is written.
    drain_to: Option<Sequence>,
    /// End at once.
    abandon: bool,
    ended: bool,
}

impl Control {
    /// Sleeps, unless told to end; `true`: end at once.
    pub(super) fn sleep(&self, duration: Duration) -> bool {
        let mut orders = self.orders.lock();
        // Told to drain, it still waits between attempts, but not for new records.
        self.wake.wait_while_for(&mut orders, |orders| !orders.abandon, duration);
        orders.abandon
    }

    /// Waits for new records, unless told to end.
    pub(super) fn idle(&self, duration: Duration) {
        let mut orders = self.orders.lock();
        let go_on = |orders: &mut Orders| !orders.abandon && orders.drain_to.is_none();
        self.wake.wait_while_for(&mut orders, go_on, duration);
    }

    /// Whether to end now, with everything up to `applied` written.
    pub(super) fn ends_at(&self, applied: Sequence) -> bool {
        let orders = self.orders.lock();
        orders.abandon || orders.drain_to.is_some_and(|upto| applied >= upto)
    }

    /// From now on the orders of a thread that drains, after one that was told to abandon.
    pub(super) fn drain(&self, upto: Sequence) {
        *self.orders.lock() = Orders { drain_to: Some(upto), ..Orders::default() };
    }

    pub(super) fn abandon(&self) {
        self.orders.lock().abandon = true;
        self.wake.notify_all();
    }

    /// The thread ends, whatever the reason.
    pub(super) fn end(&self) {
        self.orders.lock().ended = true;
        self.wake.notify_all();
    }

    /// Waits for the thread to end; gives what is left of the limit, `None`: it has not.
    #[expect(clippy::disallowed_methods, reason = "measures its own wait")]
    pub(super) fn wait_for_end(&self, limit: Duration) -> Option<Duration> {
        let since = std::time::Instant::now();
        let mut orders = self.orders.lock();
        self.wake.wait_while_for(&mut orders, |orders| !orders.ended, limit);
        orders.ended.then(|| limit.saturating_sub(since.elapsed()))
    }
}
