//! Proofs: what the log decided about a product or a sale, as a file that others can check.
//!
//! ```text
//! log ──► write(subject) ──► lines ──► check_alone(lines)            arithmetic, versions, promise
//!                              └────► check_against(log, lines)      written again, line by line
//! ```
//!
//! A proof is a function of the log, the subject and the last sequence: written again it has the
//! same bytes, so comparing with the log is writing it again. Memory is bounded by the products
//! and their live holds, never by the log or the file.
//! Without buyers no line holds what names one, nor a digest that a guessed name could be tried
//! on (docs/operations/proof.md).
//! Called by: `cli`. Never here: files, the engine's own `apply`: a proof adds up by itself.

mod account;
mod against;
mod alone;
mod effect;
mod line;
mod source;
mod writing;

pub use against::{Difference, check_against};
pub use alone::{Alone, Shown, check_alone};
pub use line::{Closing, Head, Subject, Totals};
pub use writing::{Ask, Sink, Written, write};

use crate::journal::JournalError;

/// Longest line that is read: every line that is written is far shorter.
pub const LINE_BYTES_MAX: usize = 8 << 10;

/// Why no proof is written, or none can be compared.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The log cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Name another: the log does not know it.
    #[error("{subject} is not in the log up to sequence {last_sequence}")]
    Unknown {
        /// What was asked for.
        subject: String,
        /// Up to here the log was read.
        last_sequence: u64,
    },
    /// Name a sequence that the log proves.
    #[error(
        "sequence {asked} is not proven to be durable: as far as it is proven the log ends at {proven}; what was \
         decided last is proven in a moment"
    )]
    NotProven {
        /// Up to where the proof should go.
        asked: u64,
        /// Up to where it can.
        proven: u64,
    },
    /// Use a copy of the log that begins with its first record.
    #[error(
        "the log begins with sequence {first}, what came before it was pruned: a proof begins with \
         the first record; use a backup that still has it"
    )]
    Pruned {
        /// Where it begins.
        first: u64,
    },
    /// The proof cannot be read or written.
    #[error("{0}")]
    File(#[from] std::io::Error),
}
