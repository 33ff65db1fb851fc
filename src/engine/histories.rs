//! Random histories of a partition that is stepped by hand: no threads, every interleaving of
//! asking, deciding, syncing, crashing and reopening that a seed can think of.
//!
//! What clients heard and what the log holds are compared by a naive model that shares no rules
//! with the domain. `DOORBUSTER_HISTORIES` says how many, `DOORBUSTER_SEED` which; a failure prints
//! its seed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::admission::{Admission, AdmissionLimits};
use super::clock::tests::FakeClock;
use super::command::Command;
use super::completion::{AfterSync, Effect};
use super::partition::{MINUTE_MS, Partition, PartitionParts};
use super::router::Router;
use super::*;
use crate::domain::*;
use crate::journal::*;

const PRODUCTS: u64 = 3;
const BUYERS: u64 = 3;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % below
    }
}

/// What is asked under one key, as often as it takes.
#[derive(Debug, Clone)]
enum Wish {
    Create { product: u64, stock: u64, oversell: u32, limit: u32 },
    Buy { buyer: u64, lines: Vec<(u64, u64)> },
    Adjust { product: u64, delta: i64 },
    Pause { product: u64, paused: bool },
}

/// What is known of a key's fate.
#[derive(Debug)]
struct Asked {
    wish: Wish,
    /// Told to have happened, as this record.
    happened: Option<(u64, Record)>,
    /// Attempts nobody has answered.
    open: u32,
    /// An attempt's outcome is unknown.
    unknown: bool,
}

/// One life of the process.
struct Life {
    engine: Engine,
    partition: Partition<LocalJournal<Effect>>,
    writer: Writer<Effect, AfterSync>,
    clients: Vec<Client>,
    mailbox: VecDeque<Command>,
    waiting: Vec<(usize, Reply)>,
}

struct History {
    dice: Dice,
    storage: MemStorage,
    clock: Arc<FakeClock>,
    life: Life,
    asked: Vec<Asked>,
    refused: u64,
}

/// A product by the log alone.
#[derive(Debug, Default)]
struct Naive {
    stock: i64,
    sold: i64,
    oversell: i64,
    limit: i64,
    paused: bool,
    version: u64,
    bought: HashMap<String, i64>,
}

fn id(product: u64) -> ProductId {
    ProductId::new(&format!("p{product}")).unwrap()
}

impl Life {
    fn begin(storage: &MemStorage, clock: &Arc<FakeClock>) -> Self {
        let options =
            LogOptions { segment_bytes: 64 << 10, payload_bytes_max: 8 << 10, spare_segments: 1 };
        let mut opening = Opening::new(Arc::new(storage.clone()), options).unwrap();
        let mut recovered = Recovered::new(10_000);
        let mut visit =
            |entry: &LogEntry<'_>| recovered.replay(Sequence::new(entry.sequence), entry.payload);
        opening.replay(&mut visit, &mut |_| {}).unwrap();
        let clock = PartitionClock::start(Arc::clone(clock) as _, recovered.last_ms, None);
        let clock = Arc::new(clock.unwrap());
        let started_at_ms = clock.now_ms();
        let started = Payload::Started(Started { started_at_ms, binary: "test".into() });
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        let log = opening.start(identity, &started).unwrap();
        while log.prepare_spare().unwrap() {}
        recovered.publish();
        clock.decided(started_at_ms);
        let engine = Engine::new();
        let board = Arc::new(Board::default());
        board.publish_all(&recovered.inventory, started_at_ms);
        let (health, directory) = (Arc::clone(engine.health()), Arc::clone(&recovered.directory));
        let completion = AfterSync::new(health, directory, Arc::clone(&board));
        let (journal, writer) = local_journal(log, completion);
        let reader = writer.reader();
        let partition = Partition::new(PartitionParts {
            inventory: recovered.inventory,
            directory: Arc::clone(&recovered.directory),
            journal,
            clock: Arc::clone(&clock),
            room: reader.room(),
            refusals: Arc::clone(engine.refusals()),
            hold_rules: HoldRules::default(),
            last_ms: started_at_ms,
        });
        let limits = AdmissionLimits { commands_max: 20, queued_bytes_max: 1 << 20 };
        let core = Core {
            directory: recovered.directory,
            board,
            hold_rules: HoldRules::default(),
            idempotency: recovered.idempotency,
            admission: Arc::new(Admission::new(limits, reader.room())),
            router: Arc::new(Router::new(Arc::clone(&clock))),
            clock,
            reader,
        };
        assert!(engine.core.set(core).is_ok());
        let clients = (0..3).map(|_| Client::new(engine.clone())).collect();
        let (mailbox, waiting) = (VecDeque::new(), Vec::new());
        Self { engine, partition, writer, clients, mailbox, waiting }
    }

