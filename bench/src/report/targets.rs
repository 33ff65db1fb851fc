//! The targets: what each asks for, what was seen, and whether it is met.

use serde_json::Value;

use super::chart::shown;
use super::raw::Raw;
use crate::figures::Middle;

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
    /// The step behind it was not run, or failed.
    NotMeasured,
    /// It is only to be reported.
    Reported,
}

/// A target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) work: &'static str,
    pub(super) target: &'static str,
    pub(super) seen: String,
    pub(super) verdict: Verdict,
}

impl Verdict {
    fn of(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::NotMeasured => "not measured",
            Self::Reported => "reported",
        }
    }
}

/// A median with its spread, for people.
pub(super) fn spread(of: Middle, places: usize) -> String {
    let Middle { median, min, max } = of;
    format!("{median:.places$} ({min:.places$} to {max:.places$})")
}

/// All of them, in the order of what is promised.
pub(super) fn rows(raw: &Raw) -> Vec<Row> {
    vec![
        ratio(
            raw,
            "durable purchases, one hot product, 256 connections, against the bare handler",
            "0.85 or more",
            ("purchase", "bare"),
            0.85,
        ),
        ratio(
            raw,
            "the same against Redis, `appendfsync always`",
            "2 times or more",
            ("peers", "redis-always"),
            2.0,
        ),
        ratio(
            raw,
            "the same against a PostgreSQL row lock",
            "50 times or more",
            ("peers", "postgres-row-lock"),
            50.0,
        ),
        hot_against_a_thousand(raw),
        ratio(
            raw,
            "refusals of a sold-out product, against bare",
            "0.95 or more",
            ("sold-out", "bare"),
            0.95,
        ),
        ratio(raw, "stock reads, against bare", "0.95 or more", ("stock", "bare"), 0.95),
        ratio(
            raw,
            "list of 20 products, against as many static bytes",
            "0.85 or more",
            ("list", "bare"),
            0.85,
        ),
        p99_at_half(raw),
        six_thousand(raw),
        six_thousand_p99(raw),
        decide(raw),
        memory(raw),
        first_sale(raw),
        flat_over_products(raw),
        soak(raw),
        soak_memory(raw),
        idle(raw),
    ]
}

fn row(work: &'static str, target: &'static str, seen: Option<(String, Verdict)>) -> Row {
    let nothing = ("".to_owned(), Verdict::NotMeasured);
    let (seen, verdict) = seen.unwrap_or(nothing);
    Row { work, target, seen, verdict }
}

fn ratio(
    raw: &Raw,
    work: &'static str,
    target: &'static str,
    (step, side): (&str, &str),
    least: f64,
) -> Row {
    let ratio = raw.spread(step, &format!("/sides/{side}/ratio"));
    let places = if least > 10.0 { 1 } else { 3 };
    let seen = ratio.map(|ratio| (spread(ratio, places), Verdict::of(ratio.median >= least)));
    row(work, target, seen)
}

/// Where a number of products stands in the step of that name.
fn size(raw: &Raw, step: &str, products: u32) -> Option<String> {
    let places = (0..raw.count(step, "/sizes")).map(|nth| format!("/sizes/{nth}"));
    let is_it = |place: &String| {
        raw.number(step, &format!("{place}/products")) == Some(f64::from(products))
    };
    places.into_iter().find(is_it)
}

fn hot_against_a_thousand(raw: &Raw) -> Row {
    let seen = size(raw, "products", 1_000).and_then(|place| {
        let many = raw.spread("products", &format!("{place}/ratio_to_first"))?;
        let met = (0.95..=1.0 / 0.95).contains(&many.median);
        Some((format!("1,000 are {} of one", spread(many, 3)), Verdict::of(met)))
    });
    row("one hot product against 1,000 products", "0.95 or more, either way", seen)
}

