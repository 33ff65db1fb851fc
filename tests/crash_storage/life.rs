//! One life of the engine: from a start on what the storage remembers to the machine's death.

use std::sync::Arc;
use std::time::Duration;

use doorbuster::domain::{
    BuyerId, CancelOrder, ConfirmHold, CreateProduct, ExtendHold, Handle, LineWish, LineWishes,
    Name, OrderPlaced, PlaceHold, PlaceOrder, PlacedOrder, Principal, ProductId, Quantity,
    ReleaseHold, Sequence, Terms, Text,
};
use doorbuster::engine::{
    Action, ActorLimits, AdmissionLimits, Answer, Client, Engine, EngineConfig, Request, Running,
    StartError, StartOptions, Stored, SystemClock, start,
};
use doorbuster::journal::{KeyStamp, Opening, OrderId};
use doorbuster_wal::{MemStorage, Options, Storage};
use futures_util::future::join_all;

use crate::Dice;
use crate::ledger::{Ask, Ledger, PRODUCTS, STOCK, Told, Units, Wish};

const IN_FLIGHT: usize = 40;
const WAVES: usize = 12;
/// No answer for so long is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Life {
    running: Running,
    client: Client,
}

fn config() -> EngineConfig {
    EngineConfig {
        admission: AdmissionLimits { commands_max: 1_000, queued_bytes_max: 1 << 20 },
        actors: ActorLimits {
            product_mailbox: 1_000,
            partition_mailbox: 1_000,
            idle: Duration::from_millis(5),
        },
        keys_max: 100_000,
        holds: doorbuster::domain::HoldRules::default(),
    }
}

fn request(key: u64, action: Action) -> Request {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&key.to_le_bytes());
    let key = Some(KeyStamp { hash, fingerprint: key.to_le_bytes() });
    let principal = Principal::new("shop").unwrap();
    Request { principal, reference: None, key, deadline: Duration::from_secs(20), action }
}

impl Life {
    pub(crate) fn start(storage: Arc<dyn Storage>) -> Result<Self, StartError> {
        let options =
            Options { segment_bytes: 64 << 10, payload_bytes_max: 8 << 10, spare_segments: 2 };
        let engine = Engine::new();
        let options_of_start = StartOptions {
            config: config(),
            clock: Arc::new(SystemClock::new()),
            accept_clock: None,
            binary: "test".to_owned(),
            witness: None,
        };
        let running = start(&engine, Opening::new(storage, options)?, options_of_start)?;
        let client = Client::new(engine);
        actix_rt::spawn(client.replies().deliver());
        Ok(Self { running, client })
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }

    /// Checks what was told in earlier lives, asks again, then buys until the machine dies or the
    /// waves are over.
    pub(crate) async fn run(
        &self,
        ledger: &mut Ledger,
        dice: &mut Dice,
        storage: &MemStorage,
        dies: bool,
    ) -> Result<(), String> {
        ledger.counts.lives += 1;
        ledger.counts.torn += u64::from(self.running.summary.torn.is_some());
        ledger.check(self.running.engine()).await?;
        if !self.create_products().await {
            return Ok(());
        }
        // Everything unknown is asked again, and some of what is known.
        let again = |(ask, told): &(Ask, Told)| match told {
            Told::Unknown => true,
            Told::Done(_) => ask.key % if dies { 8 } else { 3 } == 0,
            Told::Nothing => false,
        };
        let asks: Vec<Ask> =
            ledger.told.values().filter(|told| again(told)).map(|(ask, _)| ask.clone()).collect();
        self.ask_all(&asks, ledger).await?;
        for _ in 0..WAVES {
            if storage.is_dead() || !dies {
                break;
            }
            let asks = next_asks(ledger, dice);
            self.ask_all(&asks, ledger).await?;
        }
        match storage.is_dead() {
            true => Ok(()),
            false => ledger.check(self.running.engine()).await,
        }
    }

    /// Whether all products are there: the machine may die before.
    async fn create_products(&self) -> bool {
        for product in 0..PRODUCTS {
            let id = format!("p{product}");
            if self.running.engine().product(&id).is_some() {
                continue;
            }
            let create = CreateProduct {
                product_id: ProductId::new(&id).unwrap(),
                terms: Terms::open(Name::new(&id).unwrap()),
                stock: STOCK,
            };
            let request = request(u64::MAX - u64::from(product), Action::Create(Box::new(create)));
            if !matches!(self.answer(request).await, Ok(Answer::Decided { .. })) {
                return false;
            }
        }
        true
    }