    /// Every durable decision.
    fn records(&self) -> Vec<(u64, Record)> {
        let mut tail = self.engine.journal().unwrap().tail(Sequence::new(1));
        let mut records = Vec::new();
        while let Some(tailed) = tail.next().unwrap() {
            if let Payload::Record(record) = tailed.payload {
                records.push((tailed.sequence.get(), *record));
            }
        }
        records
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let (storage, clock) = (MemStorage::new(), Arc::new(FakeClock::default()));
        clock.wall_ms.store(1_000_000, Ordering::Relaxed);
        let life = Life::begin(&storage, &clock);
        Self { dice: Dice(seed), storage, clock, life, asked: Vec::new(), refused: 0 }
    }

    fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.dice.roll(100) {
                0..40 => self.ask(),
                40..70 => self.turn(),
                70..86 => self.sync(),
                86..93 => self.hear(),
                93..96 => {
                    let ms = self.dice.roll(40);
                    self.clock.wall_ms.fetch_add(ms, Ordering::Relaxed);
                    self.clock.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
                }
                96..98 => self.life.partition.count_refusals(MINUTE_MS, 0),
                98 => self.storage.fail_sync_after(self.dice.roll(3)),
                _ => self.end_and_begin(),
            }
        }
        self.end_and_begin();
    }

    fn ask(&mut self) {
        let fresh = self.asked.is_empty() || self.dice.roll(4) > 0;
        let number = if fresh {
            let wish = self.wish();
            self.asked.push(Asked { wish, happened: None, open: 0, unknown: false });
            self.asked.len() - 1
        } else {
            self.dice.roll(self.asked.len() as u64) as usize
        };
        // In the order in which it was said.
        self.hear();
        let Some(action) = self.action(number) else { return };
        let mut hash = [0; 16];
        hash[..8]
            .copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        hash[8..].copy_from_slice(&(number as u64).to_be_bytes());
        let deadline = Duration::from_millis(20 + self.dice.roll(1_000));
        let request = Request {
            principal: Principal::new("shop").unwrap(),
            reference: None,
            key: Some(KeyStamp { hash, fingerprint: [1; 8] }),
            deadline,
            action,
        };
        let client = self.dice.roll(3) as usize;
        let engine = self.life.engine.clone();
        self.asked[number].open += 1;
        match self.life.clients[client].prepare(engine.core().unwrap(), request) {
            Ok(prepared) => {
                self.life.mailbox.push_back(prepared.command);
                self.life.waiting.push((number, prepared.reply));
            }
            Err(answer) => self.told(number, *answer),
        }
    }

    fn wish(&mut self) -> Wish {
        let product = self.dice.roll(PRODUCTS);
        match self.dice.roll(20) {
            0..2 => Wish::Create {
                product,
                stock: self.dice.roll(40),
                oversell: self.dice.roll(3) as u32,
                limit: (self.dice.roll(2) * (5 + self.dice.roll(9))) as u32,
            },
            2..4 => Wish::Adjust { product, delta: self.dice.roll(20) as i64 - 6 },
            4 => Wish::Pause { product, paused: self.dice.roll(4) == 0 },
            _ => {
                let count = 1 + self.dice.roll(8) / 6 * 2;
                let line = |dice: &mut Dice| (dice.roll(PRODUCTS), 1 + dice.roll(3));
                let lines = (0..count).map(|_| line(&mut self.dice)).collect();
                Wish::Buy { buyer: self.dice.roll(BUYERS), lines }
            }
        }
    }

    /// The wish as a command; `None`: it names a product that nobody can see.
    fn action(&self, number: usize) -> Option<Action> {
        let handle = |product| {
            let entry = self.life.engine.product(id(product).as_str());
            entry.map(|entry| entry.handle())
        };
        Some(match self.asked[number].wish.clone() {
            Wish::Create { product, stock, oversell, limit } => {
                let mut terms = Terms::open(Name::new("a").unwrap());
                (terms.oversell_limit, terms.per_buyer_limit) = (oversell, limit);
                let create = CreateProduct { product_id: id(product), terms, stock };
                Action::Create(Box::new(create))
            }
            Wish::Buy { buyer, lines } => {
                let line = |(product, quantity): (u64, u64)| {
                    let quantity = Quantity::new(quantity).unwrap();
                    Some(LineWish { product: handle(product)?, quantity, unit_price: None })
                };
                let lines = lines.into_iter().map(line).collect::<Option<_>>()?;
                let buyer_id = BuyerId::new(&format!("b{buyer}")).unwrap();
                Action::Order(PlaceOrder { buyer_id, lines })
            }
            Wish::Adjust { product, delta } => Action::Adjust(AdjustStock {
                product: handle(product)?,
                change: StockChange::Delta(delta),
                reason: AdjustReason::Correction,
            }),
            Wish::Pause { product, paused } => {
                let targets = Targets::Product { handle: handle(product)?, terms_version: None };
                let patch = TermsPatch { paused: Patch::Set(paused), ..TermsPatch::default() };
                Action::ChangeTerms(Box::new(ChangeTerms { targets, patch }))
            }
        })
    }

    fn turn(&mut self) {
        let now_ms = self.life.engine.now_ms();
        if let Some(command) = self.life.mailbox.pop_front() {
            self.life.partition.turn(command, now_ms);
        }
    }

    fn sync(&mut self) {
        match self.life.writer.step() {
            // Reading the whole log is what takes the time.
            Ok(_) if self.dice.roll(5) == 0 => self.compare(),
            Ok(_) => {}
            Err(_) => {
                assert!(self.life.engine.health().is_failed());
                // Some are still decided; then the process is gone.
                for _ in 0..self.dice.roll(4) {
                    self.turn();
                    self.ask();
                }
                self.end_and_begin();
            }
        }
    }

    /// Clients hear what there is to hear.
    fn hear(&mut self) {
        self.life.clients.iter().for_each(|client| {
            client.replies().drain();
        });
        let waiting = std::mem::take(&mut self.life.waiting);
        for (number, reply) in waiting {
            match reply.take() {
                Some(answer) => self.told(number, answer),
                None => self.life.waiting.push((number, reply)),
            }
        }
    }

    fn told(&mut self, number: usize, answer: Answer) {
        let asked = &mut self.asked[number];
        asked.open -= 1;
        match answer {
            Answer::Decided { sequence, record, replayed } => {
                let told = (sequence.get(), *record);
                match &asked.happened {
                    Some(happened) => assert_eq!(*happened, told, "one key, one record"),
                    None => assert!(
                        !replayed || asked.unknown || asked.open > 0,
                        "{number}: a replay of nothing"
                    ),
                }
                (asked.happened, asked.unknown) = (Some(told), false);
            }
            Answer::Refused(_) | Answer::NotDecided | Answer::DiskLow { .. } => {
                self.refused += 1;
                // Decided anew, so the key had made nothing; "not decided" speaks of this attempt.
                if matches!(answer, Answer::Refused(_)) {
                    assert!(asked.happened.is_none(), "{number} happened, then was refused");
                    asked.unknown = false;
                }
            }
            Answer::Overloaded { .. } => {}
            Answer::KeyInFlight => {
                assert!(asked.open > 0 || asked.unknown, "{number} is in flight for nobody");
            }
            Answer::OutcomeUnknown => asked.unknown = true,
            Answer::KeyReused | Answer::Starting | Answer::Unreadable(_) => panic!("{answer:?}"),
        }
    }

    /// The process ends: killed, or with the power lost. Another one recovers.
    fn end_and_begin(&mut self) {
        self.hear();
        for (number, _) in std::mem::take(&mut self.life.waiting) {
            let asked = &mut self.asked[number];
            (asked.open, asked.unknown) = (asked.open - 1, true);
        }
        self.storage = match self.dice.roll(4) {
            0 => self.storage.kill(),
            1 => self.storage.crash(Crash::LoseAll),
            2 => self.storage.crash(Crash::KeepAll),
            _ => self.storage.crash(Crash::Some(self.dice.roll(u64::MAX))),
        };
        // Whatever is left of the old process writes to a disk that is no more.
        let next = Life::begin(&self.storage, &self.clock);
        drop(std::mem::replace(&mut self.life, next));
        self.compare();
        self.compare_told();
        assert_eq!(self.life.engine.gauges().unwrap().commands, 0);
    }

    /// The log keeps every promise, and the views show exactly it.
    fn compare(&self) {
        let products = naive(&self.life.records());
        for (number, naive) in &products {
            let entry = self.life.engine.product_by_handle(Handle::new(*number)).unwrap();
            let view = entry.view();
            let Figures { stock, held, sold } = view.figures;
            assert_eq!((stock as i64, held, sold as i64), (naive.stock, 0, naive.sold));
            assert_eq!((view.version.get(), view.terms.paused), (naive.version, naive.paused));
        }
        assert!(self.life.engine.products_from(Handle::new(0), 99).len() == products.len());
    }

    /// Whatever was told is in the log once; what was told not to have happened is not.
    fn compare_told(&self) {
        let mut by_key = HashMap::new();
        for (sequence, record) in self.life.records() {
            if let Some(stamp) = record.envelope.key {
                let number = u64::from_be_bytes(stamp.hash[8..].try_into().unwrap()) as usize;
                assert!(by_key.insert(number, (sequence, record)).is_none(), "{number} twice");
            }
        }
        for (number, asked) in self.asked.iter().enumerate() {
            match (&asked.happened, by_key.get(&number)) {
                (Some(told), Some(found)) => assert_eq!(told, found),
                (Some(_), None) => panic!("{number} was told and is lost: {asked:?}"),
                (None, Some(_)) => assert!(asked.unknown, "{number} was denied: {asked:?}"),
                (None, None) => {}
            }
        }
    }
}

