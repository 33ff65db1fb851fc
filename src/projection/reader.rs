//! Reads the tables for others: orders and histories, page by page.
//!
//! ```text
//! http ── question ──► queue ──► reader's thread ── one transaction ──► PostgreSQL / SQLite
//!   ▲     (bounded)              (its own connection, read-only, limited in time)
//!   └──────── answer: a future that the thread completes
//! ```
//!
//! Owns: the queue and the threads, one for each connection; the projector has its own.
//! Invariants: asking never waits and costs no IO. What comes is of one moment, of this log, and
//! from tables that the projector has compared with it; otherwise the answer is why not.

mod pages;
mod postgres;
mod sqlite;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use self::pages::RawMovement;
use super::options::StoreConfig;
use super::status::Status;
use super::store::{Progress, StoreError};
use crate::engine::ports::{
    Asked, HistoryPage, HistoryQuery, OrderPage, OrderQuery, OrderReader, ProjectionUnavailable,
};
use crate::journal::Position;

/// Longest time one answer takes of a connection.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// Most questions that wait.
const QUESTIONS_MAX: usize = 256;

/// Connections to PostgreSQL. SQLite has one: its pages come from memory or this machine's disk.
const POSTGRES_CONNECTIONS: usize = 2;

type Answer<T> = oneshot::Sender<Result<T, ProjectionUnavailable>>;

enum Question {
    Orders(OrderQuery, Answer<OrderPage>),
    History(HistoryQuery, Answer<HistoryPage>),
}

/// Tables as one thread reads them: each call is one transaction, with `progress` in it.
trait Tables: Send {
    /// Ids of orders, newest first, one more than the page has if there are more.
    fn orders(&mut self, partition: u16, query: &OrderQuery) -> Result<Rows<String>, StoreError>;

    /// Movements, newest first, one more than the page has if there are more.
    fn history(
        &mut self,
        partition: u16,
        query: &HistoryQuery,
    ) -> Result<Rows<RawMovement>, StoreError>;
}

/// Rows of one moment.
struct Rows<R> {
    /// How far the tables were.
    progress: Option<Progress>,
    rows: Vec<R>,
}

/// What asks the threads; they end with it.
pub(super) struct Reader {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    questions: VecDeque<Question>,
    ended: bool,
}

/// Starts the threads. They connect when first asked.
///
/// # Errors
/// The system has no thread or file left.
pub(super) fn start(config: &StoreConfig, status: &Arc<Status>) -> std::io::Result<Reader> {
    let tables: Vec<Box<dyn Tables>> = match config {
        StoreConfig::Sqlite { path } => vec![Box::new(sqlite::SqliteTables::new(path))],
        StoreConfig::Postgres { url, schema } => {
            let new = |_| postgres::PostgresTables::new(url, schema, READ_LIMIT);
            let tables = (0..POSTGRES_CONNECTIONS).map(new);
            tables.map(|tables| Ok(Box::new(tables?) as _)).collect::<std::io::Result<_>>()?
        }
    };
    // Made first: should a thread not start, dropping it ends those that did.
    let reader = Reader { queue: Arc::default() };
    for tables in tables {
        let ends = Ends(Arc::clone(&reader.queue));
        let status = Arc::clone(status);
        let thread = std::thread::Builder::new().name("projection-reader".to_owned());
        thread.spawn(move || answer_all(&ends.0, tables, &status))?;
    }
    Ok(reader)
}

/// Ends the queue, also when a thread panics: who waits must hear of it.
struct Ends(Arc<Queue>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Queue {
    fn end(&self) {
        let mut waiting = self.waiting.lock();
        waiting.ended = true;
        waiting.questions.clear();
        self.wake.notify_all();
    }

    /// Waits for a question; `None`: there will be none.
    fn next(&self) -> Option<Question> {
        let mut waiting = self.waiting.lock();
        self.wake.wait_while(&mut waiting, |w| w.questions.is_empty() && !w.ended);
        waiting.questions.pop_front()
    }

    /// Puts a question, or says why not; then its asker hears that nothing reads.
    fn put(&self, question: Question) -> Result<(), &'static str> {
        let mut waiting = self.waiting.lock();
        if waiting.ended {
            return Err(ENDED);
        }
        if waiting.questions.len() >= QUESTIONS_MAX {
            return Err("too many questions wait for the database");
        }
        waiting.questions.push_back(question);
        self.wake.notify_one();
        Ok(())
    }
}

