//! Places: of a record in its journal, of a change in its product's history.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Place of a record in its journal: from 1, no gaps, never reused once durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(u64);

/// Place of a change in its product's history: from 1, no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(u64);

/// A product's small number inside its partition, given at creation: from 0, no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Handle(u32);

/// One product changed by a decision, and the version the change has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which product.
    pub handle: Handle,
    /// Its version after the change.
    pub version: Version,
}

/// Where and when a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordAt {
    /// Its place in the journal.
    pub sequence: Sequence,
    /// When it was decided.
    pub at_ms: u64,
}

/// The products one decision changes; a purchase's single one needs no allocation.
pub type Changes = SmallVec<[Change; 1]>;

impl Sequence {
    /// The place by its number; 0 stands for "before the first".
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Version {
    /// Before any change.
    pub const NONE: Self = Self(0);

    /// The place by its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Handle {
    /// The handle by its number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
