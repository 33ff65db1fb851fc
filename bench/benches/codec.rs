//! What it costs to turn a purchase's record into bytes, and bytes into a record.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use doorbuster::journal::{Payload, decode, encode_record};
use doorbuster_bench::micro::logs;

fn codec(c: &mut Criterion) {
    let bytes = logs::purchase().expect("a record");
    let Ok(Payload::Record(record)) = decode(&bytes) else { panic!("bytes of a record") };
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut out = Vec::with_capacity(bytes.len());
    group.bench_function("encode a purchase", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_record(black_box(&record), &mut out);
            out.len()
        });
    });
    group.bench_function("decode a purchase", |bencher| {
        bencher.iter(|| decode(black_box(&bytes)).expect("a record"));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
