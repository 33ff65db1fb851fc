//! Logs of every kind of record, in an order that one number decides.

use doorbuster::domain::{AdjustReason, Patch, Sequence, TermsPatch};

use crate::log::TestLog;

const PRODUCTS: u64 = 20;

/// What makes records of every kind.
pub(crate) struct Mix {
    random: u64,
    orders: Vec<Sequence>,
}

/// A log of about so many records.
pub(crate) fn mixed_log(records: u64) -> TestLog {
    let mut log = TestLog::new(1);
    Mix::new(&mut log).more(&mut log, records);
    log.sync();
    log
}

impl Mix {
    /// Puts the products in.
    pub(crate) fn new(log: &mut TestLog) -> Self {
        for number in 0..PRODUCTS {
            log.create(&format!("p{number}"), 100_000, |_| ());
        }
        Self { random: 7, orders: Vec::new() }
    }

    /// Makes so many more records, and one for each hold that is over.
    pub(crate) fn more(&mut self, log: &mut TestLog, records: u64) {
        for _ in 0..records {
            log.now_ms += self.next(5);
            log.expire();
            self.one(log);
        }
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn product(&mut self) -> String {
        format!("p{}", self.next(PRODUCTS))
    }

    fn one(&mut self, log: &mut TestLog) {
        let id = self.product();
        match self.next(20) {
            0 => drop(log.adjust(&id, 5 - self.next(10) as i64, AdjustReason::Correction, None)),
            1 => {
                let safety_stock = Patch::Set(self.next(9) as u32);
                log.change(&id, TermsPatch { safety_stock, ..TermsPatch::default() });
            }
            2 => {
                log.pause_everything(true);
                log.pause_everything(false);
            }
            3..=7 => self.hold(log),
            8..=11 => self.follow_a_hold(log),
            12..=14 => self.cancel(log),
            _ => {
                let order = self.take(|log, buyer, lines| log.order(buyer, lines, None), log);
                self.orders.push(order);
            }
        }
    }

    fn hold(&mut self, log: &mut TestLog) {
        let ttl_ms = 1 + self.next(400);
        self.take(|log, buyer, lines| log.hold(buyer, lines, ttl_ms, None), log);
    }

    fn take(
        &mut self,
        take: impl FnOnce(&mut TestLog, &str, &[(&str, u64, Option<u64>)]) -> Sequence,
        log: &mut TestLog,
    ) -> Sequence {
        let ids: Vec<String> = (0..=self.next(4)).map(|_| self.product()).collect();
        let lines: Vec<_> =
            ids.iter().map(|id| (id.as_str(), 1 + self.next(3), Some(self.next(1_000)))).collect();
        let buyer = format!("b{}", self.next(50));
        take(log, &buyer, &lines)
    }

    fn follow_a_hold(&mut self, log: &mut TestLog) {
        let mut live: Vec<Sequence> = log.inventory.holds().iter().map(|(hold, _)| hold).collect();
        live.sort_unstable();
        if live.is_empty() {
            return;
        }
        let hold = live[self.next(live.len() as u64) as usize];
        match self.next(4) {
            0 => drop(log.extend(hold, self.next(500))),
            1 => drop(log.release(hold)),
            2 => self.orders.push(log.confirm(hold, None, Some("web-1"))),
            _ => self.orders.push(log.confirm(hold, Some(&[(0, 1)]), None)),
        }
    }

    fn cancel(&mut self, log: &mut TestLog) {
        if self.orders.is_empty() {
            return;
        }
        let place = self.next(self.orders.len() as u64) as usize;
        let order = self.orders[place];
        let restock = self.next(3) > 0;
        // One that is cancelled already refuses: no record.
        let _ = match self.next(3) {
            0 => log.cancel(order, None, restock, Some("rma-1")),
            _ => log.cancel(order, Some(&[(0, 1)]), restock, None),
        };
    }
}
