//! `proof` and `proof check` as a person runs them, beside a server that goes on selling.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::house::sealed;
use crate::server::{Server, run};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

struct House {
    place: tempfile::TempDir,
    server: Option<Server>,
}

impl House {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let server = Server::start(&place.path().join("data"), &[]);
        let body = json!({"product_id": "hat", "name": "Hat", "stock": 3, "sale_id": "xmas"});
        assert_eq!(server.post("/v1/products", "p", &body).status, 201);
        for number in 0..3 {
            assert_eq!(server.buy("hat", &format!("buyer-{number}")).status, 201);
        }
        Self { place, server: Some(server) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn prove(&self, more: &[&str], file: &Path) -> Output {
        let data = self.data();
        let arguments = ["proof", "--data-dir", text(&data), "--output", text(file)];
        run(&[&arguments, more].concat())
    }
}

fn exit(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code().expect("an exit code"), String::from_utf8_lossy(&said).into_owned())
}

fn check(file: &Path, more: &[&str]) -> (i32, Value) {
    let output = run(&[&["proof", "check", text(file), "--json"], more].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().expect("an exit code"), json)
}

/// The names of the checks that found something.
fn found(json: &Value) -> Vec<&str> {
    let checks = json["checks"].as_array().expect("checks").iter();
    checks
        .filter(|check| check["holds"] == false)
        .filter_map(|check| check["check"].as_str())
        .collect()
}

#[test]
fn proof_is_written_and_checked_beside_a_running_server() {
    let mut house = House::new();
    let (file, data) = (house.path("hat.proof"), house.data());
    // The last sale is proven by the next batch, or by a watermark soon after it.
    let until = std::time::Instant::now() + crate::server::LIMIT;
    while {
        let (code, said) = exit(&house.prove(&["--product", "hat", "--json"], &file));
        let told: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(code, 0, "{said}");
        told["products"][0]["version"] != json!(4)
    } {
        assert!(std::time::Instant::now() < until, "the last sale is never proven");
    }
    let (code, json) = check(&file, &["--against", text(&data)]);
    assert_eq!((code, found(&json), &json["entries_are_the_logs"]), (0, vec![], &json!(true)));
    assert_eq!(json["products"][0]["sold"], 3);
    let server = house.server.take().expect("it runs");
    assert_eq!(server.buy("hat", "one-more").status, 409);
    assert_eq!(server.get("/readyz").expect("an answer").status, 200);
    assert!(server.terminate().0.success());
    let (code, json) = check(&file, &["--against", text(&data)]);
    assert_eq!(code, 0, "also when the log went on: {json:#}");
    // To standard output it is the same file.
    let upto = json["proof"]["last_sequence"].to_string();
    let shown = run(&["proof", "--product", "hat", "--data-dir", text(&data), "--upto", &upto]);
    assert!(shown.stdout == std::fs::read(&file).expect("the proof"));
    let (code, said) = exit(&house.prove(&["--sale", "xmas", "--json"], &house.path("xmas.proof")));
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &told["products"][0]["product_id"]), (0, &json!("hat")));
    let digest = told["sha256"].as_str().expect("a digest");
    let (code, json) = check(&house.path("xmas.proof"), &["--digest", digest]);
    assert_eq!((code, &json["entries_are_the_logs"]), (0, &json!(true)), "{json:#}");
}

