//! All products of a partition: the state that decisions are made on and applied to.

use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::buyers::Buyers;
use super::holds::Holds;
use super::ids::SaleId;
use super::place::Handle;
use super::product::Product;
use super::returns::Returns;

/// Products per block of the table: it grows by blocks, so that growing a million products
/// neither copies nor doubles them.
const BLOCK_PRODUCTS: usize = 1024;

/// The products of a partition by handle, with their buyers' counts, sales, holds and returns.
#[derive(Debug, Default)]
pub struct Inventory {
    blocks: Vec<Vec<Product>>,
    pub(super) buyers: Buyers,
    pub(super) sales: HashMap<SaleId, BTreeSet<Handle>, RandomState>,
    pub(super) holds: Holds,
    pub(super) returns: Returns,
    /// Nothing is sold, whatever each product's terms say.
    pub(super) selling_paused: bool,
}

impl Inventory {
    /// No products.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many products there are; also the next product's handle.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.blocks.last() {
            Some(last) => (self.blocks.len() - 1) * BLOCK_PRODUCTS + last.len(),
            None => 0,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The product of a handle.
    #[must_use]
    pub fn product(&self, handle: Handle) -> Option<&Product> {
        self.blocks.get(handle.index() / BLOCK_PRODUCTS)?.get(handle.index() % BLOCK_PRODUCTS)
    }

    /// Every product with its handle, oldest first.
    pub fn products(&self) -> impl Iterator<Item = (Handle, &Product)> {
        self.blocks
            .iter()
            .flatten()
            .zip(0..)
            .map(|(product, number)| (Handle::new(number), product))
    }

    /// Handles of the products of a sale, oldest first.
    pub fn sale(&self, sale_id: &SaleId) -> impl Iterator<Item = Handle> + '_ {
        self.sales.get(sale_id).into_iter().flatten().copied()
    }

    /// How many products share `sale_id`.
    #[must_use]
    pub fn sale_len(&self, sale_id: &SaleId) -> usize {
        self.sales.get(sale_id).map_or(0, BTreeSet::len)
    }

    /// The buyers that products with a limit count.
    #[must_use]
    pub fn buyers(&self) -> &Buyers {
        &self.buyers
    }

    /// The holds.
    #[must_use]
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// What came back of orders.
    #[must_use]
    pub fn returns(&self) -> &Returns {
        &self.returns
    }

    /// Whether selling is paused for every product.
    #[must_use]
    pub fn selling_paused(&self) -> bool {
        self.selling_paused
    }

    pub(super) fn next_handle(&self) -> Handle {
        Handle::new(u32::try_from(self.len()).expect("fewer than 2^32 products"))
    }

    pub(super) fn product_mut(&mut self, handle: Handle) -> Option<&mut Product> {
        self.blocks
            .get_mut(handle.index() / BLOCK_PRODUCTS)?
            .get_mut(handle.index() % BLOCK_PRODUCTS)
    }

    /// The product and the buyers beside it, for a change of both.
    pub(super) fn product_and_buyers(
        &mut self,
        handle: Handle,
    ) -> Option<(&mut Product, &mut Buyers)> {
        let product = self
            .blocks
            .get_mut(handle.index() / BLOCK_PRODUCTS)?
            .get_mut(handle.index() % BLOCK_PRODUCTS)?;
        Some((product, &mut self.buyers))
    }

    pub(super) fn push(&mut self, product: Product) {
        let handle = self.next_handle();
        if let Some(sale_id) = product.terms.sale_id.clone() {
            self.join_sale(sale_id, handle);
        }
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK_PRODUCTS => block.push(product),
            _ => {
                // The first block grows by itself: a small shop should not pay for a large one.
                let room = if self.blocks.is_empty() { 4 } else { BLOCK_PRODUCTS };
                let mut block = Vec::with_capacity(room);
                block.push(product);
                self.blocks.push(block);
            }
        }
    }

    /// The same id as the sale's other products keep, if it has any.
    pub(super) fn shared_sale_id(&self, sale_id: SaleId) -> SaleId {
        self.sales.get_key_value(&sale_id).map_or(sale_id, |(shared, _)| shared.clone())
    }

    pub(super) fn join_sale(&mut self, sale_id: SaleId, handle: Handle) {
        self.sales.entry(sale_id).or_default().insert(handle);
    }

    pub(super) fn leave_sale(&mut self, sale_id: &SaleId, handle: Handle) {
        if let Some(handles) = self.sales.get_mut(sale_id) {
            handles.remove(&handle);
            if handles.is_empty() {
                self.sales.remove(sale_id);
            }
        }
    }
}
