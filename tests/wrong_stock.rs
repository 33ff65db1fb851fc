//! 10,000 typed for 1,000: what docs/operations/wrong-stock.md says to do, by the real binary on a
//! real server, scaled to a hundredth.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "waits for a real process")]

#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use server::{Server, doorbuster};

/// A command's exit code and words.
fn told(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
}

/// Runs a command that asks the server.
fn ask(server: &Server, arguments: &[&str]) -> (i32, String) {
    let mut command = doorbuster(arguments);
    command.args(["--url", &format!("http://{}", server.address)]);
    told(command)
}

fn beyond(data_dir: &Path, arguments: &[&str]) -> Value {
    let mut command = doorbuster(&["orders", "beyond", "lamp", "--json", "--data-dir"]);
    command.arg(data_dir).args(arguments);
    let (code, words) = told(command);
    assert_eq!(code, 0, "{words}");
    serde_json::from_str(&words).unwrap()
}

fn buy(server: &Server, buyer: &str, quantity: u64) -> String {
    let body = json!({"product_id": "lamp", "buyer_id": buyer, "quantity": quantity,
        "unit_price": {"amount_minor": 3_999, "currency": "GBP"}, "reference": format!("web-{buyer}")});
    server.post("/v1/purchases", buyer, &body).order_id()
}

fn hold(server: &Server, buyer: &str, quantity: u64) -> String {
    let lines = json!([{"product_id": "lamp", "quantity": quantity}]);
    let body = json!({"buyer_id": buyer, "ttl_ms": 600_000, "lines": lines});
    server.post("/v1/holds", buyer, &body).body["hold_id"].as_str().unwrap().to_owned()
}

fn stock(server: &Server) -> [u64; 4] {
    let body = server.get("/v1/products/lamp/stock").unwrap().body;
    ["stock", "sold", "held", "available"].map(|field| body[field].as_u64().unwrap())
}

fn ids(list: &Value) -> Vec<(String, u64, u64)> {
    let rows = list["beyond"].as_array().unwrap().iter();
    let id = |row: &Value| row["order_id"].as_str().or(row["hold_id"].as_str()).unwrap().to_owned();
    rows.map(|row| (id(row), row["quantity"].as_u64().unwrap(), row["keep"].as_u64().unwrap()))
        .collect()
}

#[test]
fn a_hundred_typed_for_ten_and_thirty_sold_is_put_right() {
    let place = tempfile::tempdir().unwrap();
    let data_dir = place.path().join("data");
    let server = Server::start(&data_dir, &[]);
    server.create("lamp", 100);
    // A hold keeps its place in the line when it becomes an order.
    let early = hold(&server, "early", 2);
    let first = buy(&server, "first", 5);
    let back = buy(&server, "back", 4);
    let cut = buy(&server, "cut", 5);
    let late = buy(&server, "late", 14);
    let confirmed = server.post(&format!("/v1/holds/{early}/confirm"), "confirm", &json!({}));
    let held = hold(&server, "held", 3);
    let cancel = json!({"reason": "changed her mind"});
    let cancelled = server.post(&format!("/v1/orders/{back}/cancel"), "back-again", &cancel);
    assert_eq!((confirmed.status, cancelled.status), (201, 200));
    assert_eq!(stock(&server), [100, 26, 3, 71]);

    let (code, words) = ask(&server, &["pause", "product", "lamp"]);
    assert_eq!(code, 0, "{words}");
    let file = place.path().join("beyond.csv");
    let file = file.to_str().unwrap();
    let list = settled(&data_dir, &["--true-stock", "10", "--output", file], [100, 26, 3]);
    assert_eq!(
        ids(&list),
        [(cut.clone(), 2, 3), (late.clone(), 14, 0), (held, 3, 0)],
        "{first} and the confirmed hold keep all: {list:#}"
    );
    assert_eq!((&list["units_beyond"], &list["orders_beyond"]), (&json!(19), &json!(2)));
    let whole = beyond(&data_dir, &["--true-stock", "10", "--whole-orders"]);
    assert_eq!(ids(&whole)[0], (cut.clone(), 5, 0), "no order is cut: {whole:#}");

    let (code, words) = ask(&server, &["orders", "cancel", "--from", file, "--dry-run"]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("2 orders would be cancelled: 16 units, 639.84 GBP\n"), "{words}");
    assert!(words.contains("1 hold would be released, each whole: 3 units\n"), "{words}");
    assert_eq!(stock(&server), [100, 26, 3, 71], "a dry run changes nothing");

    let (code, words) = ask(&server, &["orders", "cancel", "--from", file]);
    assert_eq!(
        (code, &*words),
        (0, "2 orders cancelled: 16 units, 639.84 GBP\n1 hold released, each whole: 3 units\n")
    );
    assert_eq!(stock(&server), [100, 10, 0, 90]);
    let (code, words) = ask(&server, &["orders", "cancel", "--from", file]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("nothing was left to take back of 3\n"), "{words}");
    assert_eq!(stock(&server), [100, 10, 0, 90], "twice does nothing twice");

    let adjust = json!({"set_unsold": 0, "expected_unsold": 90, "reason": "correction"});
    let adjusted = server.post("/v1/products/lamp/adjustments", "adjust", &adjust);
    assert_eq!(adjusted.status, 201, "{adjusted:?}");
    let (code, words) = ask(&server, &["resume", "product", "lamp"]);
    assert_eq!(code, 0, "{words}");
    assert_eq!(stock(&server), [10, 10, 0, 0]);
    let list = settled(&data_dir, &["--true-stock", "10"], [10, 10, 0]);
    assert_eq!(ids(&list), []);
    assert!(server.terminate().0.success());
    let mut reconcile = doorbuster(&["reconcile", "--data-dir"]);
    reconcile.arg(&data_dir);
    let (code, words) = told(reconcile);
    assert_eq!(code, 0, "{words}");
    shop(place.path(), &data_dir, &first, &cut);
}

