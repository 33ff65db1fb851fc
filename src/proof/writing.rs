//! The second reading of the log: the lines of a proof, one after another.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::ProofError;
use super::account::Account;
use super::effect::Effect;
use super::line::{Buyer, Closing, End, Entry, FORMAT, Head, Line, Subject, hex, put};
use super::source::{self, Source};
use crate::domain::{Change, Handle, rfc3339};
use crate::journal::{JournalError, JournalScan, Payload, Record, decode};

/// What should be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Of what.
    pub subject: Subject,
    /// Up to where; `None`: as far as the log proves that it was durable.
    pub last_sequence: Option<u64>,
    /// Whether buyers, references and principals are in it.
    pub with_buyers: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The first line.
    pub head: Head,
    /// How each product stands.
    pub closings: Vec<Closing>,
    /// Decisions.
    pub entries: u64,
    /// Over all lines but the last: what can be published.
    pub sha256: String,
}

/// Takes a line with its end; an error ends the writing.
pub type Sink<'a, E> = dyn FnMut(&[u8]) -> Result<(), E> + 'a;

/// Where a record stands.
#[derive(Clone, Copy)]
struct Place {
    sequence: u64,
    segment: u64,
    offset: u64,
}

/// A product whose entries are written.
struct Proven {
    product_id: String,
    account: Account,
}

struct Writer<'a, 'b, E> {
    sink: &'a mut Sink<'b, E>,
    products: HashMap<Handle, Proven>,
    with_buyers: bool,
    digest: Sha256,
    lines: u64,
    entries: u64,
    buffer: Vec<u8>,
    /// What the sink said: nothing is written any more.
    stopped: Option<E>,
}

/// Reads the log twice and writes a proof, a line at a time, to `sink`. `progress` hears how many
/// of twice the log's bytes are read.
///
/// # Errors
/// There is no such product or sale, the log cannot be read or begins too late, or `sink`'s.
pub fn write<E: From<ProofError>>(
    scan: &JournalScan,
    ask: &Ask,
    sink: &mut Sink<'_, E>,
    progress: &mut dyn FnMut(u64),
) -> Result<Written, E> {
    let source = source::read(scan, &ask.subject, ask.last_sequence, progress)?;
    let identity = scan.identity().ok_or(ProofError::Pruned { first: 0 })?;
    let head = Head {
        format: FORMAT,
        journal_id: hex(&identity.journal_id),
        partition: identity.partition,
        of: ask.subject.clone(),
        first_sequence: 1,
        last_sequence: source.last_sequence,
        with_buyers: ask.with_buyers,
    };
    let mut writer = Writer {
        sink,
        products: HashMap::new(),
        with_buyers: ask.with_buyers,
        digest: Sha256::new(),
        lines: 0,
        entries: 0,
        buffer: Vec::new(),
        stopped: None,
    };
    writer.open(&head, &source)?;
    let read = writer.entries(scan, source.last_sequence, progress);
    if let Some(stopped) = writer.stopped.take() {
        return Err(stopped);
    }
    read.map_err(ProofError::Journal)?;
    writer.close(head, &source)
}

impl<E: From<ProofError>> Writer<'_, '_, E> {
    fn open(&mut self, head: &Head, source: &Source) -> Result<(), E> {
        self.put(&Line::Proof(head.clone()))?;
        for segment in &source.segments {
            self.put(&Line::Segment(segment.clone()))?;
        }
        for (handle, opening) in &source.products {
            self.put(&Line::Product(opening.clone()))?;
            let product_id = opening.product_id.clone();
            self.products.insert(*handle, Proven { product_id, account: Account::default() });
        }
        Ok(())
    }

    /// Stops reading at the first record behind `last_sequence`: the first reading saw the rest.
    fn entries(
        &mut self,
        scan: &JournalScan,
        last_sequence: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), JournalError> {
        let (bytes, mut done) = (scan.bytes_total(), false);
        let read = scan.replay(
            &mut |entry| {
                if entry.sequence > last_sequence {
                    done = true;
                    return Err("what is proven ends here".to_owned());
                }
                let (sequence, segment, offset) = (entry.sequence, entry.segment, entry.offset);
                self.record(Place { sequence, segment, offset }, entry.payload)
            },
            &mut |read| progress(bytes + read),
        );
        if done { Ok(()) } else { read.map(|_| ()) }
    }

    fn record(&mut self, place: Place, payload: &[u8]) -> Result<(), String> {
        let decoded = decode(payload).map_err(|error| error.to_string())?;
        let Payload::Record(record) = decoded else { return Ok(()) };
        let changes = &record.envelope.changes;
        if !changes.iter().any(|change| self.products.contains_key(&change.handle)) {
            return Ok(());
        }
        let effect = Effect::of(&record);
        let buyer = self.with_buyers.then(|| buyer(place, &record, payload));
        for change in changes {
            self.entry(place, &record, &effect, *change, buyer.clone())?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        place: Place,
        record: &Record,
        effect: &Effect,
        change: Change,
        buyer: Option<Buyer>,
    ) -> Result<(), String> {
        let Some(Proven { product_id, account }) = self.products.get_mut(&change.handle) else {
            return Ok(());
        };
        let delta = effect.delta(change.handle, account.standing.oversell_limit);
        let after = account.after(&delta)?;
        let entry = Entry {
            product_id: product_id.clone(),
            version: change.version.get(),
            sequence: place.sequence,
            segment: place.segment,
            at: rfc3339(record.envelope.decided_at_ms),
            kind: record.kind().as_str().to_owned(),
            hold: effect.hold,
            order: effect.order,
            reason: effect.reason.map(str::to_owned),
            delta,
            after,
            held_and_sold: after.held_and_sold(),
            at_most: after.at_most(),
            buyer,
        };
        account.take(&entry)?;
        self.entries += 1;
        self.put(&Line::Entry(Box::new(entry))).map_err(|stopped| {
            self.stopped = Some(stopped);
            "nobody takes the proof any more".to_owned()
        })
    }

    fn close(mut self, head: Head, source: &Source) -> Result<Written, E> {
        let mut closings = Vec::with_capacity(source.products.len());
        for (handle, _) in &source.products {
            if let Some(Proven { product_id, account }) = self.products.get(handle) {
                closings.push(account.closing(product_id));
            }
        }
        for closing in &closings {
            self.put(&Line::Closing(closing.clone()))?;
        }
        let sha256 = hex(&self.digest.clone().finalize());
        let (lines, entries) = (self.lines, self.entries);
        self.put(&Line::End(End { lines, entries, sha256: sha256.clone() }))?;
        Ok(Written { head, closings, entries, sha256 })
    }

    fn put(&mut self, line: &Line) -> Result<(), E> {
        self.buffer.clear();
        put(line, &mut self.buffer);
        assert!(self.buffer.len() <= super::LINE_BYTES_MAX, "ids are bounded");
        self.digest.update(&self.buffer);
        self.lines += 1;
        (self.sink)(&self.buffer)
    }
}

fn buyer(place: Place, record: &Record, payload: &[u8]) -> Buyer {
    Buyer {
        buyer_id: record.decision.buyer_id().map(ToString::to_string),
        reference: record.envelope.reference.as_ref().map(ToString::to_string),
        principal: record.envelope.principal.to_string(),
        offset: place.offset,
        sha256: hex(&Sha256::digest(payload)),
    }
}
