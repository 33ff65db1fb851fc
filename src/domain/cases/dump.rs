//! The whole state of a partition as text, for comparing, and what must hold between its parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::domain::*;

/// The whole state, sorted; checks what must hold between its parts.
pub(super) fn dump(inventory: &Inventory) -> String {
    let mut text = format!("selling paused: {}\n", inventory.selling_paused());
    let mut buyers = BTreeSet::new();
    let mut in_sales = 0;
    for (handle, product) in inventory.products() {
        let counts = product.counts.as_ref().map(|counts| {
            let mut units: Vec<_> = inventory.buyers().list(counts).collect();
            units.sort();
            buyers.extend(units.iter().map(|(buyer, _)| buyer.as_str().to_owned()));
            assert!(units.iter().all(|(_, units)| *units > 0), "a buyer of nothing is counted");
            units
        });
        if let Some(sale_id) = &product.terms.sale_id {
            assert!(inventory.sale(sale_id).any(|member| member == handle), "a member is missing");
            in_sales += 1;
        }
        let Product { terms, figures, version, .. } = product;
        writeln!(text, "{handle} {terms:?} {figures:?} {version} {counts:?}").unwrap();
    }
    assert_eq!(inventory.sales.values().map(|sale| sale.len()).sum::<usize>(), in_sales);
    assert!(inventory.sales.values().all(|sale| !sale.is_empty()), "an empty sale is kept");
    assert_eq!(inventory.buyers().len(), buyers.len(), "a buyer nobody counts is kept");
    dump_holds(inventory, &mut text);
    let returns: BTreeMap<_, _> = inventory.returns().iter().collect();
    for (order, returned) in returns {
        let lines: Vec<_> = returned.lines().collect();
        assert!(!lines.is_empty() && lines.iter().all(|(_, units)| *units > 0), "{order}");
        writeln!(text, "returned of {order}: {lines:?}").unwrap();
    }
    text
}

fn dump_holds(inventory: &Inventory, text: &mut String) {
    inventory.holds().assert_consistent();
    let live: BTreeMap<_, _> = inventory.holds().iter().collect();
    for (sequence, hold) in &live {
        writeln!(text, "hold {sequence}: {hold:?}").unwrap();
    }
    // However long ago: what is forgotten is forgotten by record time, live and in replay.
    let ended: BTreeMap<_, _> = inventory.holds().ends(0).collect();
    assert!(ended.keys().all(|sequence| !live.contains_key(sequence)), "ended and live");
    writeln!(text, "ended: {ended:?}").unwrap();
    for (handle, product) in inventory.products() {
        let (mut held, mut counted) = (0, BTreeMap::<&BuyerId, u64>::new());
        let mut first_ms = u64::MAX;
        for hold in live.values() {
            let own = hold.lines.iter().filter(|line| line.product == handle);
            let units: u64 = own.map(|line| line.quantity.units()).sum();
            held += units;
            let version = hold.version_of(handle);
            assert_eq!(version.is_some(), units > 0, "a hold has a version of what it holds");
            first_ms = first_ms.min(if units > 0 { hold.expires_at_ms } else { u64::MAX });
            let counts = product.counts.as_ref();
            if counts.zip(version).is_some_and(|(counts, version)| counts.count_from(version)) {
                *counted.entry(&hold.buyer_id).or_default() += units;
            }
        }
        assert_eq!(held, product.figures.held, "what is held is in live holds");
        assert_eq!(inventory.holds().next_expiry_ms(handle), first_ms);
        for (buyer, units) in counted {
            let counts = product.counts.as_ref().unwrap();
            assert!(inventory.buyers().units(counts, buyer) >= units, "a hold counts");
        }
    }
}
