//! The log that is damaged: every kind of record, several segments, some of them archived, two
//! snapshots, and a last batch that nothing proves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use doorbuster::domain::{
    AdjustReason, AdjustStock, BuyerId, CancelOrder, ChangeTerms, ConfirmHold, CreateProduct,
    Currency, Decided, Decision, ExtendHold, Handle, HoldRules, LineWish, LineWishes, Money, Name,
    Part, PartOf, Patch, PlaceHold, PlaceOrder, PlacedOrder, ProductId, Quantity, Refusal,
    RefusalReason, RefusalRow, RefusalsCounted, ReleaseHold, SaleId, Sequence, StockChange,
    Targets, Terms, TermsPatch, Text, decide_adjustment, decide_cancel, decide_confirm,
    decide_create, decide_expiry, decide_extend, decide_hold, decide_order, decide_release,
    decide_selling, decide_terms,
};
use doorbuster::engine::stepped::Stepped;
use doorbuster::engine::{
    ActorLimits, AdmissionLimits, Clock, EngineConfig, StartOptions, Upkeep, UpkeepOptions, Upkept,
};
use doorbuster::journal::{JournalIdentity, Opening};
use doorbuster_wal::{MemStorage, Options, Storage};

use crate::recover::maker::Maker;

/// Small segments, so that there are several.
pub(super) const OPTIONS: Options =
    Options { segment_bytes: 64 << 10, payload_bytes_max: 8 << 10, spare_segments: 1 };
const RULES: HoldRules =
    HoldRules { ttl_max_ms: 86_400_000, live_per_buyer_max: 100, live_lines_max: 1_000 };
const BEGUN_AT_MS: u64 = 1_790_000_000_000;

