//! A race of two requests: sent together over two connections, round after round, and what each
//! round may leave behind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use doorbuster::domain::Sequence;
use doorbuster::journal::Position;
use serde_json::{Value, json};

use crate::house::{House, wait_until};
use crate::ledger::Ledger;
use crate::wire::{Answer, Ask, Wire};

/// How often each race is run.
pub(crate) const ROUNDS: u64 = 200;
/// The second side starts up to this much later than the first.
const LAG_US_MAX: u64 = 400;

/// Two sides.
pub(crate) struct Race {
    one: Wire,
    other: Wire,
    round: u64,
    random: u64,
    won: BTreeMap<&'static str, u64>,
}

impl Race {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let (one, other) = (Wire::open(address), Wire::open(address));
        Self { one, other, round: 0, random: 0x9E37_79B9_7F4A_7C15, won: BTreeMap::new() }
    }

    /// A number below `end`: another one each time, the same ones in each run.
    pub(crate) fn random(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }

    /// Sends both, and gives the answers of both.
    pub(crate) fn run(&mut self, one: &Ask, other: &Ask) -> (Answer, Answer) {
        self.round += 1;
        match self.round % 20 {
            // However the machine is loaded, each side is surely the first in some rounds.
            1 => {
                let first = one.over(&mut self.one);
                (first, other.over(&mut self.other))
            }
            2 => {
                let first = other.over(&mut self.other);
                (one.over(&mut self.one), first)
            }
            _ => self.together(one, other),
        }
    }

    fn together(&mut self, one: &Ask, other: &Ask) -> (Answer, Answer) {
        let mut lag = || Duration::from_micros(self.random(2) * self.random(LAG_US_MAX));
        let (lag_one, lag_other) = (lag(), lag());
        let start = Barrier::new(2);
        let go = |ask: &Ask, wire: &mut Wire, lag: Duration| {
            start.wait();
            if !lag.is_zero() {
                thread::sleep(lag);
            }
            ask.over(wire)
        };
        let (wire_one, wire_other) = (&mut self.one, &mut self.other);
        thread::scope(|scope| {
            let other = scope.spawn(|| go(other, wire_other, lag_other));
            let one = go(one, wire_one, lag_one);
            (one, other.join().expect("an answer"))
        })
    }

    /// Asks on one of the connections.
    #[track_caller]
    pub(crate) fn ask(&mut self, ask: &Ask) -> Answer {
        ask.over(&mut self.one)
    }

    /// Notes who won a round.
    pub(crate) fn won(&mut self, side: &'static str) {
        *self.won.entry(side).or_default() += 1;
    }

    /// Tells how often each side won, and that each did.
    #[track_caller]
    pub(crate) fn report(&self, race: &str, sides: &[&'static str]) {
        eprintln!("{race}: {:?}", self.won);
        assert!(sides.iter().all(|side| self.won.contains_key(side)), "{race}: {:?}", self.won);
        assert_eq!(self.won.values().sum::<u64>(), ROUNDS, "{race}: {:?}", self.won);
    }
}

/// The place that an answer says its record has.
#[track_caller]
pub(crate) fn sequence(answer: &Value) -> Sequence {
    let position = answer["position"].as_str().expect("a position");
    position.parse::<Position>().expect("a position").sequence
}

/// Waits until nothing is under way any more; then the log and what the server shows agree, no unit
/// is set aside for nobody, and no key is in flight.
#[track_caller]
pub(crate) fn settled(house: &House) -> Ledger {
    let gauges = || house.engine.gauges().expect("a started engine");
    wait_until(|| gauges().commands == 0 && gauges().live_holds == 0);
    let ledger = Ledger::of(house.engine.journal().expect("a started engine"));
    let mut wire = Wire::open(house.address);
    for (id, sums) in ledger.products() {
        let shown = Ask::get(&format!("/v1/products/{id}/stock")).over(&mut wire).ok(200);
        let figures = json!([shown["stock"], shown["held"], shown["sold"]]);
        assert_eq!(figures, json!([sums.stock, sums.held, sums.sold]), "{id}");
        assert_eq!(sums.held, 0, "{id}: set aside for nobody");
    }
    assert_eq!(ledger.live_holds(), 0);
    // Every key that is known made a record: a key in flight would be one more.
    assert_eq!(gauges().idempotency_keys, ledger.keys);
    ledger
}

/// A purchase of some units by a buyer of that name.
pub(crate) fn purchase(product: &str, key: &str, quantity: u64) -> Ask {
    let body = json!({"product_id": product, "buyer_id": "b", "quantity": quantity});
    Ask::post("/v1/purchases", key, body.to_string())
}

/// A hold of some units.
pub(crate) fn hold(product: &str, key: &str, quantity: u64, ttl_ms: u64) -> Ask {
    let lines = json!([{"product_id": product, "quantity": quantity}]);
    let body = json!({"buyer_id": "h", "ttl_ms": ttl_ms, "lines": lines});
    Ask::post("/v1/holds", key, body.to_string())
}

/// The path of a hold, or of what is done to it.
pub(crate) fn hold_path(hold: &Value, of: &str) -> String {
    format!("/v1/holds/{}{of}", hold["hold_id"].as_str().expect("a hold"))
}

/// A cancellation.
pub(crate) fn cancel(order: &Value, key: &str, body: &str) -> Ask {
    let id = order["order_id"].as_str().expect("an order");
    Ask::post(&format!("/v1/orders/{id}/cancel"), key, body)
}