/// A list of one's own has no `keep`: what it did stands nowhere in the order.
#[test]
fn a_list_of_ones_own_run_again_tells_what_it_cancelled_before() {
    let place = tempfile::tempdir().unwrap();
    let data_dir = place.path().join("data");
    let server = Server::start(&data_dir, &[]);
    server.create("lamp", 100);
    server.create("mug", 100);
    let (ann, ben, cleo) =
        (buy(&server, "ann", 5), buy(&server, "ben", 5), buy(&server, "cleo", 5));
    let file = place.path().join("own.csv");
    let run = |rows: &str, more: &[&str]| {
        std::fs::write(&file, format!("order_id,product_id,quantity\n{rows}")).unwrap();
        let from = ["orders", "cancel", "--from", file.to_str().unwrap()];
        ask(&server, &[&from[..], more].concat())
    };
    let rows = format!("{ann},lamp,1\n{ben},lamp,3\n");
    let (code, words) = run(&rows, &["--dry-run"]);
    assert!(code == 0 && words.contains("2 orders would be cancelled: 4 units"), "{words}");
    let (code, words) = run(&rows, &[]);
    assert_eq!((code, &*words), (0, "2 orders cancelled: 4 units, 159.96 GBP\n"));
    let before =
        "0 orders cancelled: 0 units\n2 orders cancelled before by this list: 4 units, not again\n";
    assert_eq!(run(&rows, &[]), (0, before.to_owned()));
    let (code, words) = run(&rows, &["--json"]);
    let told: Value = serde_json::from_str(&words).unwrap();
    let figures = [
        "orders_cancelled",
        "units_cancelled",
        "orders_cancelled_before",
        "units_cancelled_before",
    ];
    assert_eq!(
        (code, figures.map(|name| told[name].as_u64())),
        (0, [0, 0, 2, 4].map(Some)),
        "{words}"
    );
    let (code, words) = run(&rows, &["--dry-run"]);
    assert_eq!(code, 0, "{words}");
    assert!(words.starts_with("0 orders would be cancelled: 0 units\n"), "{words}");
    assert!(
        words.contains("of 2 orders units came back already, by this list or by somebody"),
        "{words}"
    );
    let (code, words) = run(&rows, &["--reason", "another"]);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("this list cancelled it before with another --reason"), "{words}");
    assert_eq!(stock(&server), [100, 11, 0, 89], "nothing came back twice");

    let (code, words) = run(&format!("{cleo},mug,1\n{cleo},lamp,1\n"), &[]);
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains(&format!("not cancelled: {cleo}: line 2: it has no line of mug")),
        "{words}"
    );
    let (code, words) = run(&format!("{ben},lamp,4\n"), &[]);
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains("line 2: 2 of 4 lamp are left, for somebody took units back"),
        "{words}"
    );
    assert_eq!(stock(&server), [100, 11, 0, 89]);
    assert!(server.terminate().0.success());
}

