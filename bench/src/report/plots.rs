//! Which pictures a report has, and what is in them.

use super::chart::{Bars, Lines, Point, Scale, Series};
use super::raw::Raw;
use crate::figures::Middle;

/// A picture: its file, what stands under it, and how it is drawn; `None`: what it shows is not there.
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) caption: &'static str,
    svg: fn(&Raw) -> anyhow::Result<Option<String>>,
}

/// All pictures but the flame graphs.
pub(super) const PLOTS: &[Plot] = &[
    Plot {
        file: "peers.svg",
        caption: "One hot product, 256 connections, closed loop: the same front before other stores.",
        svg: peers,
    },
    Plot {
        file: "connections.svg",
        caption: "Purchases of one hot product by connections, closed loop.",
        svg: connections,
    },
    Plot {
        file: "latency.svg",
        caption: "Latency by rate, open loop: from when a purchase was due to its answer.",
        svg: latency,
    },
    Plot {
        file: "products.svg",
        caption: "Purchases by number of products, each as often as any other.",
        svg: products,
    },
    Plot {
        file: "memory.svg",
        caption: "Memory of the server at rest, and time from its start to the first sale, by products.",
        svg: memory,
    },
    Plot {
        file: "recovery.svg",
        caption: "Time to recover a log, and only to read and check it, by its purchases.",
        svg: recovery,
    },
    Plot { file: "soak.svg", caption: "A long sale, by minute.", svg: soak },
];

impl Plot {
    /// Its SVG; `None`: there is nothing to show.
    pub(super) fn draw(&self, raw: &Raw) -> anyhow::Result<Option<String>> {
        (self.svg)(raw)
    }
}

const fn log(label: &'static str) -> Scale {
    Scale { label, is_log: true }
}

const fn linear(label: &'static str) -> Scale {
    Scale { label, is_log: false }
}

/// Draws curves that have points.
fn drawn(
    title: &str,
    (x, y): (Scale, Scale),
    series: Vec<Series>,
) -> anyhow::Result<Option<String>> {
    let series: Vec<Series> =
        series.into_iter().filter(|series| !series.points.is_empty()).collect();
    if series.is_empty() {
        return Ok(None);
    }
    Lines { title: title.to_owned(), x, y, series }.draw().map(Some)
}

/// A curve over the steps whose names begin alike, in order of what stands at `x`.
fn over_steps(raw: &Raw, prefix: &str, name: &str, x: &str, y: (&str, f64)) -> Series {
    let steps = raw.steps.keys().filter(|step| step.starts_with(prefix));
    let point = |step: &String| {
        let (place, unit) = y;
        let figure = raw.spread(step, place)?;
        Some(Point { x: raw.number(step, x)?, y: figure.map(|figure| figure / unit) })
    };
    let mut points: Vec<Point> = steps.filter_map(point).collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    Series { name: name.to_owned(), points }
}

/// A curve over the numbers of products of a step.
fn over_sizes(raw: &Raw, step: &str, name: &str, place: &str, unit: f64) -> Series {
    let point = |nth: usize| {
        let x = raw.number(step, &format!("/sizes/{nth}/products"))?;
        let figure = raw.spread(step, &format!("/sizes/{nth}/{place}"))?;
        Some(Point { x, y: figure.map(|figure| figure / unit) })
    };
    let points = (0..raw.count(step, "/sizes")).filter_map(point).collect();
    Series { name: name.to_owned(), points }
}

fn peers(raw: &Raw) -> anyhow::Result<Option<String>> {
    let mut bars: Vec<(String, Middle)> = raw
        .names("peers", "/sides")
        .into_iter()
        .filter_map(|side| {
            let rate = raw.spread("peers", &format!("/sides/{side}/per_second"))?;
            Some((side, rate))
        })
        .collect();
    if bars.is_empty() {
        return Ok(None);
    }
    let is_ours = |side: &str| side == "doorbuster";
    bars.sort_by(|(one, fast), (other, slow)| {
        is_ours(other).cmp(&is_ours(one)).then(slow.median.total_cmp(&fast.median))
    });
    let title = "Purchases a second, by what decides and keeps them".to_owned();
    Bars { title, unit: "median (lowest to highest of the rounds)", bars }.draw().map(Some)
}

