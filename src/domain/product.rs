//! Stock of one product.
//!
//! Owns: the figures and terms of a single product, and how much each buyer has when a limit is
//! set. Holds are the partition's.
//! Invariant: `held + sold <= stock + oversell_limit`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::buyers::BuyerCounts;
use super::place::Version;
use super::quantity::FIGURE_MAX;
use super::terms::{StandingTerms, Terms};

/// The figures of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Units put in for sale, less those written off. Never falls by selling.
    pub stock: u64,
    /// Units in live holds.
    pub held: u64,
    /// Units in orders, less returned.
    pub sold: u64,
}

const _: () = assert!(size_of::<Product>() == 48);

/// One product of the partition.
#[derive(Debug, Clone)]
pub struct Product {
    /// What it is sold under; shared with the published view.
    pub terms: Arc<StandingTerms>,
    /// Where it stands.
    pub figures: Figures,
    /// Place of its last change.
    pub version: Version,
    /// Counts per buyer while a limit is set.
    pub counts: Option<Box<BuyerCounts>>,
}

impl Figures {
    /// Units that may be sold now: `max(0, stock + oversell_limit - safety_stock - held - sold)`,
    /// at most `FIGURE_MAX`.
    #[must_use]
    pub fn available(&self, terms: &Terms) -> u64 {
        (self.stock + u64::from(terms.oversell_limit))
            .saturating_sub(u64::from(terms.safety_stock) + self.held + self.sold)
            .min(FIGURE_MAX)
    }

    /// `stock - sold`: what an ERP counts. Negative only when sold beyond the stock.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "figures stay below 2^53")]
    pub fn unsold(&self) -> i64 {
        self.stock as i64 - self.sold as i64
    }

    /// Whether the promise P1 holds under `oversell_limit`.
    #[must_use]
    pub fn within(&self, oversell_limit: u32) -> bool {
        self.held + self.sold <= self.stock + u64::from(oversell_limit)
    }
}

impl Product {
    /// Units that may be sold now.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.figures.available(&self.terms)
    }

    /// P1, checked after every change, in release too.
    pub(super) fn assert_consistent(&self) {
        assert!(
            self.figures.within(self.terms.oversell_limit),
            "never oversold: {:?} with oversell_limit {}",
            self.figures,
            self.terms.oversell_limit
        );
        assert_eq!(self.counts.is_some(), self.terms.per_buyer_limit > 0, "counts go with a limit");
    }
}
