//! What a record holds: an envelope common to every decision, and the decision.

use serde::{Deserialize, Serialize};

use crate::domain::{Changes, Decision, OrderPlaced, Principal, Reference};

/// The kinds of record by their number on disk. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Kind {
    /// The process started; everything before it is proven durable.
    Started = 1,
    /// Nothing happened; everything before it is proven durable.
    Watermark = 2,
    /// See [`Decision::ProductCreated`].
    ProductCreated = 3,
    /// See [`Decision::TermsChanged`].
    TermsChanged = 4,
    /// See [`Decision::StockAdjusted`].
    StockAdjusted = 5,
    /// See [`Decision::OrderPlaced`].
    OrderPlaced = 6,
    /// See [`Decision::RefusalsCounted`].
    RefusalsCounted = 7,
    /// See [`Decision::HoldPlaced`].
    HoldPlaced = 8,
    /// See [`Decision::HoldExtended`].
    HoldExtended = 9,
    /// See [`Decision::HoldConfirmed`].
    HoldConfirmed = 10,
    /// See [`Decision::HoldReleased`].
    HoldReleased = 11,
    /// See [`Decision::HoldExpired`].
    HoldExpired = 12,
    /// See [`Decision::OrderCancelled`].
    OrderCancelled = 13,
    /// See [`Decision::SellingPaused`].
    SellingPaused = 14,
}

/// What an idempotency key leaves in the record it made: enough to know it again, not to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyStamp {
    /// First 16 bytes of SHA-256 over principal and key.
    pub hash: [u8; 16],
    /// First 8 bytes of SHA-256 over method, path and parsed body.
    pub fingerprint: [u8; 8],
}

/// Common to every decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// When it was decided, by the partition's clock: never behind the record before.
    pub decided_at_ms: u64,
    /// Who asked.
    pub principal: Principal,
    /// The shop's own number for it.
    pub reference: Option<Reference>,
    /// The key it came under; changes of terms and counts have none.
    pub key: Option<KeyStamp>,
    /// The products it changes, with their versions after it.
    #[serde(deserialize_with = "crate::domain::one_by_one")]
    pub changes: Changes,
}

/// A decision with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When, who, under which key, which products.
    pub envelope: Envelope,
    /// What happened.
    pub decision: Decision,
}

/// A process took the journal over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When, by the partition's clock.
    pub started_at_ms: u64,
    /// Version of the binary.
    pub binary: Box<str>,
}

/// The payload of one frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Payload {
    /// A process took the journal over.
    Started(Started),
    /// Nothing; takes a sequence, changes no product, leaves no row.
    #[default]
    Watermark,
    /// A decision.
    Record(Record),
}

impl Kind {
    /// Its word in JSON, SQL and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Watermark => "watermark",
            Self::ProductCreated => "product_created",
            Self::TermsChanged => "terms_changed",
            Self::StockAdjusted => "stock_adjusted",
            Self::OrderPlaced => "order_placed",
            Self::RefusalsCounted => "refusals_counted",
            Self::HoldPlaced => "hold_placed",
            Self::HoldExtended => "hold_extended",
            Self::HoldConfirmed => "hold_confirmed",
            Self::HoldReleased => "hold_released",
            Self::HoldExpired => "hold_expired",
            Self::OrderCancelled => "order_cancelled",
            Self::SellingPaused => "selling_paused",
        }
    }

    /// All kinds, by number from 1.
    pub const ALL: [Self; 14] = [
        Self::Started,
        Self::Watermark,
        Self::ProductCreated,
        Self::TermsChanged,
        Self::StockAdjusted,
        Self::OrderPlaced,
        Self::RefusalsCounted,
        Self::HoldPlaced,
        Self::HoldExtended,
        Self::HoldConfirmed,
        Self::HoldReleased,
        Self::HoldExpired,
        Self::OrderCancelled,
        Self::SellingPaused,
    ];

    /// The kind of a number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }
}

impl Record {
    /// Which kind of record it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.decision {
            Decision::ProductCreated(_) => Kind::ProductCreated,
            Decision::TermsChanged(_) => Kind::TermsChanged,
            Decision::StockAdjusted(_) => Kind::StockAdjusted,
            Decision::OrderPlaced(_) => Kind::OrderPlaced,
            Decision::RefusalsCounted(_) => Kind::RefusalsCounted,
            Decision::HoldPlaced(_) => Kind::HoldPlaced,
            Decision::HoldExtended(_) => Kind::HoldExtended,
            Decision::HoldConfirmed(_) => Kind::HoldConfirmed,
            Decision::HoldReleased(_) => Kind::HoldReleased,
            Decision::HoldExpired(_) => Kind::HoldExpired,
            Decision::OrderCancelled(_) => Kind::OrderCancelled,
            Decision::SellingPaused(_) => Kind::SellingPaused,
        }
    }

    /// The order it placed, directly or by confirming a hold.
    #[must_use]
    pub fn order(&self) -> Option<&OrderPlaced> {
        match &self.decision {
            Decision::OrderPlaced(order) => Some(order),
            Decision::HoldConfirmed(confirmed) => Some(&confirmed.order),
            _ => None,
        }
    }
}

impl Payload {
    /// Which kind of record it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Started(_) => Kind::Started,
            Self::Watermark => Kind::Watermark,
            Self::Record(record) => record.kind(),
        }
    }

    /// When it was decided or started; a watermark has no time of its own.
    #[must_use]
    pub fn at_ms(&self) -> Option<u64> {
        match self {
            Self::Started(started) => Some(started.started_at_ms),
            Self::Watermark => None,
            Self::Record(record) => Some(record.envelope.decided_at_ms),
        }
    }
}
