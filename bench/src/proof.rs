//! The proof from a system-call trace: no answer leaves before its record's sync has returned.
//!
//! ```text
//! answer with position s on a socket          line of its first byte
//!   must come after
//! fdatasync of the segment that holds s       line on which it returned, having begun after
//! pwrite of the bytes of frame s              the line on which that returned
//! and after
//! fsync of the directory                      which began after the segment got its name
//! ```
//!
//! Which bytes are frame s is read from the log afterwards; that they are the bytes written then
//! holds because no place of a segment is written twice. Every answer that the clients heard must
//! be in the trace, so a trace that misses some proves nothing.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use crate::connection::Head;
use crate::faults::{FaultKind, Faults};
use crate::place::Place;
use crate::strace::{At, Call};

/// A frame of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameAt {
    /// Name of its segment's file.
    pub file: String,
    /// Where in it the frame begins.
    pub offset: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// What a trace showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// Answers that tell of a record.
    pub answers: u64,
    /// Batches: writes of frames.
    pub writes: u64,
    /// Syncs of segments.
    pub syncs: u64,
    /// Segments that were written.
    pub segments: u64,
    /// Shortest time from a sync's return to the first byte of an answer that rests on it, in
    /// microseconds.
    pub margin_us_least: Option<u64>,
}

/// A part of a segment that was written.
#[derive(Debug, Clone, Copy)]
struct Written {
    end: u64,
    at: At,
}

/// What was done to one segment.
#[derive(Debug, Default)]
struct Segment {
    /// By offset.
    written: BTreeMap<u64, Written>,
    /// Begin and return of each sync, in order.
    syncs: Vec<(At, At)>,
    /// When it got its name, and when the directory's sync after that returned.
    renamed: Option<At>,
    named: Option<At>,
}

/// Checks that no answer left early. `frames` are the log's by sequence, `heard` the sequences
/// that clients were told.
pub fn check(
    calls: &[Call],
    frames: &HashMap<u64, FrameAt>,
    heard: &[u64],
    faults: &mut Faults,
) -> Proven {
    let segments = segments(calls, faults);
    let mut proven = Proven {
        writes: segments.values().map(|segment| segment.written.len() as u64).sum(),
        syncs: segments.values().map(|segment| segment.syncs.len() as u64).sum(),
        segments: segments.len() as u64,
        ..Proven::default()
    };
    let answers = answers(calls, faults);
    for (sequence, left) in &answers {
        proven.answers += 1;
        match durable(*sequence, frames, &segments) {
            Ok(durable) if durable.line < left.line => {
                let margin = left.micros.saturating_sub(durable.micros);
                let least = proven.margin_us_least.map_or(margin, |least| least.min(margin));
                proven.margin_us_least = Some(least);
            }
            Ok(durable) => faults.add(FaultKind::Early, || {
                format!(
                    "the answer with sequence {sequence} left on line {} of the trace, its sync \
                     returned on line {}, {} µs later",
                    left.line,
                    durable.line,
                    durable.micros.saturating_sub(left.micros)
                )
            }),
            Err(why) => faults.add(FaultKind::Early, || {
                format!(
                    "the answer with sequence {sequence} left on line {} of the trace: {why}",
                    left.line
                )
            }),
        }
    }
    for sequence in heard {
        if !answers.iter().any(|(answered, _)| answered == sequence) {
            faults.add(FaultKind::Contradicted, || {
                format!("a client heard of sequence {sequence}, the trace has no such answer")
            });
        }
    }
    proven
}

/// Where the record of `sequence` was on stable storage.
fn durable(
    sequence: u64,
    frames: &HashMap<u64, FrameAt>,
    segments: &HashMap<&str, Segment>,
) -> Result<At, String> {
    let frame = frames.get(&sequence).ok_or("it is not in the log")?;
    let segment = segments
        .get(frame.file.as_str())
        .ok_or_else(|| format!("{} was never written", frame.file))?;
    let written = segment.written_at(frame).ok_or("its frame was never written")?;
    let after = |(began, _): &&(At, At)| began.line > written.line;
    let sync = segment.syncs.iter().find(after);
    let (_, returned) =
        sync.ok_or_else(|| format!("{} was never synced after its frame was written", frame.file))?;
    let named = segment
        .named
        .ok_or_else(|| format!("the directory was never synced after {} was named", frame.file))?;
    Ok(named.max(*returned))
}

