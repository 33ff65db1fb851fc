//! What the published view costs: to read, to refuse from, to publish; and beside it a whole purchase
//! on storage in memory, from asking to hearing, in writes of 256.

use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use doorbuster::domain::{Sequence, decide_create};
use doorbuster::engine::Recovered;
use doorbuster::journal::{Payload, Record};
use doorbuster_bench::micro::logs::BATCH_RECORDS;
use doorbuster_bench::micro::stage::Stage;
use doorbuster_bench::micro::till::{self, PLENTY, Till};

const PRODUCTS: u32 = 1_000;

fn reading(c: &mut Criterion) {
    let mut till = Till::new(1, 0).expect("a till");
    let stage = Stage::new(1, 0).expect("an engine");
    let mut group = c.benchmark_group("view");
    let entry = stage.client().product("product-0").expect("it is there");
    group.bench_function("read", |bencher| bencher.iter(|| entry.view()));
    group.bench_function("refuse from it, key and all", |bencher| {
        let request = || stage.request(till.wish(0).expect("a wish"), till.key());
        let refuse = |request| stage.refused_in_view(request).expect("sold out");
        bencher.iter_batched(request, refuse, BatchSize::SmallInput);
    });
    group.finish();
}

/// A thousand products, bought from one after another and then published together.
fn publishing(c: &mut Criterion) {
    let mut till = Till::new(PRODUCTS, PLENTY).expect("a till");
    let mut recovered = Recovered::new(0);
    for number in 0..PRODUCTS {
        let create = till::creation(number, PLENTY).expect("a product");
        let decided = decide_create(&recovered.inventory, create, false).expect("a new id");
        follow(&mut recovered, till.record(decided));
    }
    recovered.publish();
    let mut group = c.benchmark_group("view");
    group.throughput(Throughput::Elements(u64::from(PRODUCTS)));
    group.bench_function("publish 1000", |bencher| {
        bencher.iter_custom(|times| {
            let mut published = Duration::ZERO;
            for _ in 0..times {
                for number in 0..PRODUCTS {
                    let wish = till.wish(number).expect("a wish");
                    let decided = till.decide(wish).expect("plenty");
                    let record = till.record(decided);
                    till.apply(&record);
                    follow(&mut recovered, record);
                }
                let begun = Instant::now();
                recovered.publish();
                published += begun.elapsed();
            }
            published
        });
    });
    group.finish();
}

fn follow(recovered: &mut Recovered, mut record: Record) {
    record.envelope.key = None;
    let next = Sequence::new(recovered.last_sequence.get() + 1);
    recovered.follow(next, &Payload::Record(record)).expect("the next record");
}

fn purchases(c: &mut Criterion) {
    let mut till = Till::new(1, PLENTY).expect("a till");
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements(BATCH_RECORDS));
    group.bench_function("ask, decide, write in memory and hear 256 purchases", |bencher| {
        bencher.iter_custom(|times| {
            // New for each measurement: what is sold stays in memory.
            let mut stage = Stage::new(1, PLENTY).expect("an engine");
            let mut sold = Duration::ZERO;
            for _ in 0..times {
                stage.make_room().expect("memory");
                let request = |_| stage.request(till.wish(0).expect("a wish"), till.key());
                let requests = (0..BATCH_RECORDS).map(request).collect();
                let begun = Instant::now();
                let count = stage.sell(requests).expect("memory");
                sold += begun.elapsed();
                assert_eq!(count as u64, BATCH_RECORDS);
            }
            sold
        });
    });
    group.finish();
}

criterion_group!(benches, reading, publishing, purchases);
criterion_main!(benches);
