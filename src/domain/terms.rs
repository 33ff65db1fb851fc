//! The terms a product is sold under, and changes to them.
//!
//! Invariants: the window opens before it closes; a per-buyer limit is at least 1.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::TIME_MS_MAX;
use super::ids::{Name, SaleId};
use super::money::Money;

/// The terms of one product.
///
/// Order of fields and widths are chosen for memory: a million idle products each keep one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What it is called.
    pub name: Name,
    /// Price of one unit, used by lines that bring none of their own.
    pub price: Option<Money>,
    /// Products sold together share it.
    pub sale_id: Option<SaleId>,
    /// First moment it sells, inclusive. 0: always was open.
    pub opens_at_ms: u64,
    /// First moment it no longer sells, exclusive. `u64::MAX`: never closes.
    pub closes_at_ms: u64,
    /// Units that may be sold beyond the stock.
    pub oversell_limit: u32,
    /// Units of the stock that are not for sale.
    pub safety_stock: u32,
    /// Most units one buyer may have in orders and live holds, 0: no limit.
    pub per_buyer_limit: u32,
    /// At or under this many available units the product counts as low.
    pub low_stock_threshold: Option<u32>,
    /// Nothing is sold while set.
    pub paused: bool,
    /// Whether cancelled units count for the buyer's limit again.
    pub returns_free_limit: bool,
}

/// Terms as they stand: with what changes when they do. Shared by a product and its published view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingTerms {
    terms: Terms,
    version: u32,
    /// `u64::MAX`: nothing is counted.
    counted_since_ms: u64,
}

/// One field of a merge-patch: absent leaves it, present sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Patch<T> {
    /// As it was.
    #[default]
    Keep,
    /// From now on this.
    Set(T),
}

/// A change of terms: what it names is set, the rest stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TermsPatch {
    /// See [`Terms::name`].
    pub name: Patch<Name>,
    /// See [`Terms::price`].
    pub price: Patch<Option<Money>>,
    /// See [`Terms::sale_id`].
    pub sale_id: Patch<Option<SaleId>>,
    /// See [`Terms::opens_at_ms`].
    pub opens_at_ms: Patch<Option<u64>>,
    /// See [`Terms::closes_at_ms`].
    pub closes_at_ms: Patch<Option<u64>>,
    /// See [`Terms::oversell_limit`].
    pub oversell_limit: Patch<u32>,
    /// See [`Terms::safety_stock`].
    pub safety_stock: Patch<u32>,
    /// See [`Terms::per_buyer_limit`]; `Some(0)` would be no limit, so whoever reads input asks for
    /// at least 1.
    pub per_buyer_limit: Patch<Option<u32>>,
    /// See [`Terms::low_stock_threshold`].
    pub low_stock_threshold: Patch<Option<u32>>,
    /// See [`Terms::paused`].
    pub paused: Patch<bool>,
    /// See [`Terms::returns_free_limit`].
    pub returns_free_limit: Patch<bool>,
}

/// Why terms cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The window is empty.
    #[error("closes_at must be after opens_at")]
    EmptyWindow,
    /// After the year 9999.
    #[error("a time is at most the year 9999")]
    TimeTooLate,
}

/// An idle product keeps one, behind the two counts of its `Arc`.
const _: () = assert!(size_of::<StandingTerms>() == 96);

impl Terms {
    /// Terms of a product that is simply for sale.
    #[must_use]
    pub fn open(name: Name) -> Self {
        Self {
            name,
            price: None,
            sale_id: None,
            opens_at_ms: 0,
            closes_at_ms: u64::MAX,
            oversell_limit: 0,
            safety_stock: 0,
            per_buyer_limit: 0,
            low_stock_threshold: None,
            paused: false,
            returns_free_limit: true,
        }
    }

