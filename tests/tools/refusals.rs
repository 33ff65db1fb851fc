//! Refusals that name the next command, each error said once.

use std::net::TcpListener;

use crate::house::{House, flip};

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
