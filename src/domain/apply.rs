//! Applying: the one place that changes an [`Inventory`].
//!
//! Total for decided records: a record is a fact, so applying cannot refuse. Replay, whose
//! records come from a disk, asks [`check_applicable`] first and reports corruption instead of
//! panicking.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::decide::starts_counting;
use super::decision::{Decision, OrderPlaced, ProductCreated, StockAdjusted, TermsChanged};
use super::ids::SaleId;
use super::inventory::Inventory;
use super::place::{Change, Handle, Version};
use super::product::{Figures, Product};
use super::quantity::FIGURE_MAX;
use super::terms::{Patch, StandingTerms};
use super::{ORDER_LINES_MAX, SALE_PRODUCTS_MAX};

/// Why a record from a disk cannot follow the state before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplicable {
    /// The record names a product that does not exist.
    #[error("no product has handle {0}")]
    UnknownHandle(u32),
    /// A change that is not the next of its product.
    #[error("product {handle} is at version {version}, the record says {found}")]
    Version {
        /// Which product.
        handle: u32,
        /// Version before the record.
        version: u64,
        /// Version the record gives.
        found: u64,
    },
    /// The products a record changes are not the ones its body names.
    #[error("the changes do not match the body: {0}")]
    Changes(&'static str),
    /// P1 or a bound would break.
    #[error("the record breaks a promise: {0}")]
    Promise(&'static str),
}

/// Changes the state by a decided record. `decided_at_ms` is the record's time.
///
/// # Panics
/// When the record does not follow the state: that is our own mistake.
pub fn apply(
    inventory: &mut Inventory,
    decision: &Decision,
    changes: &[Change],
    decided_at_ms: u64,
) {
    match decision {
        Decision::ProductCreated(created) => create(inventory, created, changes, decided_at_ms),
        Decision::TermsChanged(changed) => {
            for change in changes {
                change_terms(inventory, changed, *change, decided_at_ms);
            }
        }
        Decision::StockAdjusted(adjusted) => adjust(inventory, adjusted, changes),
        Decision::OrderPlaced(order) => place_order(inventory, order, changes),
        Decision::RefusalsCounted(_) => assert!(changes.is_empty(), "counting changes nothing"),
    }
}

fn create(inventory: &mut Inventory, created: &ProductCreated, changes: &[Change], at_ms: u64) {
    let [change] = changes else { panic!("a creation is one change, has {}", changes.len()) };
    assert_eq!(change.handle, inventory.next_handle(), "handles have no gaps");
    assert_eq!(change.version, Version::NONE.next(), "a history starts at 1");
    let mut terms = created.terms.clone();
    terms.sale_id = terms.sale_id.map(|sale_id| inventory.shared_sale_id(sale_id));
    let terms = Arc::new(StandingTerms::first(terms, at_ms));
    let counts = terms.buyer_limit().map(|_| Box::default());
    let figures = Figures { stock: created.stock, held: 0, sold: 0 };
    let product = Product { terms, figures, version: change.version, counts };
    product.assert_consistent();
    inventory.push(product);
}

fn change_terms(inventory: &mut Inventory, changed: &TermsChanged, change: Change, at_ms: u64) {
    let (product, buyers) =
        inventory.product_and_buyers(change.handle).expect("a decided record names products");
    next_version(product, change.version);
    let old = Arc::clone(&product.terms);
    let terms = Arc::new(old.changed(&changed.patch, at_ms));
    match (terms.buyer_limit(), product.counts.take()) {
        (Some(_), counts) => product.counts = Some(counts.unwrap_or_default()),
        (None, Some(counts)) => buyers.drop_counts(*counts),
        (None, None) => {}
    }
    product.terms = Arc::clone(&terms);
    product.assert_consistent();
    if old.sale_id != terms.sale_id {
        if let Some(sale_id) = &old.sale_id {
            inventory.leave_sale(sale_id, change.handle);
        }
        if let Some(sale_id) = terms.sale_id.clone() {
            inventory.join_sale(sale_id, change.handle);
        }
    }
}

fn adjust(inventory: &mut Inventory, adjusted: &StockAdjusted, changes: &[Change]) {
    let [change] = changes else { panic!("an adjustment is one change, has {}", changes.len()) };
    let product = inventory.product_mut(change.handle).expect("a decided record names products");
    next_version(product, change.version);
    product.figures.stock = product
        .figures
        .stock
        .checked_add_signed(adjusted.delta)
        .expect("a decided adjustment leaves a stock");
    assert_eq!(product.figures.stock, adjusted.stock, "the record says what it leaves");
    product.assert_consistent();
}

fn place_order(inventory: &mut Inventory, order: &OrderPlaced, changes: &[Change]) {
    let sums = Sums::of(order);
    for change in changes {
        let (product, buyers) =
            inventory.product_and_buyers(change.handle).expect("a decided record names products");
        next_version(product, change.version);
        let units = sums.units(change.handle);
        product.figures.sold += units;
        if let Some(counts) = &mut product.counts {
            buyers.add(counts, &order.buyer_id, units);
        }
        product.assert_consistent();
    }
}

/// Units of an order by product. Linear in the lines; a purchase allocates nothing.
enum Sums {
    One(Handle, u64),
    Several(HashMap<Handle, u64, RandomState>),
}

impl Sums {
    fn of(order: &OrderPlaced) -> Self {
        if let [line] = order.lines.as_slice() {
            return Self::One(line.product, line.quantity.units());
        }
        let mut sums = HashMap::default();
        for line in &order.lines {
            *sums.entry(line.product).or_default() += line.quantity.units();
        }
        Self::Several(sums)
    }

    fn products(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Several(sums) => sums.len(),
        }
    }

    /// 0: no line names it.
    fn units(&self, handle: Handle) -> u64 {
        match self {
            Self::One(product, units) if *product == handle => *units,
            Self::One(..) => 0,
            Self::Several(sums) => sums.get(&handle).copied().unwrap_or(0),
        }
    }
}

