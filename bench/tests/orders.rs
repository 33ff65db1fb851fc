//! Carts and expiring holds, short: every unit accounted for, and no purchase delayed.

mod support;

use std::time::Duration;

use doorbuster_bench::carts::{self, CartsPlan};
use doorbuster_bench::expiry::{self, ExpiryPlan};

#[test]
fn every_unit_of_every_cart_is_accounted_for() {
    let plan = CartsPlan {
        engine: support::engine(),
        data_root: std::env::temp_dir(),
        rounds: 1,
        carts: 400,
        lines: 50,
        products: 200,
        connections: 64,
        purchases: 1_000,
        scarce_percent: 80,
        seed: 7,
    };
    let report = carts::run(&plan, |_| {}).expect("carts that are sold");
    assert!(report.faults.is_empty(), "{}", report.faults);
    assert_eq!(report.rounds.first().map(|round| round.sold), Some(400));
    assert_eq!(report.scarce.sold + report.scarce.refused, 400, "{report:?}");
}

#[test]
fn holds_that_expire_together_delay_no_purchase_and_leave_no_unit_held() {
    let plan = ExpiryPlan {
        engine: support::engine(),
        data_root: std::env::temp_dir(),
        holds: 3_000,
        products: 20,
        placing: Duration::from_secs(5),
        around: Duration::from_secs(1),
        connections: 16,
        every: Duration::from_millis(20),
    };
    let report = expiry::run(&plan, |_| {}).expect("holds that end");
    assert!(report.faults.is_empty(), "{}", report.faults);
    assert_eq!(report.expired, 3_000);
    assert!(report.parts.during.purchases > 100, "{report:?}");
}
