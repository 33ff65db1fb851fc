//! Waiting with a limit, cheaply: one coarse timer per worker instead of one per request.
//!
//! A future that is done at its first poll costs nothing here. Otherwise it takes a place in a
//! list that a single task looks through every [`TICK`]: limits are kept to within that.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use slab::Slab;
use tokio::sync::Notify;

/// How coarse limits are.
const TICK: Duration = Duration::from_millis(25);

/// The waiting of one worker.
#[derive(Clone, Default)]
pub(super) struct Patience {
    list: Rc<List>,
}

#[derive(Default)]
struct List {
    waiting: RefCell<Slab<(Instant, Waker)>>,
    /// The task sleeps because nobody waits.
    resting: Cell<bool>,
    rouse: Notify,
}

/// The limit came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elapsed;

/// Reads the clock.
#[expect(clippy::disallowed_methods, reason = "measures how long a client waits, decides nothing")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The time of the kernel's last tick, which is within a few milliseconds of [`now`] and costs about
/// half of it: for limits of seconds, looked at with every request.
pub(super) fn recently() -> Instant {
    static BASE: LazyLock<(Instant, Duration)> = LazyLock::new(|| (now(), ticked()));
    let (base, ticked_then) = *BASE;
    base + ticked().saturating_sub(ticked_then)
}

/// What the kernel's coarse clock says, which moves with its ticks and never goes back.
fn ticked() -> Duration {
    clock_gettime(ClockId::MonotonicCoarse).try_into().unwrap_or_default()
}

impl Patience {
    /// Waits for `future`, at most for `wait` from its first poll on.
    pub(super) async fn within<F: Future>(
        &self,
        wait: Duration,
        mut future: Pin<&mut F>,
    ) -> Result<F::Output, Elapsed> {
        // Read when it has to wait: most do not.
        let mut until = None;
        let mut place = Place { list: &self.list, index: None };
        std::future::poll_fn(move |context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let now = recently();
            let until = *until.get_or_insert(now + wait);
            if place.index.is_some() && now >= until {
                return Poll::Ready(Err(Elapsed));
            }
            place.take(until, context);
            Poll::Pending
        })
        .await
    }

    /// Looks after those who wait, for as long as the worker lives: spawn it once per worker.
    pub(super) fn keep(&self) -> impl Future<Output = ()> + use<> {
        let list = Rc::clone(&self.list);
        async move {
            loop {
                if list.waiting.borrow().is_empty() {
                    list.resting.set(true);
                    list.rouse.notified().await;
                    list.resting.set(false);
                }
                tokio::time::sleep(TICK).await;
                list.wake_late();
            }
        }
    }
}

impl List {
    fn wake_late(&self) {
        let now = recently();
        for (_, (until, waker)) in self.waiting.borrow().iter() {
            if *until <= now {
                waker.wake_by_ref();
            }
        }
    }
}

/// A place in the list; leaves with its future.
struct Place<'a> {
    list: &'a List,
    index: Option<usize>,
}

impl Place<'_> {
    fn take(&mut self, until: Instant, context: &Context<'_>) {
        let mut waiting = self.list.waiting.borrow_mut();
        match self.index.and_then(|index| waiting.get_mut(index)) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => {
                self.index = Some(waiting.insert((until, context.waker().clone())));
                if self.list.resting.get() {
                    self.list.rouse.notify_one();
                }
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            self.list.waiting.borrow_mut().try_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn on_a_worker<F: Future>(then: impl FnOnce(Patience) -> F) -> F::Output {
        let patience = Patience::default();
        let keep = patience.keep();
        actix_rt::System::new().block_on(async move {
            actix_rt::spawn(keep);
            then(patience).await
        })
    }

    #[test]
    fn what_never_comes_is_given_up() {
        let waited = on_a_worker(|patience| async move {
            let never = pin!(std::future::pending::<()>());
            patience.within(Duration::from_millis(60), never).await
        });
        assert_eq!(waited, Err(Elapsed));
    }

    #[test]
    fn what_comes_in_time_is_taken_and_leaves_no_trace() {
        on_a_worker(|patience| async move {
            let slow = async {
                tokio::task::yield_now().await;
                7
            };
            assert_eq!(patience.within(Duration::from_secs(5), pin!(slow)).await, Ok(7));
            assert!(patience.list.waiting.borrow().is_empty());
        });
    }
}