fn next_version(product: &mut Product, version: Version) {
    assert_eq!(version, product.version.next(), "each change once, in order");
    product.version = version;
}

/// Whether a record read from a disk can follow the state: everything `apply` asserts, as errors.
///
/// # Errors
/// What does not fit; the caller reports corruption.
pub fn check_applicable(
    inventory: &Inventory,
    decision: &Decision,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    match decision {
        Decision::ProductCreated(created) => check_created(inventory, created, changes),
        Decision::TermsChanged(changed) => {
            let changes_max = if changed.sale_id.is_some() { SALE_PRODUCTS_MAX } else { 1 };
            check_versions(inventory, changes, changes_max)?;
            check_changed(inventory, changed, changes)
        }
        Decision::StockAdjusted(adjusted) => {
            check_versions(inventory, changes, 1)?;
            check_adjusted(inventory, adjusted, changes)
        }
        Decision::OrderPlaced(order) => {
            check_versions(inventory, changes, ORDER_LINES_MAX)?;
            check_order(inventory, order, changes)
        }
        Decision::RefusalsCounted(counted) => {
            let unknown = counted.rows.iter().find(|row| inventory.product(row.product).is_none());
            match unknown {
                Some(row) => Err(NotApplicable::UnknownHandle(row.product.get())),
                None if changes.is_empty() => Ok(()),
                None => Err(NotApplicable::Changes("counting changes nothing")),
            }
        }
    }
}

fn check_created(
    inventory: &Inventory,
    created: &ProductCreated,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let [change] = changes else {
        return Err(NotApplicable::Changes("not one change"));
    };
    if change.handle != inventory.next_handle() {
        return Err(NotApplicable::Changes("handle is not the next"));
    }
    if change.version != Version::NONE.next() {
        return Err(NotApplicable::Changes("a history starts at version 1"));
    }
    if created.stock > FIGURE_MAX {
        return Err(NotApplicable::Promise("stock over the maximum"));
    }
    created.terms.check().map_err(|_| NotApplicable::Promise("terms that cannot stand"))?;
    check_sale(inventory, created.terms.sale_id.as_ref(), 1)
}

fn check_sale(
    inventory: &Inventory,
    sale_id: Option<&SaleId>,
    joining: usize,
) -> Result<(), NotApplicable> {
    match sale_id {
        Some(sale_id) if inventory.sale_len(sale_id) + joining > SALE_PRODUCTS_MAX => {
            Err(NotApplicable::Promise("a sale of too many products"))
        }
        _ => Ok(()),
    }
}

