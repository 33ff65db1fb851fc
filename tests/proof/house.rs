//! A small log with every kind of record that changes a product, in two segments; its proofs.

use std::sync::Arc;

use doorbuster::domain::{AdjustReason, Patch, ProductId, SaleId, TermsPatch, Text};
use doorbuster::journal::{JournalScan, Payload, Started, encode};
use doorbuster::proof::{
    Alone, Ask, Difference, ProofError, Subject, Written, check_against, check_alone, write,
};
use doorbuster_wal::{Batch, DirStorage, MemStorage, Options, Recovery, Scan, Storage};

use crate::log::{START_MS, TestLog, identity};

/// Words that name somebody: each begins so, in buyers, references and texts.
pub(crate) const SECRET: &str = "secret-";

/// A log whose last order has this many units.
pub(crate) fn log(journal: u8, last_units: u64) -> MemStorage {
    log_of(journal, last_units, "buyer")
}

/// The same, with buyers and references of other names.
pub(crate) fn log_of(journal: u8, last_units: u64, who: &str) -> MemStorage {
    let storage = MemStorage::new();
    let mut log = TestLog::of(identity(journal), Arc::new(storage.clone()));
    story(&mut log, last_units, who);
    log.sync();
    small(journal, &payloads(&storage))
}

fn story(log: &mut TestLog, last_units: u64, who: &str) {
    let buyer = |number: u32| format!("{SECRET}{who}-{number}");
    let paper = format!("{SECRET}ref-of-{who}");
    let sale = || Some(SaleId::new("xmas").unwrap());
    log.create("hat", 10, |terms| terms.sale_id = sale());
    log.create("mug", 5, |_| ());
    log.create("shoe", 7, |terms| terms.oversell_limit = 2);
    log.now_ms += 10;
    log.order(&buyer(1), &[("hat", 2, Some(500)), ("mug", 1, None)], Some(&paper));
    let order = log.order(&buyer(2), &[("shoe", 3, None), ("hat", 1, None)], None);
    let placed = log.hold(&buyer(3), &[("hat", 4, None)], 60_000, Some(&paper));
    log.extend(placed, 70_000);
    log.now_ms += 10;
    log.confirm(placed, Some(&[(0, 3)]), Some(&paper));
    let expires = log.hold(&buyer(4), &[("hat", 1, None), ("shoe", 1, None)], 1_000, None);
    assert!(expires.get() > 0);
    log.watermark();
    log.now_ms += 2_000;
    assert_eq!(log.expire(), 1);
    let reason = AdjustReason::Other(Text::new("secret-words").unwrap());
    log.adjust("hat", 3, reason, Some(&paper));
    log.change_sale("xmas", TermsPatch { oversell_limit: Patch::Set(1), ..Default::default() });
    log.change("shoe", TermsPatch { sale_id: Patch::Set(sale()), ..Default::default() });
    log.cancel(order, Some(&[(0, 2)]), true, None).unwrap();
    log.cancel(order, None, false, Some(&paper)).unwrap();
    let held = log.hold(&buyer(5), &[("shoe", 2, None)], 60_000, None);
    log.release(held);
    log.hold(&buyer(6), &[("hat", 1, None)], 60_000, None);
    log.order(&buyer(7), &[("hat", last_units, None)], None);
    log.watermark();
}

fn payloads(storage: &MemStorage) -> Vec<Vec<u8>> {
    payloads_of(Arc::new(storage.clone()))
}

fn payloads_of(storage: Arc<dyn Storage>) -> Vec<Vec<u8>> {
    let (scan, mut payloads) = (Scan::open(storage).unwrap(), Vec::new());
    let mut keep = |entry: &doorbuster_wal::Entry<'_>| {
        payloads.push(entry.payload.to_vec());
        Ok(())
    };
    scan.replay(&mut keep, &mut |_| ()).unwrap();
    payloads
}

fn start(storage: &MemStorage, journal: u8, started_at_ms: u64) -> doorbuster_wal::Log {
    let options = Options { segment_bytes: 64 << 10, payload_bytes_max: 4096, spare_segments: 1 };
    let mut recovery = Recovery::open(Arc::new(storage.clone()), options).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| ()).unwrap();
    let started = Payload::Started(Started { started_at_ms, binary: "test".into() });
    recovery.start(identity(journal), &encoded(&started)).unwrap()
}

fn encoded(payload: &Payload) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(payload, &mut bytes);
    bytes
}

fn append(log: &mut doorbuster_wal::Log, payload: &[u8]) {
    let mut batch = Batch::new();
    batch.push(log.next_sequence(), payload);
    log.commit(&mut batch).unwrap();
}

