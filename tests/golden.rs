//! Bytes that lie on somebody's disk: every golden file decodes to the values written here, and
//! these encode to exactly its bytes.
//!
//! Add, never regenerate. `DOORBUSTER_GOLDEN=add` writes files that are missing and leaves the
//! others as they are.
#![expect(clippy::disallowed_methods, reason = "reads its files, and counts what is allocated")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "golden/allocations.rs"]
mod allocations;
#[path = "golden/holds.rs"]
mod holds;
#[path = "golden/records.rs"]
mod records;
#[path = "golden/segments.rs"]
mod segments;
#[path = "golden/snapshots.rs"]
mod snapshots;

use std::path::{Path, PathBuf};

use doorbuster::journal::{Kind, PAYLOAD_BYTES_MAX, decode, encode};
use proptest::prelude::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path(file: &str) -> PathBuf {
    root().join("tests/golden").join(file)
}

/// A golden file's bytes; `made` writes it when it is missing and that was asked for.
fn golden(file: &str, made: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = path(file);
    if std::env::var_os("DOORBUSTER_GOLDEN").is_some_and(|word| word == "add") && !path.exists() {
        std::fs::write(&path, made()).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn encoded(payload: &doorbuster::journal::Payload) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(payload, &mut bytes);
    bytes
}

#[test]
fn every_kind_decodes_and_encodes_to_its_golden_bytes() {
    let records = records::all();
    for kind in Kind::ALL {
        assert!(records.iter().any(|(_, payload)| payload.kind() == kind), "{kind:?} has a file");
    }
    for (file, payload) in records {
        let bytes = golden(file, || encoded(&payload));
        println!("{file}: {} bytes", bytes.len());
        assert_eq!(decode(&bytes).as_ref(), Ok(&payload), "{file} decodes");
        assert!(encoded(&payload) == bytes, "{file} encodes");
    }
}

#[test]
fn no_golden_file_is_left_out() {
    let mut known: Vec<String> =
        records::all().iter().map(|(file, _)| (*file).to_owned()).collect();
    known.extend(segments::FILES.map(str::to_owned));
    known.extend(snapshots::FILES.map(str::to_owned));
    for entry in std::fs::read_dir(path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".bin") || known.contains(&name), "{name} is tested by nothing");
    }
}

#[test]
fn purchase_takes_about_a_hundred_bytes() {
    let purchase = encoded(&records::purchase());
    // A principal of 4, a buyer of 10, a reference of 9 characters, a key, a price. A frame adds 24
    // and up to 7: 160 bytes of log, and 100 without key, reference and price.
    assert_eq!(purchase.len(), 133, "with everything a purchase can have");
    let plain = encoded(&records::plain_purchase());
    assert_eq!(plain.len(), 76, "guest checkout: no key, no reference, no price");
}

#[test]
fn the_example_in_the_format_document_is_the_golden_purchase() {
    let text = std::fs::read_to_string(root().join("schema/journal-format.md")).unwrap();
    let (_, rest) = text.split_once("```hex\n").expect("the document has an example");
    let (example, _) = rest.split_once("```").unwrap();
    let mut bytes = Vec::new();
    for line in example.lines() {
        let mut columns = line.split('|').map(str::trim);
        let offset = usize::from_str_radix(columns.next().unwrap(), 16).unwrap();
        assert_eq!(offset, bytes.len(), "{line}");
        for byte in columns.next().unwrap().split_whitespace() {
            bytes.push(u8::from_str_radix(byte, 16).unwrap());
        }
        assert!(!columns.next().unwrap_or_default().is_empty(), "{line} says what it is");
    }
    assert_eq!(bytes, std::fs::read(path("record_order_placed_v1.bin")).unwrap());
}

#[test]
fn every_cut_of_a_record_and_every_byte_behind_it_is_refused() {
    for (file, payload) in records::all() {
        let mut bytes = encoded(&payload);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "{file} cut at {cut}");
        }
        bytes.push(0);
        assert!(decode(&bytes).is_err(), "{file} with a byte behind it");
    }
}

#[test]
fn every_changed_bit_is_refused_or_another_value_and_takes_no_memory() {
    let (mut refused, mut other) = (0, 0);
    for (file, payload) in records::all() {
        let bytes = encoded(&payload);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (decoded, largest) = allocations::largest(|| decode(&flipped));
            assert!(largest <= PAYLOAD_BYTES_MAX, "{file} bit {bit}: {largest} bytes at once");
            match decoded {
                Err(_) => refused += 1,
                Ok(decoded) => {
                    assert_ne!(decoded, payload, "{file} bit {bit}");
                    assert!(encoded(&decoded) == flipped, "{file} bit {bit}: two ways to say it");
                    other += 1;
                }
            }
        }
    }
    println!("{refused} refused, {other} other values");
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    for (file, payload) in records::all() {
        let bytes = encoded(&payload);
        for at in 4..bytes.len().saturating_sub(8) {
            for length in [1 << 16, 1 << 24, 1 << 32, 1 << 40, u64::MAX] {
                let mut lying = bytes.clone();
                lying[at..at + 8].copy_from_slice(&u64::to_le_bytes(length));
                let (_, largest) = allocations::largest(|| decode(&lying));
                // Room for the items that the bytes there are can hold, doubled as a list grows;
                // and for a text of that length, which the size limit bounds.
                assert!(largest <= PAYLOAD_BYTES_MAX, "{file} at {at}: {largest} bytes at once");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_may_be_anything_never_panic(
        kind in 0..=Kind::ALL.len() as u16 + 1,
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let payload = [&kind.to_le_bytes()[..], &[1, 0], &bytes].concat();
        let (decoded, largest) = allocations::largest(|| decode(&payload));
        prop_assert!(largest <= PAYLOAD_BYTES_MAX, "{largest} bytes at once");
        if let Ok(decoded) = decoded {
            prop_assert!(encoded(&decoded) == payload);
        }
        let _ = decode(&bytes);
    }
}
