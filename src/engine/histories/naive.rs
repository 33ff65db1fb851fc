//! The naive model: what a log means, by rules of its own.
//!
//! It keeps what happened, one order and one hold beside the other, and adds up whatever is asked.
//! It shares words with the domain, the records and refusals, and no rule. Following a record, it
//! checks every promise that the record could break.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::*;
use crate::journal::Record;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A product.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) terms: Terms,
    pub(super) terms_version: u32,
    pub(super) stock: i64,
    pub(super) version: u64,
    /// Since which version and when buyers are counted.
    pub(super) counting: Option<(u64, u64)>,
    /// When the first hold was over, as it was at the last change.
    pub(super) shown_expiry_ms: u64,
}

/// A hold, live or not.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) buyer: String,
    pub(super) lines: Vec<OrderLine>,
    pub(super) placed_at_ms: u64,
    pub(super) expires_at_ms: u64,
    pub(super) versions: BTreeMap<u32, u64>,
    pub(super) end: Option<Ended>,
}

/// An order.
#[derive(Debug, Clone)]
pub(super) struct Bought {
    pub(super) buyer: String,
    pub(super) lines: Vec<OrderLine>,
    /// Units that came back, by line.
    pub(super) back: Vec<u64>,
    /// Of these, what the buyer may have again.
    pub(super) freed: Vec<u64>,
    pub(super) versions: BTreeMap<u32, u64>,
}

/// All there is.
#[derive(Debug, Clone, Default)]
pub(super) struct Naive {
    pub(super) items: Vec<Item>,
    pub(super) holds: BTreeMap<u64, Held>,
    pub(super) orders: BTreeMap<u64, Bought>,
    pub(super) paused: bool,
    pub(super) last_ms: u64,
}

/// Units of a product in lines.
fn units(lines: &[OrderLine], product: u32) -> i64 {
    let of = lines.iter().filter(|line| line.product.get() == product);
    of.map(|line| line.quantity.units() as i64).sum()
}

/// What has ended so long ago is not known any more.
pub(super) fn is_forgotten(ended: &Ended, now_ms: u64) -> bool {
    ended.by.at_ms + DAY_MS <= now_ms
}

impl Naive {
    pub(super) fn live(&self) -> impl Iterator<Item = (u64, &Held)> {
        let live = self.holds.iter().filter(|(_, hold)| hold.end.is_none());
        live.map(|(sequence, hold)| (*sequence, hold))
    }

    pub(super) fn held(&self, product: u32) -> i64 {
        self.live().map(|(_, hold)| units(&hold.lines, product)).sum()
    }

    pub(super) fn sold(&self, product: u32) -> i64 {
        let of = |order: &Bought| {
            let lines = order.lines.iter().zip(&order.back);
            let of = lines.filter(|(line, _)| line.product.get() == product);
            of.map(|(line, back)| (line.quantity.units() - back) as i64).sum::<i64>()
        };
        self.orders.values().map(of).sum()
    }

    pub(super) fn available(&self, product: u32) -> i64 {
        let Item { terms, stock, .. } = &self.items[product as usize];
        let sellable = stock + i64::from(terms.oversell_limit) - i64::from(terms.safety_stock);
        (sellable - self.held(product) - self.sold(product)).max(0)
    }

    /// Units a buyer has that count for the limit.
    pub(super) fn counted(&self, product: u32, buyer: &str) -> i64 {
        let Some((since, _)) = self.items[product as usize].counting else { return 0 };
        let counts = |versions: &BTreeMap<u32, u64>| versions.get(&product) > Some(&since);
        let holds = self.live().filter(|(_, hold)| hold.buyer == buyer && counts(&hold.versions));
        let orders = self.orders.values();
        let orders = orders.filter(|order| order.buyer == buyer && counts(&order.versions));
        let kept = |order: &Bought| {
            let lines = order.lines.iter().zip(&order.freed);
            let of = lines.filter(|(line, _)| line.product.get() == product);
            of.map(|(line, freed)| (line.quantity.units() - freed) as i64).sum::<i64>()
        };
        holds.map(|(_, hold)| units(&hold.lines, product)).sum::<i64>()
            + orders.map(kept).sum::<i64>()
    }

    /// Everybody who has something of a product that counts.
    pub(super) fn all_counted(&self, product: u32) -> BTreeMap<String, i64> {
        let buyers = self.holds.values().map(|hold| &hold.buyer);
        let buyers: BTreeSet<_> =
            buyers.chain(self.orders.values().map(|order| &order.buyer)).collect();
        let counted = buyers.into_iter().map(|buyer| (buyer.clone(), self.counted(product, buyer)));
        counted.filter(|(_, units)| *units > 0).collect()
    }

    /// The live hold that is over first, if one is.
    pub(super) fn due(&self, now_ms: u64) -> Option<u64> {
        let over = self.live().filter(|(_, hold)| hold.expires_at_ms <= now_ms);
        over.min_by_key(|(sequence, hold)| (hold.expires_at_ms, *sequence)).map(|(hold, _)| hold)
    }

