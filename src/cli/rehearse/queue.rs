//! Which step is next: the first in the file's order whose chain has no other under way.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::Future;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::cli::play::caller::{Caller, Target};

/// The steps to come.
struct Queue {
    ready: RefCell<BinaryHeap<Reverse<usize>>>,
    /// By step: the one behind it in its chain.
    next: HashMap<usize, usize>,
    /// Steps nobody has taken yet.
    to_take: Cell<usize>,
    /// Told when a step becomes ready, and when none is left.
    moved: Notify,
}

/// Calls `work` once for each step, on so many connections; steps of one chain one after another.
pub(super) async fn work_off<F: Future<Output = ()>>(
    target: &Target,
    connections: usize,
    chains: &[Vec<usize>],
    work: impl Fn(Rc<Caller>, usize) -> F,
) {
    let queue = Queue::new(chains);
    let worker = async || {
        let caller = Rc::new(Caller::new(target));
        while let Some(number) = queue.take().await {
            work(Rc::clone(&caller), number).await;
            queue.done(number);
        }
    };
    join_all((0..connections.min(chains.len())).map(|_| worker())).await;
}

impl Queue {
    fn new(chains: &[Vec<usize>]) -> Self {
        let heads = chains.iter().filter_map(|chain| chain.first()).map(|head| Reverse(*head));
        let pairs = chains.iter().flat_map(|chain| chain.iter().zip(chain.iter().skip(1)));
        Self {
            ready: RefCell::new(heads.collect()),
            next: pairs.map(|(step, next)| (*step, *next)).collect(),
            to_take: Cell::new(chains.iter().map(Vec::len).sum()),
            moved: Notify::new(),
        }
    }

    async fn take(&self) -> Option<usize> {
        loop {
            if self.to_take.get() == 0 {
                return None;
            }
            let ready = self.ready.borrow_mut().pop();
            if let Some(Reverse(number)) = ready {
                self.to_take.set(self.to_take.get() - 1);
                if self.to_take.get() == 0 {
                    self.moved.notify_waiters();
                }
                return Some(number);
            }
            // All on one thread: nothing is told between the look above and this.
            self.moved.notified().await;
        }
    }

    fn done(&self, number: usize) {
        if let Some(next) = self.next.get(&number) {
            self.ready.borrow_mut().push(Reverse(*next));
            self.moved.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_in_order_and_those_of_a_chain_one_after_another() {
        let seen = RefCell::new(Vec::new());
        let (seen_ref, chains) = (&seen, [vec![0, 3, 4], vec![1], vec![2, 5]]);
        let work = |_, number| async move {
            seen_ref.borrow_mut().push(format!("{number} begins"));
            tokio::task::yield_now().await;
            seen_ref.borrow_mut().push(format!("{number} ends"));
        };
        let system = actix_rt::System::new();
        system.block_on(work_off(&Target::default(), 2, &chains, work));
        let place = |what: &str| seen.borrow().iter().position(|seen| seen == what).unwrap();
        assert_eq!(seen.borrow().len(), 12);
        for (before, after) in [(0, 3), (3, 4), (2, 5)] {
            assert!(place(&format!("{before} ends")) < place(&format!("{after} begins")));
        }
    }
}
