//! One walk over the log: each record says which rows there must be.
//!
//! Applies the records as recovery does; what the rows should say is told from the state and the
//! record, not by the code that writes them. In memory: the state, the rows of live holds, and
//! which orders something came back of.

use std::collections::HashMap;

use super::movements::Movements;
use super::products::{self, Seen};
use super::report::Report;
use super::returns::Returns;
use super::table::{Table, TableKind, some};
use crate::cli::replayed::Replayed;
use crate::domain::{
    Decision, Figures, Handle, HoldEnd, OrderPlaced, RefusalsCounted, Sequence, rfc3339,
};
use crate::journal::{Places, Record};
use crate::projection::{Moment, SortedBy, TextRow};

static ORDERS: TableKind = TableKind {
    name: "orders",
    columns: &[
        "order_id",
        "sequence",
        "buyer_id",
        "reference",
        "principal",
        "placed_at",
        "hold_id",
        "partition",
        "status",
    ],
    key: &[SortedBy::Text("order_id", 0)],
    id: &[0],
};

static LINES: TableKind = TableKind {
    name: "order_lines",
    columns: &[
        "order_id",
        "line_no",
        "product_id",
        "quantity",
        "unit_price_minor",
        "currency",
        "cancelled",
    ],
    key: &[SortedBy::Text("order_id", 0), SortedBy::Number("line_no", 1)],
    id: &[0, 1],
};

static HOLDS: TableKind = TableKind {
    name: "holds",
    columns: &[
        "hold_id",
        "sequence",
        "buyer_id",
        "reference",
        "principal",
        "placed_at",
        "partition",
        "expires_at",
        "status",
        "resolved_at",
        "order_id",
    ],
    key: &[SortedBy::Text("hold_id", 0)],
    id: &[0],
};
/// Columns of a hold that its placing decides; the rest is how it is in the end.
const HOLD_PLACED: usize = 7;

static REFUSALS: TableKind = TableKind {
    name: "refusal_counts",
    columns: &["sequence", "product_id", "reason", "minute", "refusals"],
    key: &[
        SortedBy::Number("sequence", 0),
        SortedBy::Text("product_id", 1),
        SortedBy::Text("reason", 2),
    ],
    id: &[0, 1, 2],
};

/// The log being walked, the tables beside it.
pub(super) struct Walk<'a> {
    moment: &'a mut Moment,
    report: &'a mut Report,
    places: &'a Places,
    partition: u16,
    state: Replayed,
    seen: Vec<Seen>,
    orders: Table,
    lines: Table,
    holds: Table,
    refusals: Table,
    movements: Movements,
    /// Rows of the holds that live.
    live: HashMap<Sequence, Option<TextRow>>,
    returns: Returns,
}

/// Rows that the log says there are.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Rows {
    pub(super) products: u64,
    pub(super) orders: u64,
    pub(super) order_lines: u64,
    pub(super) holds: u64,
    pub(super) movements: u64,
    pub(super) refusal_counts: u64,
}

