//! The language of the case tables: a line is a command and, behind `->`, what must come of it.
//!
//! ```text
//! create  p1 stock=10 limit=2           -> created   version=1
//! buy     anna p1 3                     -> limit_reached  limit=2 bought=0
//! hold    anna p1*2 p2*1@99EUR ttl=500  -> held      hold=h1 expires_at_ms=500
//! confirm h1 p1*1 line2*1               -> confirmed order=o1 lines=p1*1,p2*1@99EUR released=p1*1
//! cancel  o1 p2*1 restock=false         -> cancelled lines=line2*1 freed=0 whole=false
//! at_ms   500
//! ```
//!
//! What is expected is a word and any of the figures; what happens may have more. Orders and holds
//! are named by number as they appear, lines from 1. `at_ms` first ends what is over by then, as
//! the engine does, and must be told which. Each script also replays its own journal and compares
//! whole states, and replays it with a record missing or twice: that must be refused, never panic.

use super::dump::dump;
use super::words::refused_in_words;
use crate::domain::*;

/// Runs a script; panics with the line that came out otherwise.
pub(super) fn check(script: &str) {
    let mut world = World::default();
    for line in script.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (command, expected) = line.split_once("->").unwrap_or((line, ""));
        let actual = world.run(command.trim());
        assert!(matches(expected.trim(), &actual), "{line}\n  came out as: {actual}");
    }
    world.replays();
}

/// The word must be the same; of the figures, those that are named.
fn matches(expected: &str, actual: &str) -> bool {
    let mut actual = actual.split_whitespace();
    let mut expected = expected.split_whitespace();
    if expected.next() != actual.next() {
        return false;
    }
    let actual: Vec<&str> = actual.collect();
    expected.all(|figure| actual.contains(&figure))
}

/// A partition without engine or journal.
pub(super) struct World {
    pub(super) inventory: Inventory,
    pub(super) names: Vec<String>,
    pub(super) journal: Vec<(Decision, Changes, RecordAt)>,
    /// Places of the records that placed orders, in their order.
    pub(super) orders: Vec<Sequence>,
    /// The same of holds.
    pub(super) holds: Vec<Sequence>,
    pub(super) rules: HoldRules,
    pub(super) now_ms: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            inventory: Inventory::new(),
            names: Vec::new(),
            journal: Vec::new(),
            orders: Vec::new(),
            holds: Vec::new(),
            rules: HoldRules { ttl_max_ms: 10_000, live_per_buyer_max: 5, live_lines_max: 20 },
            now_ms: 0,
        }
    }
}

impl World {
    pub(super) fn handle(&self, name: &str) -> Handle {
        let place = self.names.iter().position(|known| known == name).unwrap_or(self.names.len());
        Handle::new(u32::try_from(place).unwrap())
    }

    fn run(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (verb, rest) = words.split_first().unwrap();
        match *verb {
            "at_ms" => self.advance(rest[0].parse().unwrap()),
            "show" => self.show(rest[0]),
            "count" => self.count(rest[0], rest[1]),
            "create" => self.create(rest),
            "terms" => {
                let terms_version = figure(rest, "if").map(|text| text.parse().unwrap());
                let targets = Targets::Product { handle: self.handle(rest[0]), terms_version };
                self.terms(targets, rest)
            }
            "sale" => self.terms(Targets::Sale(SaleId::new(rest[0]).unwrap()), rest),
            "adjust" => self.adjust(rest[0], StockChange::Delta(rest[1].parse().unwrap()), rest[2]),
            "set_unsold" => {
                let expected = figure(rest, "expected").map(|text| text.parse().unwrap());
                let change = StockChange::SetUnsold { unsold: rest[1].parse().unwrap(), expected };
                self.adjust(rest[0], change, "correction")
            }
            "buy" => {
                let unit_price = figure(rest, "price").map(money);
                let quantity = Quantity::new(rest[2].parse().unwrap()).unwrap();
                let line = LineWish { product: self.handle(rest[1]), quantity, unit_price };
                self.order(rest[0], [line].into_iter().collect())
            }
            "order" => {
                let lines = self.wishes(rest);
                self.order(rest[0], lines)
            }
            "hold" => self.hold(rest),
            "confirm" => self.confirm(rest),
            "extend" => self.extend(rest),
            "release" => self.release(rest),
            "cancel" => self.cancel(rest),
            "selling" => {
                let paused = figure(rest, "paused").unwrap().parse().unwrap();
                self.take(Ok(decide_selling(paused)))
            }
            "rules" => self.set_rules(rest),
            "live" => self.live(rest[0]),
            "next_expiry" => format!("at {}", self.next_expiry(rest[0])),
            verb => panic!("no such verb: {verb}"),
        }
    }

