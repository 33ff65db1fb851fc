//! Asking the engine, and what its answers become.
//!
//! Only the engine says "not decided". A worker whose own patience ends, some time after the
//! engine's deadline, says "outcome unknown": the same key tells which, where there is one.

use std::pin::Pin;
use std::time::Duration;

use super::metrics::kind_of;
use super::problem::{Problem, ProblemType};
use super::worker::Worker;
use crate::domain::{Refusal, Sequence};
use crate::engine::ports::ProjectionUnavailable;
use crate::engine::{Answer, Request};
use crate::journal::{KeyStamp, ReadError, Record};

/// How much longer than the engine's deadline a worker waits: what was decided by then is on its
/// way to the disk.
const GRACE: Duration = Duration::from_millis(500);

/// A decision that is durable.
pub(super) struct Decided {
    pub(super) sequence: Sequence,
    pub(super) record: Box<Record>,
    /// It was made before, under the same key.
    pub(super) replayed: bool,
}

/// Has the engine decide.
///
/// # Errors
/// Whatever is not a durable decision.
pub(super) fn decide(
    worker: &Worker,
    request: Request,
) -> impl Future<Output = Result<Decided, Problem>> {
    let kind = kind_of(&request.action);
    let has_key = request.key.is_some();
    let patient_for = request.deadline + GRACE;
    // Before the future, which so need not hold the request.
    let submitted = worker.client.submit(request);
    async move {
        let answer = match submitted {
            Err(answer) => *answer,
            Ok(mut reply) => {
                let within = worker.patience.within(patient_for, Pin::new(&mut reply));
                within.await.unwrap_or(Answer::OutcomeUnknown)
            }
        };
        worker.meters.decided(kind, outcome_of(&answer));
        match answer {
            Answer::Decided { sequence, record, replayed } => {
                Ok(Decided { sequence, record, replayed })
            }
            // Only a key tells afterwards; without one, the state does.
            Answer::OutcomeUnknown if !has_key => Err(Problem::new(
                ProblemType::OutcomeUnknown,
                "it happened once or not at all: read what it changes, then decide",
            )),
            answer => Err(problem(answer)),
        }
    }
}

/// What is said of something that is not there, unless the key was used: that wins.
pub(super) fn unless_known(worker: &Worker, stamp: &KeyStamp, problem: Problem) -> Problem {
    match worker.client.key_reused(stamp) {
        true => Problem::key_reused(),
        false => problem,
    }
}

/// A record that is durable and cannot be read.
pub(super) fn unreadable(error: &ReadError) -> Problem {
    tracing::error!(%error, "a durable record cannot be read");
    let detail = "the record that holds the answer cannot be read now; ask again";
    Problem::new(ProblemType::OutcomeUnknown, detail)
}

/// What only the projection can list cannot be listed now.
pub(super) fn unavailable(error: &ProjectionUnavailable) -> Problem {
    Problem::new(ProblemType::DatabaseUnavailable, error.to_string())
}

fn problem(answer: Answer) -> Problem {
    match answer {
        Answer::Decided { .. } => unreachable!("a decision is no problem"),
        Answer::Refused(refusal) => refusal.into(),
        Answer::KeyReused => Problem::key_reused(),
        Answer::KeyInFlight => Problem::new(
            ProblemType::KeyInFlight,
            "the first request with this Idempotency-Key is not answered yet",
        ),
        Answer::Overloaded { detail } => Problem::new(ProblemType::Overloaded, detail),
        Answer::DiskLow { detail } => Problem::new(ProblemType::DiskLow, detail),
        Answer::Starting => Problem::new(ProblemType::Starting, "the log is still being read"),
        Answer::NotDecided => {
            Problem::new(ProblemType::NotDecided, "nothing happened; the deadline passed before it")
        }
        Answer::OutcomeUnknown => Problem::new(
            ProblemType::OutcomeUnknown,
            "ask again with the same Idempotency-Key: it tells what happened",
        ),
        Answer::Unreadable(error) => unreadable(&error),
    }
}

/// An answer as a label of metrics.
fn outcome_of(answer: &Answer) -> &'static str {
    match answer {
        Answer::Decided { replayed: false, .. } => "done",
        Answer::Decided { replayed: true, .. } => "replayed",
        Answer::Refused(Refusal::Lines(lines)) => {
            lines.first().map_or("refused", |line| refused(&line.refusal))
        }
        Answer::Refused(refusal) => refused(refusal),
        Answer::KeyReused => "key_reused",
        Answer::KeyInFlight => "key_in_flight",
        Answer::Overloaded { .. } => "overloaded",
        Answer::DiskLow { .. } => "disk_low",
        Answer::Starting => "starting",
        Answer::NotDecided => "not_decided",
        Answer::OutcomeUnknown | Answer::Unreadable(_) => "outcome_unknown",
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyExists => "already_exists",
        refusal => refusal.reason().map_or("invalid", crate::domain::RefusalReason::as_str),
    }
}
