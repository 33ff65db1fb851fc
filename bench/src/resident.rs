//! What a process holds in memory, as the kernel counts it.

use anyhow::Context;

/// Bytes that a process has in memory now, shared libraries included; `self` is this one.
///
/// # Errors
/// The process is gone.
pub fn resident_bytes(process: &str) -> anyhow::Result<u64> {
    of(process, "VmRSS:")
}

/// Most memory a process has had; `self` is this one.
///
/// # Errors
/// The process is gone.
pub fn peak_bytes(process: &str) -> anyhow::Result<u64> {
    of(process, "VmHWM:")
}

fn of(process: &str, field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    parse(&status, field).with_context(|| format!("no {field} of process {process}"))
}

fn parse(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_never_more_than_its_peak() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse(status, "VmRSS:"), Some(1 << 20));
        assert_eq!(parse(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(parse("Name:\tx\n", "VmRSS:"), None);
        let now = resident_bytes("self").expect("this process");
        assert!(now > 0 && now <= peak_bytes("self").expect("this process"));
    }
}
