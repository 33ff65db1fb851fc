//! Small files that a person named: read and written whole.
#![expect(clippy::disallowed_methods, reason = "the adapter through which named files enter")]

use std::path::Path;

use anyhow::Context;

/// The text of a file.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file by way of another name, so that a reader finds all of it or none.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    std::fs::write(&temporary, text).with_context(context)?;
    std::fs::rename(&temporary, path).with_context(context)
}

/// As [`write`], readable by its owner alone.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    write(path, text)?;
    let only_ours = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, only_ours)
        .with_context(|| format!("cannot protect {}", path.display()))
}
