//! Refusals: decisions that change nothing, each with its figures.
//!
//! To add one: a variant here, its check in `decide`, a case in `cases`, its problem in
//! `http::problem` and `docs/problems.md` (CONTRIBUTING.md walks through it).

use serde::{Deserialize, Serialize};

use super::holds::HoldEnd;
use super::terms::TermsError;

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Fewer units available than asked for.
    #[error("{available} units available, {requested} asked for")]
    SoldOut {
        /// Units that could be had.
        available: u64,
        /// Units asked for, over all lines of the product.
        requested: u64,
    },
    /// The buyer would have more than the limit.
    #[error("{limit} units a buyer, has {bought}, asks for {requested}")]
    LimitReached {
        /// Most units of one buyer.
        limit: u32,
        /// Units the buyer has.
        bought: u64,
        /// Units asked for.
        requested: u64,
    },
    /// The window has not begun.
    #[error("opens later")]
    NotOpen {
        /// When it does.
        opens_at_ms: u64,
    },
    /// The window is over.
    #[error("closed")]
    Closed {
        /// When it ended.
        closes_at_ms: u64,
    },
    /// Selling is paused.
    #[error("paused")]
    Paused,
    /// The product id is taken.
    #[error("the product exists already")]
    AlreadyExists,
    /// The guard of a set does not hold.
    #[error("{expected_unsold} unsold expected, {unsold} found")]
    StockChanged {
        /// What the caller expected.
        expected_unsold: i64,
        /// What it is.
        unsold: i64,
    },
    /// P1 would break.
    #[error("{shortfall} units short of what is held and sold")]
    WouldOversell {
        /// Units missing.
        shortfall: u64,
    },
    /// The terms are no longer the ones the caller saw.
    #[error("terms are at version {terms_version}")]
    PreconditionFailed {
        /// Version they have.
        terms_version: u32,
    },
    /// Terms that cannot stand.
    #[error("{error}")]
    InvalidTerms {
        /// Why not.
        error: TermsError,
    },
    /// A figure would no longer be exact in JSON.
    #[error("stock would pass {max}")]
    OverMaximum {
        /// Largest figure.
        max: u64,
    },
    /// A sale has as many products as one decision can change.
    #[error("a sale has at most {max} products")]
    SaleFull {
        /// Most products.
        max: u64,
    },
    /// No product has this handle or belongs to this sale.
    #[error("no such product")]
    UnknownProduct,
    /// Several lines fail together; every failing product is named.
    #[error("{} of the products cannot be had", .0.len())]
    Lines(Vec<RefusedLine>),
    /// The buyer has as many live holds as one may.
    #[error("{limit} live holds a buyer")]
    HoldsReached {
        /// Most live holds of one buyer.
        limit: u32,
    },
    /// Live holds have as many lines as there may be.
    #[error("live holds have at most {max} lines")]
    HoldsFull {
        /// Most lines.
        max: u64,
    },
    /// A hold would live longer than one may.
    #[error("a hold lives at most {max_ms} ms")]
    HoldTooLong {
        /// Longest a hold lives.
        max_ms: u64,
    },
    /// The units a buyer is counted for would pass what a count holds.
    #[error("the buyer's count would pass {max}: confirm a part")]
    CountOverMaximum {
        /// Largest count.
        max: u64,
    },
    /// No hold has this number, or it ended more than 24 hours ago.
    #[error("no such hold")]
    UnknownHold,
    /// The hold has ended.
    #[error("the hold was {}", .end.as_str())]
    HoldEnded {
        /// How.
        end: HoldEnd,
    },
    /// Nothing of what is named is left of the order.
    #[error("{left} units are left, {requested} asked for")]
    AlreadyCancelled {
        /// Units that can still be cancelled, of what is named.
        left: u64,
        /// Units asked for.
        requested: u64,
    },
    /// A part names a line or product that is not there.
    #[error("has no such line")]
    NoSuchLine {
        /// Place of the part in the request, from 0.
        part: usize,
    },
    /// A part asks for more units than there are.
    #[error("has {units} units")]
    PartTooLarge {
        /// Place of the part in the request, from 0.
        part: usize,
        /// Units there are.
        units: u64,
    },
}

