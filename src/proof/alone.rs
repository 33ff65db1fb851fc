//! Checking a proof by itself: form, arithmetic, versions, promise, totals, and its own digest.
//!
//! What it cannot show: that the log says the same. Whoever changes figures so that they add up
//! again, and the digest with them, is found by the log, or by a digest that was published.

use std::collections::HashMap;
use std::io::BufRead;

use sha2::{Digest, Sha256};

use super::account::Account;
use super::line::{self, Closing, End, Entry, FORMAT, Head, Line, Opening, Segment, hex};
use super::{LINE_BYTES_MAX, ProofError};
use crate::domain::FIGURE_MAX;

/// What a proof says, and whether it is sound by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alone {
    /// Its first line, if that could be read.
    pub head: Option<Head>,
    /// Decisions read.
    pub entries: u64,
    /// How each product stands, as it adds up.
    pub closings: Vec<Closing>,
    /// What is wrong, and on which line.
    pub wrong: Option<(u64, String)>,
    /// Digest of all lines but the last.
    pub sha256: Option<String>,
    /// Digests of the segments it says it draws on.
    segments: Vec<(u64, String)>,
}

/// What a published digest shows of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It is the digest of the proof: every byte is what was published.
    Proof,
    /// It is the digest of this segment: the proof names the log that was published, and whether
    /// its entries are that log's only the log can tell.
    Segment(u64),
    /// It is neither.
    Nothing,
}

/// One product, as far as it is read.
struct Product {
    opening: Opening,
    account: Account,
}

/// The last entry: those of one record stand together.
#[derive(Default)]
struct Before {
    entry: Option<Entry>,
    products: Vec<String>,
}

#[derive(Default)]
struct Reading {
    found: Alone,
    ranges: Vec<Segment>,
    products: HashMap<String, Product>,
    /// Their names, in the order of their lines.
    order: Vec<String>,
    before: Before,
    digest: Sha256,
    lines: u64,
    ended: bool,
}

/// Reads a proof and checks all of it that can be checked without a log.
///
/// # Errors
/// It cannot be read.
pub fn check_alone(
    file: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64),
) -> Result<Alone, ProofError> {
    let (mut reading, mut bytes, mut read) = (Reading::default(), Vec::new(), 0);
    loop {
        read += next_line(file, &mut bytes)? as u64;
        let judged = match bytes.is_empty() {
            true if reading.ended => break,
            true => Err("the proof is cut off: it has no end".to_owned()),
            false => reading.line(&bytes),
        };
        reading.lines += 1;
        if let Err(reason) = judged {
            reading.found.wrong = Some((reading.lines, reason));
            break;
        }
        progress(read);
    }
    Ok(reading.found)
}

/// Reads the next line with its end; nothing at the end of the file.
pub(super) fn next_line(file: &mut dyn BufRead, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
    use std::io::Read;
    bytes.clear();
    // One more than may be: what is longer is no line of a proof.
    file.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', bytes)
}

impl Alone {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.wrong.is_none()
    }

    /// What a published digest shows, in digits of base 16.
    #[must_use]
    pub fn shown_by(&self, digest: &str) -> Shown {
        // The last line is not under the digest, but adds up from the lines that are.
        if self.is_sound() && self.sha256.as_deref() == Some(digest) {
            return Shown::Proof;
        }
        let segment = self.segments.iter().find(|(_, sha256)| sha256 == digest);
        segment.map_or(Shown::Nothing, |(segment, _)| Shown::Segment(*segment))
    }
}

impl Reading {
    fn line(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() > LINE_BYTES_MAX {
            return Err(format!("it is longer than {LINE_BYTES_MAX} bytes"));
        }
        let line = line::read(bytes)?;
        if self.ended {
            return Err("it stands behind the end".to_owned());
        }
        match line {
            Line::Proof(head) if self.lines == 0 => self.head(head)?,
            _ if self.lines == 0 => return Err("a proof begins with its head".to_owned()),
            Line::Segment(segment) if self.order.is_empty() => self.segment(segment)?,
            Line::Product(opening) if self.found.entries == 0 => self.product(opening)?,
            Line::Entry(entry) if self.found.closings.is_empty() => self.entry(*entry)?,
            Line::Closing(closing) => self.closing(&closing)?,
            Line::End(end) => return self.end(&end),
            _ => return Err("it stands in the wrong place".to_owned()),
        }
        self.digest.update(bytes);
        Ok(())
    }

    fn head(&mut self, head: Head) -> Result<(), String> {
        if head.format != FORMAT {
            let format = head.format;
            return Err(format!("it has format {format}, this binary reads format {FORMAT}"));
        }
        if head.first_sequence != 1 {
            return Err(format!("it begins with sequence {}, not 1", head.first_sequence));
        }
        if !is_hex(&head.journal_id, 16) {
            return Err(format!("{} is no id of a journal", head.journal_id));
        }
        self.found.head = Some(head);
        Ok(())
    }

