//! What `strace` wrote: system calls with their bytes, in the order in which they began.
//!
//! Reads the output of `strace -f -ttt -yy -xx -s N -o FILE`: every string is in hexadecimal, every
//! descriptor with its file or its connection. A line's place in the file is the order that counts:
//! the tracer holds a thread at the entry and at the return of each call, so a call that caused
//! another has returned on an earlier line than the other begins on.

use std::collections::HashMap;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Line, from 1: the order.
    pub line: usize,
    /// Microseconds since 1970.
    pub micros: u64,
}

/// One system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// What its first argument names: a file's path, or `TCP:[…]`.
    pub target: String,
    /// The bytes of its strings, one after another.
    pub bytes: Vec<u8>,
    /// A string was longer than the tracer shows.
    pub cut: bool,
    /// Its last argument, when that is a number: the offset of a `pwrite64`.
    pub last: Option<u64>,
    /// When it was entered.
    pub began: At,
    /// When it returned; `None`: not in this trace.
    pub ended: Option<At>,
    /// What it returned, when it succeeded.
    pub result: Option<u64>,
}

/// Why a trace cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the trace: {what}")]
pub struct TraceError {
    /// Which line.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

const UNFINISHED: &str = " <unfinished ...>";

/// The calls of a trace, by where they began.
///
/// # Errors
/// A line is none of `strace`'s.
pub fn parse(text: &str) -> Result<Vec<Call>, TraceError> {
    let mut calls: Vec<Call> = Vec::new();
    // The unfinished call of each thread.
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let error = |what| TraceError { line: number + 1, what };
        let (thread, rest) = line.split_once(' ').ok_or_else(|| error("no thread"))?;
        let (time, rest) = rest.trim_start().split_once(' ').ok_or_else(|| error("no time"))?;
        let at = At { line: number + 1, micros: micros(time).ok_or_else(|| error("no time"))? };
        let rest = rest.trim_end();
        // Signals and ends of threads.
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let place = open.remove(thread).ok_or_else(|| error("resumes no call"))?;
            let call = calls.get_mut(place).ok_or_else(|| error("resumes no call"))?;
            if !resumed.starts_with(call.name.as_str()) {
                return Err(error("resumes another call"));
            }
            call.ended = Some(at);
            call.result = result(resumed);
            continue;
        }
        let (name, arguments) = rest.split_once('(').ok_or_else(|| error("no call"))?;
        let (arguments, unfinished) = match arguments.strip_suffix(UNFINISHED) {
            Some(arguments) => (arguments, true),
            None => (arguments, false),
        };
        if unfinished {
            open.insert(thread, calls.len());
        }
        let returned = if unfinished { None } else { result(arguments) };
        let mut call = Call::new(name, arguments, at);
        if !unfinished {
            (call.ended, call.result) = (Some(at), returned);
        }
        calls.push(call);
    }
    Ok(calls)
}

impl Call {
    fn new(name: &str, text: &str, began: At) -> Self {
        let arguments = text.rsplit_once(") ").filter(|(_, r)| r.trim_start().starts_with('='));
        let arguments = arguments.map_or(text, |(arguments, _)| arguments);
        let first = arguments.split(", ").next().unwrap_or_default();
        let (bytes, cut) = strings(arguments);
        let last = arguments.rsplit(", ").next().and_then(|text| text.parse().ok());
        Self {
            name: name.to_owned(),
            target: target(first),
            bytes,
            cut,
            last,
            began,
            ended: None,
            result: None,
        }
    }

    /// The bytes that went: as many as it returned.
    #[must_use]
    pub fn sent(&self) -> &[u8] {
        let sent = self.result.and_then(|sent| usize::try_from(sent).ok()).unwrap_or(0);
        self.bytes.get(..sent).unwrap_or(&self.bytes)
    }
}

/// What a descriptor, such as `4<\x2f\x74>` or `4<TCP:[a->b]>`, stands for.
fn target(argument: &str) -> String {
    let named = argument.split_once('<').and_then(|(_, named)| named.strip_suffix('>'));
    let named = named.unwrap_or(argument);
    if named.starts_with("\\x") {
        String::from_utf8_lossy(&unescaped(named)).into_owned()
    } else {
        named.to_owned()
    }
}

/// The bytes of every quoted string, and whether one was cut short.
fn strings(arguments: &str) -> (Vec<u8>, bool) {
    let (mut bytes, mut cut) = (Vec::new(), false);
    // All quotes are the tracer's own: the strings' are in hexadecimal.
    for (place, part) in arguments.split('"').enumerate() {
        if place % 2 == 1 {
            bytes.extend(unescaped(part));
        } else {
            cut |= place > 0 && part.starts_with("...");
        }
    }
    (bytes, cut)
}

fn unescaped(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok()).collect()
}

/// The number after the last `=`; `None`: it failed, or there is none.
fn result(text: &str) -> Option<u64> {
    let (_, result) = text.rsplit_once("= ")?;
    result.split(' ').next()?.parse().ok()
}

fn micros(time: &str) -> Option<u64> {
    let (seconds, micros) = time.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    // As strace 6.1 writes it, threads and all.
    const TRACE: &str = r#"7 1795561050.503957 sendmsg(4<TCP:[127.0.0.1:48883->127.0.0.1:54956]>, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="\x61\x62", iov_len=2}, {iov_base="\x63", iov_len=1}], msg_iovlen=2, msg_flags=0}, 0) = 3
7 1795561050.554164 pwrite64(6<\x2f\x74\x2e\x77>, "\x68\x65\x6c\x6c\x6f"..., 5, 4096) = 5
8 1795561050.554833 fdatasync(6<\x2f\x74\x2e\x77> <unfinished ...>
9 1795561050.555211 +++ exited with 0 +++
7 1795561050.555300 write(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\x61\x62", 2) = -1 EAGAIN (Resource temporarily unavailable)
8 1795561050.555619 <... fdatasync resumed>) = 0
8 1795561050.555700 fsync(9<\x2f\x74>)        = 0
7 1795561050.555800 fdatasync(6<\x2f\x74\x2e\x77>) = ?
"#;

    #[test]
    fn calls_are_read_with_targets_bytes_and_results() {
        let calls = parse(TRACE).expect("a trace");
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["sendmsg", "pwrite64", "fdatasync", "write", "fsync", "fdatasync"]);
        let [send, write, sync, again, directory, last] = calls.as_slice() else { panic!() };
        assert_eq!(send.target, "TCP:[127.0.0.1:48883->127.0.0.1:54956]");
        assert_eq!((send.sent(), send.result, send.cut), (b"abc".as_slice(), Some(3), false));
        assert_eq!((write.target.as_str(), write.last, write.cut), ("/t.w", Some(4096), true));
        assert_eq!((sync.began.line, sync.ended.map(|at| at.line)), (3, Some(6)));
        assert_eq!((sync.target.as_str(), sync.result), ("/t.w", Some(0)));
        assert_eq!((again.result, again.sent()), (None, b"".as_slice()), "nothing left");
        assert_eq!((directory.target.as_str(), directory.result), ("/t", Some(0)));
        assert_eq!((last.target.as_str(), last.result), ("/t.w", None));
        assert_eq!(send.began.micros, 1_795_561_050_503_957);
    }

    #[test]
    fn lines_that_do_not_fit_are_told() {
        let error = parse("7 1.5 <... write resumed>) = 3").expect_err("nothing to resume");
        assert_eq!(error.to_string(), "line 1 of the trace: resumes no call");
        assert!(parse("7 1.5 nonsense").is_err());
        assert!(parse("7").is_err());
    }
}
