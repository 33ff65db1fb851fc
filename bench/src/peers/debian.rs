//! Programs of others that the bench drives: where they are, and how Debian has them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::postgres;

/// Where Debian puts programs, whatever the caller's `PATH` is.
const PLACES: [&str; 3] = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];

/// The program `name`, in `PATH` or where Debian puts it.
///
/// # Errors
/// There is none: what to install.
pub fn program(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(PLACES.map(PathBuf::from));
    let found = places.map(|place| place.join(name)).find(|file| file.is_file());
    found.with_context(|| {
        format!("no {name}: apt-get install {package}, or `doorbuster-bench set-up`")
    })
}

/// Packages that the bench uses and this machine lacks, with what is missing of each.
#[must_use]
pub fn missing() -> Vec<(&'static str, String)> {
    let found = [
        ("redis-server", program("redis-server", "redis-server")),
        ("nginx", program("nginx", "nginx")),
        ("postgresql", postgres::bin_directory()),
    ];
    let lacks = found.into_iter().filter_map(|(package, found)| Some((package, found.err()?)));
    lacks.map(|(package, why)| (package, format!("{why:#}"))).collect()
}

/// Installs packages without starting their services; `say` hears each command before it runs.
///
/// # Errors
/// This process is not root, or apt-get fails.
pub fn install(packages: &[&str], say: impl Fn(&str)) -> anyhow::Result<()> {
    let list = packages.join(" ");
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root installs packages; as root: apt-get update && apt-get install {list}"
    );
    let updating: &[&str] = &["update"];
    let installing = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    for arguments in [updating, &installing] {
        say(&format!("apt-get {}", arguments.join(" ")));
        let status = Command::new("apt-get")
            .args(arguments)
            // The bench starts its own servers; Debian's scripts start none in this runlevel.
            .env("RUNLEVEL", "1")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .context("cannot run apt-get")?;
        ensure!(status.success(), "apt-get ended with {status}");
    }
    Ok(())
}
