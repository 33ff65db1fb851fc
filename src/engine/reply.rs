//! Replies: from the partition's thread back to the worker that waits.
//!
//! Each worker has one [`ReplyQueue`] and fills its own slots from it, so a batch costs one
//! cross-thread wake per worker, not one per request. A future that is dropped frees its slot, and
//! the answer that comes later finds nobody.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;
use slab::Slab;

use super::answer::Answer;
use super::link::Link;
#[cfg(feature = "planted")]
use crate::journal::{KeyStamp, Planted, planted};

/// Answers on their way to one worker.
#[derive(Default)]
pub(super) struct ReplyQueue {
    answers: Mutex<Vec<(Ticket, Answer)>>,
    waker: AtomicWaker,
}

/// Which slot of a worker waits, and for which use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    index: usize,
    generation: u64,
}

/// The waiting side, one per worker thread.
#[derive(Clone)]
pub struct Replies {
    link: Arc<Link>,
    slots: Rc<RefCell<Slots>>,
}

#[derive(Default)]
struct Slots {
    waiting: Slab<Waiting>,
    generation: u64,
    /// Swapped with the queue's: neither side allocates once warm.
    drained: Vec<(Ticket, Answer)>,
}

struct Waiting {
    generation: u64,
    answer: Option<Answer>,
    waker: Option<Waker>,
}

/// Waits for one answer.
pub struct Reply {
    slots: Rc<RefCell<Slots>>,
    ticket: Ticket,
    /// What [`Planted::FreeSlotOnTimeout`] frees.
    #[cfg(feature = "planted")]
    key: Option<(Arc<Link>, KeyStamp)>,
}

impl ReplyQueue {
    /// Answers without waking; give the queue a [`Self::wake`] when a batch is done.
    pub(super) fn put(&self, ticket: Ticket, answer: Answer) {
        self.answers.lock().push((ticket, answer));
    }

    /// As [`Self::put`], a whole batch; leaves `answers` empty, for use again.
    pub(super) fn put_all(&self, answers: &mut Vec<(Ticket, Answer)>) {
        let mut waiting = self.answers.lock();
        if waiting.is_empty() {
            std::mem::swap(&mut *waiting, answers);
        } else {
            waiting.append(answers);
        }
    }

    /// Wakes the worker, if it sleeps.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }
}

impl Replies {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, slots: Rc::default() }
    }

    /// A slot, and the ticket that says which.
    pub(super) fn wait(&self) -> (Ticket, Reply) {
        let mut slots = self.slots.borrow_mut();
        slots.generation += 1;
        let generation = slots.generation;
        let index = slots.waiting.insert(Waiting { generation, answer: None, waker: None });
        let ticket = Ticket { index, generation };
        let reply = Reply {
            slots: Rc::clone(&self.slots),
            ticket,
            #[cfg(feature = "planted")]
            key: None,
        };
        (ticket, reply)
    }

    /// Fills slots from the queue for as long as the worker lives: spawn it once per worker.
    pub fn deliver(&self) -> impl Future<Output = ()> + use<> {
        let replies = self.clone();
        poll_fn(move |context| {
            replies.link.queue.waker.register(context.waker());
            replies.drain();
            Poll::Pending
        })
    }

    /// Fills slots from the queue once; gives how many answers there were.
    pub fn drain(&self) -> usize {
        let mut slots = self.slots.borrow_mut();
        let mut drained = std::mem::take(&mut slots.drained);
        std::mem::swap(&mut *self.link.queue.answers.lock(), &mut drained);
        let count = drained.len();
        for (ticket, answer) in drained.drain(..) {
            let waiting = slots.waiting.get_mut(ticket.index);
            let Some(waiting) = waiting.filter(|slot| slot.generation == ticket.generation) else {
                continue;
            };
            waiting.answer = Some(answer);
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
        slots.drained = drained;
        count
    }
}

impl Reply {
    #[cfg(feature = "planted")]
    pub(super) fn with_key(mut self, link: &Arc<Link>, key: Option<KeyStamp>) -> Self {
        self.key = key.map(|key| (Arc::clone(link), key));
        self
    }

    /// The answer, if it came.
    #[must_use]
    pub fn take(&self) -> Option<Answer> {
        self.slots.borrow_mut().waiting.get_mut(self.ticket.index)?.answer.take()
    }
}

impl Future for Reply {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut slots = self.slots.borrow_mut();
        let waiting = slots.waiting.get_mut(self.ticket.index);
        let waiting = waiting.expect("a slot lives as long as its reply");
        match waiting.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        #[cfg(feature = "planted")]
        if let Some((link, key)) = self.key.take().filter(|_| planted(Planted::FreeSlotOnTimeout)) {
            link.core().idempotency.abandon(&key);
        }
        self.slots.borrow_mut().waiting.try_remove(self.ticket.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::link::Stake;

    fn replies() -> Replies {
        Replies::new(Arc::default())
    }

    #[test]
    fn answer_finds_its_slot() {
        let replies = replies();
        let ((_, waits_first), (second, waits_second)) = (replies.wait(), replies.wait());
        replies.link.queue.put(second, Answer::OutcomeUnknown);
        assert_eq!(replies.drain(), 1);
        assert!(waits_first.take().is_none());
        assert!(matches!(waits_second.take(), Some(Answer::OutcomeUnknown)));
    }

    #[test]
    fn batch_comes_after_what_was_put_before() {
        let replies = replies();
        let ((first, waits_first), (second, waits_second)) = (replies.wait(), replies.wait());
        let queue = &replies.link.queue;
        queue.put(first, Answer::NotDecided);
        let mut batch = vec![(second, Answer::OutcomeUnknown), (first, Answer::KeyReused)];
        queue.put_all(&mut batch);
        assert!(batch.is_empty());
        assert_eq!(replies.drain(), 3);
        assert!(matches!(waits_first.take(), Some(Answer::KeyReused)));
        assert!(matches!(waits_second.take(), Some(Answer::OutcomeUnknown)));
    }

    #[test]
    fn stake_that_is_dropped_says_not_decided() {
        let replies = replies();
        let (ticket, waits) = replies.wait();
        let mut stake = Stake::new(&replies.link, None);
        stake.promise(ticket);
        drop(stake);
        replies.drain();
        assert!(matches!(waits.take(), Some(Answer::NotDecided)));
    }

    #[test]
    fn late_answer_does_not_reach_the_next_user_of_the_slot() {
        let replies = replies();
        let (late, gone) = replies.wait();
        drop(gone);
        let (ticket, next) = replies.wait();
        replies.link.queue.put(late, Answer::OutcomeUnknown);
        replies.drain();
        assert!(next.take().is_none());
        replies.link.queue.put(ticket, Answer::KeyReused);
        replies.drain();
        assert!(matches!(next.take(), Some(Answer::KeyReused)));
    }
}
