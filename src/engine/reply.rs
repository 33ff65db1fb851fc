//! Replies: from the partition and the journal's thread back to the worker that waits.
//!
//! Each worker has one [`ReplyQueue`] and fills its own slots from it, so a batch costs one
//! cross-thread wake per worker, not one per request. A reply handle that is dropped says "not
//! decided"; a future that is dropped frees its slot, and the answer that comes later finds
//! nobody.

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

/// Answers on their way to one worker.
#[derive(Default)]
pub(super) struct ReplyQueue {
    answers: Mutex<Vec<(Ticket, Answer)>>,
    waker: AtomicWaker,
}

/// Which slot of a worker waits, and for which use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    index: usize,
    generation: u64,
}

/// The promise of one answer. Dropped unanswered, it says "not decided".
pub struct ReplyHandle {
    queue: Arc<ReplyQueue>,
    ticket: Ticket,
    answered: bool,
}

/// The waiting side, one per worker thread.
#[derive(Clone, Default)]
pub struct Replies {
    queue: Arc<ReplyQueue>,
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
}

impl ReplyQueue {
    /// Wakes the worker, if it sleeps.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }
}

impl ReplyHandle {
    /// Answers without waking; give the queue a [`ReplyQueue::wake`] when a batch is done.
    pub(super) fn put(mut self, answer: Answer) -> Arc<ReplyQueue> {
        self.answered = true;
        self.queue.answers.lock().push((self.ticket, answer));
        Arc::clone(&self.queue)
    }

    /// Answers and wakes the worker.
    pub fn answer(self, answer: Answer) {
        self.put(answer).wake();
    }
}

impl Drop for ReplyHandle {
    fn drop(&mut self) {
        if !self.answered {
            self.queue.answers.lock().push((self.ticket, Answer::NotDecided));
            self.queue.wake();
        }
    }
}

impl Replies {
    /// A slot and the promise to fill it.
    #[must_use]
    pub fn wait(&self) -> (ReplyHandle, Reply) {
        let mut slots = self.slots.borrow_mut();
        slots.generation += 1;
        let generation = slots.generation;
        let index = slots.waiting.insert(Waiting { generation, answer: None, waker: None });
        let ticket = Ticket { index, generation };
        let queue = Arc::clone(&self.queue);
        let handle = ReplyHandle { queue, ticket, answered: false };
        (handle, Reply { slots: Rc::clone(&self.slots), ticket })
    }

    /// Fills slots from the queue for as long as the worker lives: spawn it once per worker.
    pub fn deliver(&self) -> impl Future<Output = ()> + use<> {
        let replies = self.clone();
        poll_fn(move |context| {
            replies.queue.waker.register(context.waker());
            replies.drain();
            Poll::Pending
        })
    }

    /// Fills slots from the queue once; gives how many answers there were.
    pub fn drain(&self) -> usize {
        let mut slots = self.slots.borrow_mut();
        let mut drained = std::mem::take(&mut slots.drained);
        std::mem::swap(&mut *self.queue.answers.lock(), &mut drained);
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
        self.slots.borrow_mut().waiting.try_remove(self.ticket.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_finds_its_slot() {
        let replies = Replies::default();
        let (first, waits_first) = replies.wait();
        let (second, waits_second) = replies.wait();
        second.answer(Answer::OutcomeUnknown);
        assert_eq!(replies.drain(), 1);
        assert!(waits_first.take().is_none());
        assert!(matches!(waits_second.take(), Some(Answer::OutcomeUnknown)));
        drop(first);
        replies.drain();
        assert!(matches!(waits_first.take(), Some(Answer::NotDecided)), "dropped: not decided");
    }

    #[test]
    fn late_answer_does_not_reach_the_next_user_of_the_slot() {
        let replies = Replies::default();
        let (late, gone) = replies.wait();
        drop(gone);
        let (handle, next) = replies.wait();
        late.answer(Answer::OutcomeUnknown);
        replies.drain();
        assert!(next.take().is_none());
        handle.answer(Answer::KeyReused);
        replies.drain();
        assert!(matches!(next.take(), Some(Answer::KeyReused)));
    }
}
