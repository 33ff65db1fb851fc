//! A small file system of one's own, in a mount namespace that ends with its process.
//!
//! ext4 in a file is a real disk to its users: blocks that are given out as they are written, a
//! journal, an fdatasync that reaches the file. It needs root and a loop device. tmpfs needs user
//! namespaces alone, and its fdatasync costs nothing. Both are full when they are full.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail, ensure};
use serde::Serialize;

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum FileSystem {
    /// In a file, by a loop device.
    Ext4,
    /// In memory.
    Tmpfs,
}

impl FileSystem {
    /// All, the most real first.
    pub const ALL: [Self; 2] = [Self::Ext4, Self::Tmpfs];

    /// What it needs.
    #[must_use]
    pub fn needs(self) -> &'static str {
        match self {
            Self::Ext4 => "root, mkfs.ext4 (package e2fsprogs) and a free loop device",
            Self::Tmpfs => "root, or unprivileged user namespaces",
        }
    }
}

/// Runs this program again with `arguments` where it may mount, in a namespace of its own.
///
/// # Errors
/// There is no such place here: what is missing.
pub fn within(file_system: FileSystem, arguments: &[&str]) -> anyhow::Result<ExitStatus> {
    let is_root = rustix::process::geteuid().is_root();
    ensure!(is_root || file_system == FileSystem::Tmpfs, "this user is not root");
    let mut namespace = vec!["--mount", "--propagation", "private"];
    if !is_root {
        namespace.push("--map-root-user");
    }
    let run = || {
        let mut command = Command::new("unshare");
        command.args(&namespace).stdin(Stdio::null());
        command
    };
    let tried = run().arg("true").output().context("cannot run unshare (package util-linux)")?;
    let said = String::from_utf8_lossy(&tried.stderr);
    ensure!(tried.status.success(), "no mount namespace for this user: {}", said.trim());
    let program = std::env::current_exe().context("where am I?")?;
    run().arg("--").arg(program).args(arguments).status().context("cannot run this program again")
}

/// Makes and mounts one of `bytes` in `directory`; gives where it is.
///
/// # Errors
/// It is not permitted, or something is missing.
pub fn mount(file_system: FileSystem, bytes: u64, directory: &Path) -> anyhow::Result<PathBuf> {
    let place = directory.join("disk");
    std::fs::create_dir(&place)?;
    match file_system {
        FileSystem::Ext4 => {
            let image = directory.join("image");
            std::fs::File::create(&image)?.set_len(bytes)?;
            // Nothing is kept back for root, who would otherwise have more room than is shown.
            done(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
            done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&place))?;
        }
        FileSystem::Tmpfs => {
            let size = format!("size={bytes}");
            done(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&place))?;
        }
    }
    Ok(place)
}

/// Bytes that an ordinary user can still write.
///
/// # Errors
/// The system's.
pub fn free_bytes(place: &Path) -> anyhow::Result<u64> {
    let found = rustix::fs::statvfs(place)?;
    Ok(found.f_bavail * found.f_frsize)
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command.stdin(Stdio::null()).output();
    let ran = ran.with_context(|| format!("cannot run {name}"))?;
    if ran.status.success() {
        return Ok(());
    }
    bail!("{name}: {}", String::from_utf8_lossy(&ran.stderr).trim())
}
