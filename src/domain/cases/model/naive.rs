//! The naive model: it keeps what happened, and adds it up anew for every question.

use std::collections::BTreeMap;

use super::{Of, RULES, Step};
use crate::domain::{HOLD_KNOWN_MS, HoldEnd};

/// What the naive model keeps of a product.
#[derive(Debug, Default)]
pub(super) struct Naive {
    pub(super) stock: i64,
    pub(super) oversell: i64,
    pub(super) safety: i64,
    pub(super) limit: i64,
    /// The version that set the limit.
    since: u64,
    opens: u64,
    closes: Option<u64>,
    paused: bool,
    returns_free: bool,
    sale: Option<u8>,
    pub(super) version: u64,
}

/// A line of an order, and how many of its units came back and were freed.
pub(super) struct Line {
    product: u32,
    units: i64,
    pub(super) back: i64,
    freed: i64,
}

pub(super) struct Order {
    buyer: u8,
    pub(super) lines: Vec<Line>,
    versions: BTreeMap<u32, u64>,
}

pub(super) struct Hold {
    pub(super) buyer: u8,
    pub(super) lines: Vec<(u32, i64)>,
    versions: BTreeMap<u32, u64>,
    placed_ms: u64,
    pub(super) expires_ms: u64,
    pub(super) end: Option<(HoldEnd, u64)>,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) products: BTreeMap<u32, Naive>,
    pub(super) orders: Vec<Order>,
    pub(super) holds: Vec<Hold>,
    paused: bool,
    pub(super) now_ms: u64,
}

/// Units by product.
fn wanted(lines: impl Iterator<Item = (u32, i64)>) -> BTreeMap<u32, i64> {
    let mut wanted = BTreeMap::new();
    for (product, units) in lines {
        *wanted.entry(product).or_default() += units;
    }
    wanted
}

/// Units taken of each line, unit by unit; `None`: there are not as many.
fn taken(lines: &[(u32, i64)], parts: &[(Of, u64)]) -> Option<Vec<i64>> {
    let mut taken = vec![0; lines.len()];
    for (of, units) in parts {
        for _ in 0..*units {
            let free = |place: &usize| {
                let named = match of {
                    Of::Line(line) => place == line,
                    Of::Product(product) => lines[*place].0 == *product,
                };
                named && taken[*place] < lines[*place].1
            };
            let place = (0..lines.len()).find(free)?;
            taken[place] += 1;
        }
    }
    Some(taken)
}

impl Order {
    pub(super) fn left(&self) -> i64 {
        self.lines.iter().map(|line| line.units - line.back).sum()
    }
}

impl Model {
    pub(super) fn sold(&self, product: u32) -> i64 {
        let lines = self.orders.iter().flat_map(|order| &order.lines);
        lines.filter(|line| line.product == product).map(|line| line.units - line.back).sum()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(|hold| hold.end.is_none())
    }

    pub(super) fn held(&self, product: u32) -> i64 {
        let lines = self.live().flat_map(|hold| &hold.lines);
        lines.filter(|(held, _)| *held == product).map(|(_, units)| units).sum()
    }

    /// Units a limit counts: orders and live holds since it was set, less what a return freed.
    pub(super) fn has(&self, product: u32, buyer: u8) -> i64 {
        let since = self.products[&product].since;
        let counted = |versions: &BTreeMap<u32, u64>| versions.get(&product) > Some(&since);
        let orders = self.orders.iter().filter(|o| o.buyer == buyer && counted(&o.versions));
        let sold = orders.flat_map(|order| &order.lines).filter(|line| line.product == product);
        let holds = self.live().filter(|h| h.buyer == buyer && counted(&h.versions));
        let held = holds.flat_map(|hold| &hold.lines).filter(|(held, _)| *held == product);
        sold.map(|line| line.units - line.freed).sum::<i64>() + held.map(|(_, u)| u).sum::<i64>()
    }

    /// Whether a buyer may have `units` of a product now.
    fn sells(&self, product: u32, buyer: u8, units: i64) -> bool {
        let Some(p) = self.products.get(&product) else { return false };
        let open = !self.paused && !p.paused && self.now_ms >= p.opens;
        let open = open && p.closes.is_none_or(|closes| self.now_ms < closes);
        let used = self.held(product) + self.sold(product);
        let enough = p.stock + p.oversell - p.safety - used >= units;
        open && enough && (p.limit == 0 || self.has(product, buyer) + units <= p.limit)
    }

    fn sells_all(&self, buyer: u8, lines: &[(u32, i64)]) -> bool {
        let wanted = wanted(lines.iter().copied());
        wanted.iter().all(|(product, units)| self.sells(*product, buyer, *units))
    }

