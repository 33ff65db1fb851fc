//! What a client is told, in words of the witness.

/// What one attempt came to, for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It happened.
    Done {
        /// Where its record is.
        sequence: u64,
        /// It happened before, under the same key.
        replayed: bool,
        /// Checksum of the record that the answer shows.
        checksum: u32,
    },
    /// It was refused.
    Refused(Said),
    /// The key came with another body.
    KeyReused,
    /// The key's first attempt is not answered.
    KeyInFlight,
    /// Nothing was decided.
    TurnedAway,
    /// It happened once or not at all.
    Unknown,
}

/// A product's part of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Place of its first line.
    pub line: usize,
    /// Why.
    pub said: Said,
}

/// A refusal with its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Fewer units than asked for.
    SoldOut {
        /// Units that could be had.
        available: u64,
        /// Units asked for.
        requested: u64,
    },
    /// Over the buyer's limit.
    LimitReached {
        /// The limit.
        limit: u32,
        /// Units the buyer has.
        bought: u64,
        /// Units asked for.
        requested: u64,
    },
    /// Before its window.
    NotOpen {
        /// When it begins.
        opens_at_ms: u64,
    },
    /// After its window.
    Closed {
        /// When it ended.
        closes_at_ms: u64,
    },
    /// The product or all selling is paused.
    Paused,
    /// The product is there already.
    AlreadyExists,
    /// Another figure than expected.
    StockChanged {
        /// What it is.
        unsold: i64,
    },
    /// The promise would break.
    WouldOversell {
        /// Units missing.
        shortfall: u64,
    },
    /// Other terms than the caller saw.
    PreconditionFailed {
        /// Their version.
        terms_version: u32,
    },
    /// No such hold.
    UnknownHold,
    /// The hold ended: `confirmed`, `released` or `expired`.
    HoldEnded(&'static str),
    /// Nothing of what is named is left of the order.
    AlreadyCancelled,
    /// Several products fail together.
    Lines(Vec<RefusedLine>),
    /// A refusal that rests on the request alone, or on what the witness does not count.
    Other,
}