impl Segment {
    /// When the last of a frame's bytes was written; `None`: not all of them were.
    fn written_at(&self, frame: &FrameAt) -> Option<At> {
        let (mut from, end) = (frame.offset, frame.offset + frame.bytes);
        let mut last: Option<At> = None;
        while from < end {
            let (_, written) = self.written.range(..=from).next_back()?;
            if written.end <= from {
                return None;
            }
            last = last.max(Some(written.at));
            from = written.end;
        }
        last
    }
}

/// Name of a segment in use, if a path is one's.
fn segment_name(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    (name.starts_with("segment-") && name.ends_with(".wal")).then_some(name)
}

fn segments<'a>(calls: &'a [Call], faults: &mut Faults) -> HashMap<&'a str, Segment> {
    let mut segments: HashMap<&str, Segment> = HashMap::new();
    // Segments that have their name, and where: directory and name.
    let mut renamed: Vec<(&str, &str)> = Vec::new();
    for call in calls {
        let (Some(ended), Some(result)) = (call.ended, call.result) else { continue };
        if call.name.starts_with("rename") {
            let to = std::str::from_utf8(&call.bytes).unwrap_or_default();
            if let Some(name) = segment_name(to) {
                segments.entry(name).or_default().renamed = Some(ended);
                renamed.push((to, name));
            }
        }
        if call.name == "fsync" {
            name_synced(&mut segments, &renamed, call, ended);
        }
        let Some(name) = segment_name(&call.target) else { continue };
        let segment = segments.entry(name).or_default();
        match call.name.as_str() {
            "pwrite64" => {
                let Some(offset) = call.last else { continue };
                let end = offset + result;
                let before = segment.written.range(..end).next_back();
                if before.is_some_and(|(_, written)| written.end > offset) {
                    faults.add(FaultKind::Broken, || {
                        format!("{name} was written twice at {offset}, line {}", ended.line)
                    });
                }
                segment.written.insert(offset, Written { end, at: ended });
            }
            "fdatasync" | "fsync" => segment.syncs.push((call.began, ended)),
            "write" | "writev" | "pwritev" | "pwritev2" => faults.add(FaultKind::Broken, || {
                format!("{name} was written by {}, line {}", call.name, ended.line)
            }),
            _ => {}
        }
    }
    segments
}

/// A directory was synced: segments that had got their name in it before are there for good.
fn name_synced<'a>(
    segments: &mut HashMap<&'a str, Segment>,
    renamed: &[(&str, &'a str)],
    call: &Call,
    ended: At,
) {
    for (to, name) in renamed {
        // The two paths of a rename stand one behind the other in its bytes.
        let inside = to.ends_with(&format!("{}/{name}", call.target));
        let Some(segment) = segments.get_mut(name) else { continue };
        let before = segment.renamed.is_some_and(|renamed| renamed.line < call.began.line);
        if inside && before && segment.named.is_none() {
            segment.named = Some(ended);
        }
    }
}

/// The bytes that left on one connection, and where each part of them began to leave.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    parts: Vec<(usize, At)>,
}

/// Every answer that tells of a record: its sequence, and when its first byte left.
fn answers(calls: &[Call], faults: &mut Faults) -> Vec<(u64, At)> {
    let mut streams: BTreeMap<&str, Stream> = BTreeMap::new();
    for call in calls {
        let sends = matches!(call.name.as_str(), "write" | "writev" | "sendto" | "sendmsg");
        if !sends || !call.target.starts_with("TCP") || call.result.is_none() {
            continue;
        }
        if call.cut {
            faults.add(FaultKind::Broken, || {
                format!("line {} of the trace shows an answer in part", call.began.line)
            });
        }
        let stream = streams.entry(&call.target).or_default();
        stream.parts.push((stream.bytes.len(), call.began));
        stream.bytes.extend_from_slice(call.sent());
    }
    let mut answers = Vec::new();
    for (connection, stream) in streams {
        if let Err(reason) = stream.answers(&mut answers) {
            faults.add(FaultKind::Broken, || format!("{connection}: {reason}"));
        }
    }
    answers.sort_by_key(|(_, left)| *left);
    answers
}

