//! What the naive model expects of a command: the decision, word for word, or the refusal with its
//! figures.

use smallvec::SmallVec;

use super::naive::{Held, Naive, is_forgotten, patched};
use crate::domain::*;
use crate::engine::Action;

/// A decision and the products it changes, in the order of the record.
pub(super) type Expected = Result<(Decision, Vec<u32>), Refusal>;

/// Units of one line, one by one: which of them are back, which a request has taken.
struct Units {
    product: u32,
    back: usize,
    taken: usize,
    all: usize,
}

impl Units {
    fn left(&self) -> usize {
        self.all - self.back - self.taken
    }
}

/// Products in order of first mention.
fn mentioned(products: impl Iterator<Item = Handle>) -> Vec<u32> {
    let mut seen = Vec::new();
    for product in products {
        if !seen.contains(&product.get()) {
            seen.push(product.get());
        }
    }
    seen
}

fn products_of(lines: &[OrderLine]) -> Vec<u32> {
    mentioned(lines.iter().map(|line| line.product))
}

impl Naive {
    /// What becomes of a command, with no hold past its time.
    pub(super) fn expected(&self, action: &Action, rules: &HoldRules, now_ms: u64) -> Expected {
        match action {
            Action::Create(create) => self.creation(create),
            Action::ChangeTerms(change) => self.change_of_terms(change),
            Action::Adjust(adjust) => self.adjustment(adjust),
            Action::Order(PlaceOrder { buyer_id, lines }) => {
                let lines = self.had(buyer_id, lines, now_ms)?;
                let products = products_of(&lines);
                let order = OrderPlaced { buyer_id: buyer_id.clone(), lines };
                Ok((Decision::OrderPlaced(order), products))
            }
            Action::PlaceHold(place) => self.hold(place, rules, now_ms),
            Action::ExtendHold(extend) => self.extension(*extend, rules, now_ms),
            Action::ConfirmHold { confirm, lines } => {
                self.hold_was_shown(confirm.hold, *lines)?;
                self.confirmation(confirm, now_ms)
            }
            Action::ReleaseHold { release, lines } => {
                self.hold_was_shown(release.hold, *lines)?;
                let hold = self.live_hold(release.hold, now_ms)?;
                Ok((Decision::HoldReleased(ended(release.hold, hold)), products_of(&hold.lines)))
            }
            Action::Cancel(cancel) => self.cancellation(cancel),
            Action::PauseSelling(paused) => {
                Ok((Decision::SellingPaused(SellingPaused { paused: *paused }), Vec::new()))
            }
        }
    }

    /// The end of a hold that is over.
    pub(super) fn expiry(&self, hold: u64) -> (Decision, Vec<u32>) {
        let held = &self.holds[&hold];
        (Decision::HoldExpired(ended(Sequence::new(hold), held)), products_of(&held.lines))
    }

    /// Why units of one product cannot be had, apart from the buyer.
    pub(super) fn not_for_sale(&self, product: u32, asked: u64, now_ms: u64) -> Option<Refusal> {
        let terms = &self.items[product as usize].terms;
        if self.paused || terms.paused {
            return Some(Refusal::Paused);
        }
        if now_ms < terms.opens_at_ms {
            return Some(Refusal::NotOpen { opens_at_ms: terms.opens_at_ms });
        }
        if now_ms >= terms.closes_at_ms {
            return Some(Refusal::Closed { closes_at_ms: terms.closes_at_ms });
        }
        let available = self.available(product) as u64;
        (asked > available).then_some(Refusal::SoldOut { available, requested: asked })
    }

    fn creation(&self, create: &CreateProduct) -> Expected {
        let CreateProduct { product_id, terms, stock } = create.clone();
        if self.items.iter().any(|item| item.id == product_id.as_str()) {
            return Err(Refusal::AlreadyExists);
        }
        check_window(&terms)?;
        let created = ProductCreated { product_id, terms, stock };
        Ok((Decision::ProductCreated(Box::new(created)), vec![self.items.len() as u32]))
    }

