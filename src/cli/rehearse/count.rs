//! What is counted: lines, units and money, by product.

use jiff::civil::DateTime;
use serde::Serialize;

use super::line::Line;
use super::outcome::Short;

/// Lines, units and money of the same kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    /// Lines of the file.
    pub(super) lines: u64,
    /// Units.
    pub(super) units: u64,
    /// Money in minor units.
    pub(super) money_minor: u128,
}

/// Lines and units that have no price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Units {
    /// Lines of the file.
    pub(super) lines: u64,
    /// Units.
    pub(super) units: u64,
}

/// One product of the rehearsal, or all of them.
///
/// Of its demand each unit is ordered or refused; of those ordered each is cancelled or sold. What
/// is left is what it had at the start, less sold and written off, with what was returned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sums {
    /// Units it could sell at the start; less, if an earlier run had put some in.
    pub(super) opening_units: i64,
    /// What the orders wanted.
    pub(super) demand: Count,
    /// What was sold in orders.
    pub(super) ordered: Count,
    /// What of that came back, at the price it was sold at.
    pub(super) cancelled: Count,
    /// What was refused, also of orders that were sold in part.
    pub(super) refused: Count,
    /// What was written off.
    pub(super) written_off: Units,
    /// What could not be written off, because it was sold.
    pub(super) write_off_refused: Units,
    /// What was put in, because it came back and matched no earlier units.
    pub(super) returned: Units,
    /// Ordered and not cancelled.
    pub(super) sold_units: i64,
    /// Money in that.
    pub(super) sold_money_minor: i128,
    /// Units there are at the end.
    pub(super) left_units: i64,
}

/// One product of the rehearsal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct ProductTally {
    /// Its code.
    pub(super) product_id: String,
    /// What it is called.
    pub(super) name: String,
    /// It was on the server already.
    pub(super) reused: bool,
    #[serde(flatten)]
    pub(super) sums: Sums,
    /// When it first sold out: the file's time of the sale that took the last unit.
    #[serde(serialize_with = "as_text")]
    pub(super) sold_out_at: Option<DateTime>,
    /// That line.
    pub(super) sold_out_line: Option<u64>,
    /// When it first turned an order away for want of stock, which it may do with units left.
    #[serde(serialize_with = "as_text")]
    pub(super) first_refused_at: Option<DateTime>,
    /// That line.
    pub(super) first_refused_line: Option<u64>,
    /// Least that an order wanted of it and could not have for want of stock.
    #[serde(skip)]
    pub(super) smallest_refused: Option<u64>,
    /// Units that came back or were put in.
    #[serde(skip)]
    pub(super) came_back: i64,
    /// At some record more was gone than there was.
    #[serde(skip)]
    pub(super) oversold: bool,
}

/// A time of the file as `2010-12-01T08:26:00`; it has no zone.
#[expect(clippy::ref_option, reason = "as serde hands it over")]
fn as_text<S: serde::Serializer>(at: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

impl Count {
    /// Adds so many units of a line; none is no line.
    pub(super) fn add(&mut self, line: &Line, units: u64) {
        self.add_at(u128::from(line.price_minor), units);
    }

    /// Adds units of a line at that price each.
    pub(super) fn add_at(&mut self, price_minor: u128, units: u64) {
        self.lines += u64::from(units > 0);
        self.units += units;
        self.money_minor += u128::from(units) * price_minor;
    }

    fn plus(&mut self, other: Self) {
        self.lines += other.lines;
        self.units += other.units;
        self.money_minor += other.money_minor;
    }
}

impl Units {
    /// Adds units of a line.
    pub(super) fn add(&mut self, units: u64) {
        self.lines += 1;
        self.units += units;
    }

    fn plus(&mut self, other: Self) {
        self.lines += other.lines;
        self.units += other.units;
    }
}

impl Sums {
    /// Reckons what follows from the rest.
    pub(super) fn finish(&mut self) {
        self.sold_units = signed(self.ordered.units) - signed(self.cancelled.units);
        let money = |count: Count| i128::try_from(count.money_minor).unwrap_or(i128::MAX);
        self.sold_money_minor = money(self.ordered) - money(self.cancelled);
        self.left_units = self.opening_units - self.sold_units - signed(self.written_off.units)
            + signed(self.returned.units);
    }

    /// Adds a product's.
    pub(super) fn plus(&mut self, other: &Self) {
        self.opening_units += other.opening_units;
        self.demand.plus(other.demand);
        self.ordered.plus(other.ordered);
        self.cancelled.plus(other.cancelled);
        self.refused.plus(other.refused);
        self.written_off.plus(other.written_off);
        self.write_off_refused.plus(other.write_off_refused);
        self.returned.plus(other.returned);
        self.sold_units += other.sold_units;
        self.sold_money_minor += other.sold_money_minor;
        self.left_units += other.left_units;
    }
}

impl ProductTally {
    /// An order was refused some of it for want of stock; that line is the order's first of it.
    pub(super) fn refused_for_want(&mut self, line: &Line, short: Short) {
        let smallest = self.smallest_refused.map_or(short.requested, |s| s.min(short.requested));
        self.smallest_refused = Some(smallest);
        if self.first_refused_line.is_none_or(|first| line.number < first) {
            (self.first_refused_line, self.first_refused_at) = (Some(line.number), Some(line.at));
        }
    }
}

/// Units with a sign; no product has so many that it matters.
pub(super) fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
