//! What somebody wants: commands with every value already checked for form.

use smallvec::SmallVec;

use super::decision::AdjustReason;
use super::ids::{BuyerId, ProductId, SaleId};
use super::money::Money;
use super::place::Handle;
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

/// Buy lines together, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Who buys.
    pub buyer_id: BuyerId,
    /// What: 1 to `ORDER_LINES_MAX` lines.
    pub lines: SmallVec<[LineWish; 1]>,
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
