//! What a rehearsal does: products with their opening stock, and a step for each order,
//! cancellation and write-off, in the file's order.

use std::collections::HashMap;

use jiff::civil::DateTime;

use super::line::{Kind, Line};
use super::sheet::{Sheet, SheetProduct};
use super::stock::StockRule;
use crate::cli::play::order::{self, Price};
use crate::domain::{Name, ORDER_LINES_MAX};

const NAME_CHARS_MAX: usize = 200;

/// What becomes of an order that is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Partial {
    /// It stays refused.
    #[default]
    Refuse,
    /// It is asked for once more, with what can be had of it.
    Fill,
}

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

/// One thing to do, by the places of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// An order of these lines.
    Order(Vec<usize>),
    /// Units of this line come back.
    Cancellation(usize),
    /// Units of this line are written off.
    WriteOff(usize),
}

impl Step {
    fn places(&self) -> &[usize] {
        match self {
            Self::Order(places) => places,
            Self::Cancellation(place) | Self::WriteOff(place) => std::slice::from_ref(place),
        }
    }
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
    /// In the file's order, each at its first line.
    pub(super) steps: Vec<Step>,
    /// The prices' currency.
    pub(super) currency: String,
    /// What becomes of an order that is refused.
    pub(super) partial: Partial,
    /// Invoices of too many lines for one order.
    pub(super) split: Vec<String>,
}

impl Plan {
    /// The plan for a sheet.
    pub(super) fn new(
        run_id: &str,
        sheet: &Sheet,
        rule: &StockRule,
        currency: &str,
        partial: Partial,
    ) -> Self {
        let products = sheet.products.iter().map(|product| PlannedProduct {
            product_id: product.product_id.clone(),
            name: name_of(product),
            stock: rule.of(product),
        });
        let mut plan = Self {
            run_id: run_id.to_owned(),
            products: products.collect(),
            lines: sheet.lines.clone(),
            steps: Vec::new(),
            currency: currency.to_owned(),
            partial,
            split: Vec::new(),
        };
        plan.divide();
        plan
    }

    /// Makes the steps. An order stands where its stretch of lines has its first sale.
    fn divide(&mut self) {
        let mut order_of: HashMap<u64, usize> = HashMap::new();
        for (place, line) in self.lines.iter().enumerate() {
            match line.kind {
                Kind::Cancellation => self.steps.push(Step::Cancellation(place)),
                Kind::WriteOff => self.steps.push(Step::WriteOff(place)),
                Kind::Sale => {
                    let open = order_of.get(&line.stretch).and_then(|at| self.steps.get_mut(*at));
                    let mut full = false;
                    if let Some(Step::Order(lines)) = open {
                        full = lines.len() == ORDER_LINES_MAX;
                        if !full {
                            lines.push(place);
                            continue;
                        }
                    }
                    if full && self.split.last() != Some(&line.invoice) {
                        self.split.push(line.invoice.clone());
                    }
                    order_of.insert(line.stretch, self.steps.len());
                    self.steps.push(Step::Order(vec![place]));
                }
            }
        }
    }

    /// The lines of a step.
    pub(super) fn lines_of<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Line> {
        step.places().iter().filter_map(|place| self.lines.get(*place))
    }

    /// The line a step begins with, and is known by.
    pub(super) fn head(&self, step: &Step) -> Option<&Line> {
        step.places().first().and_then(|place| self.lines.get(*place))
    }

    /// When a step was, by the file.
    pub(super) fn at(&self, number: usize) -> Option<DateTime> {
        self.steps.get(number).and_then(|step| self.head(step)).map(|line| line.at)
    }

    /// The key of a step: by its place in the file, so that a run that goes on knows it again.
    pub(super) fn key(&self, step: &Step) -> String {
        let number = self.head(step).map_or(0, |line| line.number);
        format!("{}-line-{number}", self.run_id)
    }

    /// The code of a product.
    pub(super) fn product_id(&self, product: usize) -> &str {
        self.products.get(product).map_or("", |product| &product.product_id)
    }

    /// So many units of a line, as an order has them.
    pub(super) fn order_line(&self, line: &Line, units: u64) -> order::Line {
        let price = Price { amount_minor: line.price_minor, currency: self.currency.clone() };
        order::Line::new(self.product_id(line.product).to_owned(), units, Some(price))
    }

    /// Steps that must come one after another: with one connection all of them, otherwise those of
    /// one customer.
    pub(super) fn chains(&self, connections: usize) -> Vec<Vec<usize>> {
        if connections == 1 {
            return vec![(0..self.steps.len()).collect()];
        }
        let (mut chains, mut known): (Vec<Vec<usize>>, HashMap<&str, usize>) = Default::default();
        for (number, step) in self.steps.iter().enumerate() {
            let buyer_id = self.head(step).map_or("", |line| &line.buyer_id);
            let chain = *known.entry(buyer_id).or_insert_with(|| {
                chains.push(Vec::new());
                chains.len() - 1
            });
            if let Some(chain) = chains.get_mut(chain) {
                chain.push(number);
            }
        }
        chains
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
