//! What clients ask for, thrown by dice.

use super::life::RULES;
use super::naive::Naive;
use crate::domain::*;
use crate::engine::{Action, Engine, Stored};
use crate::journal::OrderId;

pub(super) const PRODUCTS: u64 = 3;
const BUYERS: u64 = 3;

/// splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % below
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.roll(many) == 0
    }

    /// One of what there is.
    fn one_of(&mut self, all: impl ExactSizeIterator<Item = u64>) -> Option<u64> {
        let count = all.len() as u64;
        if count == 0 {
            return None;
        }
        let mut all = all;
        all.nth(self.roll(count) as usize)
    }
}

/// A line: which product, how many, at a price of its own.
type Line = (u64, u64, Option<u64>);
/// A part: the line's place or the product, how many.
type Portion = (Result<u64, u64>, u64);

/// What is asked under one key, as often as it takes.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Create { product: u64, stock: u64, terms: TermsPatch },
    Terms { product: u64, version: Option<u32>, patch: TermsPatch },
    Sale(TermsPatch),
    PauseAll(bool),
    Adjust { product: u64, change: StockChange },
    Buy { buyer: u64, lines: Vec<Line> },
    Hold { buyer: u64, lines: Vec<Line>, ttl_ms: u64 },
    Extend { hold: u64, ttl_ms: u64 },
    Confirm { hold: u64, parts: Option<Vec<Portion>> },
    Release { hold: u64 },
    Cancel { order: u64, parts: Option<Vec<Portion>>, restock: bool },
}

fn sale() -> SaleId {
    SaleId::new("sale").unwrap()
}

fn money(amount: u64) -> Money {
    Money::new(amount, Currency::new("EUR").unwrap()).unwrap()
}

fn product_id(product: u64) -> ProductId {
    ProductId::new(&format!("p{product}")).unwrap()
}

fn buyer_id(buyer: u64) -> BuyerId {
    BuyerId::new(&format!("b{buyer}")).unwrap()
}

impl Wish {
    /// Something new; of what `shown` shows, now and then of what only `live` knows yet.
    pub(super) fn new(dice: &mut Dice, shown: &Naive, live: &Naive, now_ms: u64) -> Self {
        let missing = (shown.items.len() as u64..PRODUCTS).next().filter(|_| !dice.one_in(3));
        if let Some(product) = missing {
            return Self::create(dice, product, now_ms);
        }
        let product = dice.roll(PRODUCTS);
        let guess = live.holds.keys().chain(live.orders.keys()).max().copied().unwrap_or(1);
        let guess = (guess + 1).saturating_sub(dice.roll(4));
        let hold = |dice: &mut Dice, live: bool| {
            let live = |hold: &&u64| !live || shown.holds[hold].end.is_none();
            let holds: Vec<u64> = shown.holds.keys().filter(live).copied().collect();
            let known = dice.one_of(holds.into_iter()).filter(|_| !dice.one_in(12));
            known.unwrap_or(guess)
        };
        match dice.roll(100) {
            0..2 => Self::create(dice, product, now_ms),
            2..5 => Self::PauseAll(dice.one_in(3)),
            5..14 => Self::adjust(dice, product),
            14..20 => Self::Terms {
                product,
                version: dice.one_in(4).then(|| 1 + dice.roll(4) as u32),
                patch: patch(dice, now_ms, 4),
            },
            20..23 => {
                let mut patch = patch(dice, now_ms, 6);
                // A limit of its own, or none, for each: a sale has only the window and the pause.
                (patch.per_buyer_limit, patch.oversell_limit) = (Patch::Keep, Patch::Keep);
                Self::Sale(patch)
            }
            23..50 => Self::Buy { buyer: dice.roll(BUYERS), lines: lines(dice) },
            50..68 => {
                Self::Hold { buyer: dice.roll(BUYERS), lines: lines(dice), ttl_ms: ttl_ms(dice) }
            }
            68..74 => {
                Self::Extend { hold: hold(dice, true), ttl_ms: 1 + dice.roll(RULES.ttl_max_ms) }
            }
            74..84 => Self::Confirm { hold: hold(dice, true), parts: parts(dice) },
            84..88 => Self::Release { hold: hold(dice, true) },
            88..90 => Self::Confirm { hold: hold(dice, false), parts: None },
            _ => Self::Cancel {
                order: dice.one_of(shown.orders.keys().copied()).unwrap_or(guess),
                parts: parts(dice),
                restock: !dice.one_in(3),
            },
        }
    }

