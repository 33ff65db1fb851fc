//! The values of the golden records of holds, cancellations and the pause of all.

use doorbuster::domain::{
    BuyerId, CancelledLine, Decision, Handle, HoldConfirmed, HoldEnded, HoldExtended, HoldPlaced,
    OrderCancelled, OrderLine, OrderPlaced, Quantity, SellingPaused, Sequence, Text,
};
use doorbuster::journal::Payload;

use crate::records::{AT_MS, change, key, line, price, record};

/// What this file holds, by the files that hold its bytes.
pub(crate) fn all() -> Vec<(&'static str, Payload)> {
    vec![
        ("record_hold_placed_v1.bin", hold_placed()),
        ("record_hold_placed_plain_v1.bin", hold_placed_plain()),
        ("record_hold_extended_v1.bin", hold_extended()),
        ("record_hold_confirmed_v1.bin", hold_confirmed()),
        ("record_hold_confirmed_part_v1.bin", hold_confirmed_in_part()),
        ("record_hold_released_v1.bin", hold_released()),
        ("record_hold_expired_v1.bin", hold_expired()),
        ("record_order_cancelled_v1.bin", order_cancelled()),
        ("record_order_cancelled_written_off_v1.bin", order_written_off()),
        ("record_selling_paused_v1.bin", selling_paused(true)),
        ("record_selling_resumed_v1.bin", selling_paused(false)),
    ]
}

/// The hold that the records below end.
const HOLD: Sequence = Sequence::new(258);

fn buyer() -> BuyerId {
    BuyerId::new("buyer-1234").unwrap()
}

/// One product twice, at two prices, and another without one.
fn lines() -> [OrderLine; 3] {
    [
        line(0, 2, Some(price(255, "GBP"))),
        line(4, 1_000_000_000, None),
        line(0, 3, Some(price(1, "GBP"))),
    ]
}

fn hold_placed() -> Payload {
    let lines = lines().into_iter().collect();
    let placed = HoldPlaced { buyer_id: buyer(), lines, expires_at_ms: AT_MS + 900_000 };
    let changes = [change(0, 7), change(4, 2)];
    record(Some("cart-1"), Some(key(81)), &changes, Decision::HoldPlaced(placed))
}

fn hold_placed_plain() -> Payload {
    let lines = [line(0, 1, None)].into_iter().collect();
    let buyer_id = BuyerId::new("guest").unwrap();
    let placed = HoldPlaced { buyer_id, lines, expires_at_ms: AT_MS + 1 };
    record(None, None, &[change(0, 8)], Decision::HoldPlaced(placed))
}

fn hold_extended() -> Payload {
    let extended = HoldExtended { hold: HOLD, expires_at_ms: AT_MS + 1_800_000 };
    record(None, Some(key(97)), &[], Decision::HoldExtended(extended))
}

fn hold_confirmed() -> Payload {
    let order = OrderPlaced { buyer_id: buyer(), lines: lines().into_iter().collect() };
    let confirmed = HoldConfirmed { hold: HOLD, order, released: [].into_iter().collect() };
    let changes = [change(0, 9), change(4, 3)];
    let decision = Decision::HoldConfirmed(Box::new(confirmed));
    record(Some("order-778"), Some(key(113)), &changes, decision)
}

/// Of the first line all, of the second a part, of the third nothing.
fn hold_confirmed_in_part() -> Payload {
    let [first, second, third] = lines();
    let of_second = |units| OrderLine { quantity: Quantity::new(units).unwrap(), ..second };
    let sold = [first, of_second(400_000_000)].into_iter().collect();
    let released = [of_second(600_000_000), third].into_iter().collect();
    let order = OrderPlaced { buyer_id: buyer(), lines: sold };
    let confirmed = HoldConfirmed { hold: HOLD, order, released };
    let changes = [change(0, 9), change(4, 3)];
    record(None, Some(key(129)), &changes, Decision::HoldConfirmed(Box::new(confirmed)))
}

fn ended() -> HoldEnded {
    HoldEnded { hold: HOLD, buyer_id: buyer(), lines: lines().into_iter().collect() }
}

fn hold_released() -> Payload {
    record(None, None, &[change(0, 9), change(4, 3)], Decision::HoldReleased(ended()))
}

fn hold_expired() -> Payload {
    record(None, None, &[change(0, 10), change(4, 4)], Decision::HoldExpired(ended()))
}

fn order_cancelled() -> Payload {
    let back = |place, line: OrderLine, frees_limit| {
        let OrderLine { product, quantity, unit_price } = line;
        CancelledLine { place, product, quantity, unit_price, frees_limit }
    };
    let [first, second, third] = lines();
    let cancelled = OrderCancelled {
        order: Sequence::new(513),
        buyer_id: buyer(),
        lines: vec![back(0, first, true), back(1, second, false), back(2, third, true)],
        reason: Text::new("passt nicht: zu groß").unwrap(),
        restocked: true,
        whole: true,
    };
    let decision = Decision::OrderCancelled(Box::new(cancelled));
    record(None, Some(key(145)), &[change(0, 11), change(4, 5)], decision)
}

fn order_written_off() -> Payload {
    let line = CancelledLine {
        place: 999,
        product: Handle::new(4),
        quantity: Quantity::new(1).unwrap(),
        unit_price: None,
        frees_limit: false,
    };
    let cancelled = OrderCancelled {
        order: Sequence::new(513),
        buyer_id: buyer(),
        lines: vec![line],
        reason: Text::new("broken").unwrap(),
        restocked: false,
        whole: false,
    };
    let decision = Decision::OrderCancelled(Box::new(cancelled));
    record(None, Some(key(161)), &[change(4, 6)], decision)
}

fn selling_paused(paused: bool) -> Payload {
    record(None, None, &[], Decision::SellingPaused(SellingPaused { paused }))
}