    fn create(&mut self, words: &[&str]) -> String {
        let product_id = ProductId::new(words[0]).unwrap();
        let terms = Terms::open(Name::new(words[0]).unwrap()).patched(&patch(words));
        let stock = figure(words, "stock").map_or(0, |text| text.parse().unwrap());
        let taken = self.names.iter().any(|name| name == words[0]);
        let decided =
            decide_create(&self.inventory, CreateProduct { product_id, terms, stock }, taken);
        let outcome = self.take(decided);
        if outcome.starts_with("created") {
            self.names.push(words[0].to_owned());
        }
        outcome
    }

    fn terms(&mut self, targets: Targets, words: &[&str]) -> String {
        let change = ChangeTerms { targets, patch: patch(words) };
        self.take(decide_terms(&self.inventory, change))
    }

    fn adjust(&mut self, name: &str, change: StockChange, reason: &str) -> String {
        let reason = match reason.split_once('=') {
            Some(("other", text)) => AdjustReason::Other(Text::new(text).unwrap()),
            None if reason == "received" => AdjustReason::Received,
            None if reason == "damaged" => AdjustReason::Damaged,
            None if reason == "correction" => AdjustReason::Correction,
            _ => panic!("no such reason: {reason}"),
        };
        let adjust = AdjustStock { product: self.handle(name), change, reason };
        self.take(decide_adjustment(&self.inventory, adjust))
    }

    fn order(&mut self, buyer: &str, lines: LineWishes) -> String {
        let order = PlaceOrder { buyer_id: BuyerId::new(buyer).unwrap(), lines };
        self.take(decide_order(&self.inventory, order, self.now_ms))
    }

    /// Applies what was decided, as the engine does; says what came out.
    pub(super) fn take(&mut self, decided: Result<Decided, Refusal>) -> String {
        match decided {
            Ok(Decided { decision, changes }) => {
                let sequence = Sequence::new(self.journal.len() as u64 + 1);
                let at = RecordAt { sequence, at_ms: self.now_ms };
                let fits = check_applicable(&self.inventory, &decision, &changes, at);
                assert_eq!(fits, Ok(()), "what is decided can be replayed: {decision:?}");
                apply(&mut self.inventory, &decision, &changes, at);
                match &decision {
                    Decision::OrderPlaced(_) | Decision::HoldConfirmed(_) => {
                        self.orders.push(sequence);
                    }
                    Decision::HoldPlaced(_) => self.holds.push(sequence),
                    _ => {}
                }
                let outcome = self.decided_in_words(&decision, &changes);
                self.journal.push((decision, changes, at));
                outcome
            }
            Err(refusal) => refused_in_words(&refusal),
        }
    }

    fn show(&self, name: &str) -> String {
        let product = self.inventory.product(self.handle(name)).unwrap();
        let Figures { stock, held, sold } = product.figures;
        format!(
            "figures stock={stock} held={held} sold={sold} available={} unsold={} version={} \
             terms_version={} counted_since={:?}",
            product.available(),
            product.figures.unsold(),
            product.version,
            product.terms.version(),
            product.terms.counted_since_ms(),
        )
    }

