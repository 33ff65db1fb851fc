//! As many buyers at once as there are connections; each takes the next wish when it has an answer.
//!
//! With one connection the wishes are asked for strictly in their order.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;

use super::ask::Trouble;
use super::caller::{Caller, Target};
use super::purchase::{Outcome, Wish, buy};
use super::stopwatch::Stopwatch;

/// Hears each outcome once: which wish, what became of it, how long the buyer waited.
pub(crate) type Told<'a> = &'a mut dyn FnMut(usize, Outcome, Duration);

/// Calls `work` once for each number below `count`, on `connections` connections.
pub(crate) async fn spread<F: Future<Output = ()>>(
    target: &Target,
    connections: usize,
    count: usize,
    work: impl Fn(std::rc::Rc<Caller>, usize) -> F,
) {
    let next = Cell::new(0);
    let worker = async || {
        let caller = std::rc::Rc::new(Caller::new(target));
        loop {
            let number = next.get();
            if number >= count {
                break;
            }
            next.set(number + 1);
            work(std::rc::Rc::clone(&caller), number).await;
        }
    };
    join_all((0..connections.min(count)).map(|_| worker())).await;
}

/// Buys each wish once.
pub(crate) async fn buy_all(
    target: &Target,
    connections: usize,
    wishes: &[Wish],
    trouble: &Trouble,
    told: Told<'_>,
) {
    let told = RefCell::new(told);
    let told = &told;
    spread(target, connections, wishes.len(), |caller, number| async move {
        let Some(wish) = wishes.get(number) else { return };
        let asked = Stopwatch::start();
        let outcome = buy(&caller, wish, trouble).await;
        (told.borrow_mut())(number, outcome, asked.elapsed());
    })
    .await;
}
