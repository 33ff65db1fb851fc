//! `POST /v1/purchases`: one product, one buyer. The path this product is built for.
//!
//! A body is first read straight into what it means, in one pass and without a tree; only when that
//! fails is it read again in a way that finds and names every mistake. The second way alone says
//! what is allowed; the first accepts nothing that it would not.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use smallvec::smallvec;

use super::auth::Scope;
use super::decide::{Decided, decide, unless_known};
use super::fields::{Errors, Members, money, string, whole};
use super::idempotency::Fingerprint;
use super::json;
use super::orders;
use super::problem::{FieldError, Problem};
use super::reply::Reply;
use super::worker::{Call, Keyed, Worker};
use crate::domain::{
    BuyerId, Currency, LineWish, Money, PlaceOrder, ProductId, Quantity, Reference,
};
use crate::engine::{Action, Request};
use crate::journal::KeyStamp;

const FIELDS: [&str; 5] = ["product_id", "buyer_id", "quantity", "unit_price", "reference"];

/// A purchase as it was asked for.
#[derive(Debug, PartialEq)]
struct Purchase<'a> {
    /// Its form is checked where no product has it: one that exists has the right one.
    product_id: Cow<'a, str>,
    buyer_id: BuyerId,
    quantity: Quantity,
    unit_price: Option<Money>,
    reference: Option<Reference>,
}

/// Asks for a sale: what waits for it tells of the sale, or why there is none.
///
/// # Errors
/// Any problem of DESIGN's list that a purchase can meet before it is asked for.
pub(super) async fn create<'a>(
    call: &Call<'a>,
) -> Result<impl Future<Output = Result<Reply, Problem>> + use<'a>, Problem> {
    let Keyed { principal, key, deadline } = call.admit_keyed(Scope::Sell)?;
    let body = call.json_body().await?;
    let purchase = Purchase::parse(&body)?;
    let stamp = purchase.fingerprint().stamp(&principal, key);
    let worker = call.worker;
    let Some(entry) = worker.client.product(&purchase.product_id) else {
        return Err(purchase.of_nothing(worker, &stamp));
    };
    let Purchase { buyer_id, quantity, unit_price, reference, .. } = purchase;
    let line = LineWish { product: entry.handle(), quantity, unit_price };
    let action = Action::Order(PlaceOrder { buyer_id, lines: smallvec![line] });
    let request = Request { principal, reference, key: Some(stamp), deadline, action };
    let decided = decide(worker, request);
    Ok(async move {
        let Decided { sequence, record, replayed } = decided.await?;
        let body = orders::render_placed(worker.engine(), sequence, &record, Some(entry));
        let body = body.ok_or_else(Problem::key_reused)?;
        Ok(Reply::created(body, replayed))
    })
}

impl<'a> Purchase<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = reader.deserialize_map(InOnePass);
        let read = read.and_then(|purchase| reader.end().map(|()| purchase));
        match read {
            Ok(purchase) => Ok(purchase),
            Err(_) => Self::parse_naming_mistakes(body),
        }
    }

    /// What is said when there is no such product.
    fn of_nothing(&self, worker: &Worker, stamp: &KeyStamp) -> Problem {
        match ProductId::new(&self.product_id) {
            Ok(id) => unless_known(worker, stamp, Problem::unknown_product(id.as_str())),
            Err(error) => {
                let pointer = "/product_id".to_owned();
                Problem::invalid(vec![FieldError { pointer, detail: error.to_string() }])
            }
        }
    }

    fn parse_naming_mistakes(body: &'a [u8]) -> Result<Self, Problem> {
        let value = json::parse(body)?;
        let mut errors = Errors::default();
        let purchase = Members::of(&value, "", &FIELDS, &mut errors).and_then(|members| {
            let errors = &mut errors;
            let product_id = members.required("product_id", errors, string(ProductId::new));
            let buyer_id = members.required("buyer_id", errors, string(BuyerId::new));
            let quantity = members.required("quantity", errors, whole(1, Quantity::MAX.into()));
            let unit_price = members.optional("unit_price", errors, money);
            let reference = members.optional("reference", errors, string(Reference::new));
            Some(Purchase {
                product_id: Cow::Owned(product_id?.as_str().to_owned()),
                buyer_id: buyer_id?,
                quantity: Quantity::new(quantity?).ok()?,
                unit_price,
                reference,
            })
        });
        errors.unless_any(purchase)
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::of_post(&["purchases"]);
        fingerprint.text(&self.product_id);
        fingerprint.text(self.buyer_id.as_str());
        fingerprint.number(self.quantity.units());
        // What may be missing says first whether it is there.
        fingerprint.number(u64::from(self.unit_price.is_some()));
        if let Some(price) = self.unit_price {
            fingerprint.number(price.amount_minor());
            fingerprint.text(price.currency().as_str());
        }
        fingerprint.number(u64::from(self.reference.is_some()));
        if let Some(reference) = &self.reference {
            fingerprint.text(reference.as_str());
        }
        fingerprint
    }
}

/// Reads a purchase as it comes; any mistake is an error, whichever comes first.
struct InOnePass;

fn once<T, E: Error>(slot: &mut Option<T>, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("duplicate field")),
    }
}

