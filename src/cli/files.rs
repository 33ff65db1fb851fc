//! Small files that a person named: read and written whole.
#![expect(clippy::disallowed_methods, reason = "the adapter through which named files enter")]

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Of a file that is nobody's secret, before the umask.
pub(super) const MODE: u32 = 0o666;

/// The text of a file.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file by way of another name, so that a reader finds all of it or none.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_with_mode(path, text, MODE)
}

/// As [`write`], readable by its owner alone from the first moment.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    write_with_mode(path, text, 0o600)
}

fn write_with_mode(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    replace(path, mode, |file| file.write_all(text.as_bytes()).with_context(context))
}

/// Has `work` write a file by way of another name, so that a reader finds all of it or none. A link
/// stays one: the file it leads to is replaced. What is no regular file, as a pipe, is written directly.
///
/// # Errors
/// Those of `work`, after which the file is as it was, or the file cannot be written.
pub(super) fn replace<T>(
    path: &Path,
    mode: u32,
    work: impl FnOnce(&mut File) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let context = || format!("cannot write {}", path.display());
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        let mut file = OpenOptions::new().write(true).open(path).with_context(context)?;
        return work(&mut file);
    }
    let place = place(path).with_context(context)?;
    let mut temporary = place.clone().into_os_string();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    // One that is there is somebody's.
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(&temporary).with_context(|| {
        format!("cannot write {} by way of {}", path.display(), temporary.display())
    })?;
    let done = work(&mut file).and_then(|done| {
        file.sync_all().with_context(context)?;
        std::fs::rename(&temporary, &place).with_context(context)?;
        Ok(done)
    });
    if done.is_err() {
        // It is not what was asked for; that it cannot be removed changes nothing about it.
        let _ = std::fs::remove_file(&temporary);
    }
    done
}

/// Where a file really lies, or will.
fn place(path: &Path) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(match path.read_link() {
            Ok(leads_to) => path.parent().unwrap_or(Path::new("")).join(leads_to),
            Err(_) => path.to_owned(),
        }),
        found => found,
    }
}
