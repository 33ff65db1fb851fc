//! The tables of the report, each from what one or some steps found.

use std::fmt::Write;

use super::chart::shown;
use super::plots::recovered;
use super::raw::Raw;
use super::targets::spread;
use crate::figures::Middle;

/// The step that asks at one rate after another.
const RATES: &str = "rates-nginx";

/// What stands behind a heading, by picture: the tables that belong to it.
pub(super) fn below(file: &str, raw: &Raw) -> String {
    match file {
        "peers.svg" => sides(raw, &["peers"]),
        "connections.svg" => sides(raw, &steps(raw, "connections-", "/connections")),
        "latency.svg" => sides(raw, &steps(raw, "rate-", "/pace/rate")),
        "products.svg" => products(raw),
        "memory.svg" => memory(raw),
        "recovery.svg" => recovery(raw),
        "soak.svg" => soak(raw),
        _ => String::new(),
    }
}

/// What has no picture.
pub(super) fn others(raw: &Raw) -> Vec<(&'static str, String)> {
    vec![
        ("One decision", decide(raw)),
        ("One sync", syncs(raw)),
        (
            "Purchases, refusals and reads beside bare",
            sides(raw, &["purchase", "sold-out", "stock", "list"]),
        ),
        ("Shops", scenarios(raw)),
        ("Rates, directly and through nginx", rates(raw)),
        ("The copy in SQL", project(raw)),
    ]
}

/// Steps whose names begin alike, in order of what stands at a place.
fn steps<'a>(raw: &'a Raw, prefix: &str, place: &str) -> Vec<&'a str> {
    let found = raw.steps.keys().filter(|step| step.starts_with(prefix));
    let mut found: Vec<(f64, &str)> =
        found.filter_map(|step| Some((raw.number(step, place)?, step.as_str()))).collect();
    found.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    found.into_iter().map(|(_, step)| step).collect()
}

/// A table with a head and rows; nothing without rows.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        return text;
    }
    // Writing into memory does not fail.
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

fn ms(us: f64) -> f64 {
    us / 1e3
}

/// What compared sides came to, and who was missing.
fn sides(raw: &Raw, steps: &[&str]) -> String {
    let mut rows = Vec::new();
    let mut missing = String::new();
    for step in steps {
        for side in raw.names(step, "/sides") {
            rows.extend(side_row(raw, step, &side));
        }
        for side in raw.names(step, "/missing") {
            let why: String = raw.at(step, &format!("/missing/{side}")).unwrap_or_default();
            let _ = writeln!(missing, "\n{side} could not take part: {why}");
        }
    }
    let head = [
        "work",
        "connections",
        "rate",
        "side",
        "answers a second",
        "p50 ms",
        "p99 ms",
        "cores stolen",
        "doorbuster / side",
    ];
    table(&head, &rows) + &missing
}

fn side_row(raw: &Raw, step: &str, side: &str) -> Option<Vec<String>> {
    let at = |figure: &str| raw.spread(step, &format!("/sides/{side}/{figure}"));
    let rate = raw.number(step, "/pace/rate");
    let works: String = raw.at(step, "/work").unwrap_or_default();
    Some(vec![
        works,
        raw.number(step, "/connections").map_or_else(String::new, |count| format!("{count:.0}")),
        rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate:.0}")),
        side.to_owned(),
        spread(at("per_second")?, 0),
        spread(at("p50_us")?.map(ms), 2),
        spread(at("p99_us")?.map(ms), 2),
        at("stolen_cores").map_or_else(String::new, |cores| spread(cores, 2)),
        at("ratio").map_or_else(String::new, |ratio| spread(ratio, 3)),
    ])
}

fn products(raw: &Raw) -> String {
    let row = |nth: usize| {
        let place = format!("/sizes/{nth}");
        let at = |figure: &str| raw.spread("products", &format!("{place}/{figure}"));
        Some(vec![
            format!("{:.0}", raw.number("products", &format!("{place}/products"))?),
            spread(at("per_second")?, 0),
            spread(at("p99_us")?.map(ms), 2),
            spread(at("ratio_to_first")?, 3),
        ])
    };
    let rows: Vec<Vec<String>> = (0..raw.count("products", "/sizes")).filter_map(row).collect();
    table(&["products", "purchases a second", "p99 ms", "of the first, same round"], &rows)
}

