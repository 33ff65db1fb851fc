//! Standard output: what a command says, without a panic where it cannot be said.
//!
//! Who closes a pipe has seen enough: the command goes on and ends with its own exit code. Anything
//! else, as a full disk, is an error.
//! Never here: standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Stdout, Write};

use super::exit::{Exit, failure};

/// Standard output to which nothing that nobody reads is an error.
pub(super) struct Printed(Stdout);

/// Says it, at once.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn print(text: impl Display) -> anyhow::Result<()> {
    unless_unread(write(text), ()).map_err(|error| failure(Exit::Environment, error.to_string()))
}

/// As [`print`], for what must not be lost: that nobody reads it is an error too.
///
/// # Errors
/// It was not taken.
pub(super) fn hand_over(text: impl Display) -> io::Result<()> {
    write(text).map_err(named)
}

/// For what is too large to be kept as text.
pub(super) fn printed() -> Printed {
    Printed(io::stdout())
}

fn write(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

fn unless_unread<T>(written: io::Result<T>, unread: T) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(unread),
        // Whoever writes tries that one again, by its kind.
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
        written => written.map_err(named),
    }
}

fn named(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_unread(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_unread(self.0.flush(), ())
    }
}
