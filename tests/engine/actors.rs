//! Actors come and go, queues fill; no command is lost, none is decided twice.

use std::time::Duration;

use doorbuster::domain::*;
use doorbuster::engine::*;

use crate::house::*;

#[test]
fn thousands_of_actors_start_and_stop_and_lose_no_command() {
    const PRODUCTS: u64 = 150;
    const WORKERS: u64 = 3;
    const TASKS: u64 = 30;
    const COMMANDS: u64 = 60;
    run(async {
        let mut config = roomy();
        config.actors.idle = Duration::from_millis(1);
        let mut house = House::new(config);
        for product in 0..PRODUCTS {
            house.create(&format!("p{product}"), 1_000_000, TermsPatch::default()).await;
        }
        let workers = (0..WORKERS).map(|w| {
            worker(&house.engine, move |client| async move {
                let tasks = (0..TASKS).map(|t| {
                    let client = client.clone();
                    actix_rt::spawn(async move {
                        let mut sold = Vec::new();
                        for c in 0..COMMANDS {
                            let number = (w * TASKS + t) * COMMANDS + c;
                            let product = number.wrapping_mul(0x9e37_79b9) >> 7;
                            let product = Handle::new((product % PRODUCTS) as u32);
                            let answer = client.ask(with_key(number, buy(product, "anna", 1)));
                            sold.push((number, product, decided(answer.await)));
                            // Long enough for an idle actor to be found idle, now and then.
                            actix_rt::time::sleep(Duration::from_millis(number % 4)).await;
                        }
                        sold
                    })
                });
                let tasks: Vec<_> = tasks.collect();
                let mut sold = Vec::new();
                for task in tasks {
                    sold.extend(task.await.unwrap());
                }
                sold
            })
        });
        let workers: Vec<_> = workers.collect();
        let mut sold = Vec::new();
        for worker in workers {
            sold.extend(worker.await);
        }
        assert_eq!(sold.len() as u64, WORKERS * TASKS * COMMANDS);
        let mut sequences: Vec<u64> = sold.iter().map(|(.., (sequence, _))| *sequence).collect();
        sequences.sort_unstable();
        sequences.dedup();
        assert_eq!(sequences.len(), sold.len(), "each command is one record");
        for product in 0..PRODUCTS {
            let handle = Handle::new(product as u32);
            let told = sold.iter().filter(|(_, product, _)| *product == handle).count() as u64;
            let view = house.engine.product_by_handle(handle).unwrap().view();
            assert_eq!(view.figures.sold, told);
            assert_eq!(view.version.get(), told + 1);
        }
        let (number, product, (sequence, _)) = sold[0];
        let again = house.client.ask(with_key(number, buy(product, "anna", 1))).await;
        assert_eq!(decided(again), (sequence, true));
        assert_eq!(house.engine.gauges().unwrap().commands, 0, "every permit came back");
        house.stop().await;
    });
}

#[test]
fn hot_product_fills_only_its_own_queue() {
    run(async {
        let mut config = roomy();
        config.actors.product_mailbox = 4;
        config.actors.partition_mailbox = 8;
        let mut house = House::new(config);
        let hot = house.create("hot", 1_000, TermsPatch::default()).await;
        let cold = house.create("cold", 1_000, TermsPatch::default()).await;
        // Its actor is there from its second command on.
        for _ in 0..2 {
            decided(house.client.ask(buy(hot, "anna", 1)).await);
        }
        house.clock.turns.close();
        let mut waiting = Vec::new();
        let mut turned_away = Vec::new();
        for number in 0..40 {
            match house.client.submit(with_key(number, buy(hot, "anna", 1))) {
                Ok(reply) => waiting.push(reply),
                Err(answer) => panic!("nothing here needs no actor: {answer:?}"),
            }
            if number == 0 {
                house.clock.turns.until_held();
            }
            house.client.replies().drain();
            if let Some(answer) = waiting.last().and_then(Reply::take) {
                assert!(matches!(answer, Answer::Overloaded { .. }), "{answer:?}");
                waiting.pop();
                turned_away.push(number);
            }
        }
        assert!((4..=7).contains(&waiting.len()), "{} wait, 4 may", waiting.len());
        assert_eq!(house.engine.gauges().unwrap().commands, waiting.len());
        // Another product's first command finds its way, and so does what concerns no product.
        let other = house.client.submit(buy(cold, "ben", 1)).unwrap();
        let third = house.client.submit(create("third", 1, TermsPatch::default())).unwrap();
        assert!(other.take().is_none());
        house.clock.turns.open();
        decided(other.await);
        decided(third.await);
        for reply in waiting {
            decided(reply.await);
        }
        // Whoever was turned away has a free key.
        for number in turned_away {
            let again = house.client.ask(with_key(number, buy(hot, "anna", 1))).await;
            assert!(!decided(again).1);
        }
        assert_eq!(house.view("hot").figures.sold, 42);
        house.stop().await;
    });
}

