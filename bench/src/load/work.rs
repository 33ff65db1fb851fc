//! What is asked for: kinds of requests, how often each, and of which products.

use serde::{Deserialize, Serialize};

use crate::seeded::Seeded;

/// Ids of products without stock begin with this; the bare server refuses them by it.
pub const SOLD_OUT_PREFIX: &str = "sold-out";
/// Lines of a cart.
pub const CART_LINES: usize = 3;
/// Digits of a product's number in its id.
pub const PRODUCT_DIGITS: usize = 8;
/// Most products of one run.
pub const PRODUCTS_MAX: u64 = 10_000_000;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Buy one unit: 201.
    Purchase,
    /// Buy one unit of a product that has none: 409.
    SoldOut,
    /// Read a product's stock: 200.
    Stock,
    /// Read the first page of 20 products: 200.
    List,
    /// Buy three lines of one unit: 201.
    Cart,
    /// Set one unit aside: 201.
    Hold,
    /// Buy what was set aside: 201.
    Confirm,
    /// Read an order that was placed: 200.
    Order,
}

/// What a run asks for, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Buy one unit of a product with plenty of stock: 201.
    Purchase,
    /// Buy one unit of a product that has none: 409.
    SoldOut,
    /// Read a product's stock: 200.
    Stock,
    /// Read the first page of 20 products: 200.
    List,
    /// Buy three lines of one unit each, as one order: 201.
    Cart,
    /// Set one unit aside, then buy it: 201 and 201.
    HoldConfirm,
    /// Read stock four times of five, buy once: 200 and 201.
    ViewBuy,
}

/// How requests are spread over the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Each as often as any other.
    Uniform,
    /// The n-th as often as 1/n.
    Zipf,
    /// All for the first.
    Hot,
}

/// The products of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Products {
    /// One that exists, by its id.
    Named(String),
    /// So many, numbered from 0.
    Numbered {
        /// How many.
        count: u64,
        /// How requests are spread over them.
        spread: Spread,
        /// They have no stock: every purchase is refused.
        sold_out: bool,
    },
}

/// Kinds of requests with their weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix(pub Vec<(Kind, u32)>);

impl Kind {
    /// The status every answer should have.
    #[must_use]
    pub fn expected_status(self) -> u16 {
        match self {
            Self::Purchase | Self::Cart | Self::Hold | Self::Confirm => 201,
            Self::SoldOut => 409,
            Self::Stock | Self::List | Self::Order => 200,
        }
    }

    /// It is sent with POST; the others with GET.
    #[must_use]
    pub fn is_posted(self) -> bool {
        self.expected_status() != 200
    }

    /// Units that the expected answer sells.
    #[must_use]
    pub fn units_sold(self) -> u64 {
        match self {
            Self::Purchase | Self::Confirm => 1,
            Self::Cart => CART_LINES as u64,
            Self::SoldOut | Self::Stock | Self::List | Self::Hold | Self::Order => 0,
        }
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::SoldOut => "sold-out",
            Self::Stock => "stock",
            Self::List => "list",
            Self::Cart => "cart",
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Order => "order",
        }
    }
}

impl Work {
    /// Its kinds of requests.
    #[must_use]
    pub fn mix(self) -> Mix {
        Mix(match self {
            Self::Purchase => vec![(Kind::Purchase, 1)],
            Self::SoldOut => vec![(Kind::SoldOut, 1)],
            Self::Stock => vec![(Kind::Stock, 1)],
            Self::List => vec![(Kind::List, 1)],
            Self::Cart => vec![(Kind::Cart, 1)],
            // A confirmation without a hold to confirm places one.
            Self::HoldConfirm => vec![(Kind::Hold, 1), (Kind::Confirm, 1)],
            Self::ViewBuy => vec![(Kind::Stock, 4), (Kind::Purchase, 1)],
        })
    }
}

impl Mix {
    /// One of its kinds, each as often as its weight says.
    pub(super) fn draw(&self, dice: &mut Seeded) -> Kind {
        let [(kind, _)] = self.0.as_slice() else { return self.draw_of_many(dice) };
        *kind
    }

