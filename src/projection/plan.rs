//! From records to rows: which rows a batch leaves, given the rows it touches as they are.
//!
//! Pure. A record whose change does not follow the rows of its products, order or hold (one is
//! missing, at another version, resolved already) goes to quarantine whole, and so does one the
//! tables cannot hold; the rest goes on. A record is checked before any of its changes is made,
//! so none is half done. Rows that a batch makes are changed before they are written.

mod holds;
mod moves;
mod orders;
mod standing;
mod touched;

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use self::standing::Standing;
pub(super) use self::touched::{Touched, touched};
use super::fields::{Misfit, created_row, figure, patch_row, patched_time, set, time};
use super::record_text::{error_text, patch_json, payload_json, terms_json};
use super::rows::{
    Deltas, Found, MovementRow, ProductChange, ProductRow, QuarantineRow, RefusalCountRow, Rows,
};
use super::store::Batch;
use super::time::writable_ms;
use crate::domain::{
    Change, Decision, Handle, HoldEnd, ProductCreated, RefusalsCounted, Sequence, StockAdjusted,
    TermsChanged,
};
use crate::journal::{Payload, Places, Record, Tailed};

type ByHandle<T> = HashMap<Handle, T, RandomState>;

/// A product as the batch leaves it so far.
struct Tracked {
    row: ProductRow,
    /// Version of its row before the batch; `None`: the batch makes the row.
    before: Option<i64>,
    changed: bool,
}

struct Plan<'a> {
    places: &'a Places,
    products: ByHandle<Tracked>,
    standing: Standing,
    rows: Rows<'a>,
}

/// The record being planned.
struct At<'a> {
    record: &'a Record,
    place: Sequence,
    /// The same as a figure.
    sequence: i64,
    decided_at_ms: i64,
    kind: &'static str,
}

/// The rows of a batch, given those it touches.
pub(super) fn plan<'a>(batch: &Batch<'a>, found: Found) -> Rows<'a> {
    let Found { products, orders, lines, holds } = found;
    let tracked = products.into_iter().filter_map(|row| {
        let handle = Handle::new(u32::try_from(row.handle).ok()?);
        Some((handle, Tracked { before: Some(row.version), row, changed: false }))
    });
    let places = batch.places;
    let (products, standing) = (tracked.collect(), Standing::of(orders, lines, holds));
    let mut plan = Plan { places, products, standing, rows: Rows::default() };
    for tailed in batch.records {
        match batch.verdict {
            Some(verdict) => plan.set_aside(tailed, &verdict.code, &verdict.message),
            None => {
                if let Err(misfit) = plan.record(tailed) {
                    plan.set_aside(tailed, misfit.code(), &misfit.to_string());
                }
            }
        }
    }
    plan.finish()
}

impl<'a> Plan<'a> {
    fn record(&mut self, tailed: &'a Tailed) -> Result<(), Misfit> {
        // What takes a sequence and changes no product leaves no row.
        let Payload::Record(record) = &tailed.payload else { return Ok(()) };
        let at = At {
            record,
            place: tailed.sequence,
            sequence: figure("sequence", tailed.sequence.get())?,
            decided_at_ms: time("decided_at", record.envelope.decided_at_ms)?,
            kind: record.kind().as_str(),
        };
        let changes = record.envelope.changes.as_slice();
        match &record.decision {
            Decision::ProductCreated(created) => self.create(&at, created, changes),
            Decision::TermsChanged(changed) => self.change_terms(&at, changed, changes),
            Decision::StockAdjusted(adjusted) => self.adjust(&at, adjusted, changes),
            Decision::OrderPlaced(order) => self.place_order(&at, order, changes),
            Decision::RefusalsCounted(counted) => self.count_refusals(&at, counted),
            Decision::HoldPlaced(placed) => self.place_hold(&at, placed, changes),
            Decision::HoldExtended(extended) => self.extend_hold(extended, changes),
            Decision::HoldConfirmed(confirmed) => self.confirm_hold(&at, confirmed, changes),
            Decision::HoldReleased(ended) => self.end_hold(&at, ended, HoldEnd::Released, changes),
            Decision::HoldExpired(ended) => self.end_hold(&at, ended, HoldEnd::Expired, changes),
            Decision::OrderCancelled(cancelled) => self.cancel_order(&at, cancelled, changes),
            // Concerns every product and moves none: leaves no row.
            Decision::SellingPaused(_) => Ok(()),
        }
    }

    fn create(
        &mut self,
        at: &At<'a>,
        created: &'a ProductCreated,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        let [change] = changes else { return Err(Misfit::Body("a creation is one change")) };
        let row =
            created_row(created, i64::from(change.handle.get()), change.version, at.decided_at_ms)?;
        let deltas = Deltas { stock: row.stock, ..Deltas::default() };
        let movement = MovementRow {
            terms: Some(terms_json(&created.terms).into()),
            ..at.movement(&row, deltas)
        };
        self.rows.movements.push(movement);
        // Also where a row has this handle or id: the insert collides, and a person has to look.
        self.products.insert(change.handle, Tracked { row, before: None, changed: true });
        Ok(())
    }