    fn count(&self, name: &str, buyer: &str) -> String {
        let product = self.inventory.product(self.handle(name)).unwrap();
        let buyer = BuyerId::new(buyer).unwrap();
        match &product.counts {
            Some(counts) => format!("has {}", self.inventory.buyers().units(counts, &buyer)),
            None => "uncounted".to_owned(),
        }
    }

    /// A world that knows only what the journal says.
    pub(super) fn reopened(self) -> Self {
        let mut inventory = Inventory::new();
        for (decision, changes, at) in &self.journal {
            assert_eq!(
                check_applicable(&inventory, decision, changes, *at),
                Ok(()),
                "{decision:?}"
            );
            apply(&mut inventory, decision, changes, *at);
        }
        Self { inventory, ..self }
    }

    /// The journal leads to the same state; with a record missing or twice it leads nowhere.
    pub(super) fn replays(&self) {
        let mut again = Inventory::new();
        for (decision, changes, at) in &self.journal {
            assert_eq!(check_applicable(&again, decision, changes, *at), Ok(()), "{decision:?}");
            apply(&mut again, decision, changes, *at);
        }
        assert_eq!(dump(&again), dump(&self.inventory), "replay leads elsewhere");
        for place in 0..self.journal.len().min(40) {
            let missing = self.journal.iter().enumerate().filter(|(at, _)| *at != place);
            let missing_applies = replay_all(missing.map(|(_, record)| record));
            let later = self.journal.iter().skip(place + 1);
            let touched = self.journal[place].1.iter().map(|change| change.handle);
            let touched: Vec<Handle> = touched.collect();
            let mut seen = later.flat_map(|(_, changes, _)| changes);
            if seen.any(|change| touched.contains(&change.handle)) {
                assert!(!missing_applies, "a gap before {place} went unnoticed");
            }
            let twice = self.journal.iter().take(place + 1).chain(&self.journal[place..]);
            // An extension and a pause of all may come twice: they say where it stands.
            assert!(touched.is_empty() || !replay_all(twice), "record {place} applies twice");
        }
    }
}

fn replay_all<'a>(records: impl Iterator<Item = &'a (Decision, Changes, RecordAt)>) -> bool {
    let mut inventory = Inventory::new();
    for (decision, changes, at) in records {
        if check_applicable(&inventory, decision, changes, *at).is_err() {
            return false;
        }
        apply(&mut inventory, decision, changes, *at);
    }
    true
}

/// `key=value` among the words.
pub(super) fn figure<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

pub(super) fn money(text: &str) -> Money {
    let (amount, currency) = text.split_at(text.len() - 3);
    Money::new(amount.parse().unwrap(), Currency::new(currency).unwrap()).unwrap()
}

/// A word that is a value or `none`.
fn optional<T: std::str::FromStr>(text: &str) -> Option<T> {
    (text != "none").then(|| text.parse().ok().unwrap())
}

fn patch(words: &[&str]) -> TermsPatch {
    fn set<T>(words: &[&str], key: &str, read: impl Fn(&str) -> T) -> Patch<T> {
        figure(words, key).map_or(Patch::Keep, |text| Patch::Set(read(text)))
    }
    TermsPatch {
        name: set(words, "name", |text| Name::new(text).unwrap()),
        price: set(words, "price", |text| (text != "none").then(|| money(text))),
        sale_id: set(words, "sale", |t| (t != "none").then(|| SaleId::new(t).unwrap())),
        opens_at_ms: set(words, "opens", optional),
        closes_at_ms: set(words, "closes", optional),
        oversell_limit: set(words, "oversell", |text| text.parse().unwrap()),
        safety_stock: set(words, "safety", |text| text.parse().unwrap()),
        per_buyer_limit: set(words, "limit", optional),
        low_stock_threshold: set(words, "low", optional),
        paused: set(words, "paused", |text| text.parse().unwrap()),
        returns_free_limit: set(words, "returns_free", |text| text.parse().unwrap()),
    }
}
