//! Deciding: what a command may do now. Changes nothing.
//!
//! The order of the checks of a sale is part of the contract, because the published view makes
//! the first four (`refusal_in_view`) without visiting an actor: paused, not open, closed, sold
//! out, and only then the buyer's limit. So a refusal does not depend on who made it.

use smallvec::smallvec;

mod cancel;
mod hold;
mod order;
mod part;

pub use self::cancel::decide_cancel;
pub use self::hold::{decide_confirm, decide_expiry, decide_extend, decide_hold, decide_release};
pub use self::order::decide_order;

use super::SALE_PRODUCTS_MAX;
use super::command::{AdjustStock, ChangeTerms, CreateProduct, StockChange, Targets};
use super::decision::{Decision, ProductCreated, SellingPaused, StockAdjusted, TermsChanged};
use super::ids::SaleId;
use super::inventory::Inventory;
use super::place::{Change, Changes, Version};
use super::product::{Figures, Product};
use super::quantity::FIGURE_MAX;
use super::refusal::Refusal;
use super::terms::{Patch, Terms, TermsPatch};

/// A decision and the products it changes, each with the version it will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What happens.
    pub decision: Decision,
    /// To whom.
    pub changes: Changes,
}

/// Whether terms and figures alone refuse `requested` units: what a published view can tell.
///
/// # Errors
/// `Paused`, `NotOpen`, `Closed`, `SoldOut`, in this order.
pub fn refusal_in_view(
    terms: &Terms,
    figures: &Figures,
    requested: u64,
    now_ms: u64,
) -> Result<(), Refusal> {
    if terms.paused {
        return Err(Refusal::Paused);
    }
    if now_ms < terms.opens_at_ms {
        return Err(Refusal::NotOpen { opens_at_ms: terms.opens_at_ms });
    }
    if now_ms >= terms.closes_at_ms {
        return Err(Refusal::Closed { closes_at_ms: terms.closes_at_ms });
    }
    let available = figures.available(terms);
    if available < requested {
        return Err(Refusal::SoldOut { available, requested });
    }
    Ok(())
}

/// Puts a product in for sale.
///
/// `taken` says whether the id is; ids are the directory's.
///
/// # Errors
/// `AlreadyExists`, `InvalidTerms`, `OverMaximum`, `SaleFull`.
pub fn decide_create(
    inventory: &Inventory,
    create: CreateProduct,
    taken: bool,
) -> Result<Decided, Refusal> {
    if taken {
        return Err(Refusal::AlreadyExists);
    }
    create.terms.check().map_err(|error| Refusal::InvalidTerms { error })?;
    if create.stock > FIGURE_MAX {
        return Err(Refusal::OverMaximum { max: FIGURE_MAX });
    }
    if let Some(sale_id) = &create.terms.sale_id {
        check_sale_room(inventory, sale_id, 1)?;
    }
    let changes =
        smallvec![Change { handle: inventory.next_handle(), version: Version::NONE.next() }];
    let CreateProduct { product_id, terms, stock } = create;
    let created = ProductCreated { product_id, terms, stock };
    Ok(Decided { decision: Decision::ProductCreated(Box::new(created)), changes })
}

/// Changes terms of a product or a sale. Prices apply to later decisions.
///
/// A limit and a safety stock may go below what is used; `oversell_limit` may not.
///
/// # Errors
/// `UnknownProduct`, `PreconditionFailed`, `InvalidTerms`, `WouldOversell`, `SaleFull`.
pub fn decide_terms(inventory: &Inventory, change: ChangeTerms) -> Result<Decided, Refusal> {
    let ChangeTerms { targets, patch } = change;
    let (handles, sale_id) = match targets {
        Targets::Product { handle, terms_version } => {
            let product = inventory.product(handle).ok_or(Refusal::UnknownProduct)?;
            if terms_version.is_some_and(|expected| expected != product.terms.version()) {
                return Err(Refusal::PreconditionFailed { terms_version: product.terms.version() });
            }
            (vec![handle], None)
        }
        Targets::Sale(sale_id) => (inventory.sale(&sale_id).collect(), Some(sale_id)),
    };
    if handles.is_empty() {
        return Err(Refusal::UnknownProduct);
    }
    let mut changes = Changes::with_capacity(handles.len());
    let mut joining = 0;
    for handle in handles {
        let product = inventory.product(handle).ok_or(Refusal::UnknownProduct)?;
        check_patch(product, &patch)?;
        joining += usize::from(joins(product, &patch).is_some());
        changes.push(Change { handle, version: product.version.next() });
    }
    if let Patch::Set(Some(sale_id)) = &patch.sale_id {
        check_sale_room(inventory, sale_id, joining)?;
    }
    let counting_starts = sale_id.is_none() && starts_counting(inventory, &changes, &patch);
    let changed = TermsChanged { sale_id, patch, counting_starts };
    Ok(Decided { decision: Decision::TermsChanged(Box::new(changed)), changes })
}