    pub(super) fn first_expiry_ms(&self, product: u32) -> u64 {
        let of = self.live().filter(|(_, hold)| units(&hold.lines, product) > 0);
        of.map(|(_, hold)| hold.expires_at_ms).min().unwrap_or(u64::MAX)
    }

    /// Follows the record at `sequence`.
    pub(super) fn follow(&mut self, sequence: u64, record: &Record) {
        let Record { envelope, decision } = record;
        let at_ms = envelope.decided_at_ms;
        assert!(at_ms >= self.last_ms, "{sequence}: time goes back");
        self.last_ms = at_ms;
        if !matches!(decision, Decision::HoldExpired(_) | Decision::RefusalsCounted(_)) {
            assert_eq!(self.due(at_ms), None, "{sequence} is decided with a hold past its time");
        }
        if let Decision::ProductCreated(created) = decision {
            self.create(created, at_ms);
        }
        let mut versions = BTreeMap::new();
        for change in &envelope.changes {
            let item = &mut self.items[change.handle.index()];
            item.version += 1;
            assert_eq!(change.version.get(), item.version, "{sequence}: versions have no gaps");
            let twice = versions.insert(change.handle.get(), item.version);
            assert_eq!(twice, None, "{sequence} changes a product twice");
        }
        self.happen(sequence, record, versions);
        for change in &envelope.changes {
            let product = change.handle.get();
            let taken = self.held(product) + self.sold(product);
            let expiry_ms = self.first_expiry_ms(product);
            let item = &mut self.items[product as usize];
            let stock = item.stock + i64::from(item.terms.oversell_limit);
            assert!(item.stock >= 0 && taken <= stock, "{sequence} oversells {product}");
            item.shown_expiry_ms = expiry_ms;
        }
    }

    fn happen(&mut self, sequence: u64, record: &Record, versions: BTreeMap<u32, u64>) {
        let Record { envelope, decision } = record;
        let by = RecordAt { sequence: Sequence::new(sequence), at_ms: envelope.decided_at_ms };
        match decision {
            Decision::ProductCreated(_) | Decision::RefusalsCounted(_) => {}
            Decision::TermsChanged(changed) => self.change_terms(changed, &versions, by.at_ms),
            Decision::StockAdjusted(adjusted) => {
                let product = adjusted.product.get();
                let sold = self.sold(product);
                let item = &mut self.items[product as usize];
                item.stock += adjusted.delta;
                assert_eq!(adjusted.stock as i64, item.stock);
                assert_eq!(adjusted.unsold, item.stock - sold);
            }
            Decision::OrderPlaced(order) => {
                self.check_sale(&order.buyer_id, &order.lines, by.at_ms);
                self.place(sequence, order, versions);
            }
            Decision::HoldPlaced(placed) => {
                self.check_sale(&placed.buyer_id, &placed.lines, by.at_ms);
                let hold = Held {
                    buyer: placed.buyer_id.to_string(),
                    lines: placed.lines.to_vec(),
                    placed_at_ms: by.at_ms,
                    expires_at_ms: placed.expires_at_ms,
                    versions,
                    end: None,
                };
                assert!(hold.expires_at_ms > by.at_ms, "{sequence} is over before it begins");
                assert!(self.holds.insert(sequence, hold).is_none());
            }
            Decision::HoldExtended(extended) => {
                let hold = self.holds.get_mut(&extended.hold.get()).unwrap();
                assert!(hold.end.is_none(), "{sequence} extends what has ended");
                assert!(hold.expires_at_ms <= extended.expires_at_ms, "{sequence} shortens");
                hold.expires_at_ms = extended.expires_at_ms;
            }
            Decision::HoldConfirmed(confirmed) => {
                let lines = [&confirmed.order.lines[..], &confirmed.released].concat();
                self.end(confirmed.hold, Ended { end: HoldEnd::Confirmed, by }, &lines);
                self.place(sequence, &confirmed.order, versions);
            }
            Decision::HoldReleased(ended) => {
                self.end(ended.hold, Ended { end: HoldEnd::Released, by }, &ended.lines);
            }
            Decision::HoldExpired(ended) => {
                let over_ms = self.holds[&ended.hold.get()].expires_at_ms;
                assert!(over_ms <= by.at_ms, "{sequence} expires what holds until {over_ms}");
                self.end(ended.hold, Ended { end: HoldEnd::Expired, by }, &ended.lines);
            }
            Decision::OrderCancelled(cancelled) => self.take_back(cancelled),
            Decision::SellingPaused(selling) => self.paused = selling.paused,
        }
    }

