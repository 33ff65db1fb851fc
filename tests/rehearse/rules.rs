//! One small file for each rule of a rehearsal.

use serde_json::{Value, json};

use super::server::{Server, doorbuster};
use super::{HEADER, assert_as_counted, counted, file, not_ok, play, text};

/// A file of lines `invoice,product,description,units,hour:minute,price,customer`.
fn lines(lines: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let rows = lines.iter().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [invoice, product, description, units, at, price, customer] =
            fields.try_into().expect("seven fields");
        format!("{invoice},{product},{description},{units},01/12/2010 {at},{price},{customer},UK\n")
    });
    file(&format!("{HEADER}\n{}", rows.collect::<String>()))
}

/// Plays lines with that stock of each product; every check must pass.
fn rehearse(rows: &[&str], stock: u64, more: &[&str]) -> Value {
    let (_place, path) = lines(rows);
    let stock = stock.to_string();
    let (exit, json, said) = play(&[&["rehearse", text(&path), "--stock", &stock], more].concat());
    assert_eq!((exit, not_ok(&json)), (0, Vec::new()), "{said}");
    json
}

const CARTS: [&str; 5] = [
    "1,A,LAMP,3,09:00,2.50,x",
    "1,K,BELL,4,09:00,1,x",
    "2,A,LAMP,1,09:01,2.50,y",
    "2,K,BELL,3,09:01,1,y",
    "2,K,BELL,2,09:01,2,y",
];

#[test]
fn invoice_is_one_order_and_refused_as_a_whole() {
    let json = rehearse(&CARTS, 6, &[]);
    assert_eq!(
        json["orders"],
        json!({"asked": 2, "sold_whole": 1, "sold_in_part": 0, "refused": 1})
    );
    let refused = &json["refused_orders"][0];
    let short = json!([{"product_id": "K", "requested": 5, "available": 2}]);
    assert_eq!((&refused["invoice"], &refused["reason"]), (&json!("2"), &json!("sold-out")));
    assert_eq!(
        (&refused["missed_units"], &refused["missed_money_minor"]),
        (&json!(6), &json!(950))
    );
    assert_eq!(refused["short"], short);
    assert_eq!(json["witnesses"]["log"]["orders"], 1);
    // A was there; it was not for want of it.
    assert_eq!(json["products"][0]["first_refused_line"], Value::Null);
    assert_eq!(json["products"][1]["first_refused_line"], 5);
}

#[test]
fn refused_order_is_filled_with_what_can_be_had() {
    let json = rehearse(&CARTS, 6, &["--partial", "fill"]);
    assert_eq!(json["orders"]["sold_in_part"], 1);
    let part = &json["part_orders"][0];
    assert_eq!((&part["missed_units"], &part["missed_money_minor"]), (&json!(3), &json!(500)));
    let bell = &json["products"][1];
    assert_eq!((&bell["sold_units"], &bell["left_units"]), (&json!(6), &json!(0)));
    // Nothing is left of K, and the whole of an order of it alone is missed.
    let rows = [&CARTS[..], &["3,K,BELL,1,09:02,1,z"]].concat();
    let json = rehearse(&rows, 6, &["--partial", "fill"]);
    assert_eq!(json["orders"]["refused"], 1);
}

#[test]
fn cancellation_takes_the_newest_units_over_several_orders() {
    let rows = [
        "1,A,LAMP,3,09:00,1,x",
        "2,A,LAMP,2,09:01,2,x",
        "2,K,BELL,2,09:01,1,x",
        "2,A,LAMP,2,09:01,3,x",
        "3,A,LAMP,5,09:02,9,y",
        "C4,A,LAMP,-5,09:03,7,x",
    ];
    let json = rehearse(&rows, 20, &[]);
    let cancelled = &json["totals"]["cancelled"];
    // At the price they were sold at: 2 at 3, 2 at 2, 1 at 1.
    assert_eq!((&cancelled["units"], &cancelled["money_minor"]), (&json!(5), &json!(1_100)));
    let orders = json["cancellations"][0]["orders"].as_array().map(Vec::len);
    assert_eq!((orders, &json["cancellations"][0]["returned_units"]), (Some(2), &json!(0)));
    assert_eq!(json["products"][0]["left_units"], 20 - 12 + 5);
}

#[test]
fn what_matches_no_earlier_units_is_put_in_as_returned() {
    let rows = [
        "1,A,LAMP,3,09:00,1,x",
        "2,A,LAMP,3,09:01,1,",
        "C3,A,LAMP,-5,09:02,1,x",
        "C4,A,LAMP,-1,09:03,1,",
        "C5,K,BELL,-2,09:04,1,x",
    ];
    let json = rehearse(&rows, 6, &[]);
    let totals = &json["totals"];
    assert_eq!(
        (&totals["cancelled"]["units"], &totals["returned"]["units"]),
        (&json!(3), &json!(5))
    );
    assert_eq!(json["products"][1]["left_units"], 6 + 2);
    assert_eq!(json["products"][0]["sold_out_line"], 3, "its first selling out");
}

