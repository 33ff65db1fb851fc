//! PostgreSQL stopped for ten seconds during a sale: no buyer notices, and no row is missing.

mod support;

use std::time::Duration;

use doorbuster_bench::outage::{self, OutagePlan};
use doorbuster_bench::postgres;

#[test]
fn an_outage_of_postgres_delays_no_sale_and_loses_no_row() {
    if let Err(missing) = postgres::bin_directory() {
        return support::skipped(&format!("{missing:#}"));
    }
    let plan = OutagePlan {
        engine: support::engine(),
        data_root: std::env::temp_dir(),
        around: Duration::from_secs(2),
        outage: Duration::from_secs(10),
        connections: 8,
        every: Duration::from_millis(40),
    };
    let report = outage::run(&plan, |_| {}).expect("a sale that ends");
    assert!(report.faults.is_empty(), "{}", report.faults);
    assert!(
        report.parts.during.purchases > 500 && report.parts.after.purchases > 100,
        "{report:?}"
    );
    assert!(report.outage_seconds >= 10.0, "{report:?}");
    println!("{}", serde_json::to_string_pretty(&report).expect("a report"));
}