    fn create(&mut self, created: &ProductCreated, at_ms: u64) {
        let id = created.product_id.to_string();
        assert!(self.items.iter().all(|item| item.id != id), "{id} twice");
        let terms = created.terms.clone();
        let counting = (terms.per_buyer_limit > 0).then_some((1, at_ms));
        let stock = created.stock as i64;
        let item = Item {
            id,
            terms,
            terms_version: 1,
            stock,
            version: 0,
            counting,
            shown_expiry_ms: u64::MAX,
        };
        self.items.push(item);
    }

    fn change_terms(&mut self, changed: &TermsChanged, versions: &BTreeMap<u32, u64>, at_ms: u64) {
        for (product, version) in versions {
            let item = &mut self.items[*product as usize];
            if changed.sale_id.is_some() {
                assert_eq!(changed.sale_id, item.terms.sale_id, "another sale's product");
            }
            item.terms = patched(&item.terms, &changed.patch);
            item.terms_version += 1;
            item.counting = match (item.terms.per_buyer_limit, item.counting) {
                (0, _) => None,
                (_, None) => Some((*version, at_ms)),
                (_, counting) => counting,
            };
        }
    }

    /// Before the lines are had: whether they may be.
    fn check_sale(&self, buyer: &BuyerId, lines: &[OrderLine], at_ms: u64) {
        assert!(!self.paused, "sold while everything is paused");
        let products: BTreeSet<u32> = lines.iter().map(|line| line.product.get()).collect();
        for product in products {
            let terms = &self.items[product as usize].terms;
            assert!(!terms.paused, "sold while paused");
            assert!((terms.opens_at_ms..terms.closes_at_ms).contains(&at_ms), "sold when closed");
            let asked = units(lines, product);
            assert!(asked <= self.available(product), "more than there is of {product}");
            let counted = self.counted(product, buyer.as_str());
            let limit = i64::from(terms.per_buyer_limit);
            assert!(limit == 0 || counted + asked <= limit, "{buyer} over the limit");
        }
    }

    fn place(&mut self, sequence: u64, order: &OrderPlaced, versions: BTreeMap<u32, u64>) {
        let none = vec![0; order.lines.len()];
        let order = Bought {
            buyer: order.buyer_id.to_string(),
            lines: order.lines.to_vec(),
            back: none.clone(),
            freed: none,
            versions,
        };
        assert!(self.orders.insert(sequence, order).is_none());
    }

    /// A hold ends once, and all it held goes somewhere.
    fn end(&mut self, hold: Sequence, ended: Ended, lines: &[OrderLine]) {
        let held = self.holds.get_mut(&hold.get()).expect("a hold that was placed");
        assert_eq!(held.end, None, "{hold} ends twice");
        for line in &held.lines {
            let product = line.product.get();
            assert_eq!(units(&held.lines, product), units(lines, product), "{hold}: {product}");
        }
        held.end = Some(ended);
    }

    fn take_back(&mut self, cancelled: &OrderCancelled) {
        let order = self.orders.get_mut(&cancelled.order.get()).expect("an order there is");
        assert_eq!(order.buyer, cancelled.buyer_id.as_str());
        assert!(!cancelled.lines.is_empty());
        for line in &cancelled.lines {
            let (place, units) = (line.place as usize, line.quantity.units());
            order.back[place] += units;
            assert!(order.back[place] <= order.lines[place].quantity.units(), "back twice");
            assert_eq!(line.product, order.lines[place].product);
            assert_eq!(line.unit_price, order.lines[place].unit_price);
            if line.frees_limit {
                order.freed[place] += units;
            }
            if !cancelled.restocked {
                self.items[line.product.index()].stock -= units as i64;
            }
        }
        let bought = order.lines.iter().map(|line| line.quantity.units());
        assert_eq!(cancelled.whole, bought.eq(order.back.iter().copied()));
    }
}

/// Terms with what a patch names.
pub(super) fn patched(terms: &Terms, patch: &TermsPatch) -> Terms {
    let mut terms = terms.clone();
    if let Patch::Set(paused) = patch.paused {
        terms.paused = paused;
    }
    if let Patch::Set(price) = patch.price {
        terms.price = price;
    }
    if let Patch::Set(opens_at_ms) = patch.opens_at_ms {
        terms.opens_at_ms = opens_at_ms.unwrap_or(0);
    }
    if let Patch::Set(closes_at_ms) = patch.closes_at_ms {
        terms.closes_at_ms = closes_at_ms.unwrap_or(u64::MAX);
    }
    if let Patch::Set(limit) = patch.per_buyer_limit {
        terms.per_buyer_limit = limit.unwrap_or(0);
    }
    if let Patch::Set(limit) = patch.oversell_limit {
        terms.oversell_limit = limit;
    }
    if let Patch::Set(units) = patch.safety_stock {
        terms.safety_stock = units;
    }
    if let Patch::Set(free) = patch.returns_free_limit {
        terms.returns_free_limit = free;
    }
    if let Patch::Set(sale_id) = &patch.sale_id {
        terms.sale_id = sale_id.clone();
    }
    terms
}