    fn create(dice: &mut Dice, product: u64, now_ms: u64) -> Self {
        let stock = if dice.one_in(3) { 100 } else { dice.roll(40) };
        Self::Create { product, stock, terms: patch(dice, now_ms, 4) }
    }

    fn adjust(dice: &mut Dice, product: u64) -> Self {
        let change = match dice.roll(3) {
            0 => {
                let expected = (!dice.one_in(3)).then(|| dice.roll(20) as i64);
                StockChange::SetUnsold { unsold: dice.roll(20), expected }
            }
            _ => StockChange::Delta(dice.roll(30) as i64 - 10),
        };
        Self::Adjust { product, change }
    }

    /// Whether it comes under a key: what says how things shall be may come without.
    pub(super) fn needs_key(&self) -> bool {
        !matches!(
            self,
            Self::Terms { .. } | Self::Sale(_) | Self::PauseAll(_) | Self::Release { .. }
        )
    }

    /// The wish as a command; `None`: it names what nobody can see.
    pub(super) fn action(&self, engine: &Engine) -> Option<Action> {
        let handle =
            |product: u64| engine.product(product_id(product).as_str()).map(|entry| entry.handle());
        Some(match self {
            Self::Create { product, stock, terms } => {
                let terms = Terms::open(Name::new("a").unwrap()).patched(terms);
                let (product_id, stock) = (product_id(*product), *stock);
                Action::Create(Box::new(CreateProduct { product_id, terms, stock }))
            }
            Self::Terms { product, version, patch } => {
                let targets =
                    Targets::Product { handle: handle(*product)?, terms_version: *version };
                Action::ChangeTerms(Box::new(ChangeTerms { targets, patch: patch.clone() }))
            }
            Self::Sale(patch) => {
                let targets = Targets::Sale(sale());
                Action::ChangeTerms(Box::new(ChangeTerms { targets, patch: patch.clone() }))
            }
            Self::PauseAll(paused) => Action::PauseSelling(*paused),
            Self::Adjust { product, change } => Action::Adjust(AdjustStock {
                product: handle(*product)?,
                change: change.clone(),
                reason: AdjustReason::Correction,
            }),
            Self::Buy { buyer, lines } => Action::Order(PlaceOrder {
                buyer_id: buyer_id(*buyer),
                lines: wishes(lines, handle)?,
            }),
            Self::Hold { buyer, lines, ttl_ms } => Action::PlaceHold(Box::new(PlaceHold {
                buyer_id: buyer_id(*buyer),
                lines: wishes(lines, handle)?,
                ttl_ms: *ttl_ms,
            })),
            Self::Extend { hold, ttl_ms } => {
                let (hold, ttl_ms) = (Sequence::new(*hold), *ttl_ms);
                Action::ExtendHold(ExtendHold { hold, ttl_ms })
            }
            Self::Confirm { hold, parts } => {
                let parts = named(parts, handle)?;
                let confirm = ConfirmHold { hold: Sequence::new(*hold), parts };
                Action::ConfirmHold { confirm, lines: lines_shown(engine, *hold) }
            }
            Self::Release { hold } => {
                let release = ReleaseHold { hold: Sequence::new(*hold) };
                Action::ReleaseHold { release, lines: lines_shown(engine, *hold) }
            }
            Self::Cancel { order, parts, restock } => {
                let id = OrderId(engine.position(Sequence::new(*order)));
                let Stored { sequence, record } = engine.order(id).unwrap()?;
                let placed = record.order()?.clone();
                let (buyer_id, lines) = (placed.buyer_id, placed.lines);
                let changes = record.envelope.changes;
                let order = PlacedOrder { sequence, buyer_id, lines, changes };
                let (parts, restock) = (named(parts, handle)?, *restock);
                let reason = Text::new("no more wanted").unwrap();
                Action::Cancel(Box::new(CancelOrder { order, parts, reason, restock }))
            }
        })
    }
}

