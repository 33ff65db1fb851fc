//! What is bounded says so before deciding, and heals by itself.

use doorbuster::domain::*;
use doorbuster::engine::*;

use crate::house::*;

#[test]
fn low_disk_turns_away_before_deciding_and_heals() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 10_000_000, TermsPatch::default()).await;
        house.storage.files.set_capacity(Some(0));
        let lines = vec![(product, 1); ORDER_LINES_MAX];
        let mut sold = 0;
        let low = loop {
            let answer = house.client.ask(with_key(sold, order("anna", &lines))).await;
            match answer {
                Answer::Decided { .. } => sold += 1,
                other => break other,
            }
            assert!(sold < 2_000, "a full disk must be noticed");
        };
        assert!(matches!(low, Answer::DiskLow { .. }), "{low:?}");
        assert_eq!(house.view("p").figures.sold, sold * 1_000);
        assert!(!house.engine.health().is_failed(), "no failure of the journal");
        let gauges = house.engine.gauges().unwrap();
        assert_eq!((gauges.commands, gauges.idempotency_keys as u64), (0, sold));
        house.storage.files.set_capacity(None);
        loop {
            match house.client.ask(with_key(sold, order("anna", &lines))).await {
                Answer::DiskLow { .. } => {
                    actix_rt::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                answer => {
                    assert!(!decided(answer).1);
                    break;
                }
            }
        }
        house.stop().await;
    });
}

#[test]
fn limits_of_admission_hold_and_every_permit_comes_back() {
    run(async {
        let mut config = roomy();
        config.admission = AdmissionLimits { commands_max: 3, queued_bytes_max: 10_000 };
        let mut house = House::new(config);
        let product = house.create("p", 100_000, TermsPatch::default()).await;
        let room = house.engine.gauges().unwrap().room_bytes;
        house.clock.turns.close();
        let waiting: Vec<_> = (0..3)
            .map(|number| house.client.submit(with_key(number, buy(product, "anna", 1))).unwrap())
            .collect();
        let fourth = house.client.ask(with_key(9, buy(product, "anna", 1))).await;
        assert!(matches!(fourth, Answer::Overloaded { .. }), "{fourth:?}");
        house.clock.turns.open();
        for reply in waiting {
            decided(reply.await);
        }
        until(|| house.engine.gauges().unwrap().commands == 0);
        // One order of a thousand lines passes the bytes that may be queued.
        let large = house.client.ask(order("anna", &vec![(product, 1); 1_000])).await;
        assert!(matches!(large, Answer::Overloaded { .. }), "{large:?}");
        decided(house.client.ask(with_key(9, buy(product, "anna", 1))).await);
        until(|| house.engine.gauges().unwrap().commands == 0);
        // A refusal gives its room back; four purchases keep theirs, of about 200 bytes each.
        let used = room - house.engine.gauges().unwrap().room_bytes;
        assert!((4 * 100..4 * 400).contains(&used), "{used} bytes for four purchases");
        house.stop().await;
    });
}

/// What ends a hold of a thousand lines, and what takes an order of a thousand back.
#[expect(clippy::unwrap_used, reason = "a helper of a test: a panic is how it fails")]
async fn largest_ends(house: &House, full: impl Fn(Request) -> Request) {
    let places = 0..ORDER_LINES_MAX;
    let buyer = "y".repeat(64);
    let two = places.clone().map(|number| (Handle::new(number as u32), 2)).collect::<Vec<_>>();
    let mut key = 6_000;
    let mut ask = async |request| {
        key += 1;
        Sequence::new(decided(house.client.ask(full(with_key(key, request))).await).0)
    };
    let half = |place| Part { of: PartOf::Line(place), quantity: Quantity::new(1).unwrap() };
    let parts = Some(places.map(half).collect::<Vec<_>>());
    let held = ask(hold(&buyer, &two, 60_000)).await;
    ask(extend(held, 120_000)).await;
    let confirm = ConfirmHold { hold: held, parts: parts.clone() };
    let order = ask(request(Action::ConfirmHold { confirm, lines: 1_000 })).await;
    let held = ask(hold(&buyer, &two, 60_000)).await;
    ask(release(held, 1_000)).await;
    let id = doorbuster::journal::OrderId(house.engine.position(order));
    let Stored { sequence, record } = house.engine.order(id).unwrap().unwrap();
    let OrderPlaced { buyer_id, lines } = record.order().unwrap().clone();
    let order = PlacedOrder { sequence, buyer_id, lines, changes: record.envelope.changes };
    let reason = Text::new(&"𝄞".repeat(200)).unwrap();
    let cancel = CancelOrder { order, parts, reason, restock: true };
    ask(request(Action::Cancel(Box::new(cancel)))).await;
    ask(request(Action::PauseSelling(false))).await;
}

#[test]
fn largest_records_fit_what_is_reserved_for_them() {
    run(async {
        let mut house = House::new(roomy());
        let long = |length| "x".repeat(length);
        let wide = "𝄞".repeat(200);
        let money = || Some(Money::new(FIGURE_MAX, Currency::new("GBP").unwrap()).unwrap());
        let full = |request: Request| Request {
            principal: Principal::new(&long(64)).unwrap(),
            reference: Some(Reference::new(&long(64)).unwrap()),
            ..request
        };
        let terms = || TermsPatch {
            name: Patch::Set(Name::new(&wide).unwrap()),
            price: Patch::Set(money()),
            sale_id: Patch::Set(Some(SaleId::new(&long(64)).unwrap())),
            opens_at_ms: Patch::Set(Some(1)),
            closes_at_ms: Patch::Set(Some(TIME_MS_MAX)),
            oversell_limit: Patch::Set(1),
            safety_stock: Patch::Set(1),
            per_buyer_limit: Patch::Set(Some(u32::MAX)),
            low_stock_threshold: Patch::Set(Some(1)),
            paused: Patch::Set(false),
            returns_free_limit: Patch::Set(true),
        };
        let mut products = Vec::new();
        for number in 0..ORDER_LINES_MAX {
            let id = format!("{number:064}");
            products
                .push(house.client.submit(full(with_key(number as u64, create(&id, 9, terms())))));
        }
        for reply in products {
            decided(reply.unwrap().await);
        }
        let lines = (0..ORDER_LINES_MAX).map(|number| LineWish {
            product: Handle::new(number as u32),
            quantity: Quantity::new(1).unwrap(),
            unit_price: money(),
        });
        let order =
            PlaceOrder { buyer_id: BuyerId::new(&long(64)).unwrap(), lines: lines.collect() };
        decided(house.client.ask(full(with_key(5_000, request(Action::Order(order))))).await);
        largest_ends(&house, full).await;
        let adjust = AdjustStock {
            product: Handle::new(0),
            change: StockChange::Delta(1),
            reason: AdjustReason::Other(Text::new(&wide).unwrap()),
        };
        decided(house.client.ask(full(with_key(5_001, request(Action::Adjust(adjust))))).await);
        let all = Targets::Sale(SaleId::new(&long(64)).unwrap());
        decided(house.client.ask(full(with_key(5_002, patch(all, terms())))).await);
        let one = Targets::Product { handle: Handle::new(3), terms_version: Some(2) };
        decided(house.client.ask(full(with_key(5_003, patch(one, terms())))).await);
        house = house.restart().await;
        assert_eq!(house.view(&format!("{:064}", 3)).terms_version, 3);
        house.stop().await;
    });
}
