//! Holds and cancellations on a real server, killed twice: what its log says by itself, and what
//! its tables say beside it.
//!
//! The story: a hold was confirmed and expired as well, its units sold to somebody else; or a unit
//! came back twice, and was sold once more than there was. Neither shows in any one answer.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use doorbuster_bench::client::{Client, Reply};
use doorbuster_bench::database::Database;
use doorbuster_bench::faults::Faults;
use doorbuster_bench::log::Log;
use doorbuster_bench::model::Model;
use doorbuster_bench::payload::{KINDS, Payload};
use doorbuster_bench::process::Launch;
use doorbuster_bench::rows::{self, Compared};
use doorbuster_bench::seeded::Seeded;
use serde_json::{Value, json};

const WARES: u64 = 4;
const LIMIT: Duration = Duration::from_secs(60);

/// What was placed, and the next idempotency key.
struct Crowd {
    draws: Seeded,
    holds: Vec<String>,
    orders: Vec<String>,
    key: u64,
}

impl Crowd {
    fn one_of(&mut self, ids: fn(&Self) -> &Vec<String>) -> Option<String> {
        let count = ids(self).len() as u64;
        let place = usize::try_from(self.draws.below(count.max(1))).ok()?;
        ids(self).get(place).cloned()
    }

    fn lines(&mut self, count: u64) -> Value {
        let lines = (0..self.draws.between(1, count)).map(|_| {
            let ware = self.draws.below(WARES);
            let mut line = json!({ "product_id": format!("w{ware}") });
            line["quantity"] = self.draws.between(1, 4).into();
            if self.draws.once_in(3) {
                line["unit_price"] =
                    json!({ "amount_minor": self.draws.below(999), "currency": "GBP" });
            }
            line
        });
        lines.collect()
    }

    fn parts(&mut self) -> Option<Value> {
        if self.draws.once_in(2) {
            return None;
        }
        let of = match self.draws.once_in(2) {
            true => json!({ "line_no": self.draws.between(1, 3), "quantity": 1 }),
            false => {
                json!({ "product_id": format!("w{}", self.draws.below(WARES)), "quantity": 1 })
            }
        };
        Some(json!([of]))
    }

    /// One request; what it places is remembered.
    async fn ask(&mut self, client: Client) -> anyhow::Result<Reply> {
        self.key += 1;
        let (key, buyer_id) = (format!("k{}", self.key), format!("b{}", self.draws.below(6)));
        let post = async |path: &str, body: Value| client.post(path, &key, &body).await;
        let choice = self.draws.below(10);
        let hold = self.one_of(|crowd| &crowd.holds).map(|id| format!("/v1/holds/{id}"));
        let reply = match (choice, hold) {
            (0..=1, _) => {
                let lines = self.lines(3);
                post("/v1/orders", json!({ "buyer_id": buyer_id, "lines": lines })).await?
            }
            (4, Some(path)) => {
                let ttl_ms = self.draws.between(1, 400);
                post(&format!("{path}/extend"), json!({ "ttl_ms": ttl_ms })).await?
            }
            (5..=6, Some(path)) => {
                let body = self.parts().map_or(json!({}), |lines| json!({ "lines": lines }));
                post(&format!("{path}/confirm"), body).await?
            }
            (7, Some(path)) => client.change(&path, None).await?,
            (8..=9, _) if !self.orders.is_empty() => {
                let order = self.one_of(|crowd| &crowd.orders).context("an order")?;
                let restock = !self.draws.once_in(3);
                let mut body = json!({ "reason": "why", "restock": restock });
                if let Some(lines) = self.parts() {
                    body["lines"] = lines;
                }
                post(&format!("/v1/orders/{order}/cancel"), body).await?
            }
            _ => {
                let (lines, ttl_ms) = (self.lines(3), self.draws.between(1, 300));
                let body = json!({ "buyer_id": buyer_id, "lines": lines, "ttl_ms": ttl_ms });
                post("/v1/holds", body).await?
            }
        };
        anyhow::ensure!(reply.status < 500, "{choice}: {reply:?}");
        if reply.status == 201 {
            let id = |name: &str| reply.body[name].as_str().map(str::to_owned);
            match id("order_id") {
                Some(order) => self.orders.push(order),
                None => self.holds.extend(id("hold_id")),
            }
        }
        Ok(reply)
    }
}

async fn create(client: Client) -> anyhow::Result<()> {
    for ware in 0..WARES {
        let body = json!({
            "product_id": format!("w{ware}"), "name": "A ware", "stock": 40,
            "oversell_limit": ware, "price": { "amount_minor": 250, "currency": "GBP" },
        });
        let reply = client.post("/v1/products", &format!("create-{ware}"), &body).await?;
        anyhow::ensure!(reply.status == 201, "{reply:?}");
    }
    Ok(())
}

