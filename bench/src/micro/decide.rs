//! Decide, apply and encode on one core: nanoseconds of each, and purchases a second of the whole.
//!
//! ```text
//! parts:  decide 64 │ record and apply 64 │ encode 64      each timed by itself, 64 products
//! whole:  (decide, record, apply, encode) × 64             one hot product
//! ```
//!
//! Wishes are made outside of the clock, as workers make them of requests on other threads. The
//! clock is read once for 64 purchases. Applying includes putting the record together.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use doorbuster::domain::{Decided, PlaceOrder};
use doorbuster::journal::Record;
use serde::Serialize;

use super::till::{PLENTY, Till};
use crate::figures::Middle;
use crate::machine::Machine;

/// Purchases between two looks at the clock.
const BATCH: u32 = 64;
/// Most rounds, and purchases of a round: bounds of time.
pub(crate) const ROUNDS_MAX: usize = 1_000;
const PURCHASES_MAX: u64 = 1_000_000_000;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct DecidePlan {
    /// Rounds.
    pub rounds: usize,
    /// Purchases of each round, and of each of its measurements.
    pub purchases: u64,
}

/// One round.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    /// Nanoseconds of a decision.
    pub decide_ns: f64,
    /// Of putting its record together and applying it.
    pub apply_ns: f64,
    /// Of encoding the record.
    pub encode_ns: f64,
    /// Of the three one after another, on one hot product.
    pub whole_ns: f64,
    /// Of a refusal: a purchase of what is sold out.
    pub refuse_ns: f64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct DecideReport {
    /// Where it ran.
    pub machine: Machine,
    /// The rounds.
    pub rounds: Vec<Round>,
    /// Over the rounds.
    pub decide_ns: Middle,
    /// Over the rounds.
    pub apply_ns: Middle,
    /// Over the rounds.
    pub encode_ns: Middle,
    /// Over the rounds.
    pub whole_ns: Middle,
    /// Over the rounds.
    pub refuse_ns: Middle,
    /// Decided, applied and encoded a second, in millions, over the rounds.
    pub millions_per_second: Middle,
}

/// Measures; `watch` hears of each round.
///
/// # Errors
/// The bounds are passed.
pub fn run(plan: DecidePlan, mut watch: impl FnMut(usize, &Round)) -> anyhow::Result<DecideReport> {
    ensure!((1..=ROUNDS_MAX).contains(&plan.rounds), "1 to {ROUNDS_MAX} rounds");
    let purchases = u64::from(BATCH)..=PURCHASES_MAX;
    ensure!(purchases.contains(&plan.purchases), "{BATCH} to {PURCHASES_MAX} purchases");
    let machine = Machine::measure(&std::env::temp_dir())?;
    // Caches, allocator and branch predictor as in a sale that goes on.
    round(plan.purchases.min(200_000))?;
    let mut rounds = Vec::with_capacity(plan.rounds);
    for number in 1..=plan.rounds {
        let round = round(plan.purchases)?;
        watch(number, &round);
        rounds.push(round);
    }
    let of = |figure: fn(&Round) -> f64| Middle::of(rounds.iter().map(figure));
    Ok(DecideReport {
        machine,
        decide_ns: of(|round| round.decide_ns),
        apply_ns: of(|round| round.apply_ns),
        encode_ns: of(|round| round.encode_ns),
        whole_ns: of(|round| round.whole_ns),
        refuse_ns: of(|round| round.refuse_ns),
        millions_per_second: of(|round| 1e3 / round.whole_ns),
        rounds,
    })
}

fn round(purchases: u64) -> anyhow::Result<Round> {
    let batches = purchases / u64::from(BATCH);
    let [decide_ns, apply_ns, encode_ns] = parts(batches)?;
    let (whole_ns, refuse_ns) = (whole(batches)?, refuse(batches)?);
    Ok(Round { decide_ns, apply_ns, encode_ns, whole_ns, refuse_ns })
}

/// Each part by itself. Every product is bought once in a batch, so that a decision stands until
/// it is applied.
fn parts(batches: u64) -> anyhow::Result<[f64; 3]> {
    let mut till = Till::new(BATCH, PLENTY)?;
    let mut times = [Duration::ZERO; 3];
    let mut decided: Vec<Decided> = Vec::with_capacity(BATCH as usize);
    let mut records: Vec<Record> = Vec::with_capacity(BATCH as usize);
    for _ in 0..batches {
        let wishes = wishes(&mut till, |nth| nth)?;
        let begun = Instant::now();
        for wish in wishes {
            decided.push(till.decide(wish).map_err(|refusal| anyhow!("{refusal:?}"))?);
        }
        let was_decided = Instant::now();
        for decided in decided.drain(..) {
            let record = till.record(decided);
            till.apply(&record);
            records.push(record);
        }
        let was_applied = Instant::now();
        for record in &records {
            black_box(till.encode(record));
        }
        let [decide, apply, encode] = &mut times;
        *decide += was_decided - begun;
        *apply += was_applied - was_decided;
        *encode += was_applied.elapsed();
        records.clear();
    }
    Ok(times.map(|time| nanoseconds(time, batches)))
}

/// The three one after another, each purchase to its end before the next.
fn whole(batches: u64) -> anyhow::Result<f64> {
    let mut till = Till::new(1, PLENTY)?;
    let mut time = Duration::ZERO;
    for _ in 0..batches {
        let wishes = wishes(&mut till, |_| 0)?;
        let begun = Instant::now();
        for wish in wishes {
            let decided = till.decide(wish).map_err(|refusal| anyhow!("{refusal:?}"))?;
            let record = till.record(decided);
            till.apply(&record);
            black_box(till.encode(&record));
        }
        time += begun.elapsed();
    }
    Ok(nanoseconds(time, batches))
}

fn refuse(batches: u64) -> anyhow::Result<f64> {
    let mut till = Till::new(1, 0)?;
    let mut time = Duration::ZERO;
    for _ in 0..batches {
        let wishes = wishes(&mut till, |_| 0)?;
        let begun = Instant::now();
        for wish in wishes {
            ensure!(black_box(till.decide(wish)).is_err(), "there was nothing to sell");
        }
        time += begun.elapsed();
    }
    Ok(nanoseconds(time, batches))
}

fn wishes(till: &mut Till, product: fn(u32) -> u32) -> anyhow::Result<Vec<PlaceOrder>> {
    (0..BATCH).map(|nth| till.wish(product(nth))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn nanoseconds(time: Duration, batches: u64) -> f64 {
    time.as_nanos() as f64 / (batches * u64::from(BATCH)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_takes_time_and_the_rounds_are_counted() {
        let plan = DecidePlan { rounds: 3, purchases: 640 };
        let mut heard = 0;
        let report = run(plan, |_, _| heard += 1).expect("a measurement");
        assert_eq!((report.rounds.len(), heard), (3, 3));
        for part in [report.decide_ns, report.apply_ns, report.encode_ns, report.refuse_ns] {
            assert!(part.min > 0.0 && part.min <= part.median, "{report:?}");
        }
        assert!(run(DecidePlan { rounds: 0, ..plan }, |_, _| ()).is_err());
        assert!(run(DecidePlan { purchases: 1, ..plan }, |_, _| ()).is_err());
    }
}