fn p99_at_half(raw: &Raw) -> Row {
    let seen = (|| {
        let ours = raw.spread("rate-50", "/sides/doorbuster/p99_us")?;
        let bare = raw.spread("rate-50", "/sides/bare/p99_us")?;
        let sync = raw.number("rate-50", "/machine/fdatasync_p50_us")?;
        let most = bare.median + 4.0 * sync;
        let ms = |us: f64| us / 1e3;
        let median = |side| raw.spread("rate-50", &format!("/sides/{side}/p50_us"));
        let medians = median("doorbuster").zip(median("bare"));
        let medians = medians.map_or_else(String::new, |(ours, bare)| {
            format!("; p50 {:.2} ms, bare {:.2} ms", ms(ours.median), ms(bare.median))
        });
        let synced =
            raw.spread("rate-50", "/sides/synced/p99_us").map_or_else(String::new, |p99| {
                format!("; bare with nothing but a sync {} ms", spread(p99.map(ms), 2))
            });
        let words = format!(
            "{} ms; bare {} ms, allowed {:.2} ms{medians}{synced}",
            spread(ours.map(ms), 2),
            spread(bare.map(ms), 2),
            ms(most)
        );
        Some((words, Verdict::of(ours.median <= most)))
    })();
    let target = "bare's p99 plus 4 median fdatasyncs, or less";
    row("purchase p99 at half of the saturated rate, open loop", target, seen)
}

fn six_thousand(raw: &Raw) -> Row {
    let seen = raw
        .spread("six-thousand", "/comparisons/0/sides/bare/ratio")
        .map(|ratio| (spread(ratio, 3), Verdict::of(ratio.median >= 0.85)));
    row("6,000 connections, 80 to 20 view to buy, against bare", "0.85 or more", seen)
}

fn six_thousand_p99(raw: &Raw) -> Row {
    let seen = (|| {
        let ratio = raw.spread("six-thousand", "/comparisons/1/sides/bare/p99_ratio")?;
        let failures = failures(raw, "six-thousand");
        let words = format!("{} times, {failures:.0} errors", spread(ratio, 1));
        Some((words, Verdict::of(ratio.median <= 1.5 && failures == 0.0)))
    })();
    row("p99 there at half of that rate, against bare", "1.5 times or less, no errors", seen)
}

/// Requests that failed in all turns of a step's comparisons, whichever side's.
fn failures(raw: &Raw, step: &str) -> f64 {
    fn below(value: &Value) -> f64 {
        match value {
            Value::Object(fields) => {
                let own = fields.get("failures").and_then(Value::as_f64);
                own.unwrap_or(0.0) + fields.values().map(below).sum::<f64>()
            }
            Value::Array(values) => values.iter().map(below).sum(),
            _ => 0.0,
        }
    }
    raw.at::<Value>(step, "/comparisons").as_ref().map_or(0.0, below)
}

fn decide(raw: &Raw) -> Row {
    let seen = raw.spread("decide", "/millions_per_second").map(|rate| {
        let ns = |part: &str| {
            let part = raw.spread("decide", &format!("/{part}_ns"));
            part.map_or_else(|| "?".to_owned(), |part| format!("{:.0}", part.median))
        };
        let [decide, apply, encode, whole] = ["decide", "apply", "encode", "whole"].map(ns);
        let words = format!(
            "{} million; {whole} ns: decide {decide}, apply {apply}, encode {encode}",
            spread(rate, 2)
        );
        (words, Verdict::of(rate.median >= 5.0))
    });
    row("decide, apply, encode on one core, no IO", "5 million a second or more", seen)
}

fn memory(raw: &Raw) -> Row {
    let seen = size(raw, "memory", 1_000_000).and_then(|place| {
        let each = raw.spread("memory", &format!("{place}/bytes_per_product"))?;
        Some((format!("{} bytes", spread(each, 0)), Verdict::of(each.median <= 300.0)))
    });
    row("a million products: memory per idle product beyond id and name", "300 bytes or less", seen)
}