/// As a worker that has looked at the board.
fn lines_shown(engine: &Engine, hold: u64) -> u16 {
    let entry = engine.board().unwrap().hold(Sequence::new(hold), engine.now_ms());
    entry.map_or(1, |entry| entry.lines.max(1))
}

fn wishes(lines: &[Line], handle: impl Fn(u64) -> Option<Handle>) -> Option<LineWishes> {
    let line = |(product, quantity, price): &Line| {
        let (quantity, unit_price) = (Quantity::new(*quantity).unwrap(), price.map(money));
        Some(LineWish { product: handle(*product)?, quantity, unit_price })
    };
    lines.iter().map(line).collect()
}

fn named(
    parts: &Option<Vec<Portion>>,
    handle: impl Fn(u64) -> Option<Handle>,
) -> Option<Option<Vec<Part>>> {
    let Some(parts) = parts else { return Some(None) };
    let part = |(of, quantity): &Portion| {
        let of = match of {
            Ok(line) => PartOf::Line(*line as usize),
            Err(product) => PartOf::Product(handle(*product)?),
        };
        Some(Part { of, quantity: Quantity::new(*quantity).unwrap() })
    };
    Some(Some(parts.iter().map(part).collect::<Option<_>>()?))
}

fn lines(dice: &mut Dice) -> Vec<Line> {
    let count = match dice.roll(20) {
        0..13 => 1,
        13..19 => 2 + dice.roll(3),
        _ => 60,
    };
    let most = if count > 4 { 1 } else { 3 };
    let line = |_| {
        let price = dice.one_in(4).then(|| dice.roll(100));
        (dice.roll(PRODUCTS), 1 + dice.roll(most), price)
    };
    (0..count).map(line).collect()
}

fn ttl_ms(dice: &mut Dice) -> u64 {
    let most = if dice.one_in(4) { 400 } else { 80 };
    1 + dice.roll(most)
}

fn parts(dice: &mut Dice) -> Option<Vec<Portion>> {
    if dice.one_in(2) {
        return None;
    }
    let count = 1 + dice.roll(2);
    let part = |_| {
        let of = if dice.one_in(3) { Err(dice.roll(PRODUCTS)) } else { Ok(dice.roll(3)) };
        (of, 1 + dice.roll(3))
    };
    Some((0..count).map(part).collect())
}

/// Some of the terms, each with a chance of one in `many`.
fn patch(dice: &mut Dice, now_ms: u64, many: u64) -> TermsPatch {
    fn some<T>(dice: &mut Dice, many: u64, set: impl FnOnce(&mut Dice) -> T) -> Patch<T> {
        if dice.one_in(many) { Patch::Set(set(dice)) } else { Patch::Keep }
    }
    TermsPatch {
        price: some(dice, many, |dice| (!dice.one_in(3)).then(|| money(dice.roll(1_000)))),
        opens_at_ms: some(dice, 3 * many, |dice| {
            (!dice.one_in(3)).then(|| now_ms + dice.roll(60) - 40)
        }),
        closes_at_ms: some(dice, 3 * many, |dice| dice.one_in(2).then(|| now_ms + dice.roll(800))),
        oversell_limit: some(dice, many, |dice| dice.roll(4) as u32),
        safety_stock: some(dice, many, |dice| dice.roll(4) as u32),
        per_buyer_limit: some(dice, many, |dice| {
            (!dice.one_in(3)).then(|| 2 + dice.roll(9) as u32)
        }),
        paused: some(dice, many, |dice| dice.one_in(4)),
        returns_free_limit: some(dice, many, |dice| dice.one_in(2)),
        sale_id: some(dice, many, |dice| (!dice.one_in(4)).then(sale)),
        ..TermsPatch::default()
    }
}
