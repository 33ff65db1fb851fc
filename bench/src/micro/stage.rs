//! A whole engine on storage in memory, in one thread: a purchase from asking to hearing.
//!
//! ```text
//! ask (view, key, permit) ──► turn (decide, apply, encode, append) ──► write (seal, publish) ──► hear
//! ```
//!
//! What serves has a thread for each of the four and a disk behind the third; here they follow each
//! other, so that what is timed is their work and not their waiting.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use doorbuster::domain::{HoldRules, PlaceOrder, Principal};
use doorbuster::engine::stepped::{self, Stepped};
use doorbuster::engine::{
    Action, ActorLimits, AdmissionLimits, Answer, Client, EngineConfig, Request, StartOptions,
    SystemClock,
};
use doorbuster::journal::{JournalIdentity, KeyStamp, Opening};
use doorbuster_wal::MemStorage;

use super::logs;

/// Bytes of a segment: one is zeroed in memory now and then.
const SEGMENT_BYTES: u64 = 16 << 20;

/// An engine and one worker of it.
pub struct Stage {
    stepped: Stepped,
    client: Client,
    principal: Principal,
}

impl Stage {
    /// An engine with so many products of so many units each.
    ///
    /// # Errors
    /// It does not start.
    pub fn new(products: u32, stock: u64) -> anyhow::Result<Self> {
        let storage = Arc::new(MemStorage::new());
        logs::with_products(Arc::clone(&storage) as _, SEGMENT_BYTES, products, stock)?;
        let opening = Opening::new(storage, logs::options(SEGMENT_BYTES))?;
        let config = EngineConfig {
            admission: AdmissionLimits { commands_max: 65_536, queued_bytes_max: 256 << 20 },
            actors: ActorLimits {
                product_mailbox: 16_384,
                partition_mailbox: 65_536,
                idle: Duration::from_secs(30),
            },
            keys_max: usize::MAX,
            holds: HoldRules::default(),
        };
        let clock = Arc::new(SystemClock::new());
        let binary = "bench".to_owned();
        let options = StartOptions { config, clock, accept_clock: None, binary, witness: None };
        let identity = JournalIdentity { journal_id: [7; 16], partition: 1, epoch: 1 };
        let stepped = Stepped::begin(opening, options, identity)?;
        let client = Client::new(stepped.engine.clone());
        Ok(Self { stepped, client, principal: Principal::new("shop")? })
    }

    /// What workers see.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The request of a wish, under a key of its own.
    #[must_use]
    pub fn request(&self, wish: PlaceOrder, key: KeyStamp) -> Request {
        Request {
            principal: self.principal.clone(),
            reference: None,
            key: Some(key),
            deadline: Duration::from_secs(60),
            action: Action::Order(wish),
        }
    }

    /// What the view alone answers; `None`: it would have to be decided.
    #[must_use]
    pub fn refused_in_view(&self, request: Request) -> Option<Box<Answer>> {
        stepped::ask(&self.client, request, || ()).err()
    }

    /// Carries some purchases to their answers in one write; how many were sold.
    ///
    /// # Errors
    /// The journal's.
    pub fn sell(&mut self, requests: Vec<Request>) -> anyhow::Result<usize> {
        let now_ms = self.stepped.engine.now_ms();
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            let Ok((command, reply)) = stepped::ask(&self.client, request, || ()) else {
                bail!("a purchase was answered before it was decided");
            };
            self.stepped.partition.turn(command, now_ms);
            replies.push(reply);
        }
        self.stepped.writer.step()?;
        self.client.replies().drain();
        let heard = replies.iter().map(|reply| reply.take().context("it is durable"));
        let sold = |answer: Answer| usize::from(matches!(answer, Answer::Decided { .. }));
        heard.map(|answer| answer.map(sold)).sum()
    }

    /// Makes room for what is sold next, as the journal's own thread does beside a sale.
    ///
    /// # Errors
    /// The journal's.
    pub fn make_room(&self) -> anyhow::Result<()> {
        while self.stepped.writer.prepare_spare()? {}
        let room = self.stepped.engine.gauges().context("it has started")?.room_bytes;
        ensure!(room > 0, "no room in the journal");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::micro::till::Till;

    #[test]
    fn purchases_are_sold_and_what_is_sold_out_is_refused_in_the_view() {
        let mut till = Till::new(1, 3).expect("a till");
        let mut stage = Stage::new(1, 3).expect("an engine");
        let mut request = |stage: &Stage| stage.request(till.wish(0).expect("a wish"), till.key());
        let requests = (0..3).map(|_| request(&stage)).collect();
        assert_eq!(stage.sell(requests).expect("a journal"), 3);
        let refused = stage.refused_in_view(request(&stage)).expect("nothing is left");
        assert!(matches!(*refused, Answer::Refused(_)), "{refused:?}");
        stage.make_room().expect("a journal in memory");
    }
}
