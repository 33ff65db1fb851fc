//! `rehearse` and `demo` as a person runs them: totals against a plain count made here, what a
//! file may hold, every kind of server, and the exit codes.
#![expect(clippy::disallowed_methods, reason = "writes the files that are played")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/postgres.rs"]
mod postgres_server;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use server::{Server, doorbuster};

const HEADER: &str =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// A directory with a file of 120 good lines over 7 products, in which carts have the same product
/// twice and every third customer is missing.
fn sheet(more: &str) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a directory");
    let mut text = format!("{HEADER}\n");
    for number in 0u32..120 {
        let (invoice, product, units) = (536_000 + number / 4, number % 7, 1 + number * 7 % 13);
        let customer =
            if number % 3 == 0 { String::new() } else { format!("{}", 17_000 + number % 5) };
        let (pence, minute) = (number * 37 % 100, number % 60);
        text += &format!(
            "{invoice},P-{product},\"LAMP, {product}\",{units},01/12/2010 09:{minute:02},{}.{pence:02},{customer},UK\n",
            number % 4 + 1
        );
    }
    let path = place.path().join("orders.csv");
    std::fs::write(&path, text + more).expect("a file");
    (place, path)
}

/// Lines, units and minor units of what is sold, by a count that knows nothing of doorbuster.
fn counted(path: &Path, percent: u64) -> (u64, u64, u64) {
    let text = std::fs::read(path).expect("the file");
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let mut lines: Vec<(String, u64, u64)> = Vec::new();
    for record in reader.byte_records() {
        let record = record.expect("a record");
        let field = |place: usize| String::from_utf8_lossy(&record[place]).into_owned();
        let service = ["POST", "DOT", "M", "D", "S", "C2", "BANK CHARGES", "AMAZONFEE"];
        let (units, price) = (field(3).parse::<i64>().expect("units"), field(5));
        let (whole, part) = price.split_once('.').unwrap_or((&price, "0"));
        let pence = whole.parse::<u64>().expect("pounds") * 100
            + format!("{part:0<2}").parse::<u64>().expect("pence");
        if !service.contains(&field(1).as_str()) && units > 0 && pence > 0 {
            lines.push((field(1), units.unsigned_abs(), pence));
        }
    }
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    for (product, units, _) in &lines {
        *left.entry(product).or_default() += units;
    }
    left.values_mut().for_each(|units| *units = *units * percent / 100);
    let mut sold = (0, 0, 0);
    for (product, units, pence) in &lines {
        let left = left.get_mut(product.as_str()).expect("a product");
        if *left >= *units {
            *left -= units;
            sold = (sold.0 + 1, sold.1 + units, sold.2 + units * pence);
        }
    }
    sold
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

/// Plays the file, expects every check to pass and the totals to be those of the plain count.
fn check(path: &Path, percent: u64, more: &[&str]) -> Value {
    let share = percent.to_string();
    let arguments = [&["rehearse", text(path), "--stock-share", &share], more].concat();
    let (exit, json, said) = play(&arguments);
    assert_eq!((exit, not_ok(&json)), (0, Vec::new()), "{said}");
    let sold = counted(path, percent);
    assert_eq!(count(&json, "sold"), sold, "at {percent} percent");
    let (demand, refused) = (count(&json, "demand"), count(&json, "refused"));
    assert_eq!(demand.1, sold.1 + refused.1);
    for witness in ["answers", "log", "database"] {
        let told = &json["witnesses"][witness];
        let money = told["money_minor"]["GBP"].as_u64();
        assert_eq!((told["orders"].as_u64(), told["units"].as_u64()), (Some(sold.0), Some(sold.1)));
        assert_eq!(money, Some(sold.2), "{witness}");
    }
    json
}

#[test]
fn totals_are_those_of_a_plain_count_and_every_witness_tells_them() {
    let (_place, path) = sheet("");
    let json = check(&path, 80, &[]);
    assert!(count(&json, "refused").0 > 0, "80 percent turn somebody away");
    let products = json["products"].as_array().expect("products");
    let sold_out = products.iter().find(|product| product["refused"]["units"] != 0);
    let at = sold_out.expect("one that refused")["first_refused_at"].as_str().expect("a time");
    assert!(at.starts_with("2010-12-01T09:"), "{at}");
    let all = check(&path, 100, &[]);
    assert_eq!(count(&all, "refused").0, 0);
    assert_eq!(all["totals"]["products_sold_out"], all["totals"]["products"]);
    assert_eq!(all["totals"]["products_that_refused"], 0);
}

#[test]
fn postgres_tells_the_same_and_its_temporary_schema_is_gone_afterwards() {
    let Some(postgres) = postgres_server::shared() else { return };
    let (_place, path) = sheet("");
    let url = postgres.url("rehearse");
    check(&path, 80, &["--database-url", &url]);
    let left = postgres.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'doorbuster%'");
    assert_eq!(left, Vec::<String>::new());
}

/// The real file of the project's shared data, where that is.
#[test]
fn real_lines_come_out_as_counted_campaign() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/online-retail-2010-12.csv");
    if !path.is_file() {
        return eprintln!("skipped: there is no {}", path.display());
    }
    let json = check(&path, 80, &[]);
    assert_eq!(count(&json, "sold"), (23_171, 166_317, 38_493_223));
    assert_eq!(count(&json, "refused"), (6_070, 74_430, 15_148_678));
    assert_eq!(json["lines"]["skipped"]["service_row"], 119);
    assert_eq!(count(&check(&path, 100, &[]), "sold"), (29_241, 240_747, 53_641_901));
}