/// The same records in segments of the least size. Sequences that records name must not move: a
/// start takes the place of the first watermark.
fn small(journal: u8, payloads: &[Vec<u8>]) -> MemStorage {
    let storage = MemStorage::new();
    let mut log = start(&storage, journal, START_MS);
    let watermark = encoded(&Payload::Watermark);
    let second = payloads.iter().position(|payload| *payload == watermark);
    for (place, payload) in payloads.iter().enumerate().skip(1) {
        if Some(place) == second {
            log = start(&storage, journal, START_MS + 2_000);
        } else {
            append(&mut log, payload);
        }
    }
    storage
}

/// The records of a directory in one segment that is no larger than it must be: quick to read again
/// and again.
pub(crate) fn copied(directory: &std::path::Path) -> MemStorage {
    let payloads = payloads_of(Arc::new(DirStorage::open_existing(directory).unwrap()));
    let storage = MemStorage::new();
    let bytes: usize = payloads.iter().map(|payload| payload.len() + 40).sum();
    let options = Options {
        segment_bytes: (bytes as u64 + (1 << 20)).next_multiple_of(4096),
        ..Options::default()
    };
    let mut recovery = Recovery::open(Arc::new(storage.clone()), options).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| ()).unwrap();
    let mut log = recovery.start(identity(7), &payloads[0]).unwrap();
    for payload in &payloads[1..] {
        append(&mut log, payload);
    }
    storage
}

/// Starts the log again and appends a record that changes nothing: all before is proven.
pub(crate) fn go_on(storage: &MemStorage, journal: u8) {
    let mut log = start(storage, journal, START_MS + 1_000_000);
    append(&mut log, &encoded(&Payload::Watermark));
}

/// Moves what is closed into the archive.
pub(crate) fn archive(storage: &MemStorage, journal: u8) {
    let log = start(storage, journal, START_MS + 2_000_000);
    for header in log.shared().closed_segments() {
        assert!(log.shared().archive(header.segment).unwrap(), "segment {}", header.segment);
    }
}

/// Deletes what is archived.
pub(crate) fn prune(storage: &MemStorage) {
    let scan = Scan::open(Arc::new(storage.clone())).unwrap();
    let first = scan.prunable(u64::MAX).unwrap().expect("something is archived");
    scan.prune(&first).unwrap();
}

pub(crate) fn scan(storage: &MemStorage) -> JournalScan {
    JournalScan::open(Arc::new(storage.clone())).unwrap()
}

pub(crate) fn product(id: &str) -> Ask {
    let subject = Subject::ProductId(ProductId::new(id).unwrap());
    Ask { subject, last_sequence: None, with_buyers: false }
}

pub(crate) fn sale(id: &str) -> Ask {
    let subject = Subject::SaleId(SaleId::new(id).unwrap());
    Ask { subject, last_sequence: None, with_buyers: false }
}

/// Writes a proof; what it is, and its bytes.
pub(crate) fn proof(storage: &MemStorage, ask: &Ask) -> Result<(Written, Vec<u8>), ProofError> {
    let mut bytes = Vec::new();
    let mut sink = |line: &[u8]| {
        bytes.extend_from_slice(line);
        Ok::<(), ProofError>(())
    };
    let written = write(&scan(storage), ask, &mut sink, &mut |_| ())?;
    Ok((written, bytes))
}

pub(crate) fn alone(bytes: &[u8]) -> Alone {
    check_alone(&mut &*bytes, &mut |_| ()).unwrap()
}

/// What is wrong by itself; nothing: it is sound.
pub(crate) fn wrong(bytes: &[u8]) -> Option<String> {
    alone(bytes).wrong.map(|(line, reason)| format!("line {line}: {reason}"))
}

/// Where a proof and a log part. One whose head cannot be read has nothing to compare.
pub(crate) fn against(storage: &MemStorage, bytes: &[u8]) -> Option<Difference> {
    let Some(head) = alone(bytes).head else {
        return Some(Difference { line: 1, what: "no head".to_owned() });
    };
    check_against(&scan(storage), &head, &mut &*bytes, &mut |_| ()).unwrap()
}

/// The digest of all lines but the last, put into the last: as somebody would who knows the form.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let Some((before, end)) = text.trim_end().rsplit_once('\n') else { return bytes.to_vec() };
    let before = format!("{before}\n");
    let Some((head, _)) = end.split_once("\"sha256\":\"") else { return bytes.to_vec() };
    let digest = Sha256::digest(before.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{before}{head}\"sha256\":\"{digest}\"}}\n").into_bytes()
}

/// Lines, each with its end.
pub(crate) fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.split_inclusive('\n').map(str::to_owned).collect()
}