    fn change_of_terms(&self, change: &ChangeTerms) -> Expected {
        let ChangeTerms { targets, patch } = change.clone();
        let all = 0..self.items.len() as u32;
        let (products, sale_id) = match targets {
            Targets::Product { handle, terms_version } => {
                let has = self.items[handle.index()].terms_version;
                if terms_version.is_some_and(|expected| expected != has) {
                    return Err(Refusal::PreconditionFailed { terms_version: has });
                }
                (vec![handle.get()], None)
            }
            Targets::Sale(sale_id) => {
                let of = |product: &u32| {
                    self.items[*product as usize].terms.sale_id.as_ref() == Some(&sale_id)
                };
                (all.filter(of).collect(), Some(sale_id))
            }
        };
        if products.is_empty() {
            return Err(Refusal::UnknownProduct);
        }
        let mut first_limit = false;
        for product in &products {
            let item = &self.items[*product as usize];
            let terms = patched(&item.terms, &patch);
            check_window(&terms)?;
            let most = item.stock + i64::from(terms.oversell_limit);
            let taken = self.held(*product) + self.sold(*product);
            if taken > most {
                return Err(Refusal::WouldOversell { shortfall: (taken - most) as u64 });
            }
            first_limit |= terms.per_buyer_limit > 0 && item.terms.per_buyer_limit == 0;
        }
        let counting_starts = sale_id.is_none() && first_limit;
        let changed = TermsChanged { sale_id, patch, counting_starts };
        Ok((Decision::TermsChanged(Box::new(changed)), products))
    }

    fn adjustment(&self, adjust: &AdjustStock) -> Expected {
        let product = adjust.product.get();
        let item = &self.items[product as usize];
        let (held, sold) = (self.held(product), self.sold(product));
        let delta = match adjust.change {
            StockChange::Delta(delta) => delta,
            StockChange::SetUnsold { unsold, expected } => {
                let found = item.stock - sold;
                if let Some(expected_unsold) = expected.filter(|expected| *expected != found) {
                    return Err(Refusal::StockChanged { expected_unsold, unsold: found });
                }
                unsold as i64 - found
            }
        };
        let stock = item.stock + delta;
        let least = (held + sold - i64::from(item.terms.oversell_limit)).max(0);
        if delta < 0 && stock < least {
            return Err(Refusal::WouldOversell { shortfall: (least - stock) as u64 });
        }
        let adjusted = StockAdjusted {
            product: adjust.product,
            delta,
            reason: adjust.reason.clone(),
            stock: stock as u64,
            unsold: stock - sold,
        };
        Ok((Decision::StockAdjusted(Box::new(adjusted)), vec![product]))
    }

    /// The lines as they are had, or why not.
    fn had(
        &self,
        buyer: &BuyerId,
        wishes: &[LineWish],
        now_ms: u64,
    ) -> Result<OrderLines, Refusal> {
        let mut refused = Vec::new();
        for product in mentioned(wishes.iter().map(|wish| wish.product)) {
            let of = |wish: &LineWish| wish.product.get() == product;
            let asked = wishes.iter().filter(|wish| of(wish)).map(|wish| wish.quantity.units());
            let requested = asked.sum::<u64>();
            let limit = self.items[product as usize].terms.per_buyer_limit;
            let bought = self.counted(product, buyer.as_str()) as u64;
            let limited = limit > 0 && bought + requested > u64::from(limit);
            let limited = limited.then_some(Refusal::LimitReached { limit, bought, requested });
            let why = self.not_for_sale(product, requested, now_ms).or(limited);
            let places = wishes.iter().enumerate().filter(|(_, wish)| of(wish));
            let lines = places.map(|(place, _)| place).collect();
            refused.extend(why.map(|refusal| RefusedLine { lines, refusal }));
        }
        match (wishes.len(), refused.pop()) {
            (_, None) => {}
            (1, Some(line)) => return Err(line.refusal),
            (_, Some(line)) => {
                refused.push(line);
                return Err(Refusal::Lines(refused));
            }
        }
        let line = |wish: &LineWish| OrderLine {
            product: wish.product,
            quantity: wish.quantity,
            unit_price: wish.unit_price.or(self.items[wish.product.index()].terms.price),
        };
        Ok(wishes.iter().map(line).collect())
    }

