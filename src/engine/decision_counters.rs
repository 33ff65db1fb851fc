//! `decisions_total{kind,outcome}`: handles are looked up once, so that counting costs one atomic
//! addition.

use metrics::Counter;

use super::answer::Action;
use crate::domain::{Refusal, RefusalReason};
use crate::journal::Kind;
use crate::telemetry::DECISIONS;

const KINDS: [Kind; 4] =
    [Kind::ProductCreated, Kind::TermsChanged, Kind::StockAdjusted, Kind::OrderPlaced];

/// Counters of one thread; make them once the process's recorder is installed.
#[derive(Clone)]
pub(super) struct DecisionCounters {
    kinds: [Outcomes; KINDS.len()],
}

#[derive(Clone)]
struct Outcomes {
    decided: Counter,
    /// By [`RefusalReason`].
    refused: [Counter; RefusalReason::ALL.len()],
    /// Refusals that are no counted reason.
    other: Counter,
}

impl DecisionCounters {
    pub(super) fn new() -> Self {
        Self { kinds: KINDS.map(Outcomes::of) }
    }

    /// So many records of this kind are durable.
    pub(super) fn decided(&self, kind: Kind, count: u64) {
        if let Some(outcomes) = self.outcomes(kind) {
            outcomes.decided.increment(count);
        }
    }

    /// A command was refused.
    pub(super) fn refused(&self, kind: Kind, refusal: &Refusal) {
        let Some(outcomes) = self.outcomes(kind) else { return };
        let reason = refusal.reason().map(|reason| usize::from(u8::from(reason)));
        let counter = reason.and_then(|number| outcomes.refused.get(number));
        counter.unwrap_or(&outcomes.other).increment(1);
    }

    fn outcomes(&self, kind: Kind) -> Option<&Outcomes> {
        let place = KINDS.iter().position(|known| *known == kind)?;
        self.kinds.get(place)
    }
}

impl Outcomes {
    fn of(kind: Kind) -> Self {
        let counter = |outcome: &'static str| metrics::counter!(DECISIONS, "kind" => kind.as_str(), "outcome" => outcome);
        Self {
            decided: counter("decided"),
            refused: RefusalReason::ALL.map(|reason| counter(reason.as_str())),
            other: counter("refused"),
        }
    }
}

impl Action {
    /// The kind of record it makes when it is decided.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Create(_) => Kind::ProductCreated,
            Self::ChangeTerms(_) => Kind::TermsChanged,
            Self::Adjust(_) => Kind::StockAdjusted,
            Self::Order(_) => Kind::OrderPlaced,
        }
    }
}
