//! SIGKILL with at least 32 requests in flight, 25 rounds of the campaign that
//! `doorbuster-bench crash --rounds 1000 --store both` runs.
//!
//! The story: a buyer was told "sold", the process died, and the restart knew nothing of it; or it
//! knew, and the buyer's retry bought a second time. Neither may ever happen, wherever the kill
//! falls: while starting, in the middle of recovery, in the first milliseconds, under load, while a
//! segment changes or the projection has a transaction open, stopped while clients give up, while
//! draining.

mod support;

use doorbuster_bench::crash::{self, CrashPlan, CrashReport, StoreChoice};

fn campaign(rounds: u64, stores: Vec<StoreChoice>) -> CrashReport {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let plan = CrashPlan {
        engine: support::engine(),
        data_root: std::env::temp_dir(),
        rounds,
        seed,
        in_flight: 64,
        stores,
        segment_bytes: 1 << 20,
        settings: Vec::new(),
        database_checks: 1,
    };
    let report = crash::run(&plan, |_| {}).expect("a campaign that ends");
    assert!(report.faults.is_empty(), "seed {seed}, {:?}\n{}", report.kept, report.faults);
    assert!(
        report.counts.done > 0 && report.databases.values().all(|d| d.orders > 0),
        "{report:?}"
    );
    println!("{}", serde_json::to_string_pretty(&report).expect("a report"));
    report
}

#[test]
fn a_campaign_of_kills_loses_doubles_and_oversells_nothing() {
    let report = campaign(17, vec![StoreChoice::Sqlite]);
    assert_eq!((report.rounds, report.database_checks), (17, 2), "{report:?}");
    assert!(report.in_flight >= 17 * 32, "{report:?}");
    assert!(report.counts.silent > 0 && report.counts.same_again > 0, "{report:?}");
}

#[test]
fn a_campaign_of_kills_leaves_each_order_once_in_postgres_and_in_sqlite() {
    let Some(server) = support::postgres() else { return };
    let report = campaign(8, vec![StoreChoice::Postgres(server.url()), StoreChoice::Sqlite]);
    assert_eq!(report.databases.len(), 2, "{report:?}");
}
