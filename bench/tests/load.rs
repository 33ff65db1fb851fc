//! The load generator against servers whose behaviour is known: what it counts, and what it does not hide.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use doorbuster_bench::load::null::Null;
use doorbuster_bench::load::work::{Kind, Mix, Products, Spread, Work};
use doorbuster_bench::load::{self, LoadPlan, Pace};

const STALL: Duration = Duration::from_millis(200);

/// A null server on a thread of its own, which is not joined; it stalls once after `stall_after`.
fn null(stall_after: Option<Duration>) -> (SocketAddr, Arc<AtomicU64>) {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let null = Null::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 201).expect("a port");
        tell.send((null.address().expect("an address"), null.answered())).expect("a test");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            if let Some(after) = stall_after {
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // Holds the only thread, as a server does that pauses.
                    std::thread::sleep(STALL);
                });
            }
            null.serve().await
        })
    });
    told.recv().expect("a null server")
}

fn plan(address: SocketAddr, pace: Pace) -> LoadPlan {
    LoadPlan {
        address,
        server_pids: Vec::new(),
        mix: Work::Purchase.mix(),
        products: Products::Numbered { count: 100, spread: Spread::Uniform, sold_out: false },
        key_prefix: "k".to_owned(),
        pace,
        connections: 8,
        threads: 1,
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(1),
        requests_max: u64::MAX,
        seed: 1,
    }
}

#[test]
fn an_open_loop_tells_of_everyone_whom_a_stall_kept_waiting() {
    let (address, answered) = null(Some(Duration::from_millis(400)));
    let report = load::run(&plan(address, Pace::Open { rate: 1_000.0 })).expect("a load");
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.requests, 1_000, "what was due is asked, all of it");
    assert_eq!(answered.load(Ordering::Relaxed), 1_000);
    // Of 1,000, some 200 were due during the stall: one in a hundred waited for nearly all of it.
    assert!(report.latency_us.p99 > 150_000.0, "{report:?}");
    assert!(report.silence_ms > 150.0, "{report:?}");
    let lag = report.lag.expect("an open loop has a schedule");
    assert!(lag.behind > 100 && lag.max_ms > 100.0, "with 8 connections most wait: {lag:?}");
}

#[test]
fn a_closed_loop_asks_less_of_a_server_that_stalls() {
    let (address, _) = null(Some(Duration::from_millis(400)));
    let report = load::run(&plan(address, Pace::Closed)).expect("a load");
    assert!(report.latency_us.p99 < 150_000.0, "eight waited, and nobody else asked: {report:?}");
    assert!(report.latency_us.max > 150_000.0, "{report:?}");
}

#[test]
fn every_request_is_counted_once_whatever_the_loop_and_the_threads() {
    for (pace, threads) in [(Pace::Closed, 1), (Pace::Closed, 3), (Pace::Open { rate: 9e3 }, 3)] {
        let (address, answered) = null(None);
        let limits = LoadPlan { threads, requests_max: 2_000, ..plan(address, pace) };
        let report = load::run(&limits).expect("a load");
        assert_eq!(answered.load(Ordering::Relaxed), 2_000, "{pace:?}");
        assert_eq!(report.answers.get(&201), Some(&2_000), "{pace:?}");
        assert_eq!((report.requests, report.failures()), (2_000, 0), "{report:?}");
        assert!(report.client_cpu_us > 0.0 && report.client_cpu_us < 10_000.0, "{report:?}");
    }
}

#[test]
fn a_mix_is_answered_whole_by_the_null_server_so_that_all_of_it_costs_what_it_costs() {
    let (address, _) = null(None);
    let mix = [Kind::Hold, Kind::Confirm, Kind::Cart, Kind::Order, Kind::Stock, Kind::List];
    let mix = Mix(mix.map(|kind| (kind, 1)).to_vec());
    let plan = LoadPlan { mix, ..plan(address, Pace::Open { rate: 1_000.0 }) };
    let report = load::run(&plan).expect("a load");
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.kinds.len(), 6, "holds are confirmed and orders read: {report:?}");
}