#[test]
fn write_offs_are_booked_by_their_description_or_refused() {
    let rows = [
        "1,A,damages,-2,09:00,0,",
        "2,A,LAMP,3,09:01,1,x",
        "3,A,check,-1,09:02,0,",
        "4,A,,-1,09:03,0,",
        "5,A,LAMP,1,09:04,1,x",
    ];
    let json = rehearse(&rows, 6, &[]);
    let told = json["write_offs"].as_array().expect("a list").iter();
    let told: Vec<(&Value, &Value)> =
        told.map(|write_off| (&write_off["booked_as"], &write_off["refused"])).collect();
    let (damaged, other, refused) = (json!("damaged"), json!("other"), json!("would-oversell"));
    let none = Value::Null;
    assert_eq!(told, [(&damaged, &none), (&other, &none), (&none, &refused)]);
    assert_eq!(json["refused_by_reason"], json!({"sold-out": 1, "would-oversell": 1}));
    let totals = &json["totals"];
    assert_eq!(totals["write_off_refused"], json!({"lines": 1, "units": 1}));
    assert_eq!((&totals["written_off"]["units"], &totals["left_units"]), (&json!(3), &json!(0)));
}

#[test]
fn invoice_that_comes_again_is_another_order_and_a_long_one_is_split() {
    let long = vec!["7,A,LAMP,1,09:00,1,x"; 1_001];
    let rows = [&["8,A,LAMP,1,09:00,1,x"], &long[..], &["8,A,LAMP,1,09:00,1,x"]].concat();
    let json = rehearse(&rows, 2_000, &[]);
    assert_eq!(json["orders"]["sold_whole"], 4);
    assert_eq!(json["split_invoices"], json!(["7"]));
}

#[test]
fn service_rows_of_an_invoice_are_left_out_of_its_order() {
    let rows = ["1,A,LAMP,1,09:00,1,x", "1,POST,POSTAGE,1,09:00,18,x", "1,A,LAMP,1,09:00,1,x"];
    let json = rehearse(&rows, 2, &[]);
    assert_eq!((&json["orders"]["sold_whole"], &json["lines"]["played"]), (&json!(1), &json!(2)));
    assert_eq!(json["lines"]["skipped"], json!({"service_row": 1}));
}

#[test]
fn file_is_played_by_its_own_times() {
    let rows = ["1,A,LAMP,1,09:00,1,x", "2,A,LAMP,1,09:01,1,x", "3,A,LAMP,1,09:02,1,x"];
    let json = rehearse(&rows, 3, &["--speed", "240"]);
    let seconds = json["seconds"].as_f64().expect("a figure");
    assert!(seconds >= 0.5, "two minutes, 240 times as fast, took {seconds} s");
    let (_place, path) = lines(&rows);
    for speed in ["0", "-1", "fast", "inf"] {
        let argument = format!("--speed={speed}");
        assert_eq!(play(&["rehearse", text(&path), &argument]).0, 2, "{speed}");
    }
}

#[test]
fn chart_is_written_and_its_place_is_checked_before() {
    let (place, path) = lines(&CARTS);
    let chart = place.path().join("chart.svg");
    let more = ["--chart", text(&chart)];
    let (exit, _, said) = play(&[&["rehearse", text(&path)], &more[..]].concat());
    assert_eq!(exit, 0, "{said}");
    let svg = std::fs::read_to_string(&chart).expect("the chart");
    assert!(svg.starts_with("<svg") && svg.contains("2 products sold out"), "{svg}");
    let (exit, _, said) = play(&["rehearse", text(&path), "--chart", "/nowhere/x.svg"]);
    assert!(exit == 2 && said.contains("cannot write /nowhere/x.svg"), "{said}");
}

#[test]
fn summary_lists_what_was_refused_and_came_back() {
    let rows = [&CARTS[..], &["C3,A,LAMP,-4,09:02,1,x", "4,A,x,-9,09:03,0,"]].concat();
    let (_place, path) = lines(&rows);
    let output = doorbuster(&["rehearse", text(&path), "--stock", "6"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    for words in [
        "orders refused: 1\n  line 4: 2 by y, 6 of 6 units missed, worth 9.50: sold-out (K 2 of 5)",
        "cancellations: 1\n  line 7: C3 4 of A: 3 cancelled in o",
        ", 1 put in as returned",
        "write-offs refused: 1\n  line 8: 4 9 of A: would-oversell (x)",
        "passed: 7 lines",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}

/// A run that is interrupted in its middle, whose refusals left no record, and goes on.
#[test]
fn interrupted_run_goes_on_to_the_totals_it_would_have_had() {
    let mut rows = Vec::new();
    for number in 0..4_000u32 {
        let (units, customer) = (1 + number * 7 % 11, number % 9);
        rows.push(match number % 5 {
            4 => format!("C{number},A,LAMP,-{units},09:00,1,{customer}"),
            _ => format!("{number},A,LAMP,{units},09:00,1,{customer}"),
        });
    }
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let (place, path) = lines(&rows);
    let data_dir = place.path().join("data");
    let server = Server::start(&data_dir, &[]);
    let url = format!("http://{}", server.address);
    let arguments = ["rehearse", text(&path), "--url", &url, "--data-dir", text(&data_dir)];
    let share = ["--stock-share", "10", "--run-id", "r7"];
    let mut first = doorbuster(&[&arguments[..], &share].concat());
    let first = first.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = first.spawn().expect("the binary runs");
    // The version counts what was decided: orders, and what came back.
    let version = || {
        let answer = server.get("/v1/products/A/stock").expect("an answer");
        answer.body["version"].as_u64().unwrap_or(0)
    };
    while version() < 700 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(5), "it was interrupted");
    let (exit, json, said) = play(&[&arguments[..], &share].concat());
    assert_eq!(exit, 0, "{said}");
    assert!(json["refused_by_reason"]["refused-before"].as_u64() > Some(0), "{json:#}");
    assert_as_counted(&json, counted(&path, 10, "refuse").as_ref());
}
