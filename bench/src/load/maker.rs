//! Makes requests, and learns from answers what later ones can name: holds to confirm, orders to read.
//!
//! A thread has one. Making a request copies a template and overwrites digits: tens of nanoseconds.
//! Bounds: so many holds and orders are remembered; older ones are forgotten.

use std::collections::VecDeque;

use super::work::{CART_LINES, Kind, Mix, Picks, Products, SOLD_OUT_PREFIX};
use crate::request::{ID_BYTES, Piece, Template};
use crate::seeded::Seeded;

/// Holds and orders that are remembered.
const REMEMBERED: usize = 4096;
/// How long a hold may wait for its confirmation.
const HOLD_MS: u32 = 600_000;

type Id = [u8; ID_BYTES];

/// Makes the requests of one thread.
#[derive(Debug)]
pub(super) struct Maker {
    mix: Mix,
    picks: Picks,
    dice: Seeded,
    templates: Templates,
    held: VecDeque<Id>,
    orders: VecDeque<Id>,
}

#[derive(Debug)]
struct Templates {
    purchase: Template,
    sold_out: Template,
    stock: Template,
    list: Template,
    cart: Template,
    hold: Template,
    confirm: Template,
    order: Template,
}

impl Templates {
    fn new(products: &Products, key_prefix: &str) -> Self {
        let product = match products {
            Products::Named(id) => vec![Piece::Text(id)],
            Products::Numbered { .. } => vec![Piece::Text(products.prefix()), Piece::Product],
        };
        let line = |before| {
            let mut pieces = vec![Piece::Text(before)];
            pieces.extend_from_slice(&product);
            pieces.push(Piece::Text(r#"","quantity":1}"#));
            pieces
        };
        let first = r#"","lines":[{"product_id":""#;
        let further = r#",{"product_id":""#;
        let buyer = [Piece::Text(r#"{"buyer_id":"b"#), Piece::Number];
        let mut cart = buyer.to_vec();
        for number in 0..CART_LINES {
            cart.extend(line(if number == 0 { first } else { further }));
        }
        cart.push(Piece::Text("]}"));
        let ends = format!(r#"],"ttl_ms":{HOLD_MS}}}"#);
        let hold = [&buyer[..], &line(first), &[Piece::Text(&ends)]].concat();
        // Beside products with stock there may be as many without.
        let gone = match products {
            Products::Named(_) => product.clone(),
            Products::Numbered { .. } => vec![Piece::Text(SOLD_OUT_PREFIX), Piece::Product],
        };
        let begins = [Piece::Text(r#"{"product_id":""#)];
        let buyer = Piece::Text(r#"","buyer_id":"b"#);
        let ends = [buyer, Piece::Number, Piece::Text(r#"","quantity":1}"#)];
        let purchase = |product: &[_]| [&begins[..], product, &ends].concat();
        let stock = [&[Piece::Text("/v1/products/")], &product[..], &[Piece::Text("/stock")]];
        let confirm = [Piece::Text("/v1/holds/"), Piece::Id, Piece::Text("/confirm")];
        let post = |path: &[Piece<'_>], body: &[Piece<'_>]| Template::post(path, key_prefix, body);
        Self {
            purchase: post(&[Piece::Text("/v1/purchases")], &purchase(&product)),
            sold_out: post(&[Piece::Text("/v1/purchases")], &purchase(&gone)),
            stock: Template::get(&stock.concat()),
            list: Template::get(&[Piece::Text("/v1/products?limit=20")]),
            cart: post(&[Piece::Text("/v1/orders")], &cart),
            hold: post(&[Piece::Text("/v1/holds")], &hold),
            confirm: post(&confirm, &[Piece::Text("{}")]),
            order: Template::get(&[Piece::Text("/v1/orders/"), Piece::Id]),
        }
    }
}

impl Maker {
    pub(super) fn new(products: &Products, mix: &Mix, key_prefix: &str, seed: u64) -> Self {
        Self {
            mix: mix.clone(),
            picks: products.picks(),
            dice: Seeded::new(seed),
            templates: Templates::new(products, key_prefix),
            held: VecDeque::new(),
            orders: VecDeque::new(),
        }
    }

    /// Makes the request of this number in `out`.
    ///
    /// What cannot be asked yet is asked for otherwise: without a hold one is placed, without an
    /// order stock is read.
    pub(super) fn make(&mut self, number: u64, out: &mut Vec<u8>) -> Kind {
        let drawn = self.mix.draw(&mut self.dice);
        let (kind, id) = match drawn {
            Kind::Confirm => match self.held.pop_front() {
                None => (Kind::Hold, None),
                held => (drawn, held),
            },
            Kind::Order => match self.an_order() {
                None => (Kind::Stock, None),
                order => (drawn, order),
            },
            other => (other, None),
        };
        self.write(kind, number, id.as_ref(), out);
        kind
    }

    fn an_order(&mut self) -> Option<Id> {
        let known = self.orders.len() as u64;
        let place = (known > 0).then(|| self.dice.below(known) as usize)?;
        self.orders.get(place).copied()
    }

    fn write(&mut self, kind: Kind, number: u64, id: Option<&Id>, out: &mut Vec<u8>) {
        let templates = &mut self.templates;
        let template = match kind {
            Kind::Purchase => &mut templates.purchase,
            Kind::SoldOut => &mut templates.sold_out,
            Kind::Stock => &mut templates.stock,
            Kind::List => &mut templates.list,
            Kind::Cart => &mut templates.cart,
            Kind::Hold => &mut templates.hold,
            Kind::Confirm => &mut templates.confirm,
            Kind::Order => &mut templates.order,
        };
        template.set_number(number);
        for place in 0..template.products() {
            template.set_product(place, self.picks.pick(&mut self.dice));
        }
        if let Some(id) = id {
            template.set_id(id);
        }
        out.clear();
        out.extend_from_slice(template.bytes());
    }

    /// Remembers what the expected answer to such a request names.
    pub(super) fn heard(&mut self, kind: Kind, body: &[u8]) {
        let (list, field): (_, &[u8]) = match kind {
            Kind::Hold => (&mut self.held, b"\"hold_id\":\""),
            Kind::Cart | Kind::Purchase if self.mix.0.len() > 1 => {
                (&mut self.orders, b"\"order_id\":\"")
            }
            _ => return,
        };
        let Some(start) = body.windows(field.len()).position(|window| window == field) else {
            return;
        };
        let id = body.get(start + field.len()..).and_then(|rest| rest.first_chunk::<ID_BYTES>());
        if let Some(id) = id {
            if list.len() == REMEMBERED {
                list.pop_front();
            }
            list.push_back(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::work::{Spread, Work};

    fn made(maker: &mut Maker, number: u64) -> (Kind, String) {
        let mut out = Vec::new();
        let kind = maker.make(number, &mut out);
        (kind, String::from_utf8(out).expect("text"))
    }

    fn maker(mix: &Mix) -> Maker {
        let products = Products::Numbered { count: 1000, spread: Spread::Uniform, sold_out: false };
        Maker::new(&products, mix, "k-", 7)
    }

    #[test]
    fn every_kind_says_its_length_and_is_json() {
        for work in [Work::Purchase, Work::SoldOut, Work::Cart, Work::HoldConfirm] {
            let (kind, text) = made(&mut maker(&work.mix()), 42);
            let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{text}");
            assert!(head.contains("idempotency-key: k-0000000000000042"), "{text}");
            let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(body["buyer_id"], "b0000000000000042", "{kind:?}");
        }
    }

    #[test]
    fn a_hold_is_confirmed_once_and_without_one_another_is_placed() {
        let mut maker = maker(&Mix(vec![(Kind::Confirm, 1)]));
        assert_eq!(made(&mut maker, 1).0, Kind::Hold);
        maker.heard(Kind::Hold, br#"{"hold_id":"h123456789012345678901234","status":"held"}"#);
        let (kind, text) = made(&mut maker, 2);
        assert_eq!(kind, Kind::Confirm);
        assert!(text.starts_with("POST /v1/holds/h123456789012345678901234/confirm "), "{text}");
        assert_eq!(made(&mut maker, 3).0, Kind::Hold);
    }

    #[test]
    fn orders_are_read_once_some_were_placed() {
        let mut maker = maker(&Mix(vec![(Kind::Order, 1), (Kind::Cart, 0)]));
        assert_eq!(made(&mut maker, 1).0, Kind::Stock);
        maker.heard(Kind::Cart, br#"{"order_id":"o123456789012345678901234","status":"placed"}"#);
        let (kind, text) = made(&mut maker, 2);
        assert_eq!(kind, Kind::Order);
        assert!(text.starts_with("GET /v1/orders/o123456789012345678901234 "), "{text}");
    }
}