/// A record where it stands.
struct At<'a> {
    sequence: Sequence,
    record: &'a Record,
    decided_at: String,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        moment: &'a mut Moment,
        report: &'a mut Report,
        places: &'a Places,
        partition: u16,
    ) -> anyhow::Result<Self> {
        let select = |moment: &Moment, kind: &TableKind, times: &[&str]| {
            let column = |name: &&str| match times.contains(name) {
                true => moment.time(name),
                false => (*name).to_owned(),
            };
            let columns: Vec<String> = kind.columns.iter().map(column).collect();
            format!("SELECT {} FROM {}", columns.join(", "), kind.name)
        };
        let sql = select(moment, &ORDERS, &["placed_at"]);
        let orders = Table::new(moment, &ORDERS, sql)?;
        let sql = select(moment, &LINES, &[]);
        let lines = Table::new(moment, &LINES, sql)?;
        let sql = select(moment, &HOLDS, &["placed_at", "expires_at", "resolved_at"]);
        let holds = Table::new(moment, &HOLDS, sql)?;
        let sql = select(moment, &REFUSALS, &["minute"]);
        let sql = format!("{sql} WHERE partition = {partition}");
        let refusals = Table::new(moment, &REFUSALS, sql)?;
        let (movements, returns) = (Movements::default(), Returns::default());
        let (state, seen, live) = (Replayed::default(), Vec::new(), HashMap::new());
        Ok(Self {
            moment,
            report,
            places,
            partition,
            state,
            seen,
            orders,
            lines,
            holds,
            refusals,
            movements,
            live,
            returns,
        })
    }

    /// Compares the rows of the next record.
    pub(super) fn record(&mut self, sequence: Sequence, record: &Record) -> anyhow::Result<()> {
        let Record { envelope, decision } = record;
        let before: Vec<Figures> =
            envelope.changes.iter().map(|change| self.figures(change.handle)).collect();
        let expired_at = ended_hold(decision).and_then(|(hold, _)| {
            self.state.inventory.holds().live(hold).map(|hold| hold.expires_at_ms)
        });
        self.state.apply(sequence, record)?;
        let at = At { sequence, record, decided_at: rfc3339(envelope.decided_at_ms) };
        if let Decision::ProductCreated(_) = decision {
            let at_ms = envelope.decided_at_ms;
            self.seen.push(Seen { created_at_ms: at_ms, updated_at_ms: at_ms });
        }
        self.moved(&at, &before)?;
        match decision {
            Decision::OrderPlaced(order) => self.placed(&at, order, None)?,
            Decision::HoldConfirmed(confirmed) => {
                self.placed(&at, &confirmed.order, Some(confirmed.hold))?;
            }
            Decision::OrderCancelled(cancelled) => {
                self.returns.cancelled(cancelled.order, cancelled.status());
            }
            Decision::HoldPlaced(placed) => self.held(&at, placed.buyer_id.as_str())?,
            Decision::RefusalsCounted(counted) => self.refused(&at, counted)?,
            _ => {}
        }
        if let (Some((hold, end)), Some(expires_at_ms)) = (ended_hold(decision), expired_at) {
            let order = (end == HoldEnd::Confirmed).then(|| self.places.order_id(sequence));
            let order = order.map(|order| order.to_string());
            let ended = [some(end.as_str()), some(&at.decided_at), order];
            self.hold_is(hold, expires_at_ms, ended)?;
        }
        Ok(())
    }

    /// Compares what only the end of the log tells, and names the rows it does not know.
    pub(super) fn end(mut self) -> anyhow::Result<Rows> {
        let mut live: Vec<Sequence> = self.live.keys().copied().collect();
        live.sort_unstable();
        for hold in live {
            let holds = self.state.inventory.holds();
            let expires_at_ms = holds.live(hold).map(|hold| hold.expires_at_ms);
            self.hold_is(hold, expires_at_ms.unwrap_or(0), [some("held"), None, None])?;
        }
        let Self { moment, report, state, seen, .. } = self;
        self.returns.end(moment, report, self.places, &state.inventory)?;
        for table in [&mut self.orders, &mut self.lines, &mut self.holds, &mut self.refusals] {
            table.end(moment, report)?;
        }
        self.movements.end(moment, report, &products::versions(&state))?;
        let products = products::compare(moment, report, self.partition, &state, &seen)?;
        Ok(Rows {
            products,
            orders: self.orders.expected,
            order_lines: self.lines.expected,
            holds: self.holds.expected,
            movements: self.movements.expected,
            refusal_counts: self.refusals.expected,
        })
    }

    fn figures(&self, handle: Handle) -> Figures {
        self.state.inventory.product(handle).map(|product| product.figures).unwrap_or_default()
    }

    fn product_id(&self, handle: Handle) -> String {
        self.state.product_id(handle).to_owned()
    }

    fn placed(
        &mut self,
        at: &At<'_>,
        order: &OrderPlaced,
        hold: Option<Sequence>,
    ) -> anyhow::Result<()> {
        let order_id = self.places.order_id(at.sequence).to_string();
        let row = vec![
            some(&order_id),
            some(at.sequence),
            some(&order.buyer_id),
            at.reference(),
            at.principal(),
            some(&at.decided_at),
            hold.map(|hold| self.places.hold_id(hold).to_string()),
            some(self.partition),
        ];
        let found = self.orders.expect(self.moment, self.report, &row)?;
        let mut claims = found.is_some_and(|row| last(&row) != Some("placed"));
        for (line, line_no) in order.lines.iter().zip(1_u32..) {
            let row = vec![
                some(&order_id),
                some(line_no),
                some(self.product_id(line.product)),
                some(line.quantity.units()),
                line.unit_price.map(|price| price.amount_minor().to_string()),
                line.unit_price.map(|price| price.currency().as_str().to_owned()),
            ];
            let found = self.lines.expect(self.moment, self.report, &row)?;
            claims |= found.is_some_and(|row| last(&row) != Some("0"));
        }
        if claims {
            self.returns.claimed(at.sequence);
        }
        Ok(())
    }

    fn held(&mut self, at: &At<'_>, buyer_id: &str) -> anyhow::Result<()> {
        let row = vec![
            some(self.places.hold_id(at.sequence)),
            some(at.sequence),
            some(buyer_id),
            at.reference(),
            at.principal(),
            some(&at.decided_at),
            some(self.partition),
        ];
        assert_eq!(row.len(), HOLD_PLACED, "as the columns are listed");
        let found = self.holds.expect(self.moment, self.report, &row)?;
        self.live.insert(at.sequence, found);
        Ok(())
    }

    /// Compares how a hold is, or ended, with its row; one that is missing was named before.
    fn hold_is(
        &mut self,
        hold: Sequence,
        expires_at_ms: u64,
        [status, resolved_at, order_id]: [Option<String>; 3],
    ) -> anyhow::Result<()> {
        let Some(Some(found)) = self.live.remove(&hold) else { return Ok(()) };
        let mut expected: TextRow = found.iter().take(HOLD_PLACED).cloned().collect();
        expected.extend([some(rfc3339(expires_at_ms)), status, resolved_at, order_id]);
        HOLDS.differ(self.report, &expected, &found)
    }

    fn refused(&mut self, at: &At<'_>, counted: &RefusalsCounted) -> anyhow::Result<()> {
        let mut sums = std::collections::BTreeMap::<(String, &str), u64>::new();
        for row in &counted.rows {
            *sums.entry((self.product_id(row.product), row.reason.as_str())).or_default() +=
                row.count;
        }
        for ((product_id, reason), count) in sums {
            let minute = some(rfc3339(counted.minute_ms));
            let row = vec![some(at.sequence), Some(product_id), some(reason), minute, some(count)];
            self.refusals.expect(self.moment, self.report, &row)?;
        }
        Ok(())
    }

    fn moved(&mut self, at: &At<'_>, before: &[Figures]) -> anyhow::Result<()> {
        let Record { envelope, decision } = at.record;
        let (order, hold) = match decision {
            Decision::OrderPlaced(_) => (Some(at.sequence), None),
            Decision::OrderCancelled(cancelled) => (Some(cancelled.order), None),
            Decision::HoldPlaced(_) => (None, Some(at.sequence)),
            Decision::HoldConfirmed(confirmed) => (Some(at.sequence), Some(confirmed.hold)),
            Decision::HoldReleased(ended) | Decision::HoldExpired(ended) => {
                (None, Some(ended.hold))
            }
            _ => (None, None),
        };
        let (reason, text) = match decision {
            Decision::StockAdjusted(adjusted) => {
                (Some(adjusted.reason.as_str()), adjusted.reason.text())
            }
            Decision::OrderCancelled(cancelled) => {
                let word = if cancelled.restocked { "restocked" } else { "written_off" };
                (Some(word), Some(cancelled.reason.as_str()))
            }
            _ => (None, None),
        };
        for (change, before) in envelope.changes.iter().zip(before) {
            if let Some(seen) = self.seen.get_mut(change.handle.index()) {
                seen.updated_at_ms = envelope.decided_at_ms;
            }
            let after = self.figures(change.handle);
            let delta = |after: u64, before: u64| some(after.cast_signed() - before.cast_signed());
            let row = vec![
                some(self.product_id(change.handle)),
                some(change.version),
                some(at.sequence),
                some(at.record.kind().as_str()),
                some(&at.decided_at),
                delta(after.stock, before.stock),
                delta(after.held, before.held),
                delta(after.sold, before.sold),
                some(after.stock),
                some(after.held),
                some(after.sold),
                reason.map(str::to_owned),
                text.map(str::to_owned),
                order.map(|order| self.places.order_id(order).to_string()),
                hold.map(|hold| self.places.hold_id(hold).to_string()),
                at.reference(),
                at.principal(),
            ];
            self.movements.expect(self.moment, self.report, row)?;
        }
        Ok(())
    }
}

impl At<'_> {
    fn reference(&self) -> Option<String> {
        self.record.envelope.reference.as_ref().map(ToString::to_string)
    }

    fn principal(&self) -> Option<String> {
        some(&self.record.envelope.principal)
    }
}

fn last(row: &TextRow) -> Option<&str> {
    row.last().and_then(Option::as_deref)
}

/// The hold that a decision ends, and how.
fn ended_hold(decision: &Decision) -> Option<(Sequence, HoldEnd)> {
    match decision {
        Decision::HoldConfirmed(confirmed) => Some((confirmed.hold, HoldEnd::Confirmed)),
        Decision::HoldReleased(ended) => Some((ended.hold, HoldEnd::Released)),
        Decision::HoldExpired(ended) => Some((ended.hold, HoldEnd::Expired)),
        _ => None,
    }
}
