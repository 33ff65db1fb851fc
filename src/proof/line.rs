//! The lines of a proof: one JSON object each, in one form only.
//!
//! `proof`, then the `segment`s, the `product`s, every `entry` in the order of the log, a `closing`
//! for each product, and `end`. A line that reads as JSON but is not what would be written for the
//! same values is refused: nothing can hide in spaces, in other ways to write a number, or in
//! fields that nobody checks.

use serde::{Deserialize, Serialize};

use crate::domain::{ProductId, SaleId};

/// Newest form of a proof; the one that is written.
pub(super) const FORMAT: u32 = 1;

/// Bytes as digits of base 16.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // A string takes what is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(super) enum Line {
    /// The first.
    Proof(Head),
    /// A segment of the log that the proof draws on.
    Segment(Segment),
    /// A product it is about.
    Product(Opening),
    /// A decision that changed a product.
    Entry(Box<Entry>),
    /// How a product stands at the end.
    Closing(Closing),
    /// The last.
    End(End),
}

/// What is proven, of which log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Form of the file.
    pub format: u32,
    /// Whose log.
    pub journal_id: String,
    /// Which part of the whole that log holds.
    pub partition: u16,
    /// What the proof is of.
    pub of: Subject,
    /// First sequence covered: 1.
    pub first_sequence: u64,
    /// Last sequence covered; the log proves that it was durable.
    pub last_sequence: u64,
    /// Whether buyers, references and principals are in it.
    pub with_buyers: bool,
}

/// What a proof is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One product.
    ProductId(ProductId),
    /// Every product that ever belonged to a sale.
    SaleId(SaleId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ProductId(id) => write!(f, "product {id}"),
            Self::SaleId(id) => write!(f, "sale {id}"),
        }
    }
}

/// A segment of the log up to its last record, or up to the last sequence covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) segment: u64,
    pub(super) epoch: u32,
    pub(super) first_sequence: u64,
    /// `first_sequence - 1` where it has no record of its own.
    pub(super) last_sequence: u64,
    /// Over its header, which has the digest of the segment before, and its frames up to there.
    pub(super) sha256: String,
}

/// A product as it was put in for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) product_id: String,
    pub(super) opening_stock: u64,
    pub(super) oversell_limit: u64,
}

/// A decision that changed a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) product_id: String,
    pub(super) version: u64,
    pub(super) sequence: u64,
    pub(super) segment: u64,
    pub(super) at: String,
    pub(super) kind: String,
    /// The hold that it ends: sequence of the record that placed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hold: Option<u64>,
    /// The order of which units came back: sequence of the record that placed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<u64>,
    /// Why stock was adjusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) delta: Delta,
    pub(super) after: Standing,
    /// `held + sold` after it.
    pub(super) held_and_sold: u64,
    /// `stock + oversell_limit` after it: the promise is that it is not less.
    pub(super) at_most: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) buyer: Option<Buyer>,
}

/// What a decision moves; what it leaves alone is not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Delta {
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) stock: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) held: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) sold: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) oversell_limit: i64,
}

/// How a product stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) stock: u64,
    pub(super) held: u64,
    pub(super) sold: u64,
    pub(super) oversell_limit: u64,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stock, held, sold, oversell_limit } = self;
        write!(f, "stock {stock}, held {held}, sold {sold}, oversell_limit {oversell_limit}")
    }
}

impl std::fmt::Display for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stock, held, sold, oversell_limit } = self;
        write!(
            f,
            "stock by {stock}, held by {held}, sold by {sold}, oversell_limit by {oversell_limit}"
        )
    }
}

/// Who, and under which number: only where that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Buyer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) buyer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    pub(super) principal: String,
    /// Where the record's frame begins in its segment.
    pub(super) offset: u64,
    /// Of the record's payload.
    pub(super) sha256: String,
}

/// How a product stands at the end, and all that moved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Which.
    pub product_id: String,
    /// Its last version: so many entries there are.
    pub version: u64,
    /// What it was put in for sale with.
    pub opening_stock: u64,
    /// Units put in for sale, less those written off.
    pub stock: u64,
    /// Units in live holds.
    pub held: u64,
    /// Units in orders, less returned.
    pub sold: u64,
    /// Units that may be sold beyond the stock.
    pub oversell_limit: u64,
    /// Sums of what was added and what was taken away.
    pub totals: Totals,
}

/// Sums over the entries of a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// To stock, the opening stock among it.
    pub stock_added: u64,
    /// From stock.
    pub stock_removed: u64,
    /// Set aside.
    pub held_added: u64,
    /// Confirmed, released or expired.
    pub held_removed: u64,
    /// Sold.
    pub sold_added: u64,
    /// Came back.
    pub sold_removed: u64,
}

/// The end: without it a proof was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// Lines before this one.
    pub(super) lines: u64,
    pub(super) entries: u64,
    /// Over every byte before this line: what can be published.
    pub(super) sha256: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// Appends a line, with its end.
pub(super) fn put(line: &Line, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(&mut *out, line);
    assert!(written.is_ok(), "our own values are JSON: {written:?}");
    out.push(b'\n');
}

/// The line that bytes are, with its end among them.
///
/// # Errors
/// Why they are none.
pub(super) fn read(bytes: &[u8]) -> Result<Line, String> {
    let line: Line = serde_json::from_slice(bytes).map_err(|error| unread(&error))?;
    let mut written = Vec::with_capacity(bytes.len());
    put(&line, &mut written);
    if written != bytes {
        return Err("it is not in the form in which a proof is written".to_owned());
    }
    Ok(line)
}

/// Why a line is none of a proof. The parser's own place is left out: it counts every line as its first.
fn unread(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            text.split(" at line ").next().unwrap_or_default().to_owned()
        }
        _ => "it is no JSON, as every line of a proof is".to_owned(),
    }
}

/// Fields in which two lines of one kind part, with what each says: the first, then the second.
pub(super) fn parts<T: Serialize>(said: &T, other: &T) -> Option<String> {
    let (said, other) = (serde_json::to_value(said).ok()?, serde_json::to_value(other).ok()?);
    let mut found = Vec::new();
    collect("", &said, &other, &mut found);
    (!found.is_empty()).then(|| found.join("; "))
}

fn collect(
    path: &str,
    said: &serde_json::Value,
    other: &serde_json::Value,
    found: &mut Vec<String>,
) {
    if said == other {
        return;
    }
    let (Some(ours), Some(theirs)) = (said.as_object(), other.as_object()) else {
        let name = path.trim_start_matches('.');
        found.push(format!("{name} is {said}, in the log {other}"));
        return;
    };
    let null = serde_json::Value::Null;
    let only_theirs = theirs.keys().filter(|key| !ours.contains_key(*key));
    for key in ours.keys().chain(only_theirs) {
        let of = |fields: &serde_json::Map<_, _>| fields.get(key).unwrap_or(&null).clone();
        collect(&format!("{path}.{key}"), &of(ours), &of(theirs), found);
    }
}
