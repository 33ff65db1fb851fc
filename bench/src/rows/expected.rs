//! What a log's records should have become: the rows of each in one line of text.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use sha2::{Digest as _, Sha256};

use super::found::{Table, joined};
use crate::faults::Faults;
use crate::log::Log;
use crate::model::{Model, Shelf};
use crate::payload::{Decision, Ended, Envelope, KINDS, Line, Money, Payload};
use crate::place::Place;

/// The digests of a log's rows, and what its records make.
pub(super) struct Expected {
    /// By table, then by the sequence of the record that made the row.
    digests: BTreeMap<Table, BTreeMap<u64, u64>>,
    pub(super) model: Model,
}

/// Partition and epoch of a log.
type Owner = (u16, u32);
/// Stock, held and sold.
type Figures = [u64; 3];

impl Expected {
    /// Reads the log twice: only then is it known what became of each order and hold.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut digests: BTreeMap<Table, BTreeMap<u64, u64>> = BTreeMap::new();
        let mut keep = |table, sequence, text: String| {
            digests.entry(table).or_default().insert(sequence, digest(&text));
        };
        let model = each_text(directory, None, |_, _, _| {})?;
        each_text(directory, Some(&model), &mut keep)?;
        Ok(Self { digests, model })
    }

    pub(super) fn digests(&self, table: Table) -> &BTreeMap<u64, u64> {
        const NONE: &BTreeMap<u64, u64> = &BTreeMap::new();
        self.digests.get(&table).unwrap_or(NONE)
    }
}

pub(super) fn digest(text: &str) -> u64 {
    let bytes = Sha256::digest(text.as_bytes());
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Shows the rows of every record, given what the whole log makes; gives what it makes.
pub(super) fn each_text(
    directory: &Path,
    whole: Option<&Model>,
    mut show: impl FnMut(Table, u64, String),
) -> anyhow::Result<Model> {
    let log = Log::open(directory)?;
    let (mut model, mut broken) = (Model::default(), None);
    log.read(log.first_sequence(), |frame| {
        let sequence = frame.sequence;
        let payload = match Payload::parse(frame.payload) {
            Ok(payload) => payload,
            Err(error) => return broken = broken.take().or(Some((sequence, error))),
        };
        let before = figures_before(&model, &payload);
        // What the log says by itself is the checker's to judge.
        model.apply(sequence, &payload, &mut Faults::default());
        let (Some(whole), Payload::Decision(envelope, decision)) = (whole, &payload) else {
            return;
        };
        let owner = log.owner_of(sequence);
        let about = About { sequence, envelope, decision, owner, products: &model };
        if let Some(text) = about.movements(payload.kind(), &before) {
            show(Table::Movements, sequence, text);
        }
        if let Some(text) = about.order(whole) {
            show(Table::Orders, sequence, text);
        }
        if let Some(text) = about.hold(whole) {
            show(Table::Holds, sequence, text);
        }
    })?;
    match broken {
        None => Ok(model),
        Some((sequence, error)) => bail!("sequence {sequence}: {error}"),
    }
}

fn figures(shelf: &Shelf) -> Figures {
    [shelf.stock, shelf.held, shelf.sold]
}

/// Figures of the products a record changes, as they are before it.
fn figures_before(model: &Model, payload: &Payload<'_>) -> Vec<Figures> {
    let Payload::Decision(envelope, _) = payload else { return Vec::new() };
    let before =
        |(handle, _): &(u32, u64)| model.products().get(*handle as usize).map_or([0; 3], figures);
    envelope.changes.iter().map(before).collect()
}

/// A record, and what its rows need beside it.
struct About<'a> {
    sequence: u64,
    envelope: &'a Envelope<'a>,
    decision: &'a Decision<'a>,
    owner: Owner,
    /// After the record.
    products: &'a Model,
}