    /// Each of the products changes; gives their versions after it.
    fn changed(&mut self, products: impl Iterator<Item = u32>) -> BTreeMap<u32, u64> {
        let mut versions = BTreeMap::new();
        for product in products {
            let p = self.products.get_mut(&product).unwrap();
            p.version += u64::from(!versions.contains_key(&product));
            versions.insert(product, p.version);
        }
        versions
    }

    fn order(&mut self, buyer: u8, lines: &[(u32, u64)]) -> bool {
        let lines: Vec<_> = lines.iter().map(|(p, units)| (*p, *units as i64)).collect();
        let sells = self.sells_all(buyer, &lines);
        if sells {
            let versions = self.changed(lines.iter().map(|(product, _)| *product));
            self.push_order(buyer, &lines, versions);
        }
        sells
    }

    fn push_order(&mut self, buyer: u8, lines: &[(u32, i64)], versions: BTreeMap<u32, u64>) {
        let line = |(product, units): &(u32, i64)| Line {
            product: *product,
            units: *units,
            back: 0,
            freed: 0,
        };
        let lines = lines.iter().filter(|(_, units)| *units > 0).map(line).collect();
        self.orders.push(Order { buyer, lines, versions });
    }

    fn hold(&mut self, buyer: u8, lines: &[(u32, u64)], ttl: u64) -> bool {
        let lines: Vec<_> = lines.iter().map(|(p, units)| (*p, *units as i64)).collect();
        let of_buyer = self.live().filter(|hold| hold.buyer == buyer).count();
        let live_lines: usize = self.live().map(|hold| hold.lines.len()).sum();
        let takes = self.sells_all(buyer, &lines)
            && of_buyer < RULES.live_per_buyer_max as usize
            && live_lines + lines.len() <= RULES.live_lines_max;
        if takes {
            let versions = self.changed(lines.iter().map(|(product, _)| *product));
            let (placed_ms, expires_ms) = (self.now_ms, self.now_ms + ttl);
            self.holds.push(Hold { buyer, lines, versions, placed_ms, expires_ms, end: None });
        }
        takes
    }

    /// The number of a hold among those that ever were, if it is live.
    fn live_one(&self, hold: usize) -> Option<usize> {
        let number = hold.checked_rem(self.holds.len())?;
        self.holds[number].end.is_none().then_some(number)
    }

    /// Ends a hold; gives its products' versions.
    fn end(&mut self, number: usize, end: HoldEnd) -> BTreeMap<u32, u64> {
        self.holds[number].end = Some((end, self.now_ms));
        let products: Vec<u32> = self.holds[number].versions.keys().copied().collect();
        self.changed(products.into_iter())
    }

    fn confirm(&mut self, hold: usize, parts: Option<&[(Of, u64)]>) -> bool {
        let Some(number) = self.live_one(hold) else { return false };
        let (buyer, lines) = (self.holds[number].buyer, self.holds[number].lines.clone());
        let sold = match parts {
            None => Some(lines.iter().map(|(_, units)| *units).collect()),
            Some(parts) => taken(&lines, parts),
        };
        let Some(sold) = sold else { return false };
        let versions = self.end(number, HoldEnd::Confirmed);
        let sold: Vec<_> = lines.iter().zip(sold).map(|((p, _), units)| (*p, units)).collect();
        self.push_order(buyer, &sold, versions);
        true
    }

    fn cancel(&mut self, order: usize, parts: Option<&[(Of, u64)]>, restock: bool) -> bool {
        let Some(number) = order.checked_rem(self.orders.len()) else { return false };
        let lines = &self.orders[number].lines;
        let left: Vec<_> =
            lines.iter().map(|line| (line.product, line.units - line.back)).collect();
        let back = match parts {
            None => Some(left.iter().map(|(_, units)| *units).collect()),
            Some(parts) => taken(&left, parts),
        };
        let back = back.filter(|back| back.iter().any(|units| *units > 0));
        let Some(back) = back else { return false };
        let sums = wanted(left.iter().zip(&back).map(|((product, _), units)| (*product, *units)));
        let sums: BTreeMap<_, _> = sums.into_iter().filter(|(_, units)| *units > 0).collect();
        if !restock && sums.iter().any(|(product, units)| self.products[product].stock < *units) {
            return false;
        }
        let Order { lines, versions, .. } = &mut self.orders[number];
        for (line, units) in lines.iter_mut().zip(back) {
            let p = &self.products[&line.product];
            let counted = versions[&line.product] > p.since;
            line.back += units;
            line.freed += if p.limit > 0 && p.returns_free && counted { units } else { 0 };
        }
        self.changed(sums.keys().copied());
        for (product, units) in sums.into_iter().filter(|_| !restock) {
            self.products.get_mut(&product).unwrap().stock -= units;
        }
        true
    }

