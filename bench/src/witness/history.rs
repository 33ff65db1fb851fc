//! How each product, and selling as a whole, stood after each durable record.

use crate::model::Model;
use crate::payload::{Decision, Envelope};

/// A product after a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) sequence: u64,
    pub(super) version: u64,
    pub(super) stock: u64,
    pub(super) held: u64,
    pub(super) sold: u64,
    pub(super) available: u64,
    pub(super) oversell_limit: u32,
    pub(super) per_buyer_limit: u32,
    pub(super) opens_at_ms: u64,
    pub(super) closes_at_ms: u64,
    pub(super) paused: bool,
    pub(super) terms_version: u32,
    /// When the first of its holds is over.
    pub(super) next_due_ms: u64,
}

/// The states of all products, by the simulation's number of them.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By handle: the number, and its states.
    products: Vec<(Option<u16>, Vec<State>)>,
    /// Sequence, and whether all selling is paused from there.
    selling: Vec<(u64, bool)>,
}

impl History {
    /// Takes a record in that `model` has applied.
    pub(super) fn record(
        &mut self,
        sequence: u64,
        envelope: &Envelope<'_>,
        decision: &Decision<'_>,
        model: &Model,
    ) {
        if let Decision::ProductCreated { product_id, .. } = decision {
            let number = product_id.strip_prefix('p').and_then(|digits| digits.parse().ok());
            self.products.push((number, Vec::new()));
        }
        if let Decision::SellingPaused { paused } = decision {
            self.selling.push((sequence, *paused));
        }
        for (handle, _) in &envelope.changes {
            self.push(*handle, sequence, model);
        }
        if let Decision::HoldExtended { hold, .. } = decision
            && let Some(held) = model.holds().get(*hold)
        {
            for line in held.lines() {
                self.push(line.product, sequence, model);
            }
        }
    }

    fn push(&mut self, handle: u32, sequence: u64, model: &Model) {
        let shelf = model.products().get(handle as usize);
        let (Some(shelf), Some((_, states))) = (shelf, self.products.get_mut(handle as usize))
        else {
            return;
        };
        states.push(State {
            sequence,
            version: shelf.version(),
            stock: shelf.stock,
            held: shelf.held,
            sold: shelf.sold,
            available: shelf.available(),
            oversell_limit: shelf.oversell_limit,
            per_buyer_limit: shelf.per_buyer_limit(),
            opens_at_ms: shelf.opens_at_ms,
            closes_at_ms: shelf.closes_at_ms,
            paused: shelf.paused,
            terms_version: shelf.terms_version,
            next_due_ms: model.holds().next_due_of(handle).unwrap_or(u64::MAX),
        });
    }

    /// All states of a product; empty: it was never created.
    pub(super) fn states(&self, product: u16) -> &[State] {
        let found = self.products.iter().find(|(number, _)| *number == Some(product));
        found.map_or(&[], |(_, states)| states)
    }

    /// The states of a product that it was in at some moment from `low` to `high`.
    pub(super) fn between(&self, product: u16, low: u64, high: u64) -> &[State] {
        let states = self.states(product);
        let first = states.partition_point(|state| state.sequence <= low).saturating_sub(1);
        let end = states.partition_point(|state| state.sequence <= high);
        states.get(first..end).unwrap_or_default()
    }

    /// Whether all selling was paused at some moment from `low` to `high`.
    pub(super) fn was_paused(&self, low: u64, high: u64) -> bool {
        let first = self.selling.partition_point(|(at, _)| *at <= low).saturating_sub(1);
        let end = self.selling.partition_point(|(at, _)| *at <= high);
        self.selling.get(first..end).unwrap_or_default().iter().any(|(_, paused)| *paused)
    }
}
