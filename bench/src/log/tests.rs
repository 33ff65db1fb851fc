//! Logs that are sound, torn, damaged, archived and pruned, written by hand.

use super::*;
use crate::made;

/// Writes a segment with frames from `first` on, each with its sequence as payload.
fn write(directory: &Path, number: u64, first: u64, count: u64, chain: [u8; 32]) -> Vec<u8> {
    write_after(directory, made::header(number, first, chain), count)
}

fn write_after(directory: &Path, header: Vec<u8>, count: u64) -> Vec<u8> {
    let Header { segment: number, first_sequence: first, .. } =
        Header::parse(&header).expect("a header");
    let mut bytes = header.clone();
    for sequence in first..first + count {
        bytes.extend(made::frame(&header, sequence, sequence - 1, &sequence.to_le_bytes()));
    }
    let name = format!("segment-{number:010}.wal");
    std::fs::write(directory.join(name), [bytes.as_slice(), &[0; 4096]].concat()).expect("room");
    bytes
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn sequences(directory: &Path, from: u64) -> Result<(Vec<u64>, End), LogError> {
    let mut seen = Vec::new();
    let end = Log::open(directory)?.read(from, |frame| seen.push(frame.sequence))?;
    Ok((seen, end))
}

#[test]
fn segments_are_read_in_order_and_rewritten_frames_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("journal");
    std::fs::create_dir(&inner).expect("room");
    // Frames 4 and 5 were written again in the second segment.
    let first = write(&inner, 1, 1, 5, [0; 32]);
    let chain = digest(&first[..HEADER_BYTES + 3 * 32]);
    write(&inner, 2, 4, 4, chain);
    std::fs::write(inner.join("segment-0000000003.tmp"), "spare").expect("room");
    let (seen, end) = sequences(directory.path(), 1).expect("a log");
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((end.next_sequence, end.segments, end.torn), (8, 2, false));
    assert_eq!(sequences(directory.path(), 6).expect("a log").0, [6, 7]);
}

#[test]
fn a_torn_end_is_an_end_and_a_hole_is_damage() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("segment-0000000001.wal");
    let bytes = write(directory.path(), 1, 1, 3, [0; 32]);
    let mut torn = bytes.clone();
    *torn.last_mut().expect("bytes") ^= 1;
    std::fs::write(&path, &torn).expect("room");
    let (seen, end) = sequences(directory.path(), 1).expect("a log");
    assert_eq!((seen, end.torn), (vec![1, 2], true));
    // Frame 3 says that 2 was durable, so 2 cannot be a torn write.
    let mut hole = bytes.clone();
    hole[HEADER_BYTES + 32 + 30] ^= 1;
    std::fs::write(&path, &hole).expect("room");
    let error = sequences(directory.path(), 1).expect_err("damage").to_string();
    assert!(error.contains("before sequence 2"), "{error}");
}

#[test]
fn a_tail_that_was_durable_when_the_segment_got_its_name_is_never_torn() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("segment-0000000001.wal");
    // A start wrote 1 and 2 again, and 3, before the file got its name; 4 came later.
    let bytes = write_after(directory.path(), made::header_after(1, 1, 3, [0; 32]), 4);
    assert_eq!(sequences(directory.path(), 1).expect("a log").0, [1, 2, 3, 4]);
    for (frame, torn) in [(4, true), (3, false), (1, false)] {
        let mut cut = bytes.clone();
        cut[HEADER_BYTES + 32 * (frame - 1)..].fill(0);
        cut[HEADER_BYTES + 32 * frame - 1] = 1;
        std::fs::write(&path, &cut).expect("room");
        let read = sequences(directory.path(), 1);
        match torn {
            true => assert!(read.expect("a log").1.torn),
            false => {
                let error = read.expect_err("damage").to_string();
                assert!(error.contains(&format!("before sequence {frame}")), "{error}");
                assert!(error.contains("up to 3 all was durable"), "{error}");
            }
        }
    }
}

#[test]
fn missing_foreign_and_changed_segments_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let first = write(path, 1, 1, 3, [0; 32]);
    write(path, 3, 4, 1, digest(&first));
    let error = sequences(path, 1).expect_err("a gap").to_string();
    assert!(error.contains("does not follow"), "{error}");
    std::fs::remove_file(path.join("segment-0000000003.wal")).expect("it was there");
    write(path, 2, 4, 1, [1; 32]);
    let error = sequences(path, 1).expect_err("another chain").to_string();
    assert!(error.contains("digest"), "{error}");
    write(path, 2, 5, 1, digest(&first));
    let error = sequences(path, 1).expect_err("a missing frame").to_string();
    assert!(error.contains("before sequence 4"), "{error}");
    let empty = tempfile::tempdir().expect("a directory");
    let error = sequences(empty.path(), 1).expect_err("empty").to_string();
    assert!(error.contains("no segments"), "{error}");
}

