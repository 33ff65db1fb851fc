//! The language of the case tables: a line is a command and, behind `->`, what must come of it.
//!
//! ```text
//! create  p1 stock=10 limit=2           -> created   version=1
//! buy     anna p1 3                     -> limit_reached  limit=2 bought=0
//! at_ms   500
//! ```
//!
//! What is expected is a word and any of the figures; what happens may have more. Each script also
//! replays its own journal and compares whole states, and replays it with a record missing or
//! twice: that must be refused, never panic.

use std::fmt::Write as _;

use smallvec::SmallVec;

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
#[derive(Default)]
pub(super) struct World {
    pub(super) inventory: Inventory,
    names: Vec<String>,
    pub(super) journal: Vec<(Decision, Changes, RecordAt)>,
    now_ms: u64,
}

impl World {
    fn handle(&self, name: &str) -> Handle {
        let place = self.names.iter().position(|known| known == name).unwrap_or(self.names.len());
        Handle::new(u32::try_from(place).unwrap())
    }

    fn run(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (verb, rest) = words.split_first().unwrap();
        match *verb {
            "at_ms" => {
                self.now_ms = rest[0].parse().unwrap();
                String::new()
            }
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
                let price = figure(rest, "price").map(money);
                self.order(rest[0], &[(rest[1], rest[2].parse().unwrap(), price)])
            }
            "order" => {
                let line = |text: &&'_ str| {
                    let (name, quantity) = text.split_once('*').unwrap();
                    (self.names.iter().find(|n| *n == name).unwrap().clone(), quantity.parse())
                };
                let lines: Vec<_> = rest[1..].iter().map(line).collect();
                let lines: Vec<_> =
                    lines.iter().map(|(n, q)| (n.as_str(), *q.as_ref().unwrap(), None)).collect();
                self.order(rest[0], &lines)
            }
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

