//! The values of the golden records: each kind, and each form its fields can have.

use doorbuster::domain::{
    AdjustReason, BuyerId, Change, Currency, Decision, Handle, Money, Name, OrderLine, OrderPlaced,
    Patch, Principal, ProductCreated, ProductId, Quantity, Reference, RefusalReason, RefusalRow,
    RefusalsCounted, SaleId, StockAdjusted, Terms, TermsChanged, TermsPatch, Text, Version,
};
use doorbuster::journal::{Envelope, KeyStamp, Payload, Record, Started};

pub(crate) const AT_MS: u64 = 1_767_225_600_123;

/// Every golden record by its file.
pub(crate) fn all() -> Vec<(&'static str, Payload)> {
    let mut all = vec![
        ("record_started_v1.bin", started()),
        ("record_watermark_v1.bin", Payload::Watermark),
        ("record_product_created_v1.bin", product_created()),
        ("record_product_created_plain_v1.bin", product_created_plain()),
        ("record_terms_changed_v1.bin", terms_changed()),
        ("record_terms_changed_sale_v1.bin", terms_changed_of_a_sale()),
        ("record_stock_adjusted_v1.bin", stock_adjusted()),
        ("record_stock_adjusted_other_v1.bin", stock_adjusted_for_other_reasons()),
        ("record_order_placed_v1.bin", purchase()),
        ("record_order_placed_plain_v1.bin", plain_purchase()),
        ("record_order_placed_lines_v1.bin", order()),
        ("record_refusals_counted_v1.bin", refusals_counted(0..8)),
        ("record_refusals_counted_holds_v1.bin", refusals_counted(8..RefusalReason::ALL.len())),
    ];
    all.extend(crate::holds::all());
    all
}

pub(crate) fn started() -> Payload {
    Payload::Started(Started { started_at_ms: 1_767_225_599_000, binary: "0.1.0".into() })
}

pub(crate) fn key(first: u8) -> KeyStamp {
    KeyStamp {
        hash: std::array::from_fn(|place| first + place as u8),
        fingerprint: std::array::from_fn(|place| 0xf0 + place as u8),
    }
}

pub(crate) fn change(handle: u32, version: u64) -> Change {
    Change { handle: Handle::new(handle), version: Version::new(version) }
}

pub(crate) fn price(amount_minor: u64, currency: &str) -> Money {
    Money::new(amount_minor, Currency::new(currency).unwrap()).unwrap()
}

pub(crate) fn record(
    reference: Option<&str>,
    key: Option<KeyStamp>,
    changes: &[Change],
    decision: Decision,
) -> Payload {
    let envelope = Envelope {
        decided_at_ms: AT_MS,
        principal: Principal::new("shop").unwrap(),
        reference: reference.map(|reference| Reference::new(reference).unwrap()),
        key,
        changes: changes.iter().copied().collect(),
    };
    Payload::Record(Record { envelope, decision })
}

pub(crate) fn line(product: u32, quantity: u64, unit_price: Option<Money>) -> OrderLine {
    let (product, quantity) = (Handle::new(product), Quantity::new(quantity).unwrap());
    OrderLine { product, quantity, unit_price }
}

pub(crate) fn product_created() -> Payload {
    let created = ProductCreated {
        product_id: ProductId::new("sku:85123A").unwrap(),
        terms: Terms {
            name: Name::new("Weißes Herz").unwrap(),
            price: Some(price(255, "GBP")),
            sale_id: Some(SaleId::new("xmas.2026").unwrap()),
            opens_at_ms: 1_767_225_600_000,
            closes_at_ms: 1_767_229_200_000,
            oversell_limit: 5,
            safety_stock: 6,
            per_buyer_limit: 7,
            low_stock_threshold: Some(8),
            paused: true,
            returns_free_limit: false,
        },
        stock: 1_000,
    };
    let decision = Decision::ProductCreated(Box::new(created));
    record(None, Some(key(1)), &[change(0, 1)], decision)
}

