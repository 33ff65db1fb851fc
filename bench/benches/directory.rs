//! What it costs to find a product by its id, among a thousand and among a million.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use doorbuster::domain::{Sequence, decide_create};
use doorbuster::engine::Recovered;
use doorbuster::journal::Payload;
use doorbuster_bench::micro::till::{self, Till};
use doorbuster_bench::seeded::Seeded;

fn with_products(products: u32) -> Recovered {
    let mut recovered = Recovered::new(0);
    let mut till = Till::new(0, 0).expect("a till");
    for number in 0..products {
        let create = till::creation(number, 1).expect("a product");
        let decided = decide_create(&recovered.inventory, create, false).expect("a new id");
        let mut record = till.record(decided);
        record.envelope.key = None;
        let sequence = Sequence::new(u64::from(number) + 1);
        recovered.follow(sequence, &Payload::Record(record)).expect("the next record");
    }
    recovered.publish();
    recovered
}

fn look_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("directory");
    for products in [1_000_u32, 1_000_000] {
        let recovered = with_products(products);
        let mut dice = Seeded::new(1);
        // Formatted outside of the clock, and no id the last one: a million do not fit a cache.
        let mut id = || format!("product-{}", dice.below(u64::from(products)));
        group.bench_function(format!("look up by id among {products}"), |bencher| {
            let found =
                |id: String| recovered.directory.product(&id).expect("it is there").handle();
            bencher.iter_batched(&mut id, found, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, look_up);
criterion_main!(benches);