/// The products as the log says, by rules of their own.
fn naive(records: &[(u64, Record)]) -> BTreeMap<u32, Naive> {
    let mut products = BTreeMap::<u32, Naive>::new();
    for (_, record) in records {
        for change in &record.envelope.changes {
            let product = products.entry(change.handle.get()).or_default();
            product.version += 1;
            assert_eq!(change.version.get(), product.version, "versions have no gaps");
        }
        match &record.decision {
            Decision::ProductCreated(created) => {
                let product = products.values_mut().next_back().unwrap();
                product.stock = created.stock as i64;
                product.oversell = i64::from(created.terms.oversell_limit);
                product.limit = i64::from(created.terms.per_buyer_limit);
            }
            Decision::TermsChanged(changed) => {
                let handle = record.envelope.changes[0].handle.get();
                let Patch::Set(paused) = changed.patch.paused else { panic!() };
                products.get_mut(&handle).unwrap().paused = paused;
            }
            Decision::StockAdjusted(adjusted) => {
                products.get_mut(&adjusted.product.get()).unwrap().stock += adjusted.delta;
            }
            Decision::OrderPlaced(order) => {
                for line in &order.lines {
                    let product = products.get_mut(&line.product.get()).unwrap();
                    assert!(!product.paused, "sold while paused");
                    product.sold += line.quantity.units() as i64;
                    let bought = product.bought.entry(order.buyer_id.to_string()).or_default();
                    *bought += line.quantity.units() as i64;
                    assert!(product.limit == 0 || *bought <= product.limit, "over the limit");
                }
            }
            Decision::RefusalsCounted(_) => {}
            decision => panic!("nobody asked for {decision:?}"),
        }
        for product in products.values() {
            assert!(product.stock >= 0 && product.sold <= product.stock + product.oversell, "P1");
        }
    }
    products
}

#[test]
fn whatever_happens_the_log_and_the_clients_agree() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let histories = number("DOORBUSTER_HISTORIES").unwrap_or(30);
    let first = number("DOORBUSTER_SEED").unwrap_or_else(|| getrandom::u64().unwrap() >> 1);
    let (mut happened, mut refused) = (0, 0);
    for seed in first..first + histories {
        // Shown when it fails.
        println!("DOORBUSTER_SEED={seed} DOORBUSTER_HISTORIES=1");
        let mut history = History::new(seed);
        history.run(250);
        happened += history.life.records().len();
        refused += history.refused;
    }
    assert!(happened > 0 && refused > 0, "histories in which something happens");
    println!("{histories} histories, {happened} records, {refused} refusals");
}
