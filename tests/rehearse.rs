//! `rehearse` and `demo` as a person runs them: totals against a plain count made here, what a
//! file may hold, every kind of server, and the exit codes.
#![expect(clippy::disallowed_methods, reason = "writes the files that are played")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/postgres.rs"]
mod postgres_server;
#[path = "rehearse/real.rs"]
mod real;
#[path = "rehearse/rules.rs"]
mod rules;
#[path = "support/server.rs"]
mod server;

use std::path::{Path, PathBuf};

use serde_json::Value;
use server::{Server, doorbuster};

const HEADER: &str =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// A directory with a file of 120 good lines over 7 products in 30 invoices, which have the same
/// product twice, and every third of which has no customer.
fn sheet(more: &str) -> (tempfile::TempDir, PathBuf) {
    let mut text = format!("{HEADER}\n");
    for number in 0u32..120 {
        let cart = number / 4;
        let (invoice, product, units) =
            (536_000 + cart, number % 3 + cart % 5, 1 + number * 7 % 13);
        let customer = if cart % 3 == 0 { String::new() } else { format!("{}", 17_000 + cart % 5) };
        let (pence, minute) = (number * 37 % 100, number % 60);
        text += &format!(
            "{invoice},P-{product},\"LAMP, {product}\",{units},01/12/2010 09:{minute:02},{}.{pence:02},{customer},UK\n",
            number % 4 + 1
        );
    }
    file(&(text + more))
}

/// A directory with a file of this text.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("orders.csv");
    std::fs::write(&path, text).expect("a file");
    (place, path)
}

/// What comes back and is written off after the lines of `sheet`.
fn back() -> String {
    let mut text = String::new();
    for number in 0u32..40 {
        let (product, customer, units) = (number % 7, 17_000 + number % 5, 1 + number % 9);
        let row = match number % 4 {
            3 => format!("7{number},P-{product},damages,-{units},01/12/2010 10:00,0,,UK\n"),
            2 => format!("8{number},P-{product},x,{units},01/12/2010 10:00,1,{customer},UK\n"),
            _ => format!("C{number},P-{product},x,-{units},01/12/2010 10:00,9,{customer},UK\n"),
        };
        text += &row;
    }
    text
}

