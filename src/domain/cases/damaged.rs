//! Records that no engine wrote: a disk may say anything that passes its checksum. Each is refused
//! with its reason, and its sound neighbour applies.

mod cancels;
mod holds;

use smallvec::smallvec;

use super::dump::dump;
use crate::domain::*;

fn product(sale: Option<&str>, limit: u32) -> ProductCreated {
    let mut terms = Terms::open(Name::new("a").unwrap());
    terms.sale_id = sale.map(|id| SaleId::new(id).unwrap());
    terms.per_buyer_limit = limit;
    ProductCreated { product_id: ProductId::new("p").unwrap(), terms, stock: 10 }
}

/// Nothing here depends on where and when.
const AT: RecordAt = RecordAt { sequence: Sequence::new(1), at_ms: 0 };

fn change(handle: u32, version: u64) -> Change {
    Change { handle: Handle::new(handle), version: Version::new(version) }
}

/// Two products of a sale, one of which sells two units to a buyer.
fn world() -> Inventory {
    let mut inventory = Inventory::new();
    for handle in 0..2 {
        let created = Decision::ProductCreated(Box::new(product(Some("s"), 2)));
        apply(&mut inventory, &created, &[change(handle, 1)], AT);
    }
    inventory
}

fn lines(lines: &[(u32, u64)]) -> OrderLines {
    let line = |(handle, quantity): &(u32, u64)| OrderLine {
        product: Handle::new(*handle),
        quantity: Quantity::new(*quantity).unwrap(),
        unit_price: None,
    };
    lines.iter().map(line).collect()
}

fn buyer(name: &str) -> BuyerId {
    BuyerId::new(name).unwrap()
}

fn order(of: &[(u32, u64)]) -> Decision {
    Decision::OrderPlaced(OrderPlaced { buyer_id: buyer("anna"), lines: lines(of) })
}

fn adjusted(delta: i64, stock: u64, unsold: i64) -> Decision {
    let product = Handle::new(0);
    let reason = AdjustReason::Correction;
    Decision::StockAdjusted(Box::new(StockAdjusted { product, delta, reason, stock, unsold }))
}

fn changed(sale: Option<&str>, patch: TermsPatch) -> Decision {
    let sale_id = sale.map(|id| SaleId::new(id).unwrap());
    Decision::TermsChanged(Box::new(TermsChanged { sale_id, patch, counting_starts: false }))
}

fn refused(decision: &Decision, changes: &[Change]) -> String {
    follows(&mut world(), decision, changes, AT)
}

