//! Refusals that name the next command, each error said once.

use std::net::TcpListener;

use crate::house::{House, Said, flip};
use crate::server::run;

#[test]
fn wrong_settings_of_serve_name_the_next_command() {
    let house = House::new();
    let keys = house.beside("no keys");
    let keys = keys.to_str().unwrap();
    let serve = |more: &[&str]| house.run(&[&["serve", "--listen", "127.0.0.1:0"], more].concat());
    let make = format!("`doorbuster keys new NAME --keys-file '{keys}'`");
    serve(&["--keys-file", keys]).check(2, &["the keys file: cannot read", &make]);
    std::fs::write(keys, "\n").unwrap();
    serve(&["--keys-file", keys]).check(2, &["there is no key in it", &make]);
    serve(&["--config", "nofile.toml"]).check(2, &["`doorbuster config example > nofile.toml`"]);
    serve(&["--workers", "0"]).check(2, &["--workers: ", "`doorbuster config example` shows"]);
}

#[test]
fn port_in_use_names_who_tells_its_holder() {
    let house = House::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let said = house.run(&["serve", "--listen", &address.to_string()]);
    let ask = format!("`ss -ltnp 'sport = :{}'`", address.port());
    said.check(5, &["cannot listen on", &ask, "choose another with --listen"]);
}

#[test]
fn too_few_files_name_where_the_limit_is_raised() {
    let house = House::new();
    let serve = format!(
        "ulimit -n 100; exec '{}' serve --listen 127.0.0.1:0 --data-dir '{}'",
        env!("CARGO_BIN_EXE_doorbuster"),
        house.data_dir().display()
    );
    let output = std::process::Command::new("sh").args(["-c", &serve]).output().unwrap();
    let said = crate::house::Said::of(&output);
    said.check(5, &["100 files may be open", "`ulimit -Hn`", "LimitNOFILE="]);
}

#[test]
fn cause_of_an_error_is_said_once() {
    let house = House::new();
    // For root no permission is missing, but a link to itself leads nowhere for anybody.
    let segment = house.journal().join("segment-0000000005.wal");
    std::fs::remove_file(&segment).unwrap();
    std::os::unix::fs::symlink(&segment, &segment).unwrap();
    let said = house.run(&["wal", "inspect"]);
    assert_eq!((said.exit, said.err.matches("(os error 40)").count()), (5, 1), "{said:?}");
}