fn connections(raw: &Raw) -> anyhow::Result<Option<String>> {
    let side = |side: &str| {
        let place = format!("/sides/{side}/per_second");
        over_steps(raw, "connections-", side, "/connections", (&place, 1.0))
    };
    let scales = (log("connections"), linear("purchases a second"));
    drawn("Throughput by connections", scales, vec![side("doorbuster"), side("bare")])
}

fn latency(raw: &Raw) -> anyhow::Result<Option<String>> {
    let curve = |side: &str, of: &str| {
        let place = format!("/sides/{side}/{of}_us");
        over_steps(raw, "rate-", &format!("{side} {of}"), "/pace/rate", (&place, 1e3))
    };
    let series = vec![
        curve("doorbuster", "p99"),
        curve("bare", "p99"),
        curve("doorbuster", "p50"),
        curve("bare", "p50"),
    ];
    let scales = (linear("purchases due a second"), log("milliseconds"));
    drawn("Latency by load", scales, series)
}

fn products(raw: &Raw) -> anyhow::Result<Option<String>> {
    let series = over_sizes(raw, "products", "doorbuster", "per_second", 1.0);
    let scales = (log("products"), linear("purchases a second"));
    drawn("Throughput by number of products", scales, vec![series])
}

fn memory(raw: &Raw) -> anyhow::Result<Option<String>> {
    let mib = f64::from(1 << 20);
    let series = vec![
        over_sizes(raw, "memory", "MiB at rest", "resident_bytes", mib),
        over_sizes(raw, "memory", "seconds to first sale", "first_sale_seconds", 1.0),
    ];
    let scales = (log("products"), log("MiB, seconds"));
    drawn("Idle products", scales, series)
}

fn recovery(raw: &Raw) -> anyhow::Result<Option<String>> {
    let scales = (log("records"), log("seconds"));
    let side = |side: &str| {
        let steps = raw.steps.keys().filter(|step| step.starts_with("recover-"));
        let mut points: Vec<Point> = steps.filter_map(|step| recovered(raw, step, side)).collect();
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        Series { name: side.to_owned(), points }
    };
    drawn("Cost by length of the log", scales, vec![side("recover"), side("check")])
}

/// What one step says of one side of recovery.
pub(super) fn recovered(raw: &Raw, step: &str, side: &str) -> Option<Point> {
    let x = raw.number(step, &format!("/rounds/0/{side}/records"))?;
    let seconds = |nth: usize| raw.number(step, &format!("/rounds/{nth}/{side}/seconds"));
    let rounds = raw.count(step, "/rounds");
    Some(Point { x, y: Middle::of((0..rounds).filter_map(seconds)) })
}

#[expect(clippy::cast_precision_loss, reason = "minutes")]
fn soak(raw: &Raw) -> anyhow::Result<Option<String>> {
    let minutes = raw.count("soak", "/minutes");
    let curve = |name: &str, place: &str, unit: f64| {
        let point = |nth: usize| {
            let figure = raw.number("soak", &format!("/minutes/{nth}/{place}"))?;
            Some(Point { x: (nth + 1) as f64, y: Middle::of([figure / unit]) })
        };
        Series { name: name.to_owned(), points: (0..minutes).filter_map(point).collect() }
    };
    let series = vec![
        curve("thousand answers a second", "load/per_second", 1e3),
        curve("memory, MiB", "resident_bytes", f64::from(1 << 20)),
        curve("p99.9, ms", "load/latency_us/p99_9", 1e3),
    ];
    drawn("A long sale", (linear("minute"), log("")), series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_picture_is_drawn_of_what_there_is_and_of_nothing_none_is() {
        for plot in PLOTS {
            let nothing = plot.draw(&Raw::default()).expect("nothing fails");
            assert_eq!(nothing, None, "{}", plot.file);
            let svg = plot.draw(&sample::raw()).expect("it is drawn");
            let svg = svg.unwrap_or_else(|| panic!("{}: there is something to show", plot.file));
            assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{}", plot.file);
        }
    }
}