/// With what one product more costs: the same among many as among fewer where it is linear.
fn first_sale(raw: &Raw) -> Row {
    let seconds = |products| {
        let place = size(raw, "memory", products)?;
        raw.spread("memory", &format!("{place}/first_sale_seconds"))
    };
    let seen = (|| {
        let [few, many, million] = [seconds(10)?, seconds(100_000)?, seconds(1_000_000)?];
        let each = |of: Middle, products: f64| 1e6 * (of.median - few.median) / (products - 10.0);
        let (of_many, of_million) = (each(many, 1e5), each(million, 1e6));
        let words = format!(
            "{} s; 100,000: {} s; a product more costs {of_million:.2} µs, of 100,000 {of_many:.2}",
            spread(million, 2),
            spread(many, 2),
        );
        Some((words, Verdict::Reported))
    })();
    row("a million products: time from start to first sale", "reported, linear", seen)
}

fn flat_over_products(raw: &Raw) -> Row {
    let sizes = [10, 1_000, 100_000, 1_000_000];
    let rates: Option<Vec<f64>> = sizes
        .into_iter()
        .map(|products| {
            let place = size(raw, "products", products)?;
            raw.number("products", &format!("{place}/per_second/median"))
        })
        .collect();
    let seen = rates.map(|rates| {
        let all = Middle::of(rates.iter().copied());
        let words: Vec<String> = rates.iter().map(|rate| shown(*rate)).collect();
        let share = all.min / all.max;
        let words = format!("lowest {share:.3} of highest: {}", words.join(", "));
        (words, Verdict::of(share >= 0.8))
    });
    row(
        "throughput with 10, 1,000, 100,000, 1,000,000 products, uniform",
        "flat within 20 percent",
        seen,
    )
}

fn soak(raw: &Raw) -> Row {
    let seen = (|| {
        let rate = raw.spread("soak", "/per_second")?;
        let slowest = raw.spread("soak", "/p99_9_us")?;
        let minutes = raw.count("soak", "/minutes");
        let share = rate.min / rate.max;
        let words = format!(
            "{minutes} minutes, slowest {share:.3} of fastest, {} a second, p99.9 {} ms",
            shown(rate.median),
            spread(slowest.map(|us| us / 1e3), 2)
        );
        // A short run says what it saw; only the long one decides.
        let verdict = if minutes >= 30 { Verdict::of(share >= 0.9) } else { Verdict::Reported };
        Some((words, verdict))
    })();
    let work = "5 percent sales, 95 percent refusals and reads, snapshots and projection on";
    row(work, "30 minutes flat within 10 percent, p99.9 reported", seen)
}

fn soak_memory(raw: &Raw) -> Row {
    let seen = raw.number("soak", "/bytes_per_order").map(|bytes| {
        let orders = raw.number("soak", "/orders").unwrap_or(0.0);
        (format!("{bytes:.0} bytes an order, {} orders", shown(orders)), Verdict::Reported)
    });
    row("memory grows only by what is sold", "bytes per order reported", seen)
}

