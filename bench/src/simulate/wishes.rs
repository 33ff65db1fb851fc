//! What clients ask for, thrown by dice, of what they have heard of.

use crate::seeded::Seeded;
use crate::witness::{TermsWish, Wish, WishLine, Witness};

/// Products of a simulation.
pub(super) const PRODUCTS: u16 = 3;
const BUYERS: u64 = 3;
/// Longest life of a hold.
pub(super) const TTL_MAX_MS: u64 = 500;

/// Throws wishes.
pub(super) struct Wishes<'a> {
    pub(super) dice: &'a mut Seeded,
    pub(super) witness: &'a Witness,
    pub(super) now_ms: u64,
}

impl Wishes<'_> {
    /// Something new to ask for.
    pub(super) fn draw(&mut self) -> Wish {
        let there = self.witness.model().products().len() as u64;
        if there < u64::from(PRODUCTS) && !self.dice.once_in(3) {
            return self.create();
        }
        let product = self.product();
        match self.dice.below(100) {
            0..2 => self.create(),
            2..5 => Wish::PauseAll(self.dice.once_in(3)),
            5..13 => self.adjust(product),
            13..19 => Wish::Terms {
                product,
                version: self.dice.once_in(4).then(|| 1 + self.dice.below(4) as u32),
                terms: self.terms(4),
            },
            19..21 => Wish::Sale(TermsWish {
                per_buyer_limit: None,
                oversell_limit: None,
                ..self.terms(6)
            }),
            21..52 => Wish::Order { buyer: self.buyer(), lines: self.lines() },
            52..70 => {
                let most = if self.dice.once_in(4) { 400 } else { 80 };
                let ttl_ms = 1 + self.dice.below(most);
                Wish::Hold { buyer: self.buyer(), lines: self.lines(), ttl_ms }
            }
            70..75 => Wish::Extend { hold: self.hold(), ttl_ms: 1 + self.dice.below(TTL_MAX_MS) },
            75..85 => Wish::Confirm { hold: self.hold(), parts: self.parts() },
            85..90 => Wish::Release { hold: self.hold() },
            _ => {
                let restock = !self.dice.once_in(3);
                Wish::Cancel { order: self.order(), parts: self.parts(), restock }
            }
        }
    }

    fn product(&mut self) -> u16 {
        self.dice.below(u64::from(PRODUCTS)) as u16
    }

    fn buyer(&mut self) -> u16 {
        self.dice.below(BUYERS) as u16
    }

    fn create(&mut self) -> Wish {
        let stock = if self.dice.once_in(3) { 100 } else { self.dice.below(40) };
        Wish::Create { product: self.product(), stock, terms: self.terms(4) }
    }

    fn adjust(&mut self, product: u16) -> Wish {
        match self.dice.below(3) {
            0 => {
                let expected = (!self.dice.once_in(3)).then(|| self.dice.below(20) as i64);
                Wish::SetUnsold { product, unsold: self.dice.below(20), expected }
            }
            _ => Wish::Adjust { product, delta: self.dice.below(30) as i64 - 10 },
        }
    }

    /// A hold that may be there: one of the last, or nearly one.
    fn hold(&mut self) -> u64 {
        let holds = self.witness.model().holds();
        if !self.dice.once_in(10)
            && let Some((hold, _)) = holds.some_due(self.dice.draw())
        {
            return hold;
        }
        self.recent()
    }

    fn order(&mut self) -> u64 {
        let orders = self.witness.model().orders();
        if !self.dice.once_in(10)
            && let Some(order) = orders.some(self.dice.draw())
        {
            return order;
        }
        self.recent()
    }

    fn recent(&mut self) -> u64 {
        (self.witness.durable() + 3).saturating_sub(self.dice.below(12)).max(1)
    }

    fn lines(&mut self) -> Vec<WishLine> {
        let count = match self.dice.below(20) {
            0..13 => 1,
            13..19 => 2 + self.dice.below(3),
            _ => 30,
        };
        let most = if count > 4 { 1 } else { 3 };
        (0..count)
            .map(|_| WishLine {
                product: self.product(),
                quantity: 1 + self.dice.below(most),
                price: self.dice.once_in(4).then(|| self.dice.below(100)),
            })
            .collect()
    }

    fn parts(&mut self) -> Option<Vec<(u16, u64)>> {
        if self.dice.once_in(2) {
            return None;
        }
        let first = self.dice.below(2) as u16;
        let parts = (first..=first + self.dice.below(2) as u16).map(|line| (line, 1));
        Some(parts.collect())
    }

    /// Some of the terms, each with a chance of one in `many`.
    fn terms(&mut self, many: u64) -> TermsWish {
        let now_ms = self.now_ms;
        let dice = &mut *self.dice;
        let price = dice.once_in(many).then(|| (!dice.once_in(3)).then(|| dice.below(1_000)));
        let opens_at_ms = dice
            .once_in(4 * many)
            .then(|| (!dice.once_in(3)).then(|| now_ms + dice.below(60) - 40));
        let closes_at_ms =
            dice.once_in(4 * many).then(|| dice.once_in(2).then(|| now_ms + dice.below(800)));
        TermsWish {
            price,
            opens_at_ms,
            closes_at_ms,
            oversell_limit: dice.once_in(many).then(|| dice.below(4) as u32),
            safety_stock: dice.once_in(many).then(|| dice.below(4) as u32),
            per_buyer_limit: dice
                .once_in(many)
                .then(|| (!dice.once_in(3)).then(|| 2 + dice.below(9) as u32)),
            paused: dice.once_in(many).then(|| dice.once_in(5)),
            returns_free_limit: dice.once_in(many).then(|| dice.once_in(2)),
            in_sale: dice.once_in(many).then(|| !dice.once_in(4)),
        }
    }
}