    fn hold(&self, place: &PlaceHold, rules: &HoldRules, now_ms: u64) -> Expected {
        let PlaceHold { buyer_id, lines, ttl_ms } = place;
        let lines = self.had(buyer_id, lines, now_ms)?;
        let theirs = self.live().filter(|(_, hold)| hold.buyer == buyer_id.as_str()).count();
        if theirs as u32 >= rules.live_per_buyer_max {
            return Err(Refusal::HoldsReached { limit: rules.live_per_buyer_max });
        }
        let held: usize = self.live().map(|(_, hold)| hold.lines.len()).sum();
        if held + lines.len() > rules.live_lines_max {
            return Err(Refusal::HoldsFull { max: rules.live_lines_max as u64 });
        }
        let products = products_of(&lines);
        let expires_at_ms = now_ms + ttl_ms;
        let placed = HoldPlaced { buyer_id: buyer_id.clone(), lines, expires_at_ms };
        Ok((Decision::HoldPlaced(placed), products))
    }

    /// Who takes room for fewer lines than a hold has was not told of it.
    fn hold_was_shown(&self, hold: Sequence, lines: u16) -> Result<(), Refusal> {
        let held = self.holds.get(&hold.get()).filter(|held| held.end.is_none());
        match held.is_some_and(|held| held.lines.len() > usize::from(lines)) {
            true => Err(Refusal::UnknownHold),
            false => Ok(()),
        }
    }

    fn live_hold(&self, sequence: Sequence, now_ms: u64) -> Result<&Held, Refusal> {
        let hold = self.holds.get(&sequence.get()).ok_or(Refusal::UnknownHold)?;
        match &hold.end {
            None => Ok(hold),
            Some(ended) if is_forgotten(ended, now_ms) => Err(Refusal::UnknownHold),
            Some(ended) => Err(Refusal::HoldEnded { end: ended.end }),
        }
    }

    fn extension(&self, extend: ExtendHold, rules: &HoldRules, now_ms: u64) -> Expected {
        let hold = self.live_hold(extend.hold, now_ms)?;
        let longest_ms = hold.placed_at_ms + rules.ttl_max_ms;
        let expires_at_ms = hold.expires_at_ms.max(longest_ms.min(now_ms + extend.ttl_ms));
        let extended = HoldExtended { hold: extend.hold, expires_at_ms };
        Ok((Decision::HoldExtended(extended), Vec::new()))
    }

    fn confirmation(&self, confirm: &ConfirmHold, now_ms: u64) -> Expected {
        let hold = self.live_hold(confirm.hold, now_ms)?;
        let mut left = all_left(&hold.lines, &vec![0; hold.lines.len()]);
        take(&mut left, confirm.parts.as_deref())?;
        let some = |(line, units): (&OrderLine, usize)| {
            let quantity = Quantity::new(units as u64).ok()?;
            Some(OrderLine { quantity, ..*line })
        };
        let lines = hold.lines.iter().zip(left.iter().map(|units| units.taken)).filter_map(some);
        let rest = hold.lines.iter().zip(left.iter().map(Units::left)).filter_map(some);
        let buyer_id = BuyerId::new(&hold.buyer).unwrap();
        let order = OrderPlaced { buyer_id, lines: lines.collect() };
        let released = rest.collect();
        let confirmed = HoldConfirmed { hold: confirm.hold, order, released };
        Ok((Decision::HoldConfirmed(Box::new(confirmed)), products_of(&hold.lines)))
    }

