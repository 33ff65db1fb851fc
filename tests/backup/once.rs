//! `backup --to` and `restore`: what they make, and what they refuse.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use doorbuster_wal::{DirStorage, Scan};
use serde_json::json;

use crate::house::{
    Follower, House, backup, dumped, fill, number, refused, restore, text, verified, wait_until,
};
use crate::server::Server;

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).map(|entries| entries.flatten().collect::<Vec<_>>());
    let names = entries.unwrap_or_default().into_iter().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    names
}

#[test]
fn backup_of_a_live_log_is_a_data_directory_and_takes_what_is_new() {
    let house = House::new();
    let (data, to) = (house.data(), house.backup());
    let server = Server::start(&data, &[]);
    server.create("hat", 100);
    let order = server.buy("hat", "first").order_id();
    wait_until("the log proves the sale", || number(&verified(&data), "durable_watermark") >= 3);
    let first = backup(&data, &to);
    assert!(number(&first, "last_sequence") >= 3, "{first}");
    assert_eq!(number(&first, "new_records"), number(&first, "last_sequence"));

    let later = server.buy("hat", "second").order_id();
    let sale = number(&first, "last_sequence") + 1;
    wait_until("the log proves it", || number(&verified(&data), "durable_watermark") > sale);
    let second = backup(&data, &to);
    let new = number(&second, "last_sequence") - number(&first, "last_sequence");
    assert_eq!(number(&second, "new_records"), new, "{second}");
    assert!(new >= 1, "{second}");
    assert_eq!(server.buy("hat", "second").order_id(), later, "the engine goes on");
    let records = dumped(&data);
    // A dump stops where a log proves itself: a copy says of its last record, too, that it is durable.
    let copied = dumped(&to);
    assert_eq!(copied, records[..copied.len()]);
    assert_eq!(copied.len() as u64, number(&second, "last_sequence"), "{second}");
    // A machine that has the backup alone serves it.
    server.kill();
    let moved = house.path("moved");
    fs::rename(&to, &moved).unwrap();
    let server = Server::start(&moved, &[]);
    assert_eq!(server.get(&format!("/v1/orders/{order}")).unwrap().status, 200);
    assert_eq!(server.buy("hat", "second").order_id(), later);
    server.kill();
    // Sold from, it is another log than the one it was copied from.
    let (code, said) = refused(&["backup", "--to", text(&moved), "--data-dir", text(&data)]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("back up into a new directory"), "{said}");
}

#[test]
fn archived_and_pruned_logs_are_backed_up_with_their_snapshots() {
    let house = House::new();
    let (data, to) = (house.data(), house.backup());
    let server = Server::start(&data, &["--snapshot-segments", "1"]);
    server.create("hat", 1_000_000);
    let orders = fill(&server, "hat", 70, "fill");
    let archive = data.join("journal/archive");
    wait_until("a segment is archived", || {
        files(&archive).iter().filter(|name| name.ends_with(".zst")).count() >= 1
    });
    let report = backup(&data, &to);
    assert!(number(&report, "new_snapshots") >= 1, "{report}");
    let kept = files(&to.join("journal/archive"));
    assert!(!kept.is_empty() && kept.iter().all(|name| name.ends_with(".zst")), "{kept:?}");
    server.kill();

    let new = house.path("new");
    let restored = restore(&to, &new, &[]);
    // The restored log begins with a record that proves all before it.
    assert_eq!(number(&restored, "sold"), number(&verified(&new)["state"], "sold"));
    let server = Server::start(&new, &[]);
    assert_eq!(server.get(&format!("/v1/orders/{}", orders[0])).unwrap().status, 200);
    server.kill();
    assert_eq!(files(&new.join("journal/archive")), kept);

    // Pruned, the log begins later, and a new backup of it does.
    let journal = Arc::new(DirStorage::open_existing(data.join("journal")).unwrap());
    let scan = Scan::open(journal).unwrap();
    let first = scan.prunable(u64::MAX).unwrap().expect("something is archived");
    scan.prune(&first).unwrap();
    let late = house.path("late");
    let report = backup(&data, &late);
    assert_eq!(number(&report, "first_sequence"), first.first_sequence);
    let again = house.path("again");
    let restored = restore(&late, &again, &[]);
    assert_eq!(number(&restored, "first_sequence"), first.first_sequence);
    let server = Server::start(&again, &[]);
    assert_eq!(server.buy("hat", "more").status, 201);
    server.kill();
    // The older backup keeps what was pruned since, and goes on.
    let report = backup(&data, &to);
    assert_eq!(number(&report, "first_sequence"), 1);
    // Without a snapshot there is no state to make of what is left.
    fs::remove_dir_all(late.join("journal/snapshots")).unwrap();
    let nowhere = house.path("nowhere");
    let (code, said) = refused(&["restore", "--from", text(&late), "--data-dir", text(&nowhere)]);
    assert!(said.contains("restore a later --until"), "{code}: {said}");
    assert!(!nowhere.exists());
}

