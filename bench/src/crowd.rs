//! Many connections with one request in flight each, asking what a [`Shop`] says.
//!
//! All on the current thread's `LocalSet`. An exchange that fails leaves its request unknown; the
//! connection is opened again, until nobody listens any more.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinHandle;

use crate::connection::{Connection, ConnectionError};
use crate::shop::Shop;

/// How long an answer may take: far above any deadline of the server's.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// A shop without anything to ask for is asked again after this.
const NOTHING_TO_ASK: Duration = Duration::from_millis(2);

/// A shop that many connections share.
pub type SharedShop = Rc<RefCell<Shop>>;

/// Hears how long each answer took, and its status.
pub type Watch = Rc<dyn Fn(Instant, Duration, u16)>;

/// Connections that ask until they are told to stop, or nobody listens.
#[derive(Debug)]
pub struct Crowd {
    tasks: Vec<JoinHandle<()>>,
    state: Rc<State>,
}

#[derive(Debug, Default)]
struct State {
    stopping: Cell<bool>,
    /// Another thread may look at it.
    in_flight: Arc<AtomicUsize>,
    timed_out: Cell<u64>,
}

/// How a crowd asks.
#[derive(Clone, Default)]
pub struct Manners {
    /// Each connection begins a request this often; none: as soon as it has its answer.
    pub every: Option<Duration>,
    /// Hears of every answer.
    pub watch: Option<Watch>,
    /// How long an answer may take; none: far above any deadline of the server's.
    pub answer_limit: Option<Duration>,
}

impl Crowd {
    /// Opens `connections` connections. Call it in a `LocalSet`.
    #[must_use]
    pub fn open(
        address: SocketAddr,
        connections: usize,
        shop: &SharedShop,
        manners: &Manners,
    ) -> Self {
        let state = Rc::new(State::default());
        let ask = |_| {
            let (shop, state) = (Rc::clone(shop), Rc::clone(&state));
            let manners = manners.clone();
            tokio::task::spawn_local(async move { buyer(address, shop, state, manners).await })
        };
        let tasks = (0..connections).map(ask).collect();
        Self { tasks, state }
    }

    /// Requests sent and not answered yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.load(Ordering::Relaxed)
    }

    /// The same, for another thread to look at.
    #[must_use]
    pub fn in_flight_gauge(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.state.in_flight)
    }

    /// Requests that were given up because their answer took too long.
    #[must_use]
    pub fn timed_out(&self) -> u64 {
        self.state.timed_out.get()
    }

    /// Sends nothing more and waits for what is in flight; how many were given up in all.
    ///
    /// # Errors
    /// Answers do not come.
    pub async fn leave(self) -> anyhow::Result<u64> {
        self.state.stopping.set(true);
        let end = async {
            for task in self.tasks {
                task.await.context("a connection's task failed")?;
            }
            anyhow::Ok(self.state.timed_out.get())
        };
        match tokio::time::timeout(2 * ANSWER_LIMIT, end).await {
            Ok(ended) => ended,
            Err(_) => bail!("answers in flight did not end"),
        }
    }
}

async fn buyer(address: SocketAddr, shop: SharedShop, state: Rc<State>, manners: Manners) {
    let Ok(mut connection) = Connection::open(address).await else { return };
    let mut text = String::new();
    let mut turns = manners.every.map(tokio::time::interval);
    while !state.stopping.get() {
        if let Some(turns) = &mut turns {
            turns.tick().await;
        }
        let number = shop.borrow_mut().next_request();
        let Some(number) = number else {
            tokio::time::sleep(NOTHING_TO_ASK).await;
            continue;
        };
        shop.borrow().write(number, &mut text);
        state.in_flight.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        let limit = manners.answer_limit.unwrap_or(ANSWER_LIMIT);
        let after = exchange(&mut connection, &text, (number, limit), &shop, |status| {
            if let Some(watch) = &manners.watch {
                watch(sent, sent.elapsed(), status);
            }
        });
        let after = after.await;
        state.in_flight.fetch_sub(1, Ordering::Relaxed);
        state.timed_out.set(state.timed_out.get() + u64::from(after == After::TimedOut));
        if after != After::Usable {
            match Connection::open(address).await {
                Ok(another) => connection = another,
                Err(_) => return,
            }
        }
    }
}

/// What an attempt left a connection as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Usable,
    Broken,
    /// An answer may still come, and nobody waits for it.
    TimedOut,
}