const ENDED: &str = "the reading of the database has ended";

impl Reader {
    fn ask<T: Send + 'static>(&self, question: impl FnOnce(Answer<T>) -> Question) -> Asked<T> {
        let (answer, answered) = oneshot::channel();
        if let Err(reason) = self.queue.put(question(answer)) {
            return Box::pin(std::future::ready(Err(unavailable(reason))));
        }
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(unavailable(ENDED))) })
    }
}

impl OrderReader for Reader {
    fn orders(&self, query: OrderQuery) -> Asked<OrderPage> {
        self.ask(|answer| Question::Orders(query, answer))
    }

    fn history(&self, query: HistoryQuery) -> Asked<HistoryPage> {
        self.ask(|answer| Question::History(query, answer))
    }
}

/// Answers until the queue ends. What nobody waits for any more is not read.
fn answer_all(queue: &Queue, mut tables: Box<dyn Tables>, status: &Status) {
    while let Some(question) = queue.next() {
        // Nobody may wait any more by the end either.
        match question {
            Question::Orders(query, answer) if !answer.is_closed() => {
                let limit = query.limit;
                let page = |ids, to| pages::order_page(ids, limit, to);
                let _ = answer.send(read(status, |at| tables.orders(at, &query), page));
            }
            Question::History(query, answer) if !answer.is_closed() => {
                let limit = query.limit;
                let page = |movements, to| pages::history_page(movements, limit, to);
                let _ = answer.send(read(status, |at| tables.history(at, &query), page));
            }
            Question::Orders(..) | Question::History(..) => {}
        }
    }
}

/// The page of rows that were read, if the tables are a copy of this log.
fn read<R, P>(
    status: &Status,
    rows: impl FnOnce(u16) -> Result<Rows<R>, StoreError>,
    page: impl FnOnce(Vec<R>, Position) -> Option<P>,
) -> Result<P, ProjectionUnavailable> {
    status.check_readable().map_err(|reason| unavailable(&reason))?;
    let journal = status.journal();
    let (ours, places) = (journal.identity(), journal.places());
    let rows = rows(ours.partition).map_err(|error| unavailable(&error.to_string()))?;
    let is_ours = |progress: &Progress| {
        let theirs = progress.identity;
        let sequence = progress.sequence;
        theirs.journal_id == ours.journal_id
            && theirs.partition == ours.partition
            && sequence <= journal.durable()
            && (sequence.get() == 0 || theirs.epoch == places.epoch_of(sequence))
    };
    let progress = rows.progress.filter(is_ours);
    let progress = progress.ok_or_else(|| unavailable("the tables are not a copy of this log"))?;
    let complete_to = places.position(progress.sequence);
    page(rows.rows, complete_to)
        .ok_or_else(|| unavailable("the tables hold what doorbuster did not write"))
}

fn unavailable(reason: &str) -> ProjectionUnavailable {
    ProjectionUnavailable { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::domain::Reference;
    use crate::engine::ports::OrdersOf;

    fn ask(reader: &Reader) -> Asked<OrderPage> {
        let of = OrdersOf::Reference(Reference::new("web-1").unwrap());
        reader.orders(OrderQuery { of, before: None, limit: 1 })
    }

    fn answer(asked: &mut Asked<OrderPage>) -> Option<String> {
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => Some(error.reason),
            Poll::Ready(Ok(page)) => panic!("nothing was read, but {page:?}"),
            Poll::Pending => None,
        }
    }

    #[test]
    fn questions_that_wait_are_bounded_and_hear_of_the_end() {
        let reader = Reader { queue: Arc::default() };
        let mut waiting: Vec<_> = (0..QUESTIONS_MAX).map(|_| ask(&reader)).collect();
        assert_eq!(answer(&mut ask(&reader)).unwrap(), "too many questions wait for the database");
        assert!(waiting.iter_mut().all(|asked| answer(asked).is_none()));
        drop(Ends(Arc::clone(&reader.queue)));
        assert!(waiting.iter_mut().all(|asked| answer(asked).unwrap() == ENDED));
        assert_eq!(answer(&mut ask(&reader)).unwrap(), ENDED);
        assert!(reader.queue.next().is_none());
    }
}
