//! What a process costs: its processor time, as the kernel counts it.

use rustix::time::{ClockId, clock_gettime};

/// Clock ticks a second in `/proc`: fixed at 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time, user and system, that process `pid` has used; `None`: it is gone.
///
/// Resolution: 10 ms.
#[must_use]
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The same of these processes and of all that they started and that still run.
#[must_use]
pub fn tree_cpu_seconds(pids: &[u32]) -> f64 {
    let processes: Vec<(u32, u32, f64)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parent(&stat)?, parse(&stat)?))
        })
        .collect();
    let mut tree = pids.to_vec();
    let mut looked_at = 0;
    while let Some(parent) = tree.get(looked_at).copied() {
        looked_at += 1;
        tree.extend(processes.iter().filter(|(_, of, _)| *of == parent).map(|(pid, ..)| *pid));
    }
    processes.iter().filter(|(pid, ..)| tree.contains(pid)).map(|(.., seconds)| seconds).sum()
}

/// Seconds of processor time of this process, to the nanosecond.
#[must_use]
pub fn own_cpu_seconds() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// Seconds of processor time of this thread, to the nanosecond.
#[must_use]
pub fn thread_cpu_seconds() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds of all cores together that the machine below withheld from this one since it started;
/// `None`: the kernel does not tell.
#[must_use]
pub fn stolen_seconds() -> Option<f64> {
    stolen(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The eighth figure of the line of all cores.
fn stolen(stat: &str) -> Option<f64> {
    let cores = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: u32 = cores.split_ascii_whitespace().nth(7)?.parse().ok()?;
    Some(f64::from(ticks) / TICKS_PER_SECOND)
}

/// The process that started it.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn parse(stat: &str) -> Option<f64> {
    // The command's name may hold spaces and brackets; the last bracket ends it. State is the
    // third field, user time the 14th, system time the 15th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user = fields.next()?.parse::<u32>().ok()?;
    let system = fields.next()?.parse::<u32>().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_a_name_of_any_form() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 10 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse(stat), Some(3.0));
        assert_eq!(parse("7 (a"), None);
        assert_eq!(parent(stat), Some(1));
        assert!(cpu_seconds(std::process::id()).is_some());
        assert!(own_cpu_seconds() > 0.0);
    }

    #[test]
    fn stolen_time_is_the_eighth_figure_of_all_cores() {
        let stat = "cpu  549 63 129 212 18 0 26 1684 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(stolen(stat), Some(16.84));
        assert_eq!(stolen("cpu0 1 2 3 4 5 6 7 8"), None);
    }
}