/// Why one product of an order cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Places of its lines in the order, from 0.
    pub lines: Vec<usize>,
    /// Why.
    pub refusal: Refusal,
}

/// Reasons that are counted, by their number on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum RefusalReason {
    /// See [`Refusal::SoldOut`].
    SoldOut = 0,
    /// See [`Refusal::LimitReached`].
    LimitReached = 1,
    /// See [`Refusal::NotOpen`].
    NotOpen = 2,
    /// See [`Refusal::Closed`].
    Closed = 3,
    /// See [`Refusal::Paused`].
    Paused = 4,
    /// See [`Refusal::StockChanged`].
    StockChanged = 5,
    /// See [`Refusal::WouldOversell`].
    WouldOversell = 6,
    /// See [`Refusal::PreconditionFailed`].
    PreconditionFailed = 7,
    /// See [`Refusal::HoldsReached`].
    HoldsReached = 8,
    /// See [`Refusal::HoldEnded`].
    HoldEnded = 9,
    /// See [`Refusal::AlreadyCancelled`].
    AlreadyCancelled = 10,
}

impl RefusalReason {
    /// Every reason, by number.
    pub const ALL: [Self; 11] = [
        Self::SoldOut,
        Self::LimitReached,
        Self::NotOpen,
        Self::Closed,
        Self::Paused,
        Self::StockChanged,
        Self::WouldOversell,
        Self::PreconditionFailed,
        Self::HoldsReached,
        Self::HoldEnded,
        Self::AlreadyCancelled,
    ];

    /// Its word in SQL, metrics and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::LimitReached => "limit_reached",
            Self::NotOpen => "not_open",
            Self::Closed => "closed",
            Self::Paused => "paused",
            Self::StockChanged => "stock_changed",
            Self::WouldOversell => "would_oversell",
            Self::PreconditionFailed => "precondition_failed",
            Self::HoldsReached => "holds_reached",
            Self::HoldEnded => "hold_ended",
            Self::AlreadyCancelled => "already_cancelled",
        }
    }
}

impl TryFrom<u8> for RefusalReason {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        let known = Self::ALL.get(usize::from(number)).copied();
        known.ok_or_else(|| format!("no refusal reason has the number {number}"))
    }
}

impl From<RefusalReason> for u8 {
    fn from(reason: RefusalReason) -> Self {
        reason as Self
    }
}

impl Refusal {
    /// The counted reason; `None` for what is the caller's mistake rather than the stock's state.
    #[must_use]
    pub fn reason(&self) -> Option<RefusalReason> {
        match self {
            Self::SoldOut { .. } => Some(RefusalReason::SoldOut),
            Self::LimitReached { .. } => Some(RefusalReason::LimitReached),
            Self::NotOpen { .. } => Some(RefusalReason::NotOpen),
            Self::Closed { .. } => Some(RefusalReason::Closed),
            Self::Paused => Some(RefusalReason::Paused),
            Self::StockChanged { .. } => Some(RefusalReason::StockChanged),
            Self::WouldOversell { .. } => Some(RefusalReason::WouldOversell),
            Self::PreconditionFailed { .. } => Some(RefusalReason::PreconditionFailed),
            Self::AlreadyExists
            | Self::InvalidTerms { .. }
            | Self::OverMaximum { .. }
            | Self::SaleFull { .. }
            | Self::UnknownProduct
            | Self::UnknownHold
            | Self::HoldsFull { .. }
            | Self::HoldTooLong { .. }
            | Self::CountOverMaximum { .. }
            | Self::NoSuchLine { .. }
            | Self::PartTooLarge { .. }
            | Self::Lines(_) => None,
            Self::HoldsReached { .. } => Some(RefusalReason::HoldsReached),
            Self::HoldEnded { .. } => Some(RefusalReason::HoldEnded),
            Self::AlreadyCancelled { .. } => Some(RefusalReason::AlreadyCancelled),
        }
    }
}
