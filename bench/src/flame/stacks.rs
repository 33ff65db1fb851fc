//! Stacks from what `perf script` prints, counted and put together as a tree.
//!
//! A sample is a line with the thread's name, then a line for each call, the innermost first, then an
//! empty line:
//!
//! ```text
//! partition
//!         55d0c0a1 _RNvNtCs_6engine6decide (/path/doorbuster)
//!         55d0c0b2 main (/path/doorbuster)
//! ```

use std::collections::BTreeMap;

/// A call with what it called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Samples in it or in what it called.
    pub samples: u64,
    /// What it called, by name.
    pub calls: BTreeMap<String, Call>,
}

/// All samples of some text; the outermost call of each is its thread.
#[must_use]
pub fn of(script: &str) -> Call {
    let mut root = Call::default();
    let mut sample: Option<(&str, Vec<String>)> = None;
    for line in script.lines().chain([""]) {
        if line.trim().is_empty() {
            if let Some((thread, calls)) = sample.take() {
                root.add(thread, calls);
            }
        } else if line.starts_with(char::is_whitespace) {
            if let Some((_, calls)) = &mut sample {
                calls.push(name_of(line));
            }
        } else {
            sample = Some((line.trim(), Vec::new()));
        }
    }
    root
}

impl Call {
    fn add(&mut self, thread: &str, innermost_first: Vec<String>) {
        self.samples += 1;
        let mut call = self.calls.entry(thread.to_owned()).or_default();
        call.samples += 1;
        for name in innermost_first.into_iter().rev() {
            call = call.calls.entry(name).or_default();
            call.samples += 1;
        }
    }

    /// How many calls lie within each other at most.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.calls.values().map(|call| 1 + call.depth()).max().unwrap_or(0)
    }

    /// Samples by the innermost call, the most first.
    #[must_use]
    pub fn innermost(&self) -> Vec<(String, u64)> {
        let mut counts = BTreeMap::new();
        self.count_innermost("", &mut counts);
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
        counts
    }

    fn count_innermost(&self, name: &str, counts: &mut BTreeMap<String, u64>) {
        let inside: u64 = self.calls.values().map(|call| call.samples).sum();
        if !name.is_empty() && self.samples > inside {
            *counts.entry(name.to_owned()).or_default() += self.samples - inside;
        }
        for (name, call) in &self.calls {
            call.count_innermost(name, counts);
        }
    }
}

/// `  55d0c0a1 symbol+0x1f (/path)` is `symbol`; what has no symbol goes by its file.
fn name_of(line: &str) -> String {
    let line = line.trim();
    let (_, rest) = line.split_once(' ').unwrap_or(("", line));
    let (symbol, file) = rest.rsplit_once(" (").unwrap_or((rest, ""));
    if symbol == "[unknown]" {
        let file = file.trim_end_matches(')').trim_matches(['[', ']']);
        return format!("[{}]", file.rsplit('/').next().unwrap_or(file));
    }
    let symbol = symbol.rsplit_once("+0x").map_or(symbol, |(symbol, _)| symbol);
    format!("{:#}", rustc_demangle::demangle(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
partition
\t    55d0c0a1 _ZN6engine6decide17h0123456789abcdefE+0x12 (/a/doorbuster)
\t    55d0c0b2 main (/a/doorbuster)

partition
\t    55d0c0b3 main (/a/doorbuster)

writer 0
\t    7f00 [unknown] (/usr/lib/libc.so.6)
";

    #[test]
    fn samples_are_counted_by_thread_and_call() {
        let root = of(SCRIPT);
        assert_eq!((root.samples, root.depth()), (3, 3));
        let main = &root.calls["partition"].calls["main"];
        assert_eq!((main.samples, main.calls["engine::decide"].samples), (2, 1));
        let innermost = [("[libc.so.6]", 1), ("engine::decide", 1), ("main", 1)];
        assert_eq!(root.innermost(), innermost.map(|(name, samples)| (name.to_owned(), samples)));
    }

    #[test]
    fn nothing_sampled_is_nothing() {
        assert_eq!(of(""), Call::default());
    }
}
