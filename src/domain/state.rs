//! The state of an inventory as rows: what a snapshot keeps of it, always in the same order.
//!
//! Rows come from a disk when they come back: [`Restoring`] takes them one after another and says
//! what cannot be, as `check_applicable` does for records. The same inventory gives the same rows,
//! whatever way it came to be.

use serde::{Deserialize, Serialize};

use super::buyers::BuyerCounts;
use super::decision::OrderLines;
use super::holds::{Ended, Hold, HoldEnd, Holds};
use super::ids::{BuyerId, ProductId};
use super::inventory::Inventory;
use super::place::{Changes, Handle, RecordAt, Sequence, Version};
use super::product::{Figures, Product};
use super::quantity::FIGURE_MAX;
use super::returns::Returned;
use super::sums::Sums;
use super::terms::{StandingTerms, Terms};
use super::{ORDER_LINES_MAX, SALE_PRODUCTS_MAX, TIME_MS_MAX};

/// A product. Rows come by handle, from 0 without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductState {
    /// Its handle.
    pub handle: Handle,
    /// Its id.
    pub product_id: ProductId,
    /// What it is sold under.
    pub terms: Terms,
    /// How often the terms were set.
    pub terms_version: u32,
    /// Since when a buyer's units are counted; `u64::MAX`: they are not.
    pub counted_since_ms: u64,
    /// Its version that began the counting; none where nothing is counted.
    pub counted_since: Option<Version>,
    /// Where it stands.
    pub figures: Figures,
    /// Place of its last change.
    pub version: Version,
}

/// What a buyer has of a product that counts. Rows come by handle, then by the buyer's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountState {
    /// Of which product.
    pub handle: Handle,
    /// Who.
    pub buyer_id: BuyerId,
    /// Units in orders and live holds, at least 1.
    pub units: u32,
}

/// A live hold. Rows come by sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveHoldState {
    /// The record that placed it.
    pub hold: Sequence,
    /// For whom.
    pub buyer_id: BuyerId,
    /// What.
    #[serde(deserialize_with = "super::one_by_one")]
    pub lines: OrderLines,
    /// When it was placed.
    pub placed_at_ms: u64,
    /// First moment it is over.
    pub expires_at_ms: u64,
    /// The changes its placing made.
    #[serde(deserialize_with = "super::one_by_one")]
    pub changes: Changes,
}

/// A hold that ended within 24 hours. Rows come in the order they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndState {
    /// The record that placed it.
    pub hold: Sequence,
    /// How it ended: 0 confirmed, 1 released, 2 expired.
    pub end: u8,
    /// The record that ended it.
    pub by: Sequence,
    /// When.
    pub at_ms: u64,
}

/// What came back of an order. Rows come by sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnState {
    /// The record that placed the order.
    pub order: Sequence,
    /// Place of a line, from 0, and units of it, at least 1; by place.
    #[serde(deserialize_with = "super::one_by_one")]
    pub lines: Vec<(u32, u32)>,
}

/// Why rows are not the state of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct StateError {
    /// Which row.
    what: String,
    /// What is wrong with it.
    why: String,
}

/// An inventory that is being put together from rows.
#[derive(Debug, Default)]
pub struct Restoring {
    inventory: Inventory,
    last_count: Option<(Handle, BuyerId)>,
    last_hold: u64,
    last_end: u64,
    last_return: u64,
}

const ENDS: [HoldEnd; 3] = [HoldEnd::Confirmed, HoldEnd::Released, HoldEnd::Expired];

