//! The sale: a server, one product, and every buyer asking until it has an answer.
//!
//! With a crash, the server is killed from the very turn in which the buyers have heard of some
//! share of the units, between a quarter and three quarters, another one each time. In the same
//! turn all connections are cut, as when the machine goes down and not its process alone. Without
//! that nearly nobody misses an answer: 150 to 210 orders were durable and unheard at the kill in
//! each of six runs, and the kernel still handed all their answers over from its buffers. So all
//! other connections wait for an answer at that moment, and none of them is told.
//! Whoever did not hear asks the next server, with the same key.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::json;

use super::summary::Summary;
use crate::cli::play::ask::{Trouble, ask};
use crate::cli::play::book::Book;
use crate::cli::play::caller::{Caller, Target};
use crate::cli::play::log_book::{OurKeys, last_sequence};
use crate::cli::play::number::{grouped, per_second, short_time};
use crate::cli::play::order::Price;
use crate::cli::play::pool::buy_all;
use crate::cli::play::purchase::{Outcome, Wish};
use crate::cli::play::server::OwnServer;
use crate::cli::play::stage::Stage;
use crate::cli::play::stopwatch::Stopwatch;
use crate::cli::play::witness::{Sources, hear};
use crate::cli::play::workplace::{random_number, random_word};

const LOOK: Duration = Duration::from_millis(50);
/// Slowest wait of a buyer that is told exactly, in microseconds.
const LATENCY_US_MAX: u64 = 600_000_000;
const PRICE_MINOR: u64 = 19_900;

/// What is sold, to whom.
pub(super) struct Sale {
    pub(super) units: u64,
    pub(super) buyers: u64,
    pub(super) connections: usize,
    pub(super) crash: bool,
}

/// The kill in the middle.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Crash {
    /// Units the buyers had heard of as sold.
    pub(crate) sold_before: u64,
    /// Purchases that waited for an answer at that moment.
    pub(crate) in_flight: u64,
    /// Time until the next server was ready.
    pub(crate) ready_again_ms: u64,
}

/// What the buyers heard, while they hear it.
pub(super) struct Heard {
    pub(super) answers: Book,
    pub(super) sold: u64,
    pub(super) refused: u64,
    pub(super) other_refusals: Vec<String>,
    pub(super) failed: Vec<String>,
    pub(super) latency: Histogram<u64>,
}

/// What the buyers, the crash and the watcher share.
struct Scene {
    target: Target,
    trouble: Trouble,
    heard: RefCell<Heard>,
    pid: Cell<Pid>,
    /// Percent of the units, or of the buyers, heard of when the server is killed.
    kill_at_percent: u64,
    /// Set in the turn the server was killed.
    crash: Cell<Option<Crash>>,
    /// Whether the next server was ready.
    restarted: Cell<bool>,
    since: Stopwatch,
}

impl Heard {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            answers: Book::default(),
            sold: 0,
            refused: 0,
            other_refusals: Vec::new(),
            failed: Vec::new(),
            latency: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?,
        })
    }

    fn count(&self) -> u64 {
        self.sold + self.refused + self.failed.len() as u64
    }

    fn enter(&mut self, outcome: Outcome, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(LATENCY_US_MAX);
        self.latency.saturating_record(micros.max(1));
        match outcome {
            Outcome::Sold { order_id, order, .. } => {
                self.sold += 1;
                self.answers.enter(order_id, order);
            }
            Outcome::Refused { reason } => {
                self.refused += 1;
                if reason != "sold-out" {
                    self.other_refusals.push(reason);
                }
            }
            Outcome::Failed { what } => self.failed.push(what),
        }
    }

    /// The wait that this share of the buyers did not exceed.
    pub(super) fn waited(&self, share: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(share))
    }
}

impl Sale {
    /// Holds the sale and checks it.
    ///
    /// # Errors
    /// The server cannot be started, or ends when nobody killed it.
    pub(super) async fn run(&self, stage: &Stage) -> anyhow::Result<Summary> {
        let data_dir = stage.data_dir();
        let from = last_sequence(&data_dir)?;
        let target = Target::default();
        let mut server = stage.launch.spawn()?;
        server.ready(&target).await?;
        let run = random_word()?;
        let product_id = format!("golden-ticket-{run}");
        self.put_in(&target, &product_id).await?;
        let wishes = self.wishes(&run, &product_id);
        let keys = OurKeys::new(wishes.iter().map(|wish| wish.key.clone()).collect());
        let scene = Scene {
            target,
            trouble: Trouble::default(),
            heard: RefCell::new(Heard::new()?),
            pid: Cell::new(server.pid()),
            kill_at_percent: 25 + u64::from(random_number()? % 51),
            crash: Cell::new(None),
            restarted: Cell::new(false),
            since: Stopwatch::start(),
        };
        let server = self.sell(&scene, stage, server, &wishes).await?;
        let seconds = scene.since.elapsed();
        let stock = stock_of(&scene.target, &product_id).await?;
        let bar =
            ProgressBar::new(0).with_style(style("{msg} {bar:30} {human_pos} of {human_len}"));
        let sources = Sources {
            data_dir: Some(data_dir),
            database: Some(stage.database.clone()),
            from,
            keys,
        };
        let heard = scene.heard.into_inner();
        let testimony = hear(sources, &heard.answers, Some(server), &bar).await?;
        let (crash, trouble) = (scene.crash.get(), scene.trouble.report());
        Ok(Summary::new(self, heard, stock, crash, trouble, testimony, seconds))
    }

