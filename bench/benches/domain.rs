//! What the rules of selling cost: a purchase decided and applied, and a refusal.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use doorbuster_bench::micro::till::{PLENTY, Till};

fn purchase(c: &mut Criterion) {
    let mut wisher = Till::new(1, PLENTY).expect("a till");
    let mut till = Till::new(1, PLENTY).expect("a till");
    c.bench_function("domain/purchase: decide and apply", |bencher| {
        let wish = || wisher.wish(0).expect("a wish");
        let sell = |wish| {
            let decided = till.decide(wish).expect("plenty");
            let record = till.record(decided);
            till.apply(&record);
            record
        };
        bencher.iter_batched(wish, sell, BatchSize::SmallInput);
    });
}

fn refusal(c: &mut Criterion) {
    let mut till = Till::new(1, 0).expect("a till");
    let wish = till.wish(0).expect("a wish");
    c.bench_function("domain/refusal: decide", |bencher| {
        let refuse = |wish| black_box(till.decide(wish)).is_err();
        bencher.iter_batched(|| wish.clone(), refuse, BatchSize::SmallInput);
    });
}

criterion_group!(benches, purchase, refusal);
criterion_main!(benches);
