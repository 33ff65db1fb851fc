//! A whole small journal of two segments, byte for byte: written once by the log, taken apart and
//! put together again here by `schema/journal-format.md` alone.

use std::sync::{Arc, LazyLock};

use doorbuster::journal::decode;
use doorbuster_wal::{Batch, Identity, MemStorage, Options, Recovery, Scan};
use sha2::{Digest, Sha256};

use crate::{encoded, golden, records};

/// The segments, each up to its end; the second one's zeros are left out.
pub(crate) const FILES: [&str; 3] = ["header_v1.bin", "segment_1_v1.bin", "segment_2_v1.bin"];

const NAMES: [&str; 2] = ["segment-0000000001.wal", "segment-0000000002.wal"];
const SEGMENT_BYTES: usize = 64 << 10;
const HEADER_BYTES: usize = 4096;
const JOURNAL_ID: [u8; 16] = *b"golden journal 1";

struct Fields {
    segment: u64,
    first_sequence: u64,
    durable_upto: u64,
    salt: [u8; 8],
    chain: [u8; 32],
}

/// Two starts, three records: the second start moves on what the first one's log did not prove.
fn written() -> Vec<Vec<u8>> {
    let storage = MemStorage::new();
    let mut log = started(&storage);
    for payload in [records::product_created(), records::purchase()] {
        let mut batch = Batch::new();
        batch.push(log.next_sequence(), &encoded(&payload));
        log.commit(&mut batch).unwrap();
    }
    let mut log = started(&storage);
    let mut batch = Batch::new();
    batch.push(log.next_sequence(), &encoded(&doorbuster::journal::Payload::Watermark));
    log.commit(&mut batch).unwrap();
    let mut segments: Vec<Vec<u8>> =
        NAMES.iter().map(|name| storage.bytes(name).unwrap()).collect();
    let end = segments[1].iter().rposition(|byte| *byte != 0).unwrap() + 1;
    segments[1].truncate(end.next_multiple_of(8));
    segments
}

fn started(storage: &MemStorage) -> doorbuster_wal::Log {
    let options =
        Options { segment_bytes: SEGMENT_BYTES as u64, payload_bytes_max: 4096, spare_segments: 1 };
    let mut recovery = Recovery::open(Arc::new(storage.clone()), options).unwrap();
    recovery.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
    let identity = Identity { journal_id: JOURNAL_ID, partition: 1, epoch: 1 };
    recovery.start(identity, &encoded(&records::started())).unwrap()
}

fn segments() -> [Vec<u8>; 2] {
    // One journal, also when two tests find its files missing.
    static MADE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(written);
    let made = &MADE;
    [0, 1].map(|place| golden(FILES[place + 1], || made[place].clone()))
}

/// A header by the table of the format document.
fn header(fields: &Fields) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(b"DOORBWAL");
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    bytes[16..32].copy_from_slice(&JOURNAL_ID);
    bytes[32..34].copy_from_slice(&1u16.to_le_bytes());
    bytes[36..40].copy_from_slice(&1u32.to_le_bytes());
    bytes[40..48].copy_from_slice(&fields.segment.to_le_bytes());
    bytes[48..56].copy_from_slice(&fields.first_sequence.to_le_bytes());
    bytes[56..64].copy_from_slice(&(SEGMENT_BYTES as u64).to_le_bytes());
    bytes[64..72].copy_from_slice(&fields.salt);
    bytes[72..80].copy_from_slice(&fields.durable_upto.to_le_bytes());
    bytes[96..128].copy_from_slice(&fields.chain);
    let crc = crc32c::crc32c(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A frame by the table of the format document.
fn frame(salt: [u8; 8], sequence: u64, durable_upto: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&durable_upto.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let seed = crc32c::crc32c(&salt);
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(seed, &bytes[0..4]), &bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn salt_of(segment: &[u8]) -> [u8; 8] {
    segment[64..72].try_into().unwrap()
}

#[test]
fn golden_segments_are_what_the_document_says_byte_for_byte() {
    let [first, second] = segments();
    let salt = salt_of(&first);
    let fields = Fields { segment: 1, first_sequence: 1, durable_upto: 1, salt, chain: [0; 32] };
    let expected = [
        header(&fields),
        frame(salt, 1, 1, &encoded(&records::started())),
        frame(salt, 2, 1, &encoded(&records::product_created())),
    ];
    assert!(first == expected.concat(), "segment 1 ends where segment 2 begins");
    let chain = Sha256::digest(&first).into();
    let salt = salt_of(&second);
    let fields = Fields { segment: 2, first_sequence: 3, durable_upto: 4, salt, chain };
    let expected = [
        header(&fields),
        frame(salt, 3, 2, &encoded(&records::purchase())),
        frame(salt, 4, 4, &encoded(&records::started())),
        frame(salt, 5, 4, &encoded(&doorbuster::journal::Payload::Watermark)),
    ];
    assert!(second == expected.concat(), "segment 2 begins with what was not proven");
    assert!(golden(FILES[0], || first[..HEADER_BYTES].to_vec()) == first[..HEADER_BYTES]);
}

#[test]
fn golden_journal_is_read_by_this_binary() {
    let [first, mut second] = segments();
    second.resize(SEGMENT_BYTES, 0);
    let storage = MemStorage::new();
    storage.set_bytes(NAMES[0], first);
    storage.set_bytes(NAMES[1], second);
    let scan = Scan::open(Arc::new(storage.clone())).unwrap();
    assert_eq!(scan.identity().map(|identity| identity.journal_id), Some(JOURNAL_ID));
    let mut read = Vec::new();
    let replayed = scan
        .replay(
            &mut |entry| {
                read.push(decode(entry.payload).map_err(|error| error.to_string())?);
                Ok(())
            },
            &mut |_| {},
        )
        .unwrap();
    let expected = [
        records::started(),
        records::product_created(),
        records::purchase(),
        records::started(),
        doorbuster::journal::Payload::Watermark,
    ];
    assert_eq!(read, expected);
    assert_eq!((replayed.proven_sequence, replayed.torn), (4, None));
    // And goes on being written.
    assert_eq!(started(&storage).next_sequence(), 7);
}
