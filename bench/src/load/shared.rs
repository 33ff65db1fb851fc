//! What all connections of a thread share: its plan in moments, its maker of requests, its tally.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::maker::Maker;
use super::tally::Tally;
use super::work::Kind;
use super::{LoadPlan, share};
use crate::connection::Connection;

/// How long answers in flight at the end are awaited.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// A thread's own part of a run.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    /// Everything begins.
    pub(super) start: Instant,
    /// Measuring begins.
    pub(super) from: Instant,
    /// Measuring and sending end.
    pub(super) until: Instant,
    pub(super) tally: RefCell<Tally>,
    /// Requests of this thread.
    pub(super) requests_max: u64,
    maker: RefCell<Maker>,
    taken: Cell<u64>,
    /// Threads, and which this is: they take numbers in turns, so that no key comes twice.
    threads: u64,
    nth: u64,
}

/// A request on its way.
pub(super) struct Sent {
    pub(super) kind: Kind,
    /// From when its latency counts.
    pub(super) since: Instant,
    /// Whether it counts, where that is known before its answer comes.
    pub(super) measured: Option<bool>,
}

impl Shared {
    pub(super) fn new(plan: &LoadPlan, nth: usize, start: Instant) -> anyhow::Result<Self> {
        let from = start + plan.warm_up;
        let seed = plan.seed.wrapping_add(nth as u64);
        Ok(Self {
            address: plan.address,
            start,
            from,
            until: from + plan.measured,
            tally: RefCell::default(),
            requests_max: share(plan.requests_max, plan.threads, nth),
            maker: RefCell::new(Maker::new(&plan.products, &plan.mix, &plan.key_prefix, seed)),
            taken: Cell::new(0),
            threads: plan.threads as u64,
            nth: nth as u64,
        })
    }

    /// Makes the next request; `None`: all were made.
    pub(super) fn next(&self, out: &mut Vec<u8>) -> Option<Kind> {
        let number = self.taken.get();
        if number >= self.requests_max {
            return None;
        }
        self.taken.set(number + 1);
        Some(self.maker.borrow_mut().make(number * self.threads + self.nth, out))
    }

    /// Sends a request and counts its answer. Gives whether the connection can go on.
    pub(super) async fn exchange(
        &self,
        connection: &mut Connection,
        request: &[u8],
        sent: Sent,
    ) -> (bool, Instant) {
        let answer = connection.exchange(request).await;
        let now = Instant::now();
        let mut tally = self.tally.borrow_mut();
        match answer {
            Ok(answer) => {
                let in_time = (self.from..self.until).contains(&now);
                let measured = sent.measured.unwrap_or(in_time);
                tally.answered(sent.kind, &answer.head, measured.then(|| now - sent.since));
                let expected = answer.head.status == sent.kind.expected_status();
                if in_time {
                    tally.heard_at(now, self.from);
                    // What was due earlier and is only answered now would make up for a stall.
                    tally.in_time += u64::from(expected && measured);
                }
                if expected {
                    self.maker.borrow_mut().heard(sent.kind, answer.body);
                }
                (!answer.head.close, now)
            }
            Err(error) => {
                tally.failed(sent.kind, &error);
                (false, now)
            }
        }
    }

    /// A connection in the place of one that is of no further use; failures are counted.
    pub(super) async fn reconnect(&self) -> Option<Connection> {
        match Connection::open(self.address).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                self.tally.borrow_mut().lost(&error);
                None
            }
        }
    }
}
