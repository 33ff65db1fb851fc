//! Every cut and every bit of a small log, and what happens to its files: exactly recovered,
//! refused, or cut inside the last unproven batch and said so. Never another state.

use doorbuster_wal::{HEADER_BYTES, MemStorage, Shared, WalError};

use crate::harness::{Records, Writing, assert_same, payload, read, start};

/// Segment 1: start, a batch of two. Segment 2: a record that was not proven when it began, its
/// start, a batch of two, and as the last batch four records over several sectors.
struct Reference {
    storage: MemStorage,
    records: Records,
    /// Where each frame of the last segment begins, and where the last one ends.
    frames: Vec<usize>,
}

const LAST: &str = "segment-0000000002.wal";
/// Records of the last segment, and how many of them are proven durable.
const IN_LAST: usize = 8;
const PROVEN_IN_LAST: usize = 4;
/// Records of the last segment that its header alone proves.
const PROVEN_BY_HEADER: usize = 2;

fn reference() -> Reference {
    let storage = MemStorage::new();
    let mut first = Writing::start(&storage).unwrap();
    first.commit(&[payload(2, 20), payload(3, 30)]).unwrap();
    first.commit(&[payload(4, 9)]).unwrap();
    drop(first);
    let mut second = Writing::start(&storage).unwrap();
    second.commit(&[payload(6, 40), payload(7, 24)]).unwrap();
    second.commit(&[payload(8, 300), payload(9, 17), payload(10, 700), payload(11, 33)]).unwrap();
    let records = second.submitted.clone();
    let mut frames = vec![HEADER_BYTES as usize];
    for record in &records[records.len() - IN_LAST..] {
        frames.push(frames[frames.len() - 1] + Shared::frame_bytes(record.len()) as usize);
    }
    Reference { storage, records, frames }
}

impl Reference {
    /// Records that a log holds whose last segment is sound up to `offset`.
    fn sound_up_to(&self, offset: usize) -> usize {
        let before = self.records.len() - IN_LAST;
        before + self.frames[1..].iter().filter(|end| **end <= offset).count()
    }

    /// The frame of the last segment that a byte belongs to, if it does.
    fn frame_at(&self, offset: usize) -> Option<usize> {
        let index = self.frames.iter().position(|start| offset < *start)?;
        index.checked_sub(1)
    }

    fn last_bytes(&self) -> Vec<u8> {
        self.storage.bytes(LAST).unwrap()
    }

    /// What reading finds with the last segment changed.
    fn with_last(&self, bytes: Vec<u8>) -> Result<(Records, bool), WalError> {
        self.storage.set_bytes(LAST, bytes);
        read(&self.storage).map(|(records, replayed)| (records, replayed.torn.is_some()))
    }

    fn check_cut(&self, kept: usize, found: Result<(Records, bool), WalError>, what: &str) -> bool {
        let (records, torn) = found.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_same(&records, &self.records[..kept], what);
        torn
    }
}

fn assert_corrupt(error: &WalError, segment: u64, sequence: Option<u64>, what: &str) {
    let WalError::Corrupt { segment: found, file, offset, sequence: at, reason } = error else {
        panic!("{what}: {error}");
    };
    assert_eq!((*found, *at), (segment, sequence), "{what}: {reason}");
    assert_eq!(file, &format!("segment-{segment:010}.wal"), "{what}");
    if sequence.is_some() {
        assert!(*offset >= HEADER_BYTES, "{what}");
    }
}

#[test]
fn every_bit_of_the_last_segment_is_recovered_refused_or_cut() {
    let reference = reference();
    let sound = reference.last_bytes();
    let end = reference.frames[IN_LAST];
    let (mut cut, mut refused) = (0, 0);
    // All bits of frames and of the used part of the header; samples of the zeros.
    let bits = (0..128 * 8).chain((128 * 8..4096 * 8).step_by(509));
    let bits = bits.chain(4096 * 8..end * 8).chain((end * 8..sound.len() * 8).step_by(4099));
    for bit in bits {
        let (byte, what) = (bit / 8, format!("bit {bit}"));
        let mut flipped = sound.clone();
        flipped[byte] ^= 1 << (bit % 8);
        let found = reference.with_last(flipped);
        let first = reference.records.len() - IN_LAST + 1;
        match reference.frame_at(byte) {
            None if byte < HEADER_BYTES as usize => {
                assert_corrupt(&found.unwrap_err(), 2, None, &what);
                refused += 1;
            }
            Some(frame) if frame < PROVEN_IN_LAST => {
                let sequence = (first + frame) as u64;
                assert_corrupt(&found.unwrap_err(), 2, Some(sequence), &what);
                refused += 1;
            }
            Some(frame) => {
                assert!(reference.check_cut(first + frame - 1, found, &what), "{what}");
                cut += 1;
            }
            None => {
                assert!(reference.check_cut(reference.records.len(), found, &what), "{what}");
                cut += 1;
            }
        }
    }
    println!("{refused} flips refused, {cut} cut in the last batch or behind it");
    assert!(refused > 2_000 && cut > 8_000, "{refused} {cut}");
}

#[test]
fn every_bit_of_a_closed_segment_is_refused() {
    let Reference { storage, .. } = reference();
    let name = "segment-0000000001.wal";
    let sound = storage.bytes(name).unwrap();
    let bits =
        (0..128 * 8).chain((128 * 8..4096 * 8).step_by(509)).chain(4096 * 8..sound.len() * 8);
    let mut count = 0;
    for bit in bits {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        storage.set_bytes(name, flipped);
        let error = read(&storage).unwrap_err();
        let in_frame = bit / 8 >= HEADER_BYTES as usize;
        assert!(
            matches!(error, WalError::Corrupt { segment: 1, sequence, .. }
            if sequence.is_some() == in_frame),
            "bit {bit}: {error}"
        );
        count += 1;
    }
    println!("{count} flips refused");
}

