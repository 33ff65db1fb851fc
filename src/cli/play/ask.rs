//! One request, asked until its outcome is known: the same key every time.
//!
//! What was not heard of is asked again after a pause, `Retry-After` respected up to 5 s, until
//! the patience ends. A request that was acted on although nobody heard of it is told apart from
//! one that was not: its answer comes as replayed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::caller::{CallError, Caller, Reply};
use super::stopwatch::Stopwatch;

/// How long a buyer's request is asked for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// Answers that say that nothing was decided, or not yet heard: the same key asks again.
const ASK_AGAIN: &[&str] = &["key-in-flight", "request-timeout"];

/// What stood between the requests and their outcomes.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    retries: RefCell<BTreeMap<String, u64>>,
    unknown: Cell<u64>,
    had_happened: Cell<u64>,
    had_not: Cell<u64>,
    in_flight: Cell<u64>,
}

/// [`Trouble`] as figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TroubleReport {
    /// Attempts that had to be made again, by what they met.
    pub(crate) retries: BTreeMap<String, u64>,
    /// Requests whose outcome was unknown at least once.
    pub(crate) unknown_outcomes: u64,
    /// Of these: it had happened, and the retry told so.
    pub(crate) had_happened: u64,
    /// Of these: it had not happened, and the retry decided it.
    pub(crate) had_not_happened: u64,
}

/// An answer that stands.
pub(crate) struct Heard {
    /// The answer.
    pub(crate) reply: Reply,
    /// Whether an attempt before it may have been acted on without being heard of.
    unknown: bool,
}

/// No answer that stands came in time.
#[derive(Debug, thiserror::Error)]
#[error("no outcome within {} s: {why}", patience.as_secs())]
pub(crate) struct NeverHeard {
    why: String,
    patience: Duration,
    /// Whether an attempt may have been acted on without being heard of.
    pub(crate) unknown: bool,
}

impl Trouble {
    /// Requests that wait for an answer at this moment.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    /// The figures.
    pub(crate) fn report(&self) -> TroubleReport {
        TroubleReport {
            retries: self.retries.borrow().clone(),
            unknown_outcomes: self.unknown.get(),
            had_happened: self.had_happened.get(),
            had_not_happened: self.had_not.get(),
        }
    }

    fn again(&self, why: &str) {
        *self.retries.borrow_mut().entry(why.to_owned()).or_default() += 1;
    }

    /// Counts how an outcome that was unknown is told in the end.
    fn resolve(&self, heard: &Result<Heard, NeverHeard>) {
        match heard {
            Ok(Heard { reply, unknown: true }) => {
                add_one(&self.unknown);
                match reply.status {
                    200 | 201 if reply.replayed => add_one(&self.had_happened),
                    200 | 201 | 409 => add_one(&self.had_not),
                    _ => {}
                }
            }
            Err(NeverHeard { unknown: true, .. }) => add_one(&self.unknown),
            _ => {}
        }
    }
}

impl Heard {
    /// Whether an earlier run under the same id did it: the first attempt of this run was told so.
    pub(crate) fn of_earlier_run(&self) -> bool {
        self.reply.replayed && !self.unknown
    }
}

fn add_one(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// Asks under one key until there is an answer that stands, as long as a buyer would.
///
/// # Errors
/// The patience ended.
pub(crate) async fn ask(
    caller: &Caller,
    path: &str,
    key: &str,
    body: &Value,
    trouble: &Trouble,
) -> Result<Heard, NeverHeard> {
    ask_for(PATIENCE, caller, path, key, body, trouble).await
}

/// As [`ask`], for as long as `patience`.
///
/// # Errors
/// The patience ended.
pub(crate) async fn ask_for(
    patience: Duration,
    caller: &Caller,
    path: &str,
    key: &str,
    body: &Value,
    trouble: &Trouble,
) -> Result<Heard, NeverHeard> {
    add_one(&trouble.in_flight);
    let heard = ask_patiently(patience, caller, path, key, body, trouble).await;
    trouble.in_flight.set(trouble.in_flight.get() - 1);
    trouble.resolve(&heard);
    heard
}

async fn ask_patiently(
    patience: Duration,
    caller: &Caller,
    path: &str,
    key: &str,
    body: &Value,
    trouble: &Trouble,
) -> Result<Heard, NeverHeard> {
    let (since, mut pause, mut unknown) = (Stopwatch::start(), PAUSE_FIRST, false);
    loop {
        let (why, wait) = match caller.post(path, key, body).await {
            Ok(reply) if !asks_again(&reply) => return Ok(Heard { reply, unknown }),
            Ok(reply) => {
                unknown |= reply.problem() == "outcome-unknown";
                (format!("{} {}", reply.status, reply.problem()), reply.retry_after)
            }
            Err(CallError::NotSent(_)) => ("not connected".to_owned(), None),
            Err(CallError::Unheard(_)) => {
                unknown = true;
                ("connection lost".to_owned(), None)
            }
        };
        trouble.again(why.trim());
        if since.elapsed() > patience {
            return Err(NeverHeard { why, patience, unknown });
        }
        tokio::time::sleep(wait.unwrap_or(pause).min(RETRY_AFTER_MAX)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether an answer decides nothing.
pub(super) fn asks_again(reply: &Reply) -> bool {
    reply.status == 503 || ASK_AGAIN.contains(&reply.problem())
}
