//! The list of what is beyond the stock, as CSV: written by `orders beyond`, read by `orders cancel`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::cli::exit::{Exit, failure};
use crate::cli::rehearse::record::{self, Record, Records};
use crate::domain::ProductId;
use crate::journal::{HoldId, OrderId};

const COLUMNS: &str =
    "order_id,hold_id,product_id,quantity,keep,buyer_id,reference,placed_at,position";

/// One order or live hold, and its units beyond the stock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Beyond {
    pub(super) order_id: Option<String>,
    pub(super) hold_id: Option<String>,
    pub(super) product_id: String,
    /// Units beyond.
    pub(super) quantity: u64,
    /// Units it keeps.
    pub(super) keep: Option<u64>,
    pub(super) buyer_id: String,
    pub(super) reference: Option<String>,
    pub(super) placed_at: String,
    /// How far the log was when the list was made: part of the idempotency keys.
    pub(super) position: String,
}

/// What is to be done about one order or hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Undo {
    /// Its id.
    pub(super) id: Id,
    /// By product.
    pub(super) products: BTreeMap<String, Wanted>,
    /// Which list asks for it: the same word each time the same list is read.
    pub(super) origin: String,
}

/// What a line of the list says of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The line, from 1.
    pub(super) line: u64,
    /// Units to take back.
    pub(super) units: u64,
    /// Units that stay.
    pub(super) keep: Option<u64>,
}

/// Of an order or a hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    Order(String),
    Hold(String),
}

impl Id {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Order(id) | Self::Hold(id) => id,
        }
    }
}

/// The list as a file. Ids and times need no quotes.
pub(super) fn write(rows: &[Beyond]) -> String {
    let mut out = format!("{COLUMNS}\n");
    for row in rows {
        let word = |text: &Option<String>| text.clone().unwrap_or_default();
        let keep = row.keep.map(|units| units.to_string()).unwrap_or_default();
        let fields = [
            word(&row.order_id),
            word(&row.hold_id),
            row.product_id.clone(),
            row.quantity.to_string(),
            keep,
            row.buyer_id.clone(),
            word(&row.reference),
            row.placed_at.clone(),
            row.position.clone(),
        ];
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}

/// Reads a list: orders and holds in the order they are first named.
///
/// # Errors
/// It is no such file, or has lines that cannot be read: all of them are named, none is left out.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Undo>> {
    let bytes = record::read(path)?;
    let name = path.display();
    parse(&bytes).map_err(|why| failure(Exit::Usage, format!("{name}: {why}")))
}

fn parse(bytes: &[u8]) -> Result<Vec<Undo>, String> {
    let mut records = Records::new(bytes, b',')?;
    let header = records.header()?;
    let place = |name: &str| header.column(name);
    let needed = |name: &str| {
        place(name)?.ok_or_else(|| format!("line {}: the header has no {name}", header.line))
    };
    let (product, quantity) = (needed("product_id")?, needed("quantity")?);
    let ids = [place("order_id")?, place("hold_id")?];
    if ids == [None, None] {
        return Err(format!("line {}: the header has no order_id", header.line));
    }
    let (keep, position) = (place("keep")?, place("position")?);
    let of_file = super::undo::word_of(&[&String::from_utf8_lossy(bytes)]);
    let (mut all, mut places, mut bad) = (Vec::<Undo>::new(), BTreeMap::new(), Vec::new());
    for record in records {
        let field = |place: usize| record.fields.get(place).map_or("", String::as_str);
        let maybe = |place: Option<usize>| place.map(field).filter(|text| !text.is_empty());
        let read = || {
            let id = id_of(&record, ids)?;
            let product = field(product);
            ProductId::new(product).map_err(|error| format!("product_id {product:?}: {error}"))?;
            let units = field(quantity);
            let units = units.parse().ok().filter(|units: &u64| *units > 0);
            let units = units.ok_or_else(|| {
                format!("quantity {:?}: must be 1 or more units", field(quantity))
            })?;
            let keep = maybe(keep).map(|text| {
                text.parse::<u64>().map_err(|_| format!("keep {text:?}: must be units"))
            });
            let keep = keep.transpose()?;
            let at = *places.entry(id.clone()).or_insert_with(|| {
                let origin = maybe(position).unwrap_or(&of_file).to_owned();
                all.push(Undo { id: id.clone(), products: BTreeMap::new(), origin });
                all.len() - 1
            });
            let wanted = Wanted { line: record.line, units, keep };
            let twice =
                all.get_mut(at).and_then(|undo| undo.products.insert(product.to_owned(), wanted));
            match twice {
                None => Ok(()),
                Some(_) => Err(format!("{} and {product} stand in it twice", id.as_str())),
            }
        };
        let mut read = read;
        if let Err(why) = read() {
            bad.push(format!("line {}: {why}", record.line));
        }
    }
    match bad.is_empty() {
        true => Ok(all),
        false => {
            Err(format!("nothing was cancelled: put these lines right\n  {}", bad.join("\n  ")))
        }
    }
}

