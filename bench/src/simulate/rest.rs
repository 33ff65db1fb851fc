//! Moments of rest: nothing is under way, so everything is exactly what the log says it is.

use super::life::PAYLOAD_BYTES_MAX;
use super::stage::Stage;
use super::wishes::PRODUCTS;
use super::words;
use super::world::World;
use crate::faults::FaultKind;
use crate::witness::{Heard, Said, Wish, WishLine, product_name};

/// A buyer of the probes alone.
const PROBE: u16 = 9;
const HEADER_BYTES: u64 = 4096;
const FRAME_HEADER_BYTES: u64 = 24;

impl World {
    pub(super) fn fault_of_projection(&mut self, what: &str) {
        self.witness.faults.add(FaultKind::Projection, || what.to_owned());
    }

    /// P5: the rows are those of the log's first decisions, each once.
    pub(super) fn check_rows(&mut self) {
        let tables = self.tables.lock();
        let upto = tables.progress.map_or(0, |progress| progress.sequence.get());
        let decisions = self.witness.decisions();
        let due = decisions.get(..decisions.partition_point(|sequence| *sequence <= upto));
        let due = due.unwrap_or_default();
        let ascending = |rows: &[super::tables::Row]| {
            rows.is_sorted_by(|first, second| first.sequence < second.sequence)
        };
        let genuine =
            |row: &super::tables::Row| self.witness.checksum(row.sequence) == Some(row.checksum);
        let in_all = tables.rows.len() + tables.quarantine.len();
        let sound = in_all == due.len()
            && ascending(&tables.rows)
            && ascending(&tables.quarantine)
            && tables.rows.last().is_none_or(genuine)
            && tables.rows.iter().chain(&tables.quarantine).all(|row| row.sequence <= upto);
        let whole = sound && {
            let mut all: Vec<u64> =
                tables.rows.iter().chain(&tables.quarantine).map(|row| row.sequence).collect();
            all.sort_unstable();
            all == due
        };
        let (rows, quarantine) = (tables.rows.len(), tables.quarantine.len());
        let decisions = due.len();
        drop(tables);
        if !whole {
            self.fault_of_projection(&format!(
                "progress is at {upto}: {decisions} decisions, {rows} rows, {quarantine} in \
                 quarantine"
            ));
        }
    }

    /// Every product is shown as the log has it.
    pub(super) fn see_all(&mut self) {
        for product in 0..PRODUCTS {
            let entry = self.engine().product(&product_name(product));
            let seen = entry.map(|entry| words::seen_product(&entry.view()));
            self.witness.see_product_at_rest(product, seen);
        }
    }

    /// Figures of the engine that are the log's, or nothing.
    fn check_gauges(&mut self) {
        let Some(gauges) = self.engine().gauges() else { return };
        let model = self.witness.model();
        let (segment, offset) = self.witness.place();
        let share =
            self.profile.segment_bytes - HEADER_BYTES - (PAYLOAD_BYTES_MAX + FRAME_HEADER_BYTES);
        let spares = self.spares_made - (segment - self.first_segment);
        let used = offset as u64 - HEADER_BYTES + self.taken_bytes;
        let room = (share * (1 + spares)) as i64 - used as i64;
        let expected = [
            ("commands in flight", gauges.commands as i64, 0),
            ("durable records", gauges.durable_sequence as i64, self.witness.durable() as i64),
            ("live holds", gauges.live_holds as i64, model.holds().live() as i64),
            ("bytes of room", gauges.room_bytes, room),
        ];
        for (what, found, expected) in expected {
            if found != expected {
                self.witness.faults.add(FaultKind::Broken, || {
                    format!("at rest there are {found} {what}, by the log {expected}")
                });
            }
        }
        let now_ms = self.engine().now_ms();
        if let Some((hold, over_ms)) = self.witness.model().holds().next_due()
            && over_ms <= now_ms
        {
            self.witness.faults.add(FaultKind::Broken, || {
                format!("hold {hold} was over at {over_ms} ms and is kept at {now_ms} ms")
            });
        }
    }
}

