//! A log of several days, made in no time: decisions of the domain at times of the test's choice,
//! with snapshots and an archive made by the same code that a server runs behind the sale.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use doorbuster::domain::{
    BuyerId, CancelOrder, ConfirmHold, CreateProduct, Decided, Decision, ExtendHold, Handle,
    HoldRules, LineWish, Name, Part, PartOf, PlaceHold, PlaceOrder, PlacedOrder, Principal,
    ProductId, Quantity, Reference, RefusalReason, RefusalRow, RefusalsCounted, ReleaseHold,
    Sequence, Terms, Text, decide_cancel, decide_confirm, decide_create, decide_extend,
    decide_hold, decide_order, decide_release,
};
use doorbuster::engine::{Recovered, Upkeep, UpkeepOptions, Upkept};
use doorbuster::journal::{
    Completion, Envelope, Journal, JournalError, JournalIdentity, KeyStamp, LocalJournal, Opening,
    Payload, Queued, Record, Started, Writer, encode, local_journal,
};
use doorbuster_wal::{DirStorage, Entry, Options};
use serde_json::Value;

use crate::server::{doorbuster, run};

/// Time of a log's first record: 2026-11-16T00:00:00Z.
pub(crate) const START_MS: u64 = 1_794_787_200_000;
/// Time between two lives: keys and ended holds of the one before are forgotten.
pub(crate) const LIFE_MS: u64 = 25 * 3_600_000;
/// Lives of a made log; each closes the segment of the one before.
pub(crate) const LIVES: u64 = 5;
/// Orders of a life, but for what holds and cancellations add.
const ORDERS: u64 = 20;

const RULES: HoldRules =
    HoldRules { ttl_max_ms: 7_200_000, live_per_buyer_max: 100, live_lines_max: 1_000 };

/// A data directory that goes with the test.
pub(crate) struct House {
    place: tempfile::TempDir,
}

struct Nothing;

impl Completion<()> for Nothing {
    fn complete(&mut self, _: Sequence, items: &mut Vec<Queued<()>>) {
        items.clear();
    }
    fn fail(&mut self, error: &JournalError, _: Vec<Queued<()>>) {
        panic!("the test's log fails: {error}");
    }
}

/// One process that writes the log.
struct Life {
    recovered: Recovered,
    journal: LocalJournal<()>,
    writer: Writer<(), Nothing>,
    now_ms: u64,
    keys: u64,
}

impl House {
    /// A log of five lives: four archived segments, two snapshots, and one that is written.
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let house = Self { place };
        (0..LIVES).for_each(|number| house.live(number));
        house
    }

    /// Where the data lies; its name makes a shell think.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.place.path().join("my data")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.data_dir().join("journal")
    }

    /// A place beside the data.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Runs `doorbuster` with these words and the data directory.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        let data_dir = self.data_dir();
        Said::of(&run(&[words, &["--data-dir", data_dir.to_str().unwrap()]].concat()))
    }

    /// As [`Self::run`], with a variable in its environment.
    pub(crate) fn run_with(&self, (name, value): (&str, &str), words: &[&str]) -> Said {
        let mut command = doorbuster(words);
        command.env(name, value).arg("--data-dir").arg(self.data_dir());
        Said::of(&command.output().expect("the binary runs"))
    }

    /// As [`Self::run`]: the JSON of a command that must succeed.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let said = self.run(&[words, &["--json"]].concat());
        assert_eq!(said.exit, 0, "{words:?}: {said:?}");
        serde_json::from_str(&said.out).unwrap()
    }

    /// As [`Self::run`]: the lines of a dump that must succeed.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let said = self.run(&[&["wal", "dump"], words].concat());
        assert_eq!(said.exit, 0, "{words:?}: {said:?}");
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All files of the journal with their bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut waiting = vec![self.journal()];
        while let Some(dir) = waiting.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => waiting.push(path),
                    false => files.push((path.clone(), std::fs::read(path).unwrap())),
                }
            }
        }
        files.sort();
        files
    }

    pub(crate) fn snapshots(&self) -> Vec<PathBuf> {
        let files = self.files().into_iter().map(|(path, _)| path);
        files.filter(|path| path.parent().unwrap().ends_with("snapshots")).collect()
    }

    fn live(&self, number: u64) {
        let storage = Arc::new(DirStorage::open(self.journal()).unwrap());
        let options =
            Options { segment_bytes: 64 << 10, payload_bytes_max: 16 << 10, spare_segments: 1 };
        let mut opening = Opening::new(storage, options).unwrap();
        let mut recovered = Recovered::new(usize::MAX);
        let mut visit =
            |entry: &Entry<'_>| recovered.replay(Sequence::new(entry.sequence), entry.payload);
        opening.replay(&mut visit, &mut |_| {}).unwrap();
        let now_ms = START_MS + number * LIFE_MS;
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        let started = Started { started_at_ms: now_ms, binary: "test".into() };
        let log = opening.start(identity, &Payload::Started(started)).unwrap();
        let (journal, writer) = local_journal(log, Nothing);
        let mut life = Life { recovered, journal, writer, now_ms, keys: number << 32 };
        life.sell(number);
        life.keep_up();
    }
}