impl Inventory {
    /// Its products; `id` names each.
    pub fn product_states<'a>(
        &'a self,
        id: impl Fn(Handle) -> ProductId + 'a,
    ) -> impl Iterator<Item = ProductState> + 'a {
        self.products().map(move |(handle, product)| ProductState {
            handle,
            product_id: id(handle),
            terms: (**product.terms).clone(),
            terms_version: product.terms.version(),
            counted_since_ms: product.terms.counted_since_ms().unwrap_or(u64::MAX),
            counted_since: product.counts.as_ref().map(|counts| counts.since_version()),
            figures: product.figures,
            version: product.version,
        })
    }

    /// What buyers have of products that count.
    pub fn count_states(&self) -> impl Iterator<Item = CountState> + '_ {
        self.products().filter(|(_, product)| product.counts.is_some()).flat_map(
            |(handle, product)| {
                let counts = product.counts.as_deref();
                let mut buyers: Vec<(&BuyerId, u64)> =
                    counts.into_iter().flat_map(|counts| self.buyers().list(counts)).collect();
                buyers.sort_unstable_by_key(|(buyer_id, _)| *buyer_id);
                buyers.into_iter().map(move |(buyer_id, units)| CountState {
                    handle,
                    buyer_id: buyer_id.clone(),
                    units: u32::try_from(units).expect("a count is a u32"),
                })
            },
        )
    }

    /// Its live holds.
    pub fn hold_states(&self) -> impl Iterator<Item = LiveHoldState> + '_ {
        let mut live: Vec<(Sequence, &Hold)> = self.holds().iter().collect();
        live.sort_unstable_by_key(|(hold, _)| *hold);
        live.into_iter().map(|(sequence, hold)| LiveHoldState {
            hold: sequence,
            buyer_id: hold.buyer_id.clone(),
            lines: hold.lines.clone(),
            placed_at_ms: hold.placed_at_ms,
            expires_at_ms: hold.expires_at_ms,
            changes: hold.changes.clone(),
        })
    }

    /// The ends of holds that are known at `now_ms`.
    pub fn end_states(&self, now_ms: u64) -> impl Iterator<Item = EndState> + '_ {
        self.holds().ends(now_ms).map(|(hold, Ended { end, by })| EndState {
            hold,
            end: ENDS.iter().position(|known| *known == end).map_or(0, |place| place as u8),
            by: by.sequence,
            at_ms: by.at_ms,
        })
    }

    /// What came back of orders.
    pub fn return_states(&self) -> impl Iterator<Item = ReturnState> + '_ {
        let mut orders: Vec<(Sequence, &Returned)> = self.returns().iter().collect();
        orders.sort_unstable_by_key(|(order, _)| *order);
        orders
            .into_iter()
            .map(|(order, returned)| ReturnState { order, lines: returned.pairs().to_vec() })
    }
}

impl Restoring {
    /// Nothing yet, with selling paused for every product or not.
    #[must_use]
    pub fn new(selling_paused: bool) -> Self {
        let mut restoring = Self::default();
        restoring.inventory.selling_paused = selling_paused;
        restoring
    }

    /// Takes the next product.
    ///
    /// # Errors
    /// What cannot be.
    pub fn product(&mut self, row: &ProductState) -> Result<(), StateError> {
        let inventory = &mut self.inventory;
        let ProductState { handle, terms, figures, version, .. } = row;
        let bad = |why: &str| Err(error(format!("product {}", row.product_id), why));
        if *handle != inventory.next_handle() {
            return bad("its handle is not the next");
        }
        if let Err(why) = terms.check() {
            return bad(&why.to_string());
        }
        let counts = terms.buyer_limit().is_some();
        if counts != row.counted_since.is_some() || counts != (row.counted_since_ms != u64::MAX) {
            return bad("buyers are counted where there is a limit, and nowhere else");
        }
        if row.counted_since.is_some_and(|since| since > *version || since == Version::NONE)
            || *version == Version::NONE
            || row.terms_version == 0
        {
            return bad("a version that it cannot have");
        }
        let figures_max = [figures.stock, figures.held, figures.sold].into_iter().max();
        if figures_max > Some(FIGURE_MAX) || !figures.within(terms.oversell_limit) {
            return bad("it is oversold");
        }
        let mut terms = terms.clone();
        terms.sale_id = terms.sale_id.map(|sale_id| inventory.shared_sale_id(sale_id));
        if terms.sale_id.as_ref().is_some_and(|id| inventory.sale_len(id) >= SALE_PRODUCTS_MAX) {
            return bad("its sale has too many products");
        }
        let terms = StandingTerms::restored(terms, row.terms_version, row.counted_since_ms);
        let counts = row.counted_since.map(|since| Box::new(BuyerCounts::since(since)));
        inventory.push(Product {
            terms: std::sync::Arc::new(terms),
            figures: *figures,
            version: *version,
            counts,
        });
        Ok(())
    }

    /// Takes the next count, once all products are there.
    ///
    /// # Errors
    /// What cannot be.
    pub fn count(&mut self, row: CountState) -> Result<(), StateError> {
        let CountState { handle, buyer_id, units } = row;
        let bad = |why: &str| Err(error(format!("buyers of product {handle}"), why));
        let place = (handle, buyer_id);
        if self.last_count.as_ref().is_some_and(|last| *last >= place) {
            return bad("they are not in order");
        }
        let Some((product, buyers)) = self.inventory.product_and_buyers(handle) else {
            return bad("there is no such product");
        };
        let Some(counts) = product.counts.as_mut().filter(|_| units > 0) else {
            return bad("they are not counted");
        };
        buyers.add(counts, &place.1, u64::from(units));
        self.last_count = Some(place);
        Ok(())
    }