/// Every kind once, of a ware that nobody else buys, whatever was drawn.
async fn one_of_each(client: Client) -> anyhow::Result<()> {
    let body = json!({ "product_id": "own", "name": "A ware", "stock": 9 });
    client.post("/v1/products", "own", &body).await?;
    let lines = json!([{ "product_id": "own", "quantity": 2 }]);
    let mut holds = Vec::new();
    for (key, ttl_ms) in [("own-1", 60_000), ("own-2", 60_000), ("own-3", 1)] {
        let body = json!({ "buyer_id": "own", "lines": lines, "ttl_ms": ttl_ms });
        let reply = client.post("/v1/holds", key, &body).await?;
        let hold = reply.body["hold_id"].as_str().with_context(|| format!("{reply:?}"))?;
        holds.push(format!("/v1/holds/{hold}"));
    }
    let extend = json!({ "ttl_ms": 90_000 });
    let reply = client.post(&format!("{}/extend", holds[0]), "own-4", &extend).await?;
    anyhow::ensure!(reply.status == 200, "{reply:?}");
    let part = json!({ "lines": [{ "product_id": "own", "quantity": 1 }] });
    let reply = client.post(&format!("{}/confirm", holds[0]), "own-5", &part).await?;
    let order = reply.body["order_id"].as_str().with_context(|| format!("{reply:?}"))?;
    let reason = json!({ "reason": "why" });
    let reply = client.post(&format!("/v1/orders/{order}/cancel"), "own-6", &reason).await?;
    anyhow::ensure!(reply.status == 200, "{reply:?}");
    let reply = client.change(&holds[1], None).await?;
    anyhow::ensure!(reply.status == 200, "{reply:?}");
    for paused in [true, false] {
        let reply = client.change("/v1/sales", Some(&json!({ "paused": paused }))).await?;
        anyhow::ensure!(reply.status == 200, "{reply:?}");
    }
    Ok(())
}

/// Three lives of a server: two end by a kill, the last in order.
async fn live(launch: &Launch, seed: u64) -> anyhow::Result<()> {
    let (draws, holds, orders) = (Seeded::new(seed), Vec::new(), Vec::new());
    let mut crowd = Crowd { draws, holds, orders, key: 0 };
    for life in 0..3 {
        let mut server = launch.spawn()?;
        let client = Client { address: server.ready(LIMIT).await? };
        if life == 0 {
            create(client).await?;
        }
        for request in 0..150 {
            crowd.ask(client).await.with_context(|| format!("{life}: {}", server.trace()))?;
            // A limit that comes and goes while holds are live.
            if request % 25 == 0 {
                let limit = [json!(9), Value::Null, json!(5)][(request / 25) % 3].clone();
                let patch =
                    json!({ "per_buyer_limit": limit, "returns_free_limit": request % 2 == 0 });
                let reply = client.change("/v1/products/w1", Some(&patch)).await?;
                anyhow::ensure!(reply.status == 200, "{reply:?}");
            }
        }
        if life == 2 {
            one_of_each(client).await?;
        }
        match life {
            2 => drop(server.terminate(LIMIT).await?),
            _ => server.kill()?,
        }
    }
    Ok(())
}

fn read(data_dir: &Path, faults: &mut Faults) -> anyhow::Result<Model> {
    let (log, mut model) = (Log::open(data_dir)?, Model::default());
    let mut broken = None;
    log.read(1, |frame| match Payload::parse(frame.payload) {
        Ok(payload) => model.apply(frame.sequence, &payload, faults),
        Err(error) => broken = Some((frame.sequence, error)),
    })?;
    anyhow::ensure!(broken.is_none(), "{broken:?}");
    Ok(model)
}

fn run(url: Option<String>) -> anyhow::Result<(Model, Compared, Faults)> {
    let directory = tempfile::tempdir()?;
    let data_dir = directory.path().join("data");
    let mut launch = Launch::engine(&support::engine(), &data_dir, directory.path());
    launch.environment.extend(url.clone().map(|url| ("DOORBUSTER_DATABASE_URL".to_owned(), url)));
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        live(&launch, seed).await?;
        // The tables may be behind the log: another life catches up.
        let mut server = launch.spawn()?;
        server.ready(LIMIT).await?;
        let mut faults = Faults::default();
        let before = read(&data_dir, &mut Faults::default())?;
        let database = Database::of(&data_dir, url.as_deref());
        rows::caught_up(&database, before.last_decision(), LIMIT).await?;
        server.terminate(LIMIT).await?;
        let model = read(&data_dir, &mut faults)?;
        let reader = rows::caught_up(&database, model.last_decision(), LIMIT).await?;
        let compared = rows::compare(&data_dir, &reader, &mut faults).await?;
        Ok((model, compared, faults))
    })
}

fn check(url: Option<String>) {
    let (model, compared, faults) = run(url).expect("a server that can be asked");
    assert!(faults.is_empty(), "{faults}");
    let kinds: Vec<_> = KINDS.iter().zip(model.kinds()).collect();
    println!("{compared:?}\n{kinds:?}");
    for (kind, count) in &kinds[8..] {
        assert!(**count > 0, "no {kind}: {kinds:?}");
    }
}

#[test]
fn holds_and_cancellations_are_once_in_the_log_and_in_sqlite() {
    check(None);
}

#[test]
fn holds_and_cancellations_are_once_in_the_log_and_in_postgres() {
    if let Some(postgres) = support::postgres() {
        check(Some(postgres.url()));
    }
}