fn id_of(record: &Record, [order, hold]: [Option<usize>; 2]) -> Result<Id, String> {
    if let Some(why) = &record.bad {
        return Err(why.clone());
    }
    let field = |place: Option<usize>| {
        place.and_then(|place| record.fields.get(place)).filter(|text| !text.is_empty())
    };
    match (field(order), field(hold)) {
        (Some(order), None) => match order.parse::<OrderId>() {
            Ok(_) => Ok(Id::Order(order.clone())),
            Err(_) => Err(format!("order_id {order:?} is none")),
        },
        (None, Some(hold)) => match hold.parse::<HoldId>() {
            Ok(_) => Ok(Id::Hold(hold.clone())),
            Err(_) => Err(format!("hold_id {hold:?} is none")),
        },
        (Some(_), Some(_)) => Err("it has an order_id and a hold_id".to_owned()),
        (None, None) => Err("it has no order_id".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "o000g0000040000000000yh5x";
    const HOLD: &str = "h000g000004000000000179xd";

    fn row(quantity: u64) -> Beyond {
        Beyond {
            order_id: Some(ORDER.to_owned()),
            product_id: "hat".to_owned(),
            quantity,
            keep: Some(1),
            buyer_id: "ann".to_owned(),
            placed_at: "2026-11-25T04:43:10.147Z".to_owned(),
            position: "p1".to_owned(),
            ..Beyond::default()
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let hold = Beyond { order_id: None, hold_id: Some(HOLD.to_owned()), ..row(3) };
        let mug = Beyond { product_id: "mug".to_owned(), keep: None, ..row(5) };
        let read = parse(write(&[row(2), hold, mug]).as_bytes()).unwrap();
        let products = |rows: &[(&str, u64, u64, Option<u64>)]| {
            let wanted = |(id, line, units, keep): &(&str, u64, u64, Option<u64>)| {
                ((*id).to_owned(), Wanted { line: *line, units: *units, keep: *keep })
            };
            rows.iter().map(wanted).collect()
        };
        let undo = |id, rows: &[_]| Undo { id, products: products(rows), origin: "p1".to_owned() };
        let order = Id::Order(ORDER.to_owned());
        assert_eq!(
            read,
            [
                undo(order, &[("hat", 2, 2, Some(1)), ("mug", 4, 5, None)]),
                undo(Id::Hold(HOLD.to_owned()), &[("hat", 3, 3, Some(1))]),
            ]
        );
    }

    #[test]
    fn every_line_that_cannot_be_read_is_named() {
        let text = format!(
            "order_id,product_id,quantity\n{ORDER},hat,1\n{ORDER},hat,2\nx,hat,1\n,hat,1\n{ORDER},mug,0\n"
        );
        let why = parse(text.as_bytes()).unwrap_err();
        for line in [
            "line 3: o000",
            "line 4: order_id \"x\"",
            "line 5: it has no order_id",
            "line 6: quantity \"0\"",
        ] {
            assert!(why.contains(line), "{line}: {why}");
        }
        assert!(parse(b"a,b\n").unwrap_err().contains("line 1: the header has no product_id"));
        let twice = parse(b"order_id,quantity,product_id,quantity\n").unwrap_err();
        assert_eq!(twice, "line 1: the header has quantity twice");
        let cut = format!("order_id,product_id,quantity\n{ORDER},hat,1\r{ORDER},mug,1\n");
        let why = parse(cut.as_bytes()).unwrap_err();
        assert!(why.contains("line 2: a carriage return stands in the middle"), "{why}");
        let why = parse(cut.replace('\n', "\r").as_bytes()).unwrap_err();
        assert!(why.starts_with("line 1: a carriage return"), "a header alone: {why}");
    }

    #[test]
    fn a_list_of_ones_own_is_known_again_by_all_it_says() {
        let text = |quantity| format!("order_id,product_id,quantity\n{ORDER},hat,{quantity}\n");
        let origin = |text: String| parse(text.as_bytes()).unwrap()[0].origin.clone();
        assert_eq!(origin(text(1)), origin(text(1)));
        assert_ne!(origin(text(1)), origin(text(2)));
    }
}
