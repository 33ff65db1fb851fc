//! `keys`: makes API keys. The key is shown once; the file keeps only its digest.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{Exit, failure};
use super::files;
use super::print::hand_over;
use crate::http::Keys;
use crate::http::auth::{NewKey, Scopes};

/// `keys …`
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key: prints it once, and the line for the keys file
    New(NewArgs),
}

/// `keys new`
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Name of the key: the principal in every record it makes, 1 to 64 of A-Z a-z 0-9 . _ : -
    name: String,
    /// What it may do: read, sell, manage, with commas between
    #[arg(long, default_value = "read,sell")]
    scopes: String,
    /// Add the line to this keys file, which must not have the name yet; a running server reads it
    /// again on SIGHUP
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,
}

impl KeysCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Self::New(args) = self;
        let usage = |error: String| failure(Exit::Usage, error);
        let scopes = Scopes::parse(&args.scopes).map_err(|error| usage(error.to_string()))?;
        let key = NewKey::generate(&args.name, scopes).map_err(|error| usage(error.to_string()))?;
        if let Some(path) = &args.keys_file {
            let mut text = if path.exists() { files::read(path)? } else { String::new() };
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            let in_file = |error: String| usage(format!("{}: {error}", path.display()));
            Keys::parse(&text).map_err(|error| in_file(error.to_string()))?;
            text.push_str(&format!("{}\n", key.line));
            // The file was sound, so what is wrong now is that the name is there.
            Keys::parse(&text).map_err(|_| {
                in_file(format!("it has a key with the name {} already", args.name))
            })?;
            files::write_private(path, &text)?;
            eprintln!("added {} to {}", args.name, path.display());
        } else {
            eprintln!("line for the keys file (--keys-file):\n{}", key.line);
        }
        eprintln!("the key, shown this once; send it as `Authorization: Bearer KEY`:");
        let shown = hand_over(format_args!("{}\n", key.token));
        shown.map(|()| Exit::Done).map_err(|error| args.not_shown(&error))
    }
}

impl NewArgs {
    /// Only its digest is kept, so a key that was not shown is lost.
    fn not_shown(&self, error: &std::io::Error) -> anyhow::Error {
        let name = &self.name;
        let next = match &self.keys_file {
            Some(path) => format!(
                "the line of {name} is in {}, but nobody knows its key: remove the line, and make \
                 another one",
                path.display()
            ),
            None => "make another one".to_owned(),
        };
        failure(Exit::Environment, format!("the key was not shown: {error}; {next}"))
    }
}