#[test]
fn pruned_log_is_restored_up_to_the_very_record_of_its_newest_snapshot() {
    let house = House::new();
    let (data, to) = (house.data(), house.backup());
    let server = Server::start(&data, &["--snapshot-segments", "1"]);
    server.create("hat", 1_000_000);
    let snapshots = || -> Vec<u64> {
        let names = files(&data.join("journal/snapshots"));
        let sequence =
            |name: &String| name.strip_prefix("snapshot-")?.strip_suffix(".bin")?.parse().ok();
        names.iter().filter_map(sequence).collect()
    };
    for round in 0..3 {
        fill(&server, "hat", 70, &format!("fill-{round}"));
        wait_until("there are snapshots", || snapshots().len() >= 2.min(round + 1));
    }
    let archive = data.join("journal/archive");
    wait_until("segments are archived", || {
        files(&archive).iter().filter(|name| name.ends_with(".zst")).count() >= 2
    });
    assert_eq!(server.terminate().0.code(), Some(0));
    let [older, newest] = snapshots()[..] else { panic!("two are kept") };
    let journal = Arc::new(DirStorage::open_existing(data.join("journal")).unwrap());
    let scan = Scan::open(journal).unwrap();
    let first = scan.prunable(older + 1).unwrap().expect("what the older one has seen is archived");
    scan.prune(&first).unwrap();
    backup(&data, &to);
    let new = house.path("new");
    let restored = restore(&to, &new, &["--until", &newest.to_string()]);
    assert_eq!(number(&restored, "first_sequence"), first.first_sequence);
    let server = Server::start(&new, &[]);
    assert_eq!(server.buy("hat", "more").status, 201);
    server.kill();
    // Before the older one nothing says what there was.
    let (from, nowhere) = (text(&to), house.path("nowhere"));
    let before = (first.first_sequence - 1).to_string();
    let words = ["restore", "--from", from, "--data-dir", text(&nowhere), "--until", &before];
    let (code, said) = refused(&words);
    assert_eq!(code, 2, "{said}");
    assert!(!nowhere.exists());
}

