//! The real file of the project's shared data, where that is: every share of stock on both stores,
//! against the script and against the figures it gave when this was written.

use std::path::PathBuf;

use serde_json::Value;

use super::{check, figures, postgres_server};

/// Percent of the demand, what becomes of refused orders, and then: orders sold, in part, refused;
/// units and pence sold; units cancelled, returned, written off, and left.
const FIGURES: [(u64, &str, [u64; 9]); 4] = [
    (60, "refuse", [571, 0, 495, 70_330, 15_356_024, 697, 12_449, 287, 85_208]),
    (80, "refuse", [693, 0, 373, 103_621, 20_804_515, 812, 12_334, 501, 99_678]),
    (100, "refuse", [1_048, 0, 18, 220_331, 47_459_750, 1_112, 12_034, 294, 32_156]),
    (80, "fill", [411, 632, 23, 193_019, 42_656_572, 933, 12_213, 83, 10_577]),
];

fn path() -> Option<PathBuf> {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = shared.join("online-retail-2010-12.csv");
    if !path.is_file() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

fn assert_figures(json: &Value, expected: [u64; 9]) {
    let told = figures(json);
    let figures = [
        "carts_sold",
        "carts_filled",
        "carts_refused",
        "sold_units",
        "sold_money",
        "cancelled_units",
        "returned_units",
        "written_off_units",
        "left_units",
    ];
    assert_eq!(figures.map(|name| told[name].as_u64().expect("a figure")), expected);
}

#[test]
fn real_invoices_come_out_as_counted_campaign() {
    let Some(path) = path() else { return };
    for (percent, partial, expected) in FIGURES {
        let json = check(&path, percent, &["--partial", partial]);
        assert_figures(&json, expected);
        assert_eq!(json["lines"]["skipped"]["service_row"], 119);
        assert_eq!(json["cancellations"].as_array().map(Vec::len), Some(472));
        assert_eq!(json["write_offs"].as_array().map(Vec::len), Some(68));
    }
}

#[test]
fn real_invoices_come_out_the_same_in_postgres_campaign() {
    let Some((path, postgres)) = path().zip(postgres_server::shared()) else { return };
    let url = postgres.url("rehearse");
    for (percent, partial, expected) in FIGURES {
        let json = check(&path, percent, &["--partial", partial, "--database-url", &url]);
        assert_figures(&json, expected);
    }
}
