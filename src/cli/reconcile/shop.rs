//! A shop's list of what it was paid for: a CSV with the columns reference, product and quantity.
//!
//! A line that cannot be read is not left out: the file is refused with every such line, because a
//! comparison without them would tell of orders that are not missing.

use std::collections::HashMap;

use crate::cli::exit::{Exit, failure};
use crate::cli::rehearse::record::Records;
use crate::domain::{FIGURE_MAX, ProductId, Reference};

const COLUMNS: [&str; 3] = ["reference", "product", "quantity"];

/// Units paid for, by reference and product.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Paid {
    /// By reference, then by product.
    pub(super) orders: HashMap<String, HashMap<String, PaidLine>>,
    /// Lines below the header.
    pub(super) lines: u64,
}

/// What was paid for of one product under one reference.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PaidLine {
    /// Units in the file.
    pub(super) paid: u64,
    /// Units of it in the log.
    pub(super) sold: u64,
    /// First line of the file that names it.
    pub(super) line: u64,
}

impl Paid {
    /// Reads a file; `name` is what it is called in messages.
    ///
    /// # Errors
    /// It has no such header, or lines that cannot be read: all of them.
    pub(super) fn read(bytes: &[u8], name: &str) -> anyhow::Result<Self> {
        let usage = |what: String| failure(Exit::Usage, format!("{name}: {what}"));
        let mut records = Records::new(bytes, b',').map_err(usage)?;
        let header = records.header().map_err(usage)?;
        let place = |name| header.column(name).map_err(usage);
        let [reference, product, quantity] = COLUMNS;
        let places = (place(reference)?, place(product)?, place(quantity)?);
        let (Some(reference), Some(product), Some(quantity)) = places else {
            let found = header.fields.join(", ");
            let wanted = COLUMNS.join(", ");
            return Err(usage(format!(
                "line {}: the header needs {wanted}; it has {found}",
                header.line
            )));
        };
        let mut paid = Self::default();
        let mut bad = Vec::new();
        for record in records {
            paid.lines += 1;
            let field = |place: usize| record.fields.get(place).map_or("", String::as_str);
            let read = match record.bad.clone() {
                Some(why) => Err(why),
                None => line(field(reference), field(product), field(quantity)),
            };
            if let Err(why) = read.and_then(|read| paid.add(record.line, read)) {
                bad.push(format!("line {}: {why}", record.line));
            }
        }
        if bad.is_empty() {
            return Ok(paid);
        }
        let bad = bad.join("\n  ");
        Err(usage(format!("nothing was compared: put these lines right\n  {bad}")))
    }

    fn add(&mut self, number: u64, (reference, product, units): Row) -> Result<(), String> {
        let too_many =
            format!("the units of {product} under {reference} add up to more than {FIGURE_MAX}");
        let line = self.orders.entry(reference).or_default().entry(product).or_default();
        let sum = line.paid.checked_add(units).filter(|sum| *sum <= FIGURE_MAX);
        line.paid = sum.ok_or(too_many)?;
        line.line = if line.line == 0 { number } else { line.line };
        Ok(())
    }
}

/// Reference, product and units.
type Row = (String, String, u64);

fn line(reference: &str, product: &str, quantity: &str) -> Result<Row, String> {
    let reference =
        Reference::new(reference).map_err(|error| format!("reference {reference:?}: {error}"))?;
    let product =
        ProductId::new(product).map_err(|error| format!("product {product:?}: {error}"))?;
    let units = quantity.parse::<u64>().ok().filter(|units| *units > 0);
    let units = units.ok_or_else(|| format!("quantity {quantity:?}: must be 1 or more units"))?;
    Ok((reference.to_string(), product.to_string(), units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(&str, &str, u64, u64)], &str>) {
        let read = Paid::read(text.as_bytes(), "shop.csv").map_err(|error| error.to_string());
        let read = read.map(|paid| {
            let mut all: Vec<(String, String, u64, u64)> = Vec::new();
            for (reference, lines) in &paid.orders {
                for (product, line) in lines {
                    all.push((reference.clone(), product.clone(), line.paid, line.line));
                }
            }
            all.sort();
            all
        });
        let expected = expected.map(|rows| {
            let row = |(r, p, paid, line): &(&str, &str, u64, u64)| {
                ((*r).to_owned(), (*p).to_owned(), *paid, *line)
            };
            rows.iter().map(row).collect::<Vec<_>>()
        });
        assert_eq!(read, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn lines_of_one_reference_and_product_are_summed_and_other_columns_ignored() {
        let text = "when,quantity,reference,product\r\n1,2,web-1,hat\r\n2,3,web-1,hat\r\n3,1,web-2,mug\r\n";
        check(text, Ok(&[("web-1", "hat", 5, 2), ("web-2", "mug", 1, 4)]));
        check("reference,product,quantity\n", Ok(&[]));
    }

    #[test]
    fn every_line_that_cannot_be_read_is_named_and_nothing_is_compared() {
        let text = "reference,product,quantity\nweb-1,hat,2\nweb 2,hat,1\nweb-3,hat,0\nweb-4,hat\n,hat,1\n";
        let read = Paid::read(text.as_bytes(), "shop.csv").unwrap_err().to_string();
        for line in [
            "line 3: reference \"web 2\"",
            "line 4: quantity \"0\"",
            "line 5: it has 2 fields",
            "line 6: reference \"\"",
        ] {
            assert!(read.contains(line), "{line}: {read}");
        }
        assert!(!read.contains("line 2:"), "{read}");
        check(
            "a,b\n",
            Err("shop.csv: line 1: the header needs reference, product, quantity; it has a, b"),
        );
        check("", Err("shop.csv: it is empty"));
        check(
            "reference,quantity,product,quantity\n",
            Err("shop.csv: line 1: the header has quantity twice"),
        );
    }

    #[test]
    fn a_carriage_return_or_a_sum_over_all_figures_is_a_line_that_cannot_be_read() {
        let check = |text: &str, line: &str| {
            let told = Paid::read(text.as_bytes(), "shop.csv").unwrap_err().to_string();
            assert!(told.contains(line), "{line}: {told}");
        };
        let cut = ": a carriage return stands in the middle of the line";
        check("reference,product,quantity\rweb-2,hat,1\rweb-3,hat,5\r", &format!("line 1{cut}"));
        let text = "reference,product,quantity\nweb-1,hat,2\nweb-2,hat,1\rweb-3,hat,5\n";
        check(text, &format!("line 3{cut}"));
        let half = FIGURE_MAX / 2 + 1;
        let text = format!("reference,product,quantity\nweb-1,hat,{half}\nweb-1,hat,{half}\n");
        check(&text, "line 3: the units of hat under web-1 add up to more than 9007199254740991");
        let most = format!("reference,product,quantity\nweb-1,hat,{}\n", u64::MAX);
        check(&most, "line 2: the units of hat under web-1");
    }
}