/// One attempt at a request, by its number, within a time.
async fn exchange(
    connection: &mut Connection,
    text: &str,
    (number, limit): (u64, Duration),
    shop: &SharedShop,
    answered: impl FnOnce(u16),
) -> After {
    let answer = tokio::time::timeout(limit, connection.exchange(text.as_bytes())).await;
    match answer {
        Ok(Ok(answer)) => {
            answered(answer.head.status);
            shop.borrow_mut().hear(number, Some((answer.head, answer.body)));
            if answer.head.close { After::Broken } else { After::Usable }
        }
        Ok(Err(ConnectionError::Io(_) | ConnectionError::Closed(_))) => {
            shop.borrow_mut().hear(number, None);
            After::Broken
        }
        Err(_) => {
            shop.borrow_mut().hear(number, None);
            After::TimedOut
        }
        Ok(Err(ConnectionError::Malformed(what))) => {
            let mut shop = shop.borrow_mut();
            shop.faults.add(crate::faults::FaultKind::Contradicted, || {
                format!("request {number}: malformed answer: {what}")
            });
            shop.hear(number, None);
            After::Broken
        }
    }
}

/// Asks for every unknown outcome, one after another, until none is left.
///
/// # Errors
/// Nobody listens, or some stay unknown for longer than `limit`.
pub async fn resolve(
    address: SocketAddr,
    shop: &SharedShop,
    limit: Duration,
) -> anyhow::Result<()> {
    let until = Instant::now() + limit;
    let mut connection = Connection::open(address).await.context("cannot connect")?;
    let mut text = String::new();
    loop {
        let number = shop.borrow_mut().next_unknown();
        let Some(number) = number else { return Ok(()) };
        shop.borrow().write(number, &mut text);
        let attempt = exchange(&mut connection, &text, (number, ANSWER_LIMIT), shop, |_| {});
        if attempt.await != After::Usable {
            connection = Connection::open(address).await.context("cannot connect again")?;
        }
        if Instant::now() > until {
            bail!("request {number} and perhaps others stayed unknown for {limit:?}");
        }
    }
}

/// Creates a ware and waits until that is known.
///
/// # Errors
/// As [`resolve`].
pub async fn stock_up(
    address: SocketAddr,
    shop: &SharedShop,
    limit: Duration,
) -> anyhow::Result<()> {
    let number = shop.borrow_mut().new_ware();
    let mut text = String::new();
    shop.borrow().write(number, &mut text);
    let mut connection = Connection::open(address).await.context("cannot connect")?;
    exchange(&mut connection, &text, (number, ANSWER_LIMIT), shop, |_| {}).await;
    resolve(address, shop, limit).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;
    use crate::seeded::Seeded;
    use crate::shop::Mix;

    /// Takes requests; answers the first `answers` of them, hangs up on the next, then is gone.
    async fn peer(listener: TcpListener, answers: usize) {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut request = vec![0; 4096];
        for _ in 0..answers {
            assert!(stream.read(&mut request).await.expect("a request") > 0);
            let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.expect("a client");
        }
        assert!(stream.read(&mut request).await.expect("a request") > 0);
    }

    #[test]
    fn a_server_that_dies_leaves_its_request_unknown_and_ends_the_crowd() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let shop = Shop::new(Mix::Everything { wares_max: 3 }, Seeded::new(1));
        let shop = Rc::new(RefCell::new(shop));
        let test = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let serving = tokio::task::spawn_local(peer(listener, 1));
            let number = shop.borrow_mut().new_ware();
            let mut text = String::new();
            shop.borrow().write(number, &mut text);
            let mut connection = Connection::open(address).await.expect("a listener");
            let attempt = (number, ANSWER_LIMIT);
            let after = exchange(&mut connection, &text, attempt, &shop, |_| {}).await;
            assert_eq!(after, After::Usable);
            let number = shop.borrow_mut().new_ware();
            shop.borrow().write(number, &mut text);
            let attempt = (number, ANSWER_LIMIT);
            let after = exchange(&mut connection, &text, attempt, &shop, |_| {}).await;
            assert_eq!(after, After::Broken);
            serving.await.expect("a peer");
            let crowd = Crowd::open(address, 3, &shop, &Manners::default());
            crowd.leave().await.expect("nobody listens");
            let counts = shop.borrow().counts;
            assert_eq!((counts.requests, counts.done, counts.silent), (2, 1, 1));
            assert_eq!(shop.borrow_mut().next_unknown(), Some(number));
        };
        LocalSet::new().block_on(&runtime.expect("a runtime"), test);
    }
}