    fn draw_of_many(&self, dice: &mut Seeded) -> Kind {
        let all: u64 = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut drawn = dice.below(all.max(1));
        for (kind, weight) in &self.0 {
            match drawn.checked_sub(u64::from(*weight)) {
                Some(rest) => drawn = rest,
                None => return *kind,
            }
        }
        Kind::Stock
    }
}

impl Products {
    /// What stands before the number in an id.
    #[must_use]
    pub fn prefix(&self) -> &'static str {
        match self {
            Self::Numbered { sold_out: true, .. } => SOLD_OUT_PREFIX,
            _ => "p",
        }
    }

    /// All ids.
    pub fn ids(&self) -> Box<dyn Iterator<Item = String> + Send> {
        match self {
            Self::Named(id) => Box::new(std::iter::once(id.clone())),
            Self::Numbered { count, .. } => {
                let prefix = self.prefix();
                Box::new((0..*count).map(move |number| id_of(prefix, number)))
            }
        }
    }

    /// What draws from them.
    #[must_use]
    pub fn picks(&self) -> Picks {
        match self {
            Self::Numbered { count, spread: Spread::Uniform, .. } => Picks::Uniform(*count),
            Self::Numbered { count, spread: Spread::Zipf, .. } => Picks::zipf(*count),
            Self::Named(_) | Self::Numbered { spread: Spread::Hot, .. } => Picks::Hot,
        }
    }
}

/// The id of a numbered product with stock.
#[must_use]
pub fn product_id(number: u64) -> String {
    id_of("p", number)
}

fn id_of(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:0PRODUCT_DIGITS$}")
}

/// Draws numbers of products.
#[derive(Debug, Clone)]
pub enum Picks {
    /// Always the first.
    Hot,
    /// Each of so many alike.
    Uniform(u64),
    /// The running sums of their weights.
    Weighted(Vec<f64>),
}

impl Picks {
    #[expect(clippy::cast_precision_loss, reason = "a weight")]
    fn zipf(count: u64) -> Self {
        let mut sum = 0.0;
        let weight = |place: u64| {
            sum += 1.0 / (place + 1) as f64;
            sum
        };
        Self::Weighted((0..count).map(weight).collect())
    }

    /// The next.
    #[expect(clippy::cast_precision_loss, reason = "a draw, not a figure")]
    pub fn pick(&self, dice: &mut Seeded) -> u64 {
        match self {
            Self::Hot => 0,
            Self::Uniform(count) => dice.below(*count),
            Self::Weighted(sums) => {
                let share = dice.below(1 << 52) as f64 / (1u64 << 52) as f64;
                let aim = share * sums.last().copied().unwrap_or(0.0);
                let place = sums.partition_point(|sum| *sum <= aim);
                place.min(sums.len().saturating_sub(1)) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(spread: Spread, count: u64) -> Vec<u64> {
        let picks = Products::Numbered { count, spread, sold_out: false }.picks();
        let (mut dice, mut shares) = (Seeded::new(7), vec![0; count as usize]);
        for _ in 0..100_000 {
            shares[picks.pick(&mut dice) as usize] += 1;
        }
        shares
    }

    #[test]
    fn spreads_are_what_they_are_called() {
        assert_eq!(shares(Spread::Hot, 3), [100_000, 0, 0]);
        assert!(shares(Spread::Uniform, 4).iter().all(|share| share.abs_diff(25_000) < 500));
        // 1 + 1/2 + 1/3 = 11/6.
        let zipf = shares(Spread::Zipf, 3);
        for (share, expected) in zipf.iter().zip([54_545_u64, 27_273, 18_182]) {
            assert!(share.abs_diff(expected) < 500, "{zipf:?}");
        }
    }

    #[test]
    fn a_mix_draws_each_kind_as_often_as_it_weighs() {
        let (mix, mut dice) = (Work::ViewBuy.mix(), Seeded::new(7));
        let bought = (0..100_000).filter(|_| mix.draw(&mut dice) == Kind::Purchase).count();
        assert!(bought.abs_diff(20_000) < 500, "{bought}");
    }
}