impl Stage {
    /// Carries everything to its end, and compares.
    pub(super) fn rest(&self) {
        self.world.borrow_mut().say(|_| "all comes to rest".to_owned());
        if !self.comes_to_rest() {
            return;
        }
        {
            let mut world = self.world.borrow_mut();
            world.counts.rests += 1;
            world.hear();
            world.follow();
            if let Some(attempt) = world.waiting.keys().next().copied() {
                world
                    .witness
                    .faults
                    .add(FaultKind::Refused, || format!("attempt {attempt} is never answered"));
            }
            world.witness.notes.at_rest();
            world.see_all();
            world.check_gauges();
        }
        self.ask_again();
        // Nobody else may buy meanwhile.
        self.depth.set(super::stage::DEPTH_MAX);
        self.probe();
        self.depth.set(0);
    }

    /// `false`: the disk does not let it.
    fn comes_to_rest(&self) -> bool {
        self.depth.set(super::stage::DEPTH_MAX);
        let mut rests = false;
        for _ in 0..400 {
            while !self.world.borrow().mailbox.is_empty() {
                self.turn();
            }
            let expired = self.expire();
            let idle = self.write();
            if self.world.borrow().is_over() {
                break;
            }
            if expired && idle {
                rests = true;
                break;
            }
        }
        self.depth.set(0);
        rests
    }

    /// A key that made nothing is free, one that made a record tells of it.
    fn ask_again(&self) {
        for _ in 0..3 {
            let call = {
                let mut world = self.world.borrow_mut();
                let calls = world.witness.notes.len();
                if calls == 0 {
                    return;
                }
                let call = calls - 1 - world.dice.below(calls.min(30));
                if !world.witness.notes.call(call).is_some_and(|call| call.has_key) {
                    continue;
                }
                call
            };
            self.ask(call);
            if !self.comes_to_rest() {
                return;
            }
            let mut world = self.world.borrow_mut();
            world.hear();
            world.witness.notes.at_rest();
        }
    }

    /// P4: exactly what the log says is available can be bought.
    fn probe(&self) {
        let (product, available, limit) = {
            let mut world = self.world.borrow_mut();
            let now_ms = world.engine().now_ms();
            let product = world.dice.below(u64::from(PRODUCTS)) as u16;
            let model = world.witness.model();
            let Some(shelf) = model.product(&product_name(product)) else { return };
            let open = (shelf.opens_at_ms..shelf.closes_at_ms).contains(&now_ms);
            if model.selling_paused() || shelf.paused || !open {
                return;
            }
            (product, shelf.available(), u64::from(shelf.per_buyer_limit()))
        };
        if limit > 0 {
            return;
        }
        let buy = |quantity| Wish::Order {
            buyer: PROBE,
            lines: vec![WishLine { product, quantity, price: None }],
        };
        let one_more = self.ask_and_wait(buy(available + 1));
        let expected = Said::SoldOut { available, requested: available + 1 };
        if let Some(Heard::Done { .. } | Heard::Refused(_)) = &one_more
            && one_more != Some(Heard::Refused(expected))
        {
            self.undersold(&format!("{available} of {product} are available: {one_more:?}"));
        }
        if available == 0 || available > 60 || !self.world.borrow_mut().dice.once_in(6) {
            return;
        }
        let all = self.ask_and_wait(buy(available));
        if let Some(Heard::Refused(_) | Heard::KeyInFlight) = &all {
            self.undersold(&format!("{available} of {product} can be had, but: {all:?}"));
        }
    }

    fn undersold(&self, what: &str) {
        let mut world = self.world.borrow_mut();
        // Time may have ended a hold in between; then there is more, not less.
        world.witness.faults.add(FaultKind::Refused, || what.to_owned());
    }
}