#[test]
fn snapshot_whose_head_is_damaged_is_shown_with_its_length() {
    let house = House::new();
    let [_, newer] = &*house.snapshots() else { panic!("two snapshots") };
    flip(newer, 3);
    let found = house.json(&["wal", "inspect"]);
    let length = std::fs::metadata(newer).unwrap().len();
    let damaged: Vec<u64> = found["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["verdict"] == "damaged")
        .map(|it| it["bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(damaged, [length]);
}

#[test]
fn one_of_a_kind_is_told_as_one() {
    let house = House::new();
    let segment = house.journal().join("segment-0000000005.wal");
    flip(&segment, 4096 + 40);
    house.run(&["wal", "verify"]).check(3, &["1 of 5 segments is damaged"]);
}

#[test]
fn orders_beyond_prints_a_command_that_a_shell_takes() {
    let house = House::new();
    let file = house.beside("be yond.csv");
    let file = file.to_str().unwrap();
    let said = house.run(&["orders", "beyond", "hat", "--true-stock", "1", "--output", file]);
    said.check(0, &[&format!("orders cancel --from '{file}' --dry-run")]);
}

#[test]
fn another_name_of_the_live_copy_is_no_new_copy() {
    let house = House::new();
    let live = house.data_dir().join("doorbuster.sqlite");
    let (copy, link) = (house.beside("copy.sqlite"), house.beside("link.sqlite"));
    house.run(&["project", "--rebuild", "--to", copy.to_str().unwrap()]).check(0, &[]);
    std::fs::rename(copy, &live).unwrap();
    std::fs::hard_link(&live, &link).unwrap();
    let said = house.run(&["project", "--rebuild", "--to", link.to_str().unwrap()]);
    said.check(2, &["is the copy that the server writes"]);
}

#[test]
fn what_is_named_and_cannot_be_used_is_told_with_what_to_name() {
    let house = House::new();
    let (dir, file) = (house.beside("a dir"), house.beside("a file"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(&file, "no database, and no CSV\n").unwrap();
    let [dir, file] = [&dir, &file].map(|path| path.to_str().unwrap());
    let rebuild = |to: &str| house.run(&["project", "--rebuild", "--to", to]);
    rebuild(dir).check(2, &[dir, "is no file: name a new file, or a PostgreSQL URL"]);
    rebuild("").check(2, &["is no file"]);
    rebuild(file).check(5, &[file, "name another file"]);
    let away = "postgresql://nobody@127.0.0.1:1/none";
    rebuild(away).check(5, &["127.0.0.1:1/none", "name another schema with --schema"]);
    let sqlite = house.run(&["reconcile", "--sqlite", dir]);
    sqlite.check(2, &["is a directory: name the file in it, such as ", "/doorbuster.sqlite"]);
    let no_text = house.beside("binary.csv");
    std::fs::write(&no_text, b"\0\r\x01reference,product,quantity\n").unwrap();
    let orders = house.run(&["reconcile", "--orders", no_text.to_str().unwrap()]);
    orders.check(2, &["line 1: there is a byte of 0 in it: it is no text, save it as CSV"]);
    let order = house.run(&["wal", "dump", "--order", "o123"]);
    order.check(2, &["it is no such id", "o000g0000040000000019wk61"]);
    let negative = house.run(&["orders", "beyond", "hat", "--true-stock", "-5"]);
    negative.check(2, &["invalid value '-5'", "must be 0 to 9007199254740991 units"]);
    let serve = Said::of(&run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", file]));
    serve.check(2, &[file, "it is a file, name a directory"]);
    let proof = house.beside("proof.ndjson");
    let proof = proof.to_str().unwrap();
    house.run(&["proof", "--product", "hat", "--output", proof]).check(0, &[]);
    let check = Said::of(&run(&["proof", "check", proof, "--against", dir]));
    check.check(2, &["there is no journal in", "--against names a data directory or a backup"]);
    assert!(!check.err.contains("--data-dir"), "{check:?}");
}

#[test]
fn flags_that_would_do_nothing_are_refused() {
    let house = House::new();
    let to = house.beside("backup");
    let to = to.to_str().unwrap();
    let metrics = ["--metrics-listen", "127.0.0.1:0"];
    let once = house.run(&[&["backup", "--to", to], &metrics[..]].concat());
    once.check(2, &["--metrics-listen is for --follow"]);
    let schema = house.run(&["reconcile", "--database-schema", "other"]);
    schema.check(2, &["--database-schema is for PostgreSQL"]);
    let window = ["--since", "2026-11-18T00:00:00Z", "--until", "2026-11-17T00:00:00Z"];
    let empty = "--since 2026-11-18T00:00:00.000Z is after --until 2026-11-17T00:00:00.000Z";
    house.run(&[&["wal", "dump"], &window[..]].concat()).check(2, &[empty]);
    let shop = house.beside("shop.csv");
    std::fs::write(&shop, "reference,product,quantity\n").unwrap();
    let orders = ["reconcile", "--orders", shop.to_str().unwrap()];
    house.run(&[&orders[..], &window[..]].concat()).check(2, &[empty]);
    // Where nobody can watch it, no backup is begun.
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let follow = house.run(&["backup", "--follow", to, "--metrics-listen", &taken]);
    follow.check(5, &["cannot listen on"]);
    assert!(!std::path::Path::new(to).exists());
}
