//! One line of the file: a sale, a cancellation, a write-off, or skipped and why.
//!
//! Units and price above 0 are a sale by its customer; without one, by a guest of its invoice.
//! Units below 0 are a cancellation on an invoice with the mark of cancellations, and a write-off
//! on any other when they have no price. Ids are kept as they are written, and case matters. What
//! the engine would refuse as an id is a bad line, so a rehearsal tells it before the sale does.

use jiff::civil::DateTime;
use serde::Serialize;

use super::amount::minor_units;
use super::columns::{Columns, Places};
use super::record::Record;
use crate::domain::{BuyerId, FIGURE_MAX, ProductId, Quantity, Reference};

/// How a file is read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) columns: Columns,
    pub(super) delimiter: u8,
    pub(super) date_format: String,
    pub(super) currency: String,
    /// Product codes that are no goods, in capitals; a `*` at the end stands for anything.
    pub(super) service_codes: Vec<String>,
    /// How the invoices begin that cancel earlier sales; empty: none does.
    pub(super) cancellation_mark: String,
}

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Units are sold.
    Sale,
    /// Units of earlier sales come back.
    Cancellation,
    /// Units are written off.
    WriteOff,
}

/// One line to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its line in the file.
    pub(super) number: u64,
    /// What it does.
    pub(super) kind: Kind,
    /// Its invoice.
    pub(super) invoice: String,
    /// Which stretch of lines of one invoice and buyer it belongs to.
    pub(super) stretch: u64,
    /// Its place among the products.
    pub(super) product: usize,
    /// Units, without a sign.
    pub(super) quantity: u64,
    /// When it was, by the file.
    pub(super) at: DateTime,
    /// Price of one unit.
    pub(super) price_minor: u64,
    /// Who buys, or bought.
    pub(super) buyer_id: String,
    /// Its description.
    pub(super) text: String,
}

/// Why a line is not played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// Its code is in the list of service codes.
    ServiceRow,
    /// No units, or units below 0 at a price on an invoice that cancels nothing.
    QuantityNotAboveZero,
    /// A gift or a correction.
    PriceNotAboveZero,
    /// It cannot be read, or the engine would refuse an id in it.
    Bad,
}

/// A line that can be played; its place among the products is not known yet.
pub(super) struct Taken {
    pub(super) line: Line,
    pub(super) product_id: String,
}

/// Why not, and in words.
pub(super) type Skip = (Reason, String);

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

/// What a record says, or why it is skipped.
pub(super) fn take(
    record: &Record,
    places: &Places,
    reading: &Reading,
    exponent: u32,
) -> Result<Taken, Skip> {
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
    let invoice = field(places.invoice);
    let kind = reading.kind(invoice, units, price).map_err(|reason| match reason {
        Reason::PriceNotAboveZero => (reason, field(places.price).to_owned()),
        _ => (reason, units.to_string()),
    })?;
    let quantity = Quantity::new(units.unsigned_abs())
        .map_err(|error| column(places.quantity, &error, &columns.quantity))?;
    let price_minor = price.unsigned_abs();
    if price_minor > FIGURE_MAX {
        return Err(column(places.price, &"is too large a price", &columns.price));
    }
    ProductId::new(code).map_err(|error| column(places.product, &error, &columns.product))?;
    Reference::new(invoice).map_err(|error| column(places.invoice, &error, &columns.invoice))?;
    let buyer_id = match places.customer.map_or("", field) {
        "" => format!("guest-{invoice}"),
        customer => customer.to_owned(),
    };
    BuyerId::new(&buyer_id).map_err(|error| bad(format!("buyer {buyer_id:?}: {error}")))?;
    let at = DateTime::strptime(&reading.date_format, field(places.date)).map_err(|_| {
        column(places.date, &format!("is not {:?}", reading.date_format), &columns.date)
    })?;
    let line = Line {
        number: record.line,
        kind,
        invoice: invoice.to_owned(),
        stretch: 0,
        product: 0,
        quantity: quantity.units(),
        at,
        price_minor,
        buyer_id,
        text: places.description.map_or("", field).to_owned(),
    };
    Ok(Taken { line, product_id: code.to_owned() })
}

impl Reading {
    /// What a line with these units and this price does on that invoice.
    fn kind(&self, invoice: &str, units: i64, price: i64) -> Result<Kind, Reason> {
        let mark = self.cancellation_mark.as_str();
        let cancels = !mark.is_empty() && invoice.starts_with(mark);
        match (units.signum(), price.signum()) {
            (1, 1) => Ok(Kind::Sale),
            (-1, 0 | 1) if cancels => Ok(Kind::Cancellation),
            (-1, 0) => Ok(Kind::WriteOff),
            (1, _) => Err(Reason::PriceNotAboveZero),
            _ => Err(Reason::QuantityNotAboveZero),
        }
    }
}

/// Whether a code is no goods; case does not matter here.
fn is_service(code: &str, service_codes: &[String]) -> bool {
    let code = code.to_ascii_uppercase();
    service_codes.iter().any(|service| match service.strip_suffix('*') {
        Some(start) => code.starts_with(start),
        None => code == *service,
    })
}
