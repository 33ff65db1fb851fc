//! What a client of the simulation asks for, in words of its own.

/// A line of an order or a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WishLine {
    /// Which product, by its number in the simulation.
    pub product: u16,
    /// Units.
    pub quantity: u64,
    /// A price of its own.
    pub price: Option<u64>,
}

/// Terms to be set; `None` keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TermsWish {
    /// A price, or none.
    pub price: Option<Option<u64>>,
    /// Beginning of the window, or none.
    pub opens_at_ms: Option<Option<u64>>,
    /// End of the window, or none.
    pub closes_at_ms: Option<Option<u64>>,
    /// Units beyond the stock.
    pub oversell_limit: Option<u32>,
    /// Units not for sale.
    pub safety_stock: Option<u32>,
    /// A limit, or none.
    pub per_buyer_limit: Option<Option<u32>>,
    /// Paused or not.
    pub paused: Option<bool>,
    /// Whether returns free the limit.
    pub returns_free_limit: Option<bool>,
    /// Whether it belongs to the one sale there is.
    pub in_sale: Option<bool>,
}

/// What is asked under one key, as often as it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Put a product in.
    Create {
        /// Which.
        product: u16,
        /// Its opening stock.
        stock: u64,
        /// Its terms.
        terms: TermsWish,
    },
    /// Change a product's terms.
    Terms {
        /// Which.
        product: u16,
        /// The version they must have.
        version: Option<u32>,
        /// How they shall be.
        terms: TermsWish,
    },
    /// Change the terms of all products of the sale.
    Sale(TermsWish),
    /// Pause or resume all selling.
    PauseAll(bool),
    /// Put stock in or write it off.
    Adjust {
        /// Of which product.
        product: u16,
        /// Units.
        delta: i64,
    },
    /// Set what is unsold.
    SetUnsold {
        /// Of which product.
        product: u16,
        /// To how many units.
        unsold: u64,
        /// What it must be before.
        expected: Option<i64>,
    },
    /// Buy.
    Order {
        /// Who.
        buyer: u16,
        /// What.
        lines: Vec<WishLine>,
    },
    /// Set aside.
    Hold {
        /// For whom.
        buyer: u16,
        /// What.
        lines: Vec<WishLine>,
        /// For how long.
        ttl_ms: u64,
    },
    /// Keep a hold longer.
    Extend {
        /// Sequence of its record.
        hold: u64,
        /// From now on.
        ttl_ms: u64,
    },
    /// Make an order of a hold.
    Confirm {
        /// Sequence of its record.
        hold: u64,
        /// Some units of some lines, or all.
        parts: Option<Vec<(u16, u64)>>,
    },
    /// Give a hold back.
    Release {
        /// Sequence of its record.
        hold: u64,
    },
    /// Take units of an order back.
    Cancel {
        /// Sequence of its record.
        order: u64,
        /// Some units of some lines, or all.
        parts: Option<Vec<(u16, u64)>>,
        /// Whether they can be sold again.
        restock: bool,
    },
}

/// The id of a product.
#[must_use]
pub fn product_name(product: u16) -> String {
    format!("p{product}")
}

/// The id of a buyer.
#[must_use]
pub fn buyer_name(buyer: u16) -> String {
    format!("b{buyer}")
}

/// The reference that names a request in its record.
#[must_use]
pub fn reference(number: u64) -> String {
    format!("c{number}")
}

impl Wish {
    /// Whether it must come under a key.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        !matches!(
            self,
            Self::Terms { .. } | Self::Sale(_) | Self::PauseAll(_) | Self::Release { .. }
        )
    }

    /// Its lines, of an order or a hold.
    #[must_use]
    pub fn lines(&self) -> &[WishLine] {
        match self {
            Self::Order { lines, .. } | Self::Hold { lines, .. } => lines,
            _ => &[],
        }
    }

    /// Units of a product over all lines.
    #[must_use]
    pub fn units(&self, product: u16) -> u64 {
        let own = self.lines().iter().filter(|line| line.product == product);
        own.map(|line| line.quantity).sum()
    }

    /// The product it is about, if it is one alone.
    #[must_use]
    pub fn product(&self) -> Option<u16> {
        match self {
            Self::Create { product, .. }
            | Self::Terms { product, .. }
            | Self::Adjust { product, .. }
            | Self::SetUnsold { product, .. } => Some(*product),
            Self::Order { lines, .. } | Self::Hold { lines, .. } => {
                lines.first().map(|line| line.product)
            }
            _ => None,
        }
    }
}
