//! Ways to make a write durable, side by side: the same 2 KiB after one another into a zeroed file.
//!
//! The journal's way is the first. The others are here so that the next who thinks of one can measure it
//! on his own disk; docs/adr/0016 says what became of each. With `busy` threads the cores have other work
//! meanwhile, as they have in a sale: then what counts is the processor time, and the switches.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use io_uring::{IoUring, opcode, squeue, types};
use rustix::fs::OFlags;
use rustix::io::ReadWriteFlags;
use serde::Serialize;

use crate::cost;
use crate::figures::{Middle, ROUNDS_MAX};
use crate::load::{histogram, percentiles};
use crate::machine::Machine;

/// About what a batch of a sale writes.
const WRITE_BYTES: usize = 2 << 10;
/// What `O_DIRECT` writes whole.
const BLOCK_BYTES: usize = 4 << 10;
const FILE_BYTES: usize = 64 << 20;
pub(crate) const SECONDS_MAX: u64 = 60;
const BUSY_MAX: usize = 64;

/// What to measure.
#[derive(Debug, Clone)]
pub struct SyncsPlan {
    /// Where the file is made; it is removed afterwards.
    pub data_root: PathBuf,
    /// Turns of each way.
    pub rounds: usize,
    /// Time of a turn.
    pub measured: Duration,
    /// Threads that do nothing but use their processor.
    pub busy: usize,
}

/// A way to write and sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// `pwrite`, `fdatasync`: the journal's.
    Fdatasync,
    /// `pwritev2` with `RWF_DSYNC`, which is `O_DSYNC` for one call.
    Dsync,
    /// `O_DIRECT` and `RWF_DSYNC`, whole blocks.
    DirectDsync,
    /// `O_DIRECT`, whole blocks, `fdatasync`.
    DirectFdatasync,
    /// `io_uring`: a write linked to a sync, in one call.
    IoUring,
}

/// A way, over its turns.
#[derive(Debug, Clone, Serialize)]
pub struct WayReport {
    /// Which.
    pub way: Way,
    /// Why it could not be measured: the file system has no `O_DIRECT`, the kernel no `io_uring`.
    pub missing: Option<String>,
    /// Durable writes a second.
    pub per_second: Middle,
    /// Median latency, in microseconds.
    pub p50_us: Middle,
    /// Latency that 99 in 100 stayed under, in microseconds.
    pub p99_us: Middle,
    /// Processor time of the thread for each, in microseconds; `io_uring` syncs on a thread of the kernel's, which
    /// is not in it.
    pub cpu_us: Middle,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct SyncsReport {
    /// Where it ran.
    pub machine: Machine,
    /// Threads that were busy meanwhile.
    pub busy: usize,
    /// Each way.
    pub ways: Vec<WayReport>,
}

struct Turn {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Fdatasync, Self::Dsync, Self::DirectDsync, Self::DirectFdatasync, Self::IoUring];

    /// Its calls.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fdatasync => "pwrite, fdatasync",
            Self::Dsync => "pwritev2 with RWF_DSYNC",
            Self::DirectDsync => "O_DIRECT, RWF_DSYNC",
            Self::DirectFdatasync => "O_DIRECT, fdatasync",
            Self::IoUring => "io_uring, write linked to sync",
        }
    }

    fn is_direct(self) -> bool {
        matches!(self, Self::DirectDsync | Self::DirectFdatasync)
    }
}