    async fn put_in(&self, target: &Target, product_id: &str) -> anyhow::Result<()> {
        let body = json!({"product_id": product_id, "name": "Golden ticket", "stock": self.units,
            "price": {"amount_minor": PRICE_MINOR, "currency": "EUR"}});
        let (caller, trouble) = (Caller::new(target), Trouble::default());
        let reply = ask(&caller, "/v1/products", product_id, &body, &trouble).await?.reply;
        match reply.status {
            201 => Ok(()),
            _ => bail!("cannot put the product in: {}", reply.words()),
        }
    }

    fn wishes(&self, run: &str, product_id: &str) -> Vec<Wish> {
        let wish = |number| Wish {
            key: format!("demo-{run}-{number}"),
            product_id: product_id.to_owned(),
            buyer_id: format!("buyer-{number}"),
            quantity: 1,
            unit_price: Some(Price { amount_minor: PRICE_MINOR, currency: "EUR".to_owned() }),
            reference: None,
        };
        (1..=self.buyers).map(wish).collect()
    }

    /// Lets everybody buy, while the server is watched; gives the server that is left.
    async fn sell(
        &self,
        scene: &Scene,
        stage: &Stage,
        server: OwnServer,
        wishes: &[Wish],
    ) -> anyhow::Result<OwnServer> {
        let bar = ProgressBar::new(self.buyers)
            .with_style(style("{bar:30} {human_pos} of {human_len} buyers  {msg}"));
        let mut told = |_, outcome, waited| {
            scene.heard.borrow_mut().enter(outcome, waited);
            if self.crash && scene.crash.get().is_none() && self.enough_is_heard(scene) {
                scene.kill();
            }
        };
        let buying = buy_all(&scene.target, self.connections, wishes, &scene.trouble, &mut told);
        let mut watched = Some(server);
        {
            let watching = scene.watch(stage, &mut watched, &bar);
            tokio::select! {
                () = buying => {}
                ended = watching => return Err(ended),
            }
        }
        bar.finish_and_clear();
        // When the last answer of all was the one that killed it.
        scene.start_again(stage, &mut watched).await?;
        watched.context("the server that was started again")
    }

    /// Whether that share of the units is heard of as sold, or of the buyers has heard.
    fn enough_is_heard(&self, scene: &Scene) -> bool {
        let (heard, percent) = (scene.heard.borrow(), scene.kill_at_percent);
        heard.sold > 0 && heard.sold * 100 >= self.units * percent
            || heard.count() * 100 >= self.buyers * percent
    }
}

impl Scene {
    /// SIGKILL, at once, and nobody hears what is under way.
    fn kill(&self) {
        // A server that has just ended by itself is noticed by the watcher.
        if kill_process(self.pid.get(), Signal::KILL).is_ok() {
            let (sold_before, in_flight) = (self.heard.borrow().sold, self.trouble.in_flight());
            self.crash.set(Some(Crash { sold_before, in_flight, ready_again_ms: 0 }));
            self.target.cut();
        }
    }

    /// Shows how the sale goes, and starts the server that was killed again. Comes back only when
    /// a server ends that nobody killed.
    async fn watch(
        &self,
        stage: &Stage,
        server: &mut Option<OwnServer>,
        bar: &ProgressBar,
    ) -> anyhow::Error {
        loop {
            if let Err(error) = self.start_again(stage, server).await {
                return error;
            }
            let running =
                server.as_mut().map(|server| server.still_runs("in the middle of the sale"));
            if let Some(Err(error)) = running {
                return error;
            }
            self.show(bar);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Starts the next server, if the last one was killed.
    async fn start_again(
        &self,
        stage: &Stage,
        server: &mut Option<OwnServer>,
    ) -> anyhow::Result<()> {
        let Some(crash) = self.crash.get().filter(|_| !self.restarted.get()) else {
            return Ok(());
        };
        let since = Stopwatch::start();
        // Dropping it waits for its end.
        drop(server.take());
        let started = server.insert(stage.launch.spawn()?);
        self.pid.set(started.pid());
        started.ready(&self.target).await?;
        let ready_again_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(0);
        self.crash.set(Some(Crash { ready_again_ms, ..crash }));
        self.restarted.set(true);
        Ok(())
    }

    fn show(&self, bar: &ProgressBar) {
        let heard = self.heard.borrow();
        bar.set_position(heard.count());
        let crash = match self.crash.get() {
            Some(Crash { ready_again_ms: 0, .. }) => "  killed, starting again",
            _ => "",
        };
        bar.set_message(format!(
            "{}/s  sold {}  refused {}  p50 {}  p99 {}{crash}",
            grouped(per_second(heard.count(), self.since.elapsed())),
            grouped(heard.sold),
            grouped(heard.refused),
            short_time(heard.waited(0.5)),
            short_time(heard.waited(0.99)),
        ));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Units the server says are sold and available.
async fn stock_of(target: &Target, product_id: &str) -> anyhow::Result<(u64, u64)> {
    let reply = Caller::new(target).get(&format!("/v1/products/{product_id}/stock")).await?;
    let figure = |name: &str| reply.body.get(name).and_then(serde_json::Value::as_u64);
    figure("sold").zip(figure("available")).with_context(|| format!("no stock: {}", reply.words()))
}
