//! The frames of a segment.

use doorbuster_wal::{Entry, Header, Identity};

use crate::log::{HEADER_BYTES, SEGMENT_BYTES, header, open, put};
use crate::{flipped, some_bit};

const FRAME_HEADER_BYTES: usize = 24;
const SALT: u64 = 0x0102_0304_0506_0708;

/// What is read are frames as the document lays them out, and none with a flipped bit is read.
pub(crate) fn fuzz(bytes: &[u8]) {
    // A whole segment, such as a golden one, is taken for its frames.
    let frames = match bytes.starts_with(b"DOORBWAL") {
        true => bytes.get(HEADER_BYTES..).unwrap_or_default(),
        false => bytes,
    };
    let mut frames = frames.get(..SEGMENT_BYTES - HEADER_BYTES).unwrap_or(frames).to_vec();
    read(&frames);
    repair(&mut frames);
    let ends = read(&frames);
    let Some(end) = ends.last() else { return };
    let (sound, behind) = frames.split_at(*end);
    let bit = some_bit(sound);
    let torn = [&flipped(sound, bit), behind].concat();
    let before = ends.iter().filter(|end| **end * 8 <= bit).count();
    assert!(read(&torn).len() <= before, "bit {bit} passes");
}

/// Puts sequences and checksums right, as far as there are frames by their lengths.
fn repair(frames: &mut [u8]) {
    let seed = crc32c::crc32c(&SALT.to_le_bytes());
    let (mut rest, mut sequence) = (frames, 0u64);
    while let Some(length) = rest.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)) {
        let whole = (FRAME_HEADER_BYTES + length as usize).next_multiple_of(8);
        if length == 0 || whole > rest.len() {
            return;
        }
        let (frame, next) = rest.split_at_mut(whole);
        sequence += 1;
        // Now and then it is left as it is: the next one must be refused.
        if length % 16 != 15 {
            let [s0, s1, s2, s3, s4, s5, s6, s7] = sequence.to_le_bytes();
            put(frame, 8..12, [s0, s1, s2, s3]);
            put(frame, 12..16, [s4, s5, s6, s7]);
        }
        let crc = crc32c::crc32c_append(seed, frame.get(..4).unwrap_or_default());
        let crc = crc32c::crc32c_append(crc, frame.get(8..).unwrap_or_default());
        put(frame, 4..8, crc.to_le_bytes());
        rest = next;
    }
}

/// Where each frame ends that a scan reads, each checked against the document.
fn read(frames: &[u8]) -> Vec<usize> {
    let head = Header {
        identity: Identity { journal_id: [7; 16], partition: 1, epoch: 1 },
        segment: 1,
        first_sequence: 1,
        segment_bytes: SEGMENT_BYTES as u64,
        salt: SALT,
        durable_upto: 0,
        chain: [0; 32],
    };
    let bytes = [&header(&head), frames].concat();
    let scan = open(&bytes, SEGMENT_BYTES).expect("the header is sound");
    let (mut ends, mut last) = (Vec::new(), 0);
    let mut visit = |entry: &Entry<'_>| {
        last += 1;
        assert_eq!(entry.sequence, last, "in order");
        assert!(entry.durable_upto <= entry.sequence, "nothing proves what comes after it");
        let frame = frame(entry);
        let at = entry.offset as usize - HEADER_BYTES;
        assert!(frames.get(at..at + frame.len()) == Some(&frame), "two ways to say {entry:?}");
        ends.push(at + frame.len());
        Ok(())
    };
    // Damage and a torn tail are what most bytes come to.
    if let Ok(replayed) = scan.replay(&mut visit, &mut |_| ()) {
        assert_eq!(replayed.last_sequence, last);
        assert!(replayed.proven_sequence <= last, "what is proven is there");
    }
    ends
}

/// A frame as the document lays it out.
fn frame(entry: &Entry<'_>) -> Vec<u8> {
    let length = u32::try_from(entry.payload.len()).expect("it is inside a segment");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&entry.sequence.to_le_bytes());
    bytes.extend_from_slice(&entry.durable_upto.to_le_bytes());
    bytes.extend_from_slice(entry.payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let seed = crc32c::crc32c(&SALT.to_le_bytes());
    let crc = crc32c::crc32c_append(seed, bytes.get(..4).unwrap_or_default());
    let crc = crc32c::crc32c_append(crc, bytes.get(8..).unwrap_or_default());
    put(&mut bytes, 4..8, crc.to_le_bytes());
    bytes
}
