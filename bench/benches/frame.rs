//! What frames cost, in batches of 256 purchases on storage in memory: put together, sealed and
//! written, read and checked.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use doorbuster_bench::micro::logs::{self, BATCH_RECORDS};
use doorbuster_wal::{Batch, Scan};

fn frames(c: &mut Criterion) {
    let payload = logs::purchase().expect("a record");
    let mut group = c.benchmark_group("frame");
    group.throughput(Throughput::Elements(BATCH_RECORDS));
    let mut batch = Batch::new();
    group.bench_function("put 256", |bencher| {
        bencher.iter(|| {
            batch.clear();
            (1..=BATCH_RECORDS).for_each(|sequence| batch.push(sequence, &payload));
            batch.bytes()
        });
    });
    group.bench_function("seal and write 256", |bencher| {
        let log = || {
            let (log, _) = logs::empty().expect("a log");
            let batch = logs::batch(log.next_sequence()).expect("records");
            (log, batch)
        };
        let commit = |(log, batch): &mut (doorbuster_wal::Log, Batch)| {
            assert!(log.shared().try_reserve(batch.bytes() as u64), "a new log has room");
            log.commit(batch).expect("memory")
        };
        bencher.iter_batched_ref(log, commit, BatchSize::PerIteration);
    });
    group.finish();
}

fn reading(c: &mut Criterion) {
    let (mut log, storage) = logs::empty().expect("a log");
    let mut batch = logs::batch(log.next_sequence()).expect("records");
    assert!(log.shared().try_reserve(batch.bytes() as u64), "a new log has room");
    log.commit(&mut batch).expect("memory");
    let mut group = c.benchmark_group("frame");
    group.throughput(Throughput::Elements(BATCH_RECORDS + 1));
    group.bench_function("open, read and check 257", |bencher| {
        bencher.iter(|| {
            let scan = Scan::open(storage.clone()).expect("a log");
            let replayed = scan.replay(&mut |_| Ok(()), &mut |_| {}).expect("sound");
            assert_eq!(replayed.last_sequence, BATCH_RECORDS + 1);
        });
    });
    group.finish();
}

criterion_group!(benches, frames, reading);
criterion_main!(benches);
