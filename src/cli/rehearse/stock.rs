//! Opening stock: the same for every product, a share of its demand, or from a file.

use std::collections::HashMap;

use super::record::Records;
use super::sheet::SheetProduct;
use crate::domain::FIGURE_MAX;

/// What every product starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StockRule {
    /// So many units.
    Each(u64),
    /// So many percent of its demand in the file, rounded down.
    Share(u64),
    /// What a file says; nothing where it says nothing.
    File(HashMap<String, u64>),
}

impl StockRule {
    /// The rule of a CSV file with the columns `product` and `stock`.
    pub(super) fn from_csv(bytes: &[u8], delimiter: u8, product: &str) -> Result<Self, String> {
        let mut records = Records::new(bytes, delimiter)?;
        let header = records.header()?.fields;
        let place = |names: &[&str]| {
            header
                .iter()
                .position(|name| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
        };
        let found = || header.join(", ");
        let code = place(&[product, "product_id"])
            .ok_or_else(|| format!("it has no column {product} or product_id, but {}", found()))?;
        let units =
            place(&["stock"]).ok_or_else(|| format!("it has no column stock, but {}", found()))?;
        let mut stock = HashMap::new();
        for record in records {
            let line = record.line;
            if let Some(bad) = record.bad {
                return Err(format!("line {line}: {bad}"));
            }
            let field = |place: usize| record.fields.get(place).map_or("", String::as_str);
            let number: u64 =
                field(units).parse().ok().filter(|n| *n <= FIGURE_MAX).ok_or_else(|| {
                    format!("line {line}: stock {:?} is no number of units", field(units))
                })?;
            if stock.insert(field(code).to_owned(), number).is_some() {
                return Err(format!("line {line}: {} stands there twice", field(code)));
            }
        }
        Ok(Self::File(stock))
    }

    /// The opening stock of a product.
    pub(super) fn of(&self, product: &SheetProduct) -> u64 {
        match self {
            Self::Each(units) => *units,
            Self::Share(percent) => {
                let share = u128::from(product.demand_units) * u128::from(*percent) / 100;
                u64::try_from(share).unwrap_or(FIGURE_MAX).min(FIGURE_MAX)
            }
            Self::File(stock) => stock.get(&product.product_id).copied().unwrap_or(0),
        }
    }

    /// For a person.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Each(units) => format!("{units} units of each product"),
            Self::Share(percent) => format!("{percent} % of each product's demand, rounded down"),
            Self::File(stock) => format!("from a file with {} products", stock.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(demand_units: u64) -> SheetProduct {
        SheetProduct { product_id: "85123A".into(), name: String::new(), demand_units }
    }

    #[test]
    fn shares_are_rounded_down() {
        assert_eq!(StockRule::Share(80).of(&product(9)), 7);
        assert_eq!(StockRule::Share(100).of(&product(9)), 9);
        assert_eq!(StockRule::Share(0).of(&product(9)), 0);
        assert_eq!(StockRule::Each(3).of(&product(9)), 3);
    }

    #[test]
    fn a_stock_file_says_each_product_once() {
        let read = |text: &str| StockRule::from_csv(text.as_bytes(), b',', "StockCode");
        let rule = read("stock,StockCode\r\n12,85123A\r\n").unwrap();
        assert_eq!(rule.of(&product(9)), 12);
        assert_eq!(read("product_id,stock\nX,1\n").unwrap().of(&product(9)), 0);
        assert!(read("product_id,stock\nX,1\nX,2\n").unwrap_err().contains("line 3: X"));
        assert!(read("product_id,stock\nX,-1\n").unwrap_err().contains("line 2: stock"));
        assert!(read("sku,stock\n").unwrap_err().contains("but sku, stock"));
    }
}