#[test]
fn tampered_proof_exits_1_and_says_which_check_found_it() {
    let mut house = House::new();
    assert!(house.server.take().expect("it runs").terminate().0.success());
    let (file, data) = (house.path("hat.proof"), house.data());
    assert_eq!(exit(&house.prove(&["--product", "hat"], &file)).0, 0);
    let proof = std::fs::read_to_string(&file).expect("the proof");
    let against = ["--against", text(&data)];
    let other = house.path("other.proof");
    for (from, to, expected) in [
        (r#""delta":{"sold":1}"#, r#""delta":{"sold":2}"#, &["alone", "against"][..]),
        (r#""kind":"order_placed""#, r#""kind":"hold_placed""#, &["alone", "against"][..]),
        (r#""partition":1"#, r#""partition":2"#, &["against"][..]),
    ] {
        std::fs::write(&other, sealed(proof.replacen(from, to, 1).as_bytes())).expect("a file");
        let (code, json) = check(&other, &against);
        assert_eq!((code, found(&json)), (1, expected.to_vec()), "{json:#}");
    }
    let (code, json) = check(&other, &[]);
    assert_eq!((code, &json["entries_are_the_logs"]), (0, &json!(false)), "alone it adds up");
    let (code, said) = exit(&run(&["proof", "check", text(&other)]));
    assert!(code == 0 && said.contains("not shown: that these are the log's"), "{said}");
    let (code, json) = check(&other, &["--digest", &"0".repeat(64)]);
    assert_eq!((code, found(&json)), (1, vec!["digest"]));
    // What is no proof at all.
    std::fs::write(&other, "hat,3\n").expect("a file");
    let (code, json) = check(&other, &against);
    assert_eq!((code, found(&json)), (1, vec!["alone", "against"]));
    let (code, said) = exit(&run(&["proof", "check", text(&other)]));
    let told = format!("{} is no proof: line 1: it is no JSON", other.display());
    assert!(code == 1 && said.contains(&told) && !said.contains("not shown"), "{said}");
}

#[test]
fn link_leads_to_the_proof_and_a_pipe_stays_one() {
    use std::os::unix::fs::FileTypeExt;
    let mut house = House::new();
    assert!(house.server.take().expect("it runs").terminate().0.success());
    let (real, link, pipe) = (house.path("real"), house.path("link"), house.path("pipe"));
    std::fs::write(&real, "what was there\n").expect("a file");
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    let beside = house.path("real.tmp");
    std::fs::write(&beside, "somebody's").expect("a file");
    assert_eq!(exit(&house.prove(&["--product", "hat"], &link)).0, 0);
    assert!(link.symlink_metadata().expect("the link").is_symlink());
    assert_eq!(check(&real, &[]).0, 0);
    assert_eq!(std::fs::read_to_string(&beside).expect("the file"), "somebody's");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).expect("the pipe")
    });
    assert_eq!(exit(&house.prove(&["--product", "hat"], &pipe)).0, 0);
    assert!(pipe.metadata().expect("the pipe").file_type().is_fifo());
    assert!(reader.join().expect("it reads") == std::fs::read(&real).expect("the proof"));
}

#[test]
fn what_is_asked_wrongly_exits_2_and_a_damaged_log_3() {
    let mut house = House::new();
    assert!(house.server.take().expect("it runs").terminate().0.success());
    let (file, data) = (house.path("hat.proof"), house.data());
    for (arguments, told) in [
        (&["--product", "hut"][..], "product hut is not in the log up to sequence"),
        (
            &["--product", "hat", "--upto", "999"][..],
            "sequence 999 is not proven to be durable: as far as it is proven the log ends at",
        ),
        (&["--product", "a b"][..], "--product"),
        (&["--product", "hat", "--sale", "xmas"][..], "cannot be used with"),
        (&[][..], "--product"),
    ] {
        let (code, said) = exit(&house.prove(arguments, &file));
        assert!(code == 2 && said.contains(told), "{arguments:?}: {code} {said}");
        assert!(!said.contains("cannot write"), "{arguments:?}: {said}");
        assert!(!file.exists(), "nothing is left behind");
    }
    let shown = run(&["proof", "--data-dir", text(&data), "--product", "hut"]);
    assert!(exit(&shown).1.starts_with("error: product hut is not in the log"), "{shown:?}");
    assert_eq!(exit(&house.prove(&["--product", "hat"], &file)).0, 0);
    assert_eq!(check(&house.path("none"), &[]).0, 2);
    assert_eq!(check(house.place.path(), &[]).0, 2);
    assert_eq!(check(&file, &["--digest", "12"]).0, 2);
    // A record of the middle is changed on the disk.
    let segment = data.join("journal/segment-0000000001.wal");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    bytes[4096 + 100] ^= 1;
    std::fs::write(&segment, bytes).expect("a segment");
    assert_eq!(check(&file, &["--against", text(&data)]).0, 3);
    let (code, said) = exit(&house.prove(&["--product", "hat"], &house.path("no.proof")));
    assert!(code == 3 && said.contains("the log is damaged"), "{said}");
}
