//! A directory of our own under the system's temporary one, removed with all it holds.
#![expect(clippy::disallowed_methods, reason = "the adapter through which a play's files enter")]

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A directory that goes away with this value, unless it is kept.
#[derive(Debug)]
pub(crate) struct Workplace {
    path: PathBuf,
    kept: bool,
}

impl Workplace {
    /// Makes one, readable by its owner alone; `word` says whose it is.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn new(word: &str) -> anyhow::Result<Self> {
        let parent = std::env::temp_dir();
        let path = parent.join(format!("doorbuster-{word}-{}", random_word()?));
        // Not recursive: a name that somebody else prepared is an error.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {} (is TMPDIR writable?)", path.display()))?;
        let path = path.canonicalize().unwrap_or(path);
        Ok(Self { path, kept: false })
    }

    /// Where it is, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Leaves it in place.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed lies in the temporary directory and hurts nobody.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Eight letters and digits that no other run has.
///
/// # Errors
/// The system has no randomness.
pub(crate) fn random_word() -> anyhow::Result<String> {
    Ok(format!("{:08x}", random_number()?))
}

/// A number that nobody foresees.
///
/// # Errors
/// The system has no randomness.
pub(crate) fn random_number() -> anyhow::Result<u32> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(u32::from_le_bytes(bytes))
}

/// The whole file.
///
/// # Errors
/// The file system's, naming the file.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workplace_goes_away_with_its_files_unless_it_is_kept() {
        let place = Workplace::new("test").unwrap();
        let path = place.path().to_owned();
        std::fs::write(path.join("a"), b"x").unwrap();
        drop(place);
        assert!(!path.exists());
        let mut place = Workplace::new("test").unwrap();
        let path = place.path().to_owned();
        place.keep();
        drop(place);
        assert!(path.exists());
        std::fs::remove_dir_all(path).unwrap();
    }
}
