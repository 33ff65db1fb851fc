//! What somebody wants: commands with every value already checked for form.

use smallvec::SmallVec;

use super::decision::{AdjustReason, OrderLines};
use super::ids::{BuyerId, ProductId, SaleId, Text};
use super::money::Money;
use super::place::{Changes, Handle, Sequence};
use super::quantity::Quantity;
use super::terms::{Terms, TermsPatch};

/// Put a product in for sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateProduct {
    /// The shop's id.
    pub product_id: ProductId,
    /// Its terms.
    pub terms: Terms,
    /// Its opening stock, at most `FIGURE_MAX`.
    pub stock: u64,
}

/// Whose terms to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// One product, if its terms still are at the version given (`If-Match`).
    Product {
        /// Which.
        handle: Handle,
        /// The version its terms must have.
        terms_version: Option<u32>,
    },
    /// Every product of a sale.
    Sale(SaleId),
}

/// Change terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeTerms {
    /// Whose.
    pub targets: Targets,
    /// To what.
    pub patch: TermsPatch,
}

/// How to change stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockChange {
    /// By so many units. 0 is recorded too: a count that found nothing to put right.
    Delta(i64),
    /// To so many unsold units.
    SetUnsold {
        /// `stock - sold` after it.
        unsold: u64,
        /// What it must be before; `None` opts out of the guard.
        expected: Option<i64>,
    },
}

/// Adjust a product's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdjustStock {
    /// Which product.
    pub product: Handle,
    /// How.
    pub change: StockChange,
    /// Why.
    pub reason: AdjustReason,
}

/// One line somebody wants to buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineWish {
    /// Which product.
    pub product: Handle,
    /// How many units.
    pub quantity: Quantity,
    /// Price of one unit, instead of the product's.
    pub unit_price: Option<Money>,
}

/// Lines somebody wants; a purchase's single one needs no allocation.
pub type LineWishes = SmallVec<[LineWish; 1]>;

/// Buy lines together, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Who buys.
    pub buyer_id: BuyerId,
    /// What: 1 to `ORDER_LINES_MAX` lines.
    pub lines: LineWishes,
}

/// Set lines aside for a buyer, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceHold {
    /// For whom.
    pub buyer_id: BuyerId,
    /// What: 1 to `ORDER_LINES_MAX` lines.
    pub lines: LineWishes,
    /// For how long from the decision on, at least 1.
    pub ttl_ms: u64,
}

/// Keep a hold longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendHold {
    /// Which: the place of the record that placed it.
    pub hold: Sequence,
    /// For how long from the decision on.
    pub ttl_ms: u64,
}

/// Make an order of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmHold {
    /// Which.
    pub hold: Sequence,
    /// What of it, the rest is released; `None`: all.
    pub parts: Option<Vec<Part>>,
}

/// Give a hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseHold {
    /// Which.
    pub hold: Sequence,
}

/// Which lines of an order or hold are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartOf {
    /// One line, by its place from 0.
    Line(usize),
    /// The lines of one product, first line first.
    Product(Handle),
}

/// Some units of an order or hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Of which lines.
    pub of: PartOf,
    /// How many units.
    pub quantity: Quantity,
}

/// An order as its record has it: the partition keeps only what came back of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedOrder {
    /// Place of its record.
    pub sequence: Sequence,
    /// Who bought.
    pub buyer_id: BuyerId,
    /// What.
    pub lines: OrderLines,
    /// The changes its record made.
    pub changes: Changes,
}

/// Take units of an order back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelOrder {
    /// Which.
    pub order: PlacedOrder,
    /// What of it; `None`: all that is left.
    pub parts: Option<Vec<Part>>,
    /// Why, in somebody's words.
    pub reason: Text,
    /// Whether the units can be sold again; otherwise they are written off.
    pub restock: bool,
}

/// Bounds of holds, from the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldRules {
    /// Longest a hold lives, from its placing on.
    pub ttl_max_ms: u64,
    /// Most live holds of one buyer.
    pub live_per_buyer_max: u32,
    /// Most lines in live holds: what they may take of memory.
    pub live_lines_max: usize,
}

impl Default for HoldRules {
    /// Four hours, 100 holds a buyer, 2,000,000 lines: as the settings come.
    fn default() -> Self {
        Self { ttl_max_ms: 4 * 3_600_000, live_per_buyer_max: 100, live_lines_max: 2_000_000 }
    }
}

impl ChangeTerms {
    /// Most products it changes.
    #[must_use]
    pub fn changes_max(&self) -> usize {
        match self.targets {
            Targets::Product { .. } => 1,
            Targets::Sale(_) => super::SALE_PRODUCTS_MAX,
        }
    }
}