impl Stream {
    fn answers(&self, answers: &mut Vec<(u64, At)>) -> Result<(), String> {
        let mut from = 0;
        while let Some(rest) = self.bytes.get(from..).filter(|rest| !rest.is_empty()) {
            let head = Head::parse(rest).map_err(|error| error.to_string())?;
            let head = head.ok_or("it ends inside a head")?;
            let end = head.head_bytes + head.body_bytes;
            let body = rest.get(head.head_bytes..end).ok_or("it ends inside a body")?;
            // A 200 of a changed product names a position too.
            if let Some(sequence) = position(body)
                && matches!(head.status, 200 | 201)
            {
                let left = self.parts.iter().rev().find(|(start, _)| *start <= from);
                let (_, left) = left.ok_or("it begins nowhere")?;
                answers.push((sequence, *left));
            } else if head.status == 201 {
                return Err("a 201 without a position".to_owned());
            }
            from += end;
        }
        Ok(())
    }
}

/// The sequence of the position in a body.
fn position(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let place = Place::parse(b'p', body.get("position")?.as_str()?)?;
    Some(place.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strace::parse;

    const WAL: &str = "/d/journal/segment-0000000001.wal";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    fn answer(sequence: u64) -> Vec<u8> {
        let position = Place { partition: 1, epoch: 1, sequence }.word(b'p');
        let body = format!(r#"{{"position":"{position}"}}"#);
        format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn write(offset: u64, bytes: u64) -> String {
        format!("pwrite64(6<{}>, \"\\x00\"..., {bytes}, {offset}) = {bytes}", hex(WAL.as_bytes()))
    }

    fn sync(end: &str) -> String {
        format!("fdatasync(6<{}>{end}", hex(WAL.as_bytes()))
    }

    fn send(bytes: &[u8]) -> String {
        let length = bytes.len();
        format!("sendto(9<TCP:[a->b]>, \"{}\", {length}, 0, NULL, 0) = {length}", hex(bytes))
    }

    /// The segment gets its name, and the directory is synced.
    fn naming() -> [(u32, String); 2] {
        let (from, to) = (hex(b"/d/journal/spare.tmp"), hex(WAL.as_bytes()));
        [
            (1, format!("rename(\"{from}\", \"{to}\") = 0")),
            (1, format!("fsync(5<{}>) = 0", hex(b"/d/journal"))),
        ]
    }

    /// Lines of threads; frames 1, 2 and 3 of 32 bytes each behind the header.
    fn check_lines(lines: &[(u32, String)], heard: &[u64]) -> (Proven, Faults) {
        check_all(&[naming().as_slice(), lines].concat(), heard)
    }

    fn check_all(lines: &[(u32, String)], heard: &[u64]) -> (Proven, Faults) {
        let line = |(place, (thread, rest)): (usize, &(u32, String))| {
            format!("{thread} 5.{:06} {rest}\n", place * 10)
        };
        let text: String = lines.iter().enumerate().map(line).collect();
        let calls = parse(&text).expect("a trace");
        let frame = |sequence: u64| {
            let file = "segment-0000000001.wal".to_owned();
            (sequence, FrameAt { file, offset: 4064 + 32 * sequence, bytes: 32 })
        };
        let frames = (1..=3).map(frame).collect();
        let mut faults = Faults::default();
        let proven = check(&calls, &frames, heard, &mut faults);
        (proven, faults)
    }

    fn fails(lines: &[(u32, String)], kind: FaultKind, part: &str) {
        let (_, faults) = check_lines(lines, &[]);
        let told = faults.first().iter().any(|f| f.kind == kind && f.detail.contains(part));
        assert!(told, "{part:?} expected: {faults}");
    }

    #[test]
    fn an_answer_after_its_sync_is_proven() {
        let two = answer(3);
        let (head, tail) = two.split_at(20);
        let lines = [
            (1, write(4096, 64)),
            (1, sync(" <unfinished ...>")),
            (2, send(&answer(1)).replace("sendto", "recvfrom")),
            (1, "<... fdatasync resumed>) = 0".to_owned()),
            (2, send(&answer(2))),
            (1, write(4160, 32)),
            (2, send(&answer(1))),
            (1, sync(") = 0")),
            (2, send(head)),
            (2, send(tail)),
        ];
        let (proven, faults) = check_lines(&lines, &[1, 2, 3]);
        assert!(faults.is_empty(), "{faults}");
        let expected =
            Proven { answers: 3, writes: 2, syncs: 2, segments: 1, margin_us_least: Some(10) };
        assert_eq!(proven, expected);
        let (_, faults) = check_lines(&lines, &[4]);
        assert_eq!(faults.of(FaultKind::Contradicted), 1, "heard, and not in the trace: {faults}");
    }

    #[test]
    fn an_answer_before_its_sync_is_found() {
        let sent = || (2, send(&answer(1)));
        let written = || (1, write(4096, 32));
        let synced = || (1, sync(") = 0"));
        // No sync at all; one before the write; one that began before the write had returned.
        fails(&[written(), sent()], FaultKind::Early, "never synced");
        fails(&[synced(), written(), sent()], FaultKind::Early, "never synced");
        let overlapping = [
            (1, sync(" <unfinished ...>")),
            (3, write(4096, 32)),
            (1, "<... fdatasync resumed>) = 0".to_owned()),
            sent(),
        ];
        fails(&overlapping, FaultKind::Early, "never synced");
        fails(&[written(), sent(), synced()], FaultKind::Early, "10 µs later");
        // It left while the sync was under way.
        let within = [
            written(),
            (1, sync(" <unfinished ...>")),
            sent(),
            (1, "<... fdatasync resumed>) = 0".to_owned()),
        ];
        fails(&within, FaultKind::Early, "left on line 5");
        // The first byte counts, not the last.
        let whole = answer(1);
        let (head, tail) = whole.split_at(9);
        let lines = [written(), (2, send(head)), synced(), (2, send(tail))];
        fails(&lines, FaultKind::Early, "left on line 4");
        fails(
            &[written(), (1, sync(") = -1 EIO (Input/output error)")), sent()],
            FaultKind::Early,
            "never synced",
        );
    }

    #[test]
    fn a_name_that_is_not_synced_is_found() {
        let [named, directory] = naming();
        let (written, synced) = ((1, write(4096, 32)), (1, sync(") = 0")));
        let sent = (2, send(&answer(1)));
        let fails = |lines: &[(u32, String)]| {
            let (_, faults) = check_all(lines, &[]);
            assert_eq!(faults.of(FaultKind::Early), 1, "{faults}");
        };
        fails(&[named.clone(), written.clone(), synced.clone(), sent.clone()]);
        let before = [directory.clone(), named.clone(), written.clone(), synced.clone()];
        fails(&[before.as_slice(), std::slice::from_ref(&sent)].concat());
        fails(&[named, written, synced, sent, directory]);
    }

    #[test]
    fn a_trace_that_cannot_prove_it_is_found() {
        let sent = || (2, send(&answer(1)));
        let synced = || (1, sync(") = 0"));
        fails(&[synced(), sent()], FaultKind::Early, "its frame was never written");
        fails(&[(1, write(4096, 16)), synced(), sent()], FaultKind::Early, "never written");
        let twice = [(1, write(4096, 32)), (1, write(4100, 8)), synced(), sent()];
        fails(&twice, FaultKind::Broken, "written twice at 4100");
        let other = (1, write(4096, 32).replace("pwrite64", "write"));
        fails(&[other, synced(), sent()], FaultKind::Broken, "written by write");
        let cut = (2, send(&answer(1)).replace("\", ", "\"..., "));
        fails(&[(1, write(4096, 32)), synced(), cut], FaultKind::Broken, "in part");
        let missing = (2, send(&answer(9)));
        fails(&[(1, write(4096, 32)), synced(), missing], FaultKind::Early, "not in the log");
    }
}
