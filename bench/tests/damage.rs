//! Some of the ways to damage a log; `doorbuster-bench damage` tries every one.

use doorbuster_bench::damage;

/// A prime, so that the cases fall everywhere.
const EVERY: usize = 2_003;

#[test]
fn damaged_log_is_recovered_exactly_or_refused_or_cut_in_its_last_batch() {
    let report = damage::run(EVERY, &|_, _| {}).expect("a reference log");
    assert!(report.faults.is_empty(), "{:#?}", report.faults);
    let mut all = damage::Counts::default();
    report.kinds.iter().for_each(|(_, counts)| all.add(counts));
    println!("{all:?}");
    assert!(all.exact > 0 && all.refused > 0, "{all:?}");
}
