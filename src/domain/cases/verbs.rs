//! The verbs of holds and cancellations in the case tables, and how lines and parts are written.

use super::script::{World, figure, money};
use crate::domain::*;

impl World {
    /// Moves the clock; what is over by then ends first, each by a record of its own.
    pub(super) fn advance(&mut self, now_ms: u64) -> String {
        assert!(now_ms >= self.now_ms, "time goes forward");
        self.now_ms = now_ms;
        let mut expired = Vec::new();
        while let Some(decided) = decide_expiry(&self.inventory, now_ms) {
            let Decision::HoldExpired(HoldEnded { hold, .. }) = &decided.decision else {
                panic!("only an expiry is due: {decided:?}");
            };
            let number = self.holds.iter().position(|sequence| sequence == hold).unwrap() + 1;
            expired.push(format!("h{number}"));
            self.take(Ok(decided));
        }
        match expired.is_empty() {
            true => String::new(),
            false => format!("expired {}", expired.join(" ")),
        }
    }

    pub(super) fn hold(&mut self, words: &[&str]) -> String {
        let (buyer_id, lines) = (BuyerId::new(words[0]).unwrap(), self.wishes(words));
        let ttl_ms = figure(words, "ttl").unwrap().parse().unwrap();
        let place = PlaceHold { buyer_id, lines, ttl_ms };
        self.take(decide_hold(&self.inventory, place, &self.rules, self.now_ms))
    }

    pub(super) fn confirm(&mut self, words: &[&str]) -> String {
        let (hold, parts) = (self.place(words[0]), self.parts(words));
        self.take(decide_confirm(&self.inventory, ConfirmHold { hold, parts }, self.now_ms))
    }

    pub(super) fn extend(&mut self, words: &[&str]) -> String {
        let ttl_ms = figure(words, "ttl").unwrap().parse().unwrap();
        let extend = ExtendHold { hold: self.place(words[0]), ttl_ms };
        self.take(decide_extend(&self.inventory, extend, &self.rules, self.now_ms))
    }

    pub(super) fn release(&mut self, words: &[&str]) -> String {
        let release = ReleaseHold { hold: self.place(words[0]) };
        self.take(decide_release(&self.inventory, release, self.now_ms))
    }

    pub(super) fn cancel(&mut self, words: &[&str]) -> String {
        let order = self.placed_order(self.place(words[0]));
        let restock = figure(words, "restock").is_none_or(|text| text.parse().unwrap());
        let reason = Text::new(figure(words, "reason").unwrap_or("changed-mind")).unwrap();
        let cancel = CancelOrder { order, parts: self.parts(words), reason, restock };
        self.take(decide_cancel(&self.inventory, cancel))
    }

    pub(super) fn set_rules(&mut self, words: &[&str]) -> String {
        let number = |key, old| figure(words, key).map_or(old, |text| text.parse().unwrap());
        let HoldRules { ttl_max_ms, live_per_buyer_max, live_lines_max } = self.rules;
        self.rules = HoldRules {
            ttl_max_ms: number("longest", ttl_max_ms),
            live_per_buyer_max: number("per_buyer", u64::from(live_per_buyer_max)) as u32,
            live_lines_max: number("lines", live_lines_max as u64) as usize,
        };
        String::new()
    }

    pub(super) fn live(&self, buyer: &str) -> String {
        let holds = self.inventory.holds();
        let of_buyer = holds.of_buyer(&BuyerId::new(buyer).unwrap());
        format!("has {of_buyer} all={} lines={}", holds.len(), holds.lines())
    }

    pub(super) fn next_expiry(&self, name: &str) -> String {
        match self.inventory.holds().next_expiry_ms(self.handle(name)) {
            u64::MAX => "none".to_owned(),
            at_ms => at_ms.to_string(),
        }
    }

    /// An order as its record has it.
    pub(super) fn placed_order(&self, sequence: Sequence) -> PlacedOrder {
        let (decision, changes, _) = &self.journal[sequence.get() as usize - 1];
        let order = match decision {
            Decision::OrderPlaced(order) => order,
            Decision::HoldConfirmed(confirmed) => &confirmed.order,
            other => panic!("no order: {other:?}"),
        };
        let OrderPlaced { buyer_id, lines } = order.clone();
        PlacedOrder { sequence, buyer_id, lines, changes: changes.clone() }
    }

    /// `o1` or `h1`; one that never was has a place no record has.
    fn place(&self, name: &str) -> Sequence {
        let places = if name.starts_with('o') { &self.orders } else { &self.holds };
        let number: usize = name[1..].parse().unwrap();
        places.get(number - 1).copied().unwrap_or(Sequence::new(u64::MAX))
    }

    /// `p1*2` and `p1*2@250GBP` among the words.
    pub(super) fn wishes(&self, words: &[&str]) -> LineWishes {
        let wish = |(of, quantity): (&str, &str)| {
            let (quantity, price) = quantity.split_once('@').unwrap_or((quantity, ""));
            let quantity = Quantity::new(quantity.parse().unwrap()).unwrap();
            let unit_price = (!price.is_empty()).then(|| money(price));
            LineWish { product: self.handle(of), quantity, unit_price }
        };
        words.iter().filter_map(|word| word.split_once('*')).map(wish).collect()
    }

    /// `p1*2` and `line3*1` among the words; `None` without any.
    fn parts(&self, words: &[&str]) -> Option<Vec<Part>> {
        let part = |(of, quantity): (&str, &str)| {
            let of = match of.strip_prefix("line") {
                Some(line_no) => PartOf::Line(line_no.parse::<usize>().unwrap() - 1),
                None => PartOf::Product(self.handle(of)),
            };
            Part { of, quantity: Quantity::new(quantity.parse().unwrap()).unwrap() }
        };
        let parts: Vec<Part> =
            words.iter().filter_map(|word| word.split_once('*')).map(part).collect();
        (!parts.is_empty()).then_some(parts)
    }
}