fn idle(raw: &Raw) -> Row {
    let seen = raw
        .spread("idle", "/percent_of_a_core")
        .map(|percent| (format!("{} %", spread(percent, 2)), Verdict::of(percent.median < 1.0)));
    row("idle CPU of a started server", "under 1 percent of a core", seen)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::raw::Kept;

    fn raw(steps: &[(&str, Value)]) -> Raw {
        let mut raw = Raw::default();
        for (name, result) in steps {
            let kept = Kept {
                command: (*name).to_owned(),
                commit: String::new(),
                seconds: 1.0,
                failed: None,
                result: result.clone(),
            };
            raw.steps.insert((*name).to_owned(), kept);
        }
        raw
    }

    fn all(figure: f64) -> Value {
        json!({"median": figure, "min": figure * 0.9, "max": figure * 1.1})
    }

    fn verdict(raw: &Raw, work: &str) -> (Verdict, String) {
        let row = rows(raw).into_iter().find(|row| row.work.contains(work)).expect("a row");
        (row.verdict, row.seen)
    }

    #[test]
    fn nothing_measured_is_told_of_every_target() {
        for row in rows(&Raw::default()) {
            assert_eq!(
                (row.verdict, row.seen.as_str()),
                (Verdict::NotMeasured, ""),
                "{}",
                row.work
            );
        }
    }

    #[test]
    fn ratios_are_held_against_their_target_by_the_median() {
        let side = |ratio| json!({"sides": {"bare": {"ratio": all(ratio)}}});
        let raw = raw(&[("purchase", side(0.86)), ("stock", side(0.94)), ("sold-out", json!({}))]);
        let (met, seen) = verdict(&raw, "durable purchases");
        assert_eq!((met, seen.as_str()), (Verdict::Met, "0.860 (0.774 to 0.946)"));
        assert_eq!(verdict(&raw, "stock reads").0, Verdict::Missed);
        assert_eq!(verdict(&raw, "refusals").0, Verdict::NotMeasured);
    }

    #[test]
    fn the_99th_percentile_may_be_four_syncs_above_the_bare_one() {
        let at = |ours: f64| {
            let sides = json!({"doorbuster": {"p99_us": all(ours)}, "bare": {"p99_us": all(1e3)}});
            let result = json!({"machine": {"fdatasync_p50_us": 150.0}, "sides": sides});
            verdict(&raw(&[("rate-50", result)]), "half of the saturated").0
        };
        assert_eq!((at(1_600.0), at(1_601.0)), (Verdict::Met, Verdict::Missed));
    }

    #[test]
    fn numbers_of_products_are_found_by_their_number_and_compared_with_each_other() {
        let size = |products: u32, rate: f64, ratio: f64| json!({"products": products, "per_second": all(rate), "ratio_to_first": all(ratio)});
        let sizes = |last: f64| {
            let few = [size(1, 60e3, 1.0), size(10, 60e3, 1.0), size(1_000, 58e3, 0.96)];
            let many = [size(100_000, 55e3, 0.9), size(1_000_000, last, 0.8)];
            let sizes = [few.as_slice(), &many].concat();
            raw(&[("products", json!({"sizes": sizes}))])
        };
        assert_eq!(verdict(&sizes(48e3), "throughput with 10").0, Verdict::Met);
        assert_eq!(verdict(&sizes(47e3), "throughput with 10").0, Verdict::Missed);
        let (met, seen) = verdict(&sizes(48e3), "one hot product against");
        assert!(met == Verdict::Met && seen.starts_with("1,000 are 0.960"), "{seen}");
    }

    #[test]
    fn six_thousand_connections_are_held_against_bare_and_a_failure_misses() {
        let at = |failures: u64| {
            let turn =
                json!({"kinds": {"stock": {"failures": 0}, "purchase": {"failures": failures}}});
            let rounds = json!([{"turns": {"doorbuster": turn}}]);
            let closed = json!({"sides": {"bare": {"ratio": all(0.84)}}, "rounds": []});
            let open = json!({"sides": {"bare": {"p99_ratio": all(1.5)}}, "rounds": rounds});
            raw(&[("six-thousand", json!({"comparisons": [closed, open]}))])
        };
        assert_eq!(verdict(&at(0), "6,000 connections").0, Verdict::Missed);
        let (met, seen) = verdict(&at(0), "p99 there");
        assert_eq!((met, seen.as_str()), (Verdict::Met, "1.5 (1.4 to 1.7) times, 0 errors"));
        assert_eq!(verdict(&at(2), "p99 there").0, Verdict::Missed);
    }

    #[test]
    fn what_a_product_more_costs_a_start_is_told_of_both_sizes() {
        let size = |products: u32, seconds: f64| json!({"products": products, "first_sale_seconds": all(seconds)});
        let sizes = [size(10, 0.1), size(100_000, 0.3), size(1_000_000, 2.4)];
        let (met, seen) =
            verdict(&raw(&[("memory", json!({"sizes": sizes}))]), "start to first sale");
        assert_eq!(met, Verdict::Reported);
        assert!(seen.ends_with("a product more costs 2.30 µs, of 100,000 2.00"), "{seen}");
    }

    #[test]
    fn a_short_soak_is_held_against_nothing() {
        let minute = json!({});
        let soak = json!({"per_second": all(90e3), "p99_9_us": all(9e3), "minutes": [minute]});
        assert_eq!(verdict(&raw(&[("soak", soak)]), "95 percent refusals").0, Verdict::Reported);
    }
}
