//! A turn of the engine through an nginx of its own: every request is answered, and connections are kept.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use doorbuster_bench::load::Pace;
use doorbuster_bench::load::work::{Kind, Mix, Products, Spread};
use doorbuster_bench::nginx;
use doorbuster_bench::turn::{self, Server, Through, TurnPlan};

#[test]
fn every_kind_of_request_passes_through_nginx() {
    if let Err(missing) = nginx::binary() {
        return support::skipped(&format!("{missing:#}"));
    }
    let kinds = [
        Kind::Purchase,
        Kind::Stock,
        Kind::List,
        Kind::Cart,
        Kind::Hold,
        Kind::Confirm,
        Kind::Order,
    ];
    let plan = TurnPlan {
        engine: support::engine(),
        bench: PathBuf::from(env!("CARGO_BIN_EXE_doorbuster-bench")),
        data_root: std::env::temp_dir(),
        server: Server::Engine,
        through: Some(Through::Nginx),
        database_url: None,
        mix: Mix(kinds.map(|kind| (kind, 1)).to_vec()),
        products: Products::Numbered { count: 30, spread: Spread::Zipf, sold_out: false },
        stock: 1_000_000,
        pace: Pace::Open { rate: 400.0 },
        connections: 50,
        threads: 1,
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(1),
    };
    let turned = turn::run(&plan).expect("a turn");
    let load = &turned.load;
    assert_eq!((load.requests, load.failures()), (400, 0), "{load:?}");
    assert_eq!(load.kinds.len(), kinds.len(), "{load:?}");
    assert_eq!(turned.units_sold, load.units_sold, "{load:?}");
}
