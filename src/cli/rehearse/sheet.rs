//! The order lines of a file: which are purchases, which are skipped, and why.
//!
//! A line with quantity and price above 0 that is no service row is a purchase of its product at
//! its own unit price by its customer; without one, by a guest of its invoice. Ids are kept as
//! they are written, and case matters: `85123A` and `85123a` are two products. What the engine
//! would refuse as an id is a bad line, so a rehearsal tells it before the sale does.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::DateTime;
use serde::Serialize;

use super::amount::minor_units;
use super::record::{Record, Records};
use crate::cli::play::number::exponent_of;
use crate::domain::{BuyerId, FIGURE_MAX, ProductId, Quantity, Reference};

/// What the columns are called; an empty name says that there is no such column.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) invoice: String,
    pub(super) product: String,
    pub(super) description: String,
    pub(super) quantity: String,
    pub(super) date: String,
    pub(super) price: String,
    pub(super) customer: String,
}

/// How a file is read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) columns: Columns,
    pub(super) delimiter: u8,
    pub(super) date_format: String,
    pub(super) currency: String,
    /// Product codes that are no goods, in capitals; a `*` at the end stands for anything.
    pub(super) service_codes: Vec<String>,
}

/// One purchase to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its line in the file.
    pub(super) number: u64,
    /// Its invoice.
    pub(super) invoice: String,
    /// Its place among the products.
    pub(super) product: usize,
    /// Units.
    pub(super) quantity: u64,
    /// When it was bought, by the file.
    pub(super) at: DateTime,
    /// Price of one unit.
    pub(super) price_minor: u64,
    /// Who buys.
    pub(super) buyer_id: String,
}

/// One product of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SheetProduct {
    /// Its code.
    pub(super) product_id: String,
    /// The first description it has in the file.
    pub(super) name: String,
    /// Units all lines together want.
    pub(super) demand_units: u64,
}

/// Why a line is no purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// Its code is in the list of service codes.
    ServiceRow,
    /// A cancellation or a write-off.
    QuantityNotAboveZero,
    /// A gift or a correction.
    PriceNotAboveZero,
    /// It cannot be read, or the engine would refuse an id in it.
    Bad,
}

/// A line that is no purchase.
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
    /// Purchases in the file's order.
    pub(super) lines: Vec<Line>,
    /// Products in the order they first appear.
    pub(super) products: Vec<SheetProduct>,
    /// The rest.
    pub(super) skipped: Vec<Skipped>,
    /// Lines that were no UTF-8 and were read as Latin-1.
    pub(super) not_utf8: u64,
}

/// Places of the columns in a record.
struct Places {
    invoice: usize,
    product: usize,
    description: Option<usize>,
    quantity: usize,
    date: usize,
    price: usize,
    customer: Option<usize>,
}

impl Reason {
    /// For a person.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::ServiceRow => "service rows",
            Self::QuantityNotAboveZero => "quantity not above 0",
            Self::PriceNotAboveZero => "price not above 0",
            Self::Bad => "bad lines",
        }
    }
}

impl Sheet {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no such file: a column is missing, or it has no header.
    pub(super) fn read(bytes: &[u8], reading: &Reading) -> Result<Self, String> {
        let mut records = Records::new(bytes, reading.delimiter)?;
        let header = records.next().ok_or_else(|| "it is empty".to_owned())?;
        let places = Places::find(&header.fields, &reading.columns)?;
        let mut sheet = Self::default();
        let mut known: HashMap<String, usize> = HashMap::new();
        let exponent = exponent_of(&reading.currency);
        for record in records.by_ref() {
            sheet.read += 1;
            let taken = take(&record, &places, reading, exponent);
            match taken {
                Ok(taken) => sheet.enter(taken, &mut known),
                Err((reason, detail)) => {
                    sheet.skipped.push(Skipped { line: record.line, reason, detail });
                }
            }
        }
        sheet.not_utf8 = records.not_utf8();
        Ok(sheet)
    }

