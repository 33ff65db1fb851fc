//! The open loop: requests are due at a constant rate, whatever the server does.
//!
//! ```text
//! tick ─► all that are due ─► a free connection, longest free first
//!                        └──► else a queue, oldest first; a connection that is free again takes from it
//! ```
//!
//! Latency counts from when a request was due, so time in the queue and a late tick are part of it. What
//! was due within the measured time counts, whenever its answer comes. What has not left when draining
//! ends is told as unsent.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::shared::{DRAIN, Sent, Shared};
use super::ticks::Ticks;
use crate::connection::Connection;

/// Ticks come no more often: what is due meanwhile leaves together.
const TICK_MIN: Duration = Duration::from_micros(100);
const TICK_MAX: Duration = Duration::from_millis(20);
const POLL: Duration = Duration::from_millis(5);

/// What is due and who is free.
#[derive(Default)]
struct Desk {
    waiting: RefCell<VecDeque<Instant>>,
    free: RefCell<VecDeque<Rc<Place>>>,
    /// What was due and has no answer yet.
    unanswered: Cell<u64>,
}

/// Where a connection waits for what is due.
#[derive(Default)]
struct Place {
    due: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

/// Sends what is due until the time or the requests are over, and awaits the answers.
pub(super) async fn drive(
    connections: Vec<Connection>,
    shared: &Rc<Shared>,
    rate: f64,
) -> anyhow::Result<()> {
    let desk = Rc::new(Desk::default());
    for connection in connections {
        tokio::task::spawn_local(turns(connection, Rc::clone(shared), Rc::clone(&desk)));
    }
    // They take their places.
    tokio::task::yield_now().await;
    schedule(shared, &desk, rate).await?;
    let until = Instant::now() + DRAIN;
    while desk.unanswered.get() > 0 && Instant::now() < until {
        tokio::time::sleep(POLL).await;
    }
    let unsent = desk.waiting.take().len() as u64;
    let mut tally = shared.tally.borrow_mut();
    tally.lag.unsent += unsent;
    tally.errors += desk.unanswered.get().saturating_sub(unsent);
    Ok(())
}

async fn schedule(shared: &Shared, desk: &Desk, rate: f64) -> anyhow::Result<()> {
    let between = Duration::from_secs_f64(1.0 / rate);
    let ticks = Ticks::start(between.clamp(TICK_MIN, TICK_MAX)).context("no timer")?;
    let time = (shared.until - shared.start).as_secs_f64();
    let all = ((time * rate) as u64).min(shared.requests_max);
    for number in 0..all {
        let due = shared.start + Duration::from_secs_f64(number as f64 / rate);
        while Instant::now() < due {
            ticks.next().await.context("the timer")?;
        }
        desk.put(due);
    }
    Ok(())
}

impl Desk {
    /// Hands over what is due, or lets it wait.
    fn put(&self, due: Instant) {
        self.unanswered.set(self.unanswered.get() + 1);
        let Some(place) = self.free.borrow_mut().pop_front() else {
            self.waiting.borrow_mut().push_back(due);
            return;
        };
        place.due.set(Some(due));
        if let Some(waker) = place.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The next that is due, for this connection.
    async fn take(&self, place: &Rc<Place>) -> Instant {
        if let Some(due) = self.waiting.borrow_mut().pop_front() {
            return due;
        }
        self.free.borrow_mut().push_back(Rc::clone(place));
        poll_fn(|context| {
            place.due.take().map_or_else(
                || {
                    *place.waker.borrow_mut() = Some(context.waker().clone());
                    Poll::Pending
                },
                Poll::Ready,
            )
        })
        .await
    }
}

/// The life of one connection.
async fn turns(mut connection: Connection, shared: Rc<Shared>, desk: Rc<Desk>) {
    let place = Rc::new(Place::default());
    let mut request = Vec::new();
    loop {
        let due = desk.take(&place).await;
        let Some(kind) = shared.next(&mut request) else { break };
        let measured = due >= shared.from;
        if measured {
            shared.tally.borrow_mut().left(due.elapsed());
        }
        let sent = Sent { kind, since: due, measured: Some(measured) };
        let (goes_on, _) = shared.exchange(&mut connection, &request, sent).await;
        desk.unanswered.set(desk.unanswered.get() - 1);
        if !goes_on {
            match shared.reconnect().await {
                Some(another) => connection = another,
                None => break,
            }
        }
    }
}