impl<'de> Visitor<'de> for InOnePass {
    type Value = Purchase<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a purchase")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Purchase<'de>, A::Error> {
        let (mut product_id, mut buyer_id, mut quantity) = (None, None, None);
        let (mut unit_price, mut reference) = (None, None);
        while let Some(Word(name)) = map.next_key()? {
            match &*name {
                "product_id" => once(&mut product_id, map.next_value::<Word<'de>>()?.0)?,
                "buyer_id" => {
                    let Word(text) = map.next_value()?;
                    once(&mut buyer_id, BuyerId::new(&text).map_err(Error::custom)?)?;
                }
                "quantity" => {
                    let units = map.next_value::<u64>()?;
                    once(&mut quantity, Quantity::new(units).map_err(Error::custom)?)?;
                }
                "unit_price" => {
                    let price = map.next_value::<Option<Price>>()?;
                    once(&mut unit_price, price.map(|Price(money)| money))?;
                }
                "reference" => {
                    let text = map.next_value::<Option<Word<'de>>>()?;
                    let read = text.map(|Word(text)| Reference::new(&text)).transpose();
                    once(&mut reference, read.map_err(Error::custom)?)?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    return Err(A::Error::custom("unknown field"));
                }
            }
        }
        let missing = || A::Error::custom("missing field");
        Ok(Purchase {
            product_id: product_id.ok_or_else(missing)?,
            buyer_id: buyer_id.ok_or_else(missing)?,
            quantity: quantity.ok_or_else(missing)?,
            unit_price: unit_price.flatten(),
            reference: reference.flatten(),
        })
    }
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

/// `{amount_minor, currency}`, each once and nothing else.
struct Price(Money);

impl<'de> serde::Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct PriceVisitor;
        impl<'de> Visitor<'de> for PriceVisitor {
            type Value = Price;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Price, A::Error> {
                let (mut amount_minor, mut currency) = (None, None);
                while let Some(Word(name)) = map.next_key()? {
                    match &*name {
                        "amount_minor" => once(&mut amount_minor, map.next_value::<u64>()?)?,
                        "currency" => {
                            let Word(text) = map.next_value()?;
                            once(&mut currency, Currency::new(&text).map_err(Error::custom)?)?;
                        }
                        _ => return Err(A::Error::custom("unknown field")),
                    }
                }
                let missing = || A::Error::custom("missing field");
                let (amount_minor, currency) =
                    (amount_minor.ok_or_else(missing)?, currency.ok_or_else(missing)?);
                Money::new(amount_minor, currency).map(Price).map_err(Error::custom)
            }
        }
        from.deserialize_map(PriceVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_one_pass(body: &str) -> Option<Purchase<'_>> {
        let mut reader = serde_json::Deserializer::from_str(body);
        let read = reader.deserialize_map(InOnePass).ok()?;
        reader.end().ok().map(|()| read)
    }

    #[test]
    fn one_pass_and_the_careful_way_agree() {
        for body in [
            r#"{"product_id":"a","buyer_id":"b","quantity":1}"#,
            r#" {"quantity" : 1000000000,"buyer_id":"\u0062","product_id":"\u0061"} "#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,"unit_price":null,"reference":null}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,"reference":"r:1",
                "unit_price":{"currency":"GBP","amount_minor":9007199254740991}}"#,
        ] {
            let fast = in_one_pass(body).unwrap();
            assert_eq!(fast, Purchase::parse_naming_mistakes(body.as_bytes()).unwrap(), "{body}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_allowed_neither_way() {
        for body in [
            r#"["a","b",1]"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":0}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1.0}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1e0}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":-1}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":"1"}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":null}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1000000001}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,"quantity":1}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,"colour":"red"}"#,
            r#"{"product_id":"a","buyer_id":"","quantity":1}"#,
            r#"{"product_id":"a","quantity":1}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,"unit_price":[1,"GBP"]}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,
                "unit_price":{"amount_minor":9007199254740992,"currency":"GBP"}}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,"unit_price":{"amount_minor":1}}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1,
                "unit_price":{"amount_minor":1,"currency":"GBP","vat":1}}"#,
            r#"{"product_id":"a","buyer_id":"b","quantity":1} 1"#,
        ] {
            assert_eq!(in_one_pass(body), None, "{body}");
            assert!(Purchase::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    /// Values that a field may or may not have.
    fn value() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(
            &[
                "1",
                "0",
                "1.0",
                "1e2",
                "-1",
                "\"a\"",
                "\"\\u0061\"",
                "\"a b\"",
                "\"\"",
                "null",
                "true",
                "[]",
                "[1,\"GBP\"]",
                "{}",
                "{\"amount_minor\":1,\"currency\":\"GBP\"}",
                "{\"currency\":\"EUR\",\"amount_minor\":2}",
                "{\"amount_minor\":1,\"amount_minor\":1}",
                "{\"amount_minor\":1,\"currency\":\"GBP\",\"x\":1}",
                "18446744073709551616",
            ][..],
        )
    }

    fn name() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(
            &["product_id", "buyer_id", "quantity", "unit_price", "reference", "other"][..],
        )
    }

    proptest! {
        /// Starts from a good body and spoils some of it.
        #[test]
        fn no_body_is_read_in_two_ways(
            spoiled in proptest::collection::vec((name(), value()), 0..3),
            last in proptest::bool::ANY,
        ) {
            let good = [("product_id", "\"a\""), ("buyer_id", "\"b\""), ("quantity", "1")];
            let kept = good.iter().filter(|(name, _)| last || !spoiled.iter().any(|(n, _)| n == name));
            let members: Vec<String> =
                kept.chain(&spoiled).map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let body = format!("{{{}}}", members.join(","));
            let careful = Purchase::parse_naming_mistakes(body.as_bytes());
            match in_one_pass(&body) {
                // The one mistake that one pass leaves for later: an id that no product can have.
                Some(fast) if ProductId::new(&fast.product_id).is_err() => {
                    prop_assert!(careful.is_err(), "{}", body);
                }
                Some(fast) => prop_assert_eq!(fast, careful.expect("allowed both ways"), "{}", body),
                None => prop_assert!(careful.is_err(), "{}", body),
            }
        }
    }
}