fn check_versions(
    inventory: &Inventory,
    changes: &[Change],
    changes_max: usize,
) -> Result<(), NotApplicable> {
    if changes.is_empty() || changes.len() > changes_max {
        return Err(NotApplicable::Changes("too few or too many changes"));
    }
    let mut seen = HashSet::<u32, RandomState>::default();
    for change in changes {
        let handle = change.handle.get();
        let product =
            inventory.product(change.handle).ok_or(NotApplicable::UnknownHandle(handle))?;
        if change.version != product.version.next() {
            let (version, found) = (product.version.get(), change.version.get());
            return Err(NotApplicable::Version { handle, version, found });
        }
        if changes.len() > 1 && !seen.insert(handle) {
            return Err(NotApplicable::Changes("a product twice"));
        }
    }
    Ok(())
}

fn check_changed(
    inventory: &Inventory,
    changed: &TermsChanged,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let handles = || changes.iter().map(|change| change.handle);
    let of_sale = |sale_id: &SaleId| handles().eq(inventory.sale(sale_id));
    if !changed.sale_id.as_ref().is_none_or(of_sale) {
        return Err(NotApplicable::Changes("not the products of the sale"));
    }
    let mut joining = 0;
    for product in changes.iter().filter_map(|change| inventory.product(change.handle)) {
        let terms = product.terms.patched(&changed.patch);
        terms.check().map_err(|_| NotApplicable::Promise("terms that cannot stand"))?;
        if !product.figures.within(terms.oversell_limit) {
            return Err(NotApplicable::Promise("held and sold over stock and oversell_limit"));
        }
        joining += usize::from(product.terms.sale_id != terms.sale_id);
    }
    let starts = changed.sale_id.is_none() && starts_counting(inventory, changes, &changed.patch);
    if changed.counting_starts != starts {
        return Err(NotApplicable::Changes("not when counting starts"));
    }
    match &changed.patch.sale_id {
        Patch::Set(sale_id) => check_sale(inventory, sale_id.as_ref(), joining),
        Patch::Keep => Ok(()),
    }
}

fn check_adjusted(
    inventory: &Inventory,
    adjusted: &StockAdjusted,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    let product = inventory.product(adjusted.product);
    let product = product.ok_or(NotApplicable::UnknownHandle(adjusted.product.get()))?;
    if changes.iter().any(|change| change.handle != adjusted.product) {
        return Err(NotApplicable::Changes("another product than the body's"));
    }
    if product.figures.stock.checked_add_signed(adjusted.delta) != Some(adjusted.stock) {
        return Err(NotApplicable::Promise("stock before and delta do not make stock after"));
    }
    let figures = Figures { stock: adjusted.stock, ..product.figures };
    if adjusted.stock > FIGURE_MAX || !figures.within(product.terms.oversell_limit) {
        return Err(NotApplicable::Promise("held and sold over stock and oversell_limit"));
    }
    if adjusted.unsold != figures.unsold() {
        return Err(NotApplicable::Promise("stock and sold do not make unsold"));
    }
    Ok(())
}

fn check_order(
    inventory: &Inventory,
    order: &OrderPlaced,
    changes: &[Change],
) -> Result<(), NotApplicable> {
    if order.lines.is_empty() || order.lines.len() > ORDER_LINES_MAX {
        return Err(NotApplicable::Changes("too few or too many lines"));
    }
    let sums = Sums::of(order);
    if sums.products() != changes.len() {
        return Err(NotApplicable::Changes("the lines name other products"));
    }
    for change in changes {
        let units = sums.units(change.handle);
        if units == 0 {
            return Err(NotApplicable::Changes("a changed product has no line"));
        }
        let Some(product) = inventory.product(change.handle) else {
            continue;
        };
        let figures = Figures { sold: product.figures.sold + units, ..product.figures };
        if figures.sold > FIGURE_MAX || !figures.within(product.terms.oversell_limit) {
            return Err(NotApplicable::Promise("held and sold over stock and oversell_limit"));
        }
        if let Some(counts) = &product.counts {
            let bought = inventory.buyers().units(counts, &order.buyer_id);
            if bought + units > u64::from(product.terms.per_buyer_limit) {
                return Err(NotApplicable::Promise("a buyer over the limit"));
            }
        }
    }
    Ok(())
}