#[test]
fn pressure_keeps_every_invariant() {
    let (_place, path) = sheet("");
    let arguments = ["rehearse", text(&path), "--stock", "20", "--connections", "32"];
    let (exit, json, said) = play(&arguments);
    assert_eq!((exit, not_ok(&json)), (0, Vec::new()), "{said}");
    assert_eq!(count(&json, "sold").0 + count(&json, "refused").0, 120);
}

#[test]
fn bad_lines_are_told_by_number_and_lose_nothing_else() {
    let more = "1,P-1,x,one,01/12/2010 09:00,1,1,UK\r\n\
                1,P-1,x,1,01/12/2010 09:00,1.005,1,UK\r\n\
                1,P 1,x,1,01/12/2010 09:00,1,1,UK\r\n\
                1,P-1,\"x,1,01/12/2010 09:00,1,1,UK\r\n\
                1,POST,x,1,01/12/2010 09:00,1,1,UK\r\n\
                C1,P-1,x,-1,01/12/2010 09:00,1,1,UK\r\n\
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
    assert_eq!(count(&json, "sold").0, 121);
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
    assert_eq!(count(&first, "sold"), counted(&path, 80));
    let unseen = not_ok(&first);
    assert!(unseen.iter().all(|check| check.contains("not_checked")), "{unseen:?}");
    assert_eq!(first["witnesses"]["log"], Value::Null);
    let again = rehearse(&["--restock", "--data-dir", text(&data_dir)]);
    assert_eq!(
        count(&again, "sold"),
        counted(&path, 80),
        "set to the opening stock, it sells again"
    );
    assert_eq!(again["totals"]["products_reused"], 7);
    assert_eq!(again["witnesses"]["log"]["orders"], again["witnesses"]["database"]["orders"]);
    let left = rehearse(&["--data-dir", text(&data_dir)]);
    assert!(count(&left, "sold").0 < count(&again, "sold").0, "what is left is sold as it stands");
    // A run that goes on under its own id is told of its earlier sales, which are no overselling.
    let named = ["--restock", "--data-dir", text(&data_dir), "--run-id", "twice"];
    // What was refused is decided anew, and finds the stock that was set again.
    assert!(count(&rehearse(&named), "sold").0 <= count(&rehearse(&named), "sold").0);
}

#[test]
fn a_run_that_is_repeated_under_its_own_id_sells_nothing_twice() {
    let (place, path) = sheet("");
    let data_dir = place.path().join("data");
    let more = ["--data-dir", text(&data_dir), "--run-id", "once"];
    check(&path, 80, &more);
    check(&path, 80, &more);
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
    let more: String = (0..20_000).map(|_| "9,P-1,x,1,01/12/2010 09:00,1,1,UK\n").collect();
    let long = std::fs::read_to_string(&path).expect("the file") + &more;
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