    fn order(&mut self, buyer: &str, lines: &[(&str, u64, Option<Money>)]) -> String {
        let lines: SmallVec<[LineWish; 1]> = lines
            .iter()
            .map(|(name, quantity, unit_price)| LineWish {
                product: self.handle(name),
                quantity: Quantity::new(*quantity).unwrap(),
                unit_price: *unit_price,
            })
            .collect();
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
                let outcome = decided_in_words(&decision, &changes);
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
            assert!(!replay_all(twice), "record {place} applies twice");
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

/// The whole state, sorted, for comparing; checks what must hold between its parts.
pub(super) fn dump(inventory: &Inventory) -> String {
    let mut text = String::new();
    let mut buyers = std::collections::BTreeSet::new();
    let mut in_sales = 0;
    for (handle, product) in inventory.products() {
        let counts = product.counts.as_ref().map(|counts| {
            let mut units: Vec<_> = inventory.buyers().list(counts).collect();
            units.sort();
            buyers.extend(units.iter().map(|(buyer, _)| buyer.as_str().to_owned()));
            units
        });
        if let Some(sale_id) = &product.terms.sale_id {
            assert!(inventory.sale(sale_id).any(|member| member == handle), "a member is missing");
            in_sales += 1;
        }
        let Product { terms, figures, version, .. } = product;
        writeln!(text, "{handle} {terms:?} {figures:?} {version} {counts:?}").unwrap();
    }
    assert_eq!(inventory.sales.values().map(|sale| sale.len()).sum::<usize>(), in_sales);
    assert!(inventory.sales.values().all(|sale| !sale.is_empty()), "an empty sale is kept");
    assert_eq!(inventory.buyers().len(), buyers.len(), "a buyer nobody counts is kept");
    text
}

/// `key=value` among the words.
fn figure<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn money(text: &str) -> Money {
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

fn decided_in_words(decision: &Decision, changes: &Changes) -> String {
    let versions: Vec<String> = changes.iter().map(|change| change.version.to_string()).collect();
    let mut words = match decision {
        Decision::ProductCreated(created) => format!("created stock={}", created.stock),
        Decision::TermsChanged(_) => format!("changed products={}", changes.len()),
        Decision::StockAdjusted(adjusted) => {
            let StockAdjusted { delta, stock, unsold, reason, .. } = &**adjusted;
            format!("adjusted delta={delta} stock={stock} unsold={unsold} reason={reason:?}")
        }
        Decision::OrderPlaced(order) => {
            let price = |line: &OrderLine| {
                line.unit_price.map_or_else(
                    || "none".to_owned(),
                    |price| format!("{}{:?}", price.amount_minor(), price.currency()),
                )
            };
            let prices: Vec<String> = order.lines.iter().map(price).collect();
            format!("sold lines={} prices={}", order.lines.len(), prices.join(","))
        }
        Decision::HoldPlaced(placed) => format!("held expires_at_ms={}", placed.expires_at_ms),
        Decision::HoldExtended(extended) => {
            format!("extended expires_at_ms={}", extended.expires_at_ms)
        }
        Decision::HoldConfirmed(confirmed) => {
            let units = |lines: &OrderLines| lines.iter().map(|l| l.quantity.units()).sum::<u64>();
            let (sold, released) = (units(&confirmed.order.lines), units(&confirmed.released));
            format!("confirmed sold={sold} released={released}")
        }
        Decision::HoldReleased(_) => "released".to_owned(),
        Decision::HoldExpired(_) => "expired".to_owned(),
        Decision::OrderCancelled(cancelled) => {
            let units: u64 = cancelled.lines.iter().map(|line| line.quantity.units()).sum();
            format!("cancelled units={units} whole={}", cancelled.whole)
        }
        Decision::SellingPaused(selling) => format!("selling paused={}", selling.paused),
        Decision::RefusalsCounted(_) => "counted".to_owned(),
    };
    write!(words, " version={}", versions.join(",")).unwrap();
    words
}

fn refused_in_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::SoldOut { available, requested } => {
            format!("sold_out available={available} requested={requested}")
        }
        Refusal::LimitReached { limit, bought, requested } => {
            format!("limit_reached limit={limit} bought={bought} requested={requested}")
        }
        Refusal::NotOpen { opens_at_ms } => format!("not_open opens_at_ms={opens_at_ms}"),
        Refusal::Closed { closes_at_ms } => format!("closed closes_at_ms={closes_at_ms}"),
        Refusal::Paused => "paused".to_owned(),
        Refusal::AlreadyExists => "already_exists".to_owned(),
        Refusal::StockChanged { expected_unsold, unsold } => {
            format!("stock_changed expected={expected_unsold} unsold={unsold}")
        }
        Refusal::WouldOversell { shortfall } => format!("would_oversell shortfall={shortfall}"),
        Refusal::PreconditionFailed { terms_version } => {
            format!("precondition_failed terms_version={terms_version}")
        }
        Refusal::InvalidTerms { error } => format!("invalid_terms error={error:?}"),
        Refusal::OverMaximum { max } => format!("over_maximum max={max}"),
        Refusal::SaleFull { max } => format!("sale_full max={max}"),
        Refusal::UnknownProduct => "unknown_product".to_owned(),
        Refusal::HoldsReached { limit } => format!("holds_reached limit={limit}"),
        Refusal::HoldsFull { max } => format!("holds_full max={max}"),
        Refusal::UnknownHold => "unknown_hold".to_owned(),
        Refusal::HoldEnded { end } => format!("hold_ended end={}", end.as_str()),
        Refusal::AlreadyCancelled { left, requested } => {
            format!("already_cancelled left={left} requested={requested}")
        }
        Refusal::NoSuchLine { part } => format!("no_such_line part={part}"),
        Refusal::PartTooLarge { part, units } => {
            format!("part_too_large part={part} units={units}")
        }
        Refusal::Lines(lines) => {
            let mut words = "lines".to_owned();
            for line in lines {
                let places: Vec<String> = line.lines.iter().map(usize::to_string).collect();
                let refusal = refused_in_words(&line.refusal).replace(' ', ",");
                write!(words, " {}:{refusal}", places.join("+")).unwrap();
            }
            words
        }
    }
}