    fn cancellation(&self, cancel: &CancelOrder) -> Expected {
        let sequence = cancel.order.sequence;
        let order = &self.orders[&sequence.get()];
        let mut left = all_left(&order.lines, &order.back);
        if cancel.parts.is_none() && left.iter().all(|units| units.left() == 0) {
            let requested = order.lines.iter().map(|line| line.quantity.units()).sum();
            return Err(Refusal::AlreadyCancelled { left: 0, requested });
        }
        take(&mut left, cancel.parts.as_deref())?;
        let frees = |product: u32| {
            let item = &self.items[product as usize];
            let counts = |(since, _)| order.versions[&product] > since;
            item.terms.returns_free_limit && item.counting.is_some_and(counts)
        };
        let line = |(place, units): (usize, &Units)| {
            let (product, unit_price) = (order.lines[place].product, order.lines[place].unit_price);
            let frees_limit = frees(product.get());
            let quantity = Quantity::new(units.taken as u64).ok()?;
            Some(CancelledLine { place: place as u32, product, quantity, unit_price, frees_limit })
        };
        let lines: Vec<_> = left.iter().enumerate().filter_map(line).collect();
        let products = mentioned(lines.iter().map(|line| line.product));
        for product in products.iter().filter(|_| !cancel.restock) {
            let of = left.iter().filter(|units| units.product == *product);
            let (units, stock) = (of.map(|units| units.taken as i64).sum::<i64>(), *product);
            let stock = self.items[stock as usize].stock;
            if units > stock {
                return Err(Refusal::WouldOversell { shortfall: (units - stock) as u64 });
            }
        }
        let cancelled = OrderCancelled {
            order: sequence,
            buyer_id: BuyerId::new(&order.buyer).unwrap(),
            lines,
            reason: cancel.reason.clone(),
            restocked: cancel.restock,
            whole: left.iter().all(|units| units.left() == 0),
        };
        Ok((Decision::OrderCancelled(Box::new(cancelled)), products))
    }
}

fn ended(hold: Sequence, held: &Held) -> HoldEnded {
    let lines = SmallVec::from_slice(&held.lines);
    HoldEnded { hold, buyer_id: BuyerId::new(&held.buyer).unwrap(), lines }
}

fn check_window(terms: &Terms) -> Result<(), Refusal> {
    if terms.opens_at_ms < terms.closes_at_ms {
        return Ok(());
    }
    Err(Refusal::InvalidTerms { error: TermsError::EmptyWindow })
}

fn all_left(lines: &[OrderLine], back: &[u64]) -> Vec<Units> {
    let units = |(line, back): (&OrderLine, &u64)| Units {
        product: line.product.get(),
        back: *back as usize,
        taken: 0,
        all: line.quantity.units() as usize,
    };
    lines.iter().zip(back).map(units).collect()
}

/// Takes parts one after another, or all that is left.
fn take(lines: &mut [Units], parts: Option<&[Part]>) -> Result<(), Refusal> {
    let Some(parts) = parts else {
        lines.iter_mut().for_each(|line| line.taken = line.left());
        return Ok(());
    };
    for (number, part) in parts.iter().enumerate() {
        let named: Vec<usize> = (0..lines.len())
            .filter(|place| match part.of {
                PartOf::Line(line) => line == *place,
                PartOf::Product(handle) => handle.get() == lines[*place].product,
            })
            .collect();
        if named.is_empty() {
            return Err(Refusal::NoSuchLine { part: number });
        }
        let requested = part.quantity.units();
        let left: usize = named.iter().map(|place| lines[*place].left()).sum();
        let ever: usize = named.iter().map(|place| lines[*place].all - lines[*place].taken).sum();
        if requested > ever as u64 {
            return Err(Refusal::PartTooLarge { part: number, units: ever as u64 });
        }
        if requested > left as u64 {
            return Err(Refusal::AlreadyCancelled { left: left as u64, requested });
        }
        for _ in 0..requested {
            let place = named.iter().find(|place| lines[**place].left() > 0).unwrap();
            lines[*place].taken += 1;
        }
    }
    Ok(())
}
