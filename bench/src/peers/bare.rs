//! The peer that does nothing: the front, no stock, no journal and no disk.
//!
//! It numbers what it answers, and counts that as sold. A product whose id begins with
//! [`SOLD_OUT_PREFIX`] is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::front::{Ask, Decide, Decision, Units};
use crate::load::work::SOLD_OUT_PREFIX;

/// What the bare server says is left, whatever was sold.
pub(super) const PLENTY: u64 = 1_000_000_000;

/// Says yes.
#[derive(Debug, Clone, Default)]
pub struct Bare {
    orders: Arc<AtomicU64>,
}

/// It asks for a product that has no stock, as its id says.
pub(super) fn is_refused(ask: &Ask<'_>) -> bool {
    ask.product_id.starts_with(SOLD_OUT_PREFIX)
}

impl Decide for Bare {
    async fn decide(&self, ask: Ask<'_>) -> anyhow::Result<Decision> {
        if is_refused(&ask) {
            return Ok(Decision::SoldOut(0));
        }
        Ok(Decision::Sold(1 + self.orders.fetch_add(1, Ordering::Relaxed)))
    }

    async fn put_in(&self, _product_id: &str, _stock: u64) -> anyhow::Result<()> {
        Ok(())
    }

    async fn units(&self, _product_id: &str) -> anyhow::Result<Option<Units>> {
        let sold = self.orders.load(Ordering::Relaxed);
        Ok(Some(Units { available: PLENTY - sold, sold }))
    }
}
