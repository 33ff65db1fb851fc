//! The machine a figure was measured on: cores, processor, kernel, and what a sync costs.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Appends that are synced to measure one sync.
const SYNCS: usize = 200;
const BLOCK_BYTES: usize = 4096;
/// `f_type` of a file system in memory.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// What figures depend on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Processors this process may use.
    pub cores: usize,
    /// Model name of the first.
    pub cpu: String,
    /// Kernel release.
    pub kernel: String,
    /// Median of fdatasync after appending 4 KiB to a preallocated file, in microseconds.
    pub fdatasync_p50_us: f64,
    /// 99th percentile of the same.
    pub fdatasync_p99_us: f64,
    /// The data lies in memory: a sync costs nothing and proves nothing.
    pub data_in_memory: bool,
}

impl Machine {
    /// Looks at this machine, and measures syncs on the file system of `directory`.
    ///
    /// # Errors
    /// The file system's.
    pub fn measure(directory: &Path) -> std::io::Result<Self> {
        let mut syncs_us = sync_times_us(directory)?;
        syncs_us.sort_by(f64::total_cmp);
        let at = |share: usize| syncs_us.get(SYNCS * share / 100).copied().unwrap_or(0.0);
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: model.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']).to_owned(),
            kernel: kernel.trim().to_owned(),
            fdatasync_p50_us: at(50),
            fdatasync_p99_us: at(99),
            data_in_memory: rustix::fs::statfs(directory)?.f_type == TMPFS_MAGIC,
        })
    }
}

fn sync_times_us(directory: &Path) -> std::io::Result<Vec<f64>> {
    // Without a name: two measurements at once do not meet, and nothing is left behind.
    let file = tempfile::tempfile_in(directory)?;
    // Written and synced ahead, as the journal does: only the data is synced afterwards.
    file.write_all_at(&vec![0; SYNCS * BLOCK_BYTES], 0)?;
    file.sync_all()?;
    let block = [0x5a; BLOCK_BYTES];
    let mut times = Vec::with_capacity(SYNCS);
    for place in 0..SYNCS {
        file.write_all_at(&block, (place * BLOCK_BYTES) as u64)?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_described_and_the_probe_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let machine = Machine::measure(directory.path()).expect("a measurement");
        assert!(machine.cores > 0 && !machine.kernel.is_empty(), "{machine:?}");
        assert!(machine.fdatasync_p99_us >= machine.fdatasync_p50_us);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
    }
}
