//! Refusals are counted once each, in their minute, in records nobody waits for.

use std::collections::BTreeMap;

use doorbuster::domain::*;
use doorbuster::engine::*;

use crate::house::*;

/// What the log says: minute, product and reason.
fn counted(house: &House) -> BTreeMap<(u64, u32, RefusalReason), u64> {
    let mut counts = BTreeMap::new();
    for (_, record, bytes) in house.records() {
        if let Decision::RefusalsCounted(counted) = record.decision {
            assert!(bytes <= 64 << 10, "{bytes} bytes of refusals in one record");
            assert!(record.envelope.changes.is_empty(), "without versions");
            for row in counted.rows {
                let minute = (counted.minute_ms - START_MS) / 60_000;
                *counts.entry((minute, row.product.get(), row.reason)).or_default() += row.count;
            }
        }
    }
    counts
}

async fn refused(house: &House, request: Request) {
    let answer = house.client.ask(request).await;
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
}

#[test]
fn refusals_are_journaled_in_their_minute_whoever_made_them() {
    run(async {
        let house = House::new(roomy());
        let limit = TermsPatch { per_buyer_limit: Patch::Set(Some(1)), ..TermsPatch::default() };
        let product = house.create("p", 5, limit).await;
        let empty = house.create("empty", 0, TermsPatch::default()).await;
        for _ in 0..3 {
            refused(&house, buy(product, "anna", 2)).await; // by the actor
            refused(&house, buy(empty, "anna", 1)).await; // by the view
        }
        // Of an order each line that fails counts for its product.
        refused(&house, order("anna", &[(product, 2), (empty, 1)])).await;
        refused(&house, create("p", 1, TermsPatch::default())).await; // the caller's mistake
        house.clock.advance(60_000);
        // A record of the next minute, most likely before the tick that books the last one.
        decided(house.client.ask(buy(product, "anna", 1)).await);
        let first = BTreeMap::from([
            ((0, product.get(), RefusalReason::LimitReached), 4),
            ((0, empty.get(), RefusalReason::SoldOut), 4),
        ]);
        until(|| !counted(&house).is_empty());
        assert_eq!(counted(&house), first);
        // What is refused since, up to the stop, is journaled by the stop.
        refused(&house, buy(empty, "anna", 1)).await;
        let mut house = house.restart().await;
        let mut both = first.clone();
        both.insert((1, empty.get(), RefusalReason::SoldOut), 1);
        assert_eq!(counted(&house), both);
        house.stop().await;
    });
}

#[test]
fn refusals_of_many_products_are_several_small_records() {
    const PRODUCTS: u32 = 4_500;
    run(async {
        let mut house = House::new(roomy());
        let creations: Vec<_> = (0..PRODUCTS)
            .map(|number| {
                let id = format!("p{number}");
                house.client.submit(create(&id, 0, TermsPatch::default())).unwrap()
            })
            .collect();
        for reply in creations {
            decided(reply.await);
        }
        for number in 0..PRODUCTS {
            refused(&house, buy(Handle::new(number), "anna", 1)).await;
        }
        house.clock.advance(60_000);
        until(|| counted(&house).len() == PRODUCTS as usize);
        assert!(counted(&house).values().all(|count| *count == 1));
        house.stop().await;
    });
}