/// The totals by a script that knows nothing of doorbuster; `None` without Python.
fn counted(path: &Path, percent: u64, partial: &str) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearse/replay.py");
    let percent = percent.to_string();
    let arguments = [text(&script), text(path), &percent, partial];
    let Ok(output) = std::process::Command::new("python3").args(arguments).output() else {
        eprintln!("not compared with {}: there is no python3", script.display());
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Runs a command; gives its exit code, its JSON, and what it said.
fn play(arguments: &[&str]) -> (i32, Value, String) {
    let output = doorbuster(arguments).arg("--json").output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().expect("an exit code"), json, said)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

/// Lines, units and money of a count in the JSON.
fn count(json: &Value, of: &str) -> (u64, u64, u64) {
    let figure = |name: &str| json["totals"][of][name].as_u64().expect("a figure");
    (figure("lines"), figure("units"), figure("money_minor"))
}

/// Every check that is not `ok`.
fn not_ok(json: &Value) -> Vec<String> {
    let checks = json["checks"].as_array().expect("checks");
    let not_ok = checks.iter().filter(|check| check["state"] != "ok");
    not_ok
        .map(|check| format!("{} {}: {}", check["state"], check["what"], check["found"]))
        .collect()
}

/// The figures of a play under the names of the script.
fn figures(json: &Value) -> Value {
    let (totals, orders) = (&json["totals"], &json["orders"]);
    serde_json::json!({
        "left_before": totals["opening_units"], "left_units": totals["left_units"],
        "ordered_units": totals["ordered"]["units"],
        "ordered_money": totals["ordered"]["money_minor"],
        "refused_units": totals["refused"]["units"],
        "refused_money": totals["refused"]["money_minor"],
        "cancelled_units": totals["cancelled"]["units"],
        "cancelled_money": totals["cancelled"]["money_minor"],
        "returned_units": totals["returned"]["units"],
        "written_off_units": totals["written_off"]["units"],
        "write_off_refused_units": totals["write_off_refused"]["units"],
        "sold_units": totals["sold_units"], "sold_money": totals["sold_money_minor"],
        "carts_sold": orders["sold_whole"], "carts_filled": orders["sold_in_part"],
        "carts_refused": orders["refused"],
    })
}

/// That the figures of a play are those of the script.
fn assert_as_counted(json: &Value, counted: Option<&Value>) {
    let ours = figures(json);
    for (name, figure) in counted.and_then(Value::as_object).into_iter().flatten() {
        assert_eq!(ours[name], *figure, "{name}");
    }
}

/// That answers, log and database tell the totals, to the unit and the penny.
fn assert_witnessed(json: &Value) {
    let totals = &json["totals"];
    for witness in ["answers", "log", "database"] {
        let told = &json["witnesses"][witness];
        let money = |money: &Value| money["GBP"].as_u64().unwrap_or(0);
        let of = |count: &str, figure: &str| totals[count][figure].as_u64().expect("a figure");
        assert_eq!(told["units"], of("ordered", "units"), "{witness}");
        assert_eq!(money(&told["money_minor"]), of("ordered", "money_minor"), "{witness}");
        assert_eq!(told["cancelled_units"], of("cancelled", "units"), "{witness}");
        let cancelled = money(&told["cancelled_money_minor"]);
        assert_eq!(cancelled, of("cancelled", "money_minor"), "{witness}");
        assert_eq!(told["written_off_units"], of("written_off", "units"), "{witness}");
        assert_eq!(told["returned_units"], of("returned", "units"), "{witness}");
        assert_eq!(told["left_units"], totals["left_units"], "{witness}");
    }
}

/// Plays the file, expects every check to pass and the totals to be those of the script.
fn check(path: &Path, percent: u64, more: &[&str]) -> Value {
    let share = percent.to_string();
    let arguments = [&["rehearse", text(path), "--stock-share", &share], more].concat();
    let (exit, json, said) = play(&arguments);
    assert_eq!((exit, not_ok(&json)), (0, Vec::new()), "{said}");
    let partial = if more.contains(&"fill") { "fill" } else { "refuse" };
    assert_as_counted(&json, counted(path, percent, partial).as_ref());
    assert_witnessed(&json);
    json
}

#[test]
fn totals_are_those_of_a_plain_count_and_every_witness_tells_them() {
    let (_place, path) = sheet(&back());
    let json = check(&path, 80, &[]);
    for counted in ["refused", "cancelled", "returned", "written_off", "write_off_refused"] {
        assert!(json["totals"][counted]["units"].as_u64() > Some(0), "{counted}: {json:#}");
    }
    let products = json["products"].as_array().expect("products");
    let refused = products.iter().find_map(|product| product["first_refused_at"].as_str());
    let at = refused.expect("one that refused");
    assert!(at.starts_with("2010-12-01T"), "{at}");
    let filled = check(&path, 80, &["--partial", "fill"]);
    assert!(filled["orders"]["sold_in_part"].as_u64() > Some(0));
    let value = |json: &Value| json["totals"]["sold_money_minor"].as_u64();
    assert!(value(&filled) > value(&json), "what can be had of a refused order is sold too");
    let (_place, path) = sheet("");
    let all = check(&path, 100, &[]);
    assert_eq!(count(&all, "refused").0, 0);
    assert_eq!(all["totals"]["products_sold_out"], all["totals"]["products"]);
    assert_eq!(all["totals"]["products_that_refused"], 0);
}

#[test]
fn postgres_tells_the_same_and_its_temporary_schema_is_gone_afterwards() {
    let Some(postgres) = postgres_server::shared() else { return };
    let (_place, path) = sheet(&back());
    let url = postgres.url("rehearse");
    check(&path, 80, &["--database-url", &url]);
    check(&path, 60, &["--database-url", &url, "--partial", "fill"]);
    let left = postgres.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'doorbuster%'");
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn pressure_keeps_every_invariant() {
    let (_place, path) = sheet(&back());
    for partial in ["refuse", "fill"] {
        let more = ["--stock", "20", "--connections", "32", "--partial", partial];
        let (exit, json, said) = play(&[&["rehearse", text(&path)], &more[..]].concat());
        assert_eq!((exit, not_ok(&json)), (0, Vec::new()), "{said}");
        let units = |of: &str| json["totals"][of]["units"].as_u64().expect("a figure");
        assert_eq!(units("ordered") + units("refused"), units("demand"));
        assert_witnessed(&json);
    }
}

#[test]
fn bad_lines_are_told_by_number_and_lose_nothing_else() {
    let more = "1,P-1,x,one,01/12/2010 09:00,1,1,UK\r\n\
                1,P-1,x,1,01/12/2010 09:00,1.005,1,UK\r\n\
                1,P 1,x,1,01/12/2010 09:00,1,1,UK\r\n\
                1,P-1,\"x,1,01/12/2010 09:00,1,1,UK\r\n\
                1,POST,x,1,01/12/2010 09:00,1,1,UK\r\n\
                1,P-1,x,-1,01/12/2010 09:00,1,1,UK\r\n\
                1,P-1,x,1,01/12/2010 09:00,0,1,UK\r\n\
                1,P-1,£,1,01/12/2010 09:00,1,1,UK\r\n";
    let (_place, path) = sheet(more);
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    // Latin-1, as older tills write it.
    let utf8 = std::fs::read(&path).expect("the file");
    bytes.extend(
        String::from_utf8_lossy(&utf8)
            .chars()
            .map(|c| u8::try_from(u32::from(c)).expect("Latin-1")),
    );
    std::fs::write(&path, bytes).expect("a file");
    let (exit, json, said) = play(&["rehearse", text(&path)]);
    assert_eq!((exit, not_ok(&json)), (0, Vec::new()), "{said}");
    assert_eq!(count(&json, "ordered").0, 121);
    assert_eq!(json["lines"]["not_utf8"], 1);
    let skipped = json["skipped_lines"].as_array().expect("lines");
    let told: Vec<(u64, &str)> = skipped
        .iter()
        .map(|line| {
            (line["line"].as_u64().expect("a number"), line["reason"].as_str().expect("why"))
        })
        .collect();
    let bad = [122, 123, 124, 125].map(|line| (line, "bad"));
    let others =
        [(126, "service_row"), (127, "quantity_not_above_zero"), (128, "price_not_above_zero")];
    assert_eq!(told, [&bad[..], &others].concat());
}

#[test]
fn a_running_server_is_checked_as_far_as_it_can_be_seen() {
    let (place, path) = sheet("");
    let data_dir = place.path().join("data");
    let server = Server::start(&data_dir, &[]);
    let url = format!("http://{}", server.address);
    let rehearse = |more: &[&str]| {
        let arguments = [&["rehearse", text(&path), "--url", &url, "--stock-share", "80"], more];
        let (exit, json, said) = play(&arguments.concat());
        assert_eq!(exit, 0, "{said}");
        json
    };
    let first = rehearse(&[]);
    assert_as_counted(&first, counted(&path, 80, "refuse").as_ref());
    let unseen = not_ok(&first);
    assert!(unseen.iter().all(|check| check.contains("not_checked")), "{unseen:?}");
    assert_eq!(first["witnesses"]["log"], Value::Null);
    let again = rehearse(&["--restock", "--data-dir", text(&data_dir)]);
    // Set to the opening stock, it sells again.
    assert_as_counted(&again, counted(&path, 80, "refuse").as_ref());
    assert_eq!(again["totals"]["products_reused"], 7);
    assert_eq!(again["witnesses"]["log"]["orders"], again["witnesses"]["database"]["orders"]);
    let left = rehearse(&["--data-dir", text(&data_dir)]);
    assert!(
        count(&left, "ordered").0 < count(&again, "ordered").0,
        "what is left is sold as it stands"
    );
    // A run that goes on under its own id is told of its earlier sales, which are no overselling.
    let named = ["--restock", "--data-dir", text(&data_dir), "--run-id", "twice"];
    // What was refused at its end is decided anew, and finds the stock that was set again.
    assert!(count(&rehearse(&named), "ordered").0 <= count(&rehearse(&named), "ordered").0);
}

#[test]
fn a_run_that_is_repeated_under_its_own_id_sells_nothing_twice() {
    let (place, path) = sheet(&back());
    for partial in ["refuse", "fill"] {
        let data_dir = place.path().join(partial);
        let more = ["--data-dir", text(&data_dir), "--run-id", "once", "--partial", partial];
        let (first, second) = (check(&path, 80, &more), check(&path, 80, &more));
        assert_eq!(first["totals"], second["totals"]);
        assert_eq!(first["refused_orders"], second["refused_orders"]);
    }
}

#[test]
fn exit_codes_say_what_was_wrong() {
    let (place, path) = sheet("");
    let said = |arguments: &[&str]| {
        let (exit, _, said) = play(arguments);
        (exit, said)
    };
    let (exit, words) = said(&["rehearse", text(&path), "--column-price", "Price"]);
    assert!(exit == 2 && words.contains("\"Price\"") && words.contains("\"UnitPrice\""), "{words}");
    assert_eq!(said(&["rehearse", "no such file"]).0, 2);
    assert_eq!(said(&["rehearse", text(&path), "--currency", "pounds"]).0, 2);
    assert_eq!(said(&["rehearse", text(&path), "--url", "http://127.0.0.1:1"]).0, 5);
    let data_dir = place.path().join("data");
    let server = Server::start(&data_dir, &[]);
    let (exit, words) = said(&["rehearse", text(&path), "--data-dir", text(&data_dir)]);
    assert!(exit == 4 && words.contains("another process holds"), "{words}");
    server.kill();
}

#[test]
fn a_shop_s_log_is_not_played_in() {
    let (place, path) = sheet("");
    let data_dir = place.path().join("shop");
    let server = Server::start(&data_dir, &[]);
    server.terminate();
    let before = names(&data_dir);
    for command in [&["demo"][..], &["rehearse", text(&path)]] {
        let (exit, _, said) = play(&[command, &["--data-dir", text(&data_dir)]].concat());
        assert!(exit == 2 && said.contains("neither demo nor rehearse"), "{exit}: {said}");
    }
    assert_eq!(names(&data_dir), before);
    let own = place.path().join("own");
    let demo = ["demo", "--units", "5", "--buyers", "9", "--data-dir", text(&own)];
    for _ in 0..2 {
        let (exit, _, said) = play(&demo);
        assert_eq!(exit, 0, "{said}");
    }
}

/// What lies in a directory.
fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_would_fail_in_the_end_is_refused_in_the_beginning() {
    let (place, path) = sheet("");
    let data_dir = place.path().join("data");
    let since = std::time::Instant::now();
    for command in [&["demo"][..], &["rehearse", text(&path)]] {
        let refused = |more: &[&str], code: i32, words: &str| {
            let arguments = [command, &["--data-dir", text(&data_dir)], more].concat();
            let (exit, json, said) = play(&arguments);
            assert!(exit == code && said.contains(words), "{more:?}: {exit} {said}");
            assert_eq!(json, Value::Null);
            assert!(!data_dir.join("journal").exists(), "{more:?}");
        };
        refused(&["--output", "/nowhere/x.json"], 2, "cannot write /nowhere/x.json");
        refused(&["--database-url", "mysql://me:secret@x"], 2, "must be postgres://");
        let away = "postgres://me:secret@127.0.0.1:1/x";
        refused(&["--database-url", away], 5, "nothing was played");
    }
    assert!(since.elapsed().as_secs() < 20);
}

#[test]
fn a_carriage_return_in_a_line_makes_it_a_bad_line_and_in_the_header_refuses_the_file() {
    let (_place, path) =
        sheet("9,P-1,x,1,01/12/2010 09:00,1,1,UK\r10,P-1,x,1,01/12/2010 09:00,1,1,UK\n");
    let (exit, json, said) = play(&["rehearse", text(&path)]);
    assert_eq!((exit, &json["lines"]["played"]), (0, &Value::from(120)), "{said}");
    assert_eq!(json["lines"]["skipped"], serde_json::json!({"bad": 1}));
    let rows = std::fs::read_to_string(&path).expect("the file").replace('\n', "\r");
    let (_place, path) = file(&rows);
    let (exit, _, said) = play(&["rehearse", text(&path)]);
    assert!(exit == 2 && said.contains("line 1: a carriage return stands in the middle"), "{said}");
}

#[test]
fn a_log_that_no_sale_ties_to_the_server_is_not_checked() {
    let (place, path) = sheet("");
    let (ours, theirs) = (place.path().join("ours"), place.path().join("theirs"));
    let (server, _other) = (Server::start(&ours, &[]), Server::start(&theirs, &[]));
    let url = format!("http://{}", server.address);
    let arguments = ["rehearse", text(&path), "--stock", "0", "--url", &url];
    let (exit, json, said) = play(&[&arguments[..], &["--data-dir", text(&theirs)]].concat());
    assert_eq!(exit, 0, "{said}");
    let unseen = not_ok(&json);
    let log = "\"not_checked\" \"answers and log agree, order by order\"";
    assert!(unseen.iter().any(|check| check.starts_with(log)), "{unseen:?}");
}

#[test]
fn an_interrupted_run_says_that_the_server_runs_on() {
    let (place, path) = sheet("");
    let server = Server::start(&place.path().join("data"), &[]);
    let more = (0..20_000).map(|n| format!("9{n},P-1,x,1,01/12/2010 09:00,1,1,UK\n"));
    let long = std::fs::read_to_string(&path).expect("the file") + &more.collect::<String>();
    std::fs::write(&path, long).expect("a file");
    let url = format!("http://{}", server.address);
    let mut rehearse = doorbuster(&["rehearse", text(&path), "--url", &url, "--run-id", "r7"]);
    let rehearse = rehearse.stdout(std::process::Stdio::null());
    let child = rehearse.stderr(std::process::Stdio::piped()).spawn().expect("the binary runs");
    let sold = || server.get("/v1/products/P-1/stock").map(|answer| answer.body["sold"].as_u64());
    while sold().expect("an answer").unwrap_or(0) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("runs on and --run-id r7 goes on with it"), "{:?} {said}", output.status);
}

#[test]
fn demo_crash_loses_nothing_and_sells_every_unit() {
    let demo = ["demo", "--crash", "--units", "200", "--buyers", "2000", "--connections", "64"];
    let (exit, json, said) = play(&demo);
    assert_eq!((exit, not_ok(&json)), (0, Vec::new()), "{said}");
    let figure = |name: &str| json[name].as_u64().expect("a figure");
    let figures = ["units_sold", "orders_in_log", "rows_in_database", "answers_lost", "oversold"];
    assert_eq!(figures.map(figure), [200, 200, 200, 0, 0]);
    let in_flight = json["crash"]["in_flight"].as_u64().expect("a figure");
    assert!(in_flight >= 32, "{}", json["crash"]);
    let unknown = |name: &str| json["trouble"][name].as_u64().expect("a figure");
    let told = unknown("had_happened") + unknown("had_not_happened");
    assert_eq!(unknown("unknown_outcomes"), told, "{}", json["trouble"]);
    assert!(told >= in_flight, "nobody in flight is told: {}", json["trouble"]);
}

#[test]
fn settings_of_the_caller_do_not_reach_a_server_of_our_own() {
    let mut demo = doorbuster(&["demo", "--units", "5", "--buyers", "20"]);
    demo.env("DATABASE_URL", "postgres://nobody@192.0.2.1/none").env("DOORBUSTER_LISTEN", "bogus");
    let output = demo.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let summary = String::from_utf8_lossy(&output.stdout);
    assert!(summary.contains("units sold") && summary.contains("passed"), "{summary}");
}