/// Measures, the ways taking turns; `watch` hears whose turn begins.
///
/// # Errors
/// The bounds are passed, or the file cannot be made or written.
pub fn run(plan: &SyncsPlan, mut watch: impl FnMut(Way)) -> anyhow::Result<SyncsReport> {
    ensure!((1..=ROUNDS_MAX).contains(&plan.rounds), "1 to {ROUNDS_MAX} rounds");
    let seconds = (1..=SECONDS_MAX).contains(&plan.measured.as_secs());
    ensure!(seconds, "1 to {SECONDS_MAX} seconds");
    ensure!(plan.busy <= BUSY_MAX, "at most {BUSY_MAX} busy threads");
    let machine = Machine::measure(&plan.data_root)?;
    let file = tempfile::NamedTempFile::new_in(&plan.data_root)?;
    std::io::Write::write_all(&mut file.as_file(), &vec![0; FILE_BYTES])?;
    file.as_file().sync_all()?;
    let mut turns: Vec<Vec<anyhow::Result<Turn>>> = Way::ALL.map(|_| Vec::new()).into();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..plan.busy {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        for round in 0..plan.rounds {
            for nth in 0..Way::ALL.len() {
                let nth = (nth + round) % Way::ALL.len();
                let (Some(way), Some(turns)) = (Way::ALL.get(nth), turns.get_mut(nth)) else {
                    continue;
                };
                watch(*way);
                turns.push(turn(*way, file.path(), plan.measured));
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let ways = Way::ALL.into_iter().zip(turns).map(|(way, turns)| of(way, turns)).collect();
    Ok(SyncsReport { machine, busy: plan.busy, ways })
}

fn of(way: Way, turns: Vec<anyhow::Result<Turn>>) -> WayReport {
    let turns: anyhow::Result<Vec<Turn>> = turns.into_iter().collect();
    let missing = turns.as_ref().err().map(|error| format!("{error:#}"));
    let turns = turns.unwrap_or_default();
    let middle = |figure: fn(&Turn) -> f64| Middle::of(turns.iter().map(figure));
    WayReport {
        way,
        missing,
        per_second: middle(|turn| turn.per_second),
        p50_us: middle(|turn| turn.p50_us),
        p99_us: middle(|turn| turn.p99_us),
        cpu_us: middle(|turn| turn.cpu_us),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count and its time")]
fn turn(way: Way, path: &Path, measured: Duration) -> anyhow::Result<Turn> {
    let flags = if way.is_direct() { OFlags::DIRECT.bits() } else { 0 };
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags.cast_signed());
    let file = options.open(path).with_context(|| format!("cannot open it for {}", way.name()))?;
    let bytes = vec![7; 2 * BLOCK_BYTES];
    let aligned = bytes.as_ptr().align_offset(BLOCK_BYTES);
    let len = if way.is_direct() { BLOCK_BYTES } else { WRITE_BYTES };
    let bytes = bytes.get(aligned..aligned + len).context("two blocks hold an aligned one")?;
    let mut ring = match way {
        Way::IoUring => Some(IoUring::new(2).context("no io_uring here")?),
        _ => None,
    };
    let mut latency = histogram();
    let (begun, cpu) = (Instant::now(), cost::thread_cpu_seconds());
    let mut count = 0;
    while begun.elapsed() < measured {
        let at = (count * len % FILE_BYTES) as u64;
        let asked = Instant::now();
        match (way, &mut ring) {
            (Way::IoUring, Some(ring)) => linked(ring, &file, bytes, at)?,
            _ => write(way, &file, bytes, at)?,
        }
        latency.saturating_record(u64::try_from(asked.elapsed().as_nanos())?.max(1));
        count += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let latency = percentiles(&latency);
    Ok(Turn {
        per_second: count as f64 / seconds,
        p50_us: latency.p50,
        p99_us: latency.p99,
        cpu_us: 1e6 * (cost::thread_cpu_seconds() - cpu) / count as f64,
    })
}

fn write(way: Way, file: &File, bytes: &[u8], at: u64) -> anyhow::Result<()> {
    match way {
        Way::Dsync | Way::DirectDsync => {
            let slices = [IoSlice::new(bytes)];
            let written = rustix::io::pwritev2(file, &slices, at, ReadWriteFlags::DSYNC)?;
            ensure!(written == bytes.len(), "{written} bytes were written of {}", bytes.len());
        }
        Way::Fdatasync | Way::DirectFdatasync | Way::IoUring => {
            file.write_all_at(bytes, at)?;
            file.sync_data()?;
        }
    }
    Ok(())
}

/// A write and, when it is done, a sync: one call submits both and waits for both.
fn linked(ring: &mut IoUring, file: &File, bytes: &[u8], at: u64) -> anyhow::Result<()> {
    let (fd, len) = (types::Fd(file.as_raw_fd()), u32::try_from(bytes.len())?);
    let write = opcode::Write::new(fd, bytes.as_ptr(), len).offset(at).build();
    let sync = opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build();
    let entries = [write.flags(squeue::Flags::IO_LINK).user_data(1), sync.user_data(2)];
    #[expect(unsafe_code, reason = "the kernel reads the buffer while the call lasts")]
    // SAFETY: the entries name a descriptor and a buffer that are borrowed until this function returns, and
    // `submit_and_wait(2)` returns when both operations have ended. Should it fail instead, the kernel may
    // still read the buffer; it never writes into it, and what it reads goes into a file that is removed.
    unsafe {
        ring.submission().push_multiple(&entries)?;
    }
    ring.submit_and_wait(entries.len())?;
    for (ended, expected) in ring.completion().zip([i32::try_from(len)?, 0]) {
        ensure!(ended.result() == expected, "io_uring: {} of {expected}", ended.result());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_writes_what_can_be_read_again() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory");
        let path = directory.path().join("file");
        for way in Way::ALL {
            std::fs::write(&path, vec![0; FILE_BYTES]).expect("a file");
            match turn(way, &path, Duration::from_millis(20)) {
                Ok(turn) => assert!(turn.per_second > 0.0 && turn.cpu_us > 0.0, "{way:?}"),
                // A kernel or a file system may lack it, and says so.
                Err(error) => {
                    let optional = way.is_direct() || way == Way::IoUring;
                    assert!(optional, "{way:?}: {error:#}");
                    continue;
                }
            }
            let written = std::fs::read(&path).expect("a file");
            assert!(written.starts_with(&[7; WRITE_BYTES]), "{way:?}");
        }
    }
}
