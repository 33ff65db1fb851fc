//! Results: a table for people, or JSON for programs, on standard output or into a file.
#![expect(clippy::disallowed_methods, reason = "writes the file that was named")]

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::print::{print, printed};

/// How a result is shown.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct OutputArgs {
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub(super) json: bool,
    /// Write the result as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl OutputArgs {
    /// Finds out before long work whether its result can be written; changes no file.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn prepare(&self) -> anyhow::Result<()> {
        self.output.as_deref().map_or(Ok(()), can_write)
    }

    /// Shows a result: as JSON where that was asked for, else as `text` writes it.
    ///
    /// # Errors
    /// The file or standard output cannot be written.
    pub(super) fn write<T: Serialize>(
        &self,
        result: &T,
        text: impl FnOnce(&mut String),
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.output {
            let json = serde_json::to_string_pretty(result)? + "\n";
            write_file(path, &json)?;
        }
        if self.json {
            print(serde_json::to_string_pretty(result)? + "\n")
        } else {
            let mut out = String::new();
            text(&mut out);
            print(out)
        }
    }

    /// As [`Self::write`], for a result that is too large to be kept as text.
    ///
    /// # Errors
    /// The file or standard output cannot be written.
    pub(super) fn stream<T: Serialize>(
        &self,
        result: &T,
        text: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.output {
            let written = write_json(result, create_file(path)?);
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut out = std::io::BufWriter::new(printed());
        match self.json {
            true => write_json(result, out),
            false => {
                text(&mut out)?;
                Ok(out.flush()?)
            }
        }
    }
}

/// Writes JSON for people as well as programs, without keeping it whole.
fn write_json<T: Serialize>(result: &T, mut out: impl Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut out, result).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// Whether an error says that nobody reads any more: who does has seen enough.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().filter_map(|cause| cause.downcast_ref()).any(closed)
}

/// Finds out whether a file can be written; changes none.
///
/// # Errors
/// It cannot be opened.
pub(super) fn can_write(path: &Path) -> anyhow::Result<()> {
    let found = std::fs::metadata(path);
    // Opening a pipe waits for its reader.
    if found.as_ref().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(());
    }
    let opened = std::fs::File::options().append(true).create(true).open(path);
    if let Err(error) = opened {
        let message = format!("cannot write {}: {error}", path.display());
        return Err(super::exit::failure(super::exit::Exit::Usage, message));
    }
    if found.is_err() {
        // Of a link that led nowhere, not the link.
        let made = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        std::fs::remove_file(made).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Writes a file that was named.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let wrote = std::fs::write(path, text);
    wrote.with_context(|| format!("cannot write {}", path.display()))
}

/// Begins a file that was named; what stood in it is gone.
///
/// # Errors
/// It cannot be made.
pub(super) fn create_file(path: &Path) -> anyhow::Result<std::io::BufWriter<std::fs::File>> {
    let file = std::fs::File::create(path);
    Ok(std::io::BufWriter::new(file.with_context(|| format!("cannot write {}", path.display()))?))
}