/// Packs a segment's bytes as the engine does, in two frames, and takes the live one away.
fn archive(directory: &Path, number: u64, bytes: &[u8]) {
    let inner = directory.join(ARCHIVE_DIR);
    std::fs::create_dir_all(&inner).expect("room");
    let (header, frames) = bytes.split_at(HEADER_BYTES);
    let packed = made::packed(&[header.to_vec(), frames.to_vec()]);
    std::fs::write(inner.join(format!("segment-{number:010}.wal.zst")), packed).expect("room");
    std::fs::remove_file(directory.join(format!("segment-{number:010}.wal"))).expect("live");
}

#[test]
fn an_archived_segment_is_read_like_a_live_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let first = write(path, 1, 1, 3, [0; 32]);
    let second = write(path, 2, 4, 2, digest(&first));
    write(path, 3, 6, 1, digest(&second));
    archive(path, 1, &first);
    archive(path, 2, &second);
    let (seen, end) = sequences(path, 1).expect("a log");
    assert_eq!((seen, end.segments), (vec![1, 2, 3, 4, 5, 6], 3));
    // A crash may leave both: the live one counts, whatever lies in the archive.
    std::fs::write(path.join("segment-0000000002.wal"), &second).expect("room");
    let packed = path.join("archive/segment-0000000002.wal.zst");
    std::fs::write(&packed, "half").expect("room");
    assert_eq!(sequences(path, 1).expect("a log").0.len(), 6);
    std::fs::remove_file(path.join("segment-0000000002.wal")).expect("it was there");
    let error = sequences(path, 1).expect_err("damage").to_string();
    assert!(error.contains("segment-0000000002.wal.zst"), "{error}");
    std::fs::remove_file(packed).expect("it was there");
    let error = sequences(path, 1).expect_err("a gap").to_string();
    assert!(error.contains("does not follow"), "{error}");
}

#[test]
fn a_segment_that_is_archived_while_it_is_read_is_read_from_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let first = write(path, 1, 1, 3, [0; 32]);
    write(path, 2, 4, 1, digest(&first));
    let log = Log::open(path).expect("a log");
    archive(path, 1, &first);
    let mut seen = Vec::new();
    log.read(1, |frame| seen.push(frame.sequence)).expect("still a log");
    assert_eq!(seen, [1, 2, 3, 4]);
}

#[test]
fn a_pruned_log_begins_where_its_marker_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let first = write(path, 1, 1, 3, [0; 32]);
    let second = write(path, 2, 4, 2, digest(&first));
    write(path, 3, 6, 1, digest(&second));
    std::fs::write(path.join("pruned-0000000001.bin"), "older").expect("room");
    let marker = path.join("pruned-0000000002.bin");
    std::fs::write(&marker, made::marker(2, 4, digest(&first))).expect("room");
    // The first segment is deleted, or a crash has left it.
    for _ in 0..2 {
        let log = Log::open(path).expect("a log");
        assert_eq!(log.first_sequence(), 4);
        assert_eq!(sequences(path, 1).expect("a log").0, [4, 5, 6]);
        let _ = std::fs::remove_file(path.join("segment-0000000001.wal"));
    }
    std::fs::write(&marker, made::marker(2, 4, [9; 32])).expect("room");
    let error = sequences(path, 1).expect_err("another chain").to_string();
    assert!(error.contains("does not say the same"), "{error}");
    std::fs::remove_file(&marker).expect("it was there");
    std::fs::remove_file(path.join("pruned-0000000001.bin")).expect("it was there");
    let error = sequences(path, 1).expect_err("no marker").to_string();
    assert!(error.contains("nothing says that they were pruned"), "{error}");
}

#[test]
fn a_log_goes_on_under_a_higher_epoch_and_never_under_a_lower_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let first = write(path, 1, 1, 3, [0; 32]);
    write_after(path, made::header_of(4, 2, 4, 3, digest(&first)), 2);
    assert_eq!(sequences(path, 1).expect("a log").0, [1, 2, 3, 4, 5]);
    let log = Log::open(path).expect("a log");
    assert_eq!([1, 3, 4, 5, 9].map(|sequence| log.owner_of(sequence).1), [1, 1, 4, 4, 4]);
    write_after(path, made::header_of(0, 2, 4, 3, digest(&first)), 2);
    let error = sequences(path, 1).expect_err("a lower one").to_string();
    assert!(error.contains("another log"), "{error}");
}
