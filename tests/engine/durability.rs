//! Nothing is heard or seen before it is durable; a failed log tells nothing any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use doorbuster::domain::*;
use doorbuster::engine::*;
use doorbuster::journal::OrderId;

use crate::house::*;

#[test]
fn nothing_is_told_or_shown_before_its_sync() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1, TermsPatch::default()).await;
        house.clock.turns.close();
        let sale = house.client.submit(with_key(1, buy(product, "anna", 1))).unwrap();
        // The view still has the unit, so this one is refused by the actor, and rests on the sale.
        let refusal = house.client.submit(buy(product, "ben", 1)).unwrap();
        let creation = house.client.submit(create("q", 1, TermsPatch::default())).unwrap();
        let again = house.client.submit(create("q", 1, TermsPatch::default())).unwrap();
        decide_up_to_the_sync(&house);
        for reply in [&sale, &refusal, &creation, &again] {
            assert!(reply.take().is_none(), "told before it is durable");
        }
        assert_eq!(house.view("p").figures.sold, 0, "shown before it is durable");
        assert!(house.engine.product("q").is_none(), "shown before it is durable");
        assert!(house.engine.product_by_handle(Handle::new(1)).is_none());
        house.storage.syncs.open();
        let (sequence, _) = decided(sale.await);
        // There the instant it was answered.
        assert_eq!(house.view("p").figures.sold, 1);
        let id = OrderId(house.engine.position(Sequence::new(sequence)));
        assert!(house.engine.order(id).unwrap().is_some());
        let refused = refusal.await;
        let sold_out = Refusal::SoldOut { available: 0, requested: 1 };
        assert!(matches!(&refused, Answer::Refused(r) if *r == sold_out), "{refused:?}");
        decided(creation.await);
        let refused = again.await;
        assert!(matches!(refused, Answer::Refused(Refusal::AlreadyExists)), "{refused:?}");
        house.stop().await;
    });
}

#[test]
fn failed_sync_leaves_outcomes_unknown_and_decides_nothing_more() {
    run(async {
        let house = House::new(roomy());
        let product = house.create("p", 2, TermsPatch::default()).await;
        let told = Arc::new(AtomicU64::new(0));
        let telling = Arc::clone(&told);
        house.engine.health().on_failure(move |_| {
            telling.fetch_add(1, Ordering::SeqCst);
        });
        house.clock.turns.close();
        let first = house.client.submit(with_key(1, buy(product, "anna", 1))).unwrap();
        let second = house.client.submit(with_key(2, buy(product, "ben", 1))).unwrap();
        let refused = house.client.submit(with_key(3, buy(product, "carl", 1))).unwrap();
        decide_up_to_the_sync(&house);
        house.storage.files.fail_sync_after(0);
        house.storage.syncs.open();
        for reply in [first, second, refused] {
            let answer = reply.await;
            assert!(matches!(answer, Answer::OutcomeUnknown), "{answer:?}");
        }
        until(|| told.load(Ordering::SeqCst) == 1);
        assert!(matches!(house.engine.health().readiness(Vec::new), Readiness::Failed { .. }));
        assert_eq!(house.view("p").figures.sold, 0, "not shown: it may not be durable");
        // A key whose outcome is unknown is in flight for as long as this process lives.
        let retried = house.client.ask(with_key(1, buy(product, "anna", 1))).await;
        assert!(matches!(retried, Answer::KeyInFlight), "{retried:?}");
        for number in 4..8 {
            let later = house.client.ask(with_key(number, buy(product, "dora", 1))).await;
            assert!(matches!(later, Answer::NotDecided), "{later:?}");
        }
        // The next start knows: each key made its order once, now or then.
        let mut house = house.kill().await;
        for (number, buyer) in [(1, "anna"), (2, "ben")] {
            decided(house.client.ask(with_key(number, buy(product, buyer, 1))).await);
        }
        assert_eq!(house.view("p").figures.sold, 2);
        assert_eq!(house.records().len(), 3);
        house.stop().await;
    });
}

#[test]
fn commands_decided_after_the_log_failed_are_not_decided() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1_000, TermsPatch::default()).await;
        decided(house.client.ask(buy(product, "anna", 1)).await);
        house.storage.syncs.close();
        let lost = house.client.submit(with_key(1, buy(product, "anna", 1))).unwrap();
        house.storage.syncs.until_held();
        // Admitted before the failure; the partition's thread gets to them after it.
        let held: Vec<_> = (2..40)
            .map(|number| house.client.submit(with_key(number, buy(product, "anna", 1))).unwrap())
            .chain([house.client.submit(create("p", 1, TermsPatch::default())).unwrap()])
            .collect();
        house.storage.files.fail_sync_after(0);
        house.storage.syncs.open();
        let answer = lost.await;
        assert!(matches!(answer, Answer::OutcomeUnknown), "{answer:?}");
        for reply in held {
            let answer = reply.await;
            assert!(matches!(answer, Answer::NotDecided), "nothing is written now: {answer:?}");
        }
        let late = house.client.ask(with_key(2, buy(product, "anna", 1))).await;
        assert!(matches!(late, Answer::NotDecided), "its key is free: {late:?}");
        house.stop().await;
        assert_eq!(house.engine.gauges().unwrap().commands, 0, "every permit came back");
    });
}

#[test]
fn restart_answers_a_key_with_its_first_answer() {
    run(async {
        let house = House::new(roomy());
        let product = house.create("p", 10, TermsPatch::default()).await;
        let first = house.client.ask(with_key(1, buy(product, "anna", 2))).await;
        let Answer::Decided { sequence, record, replayed: false } = first else { panic!() };
        let mut house = house.restart().await;
        let again = house.client.ask(with_key(1, buy(product, "anna", 2))).await;
        let Answer::Decided { sequence: second, record: stored, replayed: true } = again else {
            panic!("{again:?}")
        };
        assert_eq!((second, stored), (sequence, record));
        let mut other = with_key(1, buy(product, "anna", 2));
        other.key.as_mut().unwrap().fingerprint = [2; 8];
        assert!(matches!(house.client.ask(other).await, Answer::KeyReused));
        assert_eq!(house.view("p").figures.sold, 2);
        house.stop().await;
    });
}
