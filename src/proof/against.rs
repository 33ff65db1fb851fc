//! Checking a proof against the log: it is written again, and each line compared to the byte.
//!
//! So every entry is found at its place with the same content, none is missing and none is added;
//! and the products, the segments and their digests are the log's.

use std::io::BufRead;

use super::alone::next_line;
use super::line::{self, Line, hex};
use super::writing::{Ask, write};
use super::{Head, LINE_BYTES_MAX, ProofError};
use crate::journal::JournalScan;

/// Where a proof and the log part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The first line that is not what the log says.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// Why the comparing ended early.
enum Stop {
    Differs(Difference),
    Error(ProofError),
}

impl From<ProofError> for Stop {
    fn from(error: ProofError) -> Self {
        Self::Error(error)
    }
}

/// Compares a proof with the log; `None`: they are the same, to the last byte.
///
/// `progress` hears how many of twice the log's bytes are read.
///
/// # Errors
/// One of the two cannot be read, or the log does not reach as far as the proof.
pub fn check_against(
    scan: &JournalScan,
    head: &Head,
    file: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<Difference>, ProofError> {
    let ours = scan.identity().map(|identity| hex(&identity.journal_id)).unwrap_or_default();
    if ours != head.journal_id {
        let what = format!("it is of journal {}, the log is of {ours}", head.journal_id);
        return Ok(Some(Difference { line: 1, what }));
    }
    let ask = Ask {
        subject: head.of.clone(),
        last_sequence: Some(head.last_sequence),
        with_buyers: head.with_buyers,
    };
    let (mut bytes, mut number) = (Vec::new(), 0);
    let mut compare = |log: &[u8]| {
        next_line(file, &mut bytes).map_err(|error| Stop::Error(error.into()))?;
        number += 1;
        match bytes == log {
            true => Ok(()),
            false => Err(Stop::Differs(Difference { line: number, what: differ(&bytes, log) })),
        }
    };
    match write(scan, &ask, &mut compare, progress) {
        Ok(_) => {}
        Err(Stop::Differs(difference)) => return Ok(Some(difference)),
        Err(Stop::Error(ProofError::Unknown { subject, last_sequence })) => {
            let what = format!("the log has no {subject} up to sequence {last_sequence}");
            return Ok(Some(Difference { line: 1, what }));
        }
        Err(Stop::Error(ProofError::NotProven { asked, proven })) => {
            let what =
                format!("the log is proven up to sequence {proven}, the proof goes to {asked}");
            return Ok(Some(Difference { line: 1, what }));
        }
        Err(Stop::Error(error)) => return Err(error),
    }
    next_line(file, &mut bytes)?;
    let behind = || Difference { line: number + 1, what: "the log has nothing there".to_owned() };
    Ok((!bytes.is_empty()).then(behind))
}

/// What a line says and what the log does, in words.
fn differ(said: &[u8], log: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if said.is_empty() {
        return format!("the proof ends, the log says {}", text(log));
    }
    let (said_line, log_line) = (line::read(said), line::read(log));
    if let (Ok(Line::Entry(said)), Ok(Line::Entry(log))) = (&said_line, &log_line)
        && (&said.product_id, said.version, said.sequence)
            != (&log.product_id, log.version, log.sequence)
    {
        return format!(
            "version {} of product {} at sequence {} stands there, the log has version {} of \
             product {} at sequence {}",
            said.version, said.product_id, said.sequence, log.version, log.product_id, log.sequence
        );
    }
    if said.len() > LINE_BYTES_MAX {
        return format!("a line longer than {LINE_BYTES_MAX} bytes, the log says {}", text(log));
    }
    format!("it says {}, the log {}", text(said), text(log))
}