impl About<'_> {
    fn word(&self, letter: u8, sequence: u64) -> String {
        let (partition, epoch) = self.owner;
        Place { partition, epoch, sequence }.word(letter)
    }

    fn product(&self, handle: u32) -> &str {
        self.products.products().get(handle as usize).map_or("?", |shelf| &shelf.product_id)
    }

    /// The order and the hold that a decision is about.
    fn ids(&self) -> (Option<u64>, Option<u64>) {
        match self.decision {
            Decision::OrderPlaced { .. } => (Some(self.sequence), None),
            Decision::HoldPlaced { .. } => (None, Some(self.sequence)),
            Decision::HoldConfirmed { hold, .. } => (Some(self.sequence), Some(*hold)),
            Decision::HoldReleased(Ended { hold, .. })
            | Decision::HoldExpired(Ended { hold, .. })
            | Decision::HoldExtended { hold, .. } => (None, Some(*hold)),
            Decision::OrderCancelled { order, .. } => (Some(*order), None),
            _ => (None, None),
        }
    }

    /// Every change of the record, with what it made of the product's figures.
    fn movements(&self, kind: usize, before: &[Figures]) -> Option<String> {
        let kind = KINDS.get(kind).copied().unwrap_or_default();
        let (order, hold) = self.ids();
        let order = or_null(order.map(|order| self.word(b'o', order)));
        let hold = or_null(hold.map(|hold| self.word(b'h', hold)));
        let movement = |((handle, version), before): (&(u32, u64), &Figures)| {
            let shelf = self.products.products().get(*handle as usize);
            let after = shelf.map_or([0; 3], figures);
            let [stock, held, sold] = after;
            let [d_stock, d_held, d_sold] =
                [0, 1, 2].map(|n: usize| i128::from(pick(&after, n)) - i128::from(pick(before, n)));
            let product = self.product(*handle);
            format!(
                "{product} {version} {kind} {d_stock} {d_held} {d_sold} {stock} {held} {sold} \
                 {order} {hold}"
            )
        };
        let changes = self.envelope.changes.iter().zip(before);
        let items: Vec<String> = changes.map(movement).collect();
        (!items.is_empty()).then(|| joined("", items))
    }

    /// An order and its lines, as they are in the end.
    fn order(&self, whole: &Model) -> Option<String> {
        let (buyer_id, lines, hold) = match self.decision {
            Decision::OrderPlaced { buyer_id, lines } => (buyer_id, lines, None),
            Decision::HoldConfirmed { buyer_id, lines, hold, .. } => (buyer_id, lines, Some(*hold)),
            _ => return None,
        };
        let placed = whole.orders().get(self.sequence)?;
        let reference = self.envelope.reference.unwrap_or("NULL");
        let (order_id, partition) = (self.word(b'o', self.sequence), self.owner.0);
        let hold_id = or_null(hold.map(|hold| self.word(b'h', hold)));
        let status = placed.status();
        let head = format!("{order_id} {partition} {buyer_id} {reference} {status} {hold_id}");
        let line = |(place, line): (usize, &Line)| {
            let (line_no, cancelled) = (place + 1, placed.cancelled(place));
            let (product, price) = (self.product(line.product), price(line.unit_price));
            format!("{line_no} {product} {} {price} {cancelled}", line.quantity)
        };
        Some(joined(&head, lines.iter().enumerate().map(line).collect()))
    }

    /// A hold, as it is in the end.
    fn hold(&self, whole: &Model) -> Option<String> {
        let Decision::HoldPlaced { buyer_id, .. } = self.decision else { return None };
        let held = whole.holds().get(self.sequence)?;
        let (hold_id, partition) = (self.word(b'h', self.sequence), self.owner.0);
        let reference = self.envelope.reference.unwrap_or("NULL");
        let (placed_ms, expires_ms) = (self.envelope.at_ms, held.expires_at_ms);
        let status = held.end.map_or("held", |end| end.status);
        let resolved_ms = or_null(held.end.map(|end| end.at_ms.to_string()));
        let confirmed = held.end.filter(|end| end.status == "confirmed");
        let order_id = or_null(confirmed.map(|end| self.word(b'o', end.sequence)));
        let head = format!(
            "{hold_id} {partition} {buyer_id} {reference} {status} {placed_ms} {expires_ms} \
             {resolved_ms} {order_id}"
        );
        Some(joined(&head, Vec::new()))
    }
}

fn pick(figures: &Figures, place: usize) -> u64 {
    figures.get(place).copied().unwrap_or(0)
}

fn or_null(text: Option<String>) -> String {
    text.unwrap_or_else(|| "NULL".to_owned())
}

fn price(price: Option<Money>) -> String {
    let text = |price: Money| {
        format!("{} {}", price.amount_minor, String::from_utf8_lossy(&price.currency))
    };
    price.map_or_else(|| "NULL NULL".to_owned(), text)
}