/// Files by their path from the log's directory on.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The files of a storage.
pub(super) fn files_of(storage: &MemStorage) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for dir in ["", "archive", "snapshots"] {
        let names = match dir {
            "" => storage.list()?,
            dir => storage.dir(dir)?.map_or_else(|| Ok(Vec::new()), |dir| dir.list())?,
        };
        for name in names {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            let bytes = storage.bytes(&path).context("a file that is listed")?;
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

/// A storage of these files.
pub(super) fn storage_of(files: &Files) -> MemStorage {
    let storage = MemStorage::new();
    for (path, bytes) in files {
        storage.set_bytes(path, bytes.clone());
    }
    storage
}

/// Makes it. `variant` makes another journal's, or a clone that went on differently.
pub(super) fn make(variant: Variant) -> anyhow::Result<Files> {
    let storage = MemStorage::new();
    every_kind(&storage, variant)?;
    keep_up(&storage)?;
    sell(&storage, 20, "second")?;
    keep_up(&storage)?;
    sell(&storage, 20, "third")?;
    // The last segment: several batches, the last of them in several records.
    sell(&storage, 12, if variant == Variant::Clone { "clone" } else { "last" })?;
    let files = files_of(&storage)?;
    let count = |dir: &str| files.keys().filter(|path| path.starts_with(dir)).count();
    ensure!(count("archive/") >= 2 && count("snapshots/") == 2 && count("segment-") >= 2);
    Ok(files)
}

/// Which log of several that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// The one that is damaged.
    Reference,
    /// Another journal.
    Other,
    /// The same journal, copied before its last segment and gone on elsewhere.
    Clone,
}

struct Shop(Maker);

impl Shop {
    fn open(storage: &MemStorage) -> anyhow::Result<Self> {
        Ok(Self(Maker::begin(Arc::new(storage.clone()), OPTIONS, BEGUN_AT_MS)?))
    }

    fn decided(&mut self, decided: Result<Decided, Refusal>) -> anyhow::Result<Sequence> {
        self.0.now_ms += 7;
        let decided = decided.map_err(|refusal| anyhow!("{refusal:?}"))?;
        let reference = format!("r-{}", self.0.next_sequence());
        self.0.push(decided, Some(&reference))
    }

    fn create(&mut self, id: &str, stock: u64, terms: Terms) -> anyhow::Result<Handle> {
        let create = CreateProduct { product_id: ProductId::new(id)?, terms, stock };
        let handle = Handle::new(u32::try_from(self.0.inventory.len())?);
        let decided = decide_create(&self.0.inventory, create, false);
        self.decided(decided)?;
        Ok(handle)
    }

    fn order(&mut self, buyer: &str, lines: &[(Handle, u64)]) -> anyhow::Result<PlacedOrder> {
        let order = PlaceOrder { buyer_id: BuyerId::new(buyer)?, lines: wishes(lines)? };
        let decided = decide_order(&self.0.inventory, order, self.0.now_ms);
        let decided = decided.map_err(|refusal| anyhow!("{refusal:?}"))?;
        let changes = decided.changes.clone();
        let Decision::OrderPlaced(placed) = decided.decision.clone() else {
            anyhow::bail!("an order is placed")
        };
        let sequence = self.decided(Ok(decided))?;
        let (buyer_id, lines) = (placed.buyer_id, placed.lines);
        Ok(PlacedOrder { sequence, buyer_id, lines, changes })
    }

    fn hold(&mut self, lines: &[(Handle, u64)], ttl_ms: u64) -> anyhow::Result<Sequence> {
        let place = PlaceHold { buyer_id: BuyerId::new("anna")?, lines: wishes(lines)?, ttl_ms };
        let decided = decide_hold(&self.0.inventory, place, &RULES, self.0.now_ms);
        self.decided(decided)
    }

    fn confirm(&mut self, hold: Sequence, parts: Option<Vec<Part>>) -> anyhow::Result<Sequence> {
        let confirm = ConfirmHold { hold, parts };
        let decided = decide_confirm(&self.0.inventory, confirm, self.0.now_ms);
        self.decided(decided)
    }

    fn cancel(
        &mut self,
        order: &PlacedOrder,
        parts: Option<Vec<Part>>,
        restock: bool,
    ) -> anyhow::Result<Sequence> {
        let reason = Text::new("changed her mind")?;
        let cancel = CancelOrder { order: order.clone(), parts, reason, restock };
        let decided = decide_cancel(&self.0.inventory, cancel);
        self.decided(decided)
    }

    fn change(&mut self, targets: Targets, patch: TermsPatch) -> anyhow::Result<Sequence> {
        let decided = decide_terms(&self.0.inventory, ChangeTerms { targets, patch });
        self.decided(decided)
    }
}

fn wishes(lines: &[(Handle, u64)]) -> anyhow::Result<LineWishes> {
    let mut wishes = LineWishes::new();
    for (product, units) in lines {
        let unit_price = Some(Money::new(250, Currency::new("GBP")?)?);
        wishes.push(LineWish { product: *product, quantity: Quantity::new(*units)?, unit_price });
    }
    Ok(wishes)
}

fn part(line: usize, units: u64) -> anyhow::Result<Part> {
    Ok(Part { of: PartOf::Line(line), quantity: Quantity::new(units)? })
}

fn every_kind(storage: &MemStorage, variant: Variant) -> anyhow::Result<()> {
    let mut shop = match variant {
        Variant::Other => {
            // Another random id is another journal: the maker's is always the same.
            let mut opening = Opening::new(Arc::new(storage.clone()), OPTIONS)?;
            opening.replay(&mut |_| Ok(()), &mut |_| {})?;
            let identity = JournalIdentity { journal_id: [9; 16], partition: 1, epoch: 1 };
            let started =
                doorbuster::journal::Started { started_at_ms: BEGUN_AT_MS, binary: "bench".into() };
            opening.start(identity, &doorbuster::journal::Payload::Started(started))?;
            Shop::open(storage)?
        }
        _ => Shop::open(storage)?,
    };
    let mut limited = Terms::open(Name::new("A hat")?);
    (limited.per_buyer_limit, limited.oversell_limit) = (50, 2);
    limited.sale_id = Some(SaleId::new("friday")?);
    let hat = shop.create("hat", 400, limited)?;
    let cap = shop.create("cap", 300, Terms::open(Name::new("A cap")?))?;
    shop.0.commit()?;
    let first = shop.order("anna", &[(hat, 2), (cap, 3)])?;
    let second = shop.order("bob", &[(hat, 1)])?;
    shop.0.push_watermark();
    shop.0.commit()?;
    let kept = shop.hold(&[(hat, 2), (cap, 1)], 86_000_000)?;
    let parted = shop.hold(&[(hat, 4), (cap, 4)], 60_000)?;
    let released = shop.hold(&[(cap, 2)], 60_000)?;
    shop.hold(&[(hat, 1)], 50)?;
    shop.0.commit()?;
    let extend = ExtendHold { hold: kept, ttl_ms: 86_300_000 };
    let extended = decide_extend(&shop.0.inventory, extend, &RULES, shop.0.now_ms);
    shop.decided(extended)?;
    shop.0.now_ms += 100;
    while let Some(expired) = decide_expiry(&shop.0.inventory, shop.0.now_ms) {
        shop.decided(Ok(expired))?;
    }
    shop.confirm(parted, Some(vec![part(0, 3)?]))?;
    let release = ReleaseHold { hold: released };
    let decided = decide_release(&shop.0.inventory, release, shop.0.now_ms);
    shop.decided(decided)?;
    shop.0.commit()?;
    shop.cancel(&first, Some(vec![part(1, 1)?]), true)?;
    shop.cancel(&second, None, false)?;
    let price = Patch::Set(Some(Money::new(999, Currency::new("GBP")?)?));
    let one = Targets::Product { handle: cap, terms_version: None };
    shop.change(one, TermsPatch { price, ..TermsPatch::default() })?;
    let paused = TermsPatch { paused: Patch::Set(true), ..TermsPatch::default() };
    shop.change(Targets::Sale(SaleId::new("friday")?), paused)?;
    let sells = TermsPatch { paused: Patch::Set(false), ..TermsPatch::default() };
    shop.change(Targets::Sale(SaleId::new("friday")?), sells)?;
    let change = StockChange::Delta(25);
    let adjust = AdjustStock { product: hat, change, reason: AdjustReason::Received };
    let adjusted = decide_adjustment(&shop.0.inventory, adjust);
    shop.decided(adjusted)?;
    let row = RefusalRow { product: hat, reason: RefusalReason::ALL[0], count: 3 };
    let counted = RefusalsCounted { minute_ms: BEGUN_AT_MS / 60_000 * 60_000, rows: vec![row] };
    let decision = Decision::RefusalsCounted(counted);
    shop.decided(Ok(Decided { decision, changes: doorbuster::domain::Changes::new() }))?;
    shop.decided(Ok(decide_selling(true)))?;
    shop.decided(Ok(decide_selling(false)))?;
    shop.0.commit()
}

/// Sells some, in batches of three.
fn sell(storage: &MemStorage, orders: u64, buyer: &str) -> anyhow::Result<()> {
    let mut shop = Shop::open(storage)?;
    for number in 0..orders {
        let product = Handle::new(u32::try_from(number % 2)?);
        shop.order(&format!("{buyer}-{number}"), &[(product, 1)])?;
        if number % 3 == 2 {
            shop.0.commit()?;
        }
    }
    shop.0.commit()
}

/// A start, and all that is due behind it.
fn keep_up(storage: &MemStorage) -> anyhow::Result<()> {
    let opening = Opening::new(Arc::new(storage.clone()), OPTIONS)?;
    let identity = JournalIdentity { journal_id: [0; 16], partition: 1, epoch: 1 };
    let stepped = Stepped::begin(opening, start_options(), identity)?;
    let journal = stepped.writer.reader();
    let durable = journal.durable();
    let mut upkeep = Upkeep::new(
        journal,
        UpkeepOptions {
            snapshot_segments: 1,
            reserve_bytes: 0,
            free_bytes: Arc::new(|| None),
            projected: Arc::new(move || Some(durable)),
            keys_max: 100_000,
        },
    );
    while upkeep.step()? != Upkept::Nothing {}
    Ok(())
}

/// How the damaged log is started.
pub(super) fn start_options() -> StartOptions {
    StartOptions {
        config: EngineConfig {
            admission: AdmissionLimits { commands_max: 20, queued_bytes_max: 1 << 20 },
            actors: ActorLimits { product_mailbox: 1, partition_mailbox: 1, idle: Duration::ZERO },
            keys_max: 100_000,
            holds: RULES,
        },
        clock: Arc::new(Still),
        accept_clock: None,
        binary: "bench".to_owned(),
        witness: None,
    }
}

/// A clock that stands.
struct Still;

impl Clock for Still {
    fn wall_ms(&self) -> u64 {
        BEGUN_AT_MS + 20_000
    }
    fn monotonic_ms(&self) -> u64 {
        0
    }
}