impl Life {
    fn sell(&mut self, number: u64) {
        if number == 0 {
            self.create("hat");
            self.create("cap");
        }
        // One product of each life, so that names are learned everywhere.
        self.create(&format!("day-{number}"));
        let mut orders = Vec::new();
        for order in 0..ORDERS {
            let product = if order % 2 == 0 { 0 } else { 1 };
            let reference = (order % 3 == 0).then(|| format!("r-{number}-{order}"));
            let buyer = format!("buyer-{}", order % 5);
            orders.push(self.order(&buyer, product, order % 3 + 1, reference.as_deref()));
        }
        let confirmed = self.hold("anna", 0, 5);
        self.extend(confirmed);
        self.confirm(confirmed, 2);
        let released = self.hold("bert", 1, 3);
        self.extend(released);
        self.release(released);
        self.cancel(&orders[0]);
        self.refusals();
        if number + 1 == LIVES {
            self.hold("cleo", 0, 4);
        }
        // What follows proves what came before it.
        self.step();
        self.append(&Payload::Watermark);
        self.step();
    }

    fn create(&mut self, id: &str) {
        let terms = Terms::open(Name::new(id).unwrap());
        let create = CreateProduct { product_id: ProductId::new(id).unwrap(), terms, stock: 1_000 };
        let decided = decide_create(&self.recovered.inventory, create, false).unwrap();
        self.decided(decided, None);
    }

    fn wish(product: u32, units: u64) -> LineWish {
        let (product, quantity) = (Handle::new(product), Quantity::new(units).unwrap());
        LineWish { product, quantity, unit_price: None }
    }

    fn order(
        &mut self,
        buyer: &str,
        product: u32,
        units: u64,
        reference: Option<&str>,
    ) -> PlacedOrder {
        let lines = [Self::wish(product, units)].into_iter().collect();
        let order = PlaceOrder { buyer_id: BuyerId::new(buyer).unwrap(), lines };
        let decided = decide_order(&self.recovered.inventory, order, self.now_ms).unwrap();
        let Decision::OrderPlaced(placed) = decided.decision.clone() else { unreachable!() };
        let changes = decided.changes.clone();
        let sequence = self.decided(decided, reference);
        PlacedOrder { sequence, buyer_id: placed.buyer_id, lines: placed.lines, changes }
    }

    fn hold(&mut self, buyer: &str, product: u32, units: u64) -> Sequence {
        let lines = [Self::wish(product, units)].into_iter().collect();
        let buyer_id = BuyerId::new(buyer).unwrap();
        let place = PlaceHold { buyer_id, lines, ttl_ms: 3_600_000 };
        let decided = decide_hold(&self.recovered.inventory, place, &RULES, self.now_ms);
        self.decided(decided.unwrap(), None)
    }