#[test]
fn fresh_actor_has_its_whole_queue_from_the_first_command_on() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1_000, TermsPatch::default()).await;
        decided(house.client.ask(buy(product, "anna", 1)).await);
        house.clock.turns.close();
        // The partition takes the second and starts the actor, which has had no turn yet.
        let mut replies = vec![house.client.submit(buy(product, "anna", 1)).unwrap()];
        house.clock.turns.until_held();
        replies.extend((0..300).map(|_| house.client.submit(buy(product, "anna", 1)).unwrap()));
        house.clock.turns.open();
        for reply in replies {
            decided(reply.await);
        }
        house.stop().await;
    });
}

#[test]
fn busy_product_does_not_starve_another() {
    const QUEUED: u64 = 2_000;
    run(async {
        let mut house = House::new(roomy());
        let busy = house.create("busy", 10_000, TermsPatch::default()).await;
        let other = house.create("other", 100, TermsPatch::default()).await;
        for product in [busy, other, busy, other] {
            decided(house.client.ask(buy(product, "anna", 1)).await);
        }
        house.clock.turns.close();
        let mut queued = vec![house.client.submit(buy(busy, "anna", 1)).unwrap()];
        house.clock.turns.until_held();
        queued.extend((1..QUEUED).map(|_| house.client.submit(buy(busy, "anna", 1)).unwrap()));
        let waits = house.client.submit(buy(other, "ben", 1)).unwrap();
        house.clock.turns.open();
        let (first, _) = decided(queued.remove(0).await);
        let (waited, _) = decided(waits.await);
        assert!(waited < first + 600, "{} were decided before it", waited - first);
        for reply in queued {
            decided(reply.await);
        }
        house.stop().await;
    });
}

#[test]
fn stopping_answers_everything() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 1_000, TermsPatch::default()).await;
        decided(house.client.ask(buy(product, "anna", 1)).await);
        house.clock.turns.close();
        let replies: Vec<_> = (0..50)
            .map(|number| house.client.submit(with_key(number, buy(product, "anna", 1))).unwrap())
            .collect();
        house.clock.turns.open();
        house.stop().await;
        let (mut sold, mut not) = (0, 0);
        for reply in replies {
            match reply.await {
                Answer::Decided { .. } => sold += 1,
                Answer::NotDecided => not += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sold + not, 50);
        assert_eq!(house.view("p").figures.sold, sold + 1);
        let late = house.client.ask(buy(product, "anna", 1)).await;
        assert!(matches!(late, Answer::NotDecided), "{late:?}");
        assert_eq!(house.engine.gauges().unwrap().commands, 0);
    });
}

#[test]
fn pause_lets_nothing_by_with_a_later_position() {
    run(async {
        let mut house = House::new(roomy());
        let sale_id = SaleId::new("s").unwrap();
        let mut products = Vec::new();
        for name in ["a", "b", "c"] {
            let sale = Patch::Set(Some(sale_id.clone()));
            let terms = TermsPatch { sale_id: sale, ..TermsPatch::default() };
            products.push(house.create(name, 100_000, terms).await);
        }
        let buyers: Vec<_> = (0..2)
            .map(|_| {
                let products = products.clone();
                worker(&house.engine, move |client| async move {
                    let (mut last, mut asked) = (0, 0);
                    loop {
                        let product = products[asked % 3];
                        asked += 1;
                        match client.ask(buy(product, "anna", 1)).await {
                            Answer::Decided { sequence, .. } => last = last.max(sequence.get()),
                            Answer::Refused(Refusal::Paused) => return (last, asked as u64 - 1),
                            other => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        until(|| house.view("a").figures.sold > 50);
        let whole = patch(Targets::Sale(sale_id), paused());
        let (pause, _) = decided(house.client.ask(whole).await);
        let mut sold = 0;
        for buyer in buyers {
            let (last, bought) = buyer.await;
            assert!(last < pause, "{last} was sold after the pause at {pause}");
            sold += bought;
        }
        let views = ["a", "b", "c"].map(|name| house.view(name));
        assert!(views.iter().all(|view| view.terms.paused));
        assert_eq!(views.iter().map(|view| view.figures.sold).sum::<u64>(), sold);
        let (_, record, _) = house.records().into_iter().find(|r| r.0.get() == pause).unwrap();
        assert_eq!(record.envelope.changes.len(), 3, "one record for the whole sale");
        house.stop().await;
    });
}
