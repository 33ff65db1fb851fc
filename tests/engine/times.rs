//! Deadlines pass in queues, windows open, clocks cannot be believed.

use std::sync::Arc;
use std::time::Duration;

use doorbuster::domain::*;
use doorbuster::engine::*;
use doorbuster_wal::{MemStorage, Storage};

use crate::house::*;

/// A purchase that waits for 100 ms at most.
fn hurried(number: u64, product: Handle) -> Request {
    let deadline = Duration::from_millis(100);
    Request { deadline, ..with_key(number, buy(product, "anna", 1)) }
}

#[test]
fn deadline_that_passes_in_the_queue_decides_nothing() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 10, TermsPatch::default()).await;
        decided(house.client.ask(buy(product, "anna", 1)).await);
        house.clock.turns.close();
        let hurried = |number| hurried(number, product);
        let held = house.client.submit(hurried(1)).unwrap();
        house.clock.turns.until_held();
        let late = house.client.submit(hurried(2)).unwrap();
        let patient = house.client.submit(with_key(3, buy(product, "anna", 1))).unwrap();
        house.clock.advance(101);
        house.clock.turns.open();
        for reply in [held, late] {
            let answer = reply.await;
            assert!(matches!(answer, Answer::NotDecided), "{answer:?}");
        }
        decided(patient.await);
        assert_eq!(house.view("p").figures.sold, 2);
        assert!(!decided(house.client.ask(hurried(2)).await).1, "its key is free");
        house.stop().await;
    });
}

#[test]
fn disk_that_stands_still_past_a_deadline_leaves_what_waits_behind_it_undecided() {
    run(async {
        let mut house = House::new(roomy());
        let product = house.create("p", 10, TermsPatch::default()).await;
        house.storage.syncs.close();
        // Decided before the sync stands still, and so durable with it, however late that is.
        let under_way = house.client.submit(with_key(1, buy(product, "anna", 1))).unwrap();
        house.storage.syncs.until_held();
        let hurried = |number| hurried(number, product);
        let late =
            [house.client.submit(hurried(2)).unwrap(), house.client.submit(hurried(3)).unwrap()];
        let patient = house.client.submit(with_key(4, buy(product, "anna", 1))).unwrap();
        house.clock.advance(101);
        house.storage.syncs.open();
        decided(under_way.await);
        for reply in late {
            let answer = reply.await;
            assert!(matches!(answer, Answer::NotDecided), "{answer:?}");
        }
        decided(patient.await);
        assert_eq!(house.view("p").figures.sold, 2);
        assert!(!decided(house.client.ask(hurried(2)).await).1, "its key is free");
        house.stop().await;
    });
}

#[test]
fn window_is_judged_by_the_partitions_clock() {
    run(async {
        let mut house = House::new(roomy());
        let terms = TermsPatch {
            opens_at_ms: Patch::Set(Some(START_MS + 1_000)),
            closes_at_ms: Patch::Set(Some(START_MS + 2_000)),
            ..TermsPatch::default()
        };
        let product = house.create("p", 10, terms).await;
        house.clock.advance(999);
        let early = house.client.ask(buy(product, "anna", 1)).await;
        assert!(matches!(early, Answer::Refused(Refusal::NotOpen { .. })), "{early:?}");
        house.clock.advance(1);
        decided(house.client.ask(buy(product, "anna", 1)).await);
        // Somebody sets the machine's time: nothing closes.
        house.clock.wall_ms.store(START_MS + 9_000_000, std::sync::atomic::Ordering::SeqCst);
        decided(house.client.ask(buy(product, "anna", 1)).await);
        house.clock.monotonic_ms.fetch_add(1_000, std::sync::atomic::Ordering::SeqCst);
        let late = house.client.ask(buy(product, "anna", 1)).await;
        assert!(matches!(late, Answer::Refused(Refusal::Closed { .. })), "{late:?}");
        house.stop().await;
    });
}

#[test]
fn start_with_a_clock_that_cannot_be_believed_needs_a_word() {
    run(async {
        let storage = GatedStorage { files: MemStorage::new(), syncs: Arc::default() };
        let try_start = |wall_ms, accept_clock| {
            let options = StartOptions {
                config: roomy(),
                clock: HandClock::at(wall_ms) as _,
                accept_clock,
                binary: "test".to_owned(),
                witness: None,
            };
            start(&Engine::new(), open(&storage), options)
        };
        try_start(START_MS, None).unwrap().stop().await;
        try_start(START_MS - 60_000, None).unwrap().stop().await;
        let behind = START_MS - 60_001;
        // What is left of temporary files may go; the log stays as it is.
        let log = || {
            let mut names = storage.files.list().unwrap();
            names.retain(|name| !name.ends_with(".tmp"));
            names.into_iter().map(|name| (storage.files.bytes(&name), name)).collect::<Vec<_>>()
        };
        let before = log();
        let Err(StartError::Clock(error)) = try_start(behind, None) else { panic!("it started") };
        assert_eq!((error.wall_ms, error.last_ms), (behind, START_MS));
        assert!(log() == before, "a refused start changes nothing");
        let ahead = START_MS + 401 * 24 * 3_600_000;
        let Err(StartError::Clock(error)) = try_start(ahead, None) else { panic!("it started") };
        try_start(ahead, Some(error)).unwrap().stop().await;
    });
}