fn memory(raw: &Raw) -> String {
    let row = |nth: usize| {
        let place = format!("/sizes/{nth}");
        let at = |figure: &str| raw.spread("memory", &format!("{place}/{figure}"));
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        Some(vec![
            format!("{:.0}", raw.number("memory", &format!("{place}/products"))?),
            spread(at("first_sale_seconds")?, 2),
            spread(at("resident_bytes")?.map(mib), 0),
            at("bytes_per_product").map_or_else(String::new, |each| spread(each, 0)),
        ])
    };
    let rows: Vec<Vec<String>> = (0..raw.count("memory", "/sizes")).filter_map(row).collect();
    let head = [
        "products",
        "start to first sale, s",
        "memory at rest, MiB",
        "bytes each beyond id and name",
    ];
    let environment = raw.names("memory", "/environment").into_iter().filter_map(|name| {
        let value: String = raw.at("memory", &format!("/environment/{name}"))?;
        Some(format!(
            "\nThe servers were started with `{name}={value}`: what is freed goes back at once.\n"
        ))
    });
    let environment: String = environment.collect();
    table(&head, &rows) + &environment
}

fn recovery(raw: &Raw) -> String {
    let row = |step: &&str| {
        let [check, recover] = ["check", "recover"].map(|side| recovered(raw, step, side));
        let (check, recover) = check.zip(recover)?;
        let ratios = (0..raw.count(step, "/rounds"))
            .filter_map(|nth| raw.number(step, &format!("/rounds/{nth}/ratio")));
        Some(vec![
            format!("{:.0}", recover.x),
            raw.number(step, "/log_bytes").map_or_else(String::new, shown),
            spread(check.y, 3),
            spread(recover.y, 3),
            spread(Middle::of(ratios), 3),
        ])
    };
    let steps = steps(raw, "recover-", "/rounds/0/recover/records");
    let rows: Vec<Vec<String>> = steps.iter().filter_map(row).collect();
    let head = ["records", "bytes of the files", "only check, s", "recover, s", "check / recover"];
    table(&head, &rows)
}

fn soak(raw: &Raw) -> String {
    let row = |nth: usize| {
        let at = |figure: &str| raw.number("soak", &format!("/minutes/{nth}/{figure}"));
        let latency = |figure: &str| at(&format!("load/latency_us/{figure}")).map(ms);
        Some(vec![
            format!("{}", nth + 1),
            format!("{:.0}", at("load/per_second")?),
            format!("{:.2}", latency("p99")?),
            format!("{:.2}", latency("p99_9")?),
            format!("{:.0}", at("orders")?),
            format!("{:.0}", at("resident_bytes")? / f64::from(1 << 20)),
            format!("{:.0}", at("snapshots")?),
            at("behind_records").map_or_else(|| "?".to_owned(), |records| format!("{records:.0}")),
        ])
    };
    let rows: Vec<Vec<String>> = (0..raw.count("soak", "/minutes")).filter_map(row).collect();
    let head = [
        "minute",
        "answers a second",
        "p99 ms",
        "p99.9 ms",
        "orders",
        "memory MiB",
        "snapshots",
        "records not copied yet",
    ];
    table(&head, &rows)
}

fn decide(raw: &Raw) -> String {
    let parts = [
        ("decide", "decide_ns"),
        ("put the record together and apply it", "apply_ns"),
        ("encode", "encode_ns"),
        ("all three, one hot product", "whole_ns"),
        ("refuse", "refuse_ns"),
    ];
    let row = |(name, figure): (&str, &str)| {
        let ns = raw.spread("decide", &format!("/{figure}"))?;
        Some(vec![name.to_owned(), spread(ns, 1)])
    };
    let rows: Vec<Vec<String>> = parts.into_iter().filter_map(row).collect();
    table(&["on one core, no IO", "nanoseconds"], &rows)
}

fn syncs(raw: &Raw) -> String {
    let row = |nth: usize| {
        let place = format!("/ways/{nth}");
        let at = |figure: &str| raw.spread("syncs", &format!("{place}/{figure}"));
        let way: String = raw.at("syncs", &format!("{place}/way"))?;
        if let Some(why) = raw.at::<String>("syncs", &format!("{place}/missing")) {
            return Some(vec![way, why, String::new(), String::new(), String::new()]);
        }
        Some(vec![
            way,
            spread(at("per_second")?, 0),
            spread(at("p50_us")?, 0),
            spread(at("p99_us")?, 0),
            spread(at("cpu_us")?, 1),
        ])
    };
    let rows: Vec<Vec<String>> = (0..raw.count("syncs", "/ways")).filter_map(row).collect();
    let busy = raw.number("syncs", "/busy").unwrap_or(0.0);
    let head = format!("2 KiB, {busy:.0} busy threads beside it");
    table(&[&head, "a second", "p50 µs", "p99 µs", "processor µs of the thread"], &rows)
}