    fn segment(&mut self, segment: Segment) -> Result<(), String> {
        let before = self.ranges.last();
        let (number, first) =
            before.map_or((1, 1), |before| (before.segment + 1, before.last_sequence + 1));
        if (segment.segment, segment.first_sequence) != (number, first) {
            return Err(format!(
                "segment {} from sequence {} where {number} from {first} should be",
                segment.segment, segment.first_sequence
            ));
        }
        if before.is_some_and(|before| before.epoch > segment.epoch) {
            return Err("its epoch is below that of the segment before".to_owned());
        }
        let ends = (first - 1..=FIGURE_MAX).contains(&segment.last_sequence);
        if !ends || !is_hex(&segment.sha256, 32) {
            return Err("it has no range or no digest".to_owned());
        }
        self.found.segments.push((segment.segment, segment.sha256.clone()));
        self.ranges.push(segment);
        Ok(())
    }

    fn product(&mut self, opening: Opening) -> Result<(), String> {
        if self.order.is_empty() {
            self.segments_reach_the_end()?;
        }
        let name = opening.product_id.clone();
        let product = Product { opening, account: Account::default() };
        if self.products.insert(name.clone(), product).is_some() {
            return Err(format!("product {name} stands twice"));
        }
        self.order.push(name);
        Ok(())
    }

    fn segments_reach_the_end(&self) -> Result<(), String> {
        let end = self.ranges.last().map_or(0, |segment| segment.last_sequence);
        match &self.found.head {
            Some(head) if head.last_sequence == end => Ok(()),
            _ => Err(format!("the segments before it end with sequence {end}, the proof does not")),
        }
    }

    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        let with_buyers = self.found.head.as_ref().is_some_and(|head| head.with_buyers);
        if entry.buyer.is_some() != with_buyers {
            return Err("it names buyers where the head says otherwise, or does not".to_owned());
        }
        let held = |segment: &&Segment| {
            (segment.first_sequence..=segment.last_sequence).contains(&entry.sequence)
        };
        let at = self.ranges.partition_point(|segment| segment.last_sequence < entry.sequence);
        match self.ranges.get(at).filter(held) {
            Some(segment) if segment.segment == entry.segment => {}
            _ => return Err(format!("no segment {} holds {}", entry.segment, entry.sequence)),
        }
        self.before.take(&entry)?;
        let product = self.products.get_mut(&entry.product_id);
        let product = product.ok_or_else(|| format!("no product {}", entry.product_id))?;
        product.account.take(&entry)?;
        let (account, opening) = (&product.account, &product.opening);
        let opened = (account.opening_stock, account.opening_limit);
        if opened != (opening.opening_stock, opening.oversell_limit) {
            return Err(format!("it opens with {opened:?}, the product's line says otherwise"));
        }
        self.found.entries += 1;
        Ok(())
    }

    fn closing(&mut self, closing: &Closing) -> Result<(), String> {
        let expected = self.order.get(self.found.closings.len());
        let product = expected.and_then(|name| self.products.get(name));
        let (Some(name), Some(product)) = (expected, product) else {
            return Err("there is no product to close".to_owned());
        };
        let adds_up = product.account.closing(name);
        if *closing != adds_up || adds_up.version == 0 {
            return Err(format!("it says {closing:?}, it adds up to {adds_up:?}"));
        }
        self.found.closings.push(adds_up);
        Ok(())
    }

    fn end(&mut self, end: &End) -> Result<(), String> {
        let digest = hex(&std::mem::take(&mut self.digest).finalize());
        self.found.sha256 = Some(digest.clone());
        let closed = self.found.closings.len();
        if closed == 0 || closed != self.order.len() {
            return Err(format!("{closed} of {} products are closed", self.order.len()));
        }
        let counted = (self.lines, self.found.entries);
        if (end.lines, end.entries) != counted {
            return Err(format!("{} lines with {} entries stand before it", counted.0, counted.1));
        }
        if end.sha256 != digest {
            return Err(format!("the digest of the lines before it is {digest}"));
        }
        self.ended = true;
        Ok(())
    }
}

impl Before {
    /// Whether an entry can follow: of the same record or of a later one.
    fn take(&mut self, entry: &Entry) -> Result<(), String> {
        if entry.at.len() != 24 {
            return Err(format!("{} is no time", entry.at));
        }
        let Some(before) = &self.entry else {
            self.begin(entry);
            return Ok(());
        };
        if entry.sequence < before.sequence {
            return Err(format!("sequence {} behind {}", entry.sequence, before.sequence));
        }
        // Times in this form sort as text.
        if entry.at < before.at {
            return Err(format!("its time {} is before {}", entry.at, before.at));
        }
        if entry.sequence > before.sequence {
            self.begin(entry);
            return Ok(());
        }
        let of_record = |entry: &Entry| {
            let Entry { segment, at, kind, hold, order, reason, buyer, .. } = entry.clone();
            (segment, at, kind, hold, order, reason, buyer)
        };
        if of_record(entry) != of_record(before) || self.products.contains(&entry.product_id) {
            return Err(format!("record {} is told in two ways", entry.sequence));
        }
        self.products.push(entry.product_id.clone());
        Ok(())
    }

    fn begin(&mut self, entry: &Entry) {
        self.products.clear();
        self.products.push(entry.product_id.clone());
        self.entry = Some(entry.clone());
    }
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}
