//! Proofs of products sold in a rehearsal of the real orders of the project's shared data, where
//! those are: re-checked, and every tampered copy refused.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::house::{against, alone, copied, lines, product, proof, sealed, wrong};
use crate::server::doorbuster;

fn path() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = shared.join("online-retail-2010-12.csv");
    if !path.is_file() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

/// Plays the file into a directory; what it told of its products.
fn rehearsed(file: &Path, data_dir: &Path) -> Vec<Value> {
    let mut rehearse = doorbuster(&["rehearse", "--stock-share", "80", "--rows", "0", "--json"]);
    let output = rehearse.arg(file).arg("--data-dir").arg(data_dir).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json["products"].as_array().unwrap().clone()
}

#[test]
fn proofs_of_real_orders_hold_and_tampered_copies_do_not() {
    let Some(file) = path() else { return };
    let place = tempfile::tempdir().unwrap();
    let data_dir = place.path().join("data");
    let mut products = rehearsed(&file, &data_dir);
    products.sort_by_key(|product| product["ordered"]["lines"].as_u64());
    let storage = copied(&data_dir.join("journal"));
    let (mut proofs, mut entries, mut tampered, mut only_by_log) = (0, 0, 0, 0);
    // Those sold most often, and one that was not.
    for told in products.iter().rev().take(6).chain(products.first()) {
        let id = told["product_id"].as_str().unwrap();
        let (written, bytes) = proof(&storage, &product(id)).unwrap();
        assert_eq!((wrong(&bytes), against(&storage, &bytes)), (None, None), "{id}");
        let closing = &alone(&bytes).closings[0];
        let figures = (closing.opening_stock, closing.sold, closing.stock - closing.sold);
        let figure = |name: &str| told[name].as_u64().unwrap();
        let expected = (figure("opening_units"), figure("sold_units"), figure("left_units"));
        assert_eq!(figures, expected, "{id}: as the rehearsal told");
        proofs += 1;
        entries += written.entries;
        let (copies, by_log) = tampered_with(&bytes, |copy| against(&storage, copy).is_some());
        tampered += copies;
        only_by_log += by_log;
    }
    println!(
        "{proofs} proofs with {entries} entries hold; {tampered} tampered copies refused, \
         {only_by_log} of them, with their digest computed again, by the log alone"
    );
    assert!(entries > 300 && tampered > 600 && only_by_log > 0);
}

/// Changes a digit of each line of a proof; how many copies were refused, and by the log alone.
fn tampered_with(bytes: &[u8], found_by_log: impl Fn(&[u8]) -> bool) -> (u64, u64) {
    let lines = lines(bytes);
    let (mut copies, mut only_by_log, mut at) = (0, 0, 0);
    for (number, line) in lines.iter().enumerate() {
        let digits: Vec<usize> =
            (0..line.len()).filter(|at| line.as_bytes()[*at].is_ascii_digit()).collect();
        let place = at + digits[number * 7 % digits.len()];
        at += line.len();
        let mut copy = bytes.to_vec();
        copy[place] = if copy[place] == b'9' { b'0' } else { copy[place] + 1 };
        assert!(wrong(&copy).is_some(), "{line}");
        copies += 1;
        let copy = sealed(&copy);
        if copy == bytes {
            continue;
        }
        copies += 1;
        if wrong(&copy).is_none() {
            assert!(found_by_log(&copy), "{line}");
            only_by_log += 1;
        }
    }
    (copies, only_by_log)
}