    fn adjust(&mut self, product: u32, delta: i64) -> bool {
        let used = self.held(product) + self.sold(product);
        let Some(p) = self.products.get_mut(&product) else { return false };
        let after = p.stock + delta;
        let fits = after >= 0 && used <= after + p.oversell;
        if fits {
            p.stock = after;
            p.version += 1;
        }
        fits
    }

    /// Changes terms of some products, all or none.
    fn change(&mut self, of: &[u32], fits: bool, set: impl Fn(&mut Naive)) -> bool {
        let known = of.iter().all(|product| self.products.contains_key(product));
        let fits = fits && !of.is_empty() && known;
        for product in of.iter().filter(|_| fits) {
            let p = self.products.get_mut(product).unwrap();
            p.version += 1;
            set(p);
        }
        fits
    }

    pub(super) fn of_sale(&self, sale: u8) -> Vec<u32> {
        let members = self.products.iter().filter(|(_, p)| p.sale == Some(sale));
        members.map(|(product, _)| *product).collect()
    }

    /// How a hold is said to have ended now.
    pub(super) fn known_end(&self, hold: &Hold) -> Option<HoldEnd> {
        let (end, at_ms) = hold.end?;
        (self.now_ms < at_ms + HOLD_KNOWN_MS).then_some(end)
    }

    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        for number in 0..self.holds.len() {
            if self.holds[number].end.is_none() && self.holds[number].expires_ms <= self.now_ms {
                self.end(number, HoldEnd::Expired);
            }
        }
    }

    /// Whether the step happens; does it if so.
    pub(super) fn takes(&mut self, step: &Step) -> bool {
        match step.clone() {
            Step::Create { stock, oversell, limit, sale } => {
                let next = u32::try_from(self.products.len()).unwrap();
                let naive = Naive {
                    stock: stock as i64,
                    oversell: i64::from(oversell),
                    limit: i64::from(limit),
                    since: 1,
                    returns_free: true,
                    sale,
                    version: 1,
                    ..Naive::default()
                };
                next < super::PRODUCTS && self.products.insert(next, naive).is_none()
            }
            Step::Buy { product, buyer, quantity } => self.order(buyer, &[(product, quantity)]),
            Step::Order { buyer, lines } => self.order(buyer, &lines),
            Step::Hold { buyer, lines, ttl } => self.hold(buyer, &lines, ttl),
            Step::Confirm { hold, parts } => self.confirm(hold, parts.as_deref()),
            Step::Extend { hold, ttl } => self.live_one(hold).is_some_and(|number| {
                let hold = &mut self.holds[number];
                let longest_ms = hold.placed_ms + RULES.ttl_max_ms;
                hold.expires_ms = hold.expires_ms.max(longest_ms.min(self.now_ms + ttl));
                true
            }),
            Step::Release { hold } => self
                .live_one(hold)
                .is_some_and(|number| !self.end(number, HoldEnd::Released).is_empty()),
            Step::Cancel { order, parts, restock } => self.cancel(order, parts.as_deref(), restock),
            Step::Delta { product, delta } => self.adjust(product, delta),
            Step::SetUnsold { product, unsold, expected } => {
                let Some(p) = self.products.get(&product) else { return false };
                let found = p.stock - self.sold(product);
                expected.is_none_or(|expected| expected == found)
                    && self.adjust(product, unsold as i64 - found)
            }
            Step::SellingPaused { paused } => {
                self.paused = paused;
                true
            }
            Step::Wait { ms } => {
                self.wait(ms);
                true
            }
            Step::Reopen => true,
            terms => self.takes_terms(&terms),
        }
    }

    fn takes_terms(&mut self, step: &Step) -> bool {
        match step.clone() {
            Step::Limit { product, limit } => self.change(&[product], true, |p| {
                p.since = if p.limit == 0 { p.version } else { p.since };
                p.limit = limit.map_or(0, i64::from);
            }),
            Step::ReturnsFree { product, free } => {
                self.change(&[product], true, |p| p.returns_free = free)
            }
            Step::Safety { product, safety } => {
                self.change(&[product], true, |p| p.safety = i64::from(safety))
            }
            Step::Oversell { product, oversell } => {
                let oversell = i64::from(oversell);
                let used = self.held(product) + self.sold(product);
                let stock = self.products.get(&product).map_or(0, |p| p.stock);
                self.change(&[product], used <= stock + oversell, |p| p.oversell = oversell)
            }
            Step::Window { product, opens, closes } => {
                self.change(&[product], opens < closes, |p| {
                    (p.opens, p.closes) = (opens, Some(closes));
                })
            }
            Step::Sale { product, sale } => self.change(&[product], true, |p| p.sale = sale),
            Step::PauseSale { sale, paused } => {
                self.change(&self.of_sale(sale), true, |p| p.paused = paused)
            }
            other => unreachable!("{other:?} changes no terms"),
        }
    }
}
