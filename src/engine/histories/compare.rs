//! What is shown and what is remembered, beside the naive model.

use std::collections::BTreeMap;

use super::life::Life;
use super::naive::{Bought, Held, Naive, is_forgotten};
use crate::domain::*;
use crate::engine::{Board, HoldState};

/// The views and the board show exactly what `shown` has of it; `live` knows what comes.
pub(super) fn compare_shown(life: &Life, shown: &Naive, live: &Naive) {
    let engine = &life.engine;
    for (number, item) in shown.items.iter().enumerate() {
        let number = number as u32;
        let entry = engine.product(&item.id).unwrap();
        assert_eq!(entry.handle(), Handle::new(number));
        let view = entry.view();
        assert_eq!(view.figures, figures(shown, number), "product {number}");
        assert_eq!(view.available() as i64, shown.available(number));
        assert_eq!(view.version.get(), item.version);
        assert_eq!(**view.terms, item.terms);
        assert_eq!(view.terms_version, item.terms_version);
        assert_eq!(view.counted_since_ms, item.counting.map(|(_, at_ms)| at_ms));
    }
    for item in &live.items[shown.items.len()..] {
        assert!(engine.product(&item.id).is_none(), "shown before it is durable");
    }
    assert_eq!(engine.products_from(Handle::new(0), 99).len(), shown.items.len());
    let (board, now_ms) = (engine.board().unwrap(), engine.now_ms());
    assert_eq!(board.selling_paused(), shown.paused);
    assert_eq!(board.live_holds(), shown.live().count());
    for hold in live.holds.keys() {
        compare_hold(board, *hold, shown.holds.get(hold), now_ms);
    }
    for (sequence, order) in &shown.orders {
        assert_eq!(back(board.returned(Sequence::new(*sequence)).as_ref()), some_back(order));
    }
}

fn compare_hold(board: &Board, hold: u64, held: Option<&Held>, now_ms: u64) {
    let entry = board.hold(Sequence::new(hold), now_ms);
    let Some(held) = held else {
        return assert!(entry.is_none(), "hold {hold} is shown before it is durable");
    };
    let state = match held.end {
        None => Some(HoldState::Held { expires_at_ms: held.expires_at_ms }),
        Some(ended) => (!is_forgotten(&ended, now_ms)).then_some(HoldState::Ended(ended)),
    };
    assert_eq!(entry.map(|entry| entry.state), state, "hold {hold}");
    if let (Some(entry), None) = (entry, held.end) {
        assert_eq!(usize::from(entry.lines), held.lines.len());
    }
}

fn back(returned: Option<&Returned>) -> Vec<(usize, u64)> {
    returned.map_or_else(Vec::new, |returned| returned.lines().collect())
}

fn some_back(order: &Bought) -> Vec<(usize, u64)> {
    let lines = order.back.iter().copied().enumerate();
    lines.filter(|(_, units)| *units > 0).collect()
}

fn figures(naive: &Naive, product: u32) -> Figures {
    Figures {
        stock: naive.items[product as usize].stock as u64,
        held: naive.held(product) as u64,
        sold: naive.sold(product) as u64,
    }
}

/// What decisions are made on is what the log says, live as well as replayed.
pub(super) fn compare_inventory(life: &Life, naive: &Naive) {
    let (inventory, now_ms) = (life.partition.inventory(), life.engine.now_ms());
    assert_eq!(inventory.len(), naive.items.len());
    assert_eq!(inventory.selling_paused(), naive.paused);
    for ((handle, product), item) in inventory.products().zip(&naive.items) {
        let number = handle.get();
        assert_eq!(product.figures, figures(naive, number), "product {number}");
        assert_eq!(product.version.get(), item.version);
        assert_eq!(**product.terms, item.terms);
        let list = |counts| {
            let list = inventory.buyers().list(counts);
            list.map(|(buyer, units)| (buyer.to_string(), units as i64)).collect()
        };
        let counted: BTreeMap<_, _> = product.counts.as_deref().map(list).unwrap_or_default();
        assert_eq!(counted, naive.all_counted(number), "buyers of product {number}");
        assert_eq!(inventory.holds().next_expiry_ms(handle), naive.first_expiry_ms(number));
    }
    compare_holds(inventory.holds(), naive, now_ms);
    let returns: BTreeMap<_, _> = inventory.returns().iter().collect();
    for (sequence, order) in &naive.orders {
        let found = returns.get(&Sequence::new(*sequence)).copied();
        assert_eq!(back(found), some_back(order), "order {sequence}");
    }
}

fn compare_holds(holds: &Holds, naive: &Naive, now_ms: u64) {
    for (sequence, held) in naive.live() {
        let hold = holds.live(Sequence::new(sequence)).expect("a live hold");
        assert_eq!(hold.buyer_id.as_str(), held.buyer);
        assert_eq!(hold.lines.to_vec(), held.lines);
        assert_eq!(
            (hold.placed_at_ms, hold.expires_at_ms),
            (held.placed_at_ms, held.expires_at_ms)
        );
        let theirs = naive.live().filter(|(_, other)| other.buyer == held.buyer).count();
        assert_eq!(holds.of_buyer(&hold.buyer_id) as usize, theirs);
    }
    assert_eq!(holds.len(), naive.live().count());
    assert_eq!(holds.lines(), naive.live().map(|(_, hold)| hold.lines.len()).sum::<usize>());
    let ended = naive.holds.iter().filter_map(|(hold, held)| Some((*hold, held.end?)));
    let known: BTreeMap<_, _> = ended.filter(|(_, ended)| !is_forgotten(ended, now_ms)).collect();
    let ends = holds.ends(now_ms).map(|(hold, ended)| (hold.get(), ended));
    assert_eq!(ends.collect::<BTreeMap<_, _>>(), known);
}