    /// Takes the next live hold, once all counts are there.
    ///
    /// # Errors
    /// What cannot be.
    pub fn hold(&mut self, row: LiveHoldState) -> Result<(), StateError> {
        let LiveHoldState { hold: sequence, buyer_id, lines, placed_at_ms, expires_at_ms, changes } =
            row;
        let bad = |why: &str| Err(error(format!("the hold of record {sequence}"), why));
        if sequence.get() <= std::mem::replace(&mut self.last_hold, sequence.get()) {
            return bad("holds are not in order");
        }
        if !(1..=ORDER_LINES_MAX).contains(&lines.len()) || expires_at_ms > TIME_MS_MAX {
            return bad("it has no lines or no time that a hold can have");
        }
        let sums = Sums::of(&lines);
        let mut handles: Vec<Handle> = changes.iter().map(|change| change.handle).collect();
        handles.sort_unstable();
        handles.dedup();
        if handles.len() != changes.len() || sums.products() != changes.len() {
            return bad("its changes are not those of its lines");
        }
        for change in &changes {
            let product = self.inventory.product(change.handle);
            let is_one = product.is_some_and(|product| {
                change.version != Version::NONE && change.version <= product.version
            });
            if !is_one || sums.units(change.handle) == 0 {
                return bad("its changes are not those of its lines");
            }
        }
        let hold = Hold { buyer_id, lines, placed_at_ms, expires_at_ms, changes };
        self.inventory.holds.place(sequence, hold);
        Ok(())
    }

    /// Takes the next end of a hold, once all live ones are there.
    ///
    /// # Errors
    /// What cannot be.
    pub fn end(&mut self, row: EndState) -> Result<(), StateError> {
        let EndState { hold, end, by, at_ms } = row;
        let bad = |why: &str| Err(error(format!("the end of the hold of record {hold}"), why));
        let Some(end) = ENDS.get(usize::from(end)) else { return bad("it is no end") };
        if by.get() <= std::mem::replace(&mut self.last_end, by.get()) || hold >= by {
            return bad("ends are not in order");
        }
        let ended = Ended { end: *end, by: RecordAt { sequence: by, at_ms } };
        match self.inventory.holds.restore_end(hold, ended) {
            true => Ok(()),
            false => bad("it has not ended, or twice"),
        }
    }

    /// Takes what came back of the next order.
    ///
    /// # Errors
    /// What cannot be.
    pub fn returned(&mut self, row: ReturnState) -> Result<(), StateError> {
        let ReturnState { order, lines } = row;
        let bad = |why: &str| Err(error(format!("what came back of the order of {order}"), why));
        if order.get() <= std::mem::replace(&mut self.last_return, order.get()) {
            return bad("orders are not in order");
        }
        let in_order = lines.is_sorted_by(|(one, _), (next, _)| one < next);
        let can_be =
            |(place, units): &(u32, u32)| (*place as usize) < ORDER_LINES_MAX && *units > 0;
        if lines.is_empty() || !in_order || !lines.iter().all(can_be) {
            return bad("lines that cannot come back");
        }
        self.inventory.returns.restore(order, Returned::of_pairs(lines));
        Ok(())
    }

    /// The inventory, once every row was taken.
    ///
    /// # Errors
    /// Rows that are sound by themselves do not fit each other.
    pub fn finish(self) -> Result<Inventory, StateError> {
        check_held(&self.inventory)?;
        check_counted(&self.inventory)?;
        Ok(self.inventory)
    }
}

/// What products hold is what live holds have.
fn check_held(inventory: &Inventory) -> Result<(), StateError> {
    let mut held = vec![0_u64; inventory.len()];
    for (_, hold) in inventory.holds().iter() {
        for line in &hold.lines {
            if let Some(sum) = held.get_mut(line.product.index()) {
                *sum += line.quantity.units();
            }
        }
    }
    for ((handle, product), held) in inventory.products().zip(held) {
        if product.figures.held != held {
            let why = format!("{} units are held, {held} are in holds", product.figures.held);
            return Err(error(format!("product {handle}"), &why));
        }
    }
    Ok(())
}

/// A hold that is counted can give its units back.
fn check_counted(inventory: &Inventory) -> Result<(), StateError> {
    let mut of_holds = hashbrown::HashMap::<(Handle, &BuyerId), u64>::new();
    for (_, hold) in inventory.holds().iter() {
        for change in &hold.changes {
            let product = inventory.product(change.handle);
            let counts = product.and_then(|product| product.counts.as_deref());
            if counts.is_some_and(|counts| hold.is_counted(change.handle, counts)) {
                let units = Sums::of(&hold.lines).units(change.handle);
                *of_holds.entry((change.handle, &hold.buyer_id)).or_default() += units;
            }
        }
    }
    for ((handle, buyer_id), units) in of_holds {
        let counts = inventory.product(handle).and_then(|product| product.counts.as_deref());
        let counted = counts.map_or(0, |counts| inventory.buyers().units(counts, buyer_id));
        if counted < units {
            let why = format!("a buyer holds {units} units, {counted} are counted");
            return Err(error(format!("product {handle}"), &why));
        }
    }
    Ok(())
}

fn error(what: String, why: &str) -> StateError {
    StateError { what, why: why.to_owned() }
}

impl Holds {
    /// Remembers an end; `false`: the hold is live, or its end is known.
    fn restore_end(&mut self, hold: Sequence, ended: Ended) -> bool {
        self.live(hold).is_none() && self.remember(hold, ended)
    }
}
