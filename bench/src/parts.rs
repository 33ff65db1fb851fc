//! What buyers hear before, during and after something that must not concern them.
//!
//! Every purchase has to be sold, and within its deadline: anything else is a fault. Latency is told
//! for each part, by the moment a purchase began.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::crowd::Manners;
use crate::faults::{FaultKind, Faults};
use crate::load::{Latency, histogram, nanoseconds, percentiles};

/// The server's default deadline of a request.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// What was heard in one part.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Part {
    /// Purchases that began in it and were answered.
    pub purchases: u64,
    /// Latency of these, in microseconds.
    pub latency_us: Latency,
}

/// The three parts.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Parts {
    /// Before it.
    pub before: Part,
    /// Meanwhile.
    pub during: Part,
    /// Afterwards.
    pub after: Part,
}

/// Latencies by part, and what was no sale.
pub struct Heard {
    parts: [Histogram<u64>; 3],
    began: Option<Instant>,
    ended: Option<Instant>,
    faults: Faults,
}

/// What is heard, and the manners of a crowd that begins a request on each connection this often and
/// is heard.
#[must_use]
pub fn paced(every: Duration) -> (Rc<RefCell<Heard>>, Manners) {
    let heard = Rc::new(RefCell::new(Heard::default()));
    let listener = Rc::clone(&heard);
    let watch = move |sent, latency, status| listener.borrow_mut().hear(sent, latency, status);
    (heard, Manners { every: Some(every), watch: Some(Rc::new(watch)), answer_limit: None })
}

impl Default for Heard {
    fn default() -> Self {
        let parts = std::array::from_fn(|_| histogram());
        Self { parts, began: None, ended: None, faults: Faults::default() }
    }
}

impl Heard {
    /// From this moment on it happens.
    pub fn begins(&mut self, at: Instant) {
        self.began = Some(at);
    }

    /// From this moment on it is over.
    pub fn ends(&mut self, at: Instant) {
        self.ended = Some(at);
    }

    /// An answer to a purchase.
    pub fn hear(&mut self, sent: Instant, latency: Duration, status: u16) {
        let part = match (self.began, self.ended) {
            (_, Some(ended)) if sent >= ended => 2,
            (Some(began), _) if sent >= began => 1,
            _ => 0,
        };
        if let Some(part) = self.parts.get_mut(part) {
            part.saturating_record(nanoseconds(latency));
        }
        if status != 201 {
            self.faults.add(FaultKind::Refused, || {
                format!("a purchase was answered with {status} in part {part}")
            });
        } else if latency > DEADLINE {
            self.faults
                .add(FaultKind::Refused, || format!("a purchase took {latency:?} in part {part}"));
        }
    }

    /// Latencies by part.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let [before, during, after] = self
            .parts
            .each_ref()
            .map(|part| Part { purchases: part.len(), latency_us: percentiles(part) });
        Parts { before, during, after }
    }

    /// What was no sale, or came late.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Parts {
    /// A table for a person.
    pub fn show(&self) {
        println!(
            "        purchases   p50 ms   p99 ms   max ms   (deadline {} ms)",
            DEADLINE.as_millis()
        );
        for (name, part) in
            [("before", self.before), ("during", self.during), ("after", self.after)]
        {
            let latency = part.latency_us;
            println!(
                "{name:<7} {:>9} {:>8.2} {:>8.2} {:>8.2}",
                part.purchases,
                latency.p50 / 1e3,
                latency.p99 / 1e3,
                latency.max / 1e3
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_a_late_answer_are_faults_of_their_part() {
        let mut heard = Heard::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        heard.begins(after(5));
        heard.ends(after(15));
        let quick = Duration::from_millis(1);
        heard.hear(after(1), quick, 201);
        heard.hear(after(6), quick, 201);
        heard.hear(after(20), quick, 201);
        assert!(heard.faults().is_empty());
        heard.hear(after(7), quick, 503);
        heard.hear(after(14), 2 * DEADLINE, 201);
        let faults = heard.faults();
        assert_eq!(faults.of(FaultKind::Refused), 2, "{faults}");
        let Parts { before, during, after } = heard.parts();
        assert_eq!([before, during, after].map(|part| part.purchases), [1, 3, 1]);
    }
}