    fn extend(&mut self, hold: Sequence) {
        let extend = ExtendHold { hold, ttl_ms: 7_000_000 };
        let decided = decide_extend(&self.recovered.inventory, extend, &RULES, self.now_ms);
        self.decided(decided.unwrap(), Some("longer"));
    }

    fn confirm(&mut self, hold: Sequence, units: u64) {
        let quantity = Quantity::new(units).unwrap();
        let parts = Some(vec![Part { of: PartOf::Line(0), quantity }]);
        let confirm = ConfirmHold { hold, parts };
        let decided = decide_confirm(&self.recovered.inventory, confirm, self.now_ms);
        self.decided(decided.unwrap(), None);
    }

    fn release(&mut self, hold: Sequence) {
        let release = ReleaseHold { hold };
        let decided = decide_release(&self.recovered.inventory, release, self.now_ms);
        self.decided(decided.unwrap(), None);
    }

    fn cancel(&mut self, order: &PlacedOrder) {
        let reason = Text::new("changed her mind").unwrap();
        let cancel = CancelOrder { order: order.clone(), parts: None, reason, restock: true };
        let decided = decide_cancel(&self.recovered.inventory, cancel).unwrap();
        self.decided(decided, None);
    }

    fn refusals(&mut self) {
        let row = RefusalRow { product: Handle::new(1), reason: RefusalReason::SoldOut, count: 3 };
        let counted = RefusalsCounted { minute_ms: self.now_ms / 60_000 * 60_000, rows: vec![row] };
        let decision = Decision::RefusalsCounted(counted);
        self.decided(Decided { decision, changes: Default::default() }, None);
    }

    fn decided(&mut self, decided: Decided, reference: Option<&str>) -> Sequence {
        let Decided { decision, changes } = decided;
        self.now_ms += 1_000;
        self.keys += 1;
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&self.keys.to_le_bytes());
        let has_key = !matches!(decision, Decision::RefusalsCounted(_));
        let envelope = Envelope {
            decided_at_ms: self.now_ms,
            principal: Principal::new("shop").unwrap(),
            reference: reference.map(|reference| Reference::new(reference).unwrap()),
            key: has_key.then_some(KeyStamp { hash, fingerprint: [0; 8] }),
            changes,
        };
        self.append(&Payload::Record(Record { envelope, decision }))
    }

    fn append(&mut self, payload: &Payload) -> Sequence {
        let mut bytes = Vec::new();
        encode(payload, &mut bytes);
        let sequence = self.journal.next_sequence();
        self.recovered.replay(sequence, &bytes).unwrap();
        assert_eq!(self.journal.append(&bytes, ()), sequence);
        sequence
    }

    fn step(&mut self) {
        self.writer.step().unwrap();
    }

    /// Snapshots and archives what a server would.
    fn keep_up(&mut self) {
        let options = UpkeepOptions {
            snapshot_segments: 1,
            reserve_bytes: 0,
            free_bytes: Arc::new(|| None),
            projected: Arc::new(|| Some(Sequence::new(u64::MAX))),
            keys_max: usize::MAX,
        };
        let mut upkeep = Upkeep::new(self.writer.reader(), options);
        while upkeep.step().unwrap() != Upkept::Nothing {}
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let exit = output.status.code().unwrap_or(-1);
        Self { exit, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Asserts how it ended and what it said.
    #[track_caller]
    pub(crate) fn check(&self, exit: i32, words: &[&str]) {
        assert_eq!(self.exit, exit, "{self:?}");
        for word in words {
            let said = self.out.contains(word) || self.err.contains(word);
            assert!(said, "{word:?} is missing: {self:#?}");
        }
    }
}

/// Turns a bit of a file round.
pub(crate) fn flip(file: &Path, byte: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[byte] ^= 1;
    std::fs::write(file, bytes).unwrap();
}
