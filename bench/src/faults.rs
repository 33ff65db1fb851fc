//! What a check found wrong: exact counts, and the first few in words.

use serde::Serialize;

/// Faults that are told in words; the rest are counted.
const TOLD_MAX: usize = 20;

/// Which promise a fault breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An answer said it happened; the log does not have it.
    Lost,
    /// One key, more than one outcome.
    Doubled,
    /// `held + sold > stock + oversell_limit`.
    Oversold,
    /// The log has what nobody asked for, or what was refused.
    Invented,
    /// Two answers, or an answer and the log, disagree.
    Contradicted,
    /// The log does not hold together by itself.
    Broken,
    /// An answer left before what it says was on stable storage.
    Early,
    /// Something kept a purchase from being sold in time that must not.
    Refused,
    /// The database differs from the log.
    Projection,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which promise.
    pub kind: FaultKind,
    /// Where, with its figures.
    pub detail: String,
}

/// Everything a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    total: u64,
    by_kind: std::collections::BTreeMap<FaultKind, u64>,
    first: Vec<Fault>,
}

impl Faults {
    /// Adds a fault; `detail` is called while faults are still told.
    pub fn add(&mut self, kind: FaultKind, detail: impl FnOnce() -> String) {
        self.total += 1;
        *self.by_kind.entry(kind).or_insert(0) += 1;
        if self.first.len() < TOLD_MAX {
            self.first.push(Fault { kind, detail: detail() });
        }
    }

    /// Adds what another check found.
    pub fn add_all(&mut self, others: &Self) {
        self.total += others.total;
        for (kind, count) in &others.by_kind {
            *self.by_kind.entry(*kind).or_insert(0) += count;
        }
        let room = TOLD_MAX.saturating_sub(self.first.len());
        self.first.extend(others.first.iter().take(room).cloned());
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of a kind.
    #[must_use]
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.by_kind.get(&kind).copied().unwrap_or(0)
    }

    /// The first ones.
    #[must_use]
    pub fn first(&self) -> &[Fault] {
        &self.first
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for fault in &self.first {
            writeln!(f, "  {:?}: {}", fault.kind, fault.detail)?;
        }
        match self.total - self.first.len() as u64 {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}
