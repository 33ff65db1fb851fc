//! Results: a table for people, or JSON for programs, on standard output or into a file.
#![expect(clippy::disallowed_methods, reason = "writes the file that was named")]

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

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
    /// Shows a result: as JSON where that was asked for, else as `text` writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write<T: Serialize>(
        &self,
        result: &T,
        text: impl FnOnce(&mut String),
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.output {
            let json = serde_json::to_string_pretty(result)? + "\n";
            let wrote = std::fs::write(path, json);
            wrote.with_context(|| format!("cannot write {}", path.display()))?;
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(result)?);
        } else {
            let mut out = String::new();
            text(&mut out);
            print!("{out}");
        }
        Ok(())
    }
}