/// Applies a record that can follow: what passes the check must not panic.
fn follows(
    inventory: &mut Inventory,
    decision: &Decision,
    changes: &[Change],
    at: RecordAt,
) -> String {
    match check_applicable(inventory, decision, changes, at) {
        Ok(()) => {
            apply(inventory, decision, changes, at);
            dump(inventory);
            "applies".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn creation_that_cannot_follow_is_refused() {
    let created = |stock| {
        Decision::ProductCreated(Box::new(ProductCreated { stock, ..product(Some("s"), 0) }))
    };
    let cases: &[(Decision, &[Change], &str)] = &[
        (created(1), &[change(2, 1)], "applies"),
        (created(1), &[], "the changes do not match the body: not one change"),
        (created(1), &[change(3, 1)], "the changes do not match the body: handle is not the next"),
        (
            created(1),
            &[change(2, 2)],
            "the changes do not match the body: a history starts at version 1",
        ),
        (created(FIGURE_MAX), &[change(2, 1)], "applies"),
        (
            created(FIGURE_MAX + 1),
            &[change(2, 1)],
            "the record breaks a promise: stock over the maximum",
        ),
    ];
    for (decision, changes, expected) in cases {
        assert_eq!(refused(decision, changes), *expected);
    }
}

#[test]
fn order_that_cannot_follow_is_refused() {
    let one: &[Change] = &[change(0, 2)];
    let two: &[Change] = &[change(0, 2), change(1, 2)];
    let cases: &[(Decision, &[Change], &str)] = &[
        (order(&[(0, 2)]), one, "applies"),
        (order(&[(0, 1), (0, 1)]), one, "applies"),
        (order(&[(0, 1), (1, 1), (0, 1)]), two, "applies"),
        (order(&[]), one, "the changes do not match the body: too few or too many lines"),
        (order(&[(0, 1)]), &[], "the changes do not match the body: too few or too many changes"),
        (order(&[(0, 1)]), &[change(0, 3)], "product 0 is at version 1, the record says 3"),
        (order(&[(9, 1)]), &[change(9, 1)], "no product has handle 9"),
        (order(&[(1, 1)]), one, "the changes do not match the body: a changed product has no line"),
        (order(&[(0, 1)]), two, "the changes do not match the body: the lines name other products"),
        (
            order(&[(0, 1), (1, 1)]),
            one,
            "the changes do not match the body: the lines name other products",
        ),
        (
            order(&[(0, 1)]),
            &[change(0, 2), change(0, 2)],
            "the changes do not match the body: a product twice",
        ),
        (
            order(&[(0, 11)]),
            one,
            "the record breaks a promise: held and sold over stock and oversell_limit",
        ),
        (order(&[(0, 2), (0, 1)]), one, "the record breaks a promise: a buyer over the limit"),
    ];
    for (decision, changes, expected) in cases {
        assert_eq!(refused(decision, changes), *expected, "{decision:?}");
    }
}

#[test]
fn adjustment_that_cannot_follow_is_refused() {
    let one: &[Change] = &[change(0, 2)];
    let cases: &[(Decision, &[Change], &str)] = &[
        (adjusted(-10, 0, 0), one, "applies"),
        (
            adjusted(-10, 0, 1),
            one,
            "the record breaks a promise: stock and sold do not make unsold",
        ),
        (
            adjusted(-11, 0, 0),
            one,
            "the record breaks a promise: stock before and delta do not make stock after",
        ),
        (
            adjusted(1, 12, 12),
            one,
            "the record breaks a promise: stock before and delta do not make stock after",
        ),
        (
            adjusted(1, 11, 11),
            &[change(1, 2)],
            "the changes do not match the body: another product than the body's",
        ),
        (
            adjusted(i64::MAX, i64::MAX as u64 + 10, 0),
            one,
            "the record breaks a promise: held and sold over stock and oversell_limit",
        ),
    ];
    for (decision, changes, expected) in cases {
        assert_eq!(refused(decision, changes), *expected, "{decision:?}");
    }
}

#[test]
fn change_of_terms_that_cannot_follow_is_refused() {
    let pause = || TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() };
    let empty = TermsPatch { closes_at_ms: Patch::Set(Some(0)), ..TermsPatch::default() };
    let both: &[Change] = &[change(0, 2), change(1, 2)];
    let cases: &[(Decision, &[Change], &str)] = &[
        (changed(None, pause()), &[change(1, 2)], "applies"),
        (changed(Some("s"), pause()), both, "applies"),
        (
            changed(None, pause()),
            both,
            "the changes do not match the body: too few or too many changes",
        ),
        (
            changed(Some("s"), pause()),
            &[change(0, 2)],
            "the changes do not match the body: not the products of the sale",
        ),
        (
            changed(Some("t"), pause()),
            both,
            "the changes do not match the body: not the products of the sale",
        ),
        (
            changed(None, empty),
            &[change(0, 2)],
            "the record breaks a promise: terms that cannot stand",
        ),
    ];
    for (decision, changes, expected) in cases {
        assert_eq!(refused(decision, changes), *expected, "{decision:?}");
    }
}

#[test]
fn counts_of_unknown_products_are_refused() {
    let counted = |product| {
        let reason = RefusalReason::SoldOut;
        let rows = vec![RefusalRow { product: Handle::new(product), reason, count: 1 }];
        Decision::RefusalsCounted(RefusalsCounted { minute_ms: 60_000, rows })
    };
    assert_eq!(refused(&counted(1), &[]), "applies");
    assert_eq!(refused(&counted(2), &[]), "no product has handle 2");
    assert_ne!(refused(&counted(1), &[change(1, 2)]), "applies");
}

#[test]
fn sale_has_as_many_products_as_one_decision_changes() {
    let mut inventory = Inventory::new();
    let max = u32::try_from(SALE_PRODUCTS_MAX).unwrap();
    for handle in 0..max + 10 {
        // All but ten in one sale, ten in another.
        let sale = if handle < max - 1 { "full" } else { "small" };
        let created = Decision::ProductCreated(Box::new(product(Some(sale), 0)));
        apply(&mut inventory, &created, &[change(handle, 1)], AT);
    }
    let wish = || {
        let ProductCreated { product_id, terms, stock } = product(Some("full"), 0);
        CreateProduct { product_id, terms, stock }
    };
    let full = Refusal::SaleFull { max: u64::from(max) };
    // A whole sale moves into another: all of it must fit.
    let sale_id = Patch::Set(Some(SaleId::new("full").unwrap()));
    let patch = TermsPatch { sale_id, ..TermsPatch::default() };
    let moved = ChangeTerms { targets: Targets::Sale(SaleId::new("small").unwrap()), patch };
    assert_eq!(decide_terms(&inventory, moved.clone()), Err(full.clone()));
    let record = Decision::TermsChanged(Box::new(TermsChanged {
        sale_id: Some(SaleId::new("small").unwrap()),
        patch: moved.patch.clone(),
        counting_starts: false,
    }));
    let changes: Changes = (max - 1..max + 10).map(|handle| change(handle, 2)).collect();
    assert!(check_applicable(&inventory, &record, &changes, AT).is_err());

    let last = decide_create(&inventory, wish(), false).unwrap();
    apply(&mut inventory, &last.decision, &last.changes, AT);
    assert_eq!(decide_create(&inventory, wish(), false).unwrap_err(), full);
    let next: Changes = smallvec![change(max + 11, 1)];
    assert!(check_applicable(&inventory, &last.decision, &next, AT).is_err());
    let one = Targets::Product { handle: Handle::new(max), terms_version: None };
    let one = ChangeTerms { targets: one, patch: moved.patch };
    assert_eq!(decide_terms(&inventory, one).unwrap_err(), full);
    // Whoever is in it stays: naming the sale again is no joining.
    let again = TermsPatch {
        sale_id: Patch::Set(Some(SaleId::new("full").unwrap())),
        ..TermsPatch::default()
    };
    let targets = Targets::Sale(SaleId::new("full").unwrap());
    let all = decide_terms(&inventory, ChangeTerms { targets, patch: again }).unwrap();
    assert_eq!(all.changes.len(), SALE_PRODUCTS_MAX);
}
