//! What a file holds: the lines to play, their products, and the lines that are skipped.
//!
//! `85123A` and `85123a` are two products. A product is called what its first sale calls it; what
//! stands in the description of a write-off is why.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::columns::Places;
use super::line::{Kind, Line, Reading, Reason, Taken, take};
use super::record::{Record, Records};
use crate::cli::play::number::exponent_of;

/// One product of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SheetProduct {
    /// Its code.
    pub(super) product_id: String,
    /// The first description it has in the file.
    pub(super) name: String,
    /// Units all sales together want.
    pub(super) demand_units: u64,
}

/// A line that is not played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Skipped {
    /// Its line in the file.
    pub(super) line: u64,
    /// Why.
    pub(super) reason: Reason,
    /// In words.
    pub(super) detail: String,
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sheet {
    /// Lines below the header.
    pub(super) read: u64,
    /// Lines to play, in the file's order.
    pub(super) lines: Vec<Line>,
    /// Products in the order they first appear.
    pub(super) products: Vec<SheetProduct>,
    /// The rest.
    pub(super) skipped: Vec<Skipped>,
    /// Lines that were no UTF-8 and were read as Latin-1.
    pub(super) not_utf8: u64,
}

/// Where one stretch of an invoice's lines ends and the next begins.
#[derive(Default)]
struct Stretches {
    number: u64,
    /// Invoice and customer of the last line that could be read.
    last: (String, String),
}

impl Sheet {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no such file: a column is missing, or it has no header.
    pub(super) fn read(bytes: &[u8], reading: &Reading) -> Result<Self, String> {
        let mut records = Records::new(bytes, reading.delimiter)?;
        let header = records.header()?;
        let places = Places::find(&header.fields, &reading.columns)?;
        let mut sheet = Self::default();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut stretches = Stretches::default();
        let exponent = exponent_of(&reading.currency);
        for record in records.by_ref() {
            sheet.read += 1;
            let stretch = stretches.of(&record, &places);
            match take(&record, &places, reading, exponent) {
                Ok(mut taken) => {
                    taken.line.stretch = stretch;
                    sheet.enter(taken, &mut known);
                }
                Err((reason, detail)) => {
                    sheet.skipped.push(Skipped { line: record.line, reason, detail });
                }
            }
        }
        sheet.not_utf8 = records.not_utf8();
        Ok(sheet)
    }

    fn enter(&mut self, taken: Taken, known: &mut HashMap<String, usize>) {
        let Taken { mut line, product_id } = taken;
        line.product = *known.entry(product_id.clone()).or_insert_with(|| {
            self.products.push(SheetProduct { product_id, name: String::new(), demand_units: 0 });
            self.products.len() - 1
        });
        if let Some(product) = self.products.get_mut(line.product) {
            if line.kind == Kind::Sale {
                product.demand_units += line.quantity;
            }
            if line.kind != Kind::WriteOff && product.name.is_empty() {
                product.name.clone_from(&line.text);
            }
        }
        self.lines.push(line);
    }

    /// How many lines were skipped for each reason.
    pub(super) fn skipped_by_reason(&self) -> BTreeMap<Reason, u64> {
        let mut counts = BTreeMap::new();
        for skipped in &self.skipped {
            *counts.entry(skipped.reason).or_default() += 1;
        }
        counts
    }
}

impl Stretches {
    /// The stretch of a record: skipped lines count too, those that cannot be read do not.
    fn of(&mut self, record: &Record, places: &Places) -> u64 {
        let field = |place: usize| record.fields.get(place).cloned().unwrap_or_default();
        if record.bad.is_none() {
            let now = (field(places.invoice), places.customer.map_or(String::new(), field));
            if now != self.last {
                self.number += 1;
                self.last = now;
            }
        }
        self.number
    }
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