fn product_created_plain() -> Payload {
    let terms = Terms::open(Name::new("Heart").unwrap());
    let product_id = ProductId::new("a").unwrap();
    let created =
        Decision::ProductCreated(Box::new(ProductCreated { product_id, terms, stock: 0 }));
    record(None, None, &[change(1, 1)], created)
}

fn terms_changed() -> Payload {
    let patch = TermsPatch {
        name: Patch::Set(Name::new("Rotes Herz").unwrap()),
        price: Patch::Set(Some(price(1, "JPY"))),
        sale_id: Patch::Set(Some(SaleId::new("s1").unwrap())),
        opens_at_ms: Patch::Set(Some(1_767_225_600_000)),
        closes_at_ms: Patch::Set(None),
        oversell_limit: Patch::Set(9),
        safety_stock: Patch::Set(10),
        per_buyer_limit: Patch::Set(Some(11)),
        low_stock_threshold: Patch::Set(None),
        paused: Patch::Set(false),
        returns_free_limit: Patch::Set(true),
    };
    let changed = Decision::TermsChanged(Box::new(TermsChanged {
        sale_id: None,
        patch,
        counting_starts: true,
    }));
    record(None, None, &[change(0, 2)], changed)
}

fn terms_changed_of_a_sale() -> Payload {
    let patch = TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() };
    let sale_id = Some(SaleId::new("xmas.2026").unwrap());
    let changed =
        Decision::TermsChanged(Box::new(TermsChanged { sale_id, patch, counting_starts: false }));
    record(None, None, &[change(0, 3), change(7, 12)], changed)
}

fn stock_adjusted() -> Payload {
    let adjusted = StockAdjusted {
        product: Handle::new(3),
        delta: -12,
        reason: AdjustReason::Damaged,
        stock: 988,
        unsold: -4,
    };
    let decision = Decision::StockAdjusted(Box::new(adjusted));
    record(Some("wms-17"), Some(key(17)), &[change(3, 40)], decision)
}

fn stock_adjusted_for_other_reasons() -> Payload {
    let adjusted = StockAdjusted {
        product: Handle::new(3),
        delta: 1,
        reason: AdjustReason::Other(Text::new("found behind the shelf").unwrap()),
        stock: 989,
        unsold: -3,
    };
    let decision = Decision::StockAdjusted(Box::new(adjusted));
    record(None, Some(key(33)), &[change(3, 41)], decision)
}

/// A purchase with everything it can have.
pub(crate) fn purchase() -> Payload {
    let buyer_id = BuyerId::new("buyer-1234").unwrap();
    let lines = [line(0, 2, Some(price(255, "GBP")))].into_iter().collect();
    let placed = Decision::OrderPlaced(OrderPlaced { buyer_id, lines });
    record(Some("order-777"), Some(key(49)), &[change(0, 4)], placed)
}

/// One with as little as it can have.
pub(crate) fn plain_purchase() -> Payload {
    let buyer_id = BuyerId::new("guest").unwrap();
    let lines = [line(0, 1, None)].into_iter().collect();
    record(None, None, &[change(0, 5)], Decision::OrderPlaced(OrderPlaced { buyer_id, lines }))
}

fn order() -> Payload {
    let buyer_id = BuyerId::new("b").unwrap();
    let lines = [line(0, 1, Some(price(0, "EUR"))), line(4, 1_000_000_000, None), line(0, 3, None)];
    let lines = lines.into_iter().collect();
    let placed = Decision::OrderPlaced(OrderPlaced { buyer_id, lines });
    record(None, Some(key(65)), &[change(0, 6), change(4, 1)], placed)
}

/// One row of each of these reasons.
fn refusals_counted(reasons: std::ops::Range<usize>) -> Payload {
    let row = |(place, reason): (usize, &RefusalReason)| RefusalRow {
        product: Handle::new(place as u32),
        reason: *reason,
        count: 1_000 + place as u64,
    };
    let rows = RefusalReason::ALL.iter().enumerate().skip(reasons.start).take(reasons.len());
    let rows = rows.map(row).collect();
    let counted = RefusalsCounted { minute_ms: 1_767_225_600_000, rows };
    record(None, None, &[], Decision::RefusalsCounted(counted))
}
