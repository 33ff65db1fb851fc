//! What came back of orders: status and cancelled units, once all of the log is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::report::{Difference, Kind, Report};
use crate::domain::{Inventory, OrderStatus, Sequence};
use crate::journal::Places;
use crate::projection::{Moment, TextRow, quoted};

/// Orders that are looked up at once.
const BATCH: usize = 500;

/// Orders of which the log or a row says that something came back.
#[derive(Default)]
pub(super) struct Returns {
    /// By the log: how each is.
    statuses: BTreeMap<Sequence, OrderStatus>,
    /// By their rows.
    claimed: BTreeSet<Sequence>,
}

impl Returns {
    /// The log says so.
    pub(super) fn cancelled(&mut self, order: Sequence, status: OrderStatus) {
        self.statuses.insert(order, status);
    }

    /// A row says so.
    pub(super) fn claimed(&mut self, order: Sequence) {
        self.claimed.insert(order);
    }

    /// Compares them all.
    pub(super) fn end(
        &self,
        moment: &mut Moment,
        report: &mut Report,
        places: &Places,
        inventory: &Inventory,
    ) -> anyhow::Result<()> {
        let orders: BTreeSet<Sequence> =
            self.statuses.keys().chain(&self.claimed).copied().collect();
        let orders: Vec<Sequence> = orders.into_iter().collect();
        for batch in orders.chunks(BATCH) {
            let ids: HashMap<String, Sequence> =
                batch.iter().map(|order| (places.order_id(*order).to_string(), *order)).collect();
            let list: Vec<String> = ids.keys().map(|id| quoted(id)).collect();
            let list = list.join(", ");
            let statuses = moment
                .rows(&format!("SELECT order_id, status FROM orders WHERE order_id IN ({list})"))?;
            let lines = moment.rows(&format!(
                "SELECT order_id, line_no, cancelled FROM order_lines WHERE order_id IN ({list})"
            ))?;
            // In the order of the log, whatever order the database gave.
            let mut by_order = BTreeMap::<Sequence, (Option<String>, Vec<TextRow>)>::new();
            for row in statuses {
                let Some(order) = order_of(&row, &ids) else { continue };
                by_order.entry(order).or_default().0 = row.into_iter().nth(1).flatten();
            }
            for row in lines {
                let Some(order) = order_of(&row, &ids) else { continue };
                by_order.entry(order).or_default().1.push(row);
            }
            for (order, (status, lines)) in by_order {
                self.compare(report, places, order, status.as_deref())?;
                compare_lines(report, places, inventory, order, lines)?;
            }
        }
        Ok(())
    }

    fn compare(
        &self,
        report: &mut Report,
        places: &Places,
        order: Sequence,
        found: Option<&str>,
    ) -> anyhow::Result<()> {
        let status = self.statuses.get(&order).copied().unwrap_or(OrderStatus::Placed).as_str();
        // A row that is missing was named before.
        let Some(found) = found.filter(|found| *found != status) else { return Ok(()) };
        report.add(&Difference {
            kind: Kind::Different,
            table: "orders",
            id: &places.order_id(order).to_string(),
            column: Some("status"),
            log: Some(status),
            database: Some(found),
        })
    }
}

fn order_of(row: &TextRow, ids: &HashMap<String, Sequence>) -> Option<Sequence> {
    ids.get(row.first()?.as_deref()?).copied()
}

fn compare_lines(
    report: &mut Report,
    places: &Places,
    inventory: &Inventory,
    order: Sequence,
    mut lines: Vec<TextRow>,
) -> anyhow::Result<()> {
    let number = |row: &TextRow, place: usize| {
        row.get(place).and_then(|text| text.as_deref()?.parse::<i64>().ok())
    };
    lines.sort_unstable_by_key(|row| number(row, 1));
    let returned = inventory.returns().of(order);
    for row in lines {
        let line_no = number(&row, 1).unwrap_or(0);
        let place = usize::try_from(line_no - 1).unwrap_or(usize::MAX);
        let units = returned.map_or(0, |returned| returned.units(place)).to_string();
        let found = row.get(2).cloned().flatten();
        if found.as_ref() == Some(&units) {
            continue;
        }
        report.add(&Difference {
            kind: Kind::Different,
            table: "order_lines",
            id: &format!("{} {line_no}", places.order_id(order)),
            column: Some("cancelled"),
            log: Some(&units),
            database: found.as_deref(),
        })?;
    }
    Ok(())
}