#[test]
fn last_write_that_ended_anywhere_is_cut_there() {
    let reference = reference();
    let sound = reference.last_bytes();
    let end = reference.frames[IN_LAST];
    let first = reference.records.len() - IN_LAST + 1;
    for at in HEADER_BYTES as usize..=end {
        let mut zeroed = sound.clone();
        zeroed[at..].fill(0);
        let what = format!("zeros from {at}");
        // A frame whose padding alone was lost is whole.
        let sound_frames = reference.sound_up_to(at)..=reference.sound_up_to(at + 7);
        match reference.with_last(zeroed.clone()) {
            Ok((records, torn)) => {
                let kept = records.len();
                assert_same(&records, &reference.records[..kept], &what);
                assert!(sound_frames.contains(&kept), "{what}: {kept} records");
                let behind = &zeroed[reference.frames[kept + 1 - first]..];
                assert_eq!(torn, behind.iter().any(|byte| *byte != 0), "{what}");
            }
            // What came later than the start record was proven by frames that are gone.
            Err(error) => {
                let WalError::Corrupt { sequence: Some(sequence), .. } = error else {
                    panic!("{what}: {error}");
                };
                let kept = usize::try_from(sequence).unwrap() - 1;
                assert!(sound_frames.contains(&kept), "{what}: {error}");
                assert!(kept < first - 1 + PROVEN_BY_HEADER, "{what}: {error}");
            }
        }
    }
    println!("{} cuts of the last writes", end - HEADER_BYTES as usize + 1);
}

#[test]
pub(crate) fn lost_sectors_of_the_last_batch_are_cut_though_later_ones_landed() {
    let reference = reference();
    let sound = reference.last_bytes();
    let (from, end) = (reference.frames[PROVEN_IN_LAST], reference.frames[IN_LAST]);
    let sectors: Vec<(usize, usize)> = (from / 512..=(end - 1) / 512)
        .map(|sector| ((sector * 512).max(from), ((sector + 1) * 512).min(end)))
        .collect();
    assert!(sectors.len() >= 3, "{sectors:?}");
    for lost in 1..1u32 << sectors.len() {
        let mut torn = sound.clone();
        let is_lost = |place: usize| lost & (1 << place) != 0;
        for (_, (from, to)) in sectors.iter().enumerate().filter(|(place, _)| is_lost(*place)) {
            torn[*from..*to].fill(0);
        }
        let (first_lost, _) = sectors[lost.trailing_zeros() as usize];
        let what = format!("sectors {lost:b} of {sectors:?}");
        let kept = reference.sound_up_to(first_lost);
        reference.check_cut(kept, reference.with_last(torn.clone()), &what);
        // What was cut is told and kept, and the log goes on without it.
        let storage = MemStorage::new();
        for name in ["segment-0000000001.wal", LAST] {
            storage.set_bytes(name, reference.storage.bytes(name).unwrap());
        }
        let (_, records, replayed) = start(&storage).unwrap();
        assert_eq!(records.len(), kept + 1, "{what}");
        if let Some(torn) = replayed.torn {
            let copy = storage.bytes(&torn.copy_name()).unwrap();
            assert_eq!(copy.len() as u64, torn.bytes, "{what}");
            assert_eq!(torn.sequence, kept as u64 + 1, "{what}");
        }
        assert_same(&read(&storage).unwrap().0, &records, &what);
    }
}

#[test]
fn file_cut_anywhere_is_refused() {
    let reference = reference();
    let sound = reference.last_bytes();
    let near = reference.frames[IN_LAST] + 64;
    let cuts =
        (0..near).step_by(3).chain((near..sound.len()).step_by(997)).chain([sound.len() - 1]);
    let mut count = 0;
    for cut in cuts {
        let found = reference.with_last(sound[..cut].to_vec());
        assert_corrupt(&found.unwrap_err(), 2, None, &format!("cut to {cut}"));
        count += 1;
    }
    reference.storage.set_bytes(LAST, sound.clone());
    let name = "segment-0000000001.wal";
    let closed = reference.storage.bytes(name).unwrap();
    for cut in 0..closed.len() {
        reference.storage.set_bytes(name, closed[..cut].to_vec());
        let error = read(&reference.storage).unwrap_err();
        let named = matches!(error, WalError::Corrupt { segment: 1, sequence, .. }
            if sequence.is_some() == (cut >= HEADER_BYTES as usize));
        assert!(named, "closed segment cut to {cut}: {error}");
        count += 1;
    }
    println!("{count} cuts refused");
}

#[test]
fn damage_before_the_watermark_names_segment_offset_and_sequence() {
    let storage = MemStorage::new();
    let mut log = Writing::start(&storage).unwrap();
    log.commit(&[payload(2, 20)]).unwrap();
    log.commit(&[payload(3, 20)]).unwrap();
    let name = "segment-0000000001.wal";
    let mut bytes = storage.bytes(name).unwrap();
    let second = HEADER_BYTES as usize + Shared::frame_bytes("started".len()) as usize;
    bytes[second + 30] ^= 4;
    storage.set_bytes(name, bytes);
    let text = start(&storage).err().unwrap().to_string();
    let expected = format!(
        "the log is damaged: {name} at offset {second}, sequence 2: \
         the frame's checksum does not match, though the log was durable up to 2"
    );
    assert_eq!(text, expected);
}
