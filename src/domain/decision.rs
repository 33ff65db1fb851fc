//! What happened: the decisions a journal holds, as far as the domain sees them.
//!
//! Each struct is the body of one kind of record; the envelope around it (time, principal, key,
//! reference, versions) is the journal's. A field here is bytes on disk: a change needs a new
//! version of the kind in `journal::codec`.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::ids::{BuyerId, ProductId, SaleId, Text};
use super::money::Money;
use super::place::{Handle, Sequence};
use super::quantity::Quantity;
use super::refusal::RefusalReason;
use super::terms::{Terms, TermsPatch};

/// One durable decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A product was put in for sale.
    ProductCreated(Box<ProductCreated>),
    /// Terms of one product, or of all of a sale, were changed.
    TermsChanged(Box<TermsChanged>),
    /// Stock was put in or written off.
    StockAdjusted(Box<StockAdjusted>),
    /// Lines were bought together.
    OrderPlaced(OrderPlaced),
    /// How often what was refused. Changes nothing, has no versions.
    RefusalsCounted(RefusalsCounted),
    /// Lines were set aside.
    HoldPlaced(HoldPlaced),
    /// A hold lives longer. Moves nothing, has no versions.
    HoldExtended(HoldExtended),
    /// A hold became an order.
    HoldConfirmed(Box<HoldConfirmed>),
    /// A hold was given back.
    HoldReleased(HoldEnded),
    /// A hold's time was over.
    HoldExpired(HoldEnded),
    /// Units of an order came back.
    OrderCancelled(Box<OrderCancelled>),
    /// Selling was paused or resumed for every product. Has no versions.
    SellingPaused(SellingPaused),
}

impl Decision {
    /// The buyer it is about; an extension of a hold names none.
    #[must_use]
    pub fn buyer_id(&self) -> Option<&BuyerId> {
        match self {
            Self::OrderPlaced(order) => Some(&order.buyer_id),
            Self::HoldPlaced(placed) => Some(&placed.buyer_id),
            Self::HoldConfirmed(confirmed) => Some(&confirmed.order.buyer_id),
            Self::HoldReleased(ended) | Self::HoldExpired(ended) => Some(&ended.buyer_id),
            Self::OrderCancelled(cancelled) => Some(&cancelled.buyer_id),
            Self::ProductCreated(_)
            | Self::TermsChanged(_)
            | Self::StockAdjusted(_)
            | Self::RefusalsCounted(_)
            | Self::HoldExtended(_)
            | Self::SellingPaused(_) => None,
        }
    }

    /// Whether it sets terms of the products it changes.
    #[must_use]
    pub fn sets_terms(&self) -> bool {
        match self {
            Self::ProductCreated(_) | Self::TermsChanged(_) => true,
            Self::StockAdjusted(_)
            | Self::OrderPlaced(_)
            | Self::RefusalsCounted(_)
            | Self::HoldPlaced(_)
            | Self::HoldExtended(_)
            | Self::HoldConfirmed(_)
            | Self::HoldReleased(_)
            | Self::HoldExpired(_)
            | Self::OrderCancelled(_)
            | Self::SellingPaused(_) => false,
        }
    }
}

/// A product was put in for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductCreated {
    /// The shop's id.
    pub product_id: ProductId,
    /// Its first terms.
    pub terms: Terms,
    /// Its opening stock.
    pub stock: u64,
}

/// Terms were changed; the envelope's changes name the products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsChanged {
    /// The sale, when all its products were changed together.
    pub sale_id: Option<SaleId>,
    /// What was set.
    pub patch: TermsPatch,
    /// Whether it first sets a limit of the one product it changes: its buyers' units are counted
    /// from this record on. Never for a sale.
    pub counting_starts: bool,
}

/// Why stock was adjusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdjustReason {
    /// Goods came in.
    Received,
    /// A count was put right.
    Correction,
    /// Goods broke.
    Damaged,
    /// Goods are gone.
    Lost,
    /// Goods came back outside an order.
    Returned,
    /// Goods moved to or from another place.
    Transfer,
    /// Anything else, in somebody's words.
    Other(Text),
}