    /// These terms with what `patch` names set.
    #[must_use]
    pub fn patched(&self, patch: &TermsPatch) -> Self {
        fn or<T: Clone>(patch: &Patch<T>, old: &T) -> T {
            match patch {
                Patch::Keep => old.clone(),
                Patch::Set(new) => new.clone(),
            }
        }
        fn or_sentinel(patch: Patch<Option<u64>>, old: u64, none: u64) -> u64 {
            match patch {
                Patch::Keep => old,
                Patch::Set(new) => new.unwrap_or(none),
            }
        }
        Self {
            name: or(&patch.name, &self.name),
            price: or(&patch.price, &self.price),
            sale_id: or(&patch.sale_id, &self.sale_id),
            opens_at_ms: or_sentinel(patch.opens_at_ms, self.opens_at_ms, 0),
            closes_at_ms: or_sentinel(patch.closes_at_ms, self.closes_at_ms, u64::MAX),
            oversell_limit: or(&patch.oversell_limit, &self.oversell_limit),
            safety_stock: or(&patch.safety_stock, &self.safety_stock),
            per_buyer_limit: match patch.per_buyer_limit {
                Patch::Keep => self.per_buyer_limit,
                Patch::Set(limit) => limit.unwrap_or(0),
            },
            low_stock_threshold: or(&patch.low_stock_threshold, &self.low_stock_threshold),
            paused: or(&patch.paused, &self.paused),
            returns_free_limit: or(&patch.returns_free_limit, &self.returns_free_limit),
        }
    }

    /// Whether these terms can stand.
    ///
    /// # Errors
    /// An empty window, or a time that cannot be written.
    pub fn check(&self) -> Result<(), TermsError> {
        if self.opens_at_ms >= self.closes_at_ms {
            return Err(TermsError::EmptyWindow);
        }
        let closes_late = self.closes_at_ms > TIME_MS_MAX && self.closes_at_ms != u64::MAX;
        if self.opens_at_ms > TIME_MS_MAX || closes_late {
            return Err(TermsError::TimeTooLate);
        }
        Ok(())
    }

    /// When it opens, `None`: always was.
    #[must_use]
    pub fn opens_at(&self) -> Option<u64> {
        (self.opens_at_ms != 0).then_some(self.opens_at_ms)
    }

    /// When it closes, `None`: never.
    #[must_use]
    pub fn closes_at(&self) -> Option<u64> {
        (self.closes_at_ms != u64::MAX).then_some(self.closes_at_ms)
    }

    /// Most units of one buyer, `None`: no limit.
    #[must_use]
    pub fn buyer_limit(&self) -> Option<u32> {
        (self.per_buyer_limit != 0).then_some(self.per_buyer_limit)
    }
}

impl StandingTerms {
    /// The first terms of a product; with a limit, units are counted from `at_ms` on.
    pub(super) fn first(terms: Terms, at_ms: u64) -> Self {
        let counted_since_ms = if terms.buyer_limit().is_some() { at_ms } else { u64::MAX };
        Self { terms, version: 1, counted_since_ms }
    }

    /// Terms as they stood.
    pub(super) fn restored(terms: Terms, version: u32, counted_since_ms: u64) -> Self {
        Self { terms, version, counted_since_ms }
    }

    /// The terms after a change. Counting starts with the one that first sets a limit, and ends
    /// with the one that takes it away.
    pub(super) fn changed(&self, patch: &TermsPatch, at_ms: u64) -> Self {
        let terms = self.terms.patched(patch);
        let counted_since_ms = match (terms.buyer_limit(), self.counted_since_ms()) {
            (None, _) => u64::MAX,
            (Some(_), Some(since_ms)) => since_ms,
            (Some(_), None) => at_ms,
        };
        Self { terms, version: self.version + 1, counted_since_ms }
    }

    /// How often they were set: 1 at creation.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Since when a buyer's units are counted; `None` without a limit.
    #[must_use]
    pub fn counted_since_ms(&self) -> Option<u64> {
        (self.counted_since_ms != u64::MAX).then_some(self.counted_since_ms)
    }
}

impl Deref for StandingTerms {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.terms
    }
}

impl TermsPatch {
    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