#[test]
fn more_than_an_order_ever_had_is_refused_and_the_rest_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(&place.path().join("data"), &[]);
    server.create("lamp", 100);
    let (ann, ben) = (buy(&server, "ann", 2), buy(&server, "ben", 2));
    let file = place.path().join("own.csv");
    let cancel = ["orders", "cancel", "--from", file.to_str().unwrap()];
    for (header, ann) in [
        ("order_id,product_id,quantity", format!("{ann},lamp,5")),
        ("order_id,product_id,quantity,keep", format!("{ann},lamp,5,0")),
    ] {
        let keep = if header.ends_with("keep") { ",0" } else { "" };
        std::fs::write(&file, format!("{header}\n{ann}\n{ben},lamp,1{keep}\n")).unwrap();
        for more in [&["--dry-run"][..], &[]] {
            let (code, words) = ask(&server, &[&cancel[..], more].concat());
            assert_eq!(code, 1, "{words}");
            let why = "line 2: it takes back 5 lamp, the order has 2; nothing of it was changed";
            assert!(words.contains(why), "{words}");
        }
    }
    assert_eq!(stock(&server)[1], 2, "of the other order a unit came back each time");
    assert!(server.terminate().0.success());
}

#[test]
fn a_server_that_dies_in_the_middle_ends_it_with_what_was_done_and_a_run_again_does_the_rest() {
    const ORDERS: u64 = 1_500;
    let place = tempfile::tempdir().unwrap();
    let (data_dir, file) = (place.path().join("data"), place.path().join("own.csv"));
    let server = Server::start(&data_dir, &[]);
    server.create("lamp", ORDERS);
    let mut rows = "order_id,product_id,quantity,keep\n".to_owned();
    for buyer in 0..ORDERS {
        rows += &format!("{},lamp,1,0\n", buy(&server, &format!("b{buyer}"), 1));
    }
    std::fs::write(&file, rows).unwrap();
    let cancel = ["orders", "cancel", "--from", file.to_str().unwrap(), "--json"];
    let mut command = doorbuster(&cancel);
    command.args(["--url", &format!("http://{}", server.address)]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while stock(&server)[1] > ORDERS - 20 {
        std::thread::yield_now();
    }
    server.kill();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("not asked for: run it again"), "{said}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| told[name].as_u64().unwrap();
    let (cancelled, unknown) = (number("orders_cancelled"), told["unknown"].as_array().unwrap());
    let unknown = unknown.len() as u64;
    // Of what was done when it died, up to eight answers were not heard.
    assert!(cancelled + unknown >= 20 && unknown <= 8, "{told}");
    assert_eq!(cancelled + unknown + number("not_asked"), ORDERS, "{told}");
    assert!(told["stopped"].is_string() && told["failed"] == json!([]), "{told}");

    let server = Server::start(&data_dir, &[]);
    let done = ORDERS - stock(&server)[1];
    assert!((cancelled..=cancelled + unknown).contains(&done), "{done}: {told}");
    let (code, words) = ask(&server, &cancel);
    assert_eq!(code, 0, "{words}");
    let told: Value = serde_json::from_str(&words).unwrap();
    assert_eq!(told["orders_cancelled"], ORDERS - done, "{told}");
    assert_eq!(stock(&server)[1], 0);
    assert!(server.terminate().0.success());
}

#[test]
fn a_file_that_cannot_be_taken_and_a_product_that_is_not_there_are_wrong_arguments() {
    let place = tempfile::tempdir().unwrap();
    let data_dir = place.path().join("data");
    let server = Server::start(&data_dir, &[]);
    server.create("lamp", 100);
    let ann = buy(&server, "ann", 5);
    let file = place.path().join("list.csv");
    let file = file.to_str().unwrap();
    let data = data_dir.to_str().unwrap();
    let refused = |arguments: &[&str], words: &str| {
        let (code, told) = told(doorbuster(arguments));
        assert!(code == 2 && told.contains(words), "{arguments:?}: {code} {told}");
    };
    for command in
        [&["reconcile", "--data-dir", data, "--orders"][..], &["orders", "cancel", "--from"]]
    {
        refused(
            &[command, &["/nowhere/x.csv"]].concat(),
            "cannot read /nowhere/x.csv: No such file",
        );
        refused(
            &[command, &["/dev/zero"]].concat(),
            "cannot read /dev/zero: line 1 is longer than",
        );
    }
    let cut = ": a carriage return stands in the middle of the line: save the file with LF or CRLF";
    let header = "order_id,product_id,quantity";
    for (text, line) in [
        (format!("{header}\n{ann},lamp,1\r{ann},mug,1\n"), "line 2"),
        (format!("{header}\r{ann},lamp,1\r"), "line 1"),
    ] {
        std::fs::write(file, text).unwrap();
        refused(&["orders", "cancel", "--from", file], &format!("{line}{cut}"));
    }
    for (text, line) in [
        ("reference,product,quantity\rweb-2,hat,1\rweb-3,hat,5\r", "line 1"),
        ("reference,product,quantity\nweb-2,hat,1\rweb-3,hat,5\n", "line 2"),
    ] {
        std::fs::write(file, text).unwrap();
        refused(&["reconcile", "--data-dir", data, "--orders", file], &format!("{line}{cut}"));
    }
    settled(&data_dir, &["--true-stock", "100"], [100, 5, 0]);
    std::fs::write(file, "reference,product,quantity\nweb-ann,lamp,5\n").unwrap();
    let nope = "product nope is not in the log up to record ";
    refused(&["reconcile", "--data-dir", data, "--orders", file, "--product", "nope"], nope);
    refused(&["orders", "beyond", "nope", "--true-stock", "1", "--data-dir", data], nope);
    assert_eq!(stock(&server), [100, 5, 0, 95]);
    assert!(server.terminate().0.success());
}

/// The list, once the log proves what was answered: an idle log does within 100 ms.
fn settled(data_dir: &Path, arguments: &[&str], [stock, sold, held]: [u64; 3]) -> Value {
    let until = std::time::Instant::now() + server::LIMIT;
    loop {
        let list = beyond(data_dir, arguments);
        if (&list["stock"], &list["sold"], &list["held"])
            == (&json!(stock), &json!(sold), &json!(held))
        {
            return list;
        }
        assert!(std::time::Instant::now() < until, "{list:#}");
    }
}

/// What the shop was paid for, against what is sold now.
fn shop(place: &Path, data_dir: &Path, first: &str, cut: &str) {
    let file = place.join("shop.csv");
    let reconcile = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let mut command = doorbuster(&["reconcile", "--json", "--orders"]);
        command.arg(&file).arg("--data-dir").arg(data_dir).args(more);
        let (code, words) = told(command);
        let document: Value = serde_json::from_str(&words).unwrap_or(Value::String(words));
        (code, document)
    };
    let header = "paid_at,reference,product,quantity\n";
    let text = format!("{header}1,web-first,lamp,5\n2,web-cut,lamp,1\n3,web-cut,lamp,2\n");
    let (code, found) = reconcile(&text, &["--allow-no-reference"]);
    assert_eq!((code, &found["difference_count"]), (0, &json!(0)), "{found:#}");
    assert_eq!((&found["orders"], &found["orders_without_reference"]), (&json!(3), &json!(1)));
    let (code, found) = reconcile(&text, &[]);
    assert_eq!((code, &found["differences"][0]["kind"]), (1, &json!("no_reference")), "{found:#}");

    let text = format!("{header}1,web-cut,lamp,5\n2,web-late,lamp,14\n3,web-cut,hat,1\n");
    let (code, found) = reconcile(&text, &["--allow-no-reference"]);
    assert_eq!(code, 1);
    let differences = found["differences"].as_array().unwrap().iter().map(|row| {
        let word = |field: &str| row[field].as_str().unwrap_or("-").to_owned();
        let units = |field: &str| row[field].as_u64().unwrap();
        (
            word("kind"),
            word("reference"),
            word("product_id"),
            units("paid"),
            units("sold"),
            word("order_id"),
        )
    });
    let row = |kind: &str, reference: &str, product: &str, paid, sold, order: &str| {
        (kind.to_owned(), reference.to_owned(), product.to_owned(), paid, sold, order.to_owned())
    };
    let expected = [
        row("sold_not_paid", "web-first", "lamp", 0, 5, first),
        row("other_quantity", "web-cut", "lamp", 5, 3, "-"),
        // All of it came back.
        row("paid_not_sold", "web-late", "lamp", 14, 0, "-"),
        row("paid_not_sold", "web-cut", "hat", 1, 0, "-"),
    ];
    assert_eq!(differences.collect::<Vec<_>>(), expected, "{cut}: {found:#}");
    let (code, found) = reconcile(&text, &["--allow-no-reference", "--product", "hat"]);
    assert_eq!((code, &found["difference_count"]), (1, &json!(1)), "{found:#}");
    let (_, found) = reconcile(&text, &["--allow-no-reference", "--until", "2020-01-01T00:00:00Z"]);
    assert_eq!(found["difference_count"], 3, "nothing must be in the file: {found:#}");
    let (code, words) = reconcile("reference,product,quantity\nweb-1,lamp,0\n", &[]);
    assert_eq!(code, 2);
    assert!(words.as_str().unwrap().contains("line 2: quantity \"0\": must be 1 or more units"));
}