fn scenarios(raw: &Raw) -> String {
    let mut rows = Vec::new();
    for step in raw.steps.keys() {
        for nth in 0..raw.count(step, "/bounds") {
            rows.extend(bound_row(raw, step, nth));
        }
    }
    let missing = |step: &String| {
        let why: String = raw.at(step, "/missing")?;
        Some(format!("\n{step}, not looked at: {why}\n"))
    };
    let missing: String = raw.steps.keys().filter_map(missing).collect();
    table(&["shop", "bound", "limit", "seen", ""], &rows) + &missing
}

/// Each rate both ways, and what could not be looked at.
fn rates(raw: &Raw) -> String {
    let figures = |place: &str| {
        let at = |figure: &str| raw.number(RATES, &format!("{place}/{figure}"));
        Some([
            format!("{:.0}", at("per_second")?),
            format!("{:.2}", ms(at("latency_us/p99")?)),
            format!("{:.0}", at("silence_ms")?),
        ])
    };
    let row = |nth: usize| {
        let place = format!("/rates/{nth}");
        let nginx = figures(&format!("{place}/nginx")).unwrap_or_default();
        let cells = figures(&format!("{place}/direct"))?.into_iter().chain(nginx);
        let rate = format!("{:.0}", raw.number(RATES, &format!("{place}/rate"))?);
        Some(std::iter::once(rate).chain(cells).collect())
    };
    let rows: Vec<Vec<String>> = (0..raw.count(RATES, "/rates")).filter_map(row).collect();
    let head = [
        "rate",
        "answers a second",
        "p99 ms",
        "longest silence ms",
        "answers through nginx",
        "p99 ms",
        "longest silence ms",
    ];
    table(&head, &rows)
}

fn bound_row(raw: &Raw, step: &str, nth: usize) -> Option<Vec<String>> {
    let place = format!("/bounds/{nth}");
    let what: String = raw.at(step, &format!("{place}/what"))?;
    let limits = raw.names(step, &format!("{place}/limit"));
    let limit = limits.first()?;
    let value = raw.number(step, &format!("{place}/limit/{limit}"))?;
    // What is infinite is null in JSON: a kind that nobody answered.
    let seen = raw.number(step, &format!("{place}/seen"));
    let (sign, holds) = match limit.as_str() {
        "at-most" => ("≤", seen.is_some_and(|seen| seen <= value)),
        _ => ("≥", seen.is_some_and(|seen| seen >= value)),
    };
    let seen = seen.map_or_else(|| "never answered".to_owned(), |seen| format!("{seen:.3}"));
    let word = if holds { "holds" } else { "**missed**" };
    Some(vec![step.to_owned(), what, format!("{sign} {value}"), seen, word.to_owned()])
}

fn project(raw: &Raw) -> String {
    let row = |(name, place): (&str, &str)| {
        let rate = raw.spread("project", &format!("/{place}/per_second"))?;
        Some(vec![name.to_owned(), spread(rate, 0)])
    };
    let databases = [("SQLite", "sqlite"), ("PostgreSQL", "postgres")];
    let rows: Vec<Vec<String>> = databases.into_iter().filter_map(row).collect();
    let missing = raw.at::<String>("project", "/postgres_missing");
    let missing = missing.map_or_else(String::new, |why| format!("\nPostgreSQL: {why}\n"));
    table(&["database", "records a second"], &rows) + &missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn tables_hold_what_was_found_and_say_who_was_missing() {
        let raw = sample::raw();
        let peers = below("peers.svg", &raw);
        assert!(peers.contains("| purchase | 256 | closed loop | doorbuster |"), "{peers}");
        assert!(peers.contains("redis-always could not take part: no redis-server"), "{peers}");
        let latency = below("latency.svg", &raw);
        let [first, second] = ["| 10000 |", "| 30000 |"].map(|rate| latency.find(rate));
        assert!(first.is_some() && first < second, "by rate: {latency}");
        let others = others(&raw);
        let (_, shops) = others.iter().find(|(name, _)| *name == "Shops").expect("a section");
        assert!(shops.contains("| retail | p95, ms | ≤ 200 | 212.000 | **missed** |"), "{shops}");
        assert!(shops.contains("never answered"), "{shops}");
    }

    #[test]
    fn nothing_found_is_no_table() {
        assert_eq!(below("peers.svg", &Raw::default()), "");
        assert!(others(&Raw::default()).iter().all(|(_, text)| text.is_empty()));
    }
}