/// Whether `patch` sets a limit of a product that had none.
pub(super) fn starts_counting(
    inventory: &Inventory,
    changes: &[Change],
    patch: &TermsPatch,
) -> bool {
    let limit = matches!(patch.per_buyer_limit, Patch::Set(Some(1..)));
    let mut products = changes.iter().filter_map(|change| inventory.product(change.handle));
    limit && products.any(|product| product.counts.is_none())
}

fn check_patch(product: &Product, patch: &TermsPatch) -> Result<(), Refusal> {
    let terms = product.terms.patched(patch);
    terms.check().map_err(|error| Refusal::InvalidTerms { error })?;
    let figures = product.figures;
    if !figures.within(terms.oversell_limit) {
        let shortfall =
            figures.held + figures.sold - figures.stock - u64::from(terms.oversell_limit);
        return Err(Refusal::WouldOversell { shortfall });
    }
    Ok(())
}

/// The sale that `patch` brings the product into, if it is not in it.
fn joins<'a>(product: &Product, patch: &'a TermsPatch) -> Option<&'a SaleId> {
    match &patch.sale_id {
        Patch::Set(Some(sale_id)) if product.terms.sale_id.as_ref() != Some(sale_id) => {
            Some(sale_id)
        }
        _ => None,
    }
}

fn check_sale_room(inventory: &Inventory, sale_id: &SaleId, joining: usize) -> Result<(), Refusal> {
    if inventory.sale_len(sale_id) + joining > SALE_PRODUCTS_MAX {
        return Err(Refusal::SaleFull { max: SALE_PRODUCTS_MAX as u64 });
    }
    Ok(())
}

/// Puts stock in or writes it off.
///
/// # Errors
/// `UnknownProduct`, `StockChanged`, `WouldOversell` with the shortfall, `OverMaximum`.
pub fn decide_adjustment(inventory: &Inventory, adjust: AdjustStock) -> Result<Decided, Refusal> {
    let product = inventory.product(adjust.product).ok_or(Refusal::UnknownProduct)?;
    let figures = product.figures;
    let delta = stock_delta(&figures, &adjust.change)?;
    let stock = i128::from(figures.stock) + i128::from(delta);
    // Units that exist nowhere cannot be written off, whatever may be oversold.
    let needed = (i128::from(figures.held) + i128::from(figures.sold)
        - i128::from(product.terms.oversell_limit))
    .max(0);
    // More units may always come in.
    if delta < 0 && stock < needed {
        let shortfall = u64::try_from(needed - stock).unwrap_or(FIGURE_MAX).min(FIGURE_MAX);
        return Err(Refusal::WouldOversell { shortfall });
    }
    let stock = u64::try_from(stock)
        .ok()
        .filter(|stock| *stock <= FIGURE_MAX)
        .ok_or(Refusal::OverMaximum { max: FIGURE_MAX })?;
    let unsold = Figures { stock, ..figures }.unsold();
    let reason = adjust.reason;
    let adjusted = StockAdjusted { product: adjust.product, delta, reason, stock, unsold };
    let changes = smallvec![Change { handle: adjust.product, version: product.version.next() }];
    Ok(Decided { decision: Decision::StockAdjusted(Box::new(adjusted)), changes })
}

fn stock_delta(figures: &Figures, change: &StockChange) -> Result<i64, Refusal> {
    match *change {
        StockChange::Delta(delta) => Ok(delta),
        StockChange::SetUnsold { unsold, expected } => {
            let found = figures.unsold();
            if let Some(expected_unsold) = expected.filter(|expected| *expected != found) {
                return Err(Refusal::StockChanged { expected_unsold, unsold: found });
            }
            let wanted =
                i64::try_from(unsold).map_err(|_| Refusal::OverMaximum { max: FIGURE_MAX })?;
            wanted.checked_sub(found).ok_or(Refusal::OverMaximum { max: FIGURE_MAX })
        }
    }
}

/// Pauses or resumes selling for every product, beside each one's own pause. Never refused: who
/// pauses twice wants it paused.
#[must_use]
pub fn decide_selling(paused: bool) -> Decided {
    let decision = Decision::SellingPaused(SellingPaused { paused });
    Decided { decision, changes: Changes::new() }
}
