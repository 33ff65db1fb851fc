//! The first reading of the log: which products a proof is about, and what it draws on.
//!
//! Checks the whole log as `wal verify` does its frames and chain: no proof is made of a damaged one.

use std::collections::HashMap;

use super::ProofError;
use super::line::{Opening, Segment, Subject, hex};
use crate::domain::{Decision, Handle, Patch};
use crate::journal::{JournalScan, Payload, Record, decode};

/// What the first reading found.
pub(super) struct Source {
    /// Up to here the log proves that it was durable, or less where that was asked for.
    pub(super) last_sequence: u64,
    /// In order; those that hold records up to there.
    pub(super) segments: Vec<Segment>,
    /// Oldest first.
    pub(super) products: Vec<(Handle, Opening)>,
}

/// Products as they are met, and since when they are what is looked for.
struct Finder<'a> {
    subject: &'a Subject,
    /// All, by handle.
    products: Vec<Opening>,
    found: HashMap<Handle, u64>,
    first_sequence: Option<u64>,
}

impl Finder<'_> {
    fn visit(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), String> {
        let Payload::Record(record) = decode(bytes).map_err(|error| error.to_string())? else {
            return Ok(());
        };
        match (&record.decision, self.subject) {
            (Decision::ProductCreated(created), subject) => {
                let handle = u32::try_from(self.products.len()).map(Handle::new);
                let handle = handle.map_err(|error| error.to_string())?;
                if record.envelope.changes.first().map(|change| change.handle) != Some(handle) {
                    return Err(format!("it creates a product, and not handle {handle}"));
                }
                self.products.push(Opening {
                    product_id: created.product_id.to_string(),
                    opening_stock: created.stock,
                    oversell_limit: created.terms.oversell_limit.into(),
                });
                let is_meant = match subject {
                    Subject::ProductId(id) => created.product_id == *id,
                    Subject::SaleId(id) => created.terms.sale_id.as_ref() == Some(id),
                };
                if is_meant {
                    self.found.entry(handle).or_insert(sequence);
                }
            }
            (Decision::TermsChanged(changed), Subject::SaleId(id))
                if changed.patch.sale_id == Patch::Set(Some(id.clone())) =>
            {
                self.join(&record, sequence);
            }
            _ => {}
        }
        Ok(())
    }

    fn join(&mut self, record: &Record, sequence: u64) {
        for change in &record.envelope.changes {
            self.found.entry(change.handle).or_insert(sequence);
        }
    }

    fn products(self, last_sequence: u64) -> Vec<(Handle, Opening)> {
        let mut found: Vec<Handle> = self
            .found
            .iter()
            .filter(|(_, since)| **since <= last_sequence)
            .map(|(handle, _)| *handle)
            .collect();
        found.sort_unstable();
        let named = |handle: Handle| Some((handle, self.products.get(handle.index())?.clone()));
        found.into_iter().filter_map(named).collect()
    }
}

/// Reads the log once. `last_sequence`: no further than there; `None`: as far as it is proven.
pub(super) fn read(
    scan: &JournalScan,
    subject: &Subject,
    last_sequence: Option<u64>,
    progress: &mut dyn FnMut(u64),
) -> Result<Source, ProofError> {
    let mut finder =
        Finder { subject, products: Vec::new(), found: HashMap::new(), first_sequence: None };
    let replayed = scan.replay(
        &mut |entry| {
            finder.first_sequence.get_or_insert(entry.sequence);
            finder.visit(entry.sequence, entry.payload)
        },
        progress,
    )?;
    if let Some(first) = finder.first_sequence.filter(|first| *first != 1) {
        return Err(ProofError::Pruned { first });
    }
    let proven = replayed.proven_sequence;
    let last_sequence = last_sequence.unwrap_or(proven);
    if last_sequence > proven || last_sequence == 0 {
        return Err(ProofError::NotProven { asked: last_sequence, proven });
    }
    let mut segments = Vec::new();
    for report in &replayed.segments {
        let header = &report.header;
        // A later start may yet begin a segment: what is covered is in those before it.
        if header.first_sequence > last_sequence {
            break;
        }
        let cut = report.last_sequence > last_sequence;
        let digest = match cut {
            true => scan.digest_upto(last_sequence)?,
            false => report.digest,
        };
        segments.push(Segment {
            segment: header.segment,
            epoch: header.identity.epoch,
            first_sequence: header.first_sequence,
            last_sequence: report.last_sequence.min(last_sequence),
            sha256: hex(&digest),
        });
    }
    let products = finder.products(last_sequence);
    if products.is_empty() {
        return Err(ProofError::Unknown { subject: subject.to_string(), last_sequence });
    }
    Ok(Source { last_sequence, segments, products })
}