#[test]
fn directory_that_is_no_place_for_a_backup_is_refused_and_left_alone() {
    let house = House::new();
    let (data, to) = (house.data(), house.backup());
    let server = Server::start(&data, &[]);
    server.create("hat", 10);
    backup_refused(&data, &data, 2, "it is, lies in, or holds the data directory");
    backup_refused(&data, &data.join("inside"), 2, "lies in");
    backup_refused(&data, data.parent().unwrap(), 2, "holds the data directory");
    let link = house.path("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    backup_refused(&data, &link, 2, "it is, lies in");
    let foreign = house.path("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("photo.jpg"), "x").unwrap();
    backup_refused(&data, &foreign, 2, "there is photo.jpg in it and no backup");
    assert_eq!(files(&foreign), ["photo.jpg"]);
    backup_refused(&house.path("none"), &to, 5, "no journal in");

    wait_until("the log proves something", || number(&verified(&data), "durable_watermark") > 1);
    backup(&data, &to);
    let other = house.path("other");
    drop(Server::start(&other, &[]).terminate());
    backup_refused(&other, &to, 2, "belongs to another journal");
    // A log that was put back from an older copy is behind its backup.
    let old = house.path("old");
    restore(&to, &old, &["--until", "1"]);
    backup_refused(&old, &to, 1, "keep");
    drop(server);
}

fn backup_refused(data: &Path, to: &Path, code: i32, why: &str) {
    let (found, said) = refused(&["backup", "--to", text(to), "--data-dir", text(data)]);
    assert_eq!(found, code, "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn restore_refuses_a_directory_in_use_and_a_cut_that_is_not_there() {
    let house = House::new();
    let (data, to, new) = (house.data(), house.backup(), house.path("new"));
    let server = Server::start(&data, &[]);
    server.create("hat", 10);
    server.buy("hat", "one");
    drop(server.terminate());
    let report = backup(&data, &to);
    let last = number(&report, "last_sequence");
    let cut = |until: &str| {
        refused(&["restore", "--from", text(&to), "--data-dir", text(&new), "--until", until])
    };
    for (until, why) in [
        ("0", "has records 1 to"),
        ("999", &*format!("has records 1 to {last}")),
        ("2020-01-01T00:00:00Z", "is later"),
        ("yesterday", "must be a sequence"),
    ] {
        let (code, said) = cut(until);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!new.exists(), "{until}");
    }
    fs::create_dir(&new).unwrap();
    fs::write(new.join("thing"), "x").unwrap();
    let (code, said) = refused(&["restore", "--from", text(&to), "--data-dir", text(&new)]);
    assert!(code == 2 && said.contains("is not empty"), "{said}");
    fs::remove_file(new.join("thing")).unwrap();

    // What a restore that was killed has left is no data directory, and not in the way.
    let unfinished = house.path("new.restoring");
    fs::create_dir_all(unfinished.join("journal")).unwrap();
    fs::write(unfinished.join("journal/segment-0000000001.wal"), "half").unwrap();
    let restored = restore(&to, &new, &[]);
    assert!(!unfinished.exists());
    let again = restore(&to, &house.path("again"), &[]);
    assert_ne!(restored["epoch"], again["epoch"], "each restore gives ids of its own");
    let damaged = to.join("journal/segment-0000000001.wal");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[4200] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let nowhere = house.path("nowhere");
    let (code, said) = refused(&["restore", "--from", text(&to), "--data-dir", text(&nowhere)]);
    assert_eq!(code, 3, "{said}");
    assert!(!nowhere.exists(), "{said}");
    backup_refused(&data, &to, 3, "move");
    assert_eq!(verified(&new)["epoch"], json!(restored["epoch"]));
}

#[test]
fn log_that_is_written_and_a_place_in_the_backup_itself_are_no_ends_of_a_restore() {
    let house = House::new();
    let (data, to, new) = (house.data(), house.backup(), house.path("new"));
    let server = Server::start(&data, &[]);
    server.create("hat", 10);
    let restore_refused = |from: &Path, new: &Path, code: i32, why: &[&str]| {
        let (found, said) = refused(&["restore", "--from", text(from), "--data-dir", text(new)]);
        assert_eq!(found, code, "{said}");
        assert!(why.iter().all(|why| said.contains(why)), "{said}");
    };
    let writes = ["a server or `doorbuster backup` writes", "`doorbuster backup --to BACKUP"];
    restore_refused(&data, &new, 4, &writes);
    let follower = Follower::start(&data, &to, &[]);
    wait_until("it follows", || follower.words().contains("shipped up to"));
    restore_refused(&to, &new, 4, &["a server or `doorbuster backup` writes"]);
    follower.kill();
    server.kill();
    restore_refused(&to, &to.join("inside"), 2, &["lies in", "name another --data-dir"]);
    restore_refused(&to, &to, 2, &["is, lies in, or holds the backup"]);
    restore_refused(&house.path("none"), &new, 2, &["--from names a backup"]);
    assert!(!new.exists() && !to.join("inside").exists());
    let (real, link, nowhere) = (house.path("real"), house.path("link"), house.path("nowhere"));
    std::os::unix::fs::symlink(&nowhere, &link).unwrap();
    restore_refused(&to, &link, 2, &["leads nowhere"]);
    fs::remove_file(&link).unwrap();
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    restore(&to, &link.join(""), &[]);
    assert!(link.is_symlink() && real.join("journal").is_dir());
    // A directory that nobody writes any more is a backup, and stays as it was.
    let before = files(&data);
    restore(&data, &new, &[]);
    assert_eq!(files(&data), before);

    let damaged = to.join("journal/segment-0000000001.wal");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[20] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let verify = format!("`doorbuster wal verify --data-dir {}` names all", to.display());
    restore_refused(&to, &house.path("again"), 3, &["restore from another backup", &verify]);
    assert!(!house.path("again.restoring").exists());
}
