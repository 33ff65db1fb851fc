//! `wal dump`: every filter against the whole dump, and places in the middle of the log.

use serde_json::{Value, json};

use crate::house::{House, LIFE_MS, START_MS};

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

fn sequence(record: &Value) -> u64 {
    record["sequence"].as_u64().unwrap()
}

/// Products that a record names anywhere.
fn names(record: &Value, product: &str) -> bool {
    let in_list = |field: &str| {
        let rows = record[field].as_array().into_iter().flatten();
        rows.into_iter().any(|row| row["product_id"] == json!(product))
    };
    ["changes", "lines", "released", "rows"].into_iter().any(in_list)
}

/// The hold that a record is about.
fn hold_of(record: &Value) -> &str {
    text(record, "hold_id")
}

/// Flags, and which records they are to give.
type Case<'a> = (Vec<&'a str>, Box<dyn Fn(&Value) -> bool + 'a>);

#[test]
fn each_filter_gives_what_the_whole_dump_has_of_it() {
    let house = House::new();
    let all = house.lines(&[]);
    let last = sequence(all.last().unwrap());
    assert_eq!(all.iter().map(sequence).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    let placed = |id: &str| {
        let mut placed = all.iter().filter(|it| it["kind"] == "hold_placed");
        placed.find(|it| hold_of(it) == id).unwrap()
    };
    let extends = |it: &Value, of: &dyn Fn(&Value) -> bool| {
        it["kind"] == "hold_extended" && of(placed(hold_of(it)))
    };
    let hat = |it: &Value| names(it, "hat") || extends(it, &|placed| names(placed, "hat"));
    let of_anna = |it: &Value| text(it, "buyer_id") == "anna";
    let anna = |it: &Value| of_anna(it) || extends(it, &of_anna);
    let cancelled = all.iter().rfind(|it| it["kind"] == "order_cancelled").unwrap();
    let order = text(cancelled, "order_id").to_owned();
    let hold = hold_of(all.iter().rfind(|it| it["kind"] == "hold_confirmed").unwrap()).to_owned();
    let middle = START_MS + 2 * LIFE_MS + 10_000;
    let (since, until) = (at(middle), at(middle + LIFE_MS));
    let between = |it: &Value| {
        let at = text(it, "at");
        // Watermarks have no time: those between two records of the time are there.
        at.is_empty() || (at >= since.as_str() && at <= until.as_str())
    };
    let cases: Vec<Case<'_>> = vec![
        (vec!["--product", "hat"], Box::new(hat)),
        (vec!["--product", "day-3"], Box::new(|it| names(it, "day-3"))),
        (vec!["--buyer", "anna"], Box::new(anna)),
        (
            vec!["--buyer", "anna", "--kind", "hold_extended"],
            Box::new(move |it| anna(it) && it["kind"] == "hold_extended"),
        ),
        (
            vec!["--product", "hat", "--reference", "longer"],
            Box::new(move |it| hat(it) && text(it, "reference") == "longer"),
        ),
        (vec!["--reference", "r-3-6"], Box::new(|it| text(it, "reference") == "r-3-6")),
        (
            vec!["--kind", "order_placed", "--kind", "order_cancelled", "--product", "cap"],
            Box::new(|it| {
                let kind = text(it, "kind");
                ["order_placed", "order_cancelled"].contains(&kind) && names(it, "cap")
            }),
        ),
        (vec!["--kind", "watermark"], Box::new(|it| it["kind"] == "watermark")),
        (vec!["--kind", "refusals_counted"], Box::new(|it| it["kind"] == "refusals_counted")),
        (vec!["--order", &order], Box::new(|it| text(it, "order_id") == order)),
        (vec!["--hold", &hold], Box::new(|it| hold_of(it) == hold)),
        (vec!["--from", "40", "--to", "90"], Box::new(|it| (40..=90).contains(&sequence(it)))),
    ];
    for (flags, wanted) in &cases {
        let expected: Vec<&Value> = all.iter().filter(|it| wanted(it)).collect();
        let given = house.lines(flags);
        assert!(!expected.is_empty() && expected.len() < all.len(), "{flags:?} shows nothing");
        assert_eq!(given.iter().collect::<Vec<_>>(), expected, "{flags:?}");
        // The same from the middle on, where extended holds were placed before.
        let (from, word) = (last / 2, (last / 2).to_string());
        let flags = [flags.as_slice(), &["--from", &word]].concat();
        if !flags.contains(&"--to") && !flags.contains(&"--reference") {
            let later = expected.iter().filter(|it| sequence(it) >= from).copied();
            let given = house.lines(&flags);
            assert_eq!(given.iter().collect::<Vec<_>>(), later.collect::<Vec<_>>(), "{flags:?}");
        }
    }
    let given = house.lines(&["--since", &since, "--until", &until]);
    let timed = |it: &&Value| between(it) && it["kind"] != "watermark";
    let expected: Vec<&Value> = all.iter().filter(timed).collect();
    let timed: Vec<&Value> = given.iter().filter(|it| it["kind"] != "watermark").collect();
    assert_eq!(timed, expected);
}

fn at(at_ms: u64) -> String {
    doorbuster::domain::rfc3339(at_ms)
}

#[test]
fn dump_begins_anywhere_with_the_names_of_products_and_says_what_is_not_there() {
    let house = House::new();
    let all = house.lines(&[]);
    let (last, position) = (sequence(all.last().unwrap()), text(&all[60], "position"));
    // Names come from a snapshot, and without one from the records before.
    for from in [1, 2, 30, 31, 62, 100, last] {
        let dumped = house.lines(&["--from", &from.to_string()]);
        assert_eq!(dumped, all[from as usize - 1..], "from {from}");
    }
    assert_eq!(house.lines(&["--from", position, "--limit", "2"]), all[60..62]);
    assert_eq!(house.lines(&["--after", position, "--limit", "2"]), all[61..63]);
    assert_eq!(house.lines(&["--after", &last.to_string()]), Vec::<Value>::new());
    let snapshots = house.journal().join("snapshots");
    std::fs::rename(&snapshots, house.beside("snapshots")).unwrap();
    assert_eq!(house.lines(&["--from", "100"]), all[99..], "without a snapshot");

    let dump = |flags: &[&str]| house.run(&[&["wal", "dump"], flags].concat());
    let ends = format!("the log ends with record {last}");
    dump(&["--from", &(last + 1).to_string()]).check(2, &[&ends]);
    dump(&["--from", "9", "--to", "8"]).check(2, &["lies behind"]);
    dump(&["--since", "2030-01-01T00:00:00Z"]).check(2, &["nothing is of --since or later"]);
    dump(&["--product", "shoe"]).check(2, &["no product shoe"]);
    dump(&["--buyer", "nobody"]).check(0, &["no record of 1 to"]);
    dump(&["--kind", "sale"]).check(2, &["must be one of", "order_placed"]);
    dump(&["--since", "yesterday"]).check(2, &["RFC 3339"]);
    let of_another = position_of(9, last);
    dump(&["--from", &of_another]).check(2, &["is not of this log", "epoch 9"]);
    dump(&["--order", &format!("o{}", "0".repeat(24))]).check(2, &["order"]);

    let file = house.beside("lines");
    house.run(&["wal", "dump", "--output", file.to_str().unwrap()]).check(0, &[]);
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), all.len());
}

fn position_of(epoch: u32, sequence: u64) -> String {
    let sequence = doorbuster::domain::Sequence::new(sequence);
    doorbuster::journal::Position { partition: 1, epoch, sequence }.to_string()
}