    async fn ask_all(&self, asks: &[Ask], ledger: &mut Ledger) -> Result<(), String> {
        let ask = async |ask: &Ask| match self.action(ask)? {
            Some(action) => self.answer(request(ask.key, action)).await.map(Some),
            None => Ok(None),
        };
        let answers = join_all(asks.iter().map(ask)).await;
        for (ask, answer) in asks.iter().zip(answers) {
            match answer? {
                Some(Answer::Decided { sequence, replayed, .. }) => {
                    ledger.done(ask, sequence.get(), replayed)?;
                }
                Some(Answer::Refused(refusal)) => ledger.refused(ask, &refusal)?,
                Some(Answer::OutcomeUnknown) => ledger.unknown(ask),
                Some(Answer::NotDecided | Answer::DiskLow { .. } | Answer::Overloaded { .. }) => {
                    ledger.nothing(ask)
                }
                answer => return Err(format!("{ask:?} was answered {answer:?}")),
            }
        }
        Ok(())
    }

    /// The wish as a command; `None`: it speaks of an order that is not there.
    fn action(&self, ask: &Ask) -> Result<Option<Action>, String> {
        let buyer_id = BuyerId::new(&format!("b{}", ask.key)).unwrap();
        let (engine, ttl_ms) = (self.running.engine(), ask.ttl_ms);
        let lines = |hold| {
            let entry = engine.board().and_then(|board| board.hold(hold, engine.now_ms()));
            entry.map_or(1, |entry| entry.lines.max(1))
        };
        Ok(Some(match &ask.wish {
            Wish::Buy(units) => Action::Order(PlaceOrder { buyer_id, lines: wishes(units) }),
            Wish::Hold(units) => {
                Action::PlaceHold(Box::new(PlaceHold { buyer_id, lines: wishes(units), ttl_ms }))
            }
            Wish::Extend(hold) => {
                Action::ExtendHold(ExtendHold { hold: Sequence::new(*hold), ttl_ms })
            }
            Wish::Confirm(hold) => {
                let confirm = ConfirmHold { hold: Sequence::new(*hold), parts: None };
                Action::ConfirmHold { lines: lines(confirm.hold), confirm }
            }
            Wish::Release(hold) => {
                let release = ReleaseHold { hold: Sequence::new(*hold) };
                Action::ReleaseHold { lines: lines(release.hold), release }
            }
            Wish::Cancel(order) => {
                let id = OrderId(engine.position(Sequence::new(*order)));
                let stored = engine.order(id).map_err(|error| error.to_string())?;
                let Some(Stored { sequence, record }) = stored else { return Ok(None) };
                let OrderPlaced { buyer_id, lines } = record.order().unwrap().clone();
                let changes = record.envelope.changes;
                let order = PlacedOrder { sequence, buyer_id, lines, changes };
                let reason = Text::new("no more wanted").unwrap();
                Action::Cancel(Box::new(CancelOrder { order, parts: None, reason, restock: true }))
            }
        }))
    }

    async fn answer(&self, request: Request) -> Result<Answer, String> {
        let asked = actix_rt::time::timeout(PATIENCE, self.client.ask(request));
        asked.await.map_err(|_| "no answer".to_owned())
    }
}

fn wishes(units: &[(u32, u64)]) -> LineWishes {
    let line = |(product, quantity): &(u32, u64)| LineWish {
        product: Handle::new(*product),
        quantity: Quantity::new(*quantity).unwrap(),
        unit_price: None,
    };
    units.iter().map(line).collect()
}

/// A wave: new purchases, carts and holds, and what may be done with those there are.
fn next_asks(ledger: &mut Ledger, dice: &mut Dice) -> Vec<Ask> {
    let holds = ledger.acknowledged(|wish| matches!(wish, Wish::Hold(_)));
    let orders = ledger.acknowledged(|wish| matches!(wish, Wish::Buy(_) | Wish::Confirm(_)));
    let late = |all: &[u64], dice: &mut Dice| {
        // Rather one of the last.
        let back = dice.below(20) as usize;
        all.iter().rev().nth(back).copied()
    };
    let wish = |dice: &mut Dice| {
        let kind = dice.below(20);
        let known = late(if kind < 17 { &holds } else { &orders }, dice);
        match (kind, known) {
            (9..11, Some(hold)) => Wish::Extend(hold),
            (11..15, Some(hold)) => Wish::Confirm(hold),
            (15..17, Some(hold)) => Wish::Release(hold),
            (17.., Some(order)) => Wish::Cancel(order),
            (0..5, _) => Wish::Buy(next_units(dice)),
            _ => Wish::Hold(next_units(dice)),
        }
    };
    let ask = |_| {
        ledger.next_key += 1;
        let ttl_ms = if dice.below(2) == 0 { 1 + dice.below(30) } else { 60_000 };
        Ask { key: ledger.next_key, wish: wish(dice), ttl_ms }
    };
    (0..IN_FLIGHT).map(ask).collect()
}

/// Some units of one product, or of all.
fn next_units(dice: &mut Dice) -> Units {
    if dice.below(6) == 0 {
        return (0..PRODUCTS).map(|product| (product, 1 + dice.below(2))).collect();
    }
    vec![(u32::try_from(dice.below(u64::from(PRODUCTS))).unwrap(), 1 + dice.below(3))]
}