    fn enter(&mut self, taken: Taken, known: &mut HashMap<String, usize>) {
        let Taken { mut line, product_id, name } = taken;
        line.product = *known.entry(product_id.clone()).or_insert_with(|| {
            self.products.push(SheetProduct { product_id, name: String::new(), demand_units: 0 });
            self.products.len() - 1
        });
        if let Some(product) = self.products.get_mut(line.product) {
            product.demand_units += line.quantity;
            if product.name.is_empty() {
                product.name = name;
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

impl Places {
    fn find(header: &[String], columns: &Columns) -> Result<Self, String> {
        let place = |name: &str| header.iter().position(|found| found == name);
        let mut missing = Vec::new();
        let mut needed = |name: &str, flag: &str| {
            place(name).unwrap_or_else(|| {
                missing.push(format!("{name:?} (--column-{flag})"));
                0
            })
        };
        let mut optional = |name: &str, flag: &str| {
            if name.is_empty() { None } else { Some(needed(name, flag)) }
        };
        let description = optional(&columns.description, "description");
        let customer = optional(&columns.customer, "customer");
        let places = Self {
            invoice: needed(&columns.invoice, "invoice"),
            product: needed(&columns.product, "product"),
            description,
            quantity: needed(&columns.quantity, "quantity"),
            date: needed(&columns.date, "date"),
            price: needed(&columns.price, "price"),
            customer,
        };
        if missing.is_empty() {
            return Ok(places);
        }
        let found: Vec<String> = header.iter().map(|name| format!("{name:?}")).collect();
        let (missing, found) = (missing.join(", "), found.join(", "));
        Err(format!("it has no column {missing}; its columns are {found}"))
    }
}

struct Taken {
    line: Line,
    product_id: String,
    name: String,
}

type Skip = (Reason, String);

/// The purchase of a record, or why it is none.
fn take(record: &Record, places: &Places, reading: &Reading, exponent: u32) -> Result<Taken, Skip> {
    let bad = |what: String| (Reason::Bad, what);
    if let Some(why) = &record.bad {
        return Err(bad(why.clone()));
    }
    let field = |place: usize| record.fields.get(place).map_or("", String::as_str);
    let column = |place: usize, error: &dyn std::fmt::Display, name: &str| {
        bad(format!("{name} {:?}: {error}", field(place)))
    };
    let columns = &reading.columns;
    let code = field(places.product);
    if is_service(code, &reading.service_codes) {
        return Err((Reason::ServiceRow, code.to_owned()));
    }
    let units: i64 = field(places.quantity)
        .parse()
        .map_err(|_| column(places.quantity, &"is no whole number", &columns.quantity))?;
    let price = minor_units(field(places.price), exponent);
    let price = price.map_err(|error| bad(format!("{}: {error}", columns.price)))?;
    if units <= 0 {
        return Err((Reason::QuantityNotAboveZero, units.to_string()));
    }
    if price <= 0 {
        return Err((Reason::PriceNotAboveZero, field(places.price).to_owned()));
    }
    let quantity = Quantity::new(units.unsigned_abs())
        .map_err(|error| column(places.quantity, &error, &columns.quantity))?;
    let price_minor = price.unsigned_abs();
    if price_minor > FIGURE_MAX {
        return Err(column(places.price, &"is too large a price", &columns.price));
    }
    ProductId::new(code).map_err(|error| column(places.product, &error, &columns.product))?;
    let invoice = field(places.invoice);
    Reference::new(invoice).map_err(|error| column(places.invoice, &error, &columns.invoice))?;
    let buyer_id = match places.customer.map_or("", field) {
        "" => format!("guest-{invoice}"),
        customer => customer.to_owned(),
    };
    BuyerId::new(&buyer_id).map_err(|error| bad(format!("buyer {buyer_id:?}: {error}")))?;
    let at = DateTime::strptime(&reading.date_format, field(places.date)).map_err(|_| {
        column(places.date, &format!("is not {:?}", reading.date_format), &columns.date)
    })?;
    let (number, invoice, quantity) = (record.line, invoice.to_owned(), quantity.units());
    let line = Line { number, invoice, product: 0, quantity, at, price_minor, buyer_id };
    let name = places.description.map_or("", field).to_owned();
    Ok(Taken { line, product_id: code.to_owned(), name })
}

/// Whether a code is no goods; case does not matter here.
fn is_service(code: &str, service_codes: &[String]) -> bool {
    let code = code.to_ascii_uppercase();
    service_codes.iter().any(|service| match service.strip_suffix('*') {
        Some(start) => code.starts_with(start),
        None => code == *service,
    })
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