    fn change_terms(
        &mut self,
        at: &At<'a>,
        changed: &'a TermsChanged,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        self.check_follow(changes)?;
        let opens = patched_time("opens_at", changed.patch.opens_at_ms, 0)?;
        let closes = patched_time("closes_at", changed.patch.closes_at_ms, u64::MAX)?;
        let terms: Arc<str> = patch_json(&changed.patch).into();
        for change in changes {
            let row = self.next(at, *change);
            patch_row(row, &changed.patch);
            set(&mut row.opens_at_ms, &opens);
            set(&mut row.closes_at_ms, &closes);
            row.terms_version += 1;
            let terms = Some(Arc::clone(&terms));
            let movement = MovementRow { terms, ..at.movement(row, Deltas::default()) };
            self.rows.movements.push(movement);
        }
        Ok(())
    }

    fn adjust(
        &mut self,
        at: &At<'a>,
        adjusted: &'a StockAdjusted,
        changes: &[Change],
    ) -> Result<(), Misfit> {
        let [change] = changes else { return Err(Misfit::Body("an adjustment is one change")) };
        self.check_follow(changes)?;
        let stock = figure("stock", adjusted.stock)?;
        let row = &self.tracked(change.handle)?.row;
        let made = row.stock.saturating_add(adjusted.delta);
        if made != stock {
            let product_id = Arc::clone(&row.product_id);
            return Err(Misfit::Stock { product_id, made, record: adjusted.stock });
        }
        let row = self.next(at, *change);
        row.stock = stock;
        let (reason, text) = (adjusted.reason.as_str(), adjusted.reason.text());
        let deltas = Deltas { stock: adjusted.delta, ..Deltas::default() };
        let movement = MovementRow { reason: Some(reason), text, ..at.movement(row, deltas) };
        self.rows.movements.push(movement);
        Ok(())
    }

    fn count_refusals(&mut self, at: &At<'a>, counted: &RefusalsCounted) -> Result<(), Misfit> {
        let minute_ms = time("minute", counted.minute_ms)?;
        // A product and a reason twice in one record would collide with itself.
        let mut sums = BTreeMap::new();
        for row in &counted.rows {
            let product_id = Arc::clone(&self.tracked(row.product)?.row.product_id);
            let refusals = figure("refusals", row.count)?;
            let sum = sums.entry((row.product, row.reason)).or_insert((product_id, 0_i64));
            sum.1 = sum.1.saturating_add(refusals);
        }
        self.rows.refusals.extend(sums.into_iter().map(|((_, reason), (product_id, refusals))| {
            let reason = reason.as_str();
            RefusalCountRow { sequence: at.sequence, product_id, reason, minute_ms, refusals }
        }));
        Ok(())
    }

    fn order_id(&self, sequence: Sequence) -> Arc<str> {
        self.places.order_id(sequence).to_string().into()
    }

    fn hold_id(&self, sequence: Sequence) -> Arc<str> {
        self.places.hold_id(sequence).to_string().into()
    }

    fn tracked(&self, handle: Handle) -> Result<&Tracked, Misfit> {
        self.products.get(&handle).ok_or(Misfit::MissingProduct(handle.get()))
    }

    /// Whether each change is the next of its product's row.
    fn check_follow(&self, changes: &[Change]) -> Result<(), Misfit> {
        for change in changes {
            let row = &self.tracked(change.handle)?.row;
            if figure("version", change.version.get())? != row.version + 1 {
                let (product_id, record) = (Arc::clone(&row.product_id), change.version.get());
                return Err(Misfit::Version { product_id, row: row.version, record });
            }
        }
        Ok(())
    }

    /// The row of a change that was checked, at its version and time.
    fn next(&mut self, at: &At<'_>, change: Change) -> &mut ProductRow {
        let tracked = self.products.get_mut(&change.handle).expect("it was checked");
        tracked.changed = true;
        tracked.row.version += 1;
        tracked.row.updated_at_ms = at.decided_at_ms;
        &mut tracked.row
    }

    fn set_aside(&mut self, tailed: &Tailed, code: &str, error: &str) {
        self.rows.quarantined.push(QuarantineRow {
            // A sequence has 56 bits.
            sequence: i64::try_from(tailed.sequence.get()).unwrap_or(i64::MAX),
            kind: tailed.payload.kind().as_str(),
            decided_at_ms: tailed.payload.at_ms().and_then(writable_ms),
            code: code.to_owned(),
            error: error_text(error),
            record: payload_json(&tailed.payload),
        });
    }

    fn finish(mut self) -> Rows<'a> {
        for Tracked { row, before, .. } in self.products.into_values().filter(|t| t.changed) {
            match before {
                None => self.rows.created.push(row),
                Some(expected) => self.rows.changed.push(ProductChange { expected, row }),
            }
        }
        self.standing.changes(&mut self.rows);
        // Rows are locked in the same order by whoever writes them.
        self.rows.created.sort_unstable_by_key(|row| row.handle);
        self.rows.changed.sort_unstable_by_key(|change| change.row.handle);
        self.rows
    }
}

impl<'a> At<'a> {
    fn reference(&self) -> Option<&'a str> {
        self.record.envelope.reference.as_ref().map(|reference| reference.as_str())
    }

    fn principal(&self) -> &'a str {
        self.record.envelope.principal.as_str()
    }

    /// The movement that left `row` as it is.
    fn movement(&self, row: &ProductRow, deltas: Deltas) -> MovementRow<'a> {
        MovementRow {
            product_id: Arc::clone(&row.product_id),
            version: row.version,
            sequence: self.sequence,
            kind: self.kind,
            decided_at_ms: self.decided_at_ms,
            deltas,
            stock: row.stock,
            held: row.held,
            sold: row.sold,
            reason: None,
            text: None,
            terms: None,
            order_id: None,
            hold_id: None,
            reference: self.reference(),
            principal: self.principal(),
        }
    }
}
