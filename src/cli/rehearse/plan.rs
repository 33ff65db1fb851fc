//! What a rehearsal does: products with their opening stock, and a wish for each line.

use super::sheet::{Line, Sheet, SheetProduct};
use super::stock::StockRule;
use crate::cli::play::book::Price;
use crate::cli::play::purchase::Wish;
use crate::domain::Name;

const NAME_CHARS_MAX: usize = 200;

/// One product to put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedProduct {
    /// Its code.
    pub(super) product_id: String,
    /// What it is called.
    pub(super) name: String,
    /// Its opening stock.
    pub(super) stock: u64,
}

/// A whole rehearsal.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Sets its keys apart from any other run's.
    pub(super) run_id: String,
    /// In the order the file first names them.
    pub(super) products: Vec<PlannedProduct>,
    /// The sheet's lines.
    pub(super) lines: Vec<Line>,
    /// One for each line, in their order.
    pub(super) wishes: Vec<Wish>,
}

impl Plan {
    /// The plan for a sheet.
    pub(super) fn new(run_id: &str, sheet: &Sheet, rule: &StockRule, currency: &str) -> Self {
        let products = sheet.products.iter().map(|product| PlannedProduct {
            product_id: product.product_id.clone(),
            name: name_of(product),
            stock: rule.of(product),
        });
        let wishes = sheet.lines.iter().map(|line| Wish {
            key: format!("{run_id}-line-{}", line.number),
            product_id: sheet
                .products
                .get(line.product)
                .map_or(String::new(), |product| product.product_id.clone()),
            buyer_id: line.buyer_id.clone(),
            quantity: line.quantity,
            unit_price: Some(Price {
                amount_minor: line.price_minor,
                currency: currency.to_owned(),
            }),
            reference: Some(line.invoice.clone()),
        });
        Self {
            run_id: run_id.to_owned(),
            products: products.collect(),
            wishes: wishes.collect(),
            lines: sheet.lines.clone(),
        }
    }

    /// Which lines are sold when they come one after another: the whole line or nothing.
    pub(super) fn expected(&self) -> Vec<bool> {
        let mut left: Vec<u64> = self.products.iter().map(|product| product.stock).collect();
        let mut sells = |line: &Line| match left.get_mut(line.product) {
            Some(left) if *left >= line.quantity => {
                *left -= line.quantity;
                true
            }
            _ => false,
        };
        self.lines.iter().map(&mut sells).collect()
    }
}

/// Its description as far as it is a name; its code otherwise.
fn name_of(product: &SheetProduct) -> String {
    let spaced = product.name.chars().map(|char| if char.is_control() { ' ' } else { char });
    let name: String = spaced.take(NAME_CHARS_MAX).collect();
    match Name::new(name.trim()) {
        Ok(name) => name.to_string(),
        Err(_) => product.product_id.clone(),
    }
}
