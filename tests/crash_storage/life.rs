//! One life of the engine: from a start on what the storage remembers to the machine's death.

use std::sync::Arc;
use std::time::Duration;

use doorbuster::domain::{
    BuyerId, CreateProduct, LineWish, Name, PlaceOrder, Principal, ProductId, Quantity, Refusal,
    Terms,
};
use doorbuster::engine::{
    Action, ActorLimits, AdmissionLimits, Answer, Client, Engine, EngineConfig, Request, Running,
    StartError, StartOptions, SystemClock, start,
};
use doorbuster::journal::{KeyStamp, Opening};
use doorbuster_wal::{MemStorage, Options, Storage};
use futures_util::future::join_all;

use crate::Dice;
use crate::ledger::{Ask, Ledger, PRODUCTS, STOCK, Told};

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
        ledger.check(self.running.engine())?;
        if !self.create_products().await {
            return Ok(());
        }
        // Everything unknown is asked again, and some of what is known.
        let again = |(ask, told): &(Ask, Told)| match told {
            Told::Unknown => true,
            Told::Sold(_) => ask.key % 8 == 0 || !dies,
            Told::Nothing => false,
        };
        let asks: Vec<Ask> =
            ledger.told.values().filter(|told| again(told)).map(|(ask, _)| *ask).collect();
        self.ask_all(&asks, ledger).await?;
        for _ in 0..WAVES {
            if storage.is_dead() || !dies {
                break;
            }
            let asks: Vec<Ask> = (0..IN_FLIGHT).map(|_| next_ask(ledger, dice)).collect();
            self.ask_all(&asks, ledger).await?;
        }
        match storage.is_dead() {
            true => Ok(()),
            false => ledger.check(self.running.engine()),
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
        let answers = join_all(asks.iter().map(|ask| async move {
            let buyer_id = BuyerId::new(&format!("b{}", ask.key)).unwrap();
            let line = LineWish {
                product: doorbuster::domain::Handle::new(ask.product),
                quantity: Quantity::new(ask.quantity).unwrap(),
                unit_price: None,
            };
            let lines = [line].into_iter().collect();
            let order = Action::Order(PlaceOrder { buyer_id, lines });
            self.answer(request(ask.key, order)).await
        }))
        .await;
        for (ask, answer) in asks.iter().zip(answers) {
            match answer? {
                Answer::Decided { sequence, replayed, .. } => {
                    ledger.sold(*ask, sequence.get(), replayed)?;
                }
                Answer::Refused(Refusal::SoldOut { .. }) => ledger.sold_out(*ask)?,
                Answer::OutcomeUnknown => ledger.unknown(*ask),
                Answer::NotDecided | Answer::DiskLow { .. } | Answer::Overloaded { .. } => {
                    ledger.nothing(*ask);
                }
                answer => return Err(format!("{ask:?} was answered {answer:?}")),
            }
        }
        Ok(())
    }

    async fn answer(&self, request: Request) -> Result<Answer, String> {
        let asked = actix_rt::time::timeout(PATIENCE, self.client.ask(request));
        asked.await.map_err(|_| "no answer".to_owned())
    }
}

fn next_ask(ledger: &mut Ledger, dice: &mut Dice) -> Ask {
    ledger.next_key += 1;
    Ask {
        key: ledger.next_key,
        product: u32::try_from(dice.below(u64::from(PRODUCTS))).unwrap(),
        quantity: 1 + dice.below(3),
    }
}
