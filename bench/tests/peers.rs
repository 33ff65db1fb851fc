//! The peers: fair only if each sells what it has, once, to as many as ask at the same time.

mod support;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use doorbuster_bench::load::work::{Products, Spread, Work};
use doorbuster_bench::load::{self, LoadPlan, Pace};
use doorbuster_bench::peers::{Peer, Store};
use doorbuster_bench::process::Launch;

const STOCK: u64 = 300;
const ASKED: u64 = 500;

/// Sells to 32 clients, then hears the same keys again.
fn check(peer: Peer) {
    if let Err(missing) = Store::check(peer) {
        return support::skipped(&format!("{missing:#}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let store = runtime.block_on(Store::start(peer, directory.path())).expect("a store");
    let words = ["peer", peer.name(), "--listen", "127.0.0.1:0", "--workers", "2", "--store"];
    let launch = Launch {
        program: PathBuf::from(env!("CARGO_BIN_EXE_doorbuster-bench")),
        arguments: words.map(OsString::from).into_iter().chain([store.address().into()]).collect(),
        environment: Vec::new(),
        directory: directory.path().to_owned(),
    };
    let mut process = launch.spawn().expect("a peer");
    let products = Products::Numbered { count: 1, spread: Spread::Hot, sold_out: false };
    let address = runtime.block_on(async {
        let address = process.ready(Duration::from_secs(20)).await.expect("a peer that serves");
        load::put_in(address, &products, STOCK).await.expect("a product");
        address
    });
    let plan = LoadPlan {
        address,
        server_pids: Vec::new(),
        mix: Work::Purchase.mix(),
        products: products.clone(),
        key_prefix: "k".to_owned(),
        pace: Pace::Closed,
        connections: 32,
        threads: 1,
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(20),
        requests_max: ASKED,
        seed: 1,
    };
    for time in ["first", "again"] {
        let report = load::run(&plan).expect("a load");
        let what = format!("{}, {time}: {report:?}", peer.name());
        assert_eq!(report.errors, 0, "{what}");
        assert_eq!(report.answers.get(&201), Some(&STOCK), "{what}");
        assert_eq!(report.answers.get(&409), Some(&(ASKED - STOCK)), "{what}");
        let sold = runtime.block_on(load::units_sold(address, products.ids()));
        assert_eq!(sold.expect("stock"), STOCK, "{what}");
    }
    process.kill().expect("it ran");
}

#[test]
fn redis_sells_its_stock_once() {
    check(Peer::RedisAlways);
    check(Peer::RedisEverysec);
}

#[test]
fn postgres_with_a_row_for_each_product_sells_its_stock_once() {
    check(Peer::PostgresRowLock);
}

#[test]
fn postgres_with_a_row_for_each_unit_sells_its_stock_once() {
    check(Peer::PostgresSkipLocked);
}

#[test]
fn sqlite_sells_its_stock_once() {
    check(Peer::Sqlite);
    check(Peer::SqliteBatch);
}
