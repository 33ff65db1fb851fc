//! A till: decides, applies and encodes purchases one after another, as a partition does.

use anyhow::anyhow;
use doorbuster::domain::{
    BuyerId, CreateProduct, Decided, Handle, Inventory, LineWish, Name, PlaceOrder, Principal,
    ProductId, Quantity, RecordAt, Reference, Refusal, Sequence, Terms, apply, decide_create,
    decide_order,
};
use doorbuster::journal::{Envelope, KeyStamp, Record, encode_record};

use crate::seeded::Seeded;

/// Stock that no measurement sells out.
pub const PLENTY: u64 = 1 << 40;
/// When sales begin, in Unix milliseconds.
pub const BEGUN_AT_MS: u64 = 1_790_000_000_000;

/// An inventory with what it takes to sell from it.
pub struct Till {
    inventory: Inventory,
    principal: Principal,
    next_sequence: u64,
    dice: Seeded,
    payload: Vec<u8>,
}

/// The id of a numbered product.
///
/// # Errors
/// None that is not a mistake here.
pub fn product_id(number: u32) -> anyhow::Result<ProductId> {
    Ok(ProductId::new(&format!("product-{number}"))?)
}

/// How a numbered product is put in.
///
/// # Errors
/// None that is not a mistake here.
pub fn creation(number: u32, stock: u64) -> anyhow::Result<CreateProduct> {
    let terms = Terms::open(Name::new(&format!("Product {number}"))?);
    Ok(CreateProduct { product_id: product_id(number)?, terms, stock })
}

impl Till {
    /// With so many products of so many units each.
    ///
    /// # Errors
    /// None that is not a mistake here.
    pub fn new(products: u32, stock: u64) -> anyhow::Result<Self> {
        let mut till = Self {
            inventory: Inventory::new(),
            principal: Principal::new("shop")?,
            next_sequence: 1,
            dice: Seeded::new(1),
            payload: Vec::new(),
        };
        for number in 0..products {
            let decided = decide_create(&till.inventory, creation(number, stock)?, false);
            let record = till.record(decided.map_err(|refusal| anyhow!("{refusal:?}"))?);
            till.apply(&record);
        }
        Ok(till)
    }

    /// A wish for one unit, by somebody who never bought before.
    ///
    /// # Errors
    /// None that is not a mistake here.
    pub fn wish(&mut self, product: u32) -> anyhow::Result<PlaceOrder> {
        let quantity = Quantity::new(1)?;
        let line = LineWish { product: Handle::new(product), quantity, unit_price: None };
        let buyer_id = BuyerId::new(&format!("b{:016x}", self.dice.draw()))?;
        Ok(PlaceOrder { buyer_id, lines: std::iter::once(line).collect() })
    }

    /// What may happen. Changes nothing.
    ///
    /// # Errors
    /// Why nothing may.
    pub fn decide(&self, order: PlaceOrder) -> Result<Decided, Refusal> {
        decide_order(&self.inventory, order, BEGUN_AT_MS)
    }

    /// What was decided, as the record it becomes.
    pub fn record(&mut self, decided: Decided) -> Record {
        let Decided { decision, changes } = decided;
        let envelope = Envelope {
            decided_at_ms: BEGUN_AT_MS,
            principal: self.principal.clone(),
            reference: None::<Reference>,
            key: Some(self.key()),
            changes,
        };
        Record { envelope, decision }
    }

    /// A key that never came before; a worker has made it of the request.
    pub fn key(&mut self) -> KeyStamp {
        let hash = u128::from(self.dice.draw()) << 64 | u128::from(self.dice.draw());
        KeyStamp { hash: hash.to_le_bytes(), fingerprint: self.dice.draw().to_le_bytes() }
    }

    /// Lets it happen.
    pub fn apply(&mut self, record: &Record) {
        let Record { envelope, decision } = record;
        let sequence = Sequence::new(self.next_sequence);
        let at = RecordAt { sequence, at_ms: envelope.decided_at_ms };
        apply(&mut self.inventory, decision, &envelope.changes, at);
        self.next_sequence += 1;
    }

    /// Its bytes; how many.
    pub fn encode(&mut self, record: &Record) -> usize {
        self.payload.clear();
        encode_record(record, &mut self.payload);
        self.payload.len()
    }

    /// The bytes of the last record that was encoded.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

#[cfg(test)]
mod tests {
    use doorbuster::journal::{Payload, decode};

    use super::*;

    #[test]
    fn a_purchase_is_decided_applied_and_encoded_and_what_is_gone_is_refused() {
        let mut till = Till::new(2, 1).expect("a till");
        let wish = till.wish(1).expect("a wish");
        let decided = till.decide(wish.clone()).expect("one unit is there");
        let record = till.record(decided);
        till.apply(&record);
        assert!(till.encode(&record) > 0);
        assert_eq!(decode(till.payload()), Ok(Payload::Record(record)));
        let refused = till.decide(wish).expect_err("it is sold");
        assert_eq!(refused, Refusal::SoldOut { available: 0, requested: 1 });
    }
}