impl AdjustReason {
    /// Its word in SQL and JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Correction => "correction",
            Self::Damaged => "damaged",
            Self::Lost => "lost",
            Self::Returned => "returned",
            Self::Transfer => "transfer",
            Self::Other(_) => "other",
        }
    }

    /// Somebody's words, where there are any.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Other(text) => Some(text.as_str()),
            _ => None,
        }
    }
}

/// Stock was put in or written off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAdjusted {
    /// Which product.
    pub product: Handle,
    /// Units put in (positive) or written off (negative).
    pub delta: i64,
    /// Why.
    pub reason: AdjustReason,
    /// Stock after it.
    pub stock: u64,
    /// `stock - sold` after it.
    pub unsold: i64,
}

/// One line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Which product.
    pub product: Handle,
    /// How many units.
    pub quantity: Quantity,
    /// Price of one unit: the line's own, or the product's at that moment, or none.
    pub unit_price: Option<Money>,
}

/// Lines of an order; a purchase's single one needs no allocation.
pub type OrderLines = SmallVec<[OrderLine; 1]>;

/// Lines were bought together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// Who buys.
    pub buyer_id: BuyerId,
    /// What, in the order asked for.
    #[serde(deserialize_with = "super::one_by_one")]
    pub lines: OrderLines,
}

/// How often one product was refused for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRow {
    /// Which product.
    pub product: Handle,
    /// Why.
    pub reason: RefusalReason,
    /// How often.
    pub count: u64,
}

/// Refusals of one minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalsCounted {
    /// Start of the minute, a multiple of 60,000.
    pub minute_ms: u64,
    /// Counts by product and reason.
    #[serde(deserialize_with = "super::one_by_one")]
    pub rows: Vec<RefusalRow>,
}

/// Lines were set aside. The place of this record names the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPlaced {
    /// For whom.
    pub buyer_id: BuyerId,
    /// What, in the order asked for, at the prices it will be confirmed at.
    #[serde(deserialize_with = "super::one_by_one")]
    pub lines: OrderLines,
    /// First moment it is over.
    pub expires_at_ms: u64,
}

/// A hold lives longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldExtended {
    /// Which.
    pub hold: Sequence,
    /// First moment it is over now.
    pub expires_at_ms: u64,
}

/// A hold became an order, whose id is the place of this record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldConfirmed {
    /// Which.
    pub hold: Sequence,
    /// The order.
    pub order: OrderPlaced,
    /// What of the hold was not confirmed, and so released.
    #[serde(deserialize_with = "super::one_by_one")]
    pub released: OrderLines,
}

/// A hold ended without an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnded {
    /// Which.
    pub hold: Sequence,
    /// Whose it was.
    pub buyer_id: BuyerId,
    /// What it held.
    #[serde(deserialize_with = "super::one_by_one")]
    pub lines: OrderLines,
}

/// Units of one line of an order came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelledLine {
    /// Place of the line in its order, from 0.
    pub place: u32,
    /// Which product.
    pub product: Handle,
    /// How many units.
    pub quantity: Quantity,
    /// What one unit was sold at.
    pub unit_price: Option<Money>,
    /// Whether the buyer may have them again under a limit that counted them.
    pub frees_limit: bool,
}

/// How much of an order is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// Nothing came back.
    Placed,
    /// Some came back.
    PartlyCancelled,
    /// All came back.
    Cancelled,
}

impl OrderStatus {
    /// Its word in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::PartlyCancelled => "partly_cancelled",
            Self::Cancelled => "cancelled",
        }
    }
}

impl OrderCancelled {
    /// How the order is after it.
    #[must_use]
    pub fn status(&self) -> OrderStatus {
        if self.whole { OrderStatus::Cancelled } else { OrderStatus::PartlyCancelled }
    }
}

/// Units of an order came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Which order: the place of its record.
    pub order: Sequence,
    /// Who had bought.
    pub buyer_id: BuyerId,
    /// What came back, by line.
    #[serde(deserialize_with = "super::one_by_one")]
    pub lines: Vec<CancelledLine>,
    /// Why.
    pub reason: Text,
    /// Whether the units can be sold again; otherwise they were written off.
    pub restocked: bool,
    /// Whether nothing is left of the order.
    pub whole: bool,
}

/// Selling was paused or resumed for every product, beside each one's own pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellingPaused {
    /// Whether nothing is sold from here on.
    pub paused: bool,
}
